/**
 * Which turn starts next. A turn takes its session's lane first, then a place: of the agent, and of lane `main` when it was
 * started from outside. Mail from another agent runs in the nested lane of its target session and needs no place in `main`,
 * so that a sender that waits cannot starve the one that it waits for. A turn that waits for an ask gives its places back.
 */
import type { AgentEntry, KernelState, Mail, SessionLane, Turn } from "./state.ts";

/** Starts every turn of the agent that may start now. Call it whenever its mail arrives or its cell is ready. */
export function pump(k: KernelState, agent: AgentEntry, nowMs: number): void {
  startTurns(k, agent, nowMs, Number.POSITIVE_INFINITY);
}

/** A place became free: every agent that wants one gets one chance, in turn, so that a long queue does not take them all. */
export function pumpWanting(k: KernelState, nowMs: number): void {
  for (const agentId of [...k.wanting]) {
    k.wanting.delete(agentId);
    const agent = k.agents.get(agentId);
    if (agent !== undefined) startTurns(k, agent, nowMs, 1);
  }
}

/** Puts a session with mail and no running turn where `startTurns` finds it. */
export function markReady(agent: AgentEntry, lane: SessionLane): void {
  const next = lane.queue[0];
  if (lane.running !== undefined || next === undefined) return;
  (usesMainLane(next) ? agent.readyMain : agent.readyNested).add(lane);
}

function startTurns(k: KernelState, agent: AgentEntry, nowMs: number, most: number): void {
  if (agent.readyMain.size === 0 && agent.readyNested.size === 0) return;
  if (agent.phase === "dormant") {
    activate(k, agent, nowMs);
    return;
  }
  if (agent.phase !== "live") return;
  for (const lane of agent.readyNested) {
    if (!mayStart(k, agent, lane)) return;
    beginTurn(k, agent, lane);
  }
  let started = 0;
  for (const lane of agent.readyMain) {
    if (!mayStart(k, agent, lane)) return;
    if (started >= most || k.mainRunning >= k.settings.mainLaneConcurrent) {
      k.wanting.add(agent.spec.id);
      return;
    }
    started++;
    beginTurn(k, agent, lane);
  }
}

function mayStart(k: KernelState, agent: AgentEntry, lane: SessionLane): boolean {
  const cellMax = k.settings.limits.turnsPerCellMax;
  const busy = runningTurns(k, agent);
  if (busy >= Math.min(agent.spec.maxConcurrent, cellMax) || agent.turns.size >= cellMax) return false;
  return busy === 0 || !(lane.queue[0]?.suspect === true || hasSuspect(agent));
}

function beginTurn(k: KernelState, agent: AgentEntry, lane: SessionLane): void {
  const mail = lane.queue.shift() as Mail;
  agent.readyMain.delete(lane);
  agent.readyNested.delete(lane);
  const turn = makeTurn(k, agent, mail);
  lane.running = turn;
  if (usesMainLane(mail)) {
    turn.holdsPlace = true;
    k.mainRunning++;
  }
  const { id, sessionKey } = mail.envelope.header;
  k.emit({ type: "begin", agentId: agent.spec.id, turn: turn.number, envelopeId: id, sessionKey, wantState: !agent.loaded.has(sessionKey) });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

export function makeTurn(k: KernelState, agent: AgentEntry, mail: Mail): Turn {
  const turn: Turn = {
    number: k.nextTurn++,
    mail,
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    stage: "beginning",
    attempt: 0,
    holdsPlace: false,
    streamed: 0,
    streamSeq: 0,
    tools: [],
    outcome: undefined,
  };
  agent.turns.set(turn.number, turn);
  return turn;
}

/** Asks the driver for a cell. Waits for the back-off, and for a place among the live cells. */
export function activate(k: KernelState, agent: AgentEntry, nowMs: number): void {
  if (nowMs < agent.notBeforeMs) return;
  if (k.liveCells >= k.settings.liveCellsMax) {
    const idle = [...k.agents.values()].filter((other) => isIdle(other));
    const oldest = idle.toSorted((a, b) => a.lastActivityMs - b.lastActivityMs)[0];
    if (oldest !== undefined) passivate(k, oldest);
    k.wanting.add(agent.spec.id);
    return;
  }
  k.liveCells++;
  agent.incarnation++;
  agent.lastSeq = 0;
  agent.unacked = 0;
  agent.loaded.clear();
  agent.phase = "starting";
  agent.reason = undefined;
  agent.startedAtMs = nowMs;
  const slots = k.pairings.of(`agent:${agent.spec.id}`).map((pairing, index) => ({ slot: index + 1, pairing }));
  agent.slots = new Map(slots.map(({ slot, pairing }) => [slot, pairing.id]));
  k.emit({
    type: "start-cell",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    slots: slots.map(({ slot, pairing }) => ({ slot, object: pairing.object, verbs: pairing.verbs })),
  });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

export function passivate(k: KernelState, agent: AgentEntry): void {
  agent.phase = "stopping";
  k.emit({ type: "stop-cell", agentId: agent.spec.id, incarnation: agent.incarnation, reason: "normal" });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

export function isIdle(agent: AgentEntry): boolean {
  return agent.phase === "live" && agent.turns.size === 0 && agent.readyMain.size === 0 && agent.readyNested.size === 0;
}

export function usesMainLane(mail: Mail): boolean {
  return mail.envelope.header.from.type !== "agent";
}

/** Turns that hold a place of the agent: those that do not wait for an ask. */
function runningTurns(k: KernelState, agent: AgentEntry): number {
  let running = 0;
  for (const turn of agent.turns.values()) {
    if (!turn.mail.volatile && !k.asks.waiting(agent.spec.id, turn.incarnation, turn.number)) running++;
  }
  return running;
}

function hasSuspect(agent: AgentEntry): boolean {
  for (const turn of agent.turns.values()) if (turn.mail.suspect) return true;
  return false;
}
