/** What the rest of the kernel notes of a sub-agent's run; what follows from it is decided at the end of the event (`run-ends.ts`). */
import type { Outcome } from "./envelope.ts";
import type { AgentEntry, KernelState } from "./state.ts";

/** Something of the run has ended: it may have nothing left to do. */
export function noteRun(k: KernelState, entry: AgentEntry): void {
  if (entry.run !== undefined) k.unsettled.add(entry);
}

/** A turn of the run has ended, with this outcome; one that waits for its children has no result of its own. */
export function noteRunTurn(k: KernelState, entry: AgentEntry, outcome: Outcome, hasYielded: boolean): void {
  const { run } = entry;
  if (run === undefined) return;
  k.unsettled.add(entry);
  if (run.end !== undefined) return;
  // Who goes on in its session can say it anew; without a first answer there is nothing to go on from.
  if (outcome.status === "error" && run.stays && run.result !== undefined) return;
  if (outcome.status === "error") run.end = { outcome: "failed", code: outcome.code, detail: outcome.message };
  else if (outcome.status === "ok" && !hasYielded) run.result = outcome.text;
}
