/** What the audit trail keeps of an accepted envelope: ids, sizes and rights, and nothing that was said. */
import type { EnvelopeHeader, Principal } from "../kernel/envelope.ts";
import type { AuditRow } from "./audit-rows.ts";
import type { StoredText } from "./blobs.ts";

export function messageRow(header: EnvelopeHeader, body: StoredText, atMs: number): AuditRow {
  return {
    atMs,
    type: "message",
    subject: nameOf(header.from),
    object: header.sessionKey,
    verb: header.steers === true ? "steer" : header.verb,
    decision: "allowed",
    via: header.via,
    envelopeId: header.id,
    trace: header.trace,
    bytes: typeof body === "string" ? Buffer.byteLength(body) : (body.bytes ?? body.chars),
  };
}

/** Ids alone: what a sender calls itself is left out. */
function nameOf(from: Principal): string {
  if (from.type === "agent") return from.sessionKey;
  if (from.type === "operator") return `operator:${from.client}`;
  if (from.type === "hook" || from.type === "caller") return `${from.type}:${from.name}`;
  if (from.type === "timer") return `timer:${from.agentId}:${from.timerId}`;
  if (from.type === "monitor") return `monitor:${from.agentId}:${from.ref}`;
  return `channel:${from.channel}:${from.accountId}:${from.senderId}`;
}
