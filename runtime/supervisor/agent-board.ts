/**
 * The agents as operators see them, live: changes are gathered for a moment, so that a busy gateway does not tell each turn's
 * beginning and end to every page.
 */
import type { AgentStatus } from "../edge/port.ts";
import type { AgentView } from "../kernel/kernel.ts";

const gatherMs = 50;

type Fixed = Pick<AgentStatus, "agentId" | "name" | "isDefault" | "module" | "workspace" | "mainSessionKey">;

export interface AgentBoard {
  changed(agentId: string): void;
  all(): readonly AgentStatus[];
  close(): void;
}

export function makeAgentBoard(
  fixed: readonly Fixed[],
  viewOf: (agentId: string) => AgentView | undefined,
  tell: (agents: readonly AgentStatus[]) => void,
): AgentBoard {
  const byId = new Map(fixed.map((agent) => [agent.agentId, agent]));
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const status = (agent: Fixed): AgentStatus => {
    const view = viewOf(agent.agentId);
    return {
      ...agent,
      phase: view?.phase ?? "dormant",
      ...(view?.reason === undefined ? {} : { reason: view.reason }),
      activeRuns: view?.activeRuns ?? 0,
      queueDepth: view?.queueDepth ?? 0,
      restarts: view?.restarts ?? 0,
      ...(view === undefined || view.lastActivityMs === 0 ? {} : { lastActivityAtMs: view.lastActivityMs }),
    };
  };

  return {
    changed(agentId) {
      changed.add(agentId);
      timer ??= setTimeout(() => {
        timer = undefined;
        const agents = [...changed].flatMap((id) => byId.get(id) ?? []);
        changed.clear();
        tell(agents.map(status));
      }, gatherMs);
    },
    all: () => fixed.map(status),
    close: () => clearTimeout(timer),
  };
}
