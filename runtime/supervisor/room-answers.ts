/** Answers of turns as the conversation has them that they belong to. */
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import type { ChannelRoute } from "./answers.ts";
import type { Answered } from "./channel-mail.ts";

/** One that its channel has taken. */
export function answerDelivered(
  about: Pick<EnvelopeHeader, "id" | "agentId">,
  route: ChannelRoute,
  text: string,
  platformMessageId?: string,
): Answered {
  const { channel, accountId, peerKind, peerId, threadId } = route;
  return {
    envelopeId: about.id,
    agentId: about.agentId,
    channel,
    accountId,
    peer: { kind: peerKind, id: peerId },
    ...(threadId === undefined ? {} : { threadId }),
    text,
    ...(platformMessageId === undefined ? {} : { platformMessageId }),
  };
}

/** One that leaves through no channel: whoever waits for it, or reads the session, has it. Undefined: there is none of a channel. */
export function answerInSession(
  { id, agentId, from, replyRoute }: EnvelopeHeader,
  outcome: Outcome,
): Answered | undefined {
  if (outcome.status !== "ok" || replyRoute.type !== "none" || from.type !== "channel") return undefined;
  const { channel, accountId, peer, threadId } = from;
  const [kind = "", ...rest] = peer.split(":");
  if (kind !== "group" && kind !== "channel") return undefined;
  return {
    envelopeId: id,
    agentId,
    channel,
    accountId,
    peer: { kind, id: rest.join(":") },
    ...(threadId === undefined ? {} : { threadId }),
    text: outcome.text,
  };
}
