/**
 * Errors as WebSocket clients know them: a small set of wire codes, with our own code in `details.code`.
 *
 * The wire code follows from the HTTP status of the register's row, so that a new row has one without a second table.
 */
import { errorRegister, type Refusal, type Retry } from "../kernel/errors.ts";

export type WireCode =
  | "INVALID_REQUEST"
  | "NOT_FOUND"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "NOT_PAIRED"
  | "UNAVAILABLE"
  | "TIMEOUT";

export interface WireError {
  readonly code: WireCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

const byStatus: Readonly<Record<number, WireCode>> = {
  400: "INVALID_REQUEST",
  401: "UNAUTHORIZED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  405: "INVALID_REQUEST",
  408: "TIMEOUT",
  409: "INVALID_REQUEST",
  413: "INVALID_REQUEST",
  421: "FORBIDDEN",
  422: "INVALID_REQUEST",
  429: "UNAVAILABLE",
  500: "UNAVAILABLE",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "TIMEOUT",
  507: "UNAVAILABLE",
  508: "INVALID_REQUEST",
};

const rows = new Map<string, { readonly http: number; readonly retry: Retry }>(Object.entries(errorRegister));

/** The HTTP status of a code; one that the register does not know (from a newer peer) counts as a fault of ours. */
export function httpStatus(code: string): number {
  return rows.get(code)?.http ?? 500;
}

export function wireCode(code: string): WireCode {
  return byStatus[httpStatus(code)] ?? "UNAVAILABLE";
}

export function toWireError(refusal: Refusal, details: Readonly<Record<string, unknown>> = {}): WireError {
  const retryable = rows.get(refusal.code)?.retry === "later";
  return {
    code: wireCode(refusal.code),
    message: refusal.message,
    details: { ...details, code: refusal.code, ...(refusal.remedy === undefined ? {} : { remedy: refusal.remedy }) },
    retryable,
    ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
  };
}
