/**
 * Agents that come, change and go while the gateway runs. Nobody else's turn is touched by it.
 *
 *   add      an entry; a permanent agent gets its cell
 *   change   counts from the next turn on. What is fixed when a cell starts (`renew`) lets the turns in flight end, then the cell, and
 *            the next mail starts a new one; mail stays in order meanwhile
 *   remove   no new mail; what waits is a dead letter (`undeliverable`), as it is after a start without the agent; turns in flight
 *            may end for `supervision.shutdownMs`; then its cell ends, every right that it holds goes, and its entry (`agent-gone`)
 *
 *   in service ──remove──► leaving ──(turns, cell, appends and backlog are over)──► gone
 *        ▲                    │
 *        └────────add─────────┘
 */
import { makeEntry } from "./agent-entry.ts";
import { agentOfKey } from "./agent-of-key.ts";
import type { AgentSpec } from "./agent-spec.ts";
import { hasCell, pump, pumpWanting, staysLive, stopIfEmpty } from "./dispatch.ts";
import { boundsChanged, wantsNoPlace } from "./places.ts";
import { forgetCrashes, placeOrder } from "./orders.ts";
import { forgetRights } from "./rights.ts";
import { cancelRun, cancelRunsOf, dropEntry } from "./run-ends.ts";
import { tellDown } from "./signals.ts";
import type { AgentEntry, AuditEffect, KernelState } from "./state.ts";
import { refuseCrowd } from "./stops.ts";
import { endLeft } from "./turns.ts";
import { unknownAgent } from "./unknown-agent.ts";

/** One that is leaving stays, with a new cell; what was refused meanwhile stays refused. */
export function addAgent(k: KernelState, spec: AgentSpec, nowMs: number): void {
  const leaving = k.agents.get(spec.id);
  const agent = leaving ?? makeEntry(spec);
  agent.leaving = undefined;
  agent.spec = spec;
  k.leaving.delete(agent);
  k.agents.set(agent);
  if (spec.parked !== undefined && leaving !== undefined)
    placeOrder(k, agent, { type: "park", reason: spec.parked }, "config", "added again", nowMs);
  note(k, "agent_added", spec.id, leaving === undefined ? "new" : "before it was gone");
  k.emit({ type: "agent-changed", agentId: spec.id });
  if (!staysLive(agent)) return;
  k.astir.add(agent);
  pump(k, agent, nowMs);
}

/** `renew`: what its cell was started with has changed; earlier crashes are those of another agent, so to speak. */
export function changeAgent(k: KernelState, spec: AgentSpec, renew: boolean, nowMs: number): void {
  const agent = k.agents.get(spec.id);
  if (agent === undefined || agent.leaving !== undefined) return;
  const wasStill = staysLive(agent);
  agent.spec = spec;
  boundsChanged(k, spec.id);
  // What an operator has ordered stands; so does its reason.
  const isCrashed = agent.phase === "parked" && agent.crashTimes.length > 0;
  if (renew && (hasCell(agent) || isCrashed) && agent.order === undefined) {
    if (isCrashed) forgetCrashes(agent);
    placeOrder(k, agent, { type: "restart" }, "config", "restart: its configuration changed", nowMs);
  }
  note(k, "agent_changed", spec.id, renew ? "from its next cell on" : "from its next turn on");
  k.emit({ type: "agent-changed", agentId: spec.id });
  if (!wasStill && staysLive(agent)) k.astir.add(agent);
  // Its runs as well, where it has more places now.
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
}

export function removeAgent(k: KernelState, agentId: string, nowMs: number): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.run !== undefined || agent.leaving !== undefined) return;
  const reason = `the agent ${agentId} was removed from the configuration`;
  agent.leaving = reason;
  k.leaving.add(agent);
  k.astir.add(agent);
  for (const ready of agent.ready.values()) ready.clear();
  wantsNoPlace(k, agent);
  k.wantingCells.delete(agentId);
  for (const lane of agent.lanes.values()) {
    for (const mail of lane.queue.splice(0)) endLeft(k, agent, mail);
    if (lane.running === undefined) agent.lanes.delete(lane.key);
  }
  refuseCrowd(k, agent, unknownAgent(agentId));
  // What lies on the disk ends as it is read.
  if (agent.spill !== undefined) k.roomy.add(agent);
  for (const [sessionKey] of k.children)
    if (agentOfKey(sessionKey) === agentId) cancelRunsOf(k, sessionKey, undefined, reason, nowMs);
  for (const entry of k.runs.values())
    if (entry.run?.row.agentId === agentId)
      cancelRun(k, entry, { outcome: "failed", code: "CLOISTER_AGENT_UNKNOWN", detail: reason }, nowMs);
  tellDown(k, agent, "shutdown", reason);
  // Carried out like any other restart, except that nothing starts it again.
  agent.order = { type: "restart", untilMs: nowMs + agent.spec.supervision.shutdownMs };
  stopIfEmpty(k, agent);
  k.emit({ type: "agent-changed", agentId });
}

/** Call it at the end of every event: who has nothing left to end is gone. */
export function settleLeaving(k: KernelState): void {
  for (const agent of k.leaving) {
    stopIfEmpty(k, agent);
    const isBusy = agent.turns.size > 0 || agent.depth > 0 || agent.spill !== undefined || agent.crowd !== undefined;
    if (hasCell(agent) || isBusy || ofRuns(k, agent)) continue;
    k.leaving.delete(agent);
    forgetRights(k, agent);
    dropEntry(k, agent);
    note(k, "agent_removed", agent.spec.id, agent.leaving ?? "");
    k.emit({ type: "agent-gone", agentId: agent.spec.id });
  }
}

/** Whether a run that works as the agent is not over: its cell needs the agent's place. */
function ofRuns(k: KernelState, { spec }: AgentEntry): boolean {
  for (const { run } of k.agents.made()) if (run?.row.agentId === spec.id) return true;
  return false;
}

function note(k: KernelState, event: AuditEffect["event"], agentId: string, detail: string): void {
  k.emit({ type: "audit", event, subject: "config", object: `agent:${agentId}`, decision: "noted", detail });
}
