/**
 * Drives the pure kernel without threads, disk or time: a virtual clock, a journal in memory, fake cells, and effects that
 * are carried out in a seeded random order wherever real life may reorder them. What one environment or one port keeps in
 * order stays in order: the journal, each agent's store, each direction of each cell's port.
 */
import type { Admission } from "../../runtime/kernel/admit.ts";
import type { EnvelopeHeader, Fate, Outcome } from "../../runtime/kernel/envelope.ts";
import { down } from "../../runtime/kernel/frames.ts";
import { type Kernel, makeKernel } from "../../runtime/kernel/kernel.ts";
import { limits as allLimits, type Limits } from "../../runtime/kernel/limits.ts";
import { makePairingRegistry, type Pairing, type PairingRegistry } from "../../runtime/kernel/pairings.ts";
import type { AcceptResult, AgentSpec, Effect, ExitReason } from "../../runtime/kernel/state.ts";
import type { CheckedSend } from "../../runtime/kernel/sends.ts";
import { type FakeCell, makeFakeCell, type Script } from "./fake-cell.ts";
import { type Journal, makeJournal } from "./kernel-journal.ts";
import { checkInvariants } from "./kernel-invariants.ts";
import { makeRandom, type Random } from "./random.ts";

export interface DriverOptions {
  readonly seed?: number;
  /** Agents by id; `main` alone when left out. */
  readonly agents?: readonly string[];
  readonly spec?: (id: string) => Partial<AgentSpec>;
  /** By default every agent may send to and ask every other. */
  readonly pairings?: readonly Pairing[];
  readonly script: Script;
  readonly limits?: Partial<Limits>;
  readonly mainLaneConcurrent?: number;
  readonly liveCellsMax?: number;
  /** Jitter of the back-off; the seeded source when left out. */
  readonly jitter?: number;
  /** Keeps every effect. Off for long simulations. */
  readonly keepEffects?: boolean;
}

/** What one delivery was, as the cell saw it. */
export interface Handled {
  readonly agentId: string;
  readonly incarnation: number;
  readonly sessionKey: string;
  readonly body: string;
  readonly attempt: number;
  readonly envelopeId: string;
  readonly atMs: number;
  readonly state: string | undefined;
}

export interface TellOptions {
  readonly from?: Admission["from"];
  readonly via?: string;
  readonly chain?: readonly string[];
  readonly replyRoute?: Admission["replyRoute"];
  readonly dedupeKey?: string;
  readonly runId?: string;
  /** The id of the dead letter that this message was. */
  readonly replaces?: string;
}

interface Work {
  readonly run: () => void;
}

export interface Driver {
  readonly kernel: Kernel;
  readonly journal: Journal;
  readonly pairings: PairingRegistry;
  readonly random: Random;
  readonly effects: readonly Effect[];
  readonly handled: readonly Handled[];
  readonly nowMs: number;
  /** A message from outside; gives its ticket. */
  tell(sessionKey: string, body: string, options?: TellOptions): number;
  accepted(ticket: number): AcceptResult | undefined;
  /** Carries out one piece of work. False when there is none. */
  step(): boolean;
  /** Until the condition holds; it must come to hold without the clock. */
  stepUntil(condition: () => boolean): void;
  /** Until nothing is left to do at this time. */
  settle(): void;
  /** Moves the clock, with a tick each 100 ms, and settles at each. */
  advance(ms: number): void;
  /** Settles, and moves the clock from deadline to deadline until nothing waits for time any more. */
  finish(): void;
  open(gate: string): void;
  cell(agentId: string): FakeCell | undefined;
  /** The agent's cell ends now; what it had posted may or may not arrive. */
  crash(agentId: string, reason?: ExitReason): void;
  /** The process dies and starts again with what the journal has. */
  restartProcess(): void;
  /** A frame as if it came from the agent's port. */
  frame(agentId: string, frame: unknown, incarnation?: number): void;
  /** The outcomes that a body's envelopes ended with, in the order of their ends. */
  outcomes(body: string): readonly Outcome[];
  dead(body: string): { readonly fate: Fate; readonly reason: string } | undefined;
  audits(event: string): readonly Extract<Effect, { type: "audit" }>[];
  ofType<T extends Effect["type"]>(type: T): readonly Extract<Effect, { type: T }>[];
  /** A hash over every effect so far, in order (FNV-1a). */
  readonly trace: string;
  /** Once all is settled: calls of live cells that have no answer, and calls of any cell that have two. */
  readonly wrongAnswers: readonly string[];
  /** Ends of envelopes, of this process and of those before: id → how often `ended` was heard in each. */
  readonly ends: readonly ReadonlyMap<string, number>[];
  readonly header: (body: string) => EnvelopeHeader;
}

const sessionToolsPairing = (agentId: string): Pairing => ({
  id: `tools:${agentId}`,
  subject: `agent:${agentId}`,
  object: "gateway",
  verbs: ["tool:sessions_send"],
  origin: "config",
});

/** Everybody may send to and ask everybody, themselves included. */
export function openPairings(agents: readonly string[]): readonly Pairing[] {
  return agents.flatMap((from) => [
    ...agents.map(
      (to): Pairing => ({
        id: `${from}>${to}`,
        subject: `agent:${from}`,
        object: `agent:${to}`,
        verbs: ["send", "request"],
        origin: "config",
      }),
    ),
    sessionToolsPairing(from),
  ]);
}

export function agentIdOf(sessionKey: string): string {
  return sessionKey.split(":")[1] ?? "";
}

export function makeDriver(options: DriverOptions): Driver {
  const seed = options.seed ?? 1;
  const random = makeRandom(seed);
  const journal = makeJournal();
  const pairings = makePairingRegistry();
  const agentIds = options.agents ?? ["main"];
  for (const pairing of options.pairings ?? openPairings(agentIds)) pairings.add(pairing);
  const specs = agentIds.map(
    (id): AgentSpec => ({
      id,
      mainSessionKey: `agent:${id}:main`,
      maxConcurrent: 4,
      clamp: "none",
      ...options.spec?.(id),
    }),
  );
  const limits: Limits = { ...allLimits, ...options.limits };

  const effects: Effect[] = [];
  const handled: Handled[] = [];
  const accepted = new Map<number, AcceptResult>();
  const ended: { readonly body: string; readonly outcome: Outcome }[] = [];
  const bodies = new Map<string, string>();
  const headers = new Map<string, EnvelopeHeader>();
  const answeredTwice: string[] = [];
  const ends: Map<string, number>[] = [];
  const cells = new Map<string, FakeCell>();
  let nowMs = 1_000_000;
  let nextTicket = 1;
  let nextId = 1;
  let hash = 0x811c9dc5;
  let process = 0;

  /** One queue for each thing that keeps its order; empty queues are taken out. */
  const queues = new Map<string, Work[]>();
  const enqueue = (queue: string, run: () => void): void => {
    const work = queues.get(queue);
    if (work === undefined) queues.set(queue, [{ run }]);
    else work.push({ run });
  };

  const hashEffect = (effect: Effect): void => {
    const text = JSON.stringify(effect);
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  };

  const emit = (effect: Effect): void => {
    hashEffect(effect);
    if (options.keepEffects !== false) effects.push(effect);
    carryOut(effect);
  };

  const boot = (): Kernel => {
    ends.push(new Map());
    return makeKernel(
      {
        limits,
        mainLaneConcurrent: options.mainLaneConcurrent ?? 4,
        liveCellsMax: options.liveCellsMax ?? 100,
        random: () => options.jitter ?? random.next(),
        whyNot: (subject, verb, object) => ({
          message: `${subject} may not ${verb} ${object}`,
          remedy: `tools.agentToAgent.allow: ["${object}"]`,
        }),
        isCanonicalKey: (key) => key === key.toLowerCase(),
        newId: (at) => `e${at}-${String(nextId++).padStart(6, "0")}`,
      },
      specs,
      pairings,
      emit,
    );
  };

  const carryOut = (effect: Effect): void => {
    switch (effect.type) {
      case "append":
        bodies.set(effect.envelope.header.id, effect.envelope.body);
        enqueue("journal", () => {
          const result = journal.append(effect);
          enqueue("journal-answers", () => kernel.appended(effect.envelope, effect.ticket, result, nowMs));
        });
        return;
      case "begin":
        enqueue(`store ${effect.agentId}`, () => {
          const result = journal.begin(effect);
          enqueue(`store-answers ${effect.agentId}`, () => kernel.begun(effect.agentId, effect.turn, result, nowMs));
        });
        return;
      case "commit":
        enqueue(`store ${effect.agentId}`, () => {
          const result = journal.commit(effect);
          enqueue(`store-answers ${effect.agentId}`, () =>
            kernel.committed(effect.agentId, effect.turn, result, nowMs),
          );
        });
        return;
      case "bury":
        enqueue("journal", () => journal.bury(effect.header.id, effect.fate, effect.reason));
        return;
      case "settle":
        enqueue("journal", () => journal.settle(effect.envelopeId));
        return;
      case "outbound":
        enqueue("outbound", () => journal.settle(effect.header.id));
        return;
      case "recall":
        enqueue("recalls", () => kernel.recalled(effect, journal.recall(effect.envelopeId)));
        return;
      case "start-cell":
        enqueue(`starts ${effect.agentId}`, () => startCell(effect));
        return;
      case "stop-cell":
        enqueue(`down ${effect.agentId}`, () => {
          const cell = cells.get(effect.agentId);
          if (cell?.incarnation === effect.incarnation) endCell(effect.agentId, effect.reason, false);
          else if (cell === undefined)
            enqueue(`up ${effect.agentId}`, () =>
              kernel.cellExit(effect.agentId, effect.incarnation, effect.reason, "stopped before it was ready", nowMs),
            );
        });
        return;
      case "post":
        if (effect.record[0] === down.deliver) {
          const header = JSON.parse(effect.record[4]) as EnvelopeHeader;
          headers.set(header.id, header);
        }
        enqueue(`down ${effect.agentId}`, () => {
          const cell = cells.get(effect.agentId);
          if (cell?.incarnation === effect.incarnation) cell.receive(effect.record);
        });
        return;
      case "cancel":
        enqueue(`down ${effect.agentId}`, () => {
          const cell = cells.get(effect.agentId);
          if (cell?.incarnation === effect.incarnation) cell.cancel(effect.turn);
        });
        return;
      case "call":
        enqueue(`calls ${effect.agentId}`, () => serveCall(effect));
        return;
      case "accepted":
        accepted.set(effect.ticket, effect.result);
        return;
      case "ended": {
        const of = ends[ends.length - 1];
        of?.set(effect.header.id, (of.get(effect.header.id) ?? 0) + 1);
        ended.push({ body: bodies.get(effect.header.id) ?? "", outcome: effect.outcome });
        return;
      }
      case "streamed":
      case "flow":
      case "cell-log":
      case "agent-changed":
      case "audit":
        return;
    }
  };

  const startCell = ({ agentId, incarnation, slots }: Extract<Effect, { type: "start-cell" }>): void => {
    const cell: FakeCell = makeFakeCell(agentId, incarnation, slots, options.script, {
      post: (frame) => enqueue(`up ${agentId}`, () => kernel.frame(agentId, incarnation, frame, nowMs)),
      crash: () => endCell(agentId, "crash", true),
      delivered: (turn) => {
        bodies.set(turn.header.id, turn.body);
        handled.push({
          agentId,
          incarnation,
          sessionKey: turn.header.sessionKey,
          body: turn.body,
          attempt: turn.attempt,
          envelopeId: turn.header.id,
          atMs: nowMs,
          state: turn.state,
        });
      },
    });
    cells.set(agentId, cell);
    enqueue(`up ${agentId}`, () => kernel.cellReady(agentId, incarnation, nowMs));
  };

  const endCell = (agentId: string, reason: ExitReason, lossy: boolean): void => {
    const cell = cells.get(agentId);
    if (cell === undefined) return;
    cells.delete(agentId);
    answeredTwice.push(...wrongAnswers(cell, false));
    queues.delete(`down ${agentId}`);
    // What a dying thread had posted arrives up to some point, in order.
    const posted = queues.get(`up ${agentId}`) ?? [];
    if (lossy && posted.length > 0) posted.splice(random.below(posted.length + 1));
    enqueue(`up ${agentId}`, () => kernel.cellExit(agentId, cell.incarnation, reason, `test ${reason}`, nowMs));
  };

  /** The session tool as the supervisor serves it: its rights are checked, then it sends for the turn. */
  const serveCall = (effect: Extract<Effect, { type: "call" }>): void => {
    const params: { to: string; timeoutMs: number; callKey: string } = JSON.parse(effect.params);
    const request: CheckedSend = {
      via: `${effect.agentId}>${agentIdOf(params.to)}`,
      sessionKey: params.to,
      timeoutMs: params.timeoutMs,
      callKey: params.callKey,
      body: effect.body,
      ref: effect.ref,
      sourceTool: effect.tool,
      tool: effect.tool,
    };
    kernel.sendFor(effect.agentId, effect.turn, request, nowMs);
  };

  let kernel = boot();

  const step = (): boolean => {
    const names = [...queues.keys()];
    if (names.length === 0) return false;
    const name = random.pick(names);
    const queue = queues.get(name);
    const work = queue?.shift();
    if (queue?.length === 0) queues.delete(name);
    work?.run();
    checkInvariants(kernel, nowMs, `after ${name}`);
    return true;
  };

  const settle = (): void => {
    for (let steps = 0; step(); steps++) if (steps > 200_000) throw new Error("the kernel does not come to rest");
  };

  /** Something waits for the next tick, whenever that is. */
  const needsTick = (): boolean =>
    kernel.state.wantingCells.size > 0 ||
    [...kernel.state.agents.values()].some((agent) =>
      [...agent.turns.values()].some(({ stage }) => stage === "uncommitted"),
    );

  const tick = (): void => {
    kernel.tick(nowMs);
    checkInvariants(kernel, nowMs, "after tick");
    settle();
  };

  const driver: Driver = {
    get kernel() {
      return kernel;
    },
    journal,
    pairings,
    random,
    effects,
    handled,
    get nowMs() {
      return nowMs;
    },
    tell(sessionKey, body, told = {}) {
      const ticket = nextTicket++;
      const admission: Admission = {
        from: told.from ?? { type: "operator", client: "test" },
        agentId: agentIdOf(sessionKey),
        sessionKey,
        verb: "send",
        via: told.via ?? "door:operator",
        chain: told.chain ?? [],
        provenance: { kind: "external_user", sourceChannel: "internal" },
        replyRoute: told.replyRoute ?? { type: "none" },
        body,
        ...(told.dedupeKey === undefined ? {} : { dedupe: { scope: "test", key: told.dedupeKey } }),
        ...(told.runId === undefined ? {} : { runId: told.runId }),
        ...(told.replaces === undefined ? {} : { replaces: told.replaces }),
      };
      kernel.admit(admission, ticket, nowMs);
      return ticket;
    },
    accepted: (ticket) => accepted.get(ticket),
    step,
    stepUntil(condition) {
      while (!condition())
        if (!step()) throw new Error("nothing is left to do, and what was waited for has not happened");
    },
    settle,
    advance(ms) {
      const end = nowMs + ms;
      settle();
      while (nowMs < end) {
        nowMs = Math.min(end, nowMs + 100);
        tick();
      }
    },
    finish() {
      settle();
      for (let rounds = 0; ; rounds++) {
        if (rounds > 10_000) throw new Error("something waits for time without end");
        const dueMs = [...kernel.state.agents.values()]
          .filter((agent) => agent.phase !== "parked" && agent.depth > 0 && agent.notBeforeMs > nowMs)
          .map((agent) => agent.notBeforeMs)
          .concat(kernel.nextDeadlineMs() ?? [])
          .concat(needsTick() ? nowMs + 100 : []);
        if (dueMs.length === 0) return;
        nowMs = Math.max(nowMs + 1, Math.min(...dueMs));
        tick();
      }
    },
    open(name) {
      for (const cell of cells.values()) cell.open(name);
      settle();
    },
    cell: (agentId) => cells.get(agentId),
    crash: (agentId, reason = "crash") => endCell(agentId, reason, true),
    restartProcess() {
      process++;
      cells.clear();
      queues.clear();
      const rows = journal.pending();
      kernel = boot();
      for (const { envelope, attempts } of rows) {
        kernel.restore(envelope, attempts, nowMs);
        checkInvariants(kernel, nowMs, `in process ${process}`);
      }
    },
    frame(agentId, frame, incarnation = kernel.view(agentId)?.incarnation ?? 0) {
      kernel.frame(agentId, incarnation, frame, nowMs);
    },
    outcomes: (body) => ended.filter((end) => end.body === body).map(({ outcome }) => outcome),
    dead: (body) => [...journal.dead.values()].find(({ envelope }) => envelope.body === body),
    audits: (event) => driver.ofType("audit").filter((effect) => effect.event === event),
    ofType: <T extends Effect["type"]>(type: T) =>
      effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type),
    get trace() {
      return hash.toString(16);
    },
    get wrongAnswers() {
      return [...answeredTwice, ...[...cells.values()].flatMap((cell) => wrongAnswers(cell, true))];
    },
    ends,
    header(body) {
      const found = [...headers.values()].findLast(({ id }) => bodies.get(id) === body);
      if (found === undefined) throw new Error(`no turn was started for ${body}`);
      return found;
    },
  };
  return driver;
}

/** A call is answered once; `complete` also that it is answered at all. */
function wrongAnswers(cell: FakeCell, complete: boolean): readonly string[] {
  return [...cell.answered].flatMap(([ref, { wantsResult, stored, results }]) => {
    // A send ends with `stored` or a refusal; an ask with a result, stored before or not.
    const heard = wantsResult ? results : stored + results;
    const fine = stored <= 1 && results <= 1 && heard <= 1 && (heard === 1 || !complete);
    return fine ? [] : [`${cell.agentId}#${cell.incarnation} call ${ref}: ${stored} times stored, ${results} results`];
  });
}
