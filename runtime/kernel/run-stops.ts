/** A stop (`stops.ts`) with the sub-agents that it means. */
import { cancelRun, isBelow } from "./run-ends.ts";
import type { RunRow } from "./run-rows.ts";
import type { KernelState } from "./state.ts";
import { stop, type Stopped, type StopScope, tracesOf } from "./stops.ts";

export function stopWithRuns(k: KernelState, scope: StopScope, subject: string, nowMs: number): Stopped {
  // Asked before anything ends: what a run caused is found by what waits.
  const isMeant = meansRun(k, scope);
  const stopped = stop(k, scope, subject, nowMs);
  const runs = stopRuns(k, isMeant, nowMs);
  return {
    ...stopped,
    queued: [...stopped.queued, ...runs.queued],
    active: [...stopped.active, ...runs.active],
    subagents: runs.queued.length + runs.active.length,
  };
}

/** What the session started, with all that came of it, and is not over: its end may not even be decided. */
export function unfinishedBelow(k: KernelState, sessionKey: string): number {
  let count = 0;
  for (const { run } of k.runs.values()) if (run !== undefined && isBelow(k, run.row, sessionKey, undefined)) count++;
  return count;
}

/**
 * Ends the runs that a stop means (`stops.ts`). Only who asked for a run that is stopped by itself is told of it. Gives the ids of
 * those that had a place, and of those that waited for one: of everything that ended, also below the runs that were meant.
 */
function stopRuns(
  k: KernelState,
  isMeant: (run: RunRow) => "itself" | "with others" | "no",
  nowMs: number,
): { readonly active: readonly string[]; readonly queued: readonly string[] } {
  const going = [...k.runs.values()].flatMap(({ run }) => (run === undefined || run.end !== undefined ? [] : [run]));
  for (const entry of k.runs.values()) {
    const { run } = entry;
    const meant = run === undefined ? "no" : isMeant(run.row);
    if (run === undefined || meant === "no") continue;
    const unheard = meant === "itself" ? {} : { isUnheard: true as const };
    cancelRun(k, entry, { outcome: "cancelled", detail: "the operator stopped it", ...unheard }, nowMs);
  }
  const ended = going.filter(({ end }) => end !== undefined);
  return {
    active: ended.filter(({ startedAtMs }) => startedAtMs !== undefined).map(({ row }) => row.id),
    queued: ended.filter(({ startedAtMs }) => startedAtMs === undefined).map(({ row }) => row.id),
  };
}

/** A sub-agent's run goes with its session, its run or its agent, and with those of whoever asked for it. */
function meansRun(k: KernelState, scope: StopScope): (run: RunRow) => "itself" | "with others" | "no" {
  if (scope.type === "all") return () => "with others";
  if (scope.type === "agent")
    return ({ agentId, ownerAgentId }) =>
      agentId === scope.agentId || ownerAgentId === scope.agentId ? "with others" : "no";
  const traces = scope.type === "run" ? tracesOf(k, scope.runId) : new Set<string>();
  return (run) => {
    if (scope.type === "session") {
      if (run.sessionKey === scope.sessionKey)
        return scope.runId === undefined || scope.runId === run.id ? "itself" : "no";
      return isBelow(k, run, scope.sessionKey, scope.runId) ? "with others" : "no";
    }
    if (run.id === scope.runId) return "itself";
    return run.requesterRunId === scope.runId || traces.has(run.trace) ? "with others" : "no";
  };
}
