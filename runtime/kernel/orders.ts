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
import { hasCell, pump, stopIfEmpty } from "./dispatch.ts";
import type { AgentEntry, KernelState } from "./state.ts";
import { refuseWaitsForParked } from "./waits.ts";

export type AgentOrder = { readonly type: "restart" } | { readonly type: "park"; readonly reason: string };

/** False when there is nothing to do it to: no such agent, a disabled one, or a parked one that is told to restart. */
export function giveOrder(k: KernelState, agentId: string, order: AgentOrder, nowMs: number): boolean {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.disabled !== undefined) return false;
  if (agent.phase === "parked" && order.type === "restart") return false;
  k.emit({
    type: "audit",
    event: "order",
    subject: "operator",
    object: `agent:${agentId}`,
    decision: "noted",
    detail: order.type === "park" ? `park: ${order.reason}` : order.type,
  });
  agent.order = { ...order, untilMs: nowMs + k.settings.limits.agentStopMs };
  if (hasCell(agent)) stopIfEmpty(k, agent);
  else obey(k, agent, nowMs);
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  return true;
}

/** The agent has no cell: what was ordered takes effect. */
export function obey(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const { order } = agent;
  if (order === undefined) return;
  agent.order = undefined;
  agent.crashTimes = [];
  if (order.type === "restart") {
    agent.phase = "dormant";
    agent.reason = undefined;
    agent.notBeforeMs = nowMs;
    return;
  }
  agent.phase = "parked";
  agent.reason = order.reason;
  k.wanting.delete(agent.spec.id);
  k.wantingCells.delete(agent.spec.id);
  refuseWaitsForParked(k, agent);
}

/** Puts a parked agent back into service, or takes back the order that would park it; its mail goes on. */
export function unpark(k: KernelState, agentId: string, nowMs: number): boolean {
  const agent = k.agents.get(agentId);
  if (agent === undefined || (agent.phase !== "parked" && agent.order?.type !== "park")) return false;
  agent.order = undefined;
  if (agent.phase === "parked") {
    agent.phase = "dormant";
    agent.crashTimes = [];
    agent.reason = undefined;
    agent.notBeforeMs = nowMs;
  }
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  return true;
}
