/** Traces as other programs know them: W3C `traceparent` (https://www.w3.org/TR/trace-context/). */
import { createHash } from "node:crypto";

/**
 * Of what an envelope sends out: the same trace for all that one message from outside has caused, and a span of its own for each
 * envelope. The trace is the sender's, if it named one (`runtime/edge/trace-parent.ts`); else it is made of ours, always the same.
 */
export function formatTraceparent(trace: string, envelopeId: string): string {
  const given = /^([\da-f]{32})\./.exec(trace)?.[1];
  return `00-${given ?? digest(trace, 32)}-${digest(envelopeId, 16)}-01`;
}

const digest = (text: string, length: number): string =>
  createHash("sha256").update(text, "utf8").digest("hex").slice(0, length);
