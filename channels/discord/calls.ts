/** What leaves a bot of Discord: messages with their files, and changes of messages. Each gives what became of the request. */
import { DiscordAPIError, HTTPError, RateLimitError, type REST } from "@discordjs/rest";
import { type APIMessage, Routes } from "discord-api-types/v10";
import { failure } from "../../runtime/kernel/errors.ts";
import { download } from "../download.ts";
import { networkFault, neverLeft } from "../network-fault.ts";
import type { ChannelAction, OutboundPart, SendResult } from "../port.ts";
import { isSnowflake, judgeFault, makeBody, makeEdit } from "./outbound.ts";

export async function sendPart(rest: REST, channelId: string, part: OutboundPart): Promise<SendResult> {
  const { file } = part;
  const files =
    file === undefined ? [] : [{ name: file.name, data: withoutCopy(file.content), contentType: file.mimeType }];
  const sent = (await rest.post(Routes.channelMessages(channelId), { body: makeBody(part), files })) as APIMessage;
  return { status: "sent", platformMessageId: sent.id };
}

/** The client wants a Buffer: this one is of the same memory. */
const withoutCopy = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

export async function changeMessage(
  rest: REST,
  channelId: string,
  { messageId, change }: Pick<ChannelAction, "messageId" | "change">,
): Promise<SendResult> {
  if (!isSnowflake(messageId)) return refused(`${JSON.stringify(messageId)} is no message of Discord`);
  const route = Routes.channelMessage(channelId, messageId);
  if (change.type === "edit") await rest.patch(route, { body: makeEdit(change.text) });
  else if (change.type === "remove") await rest.delete(route);
  else if (change.emoji === "") await takeReactionsAway(rest, channelId, messageId);
  else {
    const emoji = emojiInRoute(change.emoji);
    if (emoji === undefined)
      return refused(
        `${JSON.stringify(change.emoji)} is no reaction of Discord: expected an emoji, or <:name:number> of one of the guild's own`,
      );
    await rest.put(Routes.channelMessageOwnReaction(channelId, messageId, emoji));
  }
  return { status: "sent", platformMessageId: messageId };
}

/** As Discord has it in an address: `name:number` of a guild's own one, `<:name:number>` or `<a:name:number>` in a text. */
function emojiInRoute(written: string): string | undefined {
  const [, own] = /^<?a?:?(\w{2,32}:\d{15,20})>?$/.exec(written) ?? [];
  if (own !== undefined) return encodeURIComponent(own);
  return /^[\p{Emoji}\p{Emoji_Component}]{1,20}$/u.test(written) ? encodeURIComponent(written) : undefined;
}

async function takeReactionsAway(rest: REST, channelId: string, messageId: string): Promise<void> {
  const { reactions = [] } = (await rest.get(Routes.channelMessage(channelId, messageId))) as APIMessage;
  for (const { me, emoji } of reactions) {
    if (!me || emoji.name === null) continue;
    const name = emoji.id === null ? emoji.name : `${emoji.name}:${emoji.id}`;
    await rest.delete(Routes.channelMessageOwnReaction(channelId, messageId, encodeURIComponent(name)));
  }
}

/** Discord keeps files at addresses that everybody may read who has them; other addresses are not asked. */
export async function fetchFile(
  ref: string,
  apiRoot: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { protocol, hostname, origin } = URL.parse(ref) ?? { protocol: "", hostname: "", origin: "" };
  if (!(protocol === "https:" && fileHosts.has(hostname)) && origin !== new URL(apiRoot).origin)
    throw failure("CLOISTER_CHANNEL_OFFLINE", "the file is kept by another service than Discord");
  return download(ref, { redirect: "error", bytesMax, signal });
}

const fileHosts: ReadonlySet<string> = new Set(["cdn.discordapp.com", "media.discordapp.net"]);

const refused = (reason: string): SendResult => ({ status: "failed", reason, retry: false });

export const waitOf = ({ retryAfter, sublimitTimeout }: RateLimitError): number =>
  Math.max(0, Math.ceil(Math.max(retryAfter, sublimitTimeout)));

/** What became of a request that was thrown out of. */
export function judgeError(error: unknown): SendResult {
  if (error instanceof RateLimitError)
    return {
      status: "failed",
      reason: `Discord asks for a pause${error.global ? " of all requests" : ""}`,
      retry: true,
      retryAfterMs: waitOf(error),
    };
  if (error instanceof DiscordAPIError) return judgeFault(error);
  if (error instanceof HTTPError) return judgeFault({ status: error.status, code: 0, message: error.message });
  const name = networkFault(error);
  const failed = { status: "failed", reason: `the request to Discord failed: ${name}`, retry: true } as const;
  return neverLeft.has(name) ? failed : { ...failed, mayHaveArrived: true };
}
