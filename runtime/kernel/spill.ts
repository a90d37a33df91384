/**
 * Mail that waits on the disk alone. Beyond the bound of a mailbox that spills, an envelope is journaled and counted, and the
 * kernel forgets it; when half of the places in memory are free, the oldest are read again (`room.ts`). While there is a
 * backlog, everything new goes behind it, so that no session's order is touched: the journal's order is the order of arrival.
 * A backlog that a restart finds is handled the same way, whatever the policy is.
 */
import { policyOf, release } from "./depth.ts";
import type { BacklogStop, EnvelopeHeader } from "./envelope.ts";
import type { AgentEntry, Effect, KernelState, Spill } from "./state.ts";
import { aborted, abortedReason } from "./turns.ts";
import { answer } from "./waits.ts";

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

/** At boot: what the journal has beyond what `restore` was given, and what of it was stopped. */
export function restoreBacklog(
  k: KernelState,
  {
    agentId,
    stops = [],
    ...found
  }: Pick<Spill, "after" | "until" | "count"> & { readonly agentId: string; readonly stops?: readonly BacklogStop[] },
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.disabled !== undefined) return;
  openSpill(k, agent, found);
  for (const stop of stops) if (stop.agentId === agentId) note(k, agent, stop);
}

function openSpill(k: KernelState, agent: AgentEntry, found: Pick<Spill, "after" | "until" | "count">): void {
  agent.spill = { ...found, isReading: false, notBeforeMs: 0, stopped: new Map(), drops: 0, gone: new Set() };
  k.astir.add(agent);
  k.roomy.add(agent);
}

/**
 * An operator stops a session, a run or all: what of it lies on the disk is removed there, at once. What is read before the journal has
 * done so ends as it is read; so it does when the journal could not. Gives what has to be kept, so that a restart in between does not
 * forget it; undefined when nothing lies there.
 */
export function stopSpilled(
  k: KernelState,
  agent: AgentEntry,
  sessionKey: string | undefined,
  runId: string | undefined,
  nowMs: number,
): BacklogStop | undefined {
  if (agent.spill === undefined) return undefined;
  const stop: BacklogStop = {
    agentId: agent.spec.id,
    ...(sessionKey === undefined ? {} : { sessionKey }),
    ...(runId === undefined ? {} : { runId }),
    until: agent.spill.until,
    atMs: nowMs,
  };
  note(k, agent, stop);
  const number = k.nextDrop++;
  k.drops.set(number, agent.spill);
  agent.spill.drops++;
  k.emit({
    type: "drop-queued",
    number,
    agentId: agent.spec.id,
    sessionKey,
    runId,
    after: agent.spill.after,
    until: agent.spill.until,
    limit: k.settings.limits.dropRowsMax,
    reason: abortedReason,
  });
  return stop;
}

function note(k: KernelState, { spill: found }: AgentEntry, { sessionKey, runId, until }: BacklogStop): void {
  const stopped = found?.stopped ?? new Map<string, number>();
  const key = stopKey(sessionKey, runId);
  stopped.delete(key);
  for (const oldest of stopped.keys()) {
    if (stopped.size < k.settings.limits.spillStopsMax) break;
    stopped.delete(oldest);
  }
  stopped.set(key, until);
}

export interface Dropped {
  /** Those that were removed. */
  readonly headers: readonly EnvelopeHeader[];
  /** Where the next look begins; undefined: all was looked at. */
  readonly next: number | undefined;
}

export function dropped(
  k: KernelState,
  effect: Extract<Effect, { type: "drop-queued" }>,
  result: Dropped | undefined,
): void {
  const { number, agentId, sessionKey, runId } = effect;
  const backlog = k.drops.get(number);
  if (backlog === undefined) return;
  for (const header of result?.headers ?? []) {
    if (backlog.gone.delete(header.id)) continue;
    if (backlog.isReading) backlog.gone.add(header.id);
    backlog.count--;
    k.emit({ type: "unspilled", header });
    answer(k, header.id, aborted);
    k.emit({ type: "ended", header, seq: 1, outcome: aborted, aborted: true });
  }
  if (result !== undefined && result.headers.length > 0) k.emit({ type: "agent-changed", agentId });
  // Behind what was removed nothing may be left; what is being read is not known to be.
  if (result?.next !== undefined && (backlog.count > 0 || backlog.isReading)) {
    k.emit({ ...effect, after: result.next });
    return;
  }
  k.drops.delete(number);
  backlog.drops--;
  // A later order of the same kind has one of its own.
  const key = stopKey(sessionKey, runId);
  if (result !== undefined && backlog.stopped.get(key) === effect.until) backlog.stopped.delete(key);
  const agent = k.agents.get(agentId);
  if (agent?.spill === backlog) closeSpill(agent, backlog);
  else forgetGone(backlog);
}

/** Ends a backlog of which nothing is left. */
export function closeSpill(agent: AgentEntry, backlog: Spill): void {
  const { isReading, count, after, until } = backlog;
  if (!isReading && (count <= 0 || after >= until)) agent.spill = undefined;
  forgetGone(backlog);
}

function forgetGone({ isReading, drops, gone }: Spill): void {
  if (!isReading && drops === 0) gone.clear();
}

export function isStopped({ stopped }: Spill, { sessionKey, runId }: EnvelopeHeader, seq: number): boolean {
  if (stopped.size === 0) return false;
  const keys = [stopKey(undefined, undefined), stopKey(undefined, runId), stopKey(sessionKey, undefined)];
  return [...keys, stopKey(sessionKey, runId)].some((key) => (stopped.get(key) ?? 0) >= seq);
}

/**
 * Whether one of the stops, which an earlier process was given, means this envelope. The numbers of a journal that was empty once
 * may begin anew, so that the time counts as well.
 */
export function wasStoppedBefore(stops: readonly BacklogStop[], header: EnvelopeHeader, seq: number): boolean {
  return stops.some(
    ({ agentId, sessionKey, runId, until, atMs }) =>
      agentId === header.agentId &&
      seq <= until &&
      header.acceptedAtMs <= atMs &&
      (sessionKey ?? header.sessionKey) === header.sessionKey &&
      (runId ?? header.runId) === header.runId,
  );
}

function stopKey(sessionKey: string | undefined, runId: string | undefined): string {
  return JSON.stringify([sessionKey ?? null, runId ?? null]);
}
