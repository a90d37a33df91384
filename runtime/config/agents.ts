/** The agents that a configuration names, and where each of them lives. Source: behaviour §1.1, §1.3, D1, D2. */
import path from "node:path";
import { normalizeAgentId } from "../routing/ids.ts";
import type { Draft } from "./draft.ts";
import type { Path } from "./issue.ts";
import { resolvePath } from "./paths.ts";
import type { Config } from "./schema.ts";
import type { AgentEntry } from "./schema/agents.ts";

/** The one agent of a file that names none. */
const onlyAgentId = "main";

export interface NamedAgent {
  /** Where the agent stands in the file. */
  readonly path: Path;
  /** Normalised. */
  readonly id: string;
  readonly entry: AgentEntry;
}

export interface AgentDirs {
  readonly workspace: string;
  readonly agentDir: string;
  readonly sessionsDir: string;
}

/** `agents.list`, then `agents.entries`; without either the one agent `main`. Ids may still repeat. */
export function listAgents(config: Config): readonly NamedAgent[] {
  const listed = config.agents.list.map((entry, index) => ({
    path: ["agents", "list", index],
    id: normalizeAgentId(entry.id),
    entry,
  }));
  const named = Object.entries(config.agents.entries).map(([id, entry]) => ({
    path: ["agents", "entries", id],
    id: normalizeAgentId(id),
    entry: { ...entry, id },
  }));
  const all = [...listed, ...named];
  return all.length > 0 ? all : [{ path: ["agents"], id: onlyAgentId, entry: { id: onlyAgentId } }];
}

/** The agent that gets what no binding claims: the one that says so, else the first. */
export function findDefaultAgentId(agents: readonly NamedAgent[]): string {
  return (agents.find(({ entry }) => entry.default === true) ?? agents[0])?.id ?? onlyAgentId;
}

export function placeAgent(agent: NamedAgent, isDefault: boolean, draft: Draft): AgentDirs {
  const { config, paths } = draft;
  const absolute = (text: string): string => resolveConfigPath(text, draft);
  const shared = config.agents.defaults.workspace;
  const { workspace, agentDir } = agent.entry;
  const usualWorkspace = isDefault
    ? shared === undefined
      ? paths.defaultWorkspace
      : absolute(shared)
    : shared === undefined
      ? path.join(paths.stateDir, `workspace-${agent.id}`)
      : path.join(absolute(shared), agent.id);
  const dir = agentDir === undefined ? path.join(paths.stateDir, "agents", agent.id, "agent") : absolute(agentDir);
  return {
    workspace: workspace === undefined ? usualWorkspace : absolute(workspace),
    agentDir: dir,
    sessionsDir: placeSessions(agent.id, dir, draft),
  };
}

/** `session.store` may name a file, as older configurations do; then its directory is meant. */
function placeSessions(agentId: string, agentDir: string, draft: Draft): string {
  const template = draft.config.session.store;
  if (template === undefined) return path.join(path.dirname(agentDir), "sessions");
  const place = resolveConfigPath(template.replaceAll("{agentId}", agentId), draft);
  return place.endsWith(".json") ? path.dirname(place) : place;
}

/** A path of the file: `~` is the home directory, the rest is relative to the directory of the file. */
export function resolveConfigPath(text: string, { paths }: Draft): string {
  return resolvePath(text, { homeDir: paths.homeDir, baseDir: path.dirname(paths.configPath) });
}
