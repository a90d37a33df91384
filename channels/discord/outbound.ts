/** A text as a request to Discord, and what became of it. Pure but for a hash. */
import { createHash } from "node:crypto";
import {
  AllowedMentionsTypes,
  type RESTPatchAPIChannelMessageJSONBody,
  type RESTPostAPIChannelMessageJSONBody,
  type Snowflake,
} from "discord-api-types/v10";
import type { OutboundPart, Peer, SendResult } from "../port.ts";
import { makeRows } from "./interactions.ts";

/** Discord's ids: numbers of 64 bits that are written as text. */
export const isSnowflake = (id: string): id is Snowflake => /^\d{15,20}$/.test(id);

/** The person or the channel that a text goes to; undefined: no id that Discord has. */
export function parseTarget(
  { kind, id }: Peer,
  threadId: string | undefined,
): { readonly userId: string } | { readonly channelId: string } | undefined {
  const target = (kind === "direct" ? id : (threadId ?? id)).trim();
  if (!isSnowflake(target)) return undefined;
  return kind === "direct" ? { userId: target } : { channelId: target };
}

// Whatever a model was made to write, it calls no role and not everybody.
const mentions = { parse: [AllowedMentionsTypes.User] };

/** Its buttons go: they would stand below words that they were not meant for. */
export const makeEdit = (text: string): RESTPatchAPIChannelMessageJSONBody => ({
  content: text,
  components: [],
  allowed_mentions: mentions,
});

export function makeBody({
  peer,
  text,
  inReplyTo,
  idempotencyKey,
  buttons = [],
}: OutboundPart): RESTPostAPIChannelMessageJSONBody {
  const isReply = peer.kind !== "direct" && inReplyTo !== undefined && isSnowflake(inReplyTo);
  return {
    // A file has no text.
    ...(text === "" ? {} : { content: text }),
    nonce: nonceOf(idempotencyKey),
    enforce_nonce: true,
    allowed_mentions: mentions,
    // In a guild it says who is answered; what was deleted meanwhile is answered all the same.
    ...(isReply ? { message_reference: { message_id: inReplyTo, fail_if_not_exists: false } } : {}),
    ...(buttons.length === 0 ? {} : { components: [...makeRows(buttons)] }),
  };
}

/** Discord takes up to 25 characters. */
const nonceOf = (key: string): string => createHash("sha256").update(key).digest("base64url").slice(0, 25);

/** What Discord says of a request that failed. */
export interface ApiFault {
  readonly status: number;
  /** Discord's own number of the error; 0: none. */
  readonly code: number | string;
  readonly message: string;
}

export function judgeFault({ status, code, message }: ApiFault): SendResult {
  const reason = `Discord answered ${status}: ${message} (${code})`;
  if (status === 401) return { status: "failed", reason, retry: true, credential: true };
  return status >= 500
    ? { status: "failed", reason, retry: true, mayHaveArrived: true }
    : { status: "failed", reason, retry: false };
}
