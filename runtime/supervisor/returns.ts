/** Brings an agent back that was disabled: counts what the journal has for it, and tells the kernel. */
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { Store } from "../store/port.ts";
import type { Runs } from "./runs.ts";

export interface ReturnsDeps {
  readonly kernel: Pick<Kernel, "mayReturn" | "returnToService">;
  readonly store: Pick<Store, "queued" | "stops">;
  readonly runs: Pick<Runs, "shelvedBefore">;
  readonly nowMs: () => number;
}

/** Gives false when the agent is not disabled, or something of it is still ending. Rejects when the journal cannot be read. */
export function makeReturns({ kernel, store, runs, nowMs }: ReturnsDeps): (agentId: string) => Promise<boolean> {
  return async (agentId) => {
    if (!kernel.mayReturn(agentId)) return false;
    const found = { after: 0, until: 0, count: 0 };
    const stops = await store.stops();
    const limit = limits.refillRowsMax;
    for (;;) {
      // The portions are counted and dropped: what is in memory is bounded by the mailbox.
      const rows = await store.queued({ agentId, after: found.until, until: Number.MAX_SAFE_INTEGER - 1 }, limit);
      found.count += rows.length;
      found.until = rows.at(-1)?.seq ?? found.until;
      if (rows.length < limit) break;
    }
    const isBack = kernel.returnToService(agentId, { ...found, stops }, nowMs());
    if (isBack) runs.shelvedBefore(found.count);
    return isBack;
  };
}
