/** What the configuration says of the room that a turn is in (`systemPrompt`, `skills`), as it is when the turn begins. Source: behaviour §1.8. */
import { findRules, findToldRoom, type GroupsConfig } from "../groups/index.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { ToldRoom } from "../kernel/session-choices.ts";
import { factsOfTurn } from "./conversation-facts.ts";

/** Undefined: the conversation is in no room, or nothing is written about it. A sub-agent is told its task and nothing of where that came from. */
export function toldRoomOf(
  groups: GroupsConfig,
  header: Pick<EnvelopeHeader, "from" | "sessionKey">,
): ToldRoom | undefined {
  const facts = factsOfTurn(header);
  if (facts === undefined || facts.peer.kind === "direct") return undefined;
  // A key names no account: rules that all of them share hold.
  const accountId = header.from.type === "channel" ? header.from.accountId : "*";
  return findToldRoom(findRules(groups, facts.channel, accountId), facts);
}
