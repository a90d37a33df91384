/**
 * Senders whom an account does not know, and the operator's decision about them, as a state machine without clock, disk or
 * randomness. What is approved is the right to write directly to that account of that channel and nothing else: it counts in no
 * group, and is no device. Source: behaviour §4.1, §4.9.
 *
 *     unknown ── writes ──► waits with a code ── approved ──► known ── removed ──► unknown
 *                               └── rejected, or an hour is over ──► unknown
 */
import { limits } from "../runtime/kernel/limits.ts";

/** Letters and digits that nobody takes for each other. Source: behaviour §4.9. */
export const codeLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
export const codeLength = 8;

export interface SenderPlace {
  readonly channel: string;
  readonly accountId: string;
  /** In the form in which lists name senders. */
  readonly senderId: string;
}

export interface SenderRequest extends SenderPlace {
  readonly code: string;
  readonly senderName?: string;
  /** Where an answer to the sender goes. */
  readonly peerId: string;
  readonly atMs: number;
}

export interface KnownSender extends SenderPlace {
  readonly senderName?: string;
  readonly approvedAtMs: number;
  /** The client with which it was approved. */
  readonly by: string;
}

export interface Senders {
  /** By `senderKey`. */
  readonly known: ReadonlyMap<string, KnownSender>;
  /** Oldest first. */
  readonly pending: readonly SenderRequest[];
}

export const senderKey = ({ channel, accountId, senderId }: SenderPlace): string =>
  JSON.stringify([channel, accountId, senderId]);

export function expireSenders(senders: Senders, nowMs: number): Senders {
  const pending = senders.pending.filter(({ atMs }) => nowMs - atMs < limits.senderRequestAgeMs);
  return pending.length === senders.pending.length ? senders : { ...senders, pending };
}

/** `request` is absent when the sender waits already, or when so many wait that this one is not asked about. */
export function askForSender(
  before: Senders,
  asking: Omit<SenderRequest, "code" | "atMs">,
  { nowMs, newCode }: { readonly nowMs: number; readonly newCode: () => string },
): { readonly senders: Senders; readonly request?: SenderRequest } {
  const senders = expireSenders(before, nowMs);
  const ofAccount = senders.pending.filter(
    ({ channel, accountId }) => channel === asking.channel && accountId === asking.accountId,
  );
  const waits = ofAccount.some((request) => senderKey(request) === senderKey(asking));
  if (waits || ofAccount.length >= limits.senderRequestsPerAccountMax) return { senders };
  let code = newCode();
  while (senders.pending.some((request) => request.code === code)) code = newCode();
  const request: SenderRequest = { ...asking, code, atMs: nowMs };
  return { senders: { ...senders, pending: [...senders.pending, request] }, request };
}

/** What a person typed; absent parts are those that the code alone tells. */
export interface NamedRequest {
  readonly code: string;
  readonly channel?: string;
  readonly accountId?: string;
}

export function findSenderRequest(
  senders: Senders,
  { code, channel, accountId }: NamedRequest,
): SenderRequest | undefined {
  const wanted = code.trim().toUpperCase();
  return senders.pending.find(
    (request) =>
      request.code === wanted &&
      (channel === undefined || request.channel === channel) &&
      (accountId === undefined || request.accountId === accountId),
  );
}

export function approveSender(senders: Senders, request: SenderRequest, by: string, nowMs: number): Senders {
  const { channel, accountId, senderId, senderName } = request;
  const name = senderName === undefined ? {} : { senderName };
  const known: KnownSender = { channel, accountId, senderId, ...name, approvedAtMs: nowMs, by };
  return { ...rejectSender(senders, request), known: new Map([...senders.known, [senderKey(known), known]]) };
}

export const rejectSender = (senders: Senders, request: SenderRequest): Senders => ({
  ...senders,
  pending: senders.pending.filter((one) => one !== request),
});

/** Undefined: nobody approved it. */
export function removeSender(senders: Senders, place: SenderPlace): Senders | undefined {
  const known = new Map(senders.known);
  return known.delete(senderKey(place)) ? { ...senders, known } : undefined;
}
