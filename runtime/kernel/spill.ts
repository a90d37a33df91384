/**
 * Mail that waits on the disk alone. Beyond the bound of a mailbox that spills, an envelope is journaled and counted, and the
 * kernel forgets it; when half of the places in memory are free, the oldest are read again (`room.ts`). While there is a
 * backlog, everything new goes behind it, so that no session's order is touched: the journal's order is the order of arrival.
 * A backlog that a restart finds is handled the same way, whatever the policy is.
 */
import { policyOf, release } from "./depth.ts";
import type { EnvelopeHeader } from "./envelope.ts";
import type { AgentEntry, KernelState, Spill } from "./state.ts";

/** Whether stored mail, whose place is taken already, has to wait on the disk. */
export function mustSpill(k: KernelState, agent: AgentEntry): boolean {
  if (agent.disabled !== undefined) return false;
  const { overflow, depthMax } = policyOf(k, agent);
  return agent.spill !== undefined || (overflow === "spill" && agent.depth - agent.appending > depthMax);
}

export function spill(k: KernelState, agent: AgentEntry, header: EnvelopeHeader, seq: number): void {
  release(agent, header.sessionKey);
  if (agent.spill === undefined) openSpill(k, agent, { after: seq - 1, until: seq, count: 1 });
  else {
    agent.spill.until = seq;
    agent.spill.count++;
  }
  k.emit({ type: "spilled", header });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** At boot: what the journal has beyond what `restore` was given. */
export function restoreBacklog(
  k: KernelState,
  { agentId, ...found }: Pick<Spill, "after" | "until" | "count"> & { readonly agentId: string },
): void {
  const agent = k.agents.get(agentId);
  if (agent !== undefined && agent.disabled === undefined) openSpill(k, agent, found);
}

function openSpill(k: KernelState, agent: AgentEntry, found: Pick<Spill, "after" | "until" | "count">): void {
  agent.spill = { ...found, isReading: false, notBeforeMs: 0, stopped: new Map() };
  k.astir.add(agent);
  k.roomy.add(agent);
}

/** An operator stops a session, a run or all: what of it lies on the disk ends when it is read. In memory, as the order itself is. */
export function stopSpilled(
  k: KernelState,
  agent: AgentEntry,
  sessionKey: string | undefined,
  runId: string | undefined,
): void {
  if (agent.spill === undefined) return;
  const { stopped, until } = agent.spill;
  stopped.delete(stopKey(sessionKey, runId));
  for (const oldest of stopped.keys()) {
    if (stopped.size < k.settings.limits.spillStopsMax) break;
    stopped.delete(oldest);
  }
  stopped.set(stopKey(sessionKey, runId), { until });
}

export function isStopped({ stopped }: Spill, { sessionKey, runId }: EnvelopeHeader, seq: number): boolean {
  if (stopped.size === 0) return false;
  const keys = [stopKey(undefined, undefined), stopKey(undefined, runId), stopKey(sessionKey, undefined)];
  return [...keys, stopKey(sessionKey, runId)].some((key) => (stopped.get(key)?.until ?? 0) >= seq);
}

function stopKey(sessionKey: string | undefined, runId: string | undefined): string {
  return JSON.stringify([sessionKey ?? null, runId ?? null]);
}
