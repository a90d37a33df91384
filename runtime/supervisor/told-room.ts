/** What the configuration says of the group that a turn is in (`groups.<id>.systemPrompt`, `skills`), as it is when the turn begins. Source: behaviour §1.8. */
import type { Peer } from "../../channels/port.ts";
import { findRules, findToldRoom, type GroupsConfig } from "../groups/index.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { ToldRoom } from "../kernel/session-choices.ts";
import { isSubagentKey, parseSessionKey } from "../routing/index.ts";
import { readPeer } from "./conversation-facts.ts";

/** Undefined: the conversation is in no group, or nothing is written about it. A sub-agent is told its task and nothing of where that came from. */
export function toldRoomOf(
  groups: GroupsConfig,
  { from, sessionKey }: Pick<EnvelopeHeader, "from" | "sessionKey">,
): ToldRoom | undefined {
  if (isSubagentKey(sessionKey)) return undefined;
  if (from.type === "channel") {
    const { channel, accountId, peer, parentPeer } = from;
    const room = readRoom(peer);
    const parent = parentPeer === undefined ? undefined : readRoom(parentPeer);
    if (room === undefined) return undefined;
    const facts = { channel, peer: room, ...(parent === undefined ? {} : { parentPeer: parent }) };
    return findToldRoom(findRules(groups, channel, accountId), facts);
  }
  const parsed = parseSessionKey(sessionKey);
  if (parsed.shape !== "agent" || parsed.session.type !== "room") return undefined;
  // The key names no account: rules that all of them share hold.
  const { channel, kind, roomId } = parsed.session;
  return findToldRoom(findRules(groups, channel, "*"), { channel, peer: { kind, id: roomId } });
}

/** As a principal names it: `<kind>:<id>`. Undefined: it is a person. */
export function readRoom(peer: string): Peer | undefined {
  const read = readPeer(peer);
  return read?.kind === "direct" ? undefined : read;
}
