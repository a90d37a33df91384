/** HTTP answers: JSON or bytes, always with the security headers. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Refusal } from "../kernel/errors.ts";
import { httpStatus } from "./wire-error.ts";

/** Nothing inline, nothing foreign, nowhere framed: the page is one script and one style sheet of ours. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const securityHeaders = {
  "content-security-policy": contentSecurityPolicy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const satisfies OutgoingHttpHeaders;

export function sendBytes(response: ServerResponse, status: number, bytes: Buffer, headers: OutgoingHttpHeaders): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...securityHeaders, "content-length": bytes.length, ...headers });
  response.end(bytes);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`, "utf8");
  sendBytes(response, status, bytes, {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    ...headers,
  });
}

/** `{ok:false, error:{code, message, remedy?}}` with the status of the code's row, and Retry-After when it is known. */
export function sendRefusal(
  response: ServerResponse,
  refusal: Refusal,
  headers: OutgoingHttpHeaders = {},
  formOf: (refusal: Refusal) => object = refusalBody,
): void {
  sendJson(response, httpStatus(refusal.code), formOf(refusal), { ...retryAfter(refusal), ...headers });
}

export function refusalBody(refusal: Refusal): { readonly ok: false; readonly error: object } {
  const { code, message, remedy } = refusal;
  return { ok: false, error: remedy === undefined ? { code, message } : { code, message, remedy } };
}

function retryAfter({ retryAfterMs }: Refusal): OutgoingHttpHeaders {
  return retryAfterMs === undefined ? {} : { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}
