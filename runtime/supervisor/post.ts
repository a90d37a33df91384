/** A text leaves through its channel: handed to the thread of that, or to the edge, which holds the webhook's client. */
import { takeMediaLines, withButtonWords } from "../../channels/media.ts";
import type { Button, OutboundMessage, SendResult } from "../../channels/port.ts";
import { findManifest, type WithOwnChannels } from "../config/manifests.ts";
import type { EdgeForKernel } from "../edge/port.ts";
import { urlChannel } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Deliver } from "./answers.ts";
import type { ChannelDesk } from "./channels/channel-desk.ts";
import { formatTraceparent } from "./trace-context.ts";

/** Gives the platform's id of the message. */
export type Post = (
  about: Parameters<Deliver>[0],
  route: Parameters<Deliver>[1],
  text: string,
  leftAtMs?: number,
  buttons?: readonly Button[],
) => Promise<string | undefined>;

/** A text of an envelope as its channel gets it. */
export type MessageOf = (
  about: Parameters<Deliver>[0],
  route: Parameters<Deliver>[1],
  text: string,
  buttons?: readonly Button[],
) => OutboundMessage;

export function makeMessageOf(
  config: WithOwnChannels,
  workspaceOf: (agentId: string) => string | undefined,
): MessageOf {
  /** Files are named in lines of the text, so that what is kept and sent again has them as well. */
  const contentOf = (channel: string, agentId: string, text: string): Pick<OutboundMessage, "text" | "files"> => {
    const workspace = workspaceOf(agentId);
    if (workspace === undefined || !carriesFiles(config, channel)) return { text };
    const { text: said, paths } = takeMediaLines(text, limits.channelFilesMax);
    return paths.length === 0 ? { text } : { text: said, files: paths.map((path) => ({ workspace, path })) };
  };

  return (about, { channel, ...route }, text, buttons) => ({
    idempotencyKey: about.id,
    channel,
    accountId: route.accountId,
    peer: { kind: route.peerKind, id: route.peerId },
    ...(route.threadId === undefined ? {} : { threadId: route.threadId }),
    ...(route.inReplyTo === undefined ? {} : { inReplyTo: route.inReplyTo }),
    agentId: about.agentId,
    sessionKey: about.sessionKey,
    ...contentOf(channel, about.agentId, channel === "webhook" ? withButtonWords(text, buttons) : text),
    ...(buttons === undefined ? {} : { buttons }),
    ...(about.trace === undefined ? {} : { traceparent: formatTraceparent(about.trace, about.id) }),
  });
}

export function makePost(
  findEdge: () => Pick<EdgeForKernel, "send"> | undefined,
  channels: Pick<ChannelDesk, "send">,
  messageOf: MessageOf,
  toUrl: (message: OutboundMessage) => Promise<SendResult>,
): Post {
  const throughEdge = (message: OutboundMessage): Promise<SendResult> => {
    const edge = findEdge();
    if (edge === undefined) throw failure("CLOISTER_THREAD_LOST", "the edge is not up");
    return edge.send(message);
  };
  return async (about, route, text, leftAtMs, buttons) => {
    const message = messageOf(about, route, text, buttons);
    const result = await (route.channel === "webhook"
      ? throughEdge(message)
      : route.channel === urlChannel
        ? toUrl(message)
        : channels.send(message, leftAtMs));
    if (result.status === "failed") throw failure("CLOISTER_GATEWAY_UNREACHABLE", result.reason);
    return result.platformMessageId;
  };
}

/** Whether files leave through this channel. */
export const carriesFiles = (config: WithOwnChannels, channel: string): boolean =>
  findManifest(config, channel)?.capabilities.media === true;
