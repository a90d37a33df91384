/**
 * Whether each agent's directories are its own. Agents that share an `agentDir` mix up their state, and an agent whose
 * workspace holds somebody's state can read and change it: both undo the isolation, so both stop the start.
 *
 * Paths are compared by name. A symbolic link that leads out of a workspace is refused when it is used.
 */
import path from "node:path";
import { type NamedAgent, placeAgent } from "../agents.ts";
import type { Draft } from "../draft.ts";
import { type ConfigIssue, formatPath, type Path } from "../issue.ts";
import { makeIssue } from "../validate.ts";

type Kind = "workspace" | "agentDir" | "sessions directory";

interface Directory {
  readonly agent: NamedAgent;
  readonly kind: Kind;
  readonly dir: string;
  /** The key that a person would change. */
  readonly key: Path;
}

export function checkDirectories(agents: readonly NamedAgent[], defaultId: string, draft: Draft): ConfigIssue[] {
  const all = agents.flatMap((agent) => listDirectories(agent, agent.id === defaultId, draft));
  const states = all.filter(({ kind }) => kind !== "workspace");
  const stateByDir = groupByDir(states);
  const issues = new Map<string, ConfigIssue>();
  // One mistake may show in several directories; the first says enough.
  const report = (directory: Directory, message: string, remedy: string): void => {
    const key = formatPath(directory.key);
    if (!issues.has(key))
      issues.set(
        key,
        makeIssue(directory.key, `${message} (${directory.dir})`, remedy, draft.written, "without-value"),
      );
  };

  for (const directory of all) {
    const holder = findAbove(
      directory.dir,
      stateByDir,
      (state) => isOther(state, directory) && isLater(directory, state),
    );
    if (holder === undefined) continue;
    const relation = holder.dir === directory.dir ? "is also" : "lies in";
    report(
      directory,
      `is the ${directory.kind} of "${directory.agent.id}" and ${relation} the ${holder.kind} of "${holder.agent.id}"`,
      `Give ${formatPath(directory.key)} a directory of its own${directory.kind === "sessions directory" ? "; {agentId} in session.store stands for the agent" : ""}.`,
    );
  }
  const ids = new Set(agents.map(({ id }) => id));
  for (const workspace of all.filter(({ kind }) => kind === "workspace")) {
    const home = findStateHome(workspace, ids, draft);
    if (home !== undefined)
      report(
        workspace,
        `is the workspace of "${workspace.agent.id}" and lies in the state of "${home}"`,
        `Move ${formatPath(workspace.key)} elsewhere.`,
      );
  }
  for (const { workspace, held } of findHeldState(all, states, draft)) {
    report(
      workspace,
      `is the workspace of "${workspace.agent.id}" and holds ${held}, which no agent may reach`,
      `Choose a directory for ${formatPath(workspace.key)} that holds only the agent's own files.`,
    );
  }
  return [...issues.values()];
}

function listDirectories(agent: NamedAgent, isDefault: boolean, draft: Draft): Directory[] {
  const dirs = placeAgent(agent, isDefault, draft);
  const fromDefaults = draft.config.agents.defaults.workspace !== undefined && agent.entry.workspace === undefined;
  const sessionsKey: Path =
    draft.config.session.store === undefined ? [...agent.path, "agentDir"] : ["session", "store"];
  return [
    {
      agent,
      kind: "workspace",
      dir: dirs.workspace,
      key: fromDefaults ? ["agents", "defaults", "workspace"] : [...agent.path, "workspace"],
    },
    { agent, kind: "agentDir", dir: dirs.agentDir, key: [...agent.path, "agentDir"] },
    { agent, kind: "sessions directory", dir: dirs.sessionsDir, key: sessionsKey },
  ];
}

const isOther = (a: Directory, b: Directory): boolean => a.agent.id !== b.agent.id;

/** Of two that are the same directory only the later one is reported; a nested one is reported in any order. */
function isLater(directory: Directory, holder: Directory): boolean {
  if (directory.dir !== holder.dir || directory.kind === "workspace") return true;
  return isAfter(directory.agent.path, holder.agent.path);
}

function isAfter(a: Path, b: Path): boolean {
  const [, kindA, placeA] = a;
  const [, kindB, placeB] = b;
  // `list` comes before `entries`; in a map the place is a name.
  if (kindA !== kindB) return kindA === "entries";
  return placeA !== undefined && placeB !== undefined && placeA > placeB;
}

/** `<stateDir>/agents/<other>` belongs to the other agent, whatever its `agentDir` says. */
function findStateHome(workspace: Directory, ids: ReadonlySet<string>, draft: Draft): string | undefined {
  const way = path.relative(path.join(draft.paths.stateDir, "agents"), workspace.dir);
  const owner = way.split(path.sep)[0] ?? "";
  return owner !== workspace.agent.id && ids.has(owner) ? owner : undefined;
}

/** Workspaces that hold the state directory, the configuration, or any agent's state. One finding a workspace is enough. */
function findHeldState(
  all: readonly Directory[],
  states: readonly Directory[],
  draft: Draft,
): { workspace: Directory; held: string }[] {
  const workspaces = groupByDir(all.filter(({ kind }) => kind === "workspace"));
  const found = new Map<Directory, string>();
  const look = (dir: string, held: string): void => {
    const workspace = findAbove(dir, workspaces, (candidate) => !found.has(candidate));
    if (workspace !== undefined) found.set(workspace, held);
  };
  look(draft.paths.stateDir, "the state directory");
  look(draft.paths.configPath, "the configuration");
  for (const state of states) look(state.dir, `the ${state.kind} of "${state.agent.id}"`);
  return [...found].map(([workspace, held]) => ({ workspace, held }));
}

function groupByDir(directories: readonly Directory[]): ReadonlyMap<string, readonly Directory[]> {
  const groups = new Map<string, Directory[]>();
  for (const directory of directories) {
    const group = groups.get(directory.dir);
    if (group === undefined) groups.set(directory.dir, [directory]);
    else group.push(directory);
  }
  return groups;
}

/** The first directory at or above `dir` that is wanted. Walking upwards keeps the cost off the number of agents. */
function findAbove(
  dir: string,
  groups: ReadonlyMap<string, readonly Directory[]>,
  isWanted: (directory: Directory) => boolean,
): Directory | undefined {
  for (let at = dir; ; at = path.dirname(at)) {
    const found = groups.get(at)?.find(isWanted);
    if (found !== undefined) return found;
    if (at === path.dirname(at)) return undefined;
  }
}
