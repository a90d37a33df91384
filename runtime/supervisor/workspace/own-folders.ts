/** The folders that are an agent's alone. Pure. */
import { isInside, type ResolvedAgent, type ResolvedConfig } from "../../config/index.ts";

export type AgentFolders = Readonly<Record<"workspace" | "agentDir" | "sessionsDir", string>>;

const foldersOf = ({ workspace, agentDir, sessionsDir }: ResolvedAgent): AgentFolders => ({
  workspace,
  agentDir,
  sessionsDir,
});

/** Without those that hold something of another agent, lie in a folder of one, or hold the state directory. */
export function ownFolders(
  agent: ResolvedAgent,
  { agents, stateDir }: Pick<ResolvedConfig, "agents" | "stateDir">,
): Partial<AgentFolders> {
  const kept = agents.filter(({ id }) => id !== agent.id).flatMap((other) => Object.values(foldersOf(other)));
  const own = Object.entries(foldersOf(agent)).filter(
    ([, place]) =>
      !kept.some((other) => isInside(other, place) || isInside(place, other)) && !isInside(stateDir, place),
  );
  return Object.fromEntries(own);
}
