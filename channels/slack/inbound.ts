/**
 * A callback of Slack as an `InboundEvent`. Pure. Undefined: nothing that somebody said, such as a new topic, or the account's own message.
 *
 * A direct message is the peer of its person, a conversation of several people (mpim) one of kind `group`, a channel, public or private, one of
 * kind `channel`. A thread is the time of the message that it hangs from. Slack tells of one message twice when it mentions the account
 * (`message` and `app_mention`); both have the same id, by which the second is known. Source: behaviour §2.5, §8.
 */
import { mediaKindOf, withMedia } from "../media.ts";
import type { ChannelHost, InboundMedia, PeerKind } from "../port.ts";
import { fromMrkdwn, type Named } from "./format.ts";
import type { SlackSettings } from "./manifest.ts";

export type SlackEvent = Parameters<ChannelHost["receive"]>[0];

/** The account, as `auth.test` tells of it. */
export interface Self extends Named {
  /** Under which its own messages come back. */
  readonly botId: string | undefined;
  /** The workspace, and the organisation that it is part of. */
  readonly teamId?: string | undefined;
  readonly enterpriseId?: string | undefined;
}

/** What a callback says. The kind of the place and the name of the person may be known elsewhere. */
export interface Said {
  readonly channelId: string;
  /** Undefined: the callback does not tell. */
  readonly kind: PeerKind | undefined;
  /** Of the person or program, as Slack calls it. */
  readonly userId: string;
  readonly sender: SlackEvent["sender"];
  /** The workspace of whoever said it. Undefined: the callback does not tell. */
  readonly senderTeamId: string | undefined;
  /** Of the message that the thread hangs from. */
  readonly threadId: string | undefined;
  /** Who wrote that message. */
  readonly parentUserId: string | undefined;
  readonly isMention: boolean;
  readonly messageId: string;
  readonly teamId: string | undefined;
  readonly text: string;
  readonly media: readonly InboundMedia[];
  readonly tsMs: number;
  /** A command, or a button that was pressed: no message that a thread could hang from. */
  readonly isCommand: boolean;
}

/** Kinds of messages that hold what somebody said. */
const spoken: ReadonlySet<string> = new Set(["bot_message", "file_share", "me_message", "thread_broadcast"]);

const kinds: Readonly<Record<string, PeerKind>> = {
  im: "direct",
  mpim: "group",
  channel: "channel",
  group: "channel",
};

/** @throws TypeError when it is a message without what every message has */
export function readCallback(
  payload: unknown,
  self: Self,
  { commandName }: Pick<SlackSettings, "commandName">,
  nowMs: number,
): Said | undefined {
  if (textAt(payload, "command") !== undefined) return readCommand(payload, self, commandName, nowMs);
  if (textAt(payload, "type") === "block_actions") return readPress(payload, self, nowMs);
  const event = textAt(payload, "type") === "event_callback" ? at(payload, "event") : undefined;
  const type = textAt(event, "type");
  if (type !== "message" && type !== "app_mention") return undefined;
  const subtype = textAt(event, "subtype");
  if (subtype !== undefined && !spoken.has(subtype)) return undefined;
  const userId = textAt(event, "user");
  const botId = textAt(event, "bot_id");
  if (userId === self.userId || (botId !== undefined && botId === self.botId)) return undefined;
  const written = textAt(event, "text") ?? "";
  const said = [withoutOwnName(fromMrkdwn(written, self), self), ...listShared(event)];
  const media = listFiles(event);
  const text = withMedia(said.filter((part) => part.trim() !== "").join("\n"), media);
  if (text === "") return undefined;
  const channelId = needed(event, "channel");
  const messageId = needed(event, "ts");
  const threadId = textAt(event, "thread_ts");
  return {
    channelId,
    kind: channelId.startsWith("D") ? "direct" : kinds[textAt(event, "channel_type") ?? ""],
    userId: userId ?? botId ?? needed(event, "user"),
    sender: senderOf(event, userId, botId),
    senderTeamId: textAt(event, "user_team") ?? textAt(event, "team") ?? teamOfAll(payload, self),
    threadId: threadId === messageId ? undefined : threadId,
    parentUserId: textAt(event, "parent_user_id"),
    isMention: type === "app_mention" || new RegExp(`<@${self.userId}(?:\\||>)`).test(written),
    messageId,
    teamId: textAt(payload, "team_id"),
    text,
    media,
    tsMs: Math.round(Number(messageId) * 1000),
    isCommand: false,
  };
}

/** `/agent what is new` is "what is new", when `agent` is the name of the command; every other keeps its name. */
function readCommand(payload: unknown, self: Self, commandName: string, nowMs: number): Said | undefined {
  const command = needed(payload, "command");
  const rest = (textAt(payload, "text") ?? "").trim();
  const userName = textAt(payload, "user_name");
  const channelId = needed(payload, "channel_id");
  const text = command === `/${commandName}` ? rest : `${command} ${rest}`.trim();
  if (text === "") return undefined;
  return {
    channelId,
    kind: channelId.startsWith("D") ? "direct" : undefined,
    userId: needed(payload, "user_id"),
    sender: { id: needed(payload, "user_id"), ...(userName === undefined ? {} : { name: userName.slice(0, 256) }) },
    senderTeamId: textAt(payload, "team_id"),
    threadId: undefined,
    parentUserId: undefined,
    isMention: true,
    messageId: `command:${needed(payload, "trigger_id")}`,
    teamId: textAt(payload, "team_id"),
    text,
    media: [],
    tsMs: nowMs,
    isCommand: true,
  };
}

/** Whoever presses a button says its text. */
function readPress(payload: unknown, self: Self, nowMs: number): Said | undefined {
  const [pressed] = listAt(payload, "actions");
  const text = textAt(pressed, "value");
  if (text === undefined) return undefined;
  const container = at(payload, "container");
  const user = at(payload, "user");
  const channelId = needed(container, "channel_id");
  const userName = textAt(user, "username");
  return {
    channelId,
    kind: channelId.startsWith("D") ? "direct" : undefined,
    userId: needed(user, "id"),
    sender: { id: needed(user, "id"), ...(userName === undefined ? {} : { name: userName.slice(0, 256) }) },
    senderTeamId: textAt(user, "team_id") ?? textAt(at(payload, "team"), "id"),
    threadId: textAt(container, "thread_ts"),
    parentUserId: undefined,
    isMention: true,
    messageId: `press:${needed(payload, "trigger_id")}`,
    teamId: textAt(at(payload, "team"), "id"),
    text,
    media: [],
    tsMs: nowMs,
    isCommand: true,
  };
}

export interface Place {
  readonly kind: PeerKind;
  /** Of the person, where the callback does not tell. */
  readonly name: string | undefined;
  readonly senderTeamId?: string | undefined;
  /** The account has written in the thread. */
  readonly isInThread: boolean;
}

export function makeEvent(
  said: Said,
  { kind, name, senderTeamId, isInThread }: Place,
  self: Self,
  { replyToMode }: Pick<SlackSettings, "replyToMode">,
): SlackEvent {
  const { channelId, userId, parentUserId, messageId, teamId, text, media, tsMs, isCommand } = said;
  const sender = inTeam(said.sender, said.senderTeamId ?? senderTeamId, self);
  const isDirect = kind === "direct";
  const beginsThread = replyToMode === "all" && !isDirect && !isCommand;
  const threadId = said.threadId ?? (beginsThread ? messageId : undefined);
  const isOwnThread = parentUserId === self.userId;
  return {
    messageId,
    peer: { kind, id: isDirect ? userId : channelId },
    ...(threadId === undefined ? {} : { threadId }),
    ...(teamId === undefined ? {} : { teamId }),
    sender: name === undefined || sender.name !== undefined ? sender : { ...sender, name: name.slice(0, 256) },
    selfId: self.userId,
    ...(isDirect ? {} : { wasMentioned: said.isMention }),
    ...(isDirect || said.threadId === undefined
      ? {}
      : { repliesToBot: isOwnThread, botInThread: isOwnThread || isInThread }),
    text,
    ...(media.length === 0 ? {} : { media }),
    tsMs,
  };
}

function senderOf(event: unknown, userId: string | undefined, botId: string | undefined): SlackEvent["sender"] {
  if (botId === undefined) return { id: userId ?? needed(event, "user") };
  const name = textAt(at(event, "bot_profile"), "name") ?? textAt(event, "username");
  return { id: userId ?? botId, isBot: true, ...(name === undefined ? {} : { name: name.slice(0, 256) }) };
}

/** The workspace of everybody there, of which an event says that it has people of no other. Undefined: it does not say so. */
export const teamOfAll = (payload: unknown, { teamId, enterpriseId }: TeamOf): string | undefined =>
  at(payload, "is_ext_shared_channel") === false && enterpriseId === undefined ? teamId : undefined;

type TeamOf = Pick<Self, "teamId" | "enterpriseId">;

/** Where nobody tells the workspace: an id with this before it stands on no list. */
const unknownTeam = "?";

/**
 * A person's id counts in a workspace: of another one it has that before it (`T2:U1`), so that a list which names `U1` admits nobody else by that
 * id. Whose workspace is not told may be of another one: `?:U1`.
 */
export function inTeam<S extends { readonly id: string }>(
  sender: S,
  team: string | undefined,
  { teamId, enterpriseId }: TeamOf,
): S {
  const isOwn = teamId === undefined || team === teamId || (team !== undefined && team === enterpriseId);
  return isOwn ? sender : { ...sender, id: `${team ?? unknownTeam}:${sender.id}` };
}

/** Slack's clients keep a message that begins with a slash for themselves; "@helper /status" is how a command is given. */
const withoutOwnName = (text: string, { name }: Self): string => {
  const own = `@${name}`;
  const rest = text.startsWith(own) ? text.slice(own.length).trimStart() : "";
  return rest.startsWith("/") ? rest : text;
};

/** Files that Slack keeps; of another service's it knows the address alone. */
const listFiles = (event: unknown): readonly InboundMedia[] =>
  listAt(event, "files").flatMap((file) => {
    const ref = textAt(file, "url_private_download") ?? textAt(file, "url_private");
    const name = textAt(file, "name") ?? textAt(file, "title");
    const mimeType = textAt(file, "mimetype");
    const bytes = at(file, "size");
    if (ref === undefined) return [];
    return [
      {
        kind: mediaKindOf(mimeType ?? ""),
        ref,
        ...(name === undefined ? {} : { name }),
        ...(mimeType === undefined ? {} : { mimeType }),
        ...(typeof bytes === "number" && Number.isSafeInteger(bytes) ? { bytes } : {}),
      },
    ];
  });

/** Messages that were forwarded, and what programs attach. */
const listShared = (event: unknown): readonly string[] =>
  listAt(event, "attachments").flatMap((attachment) => {
    const text = textAt(attachment, "text") ?? textAt(attachment, "fallback");
    return text === undefined ? [] : [`[attached: ${text}]`];
  });

export const at = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;

export function textAt(value: unknown, key: string): string | undefined {
  const found = at(value, key);
  return typeof found === "string" && found !== "" ? found : undefined;
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const found = at(value, key);
  return Array.isArray(found) ? found : [];
}

export function needed(value: unknown, key: string): string {
  const found = textAt(value, key);
  if (found === undefined) throw new TypeError(`it has no ${key}`);
  return found;
}
