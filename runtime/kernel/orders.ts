/**
 * What an operator orders of one agent, and when it is carried out.
 *
 *   restart   its turns end, its cell ends, and the next mail starts a new one; earlier crashes are forgotten
 *   park      its turns end, its cell ends, its mail is taken and waits until the agent is started again; `stop` is park
 *             without a cause
 *
 * While an order waits for turns, only those begin that somebody waits for, as in a drain. After `limits.agentStopMs` the cell
 * is ended all the same; what it had goes back to the head of its lane, as after every orderly end. The store keeps the order to
 * park beside the agent (`AgentSpec.parked`), so that it outlives the gateway; parking for crashes does not: as with a supervisor
 * of OTP that is started again, the children begin anew.
 */
import { agentOfKey } from "./agent-of-key.ts";
import { hasCell, pump, stopIfEmpty } from "./dispatch.ts";
import { wantsNoPlace } from "./places.ts";
import { tellDown } from "./signals.ts";
import { cancelRunsOf } from "./run-ends.ts";
import type { AgentEntry, KernelState } from "./state.ts";
import { refuseWaitsForParked } from "./waits.ts";

export type AgentOrder =
  /** `keepsCrashes`: it is not an operator's, so that earlier crashes still count. */
  { readonly type: "restart"; readonly keepsCrashes?: true } | { readonly type: "park"; readonly reason: string };

/**
 * False when there is nothing to do it to: no such agent, or a parked or disabled one that is told to restart. A disabled one that is told to
 * park takes no mail as before, and is parked when it is repaired.
 */
export function giveOrder(k: KernelState, agentId: string, order: AgentOrder, nowMs: number): boolean {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.leaving !== undefined) return false;
  if (order.type === "restart" && (agent.phase === "parked" || agent.disabled !== undefined)) return false;
  placeOrder(k, agent, order, "operator", order.type === "park" ? `park: ${order.reason}` : order.type, nowMs);
  return true;
}

/** The order of an operator, or of what the agent's group demands (`supervision.ts`). */
export function placeOrder(
  k: KernelState,
  agent: AgentEntry,
  order: AgentOrder,
  subject: string,
  detail: string,
  nowMs: number,
): void {
  const agentId = agent.spec.id;
  k.emit({ type: "audit", event: "order", subject, object: `agent:${agentId}`, decision: "noted", detail });
  agent.order = { ...order, untilMs: nowMs + agent.spec.supervision.shutdownMs };
  if (order.type === "park") {
    for (const [sessionKey] of k.children)
      if (agentOfKey(sessionKey) === agentId) cancelRunsOf(k, sessionKey, undefined, order.reason, nowMs);
  }
  if (hasCell(agent)) stopIfEmpty(k, agent);
  else obey(k, agent, nowMs);
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
}

/** The agent has no cell: what was ordered takes effect. */
export function obey(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const { order } = agent;
  if (order === undefined) return;
  agent.order = undefined;
  // It ended too often itself while its group's restart waited for its turns: that parked it, and it stays so.
  if (order.type === "restart" && order.keepsCrashes !== undefined && agent.phase === "parked") return;
  if (order.type === "park" || order.keepsCrashes === undefined) forgetCrashes(agent);
  if (order.type === "restart") {
    agent.phase = "dormant";
    agent.reason = undefined;
    if (order.keepsCrashes === undefined) agent.notBeforeMs = nowMs;
    return;
  }
  agent.phase = "parked";
  agent.reason = order.reason;
  wantsNoPlace(k, agent);
  k.wantingCells.delete(agent.spec.id);
  tellDown(k, agent, "parked", order.reason);
  refuseWaitsForParked(k, agent);
}

/**
 * Puts a parked agent back into service, or takes back the order that would park it; its mail goes on. False when it still is out of service:
 * of a disabled agent the order alone is taken back.
 */
export function unpark(k: KernelState, agentId: string, nowMs: number): boolean {
  const agent = k.agents.get(agentId);
  if (agent === undefined || (agent.phase !== "parked" && agent.order?.type !== "park")) return false;
  agent.order = undefined;
  if (agent.phase === "parked") {
    agent.phase = "dormant";
    forgetCrashes(agent);
    agent.reason = undefined;
    agent.notBeforeMs = nowMs;
  }
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  return agent.disabled === undefined;
}

/** The abnormal ends no longer count: an operator has taken the agent in hand. */
export function forgetCrashes(agent: AgentEntry): void {
  agent.crashTimes = [];
  agent.crashStreak = 0;
}
