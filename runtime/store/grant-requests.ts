/**
 * Requests for rights, with the messages that wait for an operator's decision.
 *
 * Layout in the journal's environment (`E` is `keyText` of the request's id; `n` counts from 1 within it):
 *   ["request", E] → GrantRequest, with the heads of its messages
 *   ["kept", E, n] → KeptMessage
 * Every function that writes runs inside a transaction, so that after a crash a message is with its request, in the journal, or
 * a dead letter, and never in two of them.
 */
import { failure } from "../kernel/errors.ts";
import type { Release } from "../kernel/envelope.ts";
import { addLetter, removeLetter } from "./dead-letters.ts";
import { type Environment, type Range, top } from "./environment.ts";
import type { EnvelopeRows } from "./envelope-rows.ts";
import { keyText } from "./key-text.ts";
import type { GrantRequest, KeptMessage, TurnCall } from "./port.ts";
import { findCall, type KeptPlace, sentOf } from "./sent-calls.ts";

/** The message, when there is one, is the last of the request's. */
export function keepRequest(
  environment: Environment,
  calls: Pick<EnvelopeRows, "keeps" | "rememberKept">,
  request: GrantRequest,
  message: KeptMessage | undefined,
): "kept" | "sent" {
  if (message !== undefined) {
    const { by, header } = message;
    if (sentOf(findCall(environment, by)) !== undefined) return "sent";
    const kept: Release = { requestId: request.id, message: request.messages.at(-1)?.n ?? 1 };
    environment.put(["kept", keyText(kept.requestId), kept.message], message);
    // The calls of a turn that is over are not made again.
    if (calls.keeps(by.turn)) calls.rememberKept(by, { ...kept, letterId: header.id });
  }
  put(environment, request);
  return "kept";
}

/** A call that was refused is repeated, and sends now: what was kept of it, or became a dead letter since, is what it sends. */
export function forgetKept(environment: Environment, kept: KeptPlace): void {
  if (takeKept(environment, kept) === undefined) removeLetter(environment, kept.letterId);
}

export function refuseRequest(
  environment: Environment,
  id: string,
  { reason, atMs, lettersMax }: { readonly reason: string; readonly atMs: number; readonly lettersMax: number },
  after: GrantRequest | undefined,
): number {
  const kept = Array.from(environment.entries<KeptMessage>(messagesOf(id)));
  for (const { key, value } of kept) {
    const { header, body } = value;
    addLetter(environment, { header, body, fate: "refused", reason, attempts: 0, atMs }, lettersMax);
    environment.remove(key);
  }
  if (after === undefined) environment.remove(["request", keyText(id)]);
  else put(environment, after);
  return kept.length;
}

/** Takes the message out, and the request with its last one. Undefined, and nothing is changed, when it is gone. */
export function takeKept(environment: Environment, { requestId, message }: Release): TurnCall | undefined {
  const kept = findKept(environment, { requestId, message });
  const request = environment.get<GrantRequest>(["request", keyText(requestId)]);
  if (kept === undefined || request === undefined) return undefined;
  environment.remove(["kept", keyText(requestId), message]);
  const messages = request.messages.filter(({ n }) => n !== message);
  if (messages.length === 0) environment.remove(["request", keyText(requestId)]);
  else put(environment, { ...request, messages });
  return kept.by;
}

export function dropRequest(environment: Environment, id: string): void {
  const request = environment.get<GrantRequest>(["request", keyText(id)]);
  if (request !== undefined && request.messages.length === 0) environment.remove(["request", keyText(id)]);
}

export function findKept(environment: Environment, { requestId, message }: Release): KeptMessage | undefined {
  return environment.get<KeptMessage>(["kept", keyText(requestId), message]);
}

export function listRequests(environment: Environment): readonly GrantRequest[] {
  const found = [...environment.entries<GrantRequest>({ start: ["request"], end: ["request", top] })];
  return found.map(({ value }) => value).toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
}

export function unknownRequest(attempt: string, id: string): Error {
  return failure(
    "CLOISTER_GRANT_REQUEST_UNKNOWN",
    `cannot ${attempt} the request ${id}: none that waits has this id; it was decided, or nobody decided it in time`,
    "cloister grants requests",
  );
}

function put(environment: Environment, request: GrantRequest): void {
  environment.put(["request", keyText(request.id)], request);
}

function messagesOf(id: string): Pick<Range, "start" | "end"> {
  return { start: ["kept", keyText(id)], end: ["kept", keyText(id), top] };
}
