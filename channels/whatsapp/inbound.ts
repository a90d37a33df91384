/**
 * A message of WhatsApp as an `InboundEvent`. Pure. Undefined: nothing that somebody said, such as a reaction, a change of a group, or what
 * the account's owner wrote to others on his phone. A chat with a person is a peer of kind `direct` by the person's number, a group one of
 * kind `group` by its JID; what the owner writes to himself is a direct message of himself. Source: behaviour §8.
 */
import { mediaKindOf } from "../media.ts";
import type { ChannelHost, InboundMedia } from "../port.ts";
import { fileOf } from "./file-facts.ts";
import { isGroupJid, lidOf, numberOf } from "./jid.ts";
import type { ContextInfo, MessageContent, MessageKey } from "./library.ts";

export type WhatsAppEvent = Parameters<ChannelHost["receive"]>[0];

/** The account itself: its JID, and its LID where WhatsApp has given it one. */
export interface Self {
  readonly id: string;
  readonly lid?: string;
}

export interface Received {
  readonly key: MessageKey;
  /** Without the envelopes of disappearing messages and of those from another device. */
  readonly content: MessageContent;
  readonly name?: string;
  readonly atMs: number;
  /** The number behind a LID, where the account has learned it. */
  readonly numberOfLid: (lid: string) => string | undefined;
}

export function parseMessage(
  { key, content, name, atMs, numberOfLid }: Received,
  self: Self,
): WhatsAppEvent | undefined {
  const { remoteJid: chat, participant, fromMe, id } = key;
  if (typeof chat !== "string" || typeof id !== "string") return undefined;
  const said = textOf(content);
  if (said === undefined) return undefined;
  const person = (jid: string, alt: MessageKey["remoteJid"]): string | undefined =>
    numberOf(jid) ?? numberOf(alt ?? "") ?? numberOfLid(jid) ?? lidOf(jid);
  const own = numberOf(self.id);
  const inGroup = isGroupJid(chat);
  const other = inGroup ? person(participant ?? "", key.participantAlt) : person(chat, key.remoteJidAlt);
  if (other === undefined || own === undefined) return undefined;
  // Only what the owner writes to himself may be meant for an agent.
  if (fromMe === true && (inGroup || other !== own)) return undefined;
  const isSelf = (jid: string): boolean =>
    numberOf(jid) === own || (self.lid !== undefined && lidOf(jid) === lidOf(self.lid));
  const quoted = said.context?.stanzaId;
  const author = said.context?.participant;
  return {
    messageId: id,
    peer: inGroup ? { kind: "group", id: chat } : { kind: "direct", id: other },
    sender: { id: other, ...(name === undefined || name === "" ? {} : { name: name.slice(0, 256) }) },
    selfId: own,
    ...(inGroup
      ? {
          wasMentioned: (said.context?.mentionedJid ?? []).some(isSelf),
          quotesBot: typeof quoted === "string" && typeof author === "string" && isSelf(author),
        }
      : {}),
    ...(typeof quoted === "string" ? { replyTo: quoted } : {}),
    text: withoutOwnName(said.text, self),
    ...(said.file === undefined ? {} : { media: [said.file] }),
    tsMs: atMs,
  };
}

/** `@15551230001 text`, as the apps write a mention: what is left may be a command. */
function withoutOwnName(text: string, { id, lid }: Self): string {
  const [, name, rest] = /^@(\d+)\s+(\S[\s\S]*)$/.exec(text) ?? [];
  if (name === undefined || rest === undefined) return text;
  const own = [numberOf(id)?.slice(1), lidOf(lid ?? "")?.replace("@lid", "")];
  return own.includes(name) ? rest : text;
}

interface Said {
  readonly text: string;
  readonly file?: InboundMedia | undefined;
  readonly context?: ContextInfo | null | undefined;
}

function textOf(content: MessageContent): Said | undefined {
  const { conversation, extendedTextMessage: extended } = content;
  const thing = describeMedia(content);
  const context = extended?.contextInfo ?? thing?.context;
  const text = [thing?.name, thing?.caption, conversation, extended?.text]
    .filter((part) => typeof part === "string" && part.trim() !== "")
    .join("\n");
  return text === "" ? undefined : { text, context, file: thing?.file };
}

interface Thing {
  readonly name: string;
  readonly file: InboundMedia | undefined;
  readonly caption?: string | null | undefined;
  readonly context?: ContextInfo | null | undefined;
}

/** What is not text is named, so that the agent knows that it was there. */
function describeMedia(content: MessageContent): Thing | undefined {
  const { imageMessage: image, audioMessage: audio, documentMessage: document, stickerMessage: sticker } = content;
  const video = content.videoMessage ?? content.ptvMessage;
  const place = content.locationMessage ?? content.liveLocationMessage;
  const contact = content.contactMessage ?? content.contactsArrayMessage;
  const poll = content.pollCreationMessage ?? content.pollCreationMessageV3;
  const found = image ?? video ?? audio ?? document ?? sticker ?? place ?? contact ?? poll;
  if (found === null || found === undefined) return undefined;
  return { name: `[${nameOf()}]`, file: file(), caption: found.caption, context: found.contextInfo };

  function file(): InboundMedia | undefined {
    if (image) return fileOf("image", "image", image);
    if (video) return fileOf("video", "video", video);
    if (audio) return fileOf("audio", "audio", audio);
    if (document) return fileOf("document", mediaKindOf(document.mimetype ?? ""), document);
    return sticker ? fileOf("sticker", "image", sticker) : undefined;
  }

  function nameOf(): string {
    if (image) return "photo";
    if (video) return `video, ${video.seconds ?? 0} s`;
    if (audio) return `${audio.ptt === true ? "voice message" : "audio"}, ${audio.seconds ?? 0} s`;
    if (document) return `document: ${document.fileName ?? document.title ?? "without a name"}`;
    if (sticker) return "sticker";
    if (place) return `location: ${place.degreesLatitude}, ${place.degreesLongitude}`;
    if (contact) return `contact: ${contact.displayName ?? "without a name"}`;
    return `poll: ${poll?.name ?? "without a question"}`;
  }
}
