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
  const spec: { -readonly [K in keyof AgentSpec]: AgentSpec[K] } = {
    id: agent.id,
    maxConcurrent: agent.maxConcurrent,
    mailbox: agent.mailbox,
    clamp: clamped === "off" ? "none" : clamped,
    supervision: agent.supervision,
  };
  // Most agents have none of these, and an object that is put together from others has room for all of them.
  if (agent.lanes !== undefined) spec.lanes = agent.lanes;
  if (agent.weight !== undefined) spec.weight = agent.weight;
  if (clamped === "non-main") spec.mainSessionKey = mainSessionKey(agent.id, config.session);
  if (parked !== undefined) spec.parked = parked;
  if (agent.group !== undefined) spec.group = agent.group;
  return spec;
}
