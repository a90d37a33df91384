/** A text as a call of the Bot API, and what became of the call. Pure. */
import type { OutboundPart, Peer, SendResult } from "../port.ts";
import { generalTopic, type SentPlace } from "./inbound.ts";

export interface ChatPlace {
  readonly chatId: number | string;
  /** A topic of a forum or of a direct chat. */
  readonly topicId?: number;
}

/** Parameters of what sends beside the chat and what is sent. */
export interface SendOptions {
  readonly message_thread_id?: number;
  readonly reply_parameters?: { readonly message_id: number; readonly allow_sending_without_reply: true };
  readonly reply_markup?: { inline_keyboard: { text: string; callback_data: string }[][] };
}

/**
 * Undefined: no id that Telegram has for such a peer. Numbers of persons are positive and those of groups are not, so that a right to write to
 * persons opens no group.
 */
export function parsePlace({ kind, id }: Peer, threadId: string | undefined): ChatPlace | undefined {
  const [, chat, topic] = /^(-?\d{1,16}|@[a-z]\w{3,31})(?::topic:(\d{1,10}))?$/i.exec(id.trim()) ?? [];
  if (chat === undefined || /^\d/.test(chat) !== (kind === "direct")) return undefined;
  const chatId = chat.startsWith("@") ? chat : Number(chat);
  // A rounded number would be another chat.
  if (typeof chatId === "number" && !Number.isSafeInteger(chatId)) return undefined;
  const wanted = topic ?? threadId;
  if (wanted === undefined) return { chatId };
  if (!/^\d{1,10}$/.test(wanted)) return undefined;
  // The first topic of a forum takes messages without its number, and refuses them with it.
  return topic !== undefined && Number(topic) === generalTopic ? { chatId } : { chatId, topicId: Number(wanted) };
}

/** The chat of a peer, without its topic. */
export const chatOf = ({ id }: Peer): string => id.trim().replace(/:topic:\d+$/, "");

/** As a message of there is told. */
export function placeOfSent(peer: Peer, threadId: string | undefined): SentPlace {
  const chat = chatOf(peer);
  return {
    peer,
    ...(chat === peer.id ? {} : { parentPeer: { kind: peer.kind, id: chat } }),
    ...(threadId === undefined ? {} : { threadId }),
  };
}

export function makeSendOptions({ topicId }: ChatPlace, { peer, inReplyTo, buttons = [] }: OutboundPart): SendOptions {
  const isReply = peer.kind !== "direct" && inReplyTo !== undefined && /^\d{1,15}$/.test(inReplyTo);
  return {
    ...(topicId === undefined ? {} : { message_thread_id: topicId }),
    // In a group it says who is answered; what was deleted meanwhile is answered all the same.
    ...(isReply
      ? { reply_parameters: { message_id: Number(inReplyTo), allow_sending_without_reply: true as const } }
      : {}),
    ...(buttons.length === 0
      ? {}
      : {
          reply_markup: { inline_keyboard: [buttons.map(({ label, text }) => ({ text: label, callback_data: text }))] },
        }),
  };
}

/** What the Bot API says of a call that failed. */
export interface ApiFault {
  readonly error_code: number;
  readonly description: string;
  readonly parameters?: { readonly retry_after?: number; readonly migrate_to_chat_id?: number };
}

export function judgeFault({ error_code: status, description, parameters }: ApiFault): SendResult {
  const reason = `Telegram answered ${status}: ${description}`;
  if (status === 429) {
    const { retry_after: seconds = 1 } = parameters ?? {};
    return { status: "failed", reason, retry: true, retryAfterMs: seconds * 1000 };
  }
  const moved = parameters?.migrate_to_chat_id;
  if (moved !== undefined) return { status: "failed", reason: `${reason} (the group is now ${moved})`, retry: false };
  // Not found: the address holds the token, and no bot has it.
  if (status === 401 || status === 404) return { status: "failed", reason, retry: true, credential: true };
  return status >= 500
    ? { status: "failed", reason, retry: true, mayHaveArrived: true }
    : { status: "failed", reason, retry: false };
}
