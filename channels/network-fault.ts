/** What a failed request of an HTTP client says without its text, which may hold an address and with it a credential. Pure. */

/** No connection was made: nothing can have arrived. */
export const neverLeft: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
]);

/** As the clients name that they gave up, some by their words alone: also one whose request waited behind another until then. */
const timeouts: ReadonlySet<string> = new Set(["TimeoutError", "AbortError"]);
const timeoutWords = /timed out|^Request aborted manually$/;

/** The system's name of the fault, which the clients wrap in errors of their own. */
export function networkFault(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < 5 && typeof cause === "object" && cause !== null; depth++) {
    const code: unknown = Reflect.get(cause, "code");
    if (typeof code === "string" && /^(?:E[A-Z_]+|UND_ERR_[A-Z_]+)$/.test(code)) return code;
    if (cause instanceof Error && (timeouts.has(cause.name) || timeoutWords.test(cause.message)))
      return "no answer in time";
    cause = Reflect.get(cause, "cause") ?? Reflect.get(cause, "original") ?? Reflect.get(cause, "error");
  }
  return "no connection";
}
