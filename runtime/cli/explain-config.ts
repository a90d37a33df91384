/**
 * What `tools.effective` would answer of a session in a gateway that starts with this config: told by the gateway's own method, which has of what only a
 * running one knows (the choices of sessions, runs of sub-agents, the names of MCP servers' tools) nothing here.
 */
import { compilePairings } from "../../auth/compile-pairings.ts";
import { mcpPrefix } from "../../auth/tool-names.ts";
import type { ResolvedConfig } from "../config/index.ts";
import { toolsOf } from "../kernel/tool-lists.ts";
import { isSubagentKey } from "../routing/index.ts";
import { makeLivePolicy } from "../supervisor/live-policy.ts";
import type { Params } from "../supervisor/method-handlers.ts";
import { makeTargets } from "../supervisor/method-targets.ts";
import { makeToolDesk } from "../supervisor/tools/tool-desk.ts";
import { makeExplainer } from "../supervisor/tools/tool-methods.ts";
import { makeProbe, type Probe } from "../tools/exec/probe.ts";

export type Asked = Params<"tools.effective">;

/** Throws as the method does. `probe`: of this machine; nothing is tidied for it. */
export async function explainConfig(
  config: ResolvedConfig,
  asked: Asked,
  probe: Pick<Probe, "state"> = makeProbe({ tidies: false }),
): Promise<object> {
  const agents = new Map(config.agents.map((agent) => [agent.id, agent]));
  const isAgent = (agentId: string): boolean => agents.has(agentId);
  const pairings = compilePairings(
    makeLivePolicy(config, () => []),
    isAgent,
  );
  const mcp = {
    ready: () => Promise.resolve(),
    patternsOf: () => config.mcp.rules.map(({ server }) => `${mcpPrefix(server)}*`).toSorted(),
  };
  const desk = makeToolDesk({
    config,
    agents,
    tools: () => ({}),
    mcp: { ...mcp, isKnown: () => true, namesOf: () => [], specOf: () => undefined },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const explain = makeExplainer(
    {
      config,
      agents,
      kernel: () => ({
        toolsHeldBy: (agentId, sessionKey) =>
          isSubagentKey(sessionKey) ? [] : pairings.of(`agent:${agentId}`).flatMap(toolsOf),
      }),
      store: { session: () => Promise.resolve(undefined) },
    },
    desk,
    { mcp, commands: { probe: (wanted) => probe.state(wanted) } },
  );
  return explain(makeTargets(config, isAgent))(asked);
}

const silent = (): void => undefined;
