/** A failure of one try, in the few kinds that decide what is done next (behaviour §5.5). */
import type { ErrorCode } from "../kernel/errors.ts";
import type { ProviderSettings } from "./port.ts";

/**
 * `rate-limit` and `transient` are tried again, `output` as well: a model that wrote nonsense may not the next time. `credential` and
 * `billing` are of the credential: the next one may do. `absent`: there is no such model, or no model at that address; another credential may
 * have it, and the next model is another one. `refused` and `context` are of the request: nothing else would take it.
 */
export type FailureKind =
  | "rate-limit"
  | "transient"
  | "output"
  | "credential"
  | "billing"
  | "absent"
  | "refused"
  | "context";

export const codeOfKind: Readonly<Record<FailureKind, ErrorCode>> = {
  "rate-limit": "CLOISTER_MODEL_RATE_LIMITED",
  transient: "CLOISTER_MODEL_FAILED",
  output: "CLOISTER_MODEL_OUTPUT_INVALID",
  credential: "CLOISTER_MODEL_CREDENTIAL",
  billing: "CLOISTER_MODEL_CREDENTIAL",
  absent: "CLOISTER_MODEL_UNAVAILABLE",
  refused: "CLOISTER_MODEL_REFUSED",
  context: "CLOISTER_MODEL_CONTEXT_FULL",
};

/** What an operator can do; undefined: nothing that is known here. `profile` is the credential that was used. */
export function remedyOf(
  kind: FailureKind,
  profile: string,
  { id, baseUrl }: Pick<ProviderSettings, "id" | "baseUrl">,
): string | undefined {
  const address = `models.providers.${id}.baseUrl`;
  if (kind === "credential") return `look at the key, ${profile}: another one counts as soon as it is there`;
  if (kind === "billing") return `pay for the account of ${profile}, or name a fallback (model.fallbacks)`;
  if (kind === "rate-limit") return "ask less at once, or name a fallback (model.fallbacks)";
  if (kind === "absent")
    return `correct the model's name${baseUrl === undefined ? "" : `, or the address in ${address}`}`;
  if (kind === "transient" && baseUrl !== undefined)
    return `see whether the server runs, and whether ${address} is its address`;
  return undefined;
}

export class ProviderFailure extends Error {
  readonly kind: FailureKind;
  /** Not before so long. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: FailureKind, message: string, retryAfterMs?: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What an HTTP answer other than a success says. `body` is what came with it; providers put their own codes there. */
export function failureOfStatus(
  status: number,
  message: string,
  body: string,
  retryAfterMs?: number,
  cause?: unknown,
): ProviderFailure {
  return new ProviderFailure(kindOfStatus(status, body), `${message} (HTTP ${status})`, retryAfterMs, cause);
}

function kindOfStatus(status: number, body: string): FailureKind {
  if (status === 401 || status === 403) return "credential";
  if (status === 402) return "billing";
  // OpenAI says "too many requests" to an account without money, too.
  if (status === 429) return /insufficient_quota|billing_hard_limit/.test(body) ? "billing" : "rate-limit";
  if (status === 408 || status === 409 || status === 425 || status >= 500) return "transient";
  if (isContextFull(body)) return "context";
  return status === 404 || /model_not_found|is not a valid model id/i.test(body) ? "absent" : "refused";
}

/** Codes inside of a stream that began well: of Anthropic, OpenAI and Google. */
const kindsByCode: Readonly<Record<string, FailureKind>> = {
  rate_limit_error: "rate-limit",
  rate_limit_exceeded: "rate-limit",
  RESOURCE_EXHAUSTED: "rate-limit",
  authentication_error: "credential",
  permission_error: "credential",
  PERMISSION_DENIED: "credential",
  UNAUTHENTICATED: "credential",
  billing_error: "billing",
  insufficient_quota: "billing",
  model_not_found: "absent",
  not_found_error: "absent",
  NOT_FOUND: "absent",
  invalid_request_error: "refused",
  invalid_prompt: "refused",
  INVALID_ARGUMENT: "refused",
  context_length_exceeded: "context",
};

/** A failure that came as a record of a stream. What has no code that is known here passes by itself. */
export function failureOfRecord(record: unknown): ProviderFailure {
  const text = describe(record);
  const code = codesIn(record).find((name) => Object.hasOwn(kindsByCode, name));
  const kind = code === undefined ? "transient" : (kindsByCode[code] ?? "transient");
  return new ProviderFailure(kind === "refused" && isContextFull(text) ? "context" : kind, text);
}

/** Only OpenAI has a code for it; the others say it in words. */
function isContextFull(text: string): boolean {
  return /context_length_exceeded|prompt is too long|maximum context length|input token count .{0,40}exceeds|exceeds? the (?:available )?context/i.test(
    text,
  );
}

function codesIn(record: unknown, depth = 0): readonly string[] {
  if (typeof record === "string") return record.startsWith("{") ? codesIn(parse(record), depth) : [record];
  if (typeof record !== "object" || record === null || depth > 3) return [];
  const { type, code, status, error } = record as Readonly<Record<string, unknown>>;
  return [code, status, type].filter((name) => typeof name === "string").concat(codesIn(error, depth + 1));
}

function describe(record: unknown): string {
  if (typeof record === "string") return record;
  if (record instanceof Error) return record.message;
  const { message, error } = (record ?? {}) as { readonly message?: unknown; readonly error?: unknown };
  if (typeof message === "string") return message;
  return error === undefined ? JSON.stringify(record) : describe(error);
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Of the headers of a refusal, in milliseconds; undefined: it says nothing that can be read. Source: RFC 9110, 10.2.3. */
export function retryAfterOf(headers: Readonly<Record<string, string | undefined>>, nowMs: number): number | undefined {
  const exact = Number(headers["retry-after-ms"] ?? "");
  if (headers["retry-after-ms"] !== undefined && exact >= 0) return exact;
  const written = headers["retry-after"]?.trim() ?? "";
  if (written === "") return undefined;
  if (/^\d+(?:\.\d+)?$/.test(written)) return Math.ceil(Number(written) * 1_000);
  const at = Date.parse(written);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
