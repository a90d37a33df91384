/**
 * Turns that begin with the append of their message. What comes from outside to a session in which nothing waits, of an agent that could begin
 * its turn at once, need not be stored before the store is asked what the turn begins with: the append counts the first delivery in its own
 * transaction, and the reading follows it without a message from here (ADR 0081).
 *
 *   early ──stored──► beginning, with what the store has said meanwhile
 *     └──a duplicate, or not stored──► nothing was begun
 *
 * Nothing of the turn is delivered before its message is stored. Until then it holds its session's lane and its place, as any turn that begins.
 */
import type { Admission } from "./admit.ts";
import { openInChain } from "./chains.ts";
import { policyOf, sessionDepth } from "./depth.ts";
import { beginTurn, isFull, pump, pumpWanting } from "./dispatch.ts";
import type { EnvelopeHeader } from "./envelope.ts";
import { laneOf, stateOf } from "./lanes.ts";
import { hasPlace, type LaneState } from "./places.ts";
import type { AgentEntry, KernelState, Mail } from "./state.ts";
import { type Begun, begun, freePlaces } from "./turns.ts";

/** Asked once the message has its place in the mailbox. */
export function mayBeginEarly(k: KernelState, agent: AgentEntry, admission: Admission, nowMs: number): boolean {
  const { sessionKey, replaces, releases, fires, follows, holdMs } = admission;
  if (agent.phase !== "live" || agent.disabled !== undefined || agent.leaving !== undefined) return false;
  if (replaces !== undefined || releases !== undefined || fires !== undefined || follows !== undefined) return false;
  if (holdMs !== undefined || sessionDepth(agent, sessionKey) > 1 || agent.lanes.has(sessionKey)) return false;
  if (k.draining || agent.order !== undefined || agent.run !== undefined) return false;
  // Whether there is room in memory, or on the disk alone, is known when it is stored.
  if (policyOf(k, agent).overflow === "spill") return false;
  if (agent.suspects > 0 || nowMs < agent.notBeforeMs || isFull(k, agent)) return false;
  const places = stateOf(k, laneOf(admission));
  if (places === undefined) return true;
  return (
    agent.turns.size < k.settings.limits.turnsPerCellMax && hasPlace(k, places, agent.spec.id) && !isWanted(places)
  );
}

const isWanted = ({ first, wanting }: LaneState): boolean => first !== undefined || wanting.size > 0;

/** The store has answered, perhaps before the journal: then what it says is for later. */
export function begunInTime(k: KernelState, agentId: string, turn: number, result: Begun, nowMs: number): void {
  const early = k.agents.get(agentId)?.turns.get(turn)?.early;
  if (early === undefined) begun(k, agentId, turn, result, nowMs);
  else early.said = result;
}

/** The append was asked for just now. */
export function beginEarly(k: KernelState, agent: AgentEntry, mail: Mail, nowMs: number): void {
  const { sessionKey } = mail.envelope.header;
  const lane = { key: sessionKey, queue: [mail], running: undefined, quietAtMs: undefined };
  agent.lanes.set(sessionKey, lane);
  k.astir.add(agent);
  beginTurn(k, agent, lane, stateOf(k, laneOf(mail.envelope.header)), nowMs, true);
}

/** The journal has answered. Gives the mail of the turn that began with the append; undefined: none did. */
export function appendedEarly(
  k: KernelState,
  agent: AgentEntry,
  { id, sessionKey }: EnvelopeHeader,
  isStored: boolean,
  nowMs: number,
): Mail | undefined {
  const turn = agent.lanes.get(sessionKey)?.running;
  if (turn?.early === undefined || turn.mail.envelope.header.id !== id) return undefined;
  const { said } = turn.early;
  turn.early = undefined;
  if (isStored) {
    k.mail.set(id, turn.mail);
    openInChain(k, turn.mail.envelope.header);
    if (said !== undefined) begun(k, agent.spec.id, turn.number, said, nowMs);
    return turn.mail;
  }
  agent.turns.delete(turn.number);
  if (turn.mail.suspect) agent.suspects--;
  freePlaces(k, agent, turn);
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
  return turn.mail;
}
