/** The rights that the cell was told of. The kernel checks each use; here is only found which one to name. */
import { coversVerb, matchesPattern } from "../../kernel/pairings.ts";
import type { CellSlot } from "../cell-port.ts";

export interface Slots {
  /** Number of the first that allows one of the verbs; 0, which no slot has, when none does. */
  find(verbs: readonly string[], object: string): number;
  /** No verbs: the slot is gone. */
  change(slot: number, object: string, verbs: readonly string[]): void;
}

export function makeSlots(initial: readonly CellSlot[]): Slots {
  let slots = initial;
  return {
    // The object first: the slot of the gateway's tools has many verbs, and most turns look for another one.
    find: (verbs, object) =>
      slots.find((slot) => matchesPattern(slot.object, object) && verbs.some((verb) => coversVerb(slot.verbs, verb)))
        ?.slot ?? 0,
    change(slot, object, verbs) {
      const others = slots.filter((other) => other.slot !== slot);
      slots = verbs.length === 0 ? others : [...others, { slot, object, verbs }];
    },
  };
}
