/**
 * What an operator stops while it waits on the disk alone: the journal removes it in portions, and the kernel hears of each. No turn
 * of it begins meanwhile (`runtime/kernel/spill.ts`).
 */
import { toRefusal } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Effect } from "../kernel/state.ts";
import type { Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export interface DropsDeps {
  readonly store: Pick<Store, "dropQueued">;
  readonly kernel: () => Pick<Kernel, "dropped">;
  readonly onDeadLetter: () => void;
  readonly log: Logger;
  readonly nowMs: () => number;
}

export function makeDrops({ store, kernel, onDeadLetter, log, nowMs }: DropsDeps) {
  return (effect: Extract<Effect, { type: "drop-queued" }>): void => {
    store.dropQueued(effect, effect.limit, effect.reason).then(
      (result) => {
        if (result.headers.length > 0) onDeadLetter();
        kernel().dropped(effect, result, nowMs());
      },
      (error: unknown) => {
        log.error(
          { agent: effect.agentId, error: toRefusal(error) },
          "what was stopped could not be removed from the backlog; it ends when it is read",
        );
        kernel().dropped(effect, undefined, nowMs());
      },
    );
  };
}
