/** A disk without room: refused at accept, and nothing of the change is kept. Works again by itself once there is room. */
import { type CodedError, failure } from "../kernel/errors.ts";

export function storeFull(dir: string, reason: string, cause?: unknown): CodedError {
  return failure(
    "CLOISTER_STORE_FULL",
    `cannot write to ${dir}: ${reason}; nothing of the change was stored`,
    `free space on the disk of ${dir}, or raise its quota; no restart is needed`,
    cause,
  );
}
