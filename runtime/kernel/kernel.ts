/**
 * The kernel's door: one object, methods that take an event and the time. See `state.ts` for what it remembers and emits.
 * Pure: same calls with the same times, random numbers and ids, same effects (promise P10).
 */
import { type Admission, type Appended, admit, appended, enqueue } from "./admit.ts";
import { makeAsks } from "./asks.ts";
import { cellExit, cellReady, disable, tickCells, unpark } from "./cells.ts";
import { isIdle, passivate } from "./dispatch.ts";
import type { AgentPhase, Envelope, Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { down } from "./frames.ts";
import type { PairingRegistry } from "./pairings.ts";
import type { AgentEntry, AgentSpec, AppendTicket, Effect, ExitReason, KernelSettings, KernelState } from "./state.ts";
import { type CheckedSend, receiveFrame, sendAs } from "./syscalls.ts";
import { type Begun, begun, committed, endMail } from "./turns.ts";
import { expireAsks, postRefusal, recalled } from "./waits.ts";

export type { Admission } from "./admit.ts";

export interface AgentView {
  readonly id: string;
  readonly phase: AgentPhase;
  readonly reason: string | undefined;
  readonly activeRuns: number;
  readonly queueDepth: number;
  readonly restarts: number;
  readonly lastActivityMs: number;
  readonly incarnation: number;
}

export type Kernel = ReturnType<typeof makeKernel>;

export function makeKernel(settings: KernelSettings, specs: readonly AgentSpec[], pairings: PairingRegistry, emit: (effect: Effect) => void) {
  const k: KernelState = {
    settings,
    agents: new Map(specs.map((spec) => [spec.id, makeEntry(spec)])),
    pairings,
    asks: makeAsks(),
    mail: new Map(),
    mainRunning: 0,
    liveCells: 0,
    wanting: new Set(),
    nextOrder: 1,
    nextTurn: 1,
    draining: false,
    emit,
  };

  return {
    admit: (admission: Admission, ticket: number, nowMs: number): void => admit(k, admission, ticket, nowMs),
    appended: (envelope: Envelope, ticket: AppendTicket, result: Appended, nowMs: number): void => appended(k, envelope, ticket, result, nowMs),
    /** Mail found in the journal at start. `attempts` > 0: it was in a cell when the process ended. */
    restore(envelope: Envelope, attempts: number, nowMs: number): void {
      const agent = k.agents.get(envelope.header.agentId);
      if (agent === undefined) {
        emit({ type: "bury", header: envelope.header, fate: "undeliverable", reason: `the agent ${envelope.header.agentId} is no longer configured` });
        return;
      }
      // A disabled agent's mail stays where it is, for the start after the repair.
      if (agent.disabled !== undefined) return;
      agent.depth++;
      enqueue(k, envelope, nowMs, attempts > 0);
    },
    frame: (agentId: string, incarnation: number, frame: unknown, nowMs: number): void => receiveFrame(k, agentId, incarnation, frame, nowMs),
    begun: (agentId: string, turn: number, result: Begun, nowMs: number): void => begun(k, agentId, turn, result, nowMs),
    committed: (agentId: string, turn: number, result: { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal }, nowMs: number): void => committed(k, agentId, turn, result, nowMs),
    cellReady: (agentId: string, incarnation: number, nowMs: number): void => cellReady(k, agentId, incarnation, nowMs),
    cellExit: (agentId: string, incarnation: number, reason: ExitReason, detail: string, nowMs: number): void => cellExit(k, agentId, incarnation, reason, detail, nowMs),
    disable: (agentId: string, reason: string): void => disable(k, agentId, reason),
    unpark: (agentId: string, nowMs: number): boolean => unpark(k, agentId, nowMs),

    /** The supervisor sends for a turn, after its own checks (the session tools). False when the turn is over. */
    sendFor(agentId: string, turnNumber: number, request: CheckedSend, nowMs: number): boolean {
      const agent = k.agents.get(agentId);
      const turn = agent?.turns.get(turnNumber);
      if (agent === undefined || turn === undefined || turn.stage !== "delivered") return false;
      sendAs(k, agent, turn, request, nowMs);
      return true;
    },
    /** The answer of a tool call; `record` is what the transcript keeps of it. */
    callResult(agentId: string, incarnation: number, ref: number, turnNumber: number, result: { readonly ok: true; readonly json: string; readonly tool: string } | { readonly ok: false; readonly refusal: Refusal }): void {
      const agent = k.agents.get(agentId);
      if (agent === undefined || agent.incarnation !== incarnation) return;
      if (!result.ok) {
        postRefusal(k, agentId, incarnation, ref, result.refusal);
        return;
      }
      agent.turns.get(turnNumber)?.tools.push({ toolName: result.tool, text: result.json });
      emit({ type: "post", agentId, incarnation, record: [down.result, ref, 0, 1, "ok", result.json, ""] });
    },
    recalled: (effect: Extract<Effect, { type: "recall" }>, outcome: Outcome): void => recalled(k, effect.ask, outcome, { runId: effect.envelopeId, sessionKey: effect.sessionKey }),

    /** Stops what the session runs and drops what it has waiting. Gives the run ids that were stopped. */
    abort(sessionKey: string, runId: string | undefined): readonly string[] {
      const stopped: string[] = [];
      for (const agent of k.agents.values()) {
        const lane = agent.lanes.get(sessionKey);
        if (lane === undefined) continue;
        const running = lane.running;
        if (running !== undefined && !running.mail.aborted && (runId === undefined || running.mail.envelope.header.runId === runId)) {
          running.mail.aborted = true;
          stopped.push(running.mail.envelope.header.runId);
          emit({ type: "cancel", agentId: agent.spec.id, incarnation: agent.incarnation, turn: running.number });
        }
        for (const mail of lane.queue.filter(({ envelope }) => runId === undefined || envelope.header.runId === runId)) {
          lane.queue.splice(lane.queue.indexOf(mail), 1);
          mail.aborted = true;
          stopped.push(mail.envelope.header.runId);
          emit({ type: "bury", header: mail.envelope.header, fate: "dropped", reason: "the operator stopped the session" });
          endMail(k, agent, mail, 1, { status: "error", code: "CLOISTER_ASK_ABORTED", message: "the run was stopped" });
        }
        if (lane.queue.length === 0) {
          agent.readyMain.delete(lane);
          agent.readyNested.delete(lane);
          if (lane.running === undefined) agent.lanes.delete(sessionKey);
        }
      }
      return stopped;
    },

    /** Call it at least as often as the earliest deadline and about every 100 ms. */
    tick(nowMs: number): void {
      expireAsks(k, nowMs);
      tickCells(k, nowMs);
    },
    nextDeadlineMs: (): number | undefined => k.asks.nextDeadlineMs(),

    /** No new mail; turns in flight go on. */
    drain(): void {
      k.draining = true;
    },
    /** Turns in flight, of all agents. */
    turnsInFlight(): number {
      let turns = 0;
      for (const agent of k.agents.values()) turns += agent.turns.size;
      return turns;
    },
    stopIdleCells(): void {
      for (const agent of k.agents.values()) if (isIdle(agent)) passivate(k, agent);
    },

    view(agentId: string): AgentView | undefined {
      const agent = k.agents.get(agentId);
      return agent === undefined ? undefined : viewOf(agent);
    },
    views: (): readonly AgentView[] => [...k.agents.values()].map(viewOf),
    /** For tests: the whole state. */
    state: k,
  };
}

function makeEntry(spec: AgentSpec): AgentEntry {
  return {
    spec,
    disabled: spec.disabled,
    phase: "dormant",
    reason: undefined,
    incarnation: 0,
    lastSeq: 0,
    slots: new Map(),
    lanes: new Map(),
    readyMain: new Set(),
    readyNested: new Set(),
    turns: new Map(),
    loaded: new Set(),
    depth: 0,
    unacked: 0,
    crashTimes: [],
    restarts: 0,
    notBeforeMs: 0,
    lastActivityMs: 0,
    startedAtMs: 0,
  };
}

function viewOf(agent: AgentEntry): AgentView {
  const queued = [...agent.lanes.values()].reduce((sum, lane) => sum + lane.queue.length, 0);
  return {
    id: agent.spec.id,
    phase: agent.disabled !== undefined ? "disabled" : agent.phase === "live" && agent.turns.size > 0 ? "running" : agent.phase,
    reason: agent.disabled ?? agent.reason,
    activeRuns: agent.turns.size,
    queueDepth: queued,
    restarts: agent.restarts,
    lastActivityMs: agent.lastActivityMs,
    incarnation: agent.incarnation,
  };
}
