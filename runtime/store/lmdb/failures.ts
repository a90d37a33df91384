/** What a failure of files in an environment's directory is told as. */
import { failure, isCoded } from "../../kernel/errors.ts";
import { storeFull } from "../store-full.ts";
import { saysFull } from "./disk-full.ts";

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `what`: "the database", say. */
export function openFailure(what: string, dir: string, error: unknown): unknown {
  if (isCoded(error)) return error;
  const reason = reasonOf(error);
  if (saysFull(reason)) return storeFull(dir, reason, error);
  return failure(
    "CLOISTER_STATE_UNUSABLE",
    `cannot open ${what} in ${dir}: ${reason}`,
    "make the directory readable and writable for this user on a local disk with free space",
    error,
  );
}

/** `to`: as the text has it; the directory, or something in it. */
export function writeFailure(to: string, dir: string, remedy: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  if (saysFull(`${code} ${message}`)) return storeFull(dir, message, error);
  return failure("CLOISTER_STORE_FAILED", `cannot write to ${to}: ${message}`, remedy, error);
}
