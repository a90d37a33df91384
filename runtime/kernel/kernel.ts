/**
 * The kernel's door: one object, methods that take an event and the time. See `state.ts` for what it remembers and emits.
 * Pure: same calls with the same times, random numbers and ids, same effects (promise P10).
 */
import { type Admission, type Appended, admit, appended, restore } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { makeAsks } from "./asks.ts";
import { expireCrowds } from "./crowd.ts";
import { cellExit, cellReady, disable, startPermanent, tickCells } from "./cells.ts";
import { hasCell } from "./dispatch.ts";
import type { AgentPhase, Envelope, EnvelopeHeader, Outcome, ReplyRoute } from "./envelope.ts";
import { type FollowUp, followUpAdmission } from "./exchange.ts";
import type { Refusal } from "./errors.ts";
import { laneOf, type LaneRow, makeLanes, viewLanes } from "./lanes.ts";
import { type AgentOrder, giveOrder, unpark } from "./orders.ts";
import type { Pairing, PairingRegistry } from "./pairings.ts";
import { postRefusal, stoppedRefusal } from "./posts.ts";
import { type CheckedSend, sendAs, sentBefore } from "./sends.ts";
import type {
  AgentEntry,
  AgentSpec,
  AppendTicket,
  Effect,
  ExitReason,
  KernelSettings,
  KernelState,
  SignalCall,
} from "./state.ts";
import { type Stopped, type StopScope, stop } from "./stops.ts";
import { type Refill, refilled, useRoom } from "./room.ts";
import { type Dropped, dropped, restoreBacklog } from "./spill.ts";
import { diverged, hear, hearNow, recorded } from "./steps.ts";
import { rightAsked } from "./right-requests.ts";
import { expireRights, grant, revoke } from "./rights.ts";
import { receiveFrame } from "./syscalls.ts";
import { signalResult } from "./signals.ts";
import { type Begun, begun, committed, forgetState, leave } from "./turns.ts";
import { expireAsks, recalled, stillOpen } from "./waits.ts";

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

export interface SessionView {
  readonly phase: AgentPhase;
  readonly running: boolean;
  /** Messages in memory. */
  readonly waiting: number;
  readonly lane: string;
}

export type Kernel = ReturnType<typeof makeKernel>;

export function makeKernel(
  settings: KernelSettings,
  specs: readonly AgentSpec[],
  pairings: PairingRegistry,
  emit: (effect: Effect) => void,
) {
  const k: KernelState = {
    settings,
    agents: new Map(specs.map((spec) => [spec.id, new Entry(spec)])),
    pairings,
    asks: makeAsks(),
    mail: new Map(),
    chains: new Map(),
    lanes: makeLanes(settings.lanes),
    liveCells: 0,
    astir: new Set(),
    wantingCells: new Set(),
    roomy: new Set(),
    crowded: new Set(),
    heldChars: 0,
    drops: new Map(),
    nextDrop: 1,
    nextPlace: 1,
    nextOrder: 1,
    nextTurn: 1,
    stops: 0,
    draining: false,
    emit,
  };

  return {
    admit(admission: Admission, ticket: number, nowMs: number): void {
      expireRights(k, nowMs);
      admit(k, admission, ticket, nowMs);
    },
    appended(envelope: Envelope, ticket: AppendTicket, result: Appended, nowMs: number): void {
      appended(k, envelope, ticket, result, nowMs);
      useRoom(k, nowMs);
    },
    /** Mail found in the journal at start, oldest first. What was stopped before ends at once. */
    restore: ({ header }: Pick<Envelope, "header">, attempts: number, nowMs: number, isStopped = false): void =>
      restore(k, header, attempts, nowMs, isStopped),
    /** What the journal has of an agent beyond what `restore` was given; call it after that. */
    restoreBacklog: (backlog: Parameters<typeof restoreBacklog>[1]): void => restoreBacklog(k, backlog),
    /** What a `refill` effect asked for; undefined when it could not be read. */
    refilled(refill: Refill, rows: Parameters<typeof refilled>[2], nowMs: number): void {
      refilled(k, refill, rows, nowMs);
      useRoom(k, nowMs);
    },
    /** What became of a `drop-queued` effect; undefined when it failed: then what was stopped ends when it is read. */
    dropped(effect: Extract<Effect, { type: "drop-queued" }>, result: Dropped | undefined, nowMs: number): void {
      dropped(k, effect, result);
      useRoom(k, nowMs);
    },
    frame(agentId: string, incarnation: number, frame: unknown, nowMs: number): void {
      expireRights(k, nowMs);
      receiveFrame(k, agentId, incarnation, frame, nowMs);
      useRoom(k, nowMs);
    },
    begun(agentId: string, turn: number, result: Begun, nowMs: number): void {
      expireRights(k, nowMs);
      begun(k, agentId, turn, result, nowMs);
      useRoom(k, nowMs);
    },
    committed(
      agentId: string,
      turn: number,
      result: { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal },
      nowMs: number,
    ): void {
      committed(k, agentId, turn, result, nowMs);
      useRoom(k, nowMs);
    },
    /** `takesPart`: its module handles the turns of exchanges (`exchange.ts`). */
    cellReady: (agentId: string, incarnation: number, nowMs: number, takesPart = false): void =>
      cellReady(k, agentId, incarnation, takesPart, nowMs),
    /** The message that a `follow-up` effect asks for. */
    followUp: (next: Omit<FollowUp, "text">, body: string, replyRoute: ReplyRoute): Admission =>
      followUpAdmission(k, next, body, replyRoute),
    /** A turn that was done before this process began and that another may follow on. */
    resumeExchange: (header: EnvelopeHeader, outcome: Outcome): void => leave(k, header, outcome),
    cellExit(agentId: string, incarnation: number, reason: ExitReason, detail: string, nowMs: number): void {
      cellExit(k, agentId, incarnation, reason, detail, nowMs);
      useRoom(k, nowMs);
    },
    disable(agentId: string, reason: string, nowMs: number): void {
      disable(k, agentId, reason);
      useRoom(k, nowMs);
    },
    order: (agentId: string, order: AgentOrder, nowMs: number): boolean => giveOrder(k, agentId, order, nowMs),
    unpark: (agentId: string, nowMs: number): boolean => unpark(k, agentId, nowMs),

    /** An earlier delivery of the turn made this call: it is answered with what came of that, whatever is allowed by now. */
    repeatFor(agentId: string, turnNumber: number, request: Omit<CheckedSend, "via">, nowMs: number): boolean {
      const agent = k.agents.get(agentId);
      const turn = agent?.turns.get(turnNumber);
      if (agent === undefined || turn?.stage !== "delivered") return false;
      if (turn.mail.aborted) postRefusal(k, agentId, agent.incarnation, request.ref, stoppedRefusal);
      else if (!sentBefore(k, agent, turn, request, nowMs)) return false;
      agent.openCalls.delete(request.ref);
      return true;
    },
    /** From now on, also in a live cell of its subject. */
    grant(pairing: Pairing, nowMs: number): void {
      expireRights(k, nowMs);
      grant(k, pairing);
    },
    /** Ends a pairing and all that was derived from it, from the next delivery on. Gives their ids; none: it was not in force. */
    revoke(id: string, nowMs: number): readonly string[] {
      expireRights(k, nowMs);
      const ids = revoke(k, id);
      useRoom(k, nowMs);
      return ids;
    },
    /** The supervisor sends for a turn, after its own checks (the session tools). False when the turn is over. */
    sendFor(agentId: string, turnNumber: number, request: CheckedSend, nowMs: number): boolean {
      const agent = k.agents.get(agentId);
      const turn = agent?.turns.get(turnNumber);
      if (agent === undefined || turn?.stage !== "delivered" || turn.mail.aborted) return false;
      // From here on it is a send, with a credit of its own.
      agent.openCalls.delete(request.ref);
      sendAs(k, agent, turn, request, nowMs);
      return true;
    },
    /** The result object of a tool call, refusals included (JSON); it is recorded, and the transcript keeps it. */
    callResult(call: Extract<Effect, { type: "call" }>, json: string): void {
      const agent = k.agents.get(call.agentId);
      if (agent === undefined || agent.incarnation !== call.incarnation || !hasCell(agent)) return;
      agent.openCalls.delete(call.ref);
      const turn = agent.turns.get(call.turn);
      const id = { key: call.key, op: "tool", name: call.tool } as const;
      const before = turn?.steps?.get(call.key);
      if (turn === undefined) hearNow(k, agent, turn, call.ref, id, [1, "ok", json]);
      // It sent a message before, and now it did not come so far.
      else if (before?.to !== undefined) postRefusal(k, call.agentId, call.incarnation, call.ref, diverged(before, id));
      else hear(k, agent, turn, call.ref, id, [1, "ok", json]);
    },
    /** What the journal held is restored: permanent agents get their cells. */
    start(nowMs: number): void {
      startPermanent(k, nowMs);
      useRoom(k, nowMs);
    },
    /** The answer of a `signal-call`. */
    signalResult: (
      call: Omit<SignalCall, "header">,
      result: { readonly json: string } | { readonly refusal: Refusal },
    ): void => signalResult(k, call, result),
    /** Whether the envelope was accepted and has not ended. */
    isOpen: (envelopeId: string): boolean => k.mail.has(envelopeId),
    /** The call of an `ask-right` effect is refused with this. */
    rightAsked: (effect: Extract<Effect, { type: "ask-right" }>, refusal: Refusal): void =>
      rightAsked(k, effect, refusal),
    /** The store has kept the row of a `record` effect, or refuses to. */
    recorded: (effect: Extract<Effect, { type: "record" }>, refusal: Refusal | undefined): void =>
      recorded(k, effect, refusal),
    recalled: (effect: Extract<Effect, { type: "recall" }>, outcome: Outcome, isStored: boolean): void =>
      recalled(k, effect.ask, outcome, { runId: effect.envelopeId, sessionKey: effect.sessionKey }, isStored),

    /** The envelope that a `recall` effect asks for is not done: who asked waits for it. */
    stillOpen: (effect: Extract<Effect, { type: "recall" }>, nowMs: number): void => stillOpen(k, effect, nowMs),

    /** Stops what the scope names, and says how much that was; what runs is over within `limits.stopGraceMs` and the end of a cell. */
    stop(scope: StopScope, subject: string, nowMs: number): Stopped {
      const stopped = stop(k, scope, subject, nowMs);
      useRoom(k, nowMs);
      return stopped;
    },

    /** Back-offs that are over, idle cells, cells that never start. Call it every few hundred milliseconds. */
    tick(nowMs: number): void {
      expireRights(k, nowMs);
      useRoom(k, nowMs);
      expireCrowds(k, nowMs);
      tickCells(k, nowMs);
      useRoom(k, nowMs);
    },
    /** Settles the asks whose deadline has passed and gives the next deadline. Call it when the effect `deadline` says so. */
    expireAsks(nowMs: number): number | undefined {
      expireAsks(k, nowMs);
      return k.asks.nextDeadlineMs();
    },

    /** No new mail and no new turns, except those that a turn in flight waits for. */
    drain(): void {
      k.draining = true;
    },
    /** Turns in flight, of all agents. */
    turnsInFlight(): number {
      let turns = 0;
      for (const agent of k.agents.values()) if (agent.isMade) turns += agent.turns.size;
      return turns;
    },
    /** The lanes as they stand (`lanes.ts`). */
    lanes: (): readonly LaneRow[] => viewLanes(k),
    view(agentId: string): AgentView | undefined {
      const agent = k.agents.get(agentId);
      return agent === undefined ? undefined : viewOf(agent);
    },
    views: (): readonly AgentView[] => [...k.agents.values()].map(viewOf),
    /** What the cell of this agent has in hand: delivered, and not told to be done. For the report of its end. */
    inHand: (agentId: string): readonly EnvelopeHeader[] =>
      [...(k.agents.get(agentId)?.turns.values() ?? [])]
        .filter(({ stage }) => stage === "delivered")
        .map(({ mail }) => mail.envelope.header),
    /** One session as it stands; `lane` is that of its turn, or of what people say in it. */
    sessionView(agentId: string, sessionKey: string): SessionView {
      const agent = k.agents.get(agentId);
      const lane = agent?.isMade === true ? agent.lanes.get(sessionKey) : undefined;
      const header = (lane?.running?.mail ?? lane?.queue[0])?.envelope.header;
      return {
        phase: agent === undefined ? "disabled" : viewOf(agent).phase,
        running: lane?.running !== undefined,
        waiting: lane?.queue.length ?? 0,
        lane: header === undefined ? "main" : laneOf(header),
      };
    },
    isRunning(sessionKey: string): boolean {
      return k.agents.get(agentOfKey(sessionKey) ?? "")?.lanes.get(sessionKey)?.running !== undefined;
    },
    /** The next turn of the session reads its state from the store. False, and nothing done, while one is running. */
    forgetState(sessionKey: string): boolean {
      const agent = k.agents.get(agentOfKey(sessionKey) ?? "");
      return agent === undefined || forgetState(k, agent, sessionKey);
    },
    /** For tests: the whole state. */
    state: k,
  };
}

type Collections = Pick<AgentEntry, "lanes" | "ready" | "turns" | "loaded" | "sessionDepth" | "openCalls">;

/** One class with all of its fields, which V8 keeps in the object itself. */
const noCrashes: number[] = [];
const noSlots: AgentEntry["slots"] = new Map();
const noNews: AgentEntry["slotNews"] = [];

class Entry implements AgentEntry {
  readonly spec: AgentSpec;
  disabled: AgentEntry["disabled"];
  phase: AgentEntry["phase"];
  reason: AgentEntry["reason"];
  incarnation = 0;
  lastSeq = 0;
  slots = noSlots;
  nextSlot = 1;
  slotNews = noNews;
  depth = 0;
  appending = 0;
  spill: AgentEntry["spill"] = undefined;
  crowd: AgentEntry["crowd"] = undefined;
  suspects = 0;
  unacked = 0;
  crashTimes = noCrashes;
  crashStreak = 0;
  restarts = 0;
  order: AgentEntry["order"] = undefined;
  stopNumber = 0;
  notBeforeMs = 0;
  storeFailures = 0;
  lastActivityMs = 0;
  startedAtMs = 0;
  takesPart: AgentEntry["takesPart"] = undefined;
  /**
   * What an agent at work needs, made when it is first asked for: of 10,000 configured agents most never have mail, and and their
   * empty collections take more than a kilobyte each time (promise P7). Who looks at every agent asks `isMade` first.
   */
  #made: Collections | undefined = undefined;

  constructor(spec: AgentSpec) {
    this.spec = spec;
    this.disabled = spec.disabled;
    this.phase = spec.parked === undefined ? "dormant" : "parked";
    this.reason = spec.parked;
  }

  get isMade(): boolean {
    return this.#made !== undefined;
  }

  get lanes(): Collections["lanes"] {
    return this.#make().lanes;
  }

  get ready(): Collections["ready"] {
    return this.#make().ready;
  }

  get turns(): Collections["turns"] {
    return this.#make().turns;
  }

  get loaded(): Collections["loaded"] {
    return this.#make().loaded;
  }

  get sessionDepth(): Collections["sessionDepth"] {
    return this.#make().sessionDepth;
  }

  get openCalls(): Collections["openCalls"] {
    return this.#make().openCalls;
  }

  #make(): Collections {
    return (this.#made ??= {
      lanes: new Map(),
      ready: new Map(),
      turns: new Map(),
      loaded: new Set(),
      sessionDepth: new Map(),
      openCalls: new Set(),
    });
  }
}

function viewOf(agent: AgentEntry): AgentView {
  // Asked of every agent: looking must not make what a dormant one does not have.
  const queued = agent.isMade ? [...agent.lanes.values()].reduce((sum, lane) => sum + lane.queue.length, 0) : 0;
  const activeRuns = agent.isMade ? agent.turns.size : 0;
  return {
    id: agent.spec.id,
    phase:
      agent.disabled !== undefined ? "disabled" : agent.phase === "live" && activeRuns > 0 ? "running" : agent.phase,
    reason: agent.disabled ?? agent.reason,
    activeRuns,
    queueDepth: queued + (agent.spill?.count ?? 0),
    restarts: agent.restarts,
    lastActivityMs: agent.lastActivityMs,
    incarnation: agent.incarnation,
  };
}
