/**
 * The lanes: which turns share which places. A turn takes the lane of its session first, which has one place, and then a place
 * of one lane of the whole gateway. A turn that waits for an ask gives its place back.
 *
 *   lane        places                                turns
 *   session     1 for each session                    all of them
 *   nested      no bound beyond the session's lane    mail between agents: a sender that waits cannot starve its target
 *   subagent    `lanes.subagent`                      work that an agent gave to a child
 *   main        `lanes.main`                          what came from outside: channels, clients, hooks
 *   cron        `lanes.cron`                          timers: a storm of due times leaves the places of people alone
 *   background  `lanes.background`                    reviews, and other work that nobody waits for
 *
 * A lane that is not in the table has one place. Source: behaviour §5.2.
 */
import type { EnvelopeHeader } from "./envelope.ts";
import { type LaneState, makeLane } from "./places.ts";
import type { AgentEntry, KernelState, SessionLane } from "./state.ts";

/** The lanes with places of their own in the whole gateway, in the order in which one agent's turns are started. */
export const sharedLanes = ["subagent", "main", "cron", "background"] as const;
export type SharedLane = (typeof sharedLanes)[number];

const nested = "nested";
const order: readonly string[] = [nested, ...sharedLanes];

/** A row of the snapshot. `per`: whether the places are of each session or of the gateway. */
export interface LaneRow {
  readonly lane: string;
  readonly per: "session" | "gateway";
  readonly places: number;
  /** Turns that hold a place. */
  readonly running: number;
  /** Sessions whose next mail waits for a place, or for its agent. In lane `session`: mail behind a running turn. */
  readonly waiting: number;
}

/**
 * A down is news from one agent to another, and goes as mail between agents does: who supervises others hears it also while
 * `main` and `cron` are full.
 */
export function laneOf({ lane, from }: Pick<EnvelopeHeader, "lane" | "from">): string {
  if (lane !== undefined) return lane;
  if (from.type === "agent" || from.type === "monitor") return nested;
  return from.type === "timer" ? "cron" : "main";
}

export function makeLanes(places: Readonly<Record<SharedLane, number>>): Map<string, LaneState> {
  return new Map(sharedLanes.map((lane) => [lane, makeLane(lane, places[lane])]));
}

/** As many places from now on; turns that hold one keep it. */
export function setPlaces(k: KernelState, places: Readonly<Record<SharedLane, number>>): void {
  for (const lane of sharedLanes) {
    const state = stateOf(k, lane);
    if (state !== undefined) state.places = places[lane];
  }
}

/** Undefined: the lane has no places, its turns need none. */
export function stateOf(k: KernelState, lane: string): LaneState | undefined {
  if (lane === nested) return undefined;
  let state = k.lanes.get(lane);
  if (state === undefined) {
    state = makeLane(lane, 1);
    k.lanes.set(lane, state);
  }
  return state;
}

/** The agent's ready sessions of the lane; its sets stand in the order of the table. */
export function readyOf(agent: AgentEntry, lane: string): Set<SessionLane> {
  let set = agent.ready.get(lane);
  if (set !== undefined) return set;
  set = new Set();
  const all = [...agent.ready, [lane, set] as const].toSorted(([a], [b]) => rank(a) - rank(b));
  agent.ready.clear();
  for (const [name, sessions] of all) agent.ready.set(name, sessions);
  return set;
}

function rank(lane: string): number {
  const at = order.indexOf(lane);
  return at === -1 ? order.length : at;
}

/** All lanes as they stand, for operators. */
export function viewLanes(k: KernelState): readonly LaneRow[] {
  const waiting = new Map<string, number>();
  const add = (lane: string, count: number): void => void waiting.set(lane, (waiting.get(lane) ?? 0) + count);
  let sessions = 0;
  let inNested = 0;
  for (const agent of k.agents.made()) {
    if (!agent.isMade) continue;
    for (const [lane, ready] of agent.ready) add(lane, ready.size);
    for (const { running, queue } of agent.lanes.values()) {
      if (running === undefined) continue;
      sessions++;
      if (laneOf(running.mail.envelope.header) === nested) inNested++;
      add("session", queue.length);
    }
  }
  const row = (lane: string, per: LaneRow["per"], places: number, running: number): LaneRow => {
    return { lane, per, places, running, waiting: waiting.get(lane) ?? 0 };
  };
  return [
    row("session", "session", 1, sessions),
    row(nested, "session", 1, inNested),
    ...[...k.lanes].map(([lane, { places, running }]) => row(lane, "gateway", places, running)),
  ];
}
