/**
 * Mail that waits on the disk alone, as the kernel asks for it (`runtime/kernel/spill.ts`): the oldest of it is read into memory; what an
 * operator stops is removed from the journal, in portions, and no turn of it begins meanwhile.
 */
import { toRefusal } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Effect } from "../kernel/state.ts";
import type { Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export interface BacklogsDeps {
  readonly store: Pick<Store, "queued" | "dropQueued">;
  readonly kernel: () => Pick<Kernel, "refilled" | "dropped">;
  readonly onDeadLetter: () => void;
  readonly log: Logger;
  readonly nowMs: () => number;
}

export function makeBacklogs({ store, kernel, onDeadLetter, log, nowMs }: BacklogsDeps) {
  return {
    refill(effect: Extract<Effect, { type: "refill" }>): void {
      store.queued(effect, effect.limit).then(
        (rows) => kernel().refilled(effect, rows, nowMs()),
        (error: unknown) => {
          log.error(
            { agent: effect.agentId, error: toRefusal(error) },
            "the backlog of an agent could not be read; it is tried again",
          );
          kernel().refilled(effect, undefined, nowMs());
        },
      );
    },
    drop(effect: Extract<Effect, { type: "drop-queued" }>): void {
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
    },
  };
}
