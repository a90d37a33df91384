/** Files of credentials that cannot be read, in the words of commands. */
import { failure } from "../kernel/errors.ts";

/** @throws CLOISTER_STATE_UNUSABLE when what reads them fails. */
export async function orUnusable<T>(found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (error) {
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `Credentials: ${(error as Error).message}.`,
      "Correct the file, and run the command as the user that runs the gateway.",
      error,
    );
  }
}
