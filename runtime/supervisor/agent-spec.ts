/** What the kernel has to know of a configured agent. */
import { type Policy, sessionToolsOf } from "../../auth/policy.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import type { AgentSpec } from "../kernel/state.ts";
import { mainSessionKey } from "../routing/index.ts";

export function specOf(
  agent: ResolvedAgent,
  config: ResolvedConfig,
  policy: Policy,
  parked: string | undefined,
): AgentSpec {
  const clamped = sessionToolsOf(policy, agent.id).value === "spawned" ? agent.sandboxMode : "off";
  return {
    id: agent.id,
    maxConcurrent: agent.maxConcurrent,
    ...(agent.lanes === undefined ? {} : { lanes: agent.lanes }),
    ...(agent.weight === undefined ? {} : { weight: agent.weight }),
    mailbox: agent.mailbox,
    clamp: clamped === "off" ? "none" : clamped,
    ...(clamped === "non-main" ? { mainSessionKey: mainSessionKey(agent.id, config.session) } : {}),
    ...(parked === undefined ? {} : { parked }),
    supervision: agent.supervision,
    ...(agent.group === undefined ? {} : { group: agent.group }),
  };
}
