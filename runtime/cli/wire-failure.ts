/**
 * A refusal of the gateway, as it came over the socket, as an error with our code and what to do about it.
 *
 * Our gateway names its own code in `details.code`; a code of the protocol (authentication) or of a newer gateway is mapped
 * to the nearest of ours and stays in the message.
 */
import { type CodedError, type ErrorCode, errorRegister, failure } from "../kernel/errors.ts";

/** `error` of a response frame; see `runtime/edge/wire-error.ts`. */
export interface WireError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
}

const byWireCode: Readonly<Record<string, ErrorCode>> = {
  INVALID_REQUEST: "CLOISTER_REQUEST_INVALID",
  NOT_FOUND: "CLOISTER_EDGE_NOT_FOUND",
  UNAUTHORIZED: "CLOISTER_EDGE_UNAUTHENTICATED",
  FORBIDDEN: "CLOISTER_EDGE_FORBIDDEN",
  NOT_PAIRED: "CLOISTER_EDGE_FORBIDDEN",
  TIMEOUT: "CLOISTER_ASK_TIMEOUT",
};

/** `attempt` says what was asked, e.g. `agents.list`. */
export function wireFailure(attempt: string, error: WireError): CodedError {
  const details = fieldsOf(error.details);
  const detail = textOf(details["code"]);
  const wire = textOf(error.code);
  const code = detail !== undefined && isOurs(detail) ? detail : (byWireCode[wire ?? ""] ?? "CLOISTER_INTERNAL");
  const foreign = detail === undefined || detail === code ? "" : ` (${detail})`;
  const message = textOf(error.message) ?? `the gateway refused without a reason (${wire ?? "no code"})`;
  const failed = failure(
    code,
    `${attempt}: ${message}${foreign}`,
    textOf(details["remedy"]) ?? textOf(details["remediationHint"]) ?? remedies[code],
  );
  const missingScope = textOf(details["missingScope"]);
  return missingScope === undefined ? failed : Object.assign(failed, { missingScope });
}

/** For refusals that name no remedy of their own. */
const remedies: Partial<Record<ErrorCode, string>> = {
  CLOISTER_EDGE_UNAUTHENTICATED:
    "Give the gateway's token with --token, or run the command as the user that runs the gateway.",
  CLOISTER_EDGE_FORBIDDEN:
    "Connect with a credential that grants this, for example the operator key of the gateway's machine.",
};

function isOurs(code: string): code is ErrorCode {
  return Object.hasOwn(errorRegister, code);
}

export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
