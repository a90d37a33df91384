/** In which conversation of a channel a turn or a session is, for what the configuration says about it. */
import type { Peer } from "../../channels/port.ts";
import type { ConversationFacts } from "../groups/index.ts";
import type { EnvelopeHeader, Principal, ReplyRoute } from "../kernel/envelope.ts";
import { isSubagentKey, parseSessionKey } from "../routing/index.ts";

/** Undefined: in none, as the main session of which nobody on a channel wrote, or in that of somebody's sub-agent, which is told its task alone. */
export function factsOfTurn({
  from,
  sessionKey,
}: Pick<EnvelopeHeader, "from" | "sessionKey">): ConversationFacts | undefined {
  if (isSubagentKey(sessionKey)) return undefined;
  return from.type === "channel" ? factsOfSender(from) : factsOfKey(sessionKey);
}

/** Where people read a session: where it was last written to, else what its key names. */
export const factsOfSession = (sessionKey: string, route: ReplyRoute | undefined): ConversationFacts | undefined =>
  isSubagentKey(sessionKey) ? undefined : (factsOfRoute(route) ?? factsOfKey(sessionKey));

/** Undefined: it leads to no channel. */
export function factsOfRoute(route: ReplyRoute | undefined): ConversationFacts | undefined {
  if (route?.type !== "channel") return undefined;
  const { channel, peerKind, peerId, parentPeer, guildId } = route;
  return factsOf(channel, { kind: peerKind, id: peerId }, parentPeer, guildId);
}

export function factsOfSender({
  channel,
  peer,
  parentPeer,
  guildId,
}: Extract<Principal, { type: "channel" }>): ConversationFacts | undefined {
  const read = readPeer(peer);
  return read === undefined ? undefined : factsOf(channel, read, parentPeer, guildId);
}

function factsOf(
  channel: string,
  peer: Peer,
  parentPeer: string | undefined,
  guildId: string | undefined,
): ConversationFacts {
  const parent = parentPeer === undefined ? undefined : readPeer(parentPeer);
  return {
    channel,
    peer,
    ...(parent === undefined ? {} : { parentPeer: parent }),
    ...(guildId === undefined ? {} : { guildId }),
  };
}

/** What it names, if that is a conversation of a channel. */
export function factsOfKey(sessionKey: string): ConversationFacts | undefined {
  const parsed = parseSessionKey(sessionKey);
  if (parsed.shape !== "agent") return undefined;
  const { session } = parsed;
  if (session.type === "room") {
    const { channel, kind, roomId, topicId } = session;
    return { channel, peer: { kind, id: topicId === undefined ? roomId : `${roomId}:topic:${topicId}` } };
  }
  if (session.type !== "dm" || session.scope === "per-peer") return undefined;
  return { channel: session.channel, peer: { kind: "direct", id: session.peerId } };
}

const kinds: readonly Peer["kind"][] = ["direct", "group", "channel"];

/** As a principal names it: `<kind>:<id>`. */
function readPeer(peer: string): Peer | undefined {
  const [name, ...rest] = peer.split(":");
  const kind = kinds.find((one) => one === name);
  return kind && { kind, id: rest.join(":") };
}
