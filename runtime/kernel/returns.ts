/**
 * An agent that was out of service because its cell could not be prepared or its module not be loaded comes back: somebody has repaired it, and an
 * operator or the configuration says so. Its mail waits in the journal alone; nobody could add to it meanwhile, since such an agent refuses.
 * One that an operator has stopped comes back parked: the repair of its module takes back no order.
 *
 *   in service ──disable──► out of service ──(no cell, no turn, nothing in hand)──► its mail is counted ──► in service, with a backlog
 */
import { hasCell, pump, staysLive } from "./dispatch.ts";
import { forgetCrashes } from "./orders.ts";
import { restoreBacklog } from "./spill.ts";
import type { AgentEntry, KernelState } from "./state.ts";

/** What the journal has of it, and what of that was stopped. */
export type LeftMail = Omit<Parameters<typeof restoreBacklog>[1], "agentId">;

/** Whether it is out of service and nothing of it is under way: what the journal has then stays as it is until it is back. */
export function mayReturn(k: KernelState, agentId: string): boolean {
  return findOut(k, agentId) !== undefined;
}

function findOut(k: KernelState, agentId: string): AgentEntry | undefined {
  const agent = k.agents.get(agentId);
  if (agent?.disabled === undefined || agent.leaving !== undefined) return undefined;
  return hasCell(agent) || agent.depth > 0 || agent.turns.size > 0 ? undefined : agent;
}

/** False: it may not, or no more. Whether it works now, its next cell says. */
export function returnToService(k: KernelState, agentId: string, left: LeftMail, nowMs: number): boolean {
  const agent = findOut(k, agentId);
  if (agent === undefined) return false;
  k.emit({
    type: "audit",
    event: "order",
    subject: "operator",
    object: `agent:${agentId}`,
    decision: "noted",
    detail: `back in service; it was disabled: ${agent.disabled}`,
  });
  agent.disabled = undefined;
  if (agent.phase !== "parked") {
    agent.order = undefined;
    agent.phase = "dormant";
    agent.reason = undefined;
  }
  agent.notBeforeMs = nowMs;
  forgetCrashes(agent);
  if (left.count > 0) restoreBacklog(k, { agentId, ...left });
  if (staysLive(agent)) k.astir.add(agent);
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  return true;
}

/** Why it is out of service, as operators see it. */
export function reasonOf({ disabled, phase, reason }: AgentEntry): string | undefined {
  if (disabled === undefined) return reason;
  return phase === "parked" && reason !== undefined
    ? `${disabled}; when it is repaired it stays parked: ${reason}`
    : disabled;
}
