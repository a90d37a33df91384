/** What a message of a channel becomes for the accept path. Pure. */
import type { SenderPlace } from "../../auth/senders.ts";
import type { InboundEvent, Peer } from "../../channels/port.ts";
import { normalizeSender } from "../groups/index.ts";
import type { Envelope, Provenance, ReplyRoute, RoomSight, Signal } from "../kernel/envelope.ts";
import type { Admission } from "../kernel/kernel.ts";
import type { TurnChoices } from "../kernel/session-choices.ts";
import { formatGroupHistoryKey, type Route } from "../routing/index.ts";
import type { Conversation } from "./thread-bindings.ts";

/** A message of a channel, or what is left of a command. */
export type Heard = InboundEvent & { readonly signal?: Signal; readonly choices?: TurnChoices };

/** Pending context belongs to a conversation; a thread is one of its own, since it has a session of its own. */
export function roomKey(channel: string, accountId: string, { kind, id }: Peer, threadId: string | undefined): string {
  const key = formatGroupHistoryKey(channel, accountId, kind === "channel" ? "channel" : "group", id);
  return threadId === undefined ? key : `${key}\nthread\n${threadId}`;
}

export const conversationOf = ({ peer, threadId }: InboundEvent, { channel, accountId }: Route): Conversation => ({
  channel,
  accountId,
  peerKind: peer.kind,
  peerId: peer.id,
  ...(threadId === undefined ? {} : { threadId }),
});

export const placeOf = ({ sender }: InboundEvent, { channel, accountId }: Route): SenderPlace => ({
  channel,
  accountId,
  senderId: normalizeSender(channel, sender.id),
});

const aroundOf = ({ parentPeer, guildId }: InboundEvent) => ({
  ...(parentPeer === undefined ? {} : { parentPeer: peerText(parentPeer) }),
  ...(guildId === undefined ? {} : { guildId }),
});

export const peerText = ({ kind, id }: Peer): string => `${kind}:${id}`;

/** The words that operators look for in the log. Source: behaviour §2.7. */
export function dropLine(channel: string, reason: string): string {
  return `drop ${channel === "discord" ? "guild" : "channel"} message (${reason})`;
}

export function makeAdmission(
  event: Heard,
  route: Route,
  body: string,
  key: string | undefined,
  sees: RoomSight | undefined,
  carriesAnswers: boolean,
): Admission {
  const { agentId, sessionKey, channel, accountId } = route;
  return {
    from: {
      type: "channel",
      channel,
      accountId,
      peer: peerText(event.peer),
      ...aroundOf(event),
      ...(event.threadId === undefined ? {} : { threadId: event.threadId }),
      senderId: event.sender.id,
      ...(event.sender.name === undefined ? {} : { senderName: event.sender.name }),
    },
    agentId,
    sessionKey,
    verb: "send",
    via: `door:${channel}:${accountId}`,
    chain: [],
    provenance: provenanceOf(event, route),
    replyRoute: replyRouteOf(event, route, carriesAnswers),
    body,
    ...(event.trace === undefined ? {} : { trace: event.trace }),
    ...(event.signal === undefined ? {} : { signal: event.signal }),
    ...(event.choices === undefined ? {} : { choices: event.choices }),
    ...(sees === undefined ? {} : { sees }),
    ...(key === undefined ? {} : { dedupe: dedupeOf(event, route, key, false) }),
  };
}

/** A message that was not stored, as its dead letter has it. */
export function letterOf(
  { from, agentId, sessionKey, verb, via, chain, trace, provenance, replyRoute, body }: Admission,
  id: string,
  acceptedAtMs: number,
): Envelope {
  const given = { from, agentId, sessionKey, verb, via, chain, provenance, replyRoute };
  return { header: { id, ...given, trace: trace ?? id, runId: id, acceptedAtMs }, body };
}

/** By which a repetition is known; in a broadcast each agent has its own. */
export function dedupeOf(
  event: InboundEvent,
  { channel, accountId, agentId }: Route,
  key: string,
  isBroadcast: boolean,
) {
  return { scope: `${channel}:${accountId}:${peerText(event.peer)}${isBroadcast ? `:${agentId}` : ""}`, key };
}

export function provenanceOf({ sender, messageId }: InboundEvent, { channel, accountId }: Route): Provenance {
  return {
    kind: "external_user",
    sourceChannel: channel,
    accountId,
    senderId: sender.id,
    ...(sender.name === undefined ? {} : { senderName: sender.name }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

export function replyRouteOf(event: InboundEvent, route: Route, carriesAnswers: boolean): ReplyRoute {
  const { messageId } = event;
  if (!carriesAnswers) return { type: "none" };
  return {
    type: "channel",
    ...conversationOf(event, route),
    ...aroundOf(event),
    ...(messageId === undefined ? {} : { inReplyTo: messageId }),
  };
}
