/**
 * What was said in groups that several agents share, or that one agent has not been given yet, and who has seen how much of it;
 * and what `/activation` said for a session. In the journal's environment, because what an agent has seen moves on in the
 * transaction that journals the envelope which showed it: each line reaches each agent once, whatever crashes in between.
 *
 * Layout (`R` is `keyText` of the room, `A` of the agent's id, `I` of a line's id, `K` of a session key):
 *   ["room", R]             → Room           the number of its next line, and when it was used last
 *   ["room-used", atMs, R]  → 0              order of use: the room that was quiet longest is forgotten first
 *   ["rooms"]               → number of rooms
 *   ["room-row", R, seq]    → RoomRow        the newest ones
 *   ["room-id", R, I]       → seq            by every id of a line
 *   ["room-seen", R, A]     → Seen
 *   ["activation", K]       → "mention" | "always"
 */
import { limits } from "../kernel/limits.ts";
import type { RoomSight } from "../kernel/envelope.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { KeptRow, RoomActivation, RoomQuery, RoomRow, RoomView } from "./rows.ts";

interface Room {
  readonly next: number;
  readonly usedAtMs: number;
}

interface Seen {
  /** Every line up to this one. */
  readonly upto: number;
  /** Lines after it that the agent was given ahead of the room, as a digest. */
  readonly ids: readonly string[];
}

export interface RoomBounds {
  readonly roomsMax: number;
}

/** Inside a transaction. A line whose id, or another of its ids, is there already is not added. `keep` lines are kept, at least one. */
export function addRow(
  environment: Environment,
  room: string,
  row: RoomRow,
  keep: number,
  { roomsMax }: RoomBounds,
): KeptRow {
  const roomText = keyText(room);
  for (const id of idsOf(row)) {
    const seq = environment.get<number>(["room-id", roomText, keyText(id)]);
    const known = seq === undefined ? undefined : environment.get<RoomRow>(["room-row", roomText, seq]);
    if (seq !== undefined && known !== undefined)
      return { status: "known", seq, ...(known.agentId === undefined ? {} : { agentId: known.agentId }) };
  }
  const before = environment.get<Room>(["room", roomText]);
  const seq = before?.next ?? 1;
  if (before === undefined) makePlace(environment, roomsMax);
  else environment.remove(["room-used", before.usedAtMs, roomText]);
  environment.put(["room", roomText], { next: seq + 1, usedAtMs: row.atMs } satisfies Room);
  environment.put(["room-used", row.atMs, roomText], 0);
  environment.put(["room-row", roomText, seq], row);
  for (const id of idsOf(row)) environment.put(["room-id", roomText, keyText(id)], seq);
  const old = environment.entries<RoomRow>({
    start: ["room-row", roomText, 0],
    end: ["room-row", roomText, seq - Math.max(1, keep) + 1],
  });
  for (const { key, value } of Array.from(old)) {
    environment.remove(key);
    for (const id of idsOf(value)) environment.remove(["room-id", roomText, keyText(id)]);
  }
  return { status: "stored", seq };
}

/** Inside a transaction. What was seen never becomes less. */
export function markSeen(environment: Environment, { room, agentId, upto, ids }: RoomSight): void {
  const key = ["room-seen", keyText(room), keyText(agentId)];
  const before = environment.get<Seen>(key) ?? { upto: 0, ids: [] };
  const all = [...before.ids.filter((id) => !ids.includes(id)), ...ids].slice(-limits.roomDigestedIdsMax);
  environment.put(key, { upto: Math.max(before.upto, upto), ids: all } satisfies Seen);
}

export function readRoom(environment: Environment, query: RoomQuery): RoomView {
  const roomText = keyText(query.room);
  const activation = findActivation(environment, query.sessionKey);
  const last = (environment.get<Room>(["room", roomText])?.next ?? 1) - 1;
  const unseen: Record<string, readonly RoomRow[]> = {};
  for (const { agentId, limit } of query.agents)
    unseen[agentId] = last === 0 ? [] : unseenBy(environment, roomText, agentId, limit);
  const found = query.id === undefined ? undefined : environment.get<number>(["room-id", roomText, keyText(query.id)]);
  const isOwn = found !== undefined && environment.get<RoomRow>(["room-row", roomText, found])?.agentId !== undefined;
  return { last, unseen, isOwn, ...(activation === undefined ? {} : { activation }) };
}

/** The newest `limit` lines of others that the agent has not been given, oldest first. */
function unseenBy(environment: Environment, roomText: string, agentId: string, limit: number): readonly RoomRow[] {
  const seen = environment.get<Seen>(["room-seen", roomText, keyText(agentId)]) ?? { upto: 0, ids: [] };
  const rows: RoomRow[] = [];
  const range = { start: ["room-row", roomText, seen.upto, 0], end: ["room-row", roomText, top], reverse: true };
  for (const { value } of environment.entries<RoomRow>(range)) {
    if (rows.length >= limit) break;
    if (value.agentId !== agentId && !seen.ids.includes(value.id)) rows.push(value);
  }
  return rows.toReversed();
}

export function findActivation(environment: Environment, sessionKey: string): RoomActivation | undefined {
  return environment.get<RoomActivation>(["activation", keyText(sessionKey)]);
}

/** Inside a transaction. */
export function setActivation(environment: Environment, sessionKey: string, activation: RoomActivation): void {
  environment.put(["activation", keyText(sessionKey)], activation);
}

/** Inside a transaction: one room more, and the one that was quiet longest less when there are too many. */
function makePlace(environment: Environment, roomsMax: number): void {
  const count = environment.get<number>(["rooms"]) ?? 0;
  if (count < roomsMax) {
    environment.put(["rooms"], count + 1);
    return;
  }
  const [oldest] = environment.entries({ start: ["room-used", 0], end: ["room-used", top], limit: 1 });
  if (oldest === undefined) return;
  const roomText = oldest.key[2] as string;
  environment.remove(oldest.key);
  environment.remove(["room", roomText]);
  for (const kind of ["room-row", "room-id", "room-seen"])
    for (const { key } of Array.from(environment.entries({ start: [kind, roomText], end: [kind, roomText, top] })))
      environment.remove(key);
}

function idsOf({ id, otherId }: RoomRow): readonly string[] {
  return otherId === undefined ? [id] : [id, otherId];
}
