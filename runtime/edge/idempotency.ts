/** The `Idempotency-Key` header: under which a repeated request is the same message. */
import type { IncomingHttpHeaders } from "node:http";
import { failure } from "../kernel/errors.ts";

const keyCharsMax = 256;

/** Undefined when absent or blank. Throws `CLOISTER_REQUEST_INVALID` when it is too long to be kept. */
export function headerKey(headers: IncomingHttpHeaders): string | undefined {
  const value = headers["idempotency-key"];
  const key = typeof value === "string" ? value.trim() : "";
  if (key.length > keyCharsMax) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the Idempotency-Key header has ${key.length} characters; at most ${keyCharsMax} are kept`,
      "Send a shorter key, for example a UUID.",
    );
  }
  return key === "" ? undefined : key;
}
