/**
 * An update of the Bot API as an `InboundEvent`. Pure. Undefined: nothing that somebody said, such as a change of a group's title.
 *
 * Groups and supergroups are peers of kind `group`, channels of kind `channel`, by the chat's id. A topic of a forum is the peer
 * `<chat>:topic:<topic>` with the chat as its parent; a topic of a direct chat is a thread. Source: behaviour §2.5, §8.
 */
import type {
  CallbackQuery,
  Chat,
  Message,
  MessageEntity,
  MessageReactionUpdated,
  ReactionType,
  Update,
  User,
} from "grammy/types";
import type { ChannelHost, InboundMedia, InboundReaction } from "../port.ts";

export type TelegramEvent = Parameters<ChannelHost["receive"]>[0];

/** The bot that received it. */
export interface Self {
  readonly id: number;
  readonly username: string;
}

/** Kinds of updates that are asked for; every other would only be thrown away: what somebody changes afterwards was answered as it stood. */
export const updatesWanted = (reactions: boolean) =>
  ["message", "channel_post", "callback_query", ...(reactions ? (["message_reaction"] as const) : [])] as const;

/** Of a forum: its first topic, which messages do not name. */
export const generalTopic = 1;

export function parseUpdate(update: Update, self: Self): TelegramEvent | undefined {
  const message = update.message ?? update.channel_post;
  if (message === undefined) return undefined;
  const said = textOf(message, self);
  if (said === undefined) return undefined;
  const { chat, reply_to_message: repliedTo } = message;
  // The message that began a topic is what all messages of the topic are replies to; nobody means it.
  const reply = repliedTo?.forum_topic_created === undefined ? repliedTo : undefined;
  return {
    messageId: String(message.message_id),
    ...placeOf(message),
    sender: senderOf(message),
    selfId: String(self.id),
    ...(chat.type === "private" ? {} : { wasMentioned: said.isForSelf, repliesToBot: reply?.from?.id === self.id }),
    ...(reply === undefined ? {} : { replyTo: String(reply.message_id) }),
    text: said.text,
    ...(said.media.length === 0 ? {} : { media: said.media }),
    tsMs: message.date * 1000,
  };
}

/** A button was pressed: its presser says what it stands for. Undefined: it is not one of this channel's, or its message is out of reach. */
export function parsePress(
  { id, from, message, data }: CallbackQuery,
  self: Self,
  atMs: number,
): TelegramEvent | undefined {
  if (message === undefined || data === undefined || data.trim() === "") return undefined;
  return {
    messageId: `press-${id}`,
    // One that is too old tells its chat alone.
    ...placeOf("text" in message ? message : { chat: message.chat }),
    sender: { id: String(from.id), ...named(nameOf(from)), isBot: from.is_bot },
    selfId: String(self.id),
    ...(message.chat.type === "private" ? {} : { wasMentioned: true, repliesToBot: true }),
    text: data,
    tsMs: atMs,
  };
}

/** Where a message of the account stands: reactions tell of no topic. */
export type SentPlace = Pick<InboundReaction, "peer" | "parentPeer" | "threadId">;

/** What changed among the reactions of one person at one message. Of those of many without names Telegram tells the number alone. */
export function parseReactions(
  updateId: number,
  {
    chat,
    message_id: messageId,
    user,
    actor_chat: as,
    date,
    old_reaction: before,
    new_reaction: after,
  }: MessageReactionUpdated,
  self: Self,
  sent: SentPlace | undefined,
): readonly InboundReaction[] {
  if (user?.id === self.id) return [];
  const sender = as !== undefined ? { id: String(as.id), ...named(as.title ?? as.username) } : personOf(user);
  if (sender === undefined) return [];
  const [old, now] = [before.map(emojiOf), after.map(emojiOf)];
  const changes = [
    ...old.filter((one) => !now.includes(one)).map((emoji) => ({ emoji, isTakenBack: true })),
    ...now.filter((one) => !old.includes(one)).map((emoji) => ({ emoji, isTakenBack: false })),
  ];
  return changes.map((change, index) => ({
    id: `reaction-${updateId}-${index}`,
    ...(sent ?? placeOf({ chat: withoutTopics(chat) })),
    sender,
    selfId: String(self.id),
    onMessageId: String(messageId),
    ...(sent === undefined ? {} : { isOwn: true }),
    ...change,
    tsMs: date * 1000,
  }));
}

/** Which topic it is in is not told: it is the group's. */
const withoutTopics = (chat: Chat): Chat => {
  if (chat.type !== "supergroup") return chat;
  const { is_forum: _unknown, ...group } = chat;
  return group;
};

const personOf = (user: User | undefined): TelegramEvent["sender"] | undefined =>
  user === undefined ? undefined : { id: String(user.id), ...named(nameOf(user)), isBot: user.is_bot };

const emojiOf = (reaction: ReactionType): string =>
  reaction.type === "emoji" ? reaction.emoji : reaction.type === "paid" ? "⭐" : "(an emoji of its own)";

function placeOf({
  chat,
  message_thread_id: topic,
  is_topic_message: isTopic,
}: Pick<Message, "chat" | "message_thread_id" | "is_topic_message">): SentPlace {
  const id = String(chat.id);
  if (chat.type === "private")
    return {
      peer: { kind: "direct", id },
      ...(isTopic === true && topic !== undefined ? { threadId: String(topic) } : {}),
    };
  if (chat.type === "channel") return { peer: { kind: "channel", id } };
  if (chat.type !== "supergroup" || chat.is_forum !== true) return { peer: { kind: "group", id } };
  const topicId = isTopic === true && topic !== undefined ? topic : generalTopic;
  return { peer: { kind: "group", id: `${id}:topic:${topicId}` }, parentPeer: { kind: "group", id } };
}

/** Who writes as a chat (a channel, or an administrator without a name) is that chat. */
function senderOf({ from, sender_chat: as, chat }: Message): TelegramEvent["sender"] {
  if (as !== undefined) return { id: String(as.id), ...named(as.title ?? as.username) };
  if (from === undefined) return { id: String(chat.id), ...named(chat.title) };
  return { id: String(from.id), ...named(nameOf(from)), isBot: from.is_bot };
}

const nameOf = ({ first_name: first, last_name: last }: User): string => [first, last].filter(Boolean).join(" ").trim();

const named = (name: string | undefined) => (name === undefined || name === "" ? {} : { name: name.slice(0, 256) });

interface Said {
  readonly text: string;
  readonly media: readonly InboundMedia[];
  readonly isForSelf: boolean;
}

function textOf(message: Message, self: Self): Said | undefined {
  const written = message.text ?? message.caption ?? "";
  const entities = message.entities ?? message.caption_entities ?? [];
  const text = [describeMedia(message), withoutOwnName(written, entities, self)]
    .filter((part) => part !== undefined && part !== "")
    .join("\n");
  if (text.trim() === "") return undefined;
  return { text, media: mediaOf(message), isForSelf: entities.some((entity) => namesSelf(entity, written, self)) };
}

function namesSelf(entity: MessageEntity, text: string, self: Self): boolean {
  const part = (): string => text.slice(entity.offset, entity.offset + entity.length).toLowerCase();
  const name = `@${self.username.toLowerCase()}`;
  if (entity.type === "mention") return part() === name;
  if (entity.type === "text_mention") return entity.user.id === self.id;
  return entity.type === "bot_command" && part().endsWith(name);
}

/** In groups clients write a command with the bot's name: `/status@example_bot`. */
function withoutOwnName(text: string, entities: readonly MessageEntity[], self: Self): string {
  const command = entities.find(({ type, offset }) => type === "bot_command" && offset === 0);
  if (command === undefined || !namesSelf(command, text, self)) return text;
  const at = command.length - self.username.length - 1;
  return text.slice(0, at) + text.slice(command.length);
}

/** A file of the Bot API; a sticker and a photo have no name of their own. */
interface ApiFile {
  readonly file_id: string;
  readonly file_size?: number;
  readonly mime_type?: string;
  readonly file_name?: string;
}

const fileOf = (
  kind: InboundMedia["kind"],
  { file_id: ref, file_size: bytes, mime_type: own, file_name: name }: ApiFile,
  usual?: string,
): InboundMedia => {
  const mimeType = own ?? usual;
  return {
    kind,
    ref,
    ...(mimeType === undefined ? {} : { mimeType }),
    ...(name === undefined ? {} : { name }),
    ...(bytes === undefined ? {} : { bytes }),
  };
};

function mediaOf(message: Message): readonly InboundMedia[] {
  const { animation, photo, video, video_note: note, voice, audio, document, sticker } = message;
  // An animation is told as a document as well; of a photo there are several sizes, the largest last.
  if (animation !== undefined) return [fileOf("video", animation)];
  const largest = photo?.at(-1);
  if (largest !== undefined) return [fileOf("image", largest, "image/jpeg")];
  if (video !== undefined) return [fileOf("video", video)];
  if (note !== undefined) return [fileOf("video", note, "video/mp4")];
  if (voice !== undefined) return [fileOf("audio", voice, "audio/ogg")];
  if (audio !== undefined) return [fileOf("audio", audio)];
  if (document !== undefined) return [fileOf("document", document)];
  if (sticker?.is_animated === false && !sticker.is_video) return [fileOf("image", sticker, "image/webp")];
  return [];
}

/** What is not text is named, so that the agent knows that it was there. */
function describeMedia(message: Message): string | undefined {
  const { document, voice, audio, video, sticker, location, contact, poll, venue, dice } = message;
  // An animation is told as a document as well, and a venue as a location.
  if (message.animation !== undefined) return "[animation]";
  if (message.photo !== undefined) return "[photo]";
  if (video !== undefined) return `[video, ${video.duration} s]`;
  if (message.video_note !== undefined) return `[video message, ${message.video_note.duration} s]`;
  if (voice !== undefined) return `[voice message, ${voice.duration} s]`;
  if (audio !== undefined)
    return `[audio: ${audio.title ?? audio.file_name ?? "without a title"}, ${audio.duration} s]`;
  if (document !== undefined) return `[document: ${document.file_name ?? "without a name"}]`;
  if (sticker !== undefined) return `[sticker ${sticker.emoji ?? ""}]`.replace(" ]", "]");
  if (venue !== undefined) return `[place: ${venue.title}, ${venue.address}]`;
  if (location !== undefined) return `[location: ${location.latitude}, ${location.longitude}]`;
  if (contact !== undefined) return `[contact: ${contact.first_name} ${contact.phone_number}]`;
  if (poll !== undefined) return `[poll: ${poll.question}]`;
  if (dice !== undefined) return `[dice ${dice.emoji}: ${dice.value}]`;
  return undefined;
}
