import { type CodedError, failure } from "../kernel/errors.ts";

/** For a dead letter that was asked for by its id; `attempt` is the verb of what was tried. */
export function unknownLetter(attempt: string, id: string): CodedError {
  return failure(
    "CLOISTER_DEADLETTER_UNKNOWN",
    `cannot ${attempt} the dead letter ${id}: there is none with this id; it was replayed or purged, or made room for newer ones`,
    "cloister deadletters list",
  );
}
