/**
 * Which agents of a broadcast run, round by round. Pure: places are taken before anybody is started, so that no order of
 * answers can start more turns than the entry allows.
 *
 *     round 1: the agents that the message names, or all
 *     round n: the agents that replies of round n-1 name, or who ran then; each sees the others' replies and may pass.
 *              Only of those whom the entry has answer to the agent that replied (`triggers`)
 *     the end: no reply that somebody else could answer, no round left, or no turn left
 *
 * Source: behaviour §2.8; needs A13.1.
 */
import type { Peer } from "../../channels/port.ts";
import { roomCase } from "../routing/session-key.ts";
import type { RoomLine } from "./room-frames.ts";
import type { MentionPatterns } from "./mentions.ts";
import type { BroadcastEntry } from "./rules.ts";

export interface AgentReply {
  readonly agentId: string;
  readonly text: string;
  /** The envelope whose turn replied. */
  readonly envelopeId: string;
}

export interface Launch {
  readonly agentId: string;
  /** What the others replied since its last turn; empty in the first round. */
  readonly replies: readonly AgentReply[];
}

export interface Round {
  readonly number: number;
  readonly launches: readonly Launch[];
  /** Agents that would have run and for which no turn is left. */
  readonly leftOut: readonly string[];
}

export function findBroadcast(
  entries: readonly BroadcastEntry[],
  { channel, peer }: { readonly channel: string; readonly peer: Peer },
): BroadcastEntry | undefined {
  if (entries.length === 0) return undefined;
  const peerId = roomCase(channel, peer.id);
  return entries.find((entry) => entry.channel === channel && entry.peerId === peerId);
}

/** Those that the message names, or all. */
export function agentsOfBroadcast(entry: BroadcastEntry, text: string, addresses: Addresses): readonly string[] {
  const named = entry.mentionGating ? entry.agents.filter((id) => addresses(id, text)) : [];
  return named.length > 0 ? named : entry.agents;
}

export interface Broadcast {
  /** The first round. */
  readonly first: Round;
  /** What the agents of the last round replied, in the order in which they were started; undefined when it is over. */
  next(replies: readonly AgentReply[]): Round | undefined;
}

type Addresses = MentionPatterns["addresses"];

/** What one agent says is shown to all others in any case; this is whose turn it may begin. */
function triggers({ triggers: rules }: BroadcastEntry, by: string, id: string): boolean {
  return by !== id && (Object.hasOwn(rules, by) ? (rules[by] ?? []).includes(id) : true);
}

export function makeBroadcast(entry: BroadcastEntry, text: string, addresses: Addresses): Broadcast {
  let turnsLeft = entry.maxTurns;
  let number = 1;
  const said: AgentReply[] = [];
  /** How much of `said` each agent was given. */
  const seen = new Map<string, number>();

  const takePlaces = (agentIds: readonly string[]): Round => {
    const taken = agentIds.slice(0, turnsLeft);
    turnsLeft -= taken.length;
    const launches = taken.map((agentId) => {
      const replies = said.slice(seen.get(agentId) ?? 0).filter((reply) => reply.agentId !== agentId);
      seen.set(agentId, said.length);
      return { agentId, replies };
    });
    return { number, launches, leftOut: agentIds.slice(taken.length) };
  };

  const first = takePlaces(agentsOfBroadcast(entry, text, addresses));
  let last = first.launches.map(({ agentId }) => agentId);

  return {
    first,
    next(replies) {
      said.push(...replies);
      if (replies.length === 0 || number >= entry.maxRounds) return undefined;
      const hasNews = (id: string): boolean =>
        said.slice(seen.get(id) ?? 0).some((reply) => triggers(entry, reply.agentId, id));
      const answered = entry.mentionGating
        ? entry.agents.filter((id) =>
            replies.some((reply) => triggers(entry, reply.agentId, id) && addresses(id, reply.text)),
          )
        : [];
      const wanted = (answered.length > 0 ? answered : last).filter(hasNews);
      if (wanted.length === 0) return undefined;
      number += 1;
      const round = takePlaces(wanted);
      last = round.launches.map(({ agentId }) => agentId);
      return round;
    },
  };
}

/** Attributed by the agents' ids, which nobody can choose to look like another's. */
export function digestLines(replies: readonly AgentReply[]): readonly RoomLine[] {
  return replies.map(({ agentId, text }) => ({ speaker: agentId, isAgent: true, text }));
}
