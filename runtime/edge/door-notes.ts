/**
 * What is refused at the door, for the audit trail: wrong credentials, and clients that ask for more than they have. A stranger can be
 * refused as often as they like, so that the rows of a minute are bounded; what is beyond is counted in one row.
 */
import { makeFloodCount } from "../kernel/flood-count.ts";
import { limits } from "../kernel/limits.ts";
import type { Log } from "./log.ts";
import type { DoorRefusal, KernelForEdge } from "./port.ts";

export interface DoorNotes {
  readonly note: (refusal: DoorRefusal) => void;
  /** Tells what is counted and was not told yet. */
  close(): void;
}

export function makeDoorNotes(kernel: Pick<KernelForEdge, "refusedAtDoor">, log: Log): DoorNotes {
  const flood = makeFloodCount<DoorRefusal>(limits.doorRefusalsPerMinuteMax, 1);
  let window: NodeJS.Timeout | undefined;

  const tell = (refusal: DoorRefusal): void =>
    void kernel
      .refusedAtDoor(refusal)
      .catch((error: unknown) => log("warn", "a refusal was not noted", { error: String(error) }));

  const end = (): void => {
    clearTimeout(window);
    window = undefined;
    for (const { count } of flood.end()) {
      const detail = `${count} refusals within a minute, beyond ${limits.doorRefusalsPerMinuteMax}, have no row of their own`;
      tell({ type: "door_flooded", subject: "clients", object: "gateway", detail });
    }
  };

  return {
    note(refusal) {
      window ??= setTimeout(end, limits.auditWindowMs).unref();
      // Strangers have any number of names: all of them together are bounded.
      if (flood.admit("", refusal)) tell(refusal);
    },
    close: end,
  };
}
