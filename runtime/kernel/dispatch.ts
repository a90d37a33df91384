/**
 * Which turn starts next. A turn takes its session's lane first, then a place: of the agent, and of the lane that its mail
 * belongs to (`lanes.ts`). Mail from another agent needs none, so that a sender that waits cannot starve the one that it waits
 * for. A turn that waits for an ask gives its places back.
 *
 * Places that become free go to the agents that want one in turn (`places.ts`): how much mail an agent has makes no difference to
 * what the others wait.
 *
 * After a crash the agent is in quarantine until the mail that was in the cell has ended: one turn at a time, also when it
 * waits, so that the next crash tells which envelope caused it. What the lone turn holds up counts as waiting for it
 * (`waits.ts`), so that no ask waits for what cannot start.
 */
import { crashedLately } from "./agent-entry.ts";
import { gather } from "./company.ts";
import { laneOf, readyOf, stateOf } from "./lanes.ts";
import { afterPlace, hasPlace, type LaneState, nextInRow, takePlace, wantPlace } from "./places.ts";
import { takeRunPlace } from "./run-lane.ts";
import type { AgentEntry, ExitReason, KernelState, Mail, SessionLane, Turn } from "./state.ts";

/** Starts every turn of the agent that may start now. Call it whenever its mail arrives or its cell is ready. */
export function pump(k: KernelState, agent: AgentEntry, nowMs: number): void {
  startTurns(k, agent, nowMs, undefined);
}

/**
 * Places became free: the agents that want one get theirs, in turn. Who had as many as its weight says goes to the end of the row;
 * who got none keeps its position, so that a long queue of one agent does not take every place.
 */
export function pumpWanting(k: KernelState, nowMs: number): void {
  for (const [name, lane] of k.lanes) {
    while (lane.running < lane.places) {
      const next = nextInRow(k, lane);
      if (next === undefined) break;
      const before = lane.running;
      startTurns(k, next.entry, nowMs, name);
      afterPlace(k, lane, next, lane.running > before);
    }
  }
}

/** A cell ended: agents that waited for a place among the live ones, first come first served. */
export function pumpWantingCells(k: KernelState, nowMs: number): void {
  for (const agentId of k.wantingCells) {
    if (k.liveCells >= k.settings.liveCellsMax) return;
    k.wantingCells.delete(agentId);
    const agent = k.agents.get(agentId);
    if (agent !== undefined) pump(k, agent, nowMs);
  }
}

/** Puts a session with mail and no running turn where `startTurns` finds it, and any other out of its sight. */
export function markReady(agent: AgentEntry, lane: SessionLane): void {
  const first = lane.running === undefined ? lane.queue[0] : undefined;
  const waits = first?.held === true || (first?.mode === "collect" && lane.quietAtMs !== undefined);
  const next = waits ? undefined : first;
  const wanted = next === undefined ? undefined : readyOf(agent, laneOf(next.envelope.header));
  for (const ready of agent.ready.values()) if (ready !== wanted) ready.delete(lane);
  wanted?.add(lane);
}

/** `one`: a single place of this lane became free, and the agent was the first that wanted it. */
function startTurns(k: KernelState, agent: AgentEntry, nowMs: number, one: string | undefined): void {
  stopIfEmpty(k, agent);
  if (nowMs < agent.notBeforeMs) return;
  if (agent.run !== undefined && (!hasReady(agent) || !takeRunPlace(k, agent, one !== undefined))) return;
  if (agent.phase === "dormant") {
    if (hasStartable(k, agent) || (staysLive(agent) && !k.draining)) activate(k, agent, nowMs);
    return;
  }
  if (agent.phase !== "live") return;
  // During a drain, and before an order is carried out, only what a turn in flight waits for.
  const closing = k.draining || agent.order !== undefined;
  for (const [name, ready] of agent.ready) {
    if (one !== undefined && name !== one && agent.run === undefined) continue;
    // A run has its place before its cell starts, whatever its mail is (`run-lane.ts`).
    const places = agent.run === undefined ? stateOf(k, name) : undefined;
    for (const lane of ready) {
      if (isFull(k, agent)) return;
      if (closing && !isAnswer(k, lane)) continue;
      if (places !== undefined) {
        if (inHand(agent) >= k.settings.limits.turnsPerCellMax) return;
        if (!hasPlace(k, places, agent.spec.id)) {
          wantPlace(k, places, agent);
          break;
        }
      }
      beginTurn(k, agent, lane, places, nowMs);
      if (one === undefined) continue;
      if (ready.size > 0 && places !== undefined) wantPlace(k, places, agent);
      return;
    }
  }
}

/** A turn in flight waits for what the session has to say; what came from outside is not begun for it. */
function isAnswer(k: KernelState, lane: SessionLane): boolean {
  return lane.queue[0]?.envelope.header.from.type === "agent" && k.asks.isAwaited(lane.key);
}

/** Whether a cell would have something to do. */
function hasStartable(k: KernelState, agent: AgentEntry): boolean {
  if (!k.draining) return hasReady(agent);
  for (const ready of agent.ready.values()) for (const lane of ready) if (isAnswer(k, lane)) return true;
  return false;
}

/** No lane can start a turn, whichever it is. */
export function isFull(k: KernelState, agent: AgentEntry): boolean {
  if (agent.suspects > 0 && inHand(agent) > 0) return true;
  return runningTurns(k, agent) >= Math.min(agent.spec.maxConcurrent, k.settings.limits.turnsPerCellMax);
}

/** The first mail of the lane, which has one. `isEarly`: it is on its way to the journal (`early-turns.ts`). */
export function beginTurn(
  k: KernelState,
  agent: AgentEntry,
  lane: SessionLane,
  places: LaneState | undefined,
  nowMs: number,
  isEarly = false,
): void {
  const mail = lane.queue.shift();
  if (mail === undefined) return;
  const turn = makeTurn(agent, mail, k.nextTurn++, agent.incarnation, nowMs);
  if (isEarly) turn.early = { said: undefined };
  gather(k, lane, turn, nowMs);
  lane.running = turn;
  markReady(agent, lane);
  if (agent.run !== undefined) agent.run.startedAtMs ??= nowMs;
  if (places !== undefined) {
    turn.holdsPlace = true;
    takePlace(places, agent);
  }
  const { id, sessionKey } = mail.envelope.header;
  const waitedMs = nowMs - mail.atMs;
  if (waitedMs > k.settings.limits.queuedNoticeMs)
    k.emit({ type: "waited", header: mail.envelope.header, lane: laneOf(mail.envelope.header), waitedMs });
  k.emit({
    type: "begin",
    agentId: agent.spec.id,
    turn: turn.number,
    envelopeId: id,
    sessionKey,
    wantState: !agent.loaded.has(sessionKey),
    header: mail.envelope.header,
    ...(isEarly ? { isEarly } : {}),
  });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

export function makeMail(
  k: KernelState,
  {
    header,
    atMs,
    volatile,
    suspect,
    mode,
  }: Pick<Mail, "atMs" | "volatile" | "suspect" | "mode"> & Pick<Mail["envelope"], "header">,
): Mail {
  return {
    envelope: { header },
    volatile,
    order: k.nextOrder++,
    atMs,
    suspect,
    convicted: false,
    aborted: false,
    mode,
    shortened: false,
    held: false,
    goesOn: false,
    offer: undefined,
  };
}

export function makeTurn(agent: AgentEntry, mail: Mail, number: number, incarnation: number, nowMs: number): Turn {
  const turn: Turn = {
    number,
    mail,
    taken: [],
    taking: [],
    opening: undefined,
    agentId: agent.spec.id,
    incarnation,
    stage: "beginning",
    attempt: 0,
    early: undefined,
    offer: undefined,
    told: undefined,
    choices: undefined,
    notices: undefined,
    historyTurns: undefined,
    room: undefined,
    answered: undefined,
    modelFailure: undefined,
    holdsPlace: false,
    streamed: 0,
    heldText: "",
    streamSeq: 0,
    rows: [],
    steps: undefined,
    stepChars: 0,
    late: undefined,
    lateSeenMs: undefined,
    lateOnWay: 0,
    held: undefined,
    openSteps: undefined,
    outcome: undefined,
    given: undefined,
    failures: undefined,
    why: undefined,
    endByMs: undefined,
    commit: undefined,
    yielded: undefined,
    tokens: undefined,
    work: { sinceMs: nowMs, toolCalls: 0 },
    context: undefined,
    questions: 0,
    routes: undefined,
  };
  agent.turns.set(turn.number, turn);
  return turn;
}

const noNews: AgentEntry["slotNews"] = [];

/** Asks the driver for a cell, or waits for a place among the live ones. */
function activate(k: KernelState, agent: AgentEntry, nowMs: number): void {
  if (k.liveCells >= k.settings.liveCellsMax) {
    if (k.wantingCells.has(agent.spec.id)) return;
    k.wantingCells.add(agent.spec.id);
    makeRoom(k);
    return;
  }
  k.wantingCells.delete(agent.spec.id);
  k.liveCells++;
  k.astir.add(agent);
  agent.incarnation++;
  agent.lastSeq = 0;
  agent.phase = "starting";
  agent.reason = undefined;
  agent.startedAtMs = nowMs;
  const subject = agent.run === undefined ? `agent:${agent.spec.id}` : agent.spec.id;
  const slots = k.pairings.of(subject).map((pairing, index) => ({ slot: index + 1, pairing }));
  agent.slots = new Map(slots.map(({ slot, pairing }) => [slot, pairing.id]));
  agent.nextSlot = slots.length + 1;
  agent.slotNews = noNews;
  k.emit({
    type: "start-cell",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    homeId: agent.run?.row.agentId ?? agent.spec.id,
    isSuspect: crashedLately(agent, nowMs),
    slots: slots.map(({ slot, pairing }) => ({ slot, object: pairing.object, verbs: pairing.verbs })),
  });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** Ends the cell that was idle for longest, when more agents wait for a cell than are about to give theirs up. */
export function makeRoom(k: KernelState): void {
  let stopping = 0;
  let oldest: AgentEntry | undefined;
  for (const agent of k.agents.made()) {
    if (agent.phase === "stopping") stopping++;
    else if (
      isIdle(agent) &&
      !staysLive(agent) &&
      (oldest === undefined || agent.lastActivityMs < oldest.lastActivityMs)
    )
      oldest = agent;
  }
  if (oldest !== undefined && stopping < k.wantingCells.size) passivate(k, oldest);
}

export function passivate(k: KernelState, agent: AgentEntry): void {
  endCell(k, agent, "normal");
}

/** Ends the cell of an agent that an order waits for, once it has no turn. */
export function stopIfEmpty(k: KernelState, agent: AgentEntry): void {
  if (agent.order !== undefined && agent.phase === "live" && inHand(agent) === 0) endCell(k, agent, "shutdown");
}

export function endCell(k: KernelState, agent: AgentEntry, reason: ExitReason): void {
  agent.phase = "stopping";
  k.emit({ type: "stop-cell", agentId: agent.spec.id, incarnation: agent.incarnation, reason });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

export function isIdle(agent: AgentEntry): boolean {
  if (agent.phase !== "live" || inHand(agent) > 0) return false;
  // A run that wants a place gives its cell to one that has a place and wants a cell: else both would wait for each other.
  return !hasReady(agent) || agent.run?.holdsPlace === false;
}

/** Whether the agent has a thread at the moment: `starting`, `live` or `stopping`. */
export function hasCell(agent: AgentEntry): boolean {
  return agent.phase !== "dormant" && agent.phase !== "parked";
}

/** Whether the cell that the turn began for may still get it. */
export function isServed(agent: AgentEntry, turn: Turn): boolean {
  return turn.incarnation === agent.incarnation && agent.phase === "live" && agent.disabled === undefined;
}

/** Has a cell whether it has mail or not, as long as it is in service. */
export function staysLive({ spec, phase, disabled, leaving }: AgentEntry): boolean {
  const isServing = phase !== "parked" && disabled === undefined && leaving === undefined;
  return spec.supervision.restart === "permanent" && isServing;
}

export function hasReady(agent: AgentEntry): boolean {
  for (const ready of agent.ready.values()) if (ready.size > 0) return true;
  return false;
}

/** Turns of the agent, questions in memory among them. */
export function inHand(agent: AgentEntry): number {
  return agent.isMade ? agent.turns.size + agent.asked.questions : 0;
}

/** Whether the turn waits for an answer. */
export function isWaiting(k: KernelState, turn: Turn): boolean {
  return turn.questions > 0 || k.asks.isWaiting(turn.number);
}

/** Turns that hold a place of the agent: those that do not wait for an ask. */
function runningTurns(k: KernelState, agent: AgentEntry): number {
  let running = 0;
  for (const turn of agent.turns.values()) if (!turn.mail.volatile && !isWaiting(k, turn)) running++;
  return running;
}
