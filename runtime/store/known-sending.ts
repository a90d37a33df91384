/**
 * Sessions of which it is known that nobody chose for them whether they may speak: nearly all. Each message of a client and each answer to a channel
 * asks, and asking the store's thread takes two messages. A choice that was made is asked for each time, since it ends in more ways than one.
 */
import { limits } from "../kernel/limits.ts";
import type { Store } from "./port.ts";

type Sending = Pick<Store, "chosenSending" | "setChoices">;

/** Everything that makes a choice has to come by here. */
export function rememberSending(store: Sending): Sending {
  /** The first one was found first. */
  const plain = new Set<string>();
  let changes = 0;
  const change = (key: string): void => {
    changes++;
    plain.delete(key);
  };
  return {
    async chosenSending(key) {
      if (plain.has(key)) return undefined;
      const before = changes;
      const chosen = await store.chosenSending(key);
      if (chosen !== undefined || changes !== before) return chosen;
      const [oldest] = plain;
      if (plain.size >= limits.plainSessionsKnownMax && oldest !== undefined) plain.delete(oldest);
      plain.add(key);
      return undefined;
    },
    async setChoices(key, ...wanted) {
      change(key);
      try {
        return await store.setChoices(key, ...wanted);
      } finally {
        change(key);
      }
    },
  };
}
