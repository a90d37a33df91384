/** The second check of architecture §3, before a delivery: what was right when it was stored may be wrong by now. */
import type { KernelState, Turn } from "./state.ts";

export function whyNotDelivered(
  k: KernelState,
  turn: Turn,
  nowMs: number,
):
  | {
      readonly fate: "poison" | "expired" | "refused";
      readonly reason: string;
      readonly code: "CLOISTER_MAILBOX_POISON" | "CLOISTER_MAILBOX_EXPIRED" | "CLOISTER_CAPABILITY_REVOKED";
      readonly message: string;
    }
  | undefined {
  const { limits } = k.settings;
  const { header } = turn.mail.envelope;
  const deliveries = turn.attempt - 1;
  if ((turn.mail.convicted && deliveries >= limits.deliveryAttemptsMax) || deliveries >= limits.deliveriesMax) {
    const reason = turn.mail.convicted
      ? `it was delivered ${deliveries} times and ended its cell`
      : `it was delivered ${deliveries} times and its cell or the gateway ended each time`;
    return {
      fate: "poison",
      reason,
      code: "CLOISTER_MAILBOX_POISON",
      message: `the message was set aside as a dead letter: ${reason}`,
    };
  }
  const ageMs = nowMs - header.acceptedAtMs;
  const ends = [header.expiresAtMs, header.chainStamp?.untilMs].filter((end) => end !== undefined);
  const ageMsMax = Math.min(limits.envelopeAgeMsMax, ...ends.map((end) => end - header.acceptedAtMs));
  if (ageMs > ageMsMax) {
    const reason = `it waited for ${formatAge(ageMs)} before its turn came; the bound is ${formatAge(ageMsMax)}`;
    return {
      fate: "expired",
      reason,
      code: "CLOISTER_MAILBOX_EXPIRED",
      message: `the message was set aside as a dead letter: ${reason}`,
    };
  }
  if (holdsRight(k, header.via)) return undefined;
  k.emit({
    type: "audit",
    event: "revoked",
    subject: header.from.type === "agent" ? header.from.sessionKey : header.from.type,
    object: header.sessionKey,
    verb: header.verb,
    decision: "refused",
    code: "CLOISTER_CAPABILITY_REVOKED",
    envelopeId: header.id,
    trace: header.trace,
  });
  return {
    fate: "refused",
    reason: `the pairing ${header.via} was revoked before delivery`,
    code: "CLOISTER_CAPABILITY_REVOKED",
    message: "the right to send this message was revoked before it was handled",
  };
}

/** Pairings of ingress principals (`door:…`) are not rows of the registry. */
export function holdsRight(k: KernelState, via: string): boolean {
  return via.startsWith("door:") || k.pairings.isLive(via);
}

function formatAge(ageMs: number): string {
  const hours = Math.floor(ageMs / 3_600_000);
  if (hours < 1) return `${Math.floor(ageMs / 1_000)} s`;
  return hours >= 48 ? `${Math.floor(hours / 24)} days` : `${hours} h`;
}
