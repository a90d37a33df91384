/**
 * The kernel's door: one object, methods that take an event and the time. See `state.ts` for what it remembers and emits.
 * Pure: same calls with the same times, random numbers and ids, same effects (promise P10).
 */
import { type AgentView, headersInHand, openHeaders, type SessionView, viewOf, viewSession } from "./agent-views.ts";
import { oldestMs } from "./depth.ts";
import { type Admission, type Appended, admit, appended, restore } from "./admit.ts";
import { AgentTable } from "./agent-table.ts";
import { makeAsks } from "./asks.ts";
import { endQuiets } from "./arrivals.ts";
import { expireCrowds } from "./crowd.ts";
import type { Taken } from "./gather.ts";
import { cellExit, cellReady, disable, startPermanent, tickCells } from "./cells.ts";
import { hasCell, inHand, pumpWanting } from "./dispatch.ts";
import { begunInTime } from "./early-turns.ts";
import { cellEnding } from "./ends.ts";
import type { Envelope, EnvelopeHeader, Outcome, ReplyRoute } from "./envelope.ts";
import { type FollowUp, followUpAdmission } from "./exchange.ts";
import type { Refusal } from "./errors.ts";
import { type LaneRow, makeLanes, setPlaces, viewLanes } from "./lanes.ts";
import type { ModelCall, ModelEnd } from "./model-call.ts";
import { modelAnswered, modelText } from "./models.ts";
import { type AgentOrder, giveOrder, unpark } from "./orders.ts";
import type { Pairing, PairingRegistry } from "./pairings.ts";
import { postRefusal, stoppedRefusal } from "./posts.ts";
import { makeQuestions, tellWaiting, watch } from "./questions.ts";
import { type CheckedSend, sendAs, sentBefore, wouldRefuse } from "./sends.ts";
import type { AgentSpec, AppendTicket, Effect, ExitReason, KernelState } from "./state.ts";
import { stopWithRuns, unfinishedBelow } from "./run-stops.ts";
import { cancelTurn, endLoops, type Stopped, type StopScope } from "./stops.ts";
import { type Refill, refilled, useRoom } from "./room.ts";
import { type Dropped, dropped, restoreBacklog } from "./spill.ts";
import { diverged, hear, hearNow, recorded } from "./steps.ts";
import { type LeftMail, mayReturn, returnToService } from "./returns.ts";
import { rightAsked } from "./right-requests.ts";
import { expireRights, grant, restateRights, revoke } from "./rights.ts";
import { addAgent, changeAgent, removeAgent, settleLeaving } from "./roster.ts";
import { cancelRun, cancelRunsOf, hearerOf, type RunStored, runStored, settleRuns, tickRuns } from "./run-ends.ts";
import type { RunRow, Tokens } from "./run-rows.ts";
import { type RunView, viewRun } from "./run-views.ts";
import { awaitRuns, yieldTurn } from "./run-waits.ts";
import {
  childrenOf,
  entryOf,
  lineageOf,
  notSpawned,
  type Spawn,
  letRunEnd,
  runTakesMail,
  spawn,
  spawned,
  type SpawnRequest,
  whyNoMoreRuns,
} from "./runs.ts";
import { awaitsCall, hearHeld, receiveFrame } from "./syscalls.ts";
import { judgedTurn, type ListTools, toolsOf, toolsReady } from "./tool-lists.ts";
import type { JudgedTurn, KernelSettings } from "./settings.ts";
import type { SignalCall } from "./signal-call.ts";
import { signalResult } from "./signals.ts";
import { type Begun, committed, forgetState, taken, leave } from "./turns.ts";
import { noTokens } from "./usage.ts";
import { expireAsks, recalled, stillOpen } from "./waits.ts";

export type { Admission } from "./admit.ts";
export type { AgentView, SessionView } from "./agent-views.ts";

export type Kernel = ReturnType<typeof makeKernel>;

export function makeKernel(
  settings: KernelSettings,
  specs: readonly AgentSpec[],
  pairings: PairingRegistry,
  emit: (effect: Effect) => void,
) {
  const k: KernelState = {
    settings,
    agents: new AgentTable(specs),
    runs: new Map(),
    children: new Map(),
    runWaits: new Map(),
    tokens: new Map(),
    unsettled: new Set(),
    leaving: new Set(),
    pairings,
    asks: makeAsks(),
    questions: makeQuestions(settings.limits.questionsInTable),
    isWatched: false,
    mail: new Map(),
    chains: new Map(),
    lanes: makeLanes(settings.lanes),
    modelChars: 0,
    liveCells: 0,
    astir: new Set(),
    wantingCells: new Set(),
    quiet: new Map(),
    roomy: new Set(),
    crowded: new Set(),
    heldChars: 0,
    drops: new Map(),
    nextDrop: 1,
    nextPlace: 1,
    nextOrder: 1,
    nextTurn: 1,
    looping: new Set(),
    stops: 0,
    draining: false,
    emit,
  };

  /** What an event may have made possible. */
  const afterwards = (nowMs: number): void => {
    settleRuns(k, nowMs);
    useRoom(k, nowMs);
    settleLeaving(k);
  };

  return {
    admit(admission: Admission, ticket: number, nowMs: number): void {
      expireRights(k, nowMs);
      admit(k, admission, ticket, nowMs);
    },
    appended(envelope: Envelope, ticket: AppendTicket, result: Appended, nowMs: number): void {
      appended(k, envelope, ticket, result, nowMs);
      afterwards(nowMs);
    },
    /** Mail found in the journal at start, oldest first. What was stopped before ends at once. */
    restore: ({ header }: Pick<Envelope, "header">, attempts: number, nowMs: number, isStopped = false): void =>
      restore(k, header, attempts, nowMs, isStopped),
    /** What the journal has of an agent beyond what `restore` was given; call it after that. */
    restoreBacklog: (backlog: Parameters<typeof restoreBacklog>[1]): void => restoreBacklog(k, backlog),
    mayReturn: (agentId: string): boolean => mayReturn(k, agentId),
    /** A disabled agent works again, as far as anybody knows; `left` is what the journal has of it while `mayReturn` holds. */
    returnToService(agentId: string, left: LeftMail, nowMs: number): boolean {
      const isBack = returnToService(k, agentId, left, nowMs);
      afterwards(nowMs);
      return isBack;
    },
    /** What a `refill` effect asked for; undefined when it could not be read. */
    refilled(refill: Refill, rows: Parameters<typeof refilled>[2], nowMs: number): void {
      refilled(k, refill, rows, nowMs);
      afterwards(nowMs);
    },
    /** What became of a `drop-queued` effect; undefined when it failed: then what was stopped ends when it is read. */
    dropped(effect: Extract<Effect, { type: "drop-queued" }>, result: Dropped | undefined, nowMs: number): void {
      dropped(k, effect, result);
      useRoom(k, nowMs);
    },
    frame(agentId: string, incarnation: number, frame: unknown, nowMs: number): void {
      expireRights(k, nowMs);
      endLoops(k, nowMs);
      receiveFrame(k, agentId, incarnation, frame, nowMs);
      afterwards(nowMs);
    },
    begun(agentId: string, turn: number, result: Begun, nowMs: number): void {
      expireRights(k, nowMs);
      begunInTime(k, agentId, turn, result, nowMs);
      afterwards(nowMs);
    },
    committed(
      agentId: string,
      turn: number,
      result: { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal },
      nowMs: number,
    ): void {
      committed(k, agentId, turn, result, nowMs);
      afterwards(nowMs);
    },
    /** `takesPart`: its module handles the turns of exchanges (`exchange.ts`). */
    cellReady: (agentId: string, incarnation: number, nowMs: number, takesPart = false): void =>
      cellReady(k, agentId, incarnation, takesPart, nowMs),
    /** The message that a `follow-up` effect asks for. */
    followUp: (next: Omit<FollowUp, "text">, body: string, replyRoute: ReplyRoute): Admission =>
      followUpAdmission(k, next, body, replyRoute),
    /** A turn that was done before this process began and that another may follow on. */
    resumeExchange: (header: EnvelopeHeader, outcome: Outcome): void => leave(k, header, outcome),
    /** The end of the cell is decided, for this reason; `cellExit` follows. */
    cellEnding(agentId: string, incarnation: number, reason: ExitReason, nowMs: number): void {
      cellEnding(k, agentId, incarnation, reason);
      useRoom(k, nowMs);
    },
    cellExit(agentId: string, incarnation: number, reason: ExitReason, detail: string, nowMs: number): void {
      cellExit(k, agentId, incarnation, reason, detail, nowMs);
      afterwards(nowMs);
    },
    disable(agentId: string, reason: string, nowMs: number): void {
      disable(k, agentId, reason, nowMs);
      afterwards(nowMs);
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
      afterwards(nowMs);
      return ids;
    },
    /** An agent of the configuration that is new, or that is back before it was gone (`roster.ts`). */
    addAgent(spec: AgentSpec, nowMs: number): void {
      addAgent(k, spec, nowMs);
      afterwards(nowMs);
    },
    /** `renew`: its cell was started with something else; the next one begins when its turns have ended. */
    changeAgent(spec: AgentSpec, renew: boolean, nowMs: number): void {
      changeAgent(k, spec, renew, nowMs);
      afterwards(nowMs);
    },
    /** Ends in the effect `agent-gone`, when its turns and all that it had are over. */
    removeAgent(agentId: string, nowMs: number): void {
      removeAgent(k, agentId, nowMs);
      afterwards(nowMs);
    },
    /** The rows of the config, and with them the places of the lanes, are others now. */
    restate(places: KernelSettings["lanes"], nowMs: number): void {
      expireRights(k, nowMs);
      restateRights(k);
      setPlaces(k, places);
      pumpWanting(k, nowMs);
      afterwards(nowMs);
    },
    /** Whether `sendFor` would be refused now. */
    wouldRefuse: (agentId: string, turnNumber: number, request: CheckedSend, nowMs: number): boolean =>
      wouldRefuse(k, agentId, turnNumber, request, nowMs),
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
    /** Whether the turn of the call goes on, and waits for its result. */
    awaitsCall: (call: Extract<Effect, { type: "call" }>): boolean => awaitsCall(k, call),
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
    modelText: (call: ModelCall, text: string): void => modelText(k, call, text),
    modelAnswered(call: ModelCall, end: ModelEnd, nowMs: number): void {
      modelAnswered(k, call, end);
      afterwards(nowMs);
    },
    /** All messages that the turn of the call handles; none when it is over. */
    judgedTurn(call: Extract<Effect, { type: "call" }>): JudgedTurn {
      const turn = k.agents.get(call.agentId)?.turns.get(call.turn);
      return turn === undefined ? { messages: [] } : judgedTurn(turn);
    },
    /** The tools that the session's agent holds a right to; of a sub-agent's session those of its run, none when that is over. */
    toolsHeldBy(agentId: string, sessionKey: string): readonly string[] {
      const run = k.runs.get(sessionKey);
      if (run === undefined && k.settings.isRunKey(sessionKey)) return [];
      return k.pairings.of(run?.spec.id ?? `agent:${agentId}`).flatMap(toolsOf);
    },
    /** Why the session may start no further run, whatever it is; `spawn` asks the same again. */
    whyNoSpawn(
      call: Extract<Effect, { type: "call" }>,
      bounds: Pick<SpawnRequest, "depthMax" | "childrenMax">,
    ): Refusal | undefined {
      const agent = k.agents.get(call.agentId);
      const { sessionKey } = call.header;
      return agent && whyNoMoreRuns(k, agent, sessionKey, lineageOf(k, sessionKey).length + 1, bounds);
    },
    /** The start of a sub-agent's run: what is to be stored, or why there is none. Ends with `spawned` or `notSpawned`. */
    spawn(call: Extract<Effect, { type: "call" }>, request: SpawnRequest, nowMs: number): Spawn | Refusal {
      expireRights(k, nowMs);
      return spawn(k, call, request, nowMs);
    },
    spawned(started: Spawn, nowMs: number): void {
      spawned(k, started, nowMs);
      afterwards(nowMs);
    },
    notSpawned: (started: Spawn): void => notSpawned(k, started),
    /** Lets the turn wait until the runs have ended, for so long at the most; ends in the effect `runs-waited`. False: it is over. */
    awaitRuns: (
      call: Extract<Effect, { type: "call" }>,
      runIds: readonly string[],
      timeoutMs: number,
      nowMs: number,
    ): boolean => awaitRuns(k, call, runIds, timeoutMs, nowMs),
    yieldTurn: (
      call: Extract<Effect, { type: "call" }>,
      acknowledgment: string | undefined,
    ): ReturnType<typeof yieldTurn> => yieldTurn(k, call, acknowledgment),
    /** Ends the run of this session and what it asked for. Gives how many runs that were; 0: none lives. */
    cancelRun(sessionKey: string, detail: string, isUnheard: boolean, nowMs: number): number {
      const run = k.runs.get(sessionKey);
      if (run === undefined) return 0;
      const ended = cancelRun(
        k,
        run,
        { outcome: "cancelled", detail, ...(isUnheard ? { isUnheard: true as const } : {}) },
        nowMs,
      );
      afterwards(nowMs);
      return ended;
    },
    runTakesMail: (sessionKey: string): boolean => runTakesMail(k, sessionKey),
    /** Nothing more will be said in the session: its run ends when it has nothing left to do. */
    letRunEnd(sessionKey: string, nowMs: number): void {
      letRunEnd(k, sessionKey);
      afterwards(nowMs);
    },
    /** Ends what the session asked for, as a stop of the session does. */
    cancelRunsOf(sessionKey: string, detail: string, nowMs: number): number {
      const ended = cancelRunsOf(k, sessionKey, undefined, detail, nowMs);
      afterwards(nowMs);
      return ended;
    },
    runStored(effect: Extract<Effect, { type: "run-ended" }>, result: RunStored, nowMs: number): void {
      runStored(k, effect, result, nowMs);
      afterwards(nowMs);
    },
    /** Who hears of the end of a run now: the nearest session above it that lives. */
    hearerOf: (run: RunRow): ReturnType<typeof hearerOf> => hearerOf(k, run),
    /** Sessions above this one, the nearest first; none when it is no live run. */
    lineageOf: (sessionKey: string): readonly string[] => lineageOf(k, sessionKey),
    /** Sessions of the live runs that this one asked for. */
    childrenOf: (sessionKey: string): readonly string[] =>
      childrenOf(k, sessionKey).flatMap(({ run }) => (run === undefined ? [] : [run.row.sessionKey])),
    /** How many of the runs that go with this session are not over. */
    runsBelow: (sessionKey: string): number => unfinishedBelow(k, sessionKey),
    /** What the agent and its sub-agents have reported since the start. */
    tokensOf: (agentId: string): Tokens => k.tokens.get(agentId) ?? noTokens,
    runViews: (): readonly RunView[] =>
      [...k.runs.values()].flatMap(({ run }) => (run === undefined ? [] : [viewRun(run)])),
    /** What the journal held is restored: permanent agents get their cells. */
    start(nowMs: number): void {
      startPermanent(k, nowMs);
      afterwards(nowMs);
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
    /** What a `list-tools` effect waited for is known as far as it will be. */
    toolsReady: (effect: ListTools): void => toolsReady(k, effect),
    /** The answer of a `take`: the bodies of those that it has counted, or why not. */
    taken(effect: Extract<Effect, { type: "take" }>, result: Taken | Refusal, nowMs: number): void {
      taken(k, effect, result, nowMs);
      useRoom(k, nowMs);
    },
    /** The store has kept the rows of a `record` effect, or refuses to. */
    recorded(effect: Extract<Effect, { type: "record" }>, refusal: Refusal | undefined, nowMs: number): void {
      recorded(k, effect, refusal);
      if (effect.late.length === 0) return;
      hearHeld(k, effect, refusal, nowMs);
      afterwards(nowMs);
    },
    recalled: (effect: Extract<Effect, { type: "recall" }>, outcome: Outcome, isStored: boolean): void =>
      recalled(k, effect.ask, outcome, { runId: effect.envelopeId, sessionKey: effect.sessionKey }, isStored),

    /** The envelope that a `recall` effect asks for is not done: who asked waits for it. */
    stillOpen: (effect: Extract<Effect, { type: "recall" }>, nowMs: number): void => stillOpen(k, effect, nowMs),

    /** Stops what the scope names, and says how much that was; what runs is over within `limits.stopGraceMs` and the end of a cell. */
    stop(scope: StopScope, subject: string, nowMs: number): Stopped {
      const stopped = stopWithRuns(k, scope, subject, nowMs);
      afterwards(nowMs);
      return stopped;
    },

    /** Ends what runs in the session, with the sub-agents that it asked for, and gives its run; `by` is the session that asks. */
    cancelTurn(sessionKey: string, by: string, nowMs: number): string | undefined {
      const runId = cancelTurn(k, sessionKey, by, nowMs);
      if (runId !== undefined) cancelRunsOf(k, sessionKey, runId, `${by} stopped the run that asked for it`, nowMs);
      afterwards(nowMs);
      return runId;
    },

    /** Back-offs that are over, idle cells, cells that never start. Call it every few hundred milliseconds. */
    tick(nowMs: number): void {
      expireRights(k, nowMs);
      afterwards(nowMs);
      expireCrowds(k, nowMs);
      endLoops(k, nowMs);
      endQuiets(k, nowMs);
      tickCells(k, nowMs);
      tickRuns(k, nowMs);
      tellWaiting(k, nowMs);
      afterwards(nowMs);
    },
    /** Settles the asks whose deadline has passed and gives the next deadline. Call it when the effect `deadline` says so. */
    expireAsks(nowMs: number): number | undefined {
      expireAsks(k, nowMs);
      const nextMs = Math.min(k.asks.nextDeadlineMs() ?? Number.POSITIVE_INFINITY, k.questions.firstDeadlineMs);
      return Number.isFinite(nextMs) ? nextMs : undefined;
    },

    /** Whether anybody follows questions in memory (`questions.ts`); until it is said, nobody does. */
    watch: (isWatched: boolean): void => watch(k, isWatched),
    /** No new mail and no new turns, except those that a turn in flight waits for. */
    drain(): void {
      k.draining = true;
    },
    /** Turns in flight, of all agents. */
    turnsInFlight(): number {
      let turns = 0;
      for (const agent of k.agents.made()) turns += inHand(agent);
      return turns;
    },
    /** Of what of the agent waits in memory or runs. */
    openHeaders: (agentId: string): readonly EnvelopeHeader[] => openHeaders(k, agentId),
    /** The lanes as they stand (`lanes.ts`). */
    lanes: (): readonly LaneRow[] => viewLanes(k),
    view(agentId: string): AgentView | undefined {
      const agent = k.agents.peek(agentId);
      return agent === undefined ? undefined : viewOf(agent);
    },
    oldestMs(agentId: string): number | undefined {
      const agent = k.agents.peek(agentId);
      return agent === undefined ? undefined : oldestMs(agent);
    },
    views: (): readonly AgentView[] =>
      k.agents
        .peekAll()
        .filter(({ run }) => run === undefined)
        .map(viewOf),
    /** What the cell of this agent has in hand: delivered, and not told to be done. For the report of its end. */
    inHand(agentId: string): readonly EnvelopeHeader[] {
      const agent = k.agents.peek(agentId);
      return agent === undefined ? [] : headersInHand(k, agent);
    },
    /** One session as it stands; `lane` is that of its turn, or of what people say in it. */
    sessionView: (agentId: string, sessionKey: string): SessionView => viewSession(k, agentId, sessionKey),
    isRunning: (sessionKey: string): boolean => entryOf(k, sessionKey)?.lanes.get(sessionKey)?.running !== undefined,
    /** The next turn of the session reads its state from the store. False, and nothing done, while one is running. */
    forgetState(sessionKey: string): boolean {
      const agent = entryOf(k, sessionKey);
      return agent === undefined || forgetState(k, agent, sessionKey);
    },
    /** For tests: the whole state. */
    state: k,
  };
}
