/** Reactions of people to messages, as agents hear of them. Pure; the same for every channel. */
import type { ChannelHost, InboundReaction, ReactionsHeard } from "../../channels/port.ts";

/** `isOwn`: the account wrote the message. */
export function isHeard({ sender }: InboundReaction, isOwn: boolean, heard: ReactionsHeard | undefined): boolean {
  if (heard === undefined) return false;
  if (heard.of === "allowlist") {
    const { senders } = heard;
    return senders.includes("*") || senders.some((one) => one.toLowerCase() === sender.id.toLowerCase());
  }
  return heard.of === "all" || isOwn;
}

/**
 * A message that says who reacted, with what, and to which message. It mentions nobody: in a group that is answered at a mention it is kept as context.
 * What was written there is shown in a direct chat alone, since a word of it could call an agent.
 */
export function describeReaction(
  { id, onMessageId, isOwn: _told, emoji, isTakenBack, ...facts }: InboundReaction,
  ownWords: string | undefined,
): Parameters<ChannelHost["receive"]>[0] {
  const isDirect = facts.peer.kind === "direct";
  const whose = `${ownWords === undefined ? "message" : "your message"} ${onMessageId}`;
  const words = isDirect && ownWords !== undefined && ownWords !== "" ? `: ${JSON.stringify(ownWords)}` : "";
  return {
    ...facts,
    messageId: id,
    ...(isDirect ? {} : { wasMentioned: false }),
    replyTo: onMessageId,
    text: `[reaction ${emoji} ${isTakenBack ? "taken back from" : "to"} ${whose}${words}]`,
  };
}
