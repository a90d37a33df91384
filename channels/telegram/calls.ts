/** What leaves a bot: texts with their entities, files, changes of messages. Each gives what became of the call, and never a credential. */
import { type Api, GrammyError, InputFile } from "grammy";
import { failure } from "../../runtime/kernel/errors.ts";
import { download } from "../download.ts";
import { networkFault, neverLeft } from "../network-fault.ts";
import type { ChannelAction, InboundMedia, OutboundPart, Peer, SendResult } from "../port.ts";
import { formatText } from "./format.ts";
import type { TelegramSettings } from "./manifest.ts";
import { type ChatPlace, judgeFault, makeSendOptions, parsePlace } from "./outbound.ts";

export function sendPart(api: Api, part: OutboundPart): Promise<SendResult> {
  return inPlace(part.peer, part.threadId, async (place) => {
    const sent =
      part.file === undefined ? await sendText(api, place, part) : await sendFile(api, place, part, part.file);
    return { status: "sent", platformMessageId: String(sent.message_id) };
  });
}

async function sendText(api: Api, { chatId, ...place }: ChatPlace, part: OutboundPart) {
  const options = makeSendOptions({ chatId, ...place }, part);
  const { text, entities } = formatText(part.text);
  if (entities.length === 0) return api.sendMessage(chatId, part.text, options);
  try {
    return await api.sendMessage(chatId, text, { ...options, entities: [...entities] });
  } catch (error) {
    // Refused for its form alone: it is said without.
    if (!(error instanceof GrammyError) || error.error_code !== 400 || !/entit/i.test(error.description)) throw error;
    return api.sendMessage(chatId, part.text, options);
  }
}

/** What Telegram shows as a photo: of these types, up to ten million bytes. */
const photos = new Set(["image/jpeg", "image/png", "image/webp"]);
const photoBytesMax = 10_000_000;

function sendFile(api: Api, place: ChatPlace, part: OutboundPart, file: NonNullable<OutboundPart["file"]>) {
  const { kind, mimeType, name, content } = file;
  const options = makeSendOptions(place, part);
  const input = new InputFile(content, name);
  if (photos.has(mimeType) && content.length <= photoBytesMax) return api.sendPhoto(place.chatId, input, options);
  if (kind === "audio") return api.sendAudio(place.chatId, input, options);
  if (mimeType === "video/mp4") return api.sendVideo(place.chatId, input, options);
  return api.sendDocument(place.chatId, input, options);
}

export function changeMessage(api: Api, { peer, threadId, messageId, change }: ChannelAction): Promise<SendResult> {
  return inPlace(peer, threadId, async ({ chatId }) => {
    if (!/^\d{1,15}$/.test(messageId))
      return failed(`${JSON.stringify(messageId)} is no number of a message of Telegram`);
    const id = Number(messageId);
    if (change.type === "remove") await api.deleteMessage(chatId, id);
    else if (change.type === "react") {
      // Telegram refuses what is none of its reactions.
      const emoji = change.emoji as "👍";
      await api.setMessageReaction(chatId, id, emoji === ("" as string) ? [] : [{ type: "emoji", emoji }]);
    } else {
      const { text, entities } = formatText(change.text);
      await api.editMessageText(chatId, id, text, { entities: [...entities] });
    }
    return { status: "sent", platformMessageId: messageId };
  });
}

export async function showTyping(api: Api, peer: Peer, threadId: string | undefined): Promise<void> {
  const place = parsePlace(peer, threadId);
  if (place === undefined) return;
  const { topicId } = place;
  await api.sendChatAction(place.chatId, "typing", topicId === undefined ? {} : { message_thread_id: topicId });
}

export async function fetchFile(
  api: Api,
  { apiRoot, botToken }: Pick<TelegramSettings, "apiRoot" | "botToken">,
  { ref }: InboundMedia,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const file = await api.getFile(ref).catch((error: unknown) => {
    const why =
      error instanceof GrammyError
        ? `Telegram answered ${error.error_code}: ${error.description}`
        : networkFault(error);
    throw failure("CLOISTER_CHANNEL_OFFLINE", why);
  });
  if (file.file_path === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "Telegram does not give the file");
  return download(`${apiRoot}/file/bot${botToken}/${file.file_path}`, { bytesMax, signal });
}

async function inPlace(
  peer: Peer,
  threadId: string | undefined,
  call: (place: ChatPlace) => Promise<SendResult>,
): Promise<SendResult> {
  const place = parsePlace(peer, threadId);
  if (place === undefined)
    return failed(
      `${JSON.stringify(peer.id)} is no ${peer.kind} chat of Telegram: expected the number of a person, or of a group (negative), or @name of a group or channel`,
    );
  try {
    return await call(place);
  } catch (error) {
    if (error instanceof GrammyError) return judgeFault(error);
    const name = networkFault(error);
    const lost = { status: "failed", reason: `the request to Telegram failed: ${name}`, retry: true } as const;
    return neverLeft.has(name) ? lost : { ...lost, mayHaveArrived: true };
  }
}

const failed = (reason: string): SendResult => ({ status: "failed", reason, retry: false });
