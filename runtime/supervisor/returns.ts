/** Brings an agent back that was disabled: counts what the journal has for it, and tells the kernel. */
import { toRefusal } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";
import type { Runs } from "./runs.ts";

export interface ReturnsDeps {
  readonly kernel: Pick<Kernel, "mayReturn" | "returnToService" | "view">;
  readonly store: Pick<Store, "queued" | "stops">;
  readonly runs: Pick<Runs, "shelvedBefore">;
  readonly log: Pick<Logger, "error">;
  readonly nowMs: () => number;
}

export interface Returns {
  /**
   * Gives false when the agent is not disabled. While something of it is still ending, whoever asked is not lost: it comes back when that
   * has ended (`goOn`). Rejects when the journal cannot be read.
   */
  bringBack(agentId: string): Promise<boolean>;
  /** Brings back those that were asked for while something of them was ending. Called again and again. */
  goOn(): void;
}

export function makeReturns({ kernel, store, runs, log, nowMs }: ReturnsDeps): Returns {
  const wanted = new Set<string>();

  async function bringBack(agentId: string): Promise<boolean> {
    if (!kernel.mayReturn(agentId)) {
      if (kernel.view(agentId)?.phase !== "disabled") return false;
      wanted.add(agentId);
      return true;
    }
    wanted.delete(agentId);
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
  }

  return {
    bringBack,
    goOn() {
      for (const agentId of wanted) {
        // It came back otherwise, or was removed.
        if (kernel.view(agentId)?.phase !== "disabled") wanted.delete(agentId);
        else if (kernel.mayReturn(agentId))
          bringBack(agentId).catch((error: unknown) =>
            log.error(
              { agent: agentId, error: toRefusal(error) },
              "a disabled agent could not be brought back; cloister agents start",
            ),
          );
      }
    },
  };
}
