/**
 * The places of a lane: who holds how many, and who wants one. An agent holds at most as many as its own bound in the lane says
 * (`AgentSpec.lanes`). Free ones go to the agents that want one in turn, to each as many in a row as its weight says; who is at its
 * own bound stands beside the row until it gives one back, so that it holds up nobody.
 *
 * A sub-agent's run counts for the agent as which it works. Runs of one agent get their places in the order in which they came.
 */
import type { AgentEntry, KernelState } from "./state.ts";

export interface LaneState {
  readonly name: string;
  places: number;
  /** Turns and runs that hold one. */
  running: number;
  /** The same by agent; who holds none is not in it. */
  readonly held: Map<string, number>;
  /**
   * Agents with work that only lacks a place, in the order in which they get one, each with the places that it still gets
   * before its turn is over: that is the fairness between agents.
   */
  readonly wanting: Map<string, number>;
  /** The one whose turn in the row has begun and is not over. */
  first: readonly [agentId: string, left: number] | undefined;
  /** Agents that want one and hold as many as they may. */
  readonly atBound: Set<string>;
  /** Runs that want one, by the agent as which they work, in the order in which they came. */
  readonly runs: Map<string, Set<AgentEntry>>;
}

export function makeLane(name: string, places: number): LaneState {
  return {
    name,
    places,
    running: 0,
    held: new Map(),
    wanting: new Map(),
    first: undefined,
    atBound: new Set(),
    runs: new Map(),
  };
}

/** Whose places the work of the entry takes. */
export function placesOf({ run, spec }: AgentEntry): string {
  return run?.row.agentId ?? spec.id;
}

/** Whether the agent can have a further place now. */
export function hasPlace(k: KernelState, lane: LaneState, agentId: string): boolean {
  return lane.running < lane.places && !isAtBound(k, lane, agentId);
}

export function isAtBound(k: KernelState, lane: LaneState, agentId: string): boolean {
  const bound = k.agents.get(agentId)?.spec.lanes?.[lane.name];
  return bound !== undefined && (lane.held.get(agentId) ?? 0) >= bound;
}

export function takePlace(lane: LaneState, entry: AgentEntry): void {
  const agentId = placesOf(entry);
  lane.running++;
  lane.held.set(agentId, (lane.held.get(agentId) ?? 0) + 1);
}

export function freePlace(k: KernelState, lane: LaneState, entry: AgentEntry): void {
  const agentId = placesOf(entry);
  const held = (lane.held.get(agentId) ?? 0) - 1;
  lane.running--;
  if (held > 0) lane.held.set(agentId, held);
  else lane.held.delete(agentId);
  leaveBound(k, lane, agentId);
}

/** At the end of the row, unless its agent has a place in it. */
export function wantPlace(k: KernelState, lane: LaneState, entry: AgentEntry): void {
  const agentId = placesOf(entry);
  if (entry.run !== undefined) {
    const runs = lane.runs.get(agentId);
    if (runs === undefined) lane.runs.set(agentId, new Set([entry]));
    else runs.add(entry);
  }
  standInRow(k, lane, agentId);
}

interface Next {
  readonly entry: AgentEntry;
  readonly agentId: string;
  /** Places that it gets in a row, with this one. */
  readonly left: number;
}

/** Who gets the next free place; undefined: nobody wants one. */
export function nextInRow(k: KernelState, lane: LaneState): Next | undefined {
  // Asked for each lane with every message and every end of a turn, and mostly nobody waits.
  while (lane.first !== undefined || lane.wanting.size > 0) {
    const [next = lane.first] = lane.first === undefined ? lane.wanting : [];
    if (next === undefined) return undefined;
    const [agentId, left] = next;
    lane.first = undefined;
    lane.wanting.delete(agentId);
    // A turn of it went on after a wait, which is always let: that may have been its last place.
    if (isAtBound(k, lane, agentId)) {
      lane.atBound.add(agentId);
      continue;
    }
    const entry = takeRun(lane, agentId) ?? k.agents.get(agentId);
    if (entry !== undefined) return { entry, agentId, left };
  }
  return undefined;
}

/**
 * What `nextInRow` gave has begun what it could: its agent stands at the end of the row when it wants more, or stays the first when
 * its weight says so. `hasTaken`: the place is used.
 */
export function afterPlace(k: KernelState, lane: LaneState, { agentId, left }: Next, hasTaken: boolean): void {
  if (lane.runs.has(agentId)) standInRow(k, lane, agentId);
  if (hasTaken && left > 1 && lane.wanting.delete(agentId)) lane.first = [agentId, left - 1];
}

/** Its bounds are others: it may have places that it did not have. */
export function boundsChanged(k: KernelState, agentId: string): void {
  for (const lane of k.lanes.values()) leaveBound(k, lane, agentId);
}

/** The agent is out of service, or the run over: it wants no places. Its agent, and other runs of that, go on. */
export function wantsNoPlace(k: KernelState, entry: AgentEntry): void {
  const agentId = placesOf(entry);
  for (const lane of k.lanes.values()) {
    const runs = lane.runs.get(agentId);
    if (entry.run !== undefined && runs?.delete(entry) !== true) continue;
    if (runs?.size === 0) lane.runs.delete(agentId);
    if (lane.runs.has(agentId)) continue;
    lane.wanting.delete(agentId);
    lane.atBound.delete(agentId);
    if (lane.first?.[0] === agentId) lane.first = undefined;
  }
}

function standInRow(k: KernelState, lane: LaneState, agentId: string): void {
  if (isAtBound(k, lane, agentId)) lane.atBound.add(agentId);
  else if (lane.first?.[0] !== agentId && !lane.wanting.has(agentId))
    lane.wanting.set(agentId, k.agents.get(agentId)?.spec.weight ?? 1);
}

function leaveBound(k: KernelState, lane: LaneState, agentId: string): void {
  if (!isAtBound(k, lane, agentId) && lane.atBound.delete(agentId)) standInRow(k, lane, agentId);
}

function takeRun(lane: LaneState, agentId: string): AgentEntry | undefined {
  const runs = lane.runs.get(agentId);
  const [run] = runs ?? [];
  if (run === undefined) return undefined;
  runs?.delete(run);
  if (runs?.size === 0) lane.runs.delete(agentId);
  return run;
}
