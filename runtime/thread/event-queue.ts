/** Events between one writer that never waits and one reader that does. Bounded: a reader that falls behind is told so. */
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

export interface EventQueue<T> extends AsyncIterable<T> {
  push(event: T): void;
  /** Nothing follows. The reader gets what was pushed before, then the end, or the error. */
  end(error?: unknown): void;
}

export function makeEventQueue<T>(eventsMax: number = limits.clientEventsMax): EventQueue<T> {
  const waiting: T[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;

  return {
    push: (event) => {
      if (ended !== undefined) return;
      if (waiting.length >= eventsMax) {
        const message = `Reading events: ${eventsMax} are waiting, which is as many as this client keeps.`;
        ended = { error: failure("CLOISTER_MAILBOX_FULL", message, "Connect again.") };
      } else {
        waiting.push(event);
      }
      wake?.();
    },
    end: (error) => {
      ended ??= { error };
      wake?.();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const event = waiting.shift();
        if (event !== undefined) {
          yield event;
        } else if (ended === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else if (ended.error === undefined) {
          return;
        } else {
          throw ended.error;
        }
      }
    },
  };
}
