/**
 * Skills as a model is told of them: the prompt has their names, what they are for and where they are; the model reads the file when it needs it. Those of the
 * workspace go before the ones that agents share (`runtime/supervisor/skills.ts`). What a skill needs is not given by it: a tool that the agent does not have
 * stays missing. Source: behaviour §6.3.
 */
import {
  type FindSkills,
  type FoundSkill,
  makeSkillFinder,
  ownSkillFolders,
  type SkillFolder,
} from "../../runtime/kernel/skills.ts";
import type { ToldRoom } from "../../runtime/kernel/session-choices.ts";
import type { Workspace } from "../../runtime/thread/actor-port.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";

export interface Skill extends Pick<FoundSkill, "name" | "description" | "location"> {
  /** What it needs and nobody has looked for: programs are there or not where its commands run. */
  readonly needs?: string;
}

export type SkillsOf = (
  workspace: SkillFolder & Pick<Workspace, "stamps">,
  settings: Pick<AgentSettings, "skills" | "beside">,
  nowMs: number,
  /** Where the workspace is, for tools that do not work there: its skills are named by their whole path. */
  root?: string,
) => Promise<readonly Skill[]>;

/**
 * Of one workspace: what has not changed since the turn before is not read again, and gives the same list. Folders that are not there are not looked
 * through.
 */
export function makeSkillsOf(find: FindSkills = makeSkillFinder()): SkillsOf {
  let last:
    | { readonly own: readonly FoundSkill[]; readonly wants: Wants; readonly skills: readonly Skill[] }
    | undefined;
  return async (workspace, { skills: allowed, beside }, nowMs, root) => {
    if (allowed?.length === 0) return none;
    const stamps = await workspace.stamps(ownSkillFolders);
    const roots = ownSkillFolders.filter((_, at) => typeof stamps[at] === "object");
    const own = roots.length === 0 ? none : await find(workspace, roots, nowMs);
    const wants = { allowed, beside, root };
    if (last === undefined || last.own !== own || !isSame(last.wants, wants))
      last = { own, wants, skills: choose(own, wants) };
    return last.skills;
  };
}

const none: readonly never[] = [];

interface Wants {
  readonly allowed: AgentSettings["skills"] | undefined;
  readonly beside: AgentSettings["beside"] | undefined;
  readonly root: string | undefined;
}

const isSame = (a: Wants, b: Wants): boolean => a.allowed === b.allowed && a.beside === b.beside && a.root === b.root;

function choose(own: readonly FoundSkill[], { allowed, beside, root }: Wants): readonly Skill[] {
  const found = new Map<string, Skill>(beside?.found.map((skill) => [skill.name, skill]));
  for (const { gates, ...there } of own) {
    const skill = root === undefined ? there : { ...there, location: `${root}/${there.location}` };
    if (beside?.off.includes(skill.name) === true) continue;
    if (beside !== undefined && gates.os.length > 0 && !gates.os.includes(beside.platform)) continue;
    const needs = needsOf(gates);
    found.set(skill.name, needs === "" ? skill : { ...skill, needs });
  }
  return [...found.values()]
    .filter(({ name }) => allowed?.includes(name) ?? true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** In a group that names skills those of them that the agent has. */
export function skillsThere(
  { skills }: Pick<AgentSettings, "skills">,
  room: ToldRoom | undefined,
): Pick<AgentSettings, "skills"> {
  if (room?.skills === undefined) return {};
  return { skills: skills === undefined ? room.skills : skills.filter((name) => room.skills?.includes(name)) };
}

function needsOf({ bins, anyBins, env, config }: FoundSkill["gates"]): string {
  return [
    ...(bins.length === 0 ? [] : [`programs ${bins.join(", ")}`]),
    ...(anyBins.length === 0 ? [] : [`one of the programs ${anyBins.join(", ")}`]),
    ...(env.length === 0 ? [] : [`variables ${env.join(", ")}`]),
    ...(config.length === 0 ? [] : [`config ${config.join(", ")}`]),
  ].join("; ");
}

/** The section of the prompt; undefined: there are none. What does not fit is counted, in the order of the names. */
export function skillsBlock(skills: readonly Skill[], charsMax: number): string | undefined {
  if (skills.length === 0) return undefined;
  const head =
    "## Skills\nRead the file of a skill before you do what it is for; follow it then. It gives you no tool that you do not have.";
  const lines: string[] = [];
  let chars = head.length;
  for (const { name, description, location, needs } of skills) {
    const line = `- ${name}: ${description.replaceAll(/\s+/g, " ")} (${location}${needs === undefined ? "" : `; needs ${needs}`})`;
    // Room for the line that counts the rest.
    if (chars + line.length + 1 + restCharsMax > charsMax) break;
    lines.push(line);
    chars += line.length + 1;
  }
  const rest = skills.length - lines.length;
  return [head, ...lines, ...(rest === 0 ? [] : [`- and ${rest} more, which are not listed here`])].join("\n");
}

const restCharsMax = 60;
