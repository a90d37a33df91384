/** Carries out the part of a plan that the kernel holds: in one step, so that no message meets half of it. */
import { grantPairings } from "../../auth/compile-pairings.ts";
import type { OperatorGrant, Policy } from "../../auth/policy.ts";
import type { ConfigPlan, ResolvedConfig } from "../config/index.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PairingRegistry } from "../kernel/pairings.ts";
import { specOf } from "./agent-spec.ts";

export interface RosterParts {
  readonly kernel: Pick<Kernel, "addAgent" | "changeAgent" | "removeAgent" | "restate" | "grant" | "revoke">;
  readonly pairings: Pick<PairingRegistry, "isLive" | "of">;
  /** Of `config`, which is in force already. */
  readonly policy: Policy;
  readonly config: ResolvedConfig;
  /** Why an operator has taken an agent out of service. */
  readonly parked: ReadonlyMap<string, string>;
}

export function changeRoster({ agents }: ConfigPlan, parts: RosterParts, nowMs: number): void {
  const { kernel, policy, config, parked } = parts;
  const spec = (agent: ResolvedConfig["agents"][number]) => specOf(agent, config, policy, parked.get(agent.id));
  for (const agentId of agents.removed) kernel.removeAgent(agentId, nowMs);
  // The operator's rights first: a permanent agent starts its cell at once, with the slots that it has then.
  for (const { id } of agents.added) regrant(policy.operator ?? [], id, parts, nowMs);
  for (const agent of agents.added) kernel.addAgent(spec(agent), nowMs);
  for (const agent of agents.changed) kernel.changeAgent(spec(agent), false, nowMs);
  for (const agent of agents.renewed) kernel.changeAgent(spec(agent), true, nowMs);
  kernel.restate(config.lanes, nowMs);
}

/** One that is back before it was gone may hold what was revoked meanwhile. */
function regrant(grants: readonly OperatorGrant[], agentId: string, parts: RosterParts, nowMs: number): void {
  const { kernel, pairings } = parts;
  const granted = grants.flatMap((row) => grantPairings(row, [agentId]));
  const ids = new Set(granted.map(({ id }) => id));
  const held = pairings.of(`agent:${agentId}`).filter(({ origin }) => origin === "operator");
  for (const { id } of held) if (!ids.has(id)) kernel.revoke(id, nowMs);
  for (const pairing of granted) if (!pairings.isLive(pairing.id)) kernel.grant(pairing, nowMs);
}
