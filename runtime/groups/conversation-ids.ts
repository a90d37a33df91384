/** The names under which the configuration may write about one conversation, in their compared form, the most specific one first. */
import type { Peer } from "../../channels/port.ts";
import { roomCase, splitTopic } from "../routing/session-key.ts";
import { normalizeSender } from "./rules.ts";

export interface ConversationFacts {
  readonly channel: string;
  readonly peer: Peer;
  /** The peer that a thread hangs from. */
  readonly parentPeer?: Peer;
  /** Of platforms that have guilds; absent: there is none, or nobody knows it. */
  readonly guildId?: string;
}

/** Of a person: the sender; of a room: its id, that of the room whose topic it is, then those of the room that it hangs from. */
export function conversationIds({ channel, peer, parentPeer }: ConversationFacts): readonly string[] {
  if (peer.kind === "direct") return [normalizeSender(channel, peer.id)];
  return [...roomIds(channel, peer), ...roomIds(channel, parentPeer)];
}

export function roomIds(channel: string, peer: Peer | undefined): readonly string[] {
  if (peer === undefined || peer.kind === "direct" || peer.id.trim() === "") return [];
  const id = roomCase(channel, peer.id);
  const { roomId } = splitTopic(id);
  return id === roomId ? [id] : [id, roomId];
}
