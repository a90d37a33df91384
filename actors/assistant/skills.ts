/**
 * Skills: folders with a `SKILL.md` that tell a model how to do something. The prompt has their names, what they are for and where they
 * are; the model reads the file when it needs it. Source: behaviour §6.3.
 *
 *   ---
 *   name: invoices
 *   description: Writes invoices. Use it when somebody asks for one.
 *   ---
 *
 * Roots, the first wins where two skills have one name: `skills`, then `.agents/skills` of the workspace. What a skill needs is not given
 * by it: a tool that the agent does not have stays missing.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { Workspace } from "../../runtime/thread/actor-port.ts";
import { cutMiddle } from "./cut-text.ts";

export interface Skill {
  readonly name: string;
  readonly description: string;
  /** Path of its `SKILL.md`, relative to the workspace. */
  readonly location: string;
}

type Folder = Pick<Workspace, "list" | "read">;

const roots = ["skills", ".agents/skills"] as const;
const fileName = "SKILL.md";

/** `allowed`: names; absent: all. A folder that cannot be read and a file without a name or a description are left out. */
export async function findSkills(workspace: Folder, allowed: readonly string[] | undefined): Promise<readonly Skill[]> {
  if (allowed?.length === 0) return [];
  const found = new Map<string, Skill>();
  for (const root of roots)
    for (const location of await findFiles(workspace, root)) {
      const skill = parseSkill(await workspace.read(location).catch(() => ""), location);
      if (skill === undefined || found.has(skill.name)) continue;
      if (allowed === undefined || allowed.includes(skill.name)) found.set(skill.name, skill);
    }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Folders are looked through to a depth; below a `SKILL.md` none. */
async function findFiles(workspace: Folder, root: string): Promise<readonly string[]> {
  const files: string[] = [];
  let level = [root];
  let looked = 0;
  for (let depth = 0; depth <= limits.skillsDepthMax && level.length > 0; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      if (++looked > limits.skillFoldersMax) return files;
      const entries = await workspace.list(folder).catch(() => []);
      if (entries.some(({ name }) => name === fileName)) {
        files.push(`${folder}/${fileName}`);
        continue;
      }
      const names = entries.flatMap(({ name, type }) => (type === "directory" && !name.startsWith(".") ? [name] : []));
      next.push(...names.toSorted().map((name) => `${folder}/${name}`));
    }
    level = next;
  }
  return files;
}

/** Undefined: there is no frontmatter with a name and a description. */
export function parseSkill(text: string, location: string): Skill | undefined {
  const [, head] = /^\ufeff?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [];
  if (head === undefined) return undefined;
  const fields = parseFields(head);
  const name = fields.get("name") ?? "";
  const description = fields.get("description") ?? "";
  if (!/^[\w][\w .:-]{0,63}$/.test(name) || description === "") return undefined;
  return { name, description: cutMiddle(description, limits.skillDescriptionCharsMax, () => " … "), location };
}

/** Of YAML what such heads use: one line a field, plain or quoted, or a folded text (`>`, `|`) that is indented below it. */
function parseFields(head: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let open: string | undefined;
  for (const line of head.split(/\r?\n/)) {
    const [, key, value = ""] = /^([\w-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (key !== undefined) {
      open = /^[>|][+-]?$/.test(value) || value === "" ? key : undefined;
      fields.set(key, open === undefined ? plain(value) : "");
    } else if (open !== undefined && /^[ \t]+\S/.test(line))
      fields.set(open, `${fields.get(open) ?? ""} ${line.trim()}`.trim());
  }
  return fields;
}

function plain(value: string): string {
  const text = value.trim();
  const [, quote, inside] = /^(["'])(.*)\1$/.exec(text) ?? [];
  return quote === undefined ? text.replace(/[ \t]+#.*$/, "") : (inside ?? "");
}

/** The section of the prompt; undefined: there are none. What does not fit is counted, in the order of the names. */
export function skillsBlock(skills: readonly Skill[], charsMax: number): string | undefined {
  if (skills.length === 0) return undefined;
  const head =
    "## Skills\nRead the file of a skill before you do what it is for; follow it then. It gives you no tool that you do not have.";
  const lines: string[] = [];
  let chars = head.length;
  for (const { name, description, location } of skills) {
    const line = `- ${name}: ${description.replaceAll(/\s+/g, " ")} (${location})`;
    // Room for the line that counts the rest.
    if (chars + line.length + 1 + restCharsMax > charsMax) break;
    lines.push(line);
    chars += line.length + 1;
  }
  const rest = skills.length - lines.length;
  return [head, ...lines, ...(rest === 0 ? [] : [`- and ${rest} more, which are not listed here`])].join("\n");
}

const restCharsMax = 60;
