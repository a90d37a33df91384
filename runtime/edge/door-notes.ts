/**
 * What is refused at the door, for the audit trail: wrong credentials, and clients that ask for more than they have. A stranger can be
 * refused as often as they like, so that the rows of a minute are bounded; what is beyond is counted in one row.
 */
import { limits } from "../kernel/limits.ts";
import type { Log } from "./log.ts";
import type { DoorRefusal, KernelForEdge } from "./port.ts";

const windowMs = 60_000;

export interface DoorNotes {
  readonly note: (refusal: DoorRefusal) => void;
  /** Tells what is counted and was not told yet. */
  close(): void;
}

export function makeDoorNotes(kernel: Pick<KernelForEdge, "refusedAtDoor">, log: Log): DoorNotes {
  let told = 0;
  let leftOut = 0;
  let window: NodeJS.Timeout | undefined;

  const tell = (refusal: DoorRefusal): void =>
    void kernel
      .refusedAtDoor(refusal)
      .catch((error: unknown) => log("warn", "a refusal was not noted", { error: String(error) }));

  const end = (): void => {
    clearTimeout(window);
    window = undefined;
    const detail = `${leftOut} refusals within a minute, beyond ${limits.doorRefusalsPerMinuteMax}, have no row of their own`;
    if (leftOut > 0) tell({ type: "door_flooded", subject: "clients", object: "gateway", detail });
    told = 0;
    leftOut = 0;
  };

  return {
    note(refusal) {
      window ??= setTimeout(end, windowMs).unref();
      if (told >= limits.doorRefusalsPerMinuteMax) leftOut += 1;
      else {
        told += 1;
        tell(refusal);
      }
    },
    close: end,
  };
}
