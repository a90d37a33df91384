/** A sub-agent's run and those above it, as far as they live. */
import type { LiveRun } from "./live-run.ts";
import type { AgentEntry, KernelState } from "./state.ts";

/** The nearest first. */
export function runsAbove(k: KernelState, lineage: readonly string[]): readonly AgentEntry[] {
  return lineage.map((key) => k.runs.get(key)).filter((entry) => entry !== undefined);
}

/** The run and those above it; none for an agent. */
export function treeOf(k: KernelState, entry: AgentEntry): readonly AgentEntry[] {
  return entry.run === undefined ? [] : [entry, ...runsAbove(k, entry.run.row.lineage)];
}

/**
 * The nearest whose budget of tokens or money is used up: the run, or one above it whose end is its end too. A run that is detached, or whose
 * requester is gone, outlives those above it.
 */
export function findSpent(k: KernelState, entry: AgentEntry): LiveRun | undefined {
  for (let at: AgentEntry | undefined = entry; at?.run !== undefined; ) {
    const { run }: AgentEntry = at;
    if (run?.end === undefined && (run?.left.tokens === 0 || run?.left.costNanos === 0)) return run;
    at = run === undefined || run.row.detached ? undefined : k.runs.get(run.row.requesterSessionKey);
  }
  return undefined;
}
