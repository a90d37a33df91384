/**
 * An answer as the HTTP request that carries it. Pure.
 *
 *     POST <outboundUrl>   idempotency-key: <stable across retries>   traceparent: <W3C>?   authorization: Bearer <outboundToken>?
 *     {channel:"webhook", accountId, peer:{kind, id}, threadId?, inReplyTo?, agentId, sessionKey, text, idempotencyKey}
 */
import type { OutboundMessage } from "../port.ts";

export interface OutboundTarget {
  readonly url: string;
  readonly token?: string;
}

export interface OutboundRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function formatOutbound(message: OutboundMessage, target: OutboundTarget): OutboundRequest {
  const { accountId, peer, threadId, inReplyTo, agentId, sessionKey, text, idempotencyKey } = message;
  const headers: Record<string, string> = {
    "content-type": "application/json; charset=utf-8",
    "idempotency-key": headerText(idempotencyKey),
  };
  if (message.traceparent !== undefined) headers["traceparent"] = message.traceparent;
  if (target.token !== undefined) headers["authorization"] = `Bearer ${target.token}`;
  return {
    url: target.url,
    headers,
    body: JSON.stringify({
      channel: "webhook",
      accountId,
      peer,
      threadId,
      inReplyTo,
      agentId,
      sessionKey,
      text,
      idempotencyKey,
    }),
  };
}

/** A header holds visible ASCII; the rest is percent-encoded, so that equal keys stay equal and different ones different. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x21-\x24\x26-\x7e]/gu, (character) =>
    encodeURIComponent(character.isWellFormed() ? character : "\ufffd"),
  );
}
