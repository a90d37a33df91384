/**
 * The W3C `traceparent` header (https://www.w3.org/TR/trace-context/): of which trace the sender's request is part. What such a
 * request causes has a trace that begins with that id and is its own behind it, so that the bounds of one chain of messages are not
 * another's, whoever sends the same header twice.
 */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const form = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(?:$|-)/;

/** Undefined when there is none, and for one that is not valid: that restarts the trace, as the standard says. */
export function traceOf(headers: IncomingHttpHeaders): string | undefined {
  const value = headers["traceparent"];
  const [, trace = "", parent = ""] = (typeof value === "string" ? form.exec(value.trim()) : null) ?? [];
  if (/^0*$/.test(trace) || /^0*$/.test(parent) || String(value).trim().startsWith("ff")) return undefined;
  return `${trace}.${randomBytes(4).toString("hex")}`;
}

/** As a part of what is asked of the kernel's side. */
export function tracedBy(headers: IncomingHttpHeaders): { readonly trace?: string } {
  const trace = traceOf(headers);
  return trace === undefined ? {} : { trace };
}
