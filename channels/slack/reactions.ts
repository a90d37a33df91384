/** A reaction of somebody as Slack tells of it (`reaction_added`, `reaction_removed`). Pure. Source: Slack's documentation of its events. */
import type { InboundReaction, PeerKind } from "../port.ts";
import { emojiOf } from "./emoji.ts";
import { at, needed, type Self, teamOfAll, textAt } from "./inbound.ts";

/** What is not in the event itself is asked for: the kind of the place, and the person's name. */
export interface SlackReaction {
  readonly channelId: string;
  readonly facts: Omit<InboundReaction, "peer">;
  /** The workspace of the person. Undefined: the event does not tell. */
  readonly senderTeamId: string | undefined;
}

/** Undefined: none, the account's own, or one at something else than a message. @throws TypeError when it lacks what every reaction has */
export function readReaction(payload: unknown, self: Self): SlackReaction | undefined {
  const event = textAt(payload, "type") === "event_callback" ? at(payload, "event") : undefined;
  const type = textAt(event, "type");
  if (type !== "reaction_added" && type !== "reaction_removed") return undefined;
  const item = at(event, "item");
  const userId = needed(event, "user");
  if (textAt(item, "type") !== "message" || userId === self.userId) return undefined;
  const ts = needed(event, "event_ts");
  const author = textAt(event, "item_user");
  const teamId = textAt(payload, "team_id");
  return {
    channelId: needed(item, "channel"),
    senderTeamId: teamOfAll(payload, self),
    facts: {
      id: `reaction:${ts}`,
      ...(teamId === undefined ? {} : { teamId }),
      sender: { id: userId },
      selfId: self.userId,
      onMessageId: needed(item, "ts"),
      ...(author === undefined ? {} : { isOwn: author === self.userId }),
      emoji: emojiOf(needed(event, "reaction")),
      isTakenBack: type === "reaction_removed",
      tsMs: Math.round(Number(ts) * 1000),
    },
  };
}

export function placeReaction(
  { channelId, facts }: SlackReaction,
  kind: PeerKind,
  name: string | undefined,
): InboundReaction {
  const { sender } = facts;
  return {
    ...facts,
    peer: { kind, id: kind === "direct" ? sender.id : channelId },
    sender: name === undefined ? sender : { ...sender, name: name.slice(0, 256) },
  };
}
