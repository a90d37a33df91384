/**
 * Skills: folders with a `SKILL.md` that tell a model how to do something. Here is how they are found below a folder and what their heads say; the file itself
 * is read by the model when it needs it. Source: behaviour §6.3.
 *
 *   ---
 *   name: invoices
 *   description: Writes invoices. Use it when somebody asks for one.
 *   metadata: { "openclaw": { "os": ["linux"], "requires": { "bins": ["pdftk"], "env": ["TAX_ID"] } } }
 *   ---
 */
import { type Kept, readKept, type Stamp } from "./kept-files.ts";
import { limits } from "./limits.ts";

/** What has to be there for the skill to be of use. */
export interface SkillGates {
  /** Names of platforms, as Node has them; empty: any. */
  readonly os: readonly string[];
  /** Programs, all of them; and of the second list one. */
  readonly bins: readonly string[];
  readonly anyBins: readonly string[];
  readonly env: readonly string[];
  /** Keys of the configuration that are set. */
  readonly config: readonly string[];
}

export interface FoundSkill {
  readonly name: string;
  readonly description: string;
  /** Of its `SKILL.md`, as the folder names it. */
  readonly location: string;
  readonly gates: SkillGates;
}

/** Where skills are looked for. Each of them rejects for what is not there. */
export interface SkillFolder {
  list(path: string): Promise<readonly { readonly name: string; readonly type: "file" | "directory" | "other" }[]>;
  read(path: string): Promise<string>;
  stamp(path: string): Promise<Stamp>;
}

/** A file that is no skill, and why: for whoever wrote it. */
export interface LeftOutSkill {
  readonly location: string;
  readonly why: string;
}

/**
 * Below the roots, in their order: the first skill of a name wins. A folder that cannot be read and a file without a name or a description are left out;
 * `onLeftOut` hears of the files.
 */
export type FindSkills = (
  folder: SkillFolder,
  roots: readonly string[],
  nowMs: number,
  onLeftOut?: (file: LeftOutSkill) => void,
) => Promise<readonly FoundSkill[]>;

export const skillFile = "SKILL.md";

/** Of a workspace: those of the first go before those of the second. */
export const ownSkillFolders = ["skills", ".agents/skills"] as const;

/** Folders and files whose stamp is that of the time before are not read again. Gives the same list for as long as nothing has changed. */
export function makeSkillFinder(): FindSkills {
  let folders = new Map<string, Kept<readonly { readonly name: string; readonly type: string }[]>>();
  let heads = new Map<string, Kept<FoundSkill | LeftOutSkill>>();
  let last: readonly FoundSkill[] = [];

  return async (folder, roots, nowMs, onLeftOut) => {
    // What is not met any more is forgotten with this look.
    const nextFolders: typeof folders = new Map();
    const nextHeads: typeof heads = new Map();

    const entriesOf = (path: string) =>
      folder
        .stamp(path)
        .then((stamp) => readKept(stamp, path, nowMs, folders, nextFolders, () => folder.list(path)))
        .catch(() => undefined);
    const headOf = (path: string) =>
      folder
        .stamp(path)
        .then((stamp) =>
          readKept(stamp, path, nowMs, heads, nextHeads, async () =>
            stamp.bytes > limits.skillFileBytesMax
              ? { location: path, why: `it has more than ${limits.skillFileBytesMax} bytes` }
              : parseSkill(await folder.read(path), path),
          ),
        )
        .catch(() => ({ location: path, why: "it cannot be read" }));

    const found = new Map<string, FoundSkill>();
    for (const root of roots) {
      let level = [root];
      let looked = 0;
      // Folders are looked through to a depth; below a SKILL.md none.
      for (let depth = 0; depth <= limits.skillsDepthMax && level.length > 0; depth++) {
        const next: string[] = [];
        for (const path of level) {
          if (++looked > limits.skillFoldersMax) break;
          const entries = (await entriesOf(path)) ?? [];
          if (entries.some(({ name, type }) => name === skillFile && type === "file")) {
            const skill = await headOf(`${path}/${skillFile}`);
            if ("why" in skill) onLeftOut?.(skill);
            else if (!found.has(skill.name)) found.set(skill.name, skill);
            continue;
          }
          const names = entries.flatMap(({ name, type }) =>
            type === "directory" && !name.startsWith(".") && name !== "node_modules" ? [name] : [],
          );
          next.push(...names.toSorted().map((name) => `${path}/${name}`));
        }
        level = looked > limits.skillFoldersMax ? [] : next;
      }
    }
    folders = nextFolders;
    heads = nextHeads;
    const skills = [...found.values()];
    if (skills.length !== last.length || skills.some((skill, at) => skill !== last[at])) last = skills;
    return last;
  };
}

/** Of a file without a frontmatter with a name and a description, or with one that is too long, why it is none. */
export function parseSkill(text: string, location: string): FoundSkill | LeftOutSkill {
  const [, head] = /^\ufeff?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [];
  if (head === undefined) return { location, why: "it does not begin with a head between two lines of ---" };
  if (head.length > limits.skillHeadCharsMax)
    return { location, why: `its head has more than ${limits.skillHeadCharsMax} characters` };
  const fields = parseFields(head);
  const name = fields.get("name") ?? "";
  const description = fields.get("description") ?? "";
  if (name === "") return { location, why: "its head has no name" };
  if (!/^[\w][\w .:-]{0,63}$/.test(name))
    return {
      location,
      why: `its name is ${JSON.stringify(name.slice(0, 64))}, wanted up to 64 letters, digits, spaces and . : _ -`,
    };
  if (description === "") return { location, why: "its head has no description" };
  return { name, description: shorten(description), location, gates: readGates(fields.get("metadata")) };
}

/** The middle goes: what it does stands at the beginning, when to use it often at the end. */
function shorten(text: string): string {
  const most = limits.skillDescriptionCharsMax;
  if (text.length <= most) return text;
  const half = Math.floor((most - 3) / 2);
  return `${text.slice(0, half)} … ${text.slice(-half)}`.toWellFormed();
}

/** Of YAML what such heads use: one line a field, plain or quoted, or a text (`>`, `|`, nothing) that is indented below it. */
function parseFields(head: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let open: string | undefined;
  for (const line of head.split(/\r?\n/)) {
    const [, key, value = ""] = /^([\w-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (key !== undefined) {
      open = /^[>|][+-]?$/.test(value) || value === "" ? key : undefined;
      fields.set(key, open === undefined ? plain(value) : "");
    } else if (open !== undefined && /^[ \t]*\S/.test(line))
      fields.set(open, `${fields.get(open) ?? ""} ${line.trim()}`.trim());
  }
  return fields;
}

function plain(value: string): string {
  const text = value.trim();
  const [, quote, inside] = /^(["'])(.*)\1$/.exec(text) ?? [];
  if (text.startsWith("{")) return text;
  return quote === undefined ? text.replace(/(?<![ \t])[ \t]+#.*$/, "") : (inside ?? "");
}

const noGates: SkillGates = { os: [], bins: [], anyBins: [], env: [], config: [] };

/** Names under which gates are written; the first is the peer's. */
const gateKeys = ["openclaw", "cloister"];

/** `metadata` is JSON, also over several lines and with commas at the ends of lists, as YAML has it. What is none, or says nothing of gates, has none. */
function readGates(metadata: string | undefined): SkillGates {
  if (metadata === undefined) return noGates;
  let written: unknown;
  try {
    written = JSON.parse(
      metadata.replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, text: string | undefined) => text ?? ""),
    );
  } catch {
    return noGates;
  }
  const own = gateKeys.map((key) => fieldOf(written, key)).find((found) => found !== undefined);
  if (fieldOf(own, "always") === true) return noGates;
  const requires = fieldOf(own, "requires");
  return {
    os: namesOf(fieldOf(own, "os")),
    bins: namesOf(fieldOf(requires, "bins")),
    anyBins: namesOf(fieldOf(requires, "anyBins")),
    env: namesOf(fieldOf(requires, "env")),
    config: namesOf(fieldOf(requires, "config")),
  };
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function namesOf(value: unknown): readonly string[] {
  const all = Array.isArray(value) ? value : [];
  return all
    .filter((one) => typeof one === "string" && /^[\w.+-]{1,64}$/.test(one))
    .slice(0, limits.skillGatesMax) as string[];
}
