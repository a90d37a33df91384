/**
 * A message of Discord as an `InboundEvent`. Pure. Undefined: the account's own, or nothing that somebody said, such as that a person joined.
 *
 * A person is a peer of kind `direct`, a channel of a guild one of kind `channel`. A thread is a channel with the channel that it hangs
 * from as its parent. Source: behaviour §2.5, §8.
 */
import {
  type APIAttachment,
  type APIUser,
  type GatewayMessageCreateDispatchData,
  type GatewayMessageReactionAddDispatchData,
  MessageReferenceType,
  MessageType,
} from "discord-api-types/v10";
import { mediaKindOf } from "../media.ts";
import type { ChannelHost, InboundMedia, InboundReaction } from "../port.ts";
import type { Place } from "./places.ts";

export type DiscordEvent = Parameters<ChannelHost["receive"]>[0];

export interface Self {
  readonly id: string;
  readonly name: string;
}

/** What is not in the message itself. */
export interface Surroundings {
  readonly self: Self;
  readonly place: Place;
  /** Roles that stand for the account alone. */
  readonly ownRoles: ReadonlySet<string>;
}

export function parseMessage(
  message: GatewayMessageCreateDispatchData,
  { self, place, ownRoles }: Surroundings,
): DiscordEvent | undefined {
  const { author, member, message_reference: reference, referenced_message: referenced } = message;
  if (author.id === self.id || (message.type !== MessageType.Default && message.type !== MessageType.Reply))
    return undefined;
  const text = textOf(message, self, ownRoles);
  if (text === "") return undefined;
  const media = [
    ...message.attachments,
    ...forwardedOf(message).flatMap(({ message: { attachments } }) => attachments),
  ].map(fileOf);
  const isReply = message.type === MessageType.Reply && reference?.message_id !== undefined;
  const isBot = author.bot === true || message.webhook_id !== undefined;
  return {
    messageId: message.id,
    ...routeFacts(place, author.id, member?.roles),
    sender: { id: author.id, name: nameOf(author, member?.nick), isBot },
    selfId: self.id,
    ...(place.isDirect
      ? {}
      : {
          wasMentioned: isMentioned(message, self, ownRoles),
          repliesToBot: isReply && referenced?.author.id === self.id,
        }),
    ...(isReply ? { replyTo: reference.message_id } : {}),
    text,
    ...(media.length === 0 ? {} : { media }),
    tsMs: Date.parse(message.timestamp),
  };
}

/** As Discord tells of a reaction that was put somewhere, or taken away. */
export type Reacted = Pick<
  GatewayMessageReactionAddDispatchData,
  "user_id" | "channel_id" | "message_id" | "guild_id" | "emoji" | "member" | "message_author_id"
>;

export interface ReactionSurroundings {
  readonly self: Self;
  readonly place: Place;
  /** Of the event in its session. */
  readonly sequence: number;
  readonly isTakenBack: boolean;
  readonly atMs: number;
}

/** Undefined: the account's own. Who wrote the message is told when a reaction is put there, and not when it is taken away. */
export function parseReaction(
  { user_id: userId, message_id: onMessageId, message_author_id: authorId, emoji, member }: Reacted,
  { self, place, sequence, isTakenBack, atMs }: ReactionSurroundings,
): InboundReaction | undefined {
  if (userId === self.id) return undefined;
  const { id, name } = emoji;
  const user = member?.user;
  return {
    id: `reaction:${onMessageId}:${userId}:${id ?? name}:${isTakenBack ? "-" : "+"}${sequence}`,
    ...routeFacts(place, userId, member?.roles),
    sender: {
      id: userId,
      ...(user === undefined ? {} : { name: nameOf(user, member?.nick), isBot: user.bot === true }),
    },
    selfId: self.id,
    onMessageId,
    ...(authorId === undefined ? {} : { isOwn: authorId === self.id }),
    emoji: id === null ? (name ?? "") : `:${name ?? id}:`,
    isTakenBack,
    tsMs: atMs,
  };
}

/** Where it was said, as bindings and rules name it. */
export function routeFacts(
  { id, guildId, parentId, isDirect }: Place,
  senderId: string,
  roles: readonly string[] | undefined,
): Pick<DiscordEvent, "peer" | "parentPeer" | "guildId" | "memberRoleIds"> {
  if (isDirect) return { peer: { kind: "direct", id: senderId } };
  if (guildId === undefined) return { peer: { kind: "group", id } };
  return {
    peer: { kind: "channel", id },
    ...(parentId === undefined ? {} : { parentPeer: { kind: "channel", id: parentId } }),
    guildId,
    ...(roles === undefined ? {} : { memberRoleIds: roles }),
  };
}

export const nameOf = ({ global_name: shown, username }: APIUser, nick: string | null | undefined): string =>
  (nick ?? shown ?? username).slice(0, 256);

/** In the text, or by the role of the account. That a reply tells its receiver is no mention: a reply is known as one. */
function isMentioned(
  { content, mention_roles: roles }: GatewayMessageCreateDispatchData,
  self: Self,
  ownRoles: ReadonlySet<string>,
): boolean {
  return (
    roles.some((role) => ownRoles.has(role)) || [...content.matchAll(userMention)].some(([, id]) => id === self.id)
  );
}

const userMention = /<@!?(\d{1,20})>/g;
const roleMention = /<@&(\d{1,20})>/g;
const customEmoji = /<a?:(\w{1,32}):\d{1,20}>/g;

function textOf(message: GatewayMessageCreateDispatchData, self: Self, ownRoles: ReadonlySet<string>): string {
  const { attachments, sticker_items: stickers = [], poll } = message;
  return [
    ...attachments.map(describeAttachment),
    ...stickers.map(({ name }) => `[sticker ${name}]`),
    ...(poll === undefined ? [] : [`[poll: ${poll.question.text ?? ""}]`]),
    ...forwardedOf(message).map(({ message: { content, attachments: files } }) =>
      ["[forwarded]", ...files.map(describeAttachment), content].filter((part) => part !== "").join("\n"),
    ),
    readable(withoutAddress(message.content, self, ownRoles), message, self, ownRoles),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

const forwardedOf = ({
  message_reference: reference,
  message_snapshots: snapshots = [],
}: GatewayMessageCreateDispatchData) => (reference?.type === MessageReferenceType.Forward ? snapshots : []);

/** Discord signs the address; it is good for a day or so. */
const fileOf = ({ filename: name, content_type: mimeType, size: bytes, url: ref }: APIAttachment): InboundMedia => ({
  kind: mediaKindOf(mimeType ?? ""),
  name,
  ...(mimeType === undefined ? {} : { mimeType }),
  bytes,
  ref,
});

/** `@bot text`, as rooms address somebody. What is left may be a command. */
function withoutAddress(content: string, self: Self, ownRoles: ReadonlySet<string>): string {
  const [address, isRole, id = ""] = /^\s*<@([!&]?)(\d{1,20})>[\s,:]*(?=\S)/.exec(content) ?? [];
  if (address === undefined) return content.trim();
  return (isRole === "&" ? ownRoles.has(id) : id === self.id) ? content.slice(address.length).trim() : content.trim();
}

/** Numbers of persons are their names, as whoever wrote it sees it. */
function readable(
  text: string,
  { mentions }: GatewayMessageCreateDispatchData,
  self: Self,
  ownRoles: ReadonlySet<string>,
): string {
  const names = new Map(mentions.map((user) => [user.id, nameOf(user, user.member?.nick)]));
  names.set(self.id, self.name);
  return text
    .replaceAll(userMention, (written, id: string) => (names.has(id) ? `@${names.get(id)}` : written))
    .replaceAll(roleMention, (written, id: string) => (ownRoles.has(id) ? `@${self.name}` : written))
    .replaceAll(customEmoji, (_, name: string) => `:${name}:`);
}

/** What is not text is named, so that the agent knows that it was there. */
function describeAttachment({ filename, content_type: type = "", duration_secs: seconds }: APIAttachment): string {
  if (seconds !== undefined && type.startsWith("audio/")) return `[voice message, ${Math.round(seconds)} s]`;
  const [kind = ""] = type.split("/");
  return `[${attachmentNames[kind] ?? "document"}: ${filename}]`;
}

const attachmentNames: Readonly<Record<string, string>> = { image: "photo", video: "video", audio: "audio" };
