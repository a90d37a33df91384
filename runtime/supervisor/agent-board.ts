/**
 * The agents as operators see them, live: changes are gathered for a moment, so that a busy gateway does not tell each turn's
 * beginning and end to every page.
 */
import type { ResolvedAgent, ResolvedConfig } from "../config/index.ts";
import type { AgentStatus } from "../edge/port.ts";
import type { AgentView } from "../kernel/kernel.ts";
import { mainSessionKey } from "../routing/index.ts";

const gatherMs = 50;

export interface AgentBoard {
  changed(agentId: string): void;
  all(): readonly AgentStatus[];
  close(): void;
}

export function makeAgentBoard(
  config: Pick<ResolvedConfig, "agents" | "session">,
  viewOf: (agentId: string) => AgentView | undefined,
  tell: (agents: readonly AgentStatus[]) => void,
): AgentBoard {
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const status = ({ id, name, isDefault, module, workspace }: ResolvedAgent): AgentStatus => {
    const view = viewOf(id);
    return {
      agentId: id,
      name,
      isDefault,
      module,
      workspace,
      mainSessionKey: mainSessionKey(id, config.session),
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
        const agents = config.agents.filter(({ id }) => changed.has(id));
        changed.clear();
        tell(agents.map(status));
      }, gatherMs);
    },
    all: () => config.agents.map(status),
    close: () => clearTimeout(timer),
  };
}
