/**
 * Drives the pure kernel without threads, disk or time: a virtual clock, a journal in memory, fake cells, and effects that
 * are carried out in a seeded random order wherever real life may reorder them. What one environment or one port keeps in
 * order stays in order: the journal, each agent's store, each direction of each cell's port.
 */
import { loopBounds } from "./loop-bounds.ts";
import type { Admission } from "../../runtime/kernel/admit.ts";
import type { BacklogStop, EnvelopeHeader, Outcome } from "../../runtime/kernel/envelope.ts";
import type { FollowUp } from "../../runtime/kernel/exchange.ts";
import { down } from "../../runtime/kernel/frames.ts";
import { type Kernel, makeKernel } from "../../runtime/kernel/kernel.ts";
import { limits as allLimits, type Limits } from "../../runtime/kernel/limits.ts";
import { makePairingRegistry } from "../../runtime/kernel/pairings.ts";
import { wasStoppedBefore } from "../../runtime/kernel/spill.ts";
import { defaultSupervision } from "../../runtime/kernel/supervision.ts";
import type { ModelCall, ModelEnd } from "../../runtime/kernel/model-call.ts";
import type { AcceptResult, AgentSpec, Effect, ExitReason } from "../../runtime/kernel/state.ts";
import { isSubagentKey } from "../../runtime/routing/index.ts";
import { isRepeatable, runTool } from "../../runtime/supervisor/tools/table.ts";
import { agentIdOf, type Driver, type DriverOptions, type Handled, openPairings } from "./driver-port.ts";
import { type FakeCell, makeFakeCell } from "./fake-cell.ts";
import { headerInHand, idsInHand, makeInvariants } from "./kernel-invariants.ts";
import { journalName, makeJournal } from "./kernel-journal.ts";
import { makeKernelRuns, runTools } from "./kernel-runs.ts";
import { makeKernelSignals } from "./kernel-signals.ts";
import { makeWatch } from "./kernel-watch.ts";
import { makeRandom } from "./random.ts";
import { makeStoreWork } from "./store-work.ts";
import { makeWorkQueues } from "./work-queues.ts";

export { openPairings, spawningPairing } from "./driver-port.ts";
export type { Driver, DriverOptions } from "./driver-port.ts";

export function makeDriver(options: DriverOptions): Driver {
  const seed = options.seed ?? 1;
  const random = makeRandom(seed);
  const code = options.kernel ?? { makeKernel, makePairingRegistry };
  const signals = makeKernelSignals();
  const journal = makeJournal((fires) => runs.advance(fires) ?? signals.advance(fires));
  const pairings = code.makePairingRegistry();
  const agentIds = options.agents ?? ["main"];
  for (const pairing of options.pairings ?? openPairings(agentIds)) pairings.add(pairing);
  const limits: Limits = { ...allLimits, ...options.limits };
  const specs = agentIds.map(
    (id): AgentSpec => ({
      id,
      mainSessionKey: `agent:${id}:main`,
      maxConcurrent: 4,
      clamp: "none",
      supervision: defaultSupervision(limits),
      ...options.spec?.(id),
    }),
  );

  const effects: Effect[] = [];
  const handled: Handled[] = [];
  const accepted = new Map<number, AcceptResult>();
  /** Who hears what became of a timer or down, by ticket. */
  const due = new Map<number, (result: AcceptResult) => void>();
  const ended: { readonly body: string; readonly outcome: Outcome }[] = [];
  const bodies = new Map<string, string>();
  const headers = new Map<string, EnvelopeHeader>();
  const answeredTwice: string[] = [];
  const openTickets = new Set<number>();
  const wrongTickets: string[] = [];
  const ends: Map<string, number>[] = [];
  const cells = new Map<string, FakeCell>();
  /** By agent: the last frame of its live cell, and the last one of the cell before, which may have arrived or not. */
  const lastFrames = new Map<string, readonly unknown[]>();
  const oldFrames = new Map<string, { readonly incarnation: number; readonly frame: readonly unknown[] }>();
  let nowMs = 1_000_000;
  /** When the alarm of a driver would ring: the effect `deadline` sets it. */
  let alarmMs = Number.POSITIVE_INFINITY;
  let nextTicket = 1;
  let nextId = 1;
  let hash = 0x811c9dc5;
  let process = 0;

  const queues = makeWorkQueues(random);
  const enqueue = (queue: string, work: () => void): void => queues.add(queue, work);
  const store = makeStoreWork(
    journal,
    queues,
    () => kernel,
    () => nowMs,
    options.choicesOf,
  );

  const runs = makeKernelRuns(
    () => kernel,
    journal,
    () => store,
    () => nowMs,
  );

  const hashEffect = (effect: Effect): void => {
    const text = JSON.stringify(effect);
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  };

  const emit = (effect: Effect): void => {
    if (options.keepTrace === true) hashEffect(effect);
    watch.see(effect);
    asked?.push(effect);
    if (options.keepEffects !== false) effects.push(effect);
    carryOut(effect);
  };

  const boot = (): Kernel => {
    ends.push(new Map());
    return code.makeKernel(
      {
        limits,
        lanes: { main: options.mainLaneConcurrent ?? 4, subagent: 8, cron: 4, background: 3, ...options.lanes },
        isRunKey: isSubagentKey,
        liveCellsMax: options.liveCellsMax ?? 100,
        random: () => options.jitter ?? random.next(),
        whyNot: (subject, verb, object) => ({
          message: `${subject} may not ${verb} ${object}`,
          remedy: `tools.agentToAgent.allow: ["${object}"]`,
        }),
        bytesOf: (text) => Buffer.byteLength(text),
        isCanonicalKey: (key) => key === key.toLowerCase(),
        loops: { ...loopBounds, sameFailuresMax: 1_000, sameSessionMax: 1_000, ...options.loops },
        asksForRights: options.asksForRights === true,
        queueOf: (header) => options.queueOf?.(header),
        isRepeatable: (tool) => isRepeatable(options.tools ?? {}, tool),
        whyNotTool: (turn, tool) => options.whyNotTool?.(turn, tool),
        describeTools: (turn, held, isLast) =>
          options.describeTools === undefined ? JSON.stringify(held) : options.describeTools(turn, held, isLast),
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
        store.carryOut(effect);
        return;
      case "refill":
      case "drop-queued":
      case "begin":
      case "record":
      case "take":
      case "commit":
      case "bury":
      case "settle":
      case "outbound":
      case "recall":
        store.carryOut(effect);
        return;
      case "follow-up":
        enqueue("follow-ups", () => followUp(effect.next));
        return;
      case "start-cell":
        enqueue(`starts ${effect.agentId}#${effect.incarnation}`, () => startCell(effect));
        return;
      case "stop-cell":
        enqueue(`down ${effect.agentId}`, () => {
          const cell = cells.get(effect.agentId);
          if (cell?.incarnation === effect.incarnation) endCell(effect.agentId, effect.reason, false);
          // It has not started yet, and will not any more.
          else if (cell === undefined && queues.cut(`starts ${effect.agentId}#${effect.incarnation}`, 0) > 0)
            enqueue(`up ${effect.agentId}`, () =>
              kernel.cellExit(effect.agentId, effect.incarnation, effect.reason, "stopped before it was ready", nowMs),
            );
        });
        return;
      case "post":
        if (effect.record[0] === down.deliver || effect.record[0] === down.question) {
          const header = headerInHand(kernel.state, effect.agentId, effect.record[2]);
          if (header !== undefined) headers.set(header.id, header);
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
      case "model":
        enqueue(`calls ${effect.agentId}`, () => {
          for (const text of effect.wantsText ? ["an ", "answer"] : []) kernel.modelText(effect, text);
          kernel.modelAnswered(effect, options.models?.(effect) ?? echoModel(effect), nowMs);
        });
        return;
      case "list-tools":
        enqueue(`calls ${effect.agentId}`, () => kernel.toolsReady(effect));
        return;
      case "ask-right":
        store.change(
          () => journal.requests.keep(effect),
          () => kernel.rightAsked(effect, { ...effect.refusal, message: "the operator was asked" }),
        );
        return;
      case "run-ended":
        bodies.set(effect.completion?.header.id ?? "", effect.completion?.body ?? "");
        runs.ended(effect);
        return;
      case "runs-waited":
        enqueue(`calls ${effect.call.agentId}`, () => runs.waited(effect.call));
        return;
      case "signal-call": {
        let json = "";
        store.change(
          () => {
            const done = signals.carryOut(effect, nowMs);
            json = done.json;
            return [...done.undo, journal.made(effect.header.id, { ...effect.callId, result: [1, "ok", json] })];
          },
          () => {
            if (effect.call === "monitor") tellIfDown(effect.target);
            kernel.signalResult(effect, { json });
          },
        );
        return;
      }
      case "down":
        store.change(() => signals.markDown(effect.agentId, effect.reason, effect.detail, nowMs));
        return;
      case "accepted":
        due.get(effect.ticket)?.(effect.result);
        due.delete(effect.ticket);
        if (!openTickets.delete(effect.ticket)) wrongTickets.push(`ticket ${effect.ticket} has two answers`);
        accepted.set(effect.ticket, effect.result);
        return;
      case "ended": {
        const of = ends[ends.length - 1];
        of?.set(effect.header.id, (of.get(effect.header.id) ?? 0) + 1);
        ended.push({ body: bodies.get(effect.header.id) ?? "", outcome: effect.outcome });
        return;
      }
      case "deadline":
        alarmMs = Math.min(alarmMs, effect.atMs);
        return;
      case "spilled":
      case "session-reset":
      case "unspilled":
      case "escalated":
      case "streamed":
      case "flow":
      case "waited":
      case "cell-log":
      case "agent-changed":
      case "agent-gone":
      case "audit":
      case "asked":
        return;
    }
  };

  /** As the supervisor does it: what could not be stored is tried again by the next process. */
  const followUp = (next: FollowUp): void => {
    const ticket = nextTicket++;
    due.set(ticket, (result) => {
      if (result.status !== "refused" || result.refusal.code !== "CLOISTER_STORE_FAILED")
        store.carryOut({ type: "settle", envelopeId: next.header.id });
    });
    openTickets.add(ticket);
    kernel.admit(kernel.followUp(next, next.text ?? "", { type: "none" }), ticket, nowMs);
  };

  /** What was watched was parked or disabled already. */
  const tellIfDown = (target: string): void => {
    const view = kernel.view(target);
    const { phase } = view ?? {};
    if (phase === "parked" || phase === "disabled")
      store.change(() => signals.markDown(target, phase, view?.reason ?? "", nowMs));
  };

  const fireDue = (): void => {
    for (const { admission, answer } of [...signals.takeDue(nowMs), ...runs.takeDue()]) {
      const ticket = nextTicket++;
      due.set(ticket, answer);
      openTickets.add(ticket);
      kernel.admit(admission, ticket, nowMs);
    }
  };

  const startCell = ({ agentId, incarnation, slots }: Extract<Effect, { type: "start-cell" }>): void => {
    const cell: FakeCell = makeFakeCell(agentId, incarnation, slots, options.script, {
      post(frame) {
        lastFrames.set(agentId, frame);
        postFrame(agentId, incarnation, frame);
      },
      crash: () => endCell(agentId, "crash", true),
      delivered: (turn) => {
        bodies.set(turn.header.id, turn.body);
        watch.heard(turn.header, headers.get(turn.header.id));
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
    lastFrames.delete(agentId);
    enqueue(`up ${agentId}`, () => kernel.cellReady(agentId, incarnation, nowMs, options.takesPart?.(agentId) ?? true));
  };

  const endCell = (agentId: string, reason: ExitReason, lossy: boolean): void => {
    const cell = cells.get(agentId);
    if (cell === undefined) return;
    cells.delete(agentId);
    answeredTwice.push(...wrongAnswers(cell, false));
    queues.cut(`down ${agentId}`, 0);
    // What a dying thread had posted arrives up to some point, in order.
    if (lossy) {
      const kept = random.below(queues.length(`up ${agentId}`) + 1);
      queues.cut(`up ${agentId}`, kept);
    }
    const frame = lastFrames.get(agentId);
    if (frame !== undefined) oldFrames.set(agentId, { incarnation: cell.incarnation, frame });
    watch.reached.add(`exit:${reason}`);
    enqueue(`up ${agentId}`, () => tellExit(agentId, cell.incarnation, reason, `test ${reason}`));
  };

  const postFrame = (agentId: string, incarnation: number, frame: readonly unknown[]): void =>
    enqueue(`up ${agentId}`, () => kernel.frame(agentId, incarnation, frame, nowMs));

  /** A frame that the kernel must refuse: it changes nothing, and the audit trail says why. */
  const refusedFrame = (agentId: string, incarnation: number, frame: readonly unknown[]): void => {
    const before = kernel.state.agents.get(agentId)?.lastSeq;
    const heard: Effect[] = [];
    asked = heard;
    kernel.frame(agentId, incarnation, frame, nowMs);
    asked = undefined;
    const isRefused = heard.length === 1 && heard[0]?.type === "audit" && heard[0].event.startsWith("forged-");
    if (!isRefused || kernel.state.agents.get(agentId)?.lastSeq !== before)
      watch.problems.push(`a frame that is repeated or of an earlier cell of ${agentId} was accepted`);
  };

  /** Whoever waits for what the cell had in hand hears of its end at once. */
  const tellExit = (agentId: string, incarnation: number, reason: ExitReason, detail: string): void =>
    tellWaiting(agentId, incarnation, () => kernel.cellExit(agentId, incarnation, reason, detail, nowMs));

  /** They hear of it when it is decided, and from then on nothing is made of what the cell says. */
  const tellEnding = (agentId: string, incarnation: number, reason: ExitReason): void => {
    watch.ending(agentId, incarnation);
    tellWaiting(agentId, incarnation, () => kernel.cellEnding(agentId, incarnation, reason, nowMs));
  };

  const tellWaiting = (agentId: string, incarnation: number, tell: () => void): void => {
    const inHand = idsInHand(kernel.state, agentId);
    const view = kernel.view(agentId);
    tell();
    if (view?.incarnation !== incarnation) return;
    for (const { envelopeId: id } of kernel.state.asks.awaitedEnvelopes())
      if (inHand.has(id)) watch.problems.push(`nobody told who waits for ${id} that its cell ended`);
  };

  /** The session tool as the supervisor serves it: its rights are checked, then it sends for the turn. */
  const serveCall = (effect: Extract<Effect, { type: "call" }>): void => {
    if (runTools.includes(effect.tool)) {
      runs.serve(effect);
      return;
    }
    if (options.tools?.[effect.tool] !== undefined) {
      runTool(options.tools, kernel, effect, () => undefined);
      return;
    }
    const params: { to: string; timeoutMs: number; turnsMax?: number; steers?: true } = JSON.parse(effect.params);
    const { steers } = params;
    const verb = steers === true ? "steer" : params.timeoutMs > 0 ? "request" : "send";
    const pairing = pairings.find(`agent:${effect.agentId}`, verb, `agent:${agentIdOf(params.to)}`);
    const request = {
      sessionKey: params.to,
      timeoutMs: params.timeoutMs,
      call: { key: effect.key, op: "tool" as const, name: effect.tool, to: params.to },
      body: effect.body,
      ref: effect.ref,
      sourceTool: effect.tool,
      ...(steers === undefined ? {} : { steers }),
      ...(params.turnsMax === undefined
        ? {}
        : {
            exchange: {
              requester: effect.header.sessionKey,
              target: params.to,
              step: "request" as const,
              turn: 0,
              turnsMax: params.turnsMax,
            },
          }),
    };
    if (kernel.repeatFor(effect.agentId, effect.turn, request, nowMs)) return;
    const sent = { ...request, via: pairing?.id ?? "" };
    const isForbidden = pairing === undefined && kernel.view(agentIdOf(params.to)) !== undefined;
    if (!isForbidden && kernel.sendFor(effect.agentId, effect.turn, sent, nowMs)) return;
    kernel.callResult(effect, JSON.stringify({ status: "forbidden" }));
  };

  /** What the kernel asks for, while somebody listens. */
  let asked: Effect[] | undefined;
  const watch = makeWatch(
    journal,
    pairings,
    () => kernel.state,
    () => nowMs,
  );
  let kernel = boot();
  kernel.start(nowMs);

  const invariants = makeInvariants();
  const check = (done: string): void => invariants(kernel, nowMs, done, store.flights);

  const step = (): boolean => {
    const name = queues.step(nowMs);
    if (name === undefined) return false;
    check(name);
    return true;
  };

  const settle = (): void => {
    for (let steps = 0; step(); steps++) if (steps > 200_000) throw new Error("the kernel does not come to rest");
  };

  /** Something waits for the next tick, whenever that is. */
  const needsTick = (): boolean =>
    kernel.state.wantingCells.size > 0 ||
    kernel.state.agents
      .made()
      .some(
        ({ spill, depth, spec }) =>
          spill?.isReading === false && depth <= Math.floor((spec.mailbox?.depthMax ?? limits.mailboxDepthMax) / 2),
      ) ||
    kernel.state.agents.made().some((agent) => [...agent.turns.values()].some(({ stage }) => stage === "uncommitted"));

  /** Its mailbox may be full for as long as it is out of service. */
  const isOut = (agentId: string): boolean => {
    const phase = kernel.view(agentId)?.phase;
    return phase === "parked" || phase === "disabled";
  };

  const tick = (): void => {
    kernel.tick(nowMs);
    if (nowMs >= alarmMs) alarmMs = kernel.expireAsks(nowMs) ?? Number.POSITIVE_INFINITY;
    fireDue();
    check("tick");
    settle();
  };

  /** As the store's `pending` parts them: what goes into memory, and what stays on the disk behind it. */
  const stops: BacklogStop[] = [];
  const window = (rows: ReturnType<typeof journal.pending>) => {
    const given: (typeof rows)[number][] = [];
    const backlogs = new Map<string, { agentId: string; after: number; until: number; count: number }>();
    for (const row of rows) {
      const { agentId } = row.envelope.header;
      const depthMax = specs.find(({ id }) => id === agentId)?.mailbox?.depthMax ?? limits.mailboxDepthMax;
      const ahead = given.filter(({ envelope }) => envelope.header.agentId === agentId).length;
      if (ahead < depthMax || !agentIds.includes(agentId)) {
        given.push(row);
        continue;
      }
      const { after, count } = backlogs.get(agentId) ?? { after: row.seq - 1, count: 0 };
      backlogs.set(agentId, { agentId, after, until: row.seq, count: count + 1 });
    }
    return { given, backlogs: [...backlogs.values()] };
  };

  const driver: Driver = {
    get kernel() {
      return kernel;
    },
    journal,
    signals,
    runs,
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
        ...(told.ttlMs === undefined ? {} : { ttlMs: told.ttlMs }),
        ...(told.lane === undefined ? {} : { lane: told.lane }),
        ...(told.holdMs === undefined ? {} : { holdMs: told.holdMs }),
        ...(told.choices === undefined ? {} : { choices: told.choices }),
        ...(told.replaces === undefined ? {} : { replaces: told.replaces }),
        ...(told.releases === undefined ? {} : { releases: told.releases }),
      };
      openTickets.add(ticket);
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
        const dueMs = kernel.state.agents
          .made()
          .filter((agent) => agent.phase !== "parked" && agent.depth > 0 && agent.notBeforeMs > nowMs)
          .map((agent) => agent.notBeforeMs)
          .concat(Number.isFinite(alarmMs) ? alarmMs : [])
          .concat(queues.nextMs(nowMs) ?? [])
          .concat(
            [...kernel.state.crowded].flatMap(({ crowd }) =>
              (crowd ?? []).flatMap((waiting) => (waiting.type === "ingress" ? waiting.deadlineMs : [])),
            ),
          )
          .concat(signals.nextMs((agentId) => !isOut(agentId)) ?? [])
          .concat(runs.nextMs() ?? [])
          .concat(
            [...kernel.state.runs.values()].flatMap(({ run }) =>
              run === undefined || run.phase === "reporting"
                ? []
                : run.end === undefined
                  ? (run.row.deadlineMs ?? [])
                  : Math.max(run.retryAtMs, nowMs + 100),
            ),
          )
          .concat([...kernel.state.quiet.keys()].flatMap(({ quietAtMs }) => quietAtMs ?? []))
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
    endLater(agentId, reason = "hung") {
      const incarnation = cells.get(agentId)?.incarnation;
      if (incarnation === undefined) return;
      // Each when its turn in the order of the world comes: the cell may have ended by then, and another one begun.
      enqueue(`ends ${agentId}`, () => tellEnding(agentId, incarnation, reason));
      for (let pauses = random.below(20); pauses > 0; pauses--) enqueue(`ends ${agentId}`, () => undefined);
      enqueue(`ends ${agentId}`, () => {
        if (cells.get(agentId)?.incarnation === incarnation) endCell(agentId, reason, true);
      });
    },
    bringBack(agentId) {
      if (!kernel.mayReturn(agentId)) return false;
      const rows = journal.pending().filter(({ envelope }) => envelope.header.agentId === agentId);
      const left = { after: 0, until: rows.at(-1)?.seq ?? 0, count: rows.length, stops };
      return kernel.returnToService(agentId, left, nowMs);
    },
    stallStore: (name, ms) => store.stall(name, nowMs + ms),
    stallStart(agentId, ms) {
      const incarnation = kernel.view(agentId)?.incarnation ?? 0;
      for (const next of [incarnation, incarnation + 1]) queues.stall(`starts ${agentId}#${next}`, nowMs + ms);
    },
    repeatFrame(agentId) {
      const frame = lastFrames.get(agentId);
      const cell = cells.get(agentId);
      if (frame === undefined || cell === undefined) return false;
      enqueue(`up ${agentId}`, () => refusedFrame(agentId, cell.incarnation, frame));
      return true;
    },
    lateFrame(agentId) {
      const old = oldFrames.get(agentId);
      const cell = cells.get(agentId);
      if (old === undefined || cell === undefined) return false;
      // From the old port, or from the new cell's in the name of the old one.
      const port = random.chance(0.5) ? old.incarnation : cell.incarnation;
      enqueue(`up ${agentId}`, () => refusedFrame(agentId, port, old.frame));
      return true;
    },
    repeatExit(agentId) {
      const incarnation = (kernel.view(agentId)?.incarnation ?? 0) - 1;
      enqueue(`exits ${agentId}`, () => kernel.cellExit(agentId, incarnation, "crash", "told again", nowMs));
    },
    restartProcess() {
      process++;
      alarmMs = Number.POSITIVE_INFINITY;
      journal.crash(random);
      for (const cell of cells.values()) answeredTwice.push(...wrongAnswers(cell, false));
      cells.clear();
      openTickets.clear();
      queues.clear();
      store.restarted();
      lastFrames.clear();
      oldFrames.clear();
      watch.restarted();
      due.clear();
      signals.restart();
      journal.change([...signals.markDown(undefined, "killed", "the process died", nowMs), ...runs.restart()]);
      journal.flush(journalName);
      kernel = boot();
      for (const answer of journal.outbound.values()) store.carryOut(answer);
      const { given, backlogs } = window(journal.pending());
      const restoring = `a restore in process ${process}`;
      for (const { envelope, attempts, seq } of given) {
        kernel.restore(envelope, attempts, nowMs, wasStoppedBefore(stops, envelope.header, seq));
        check(restoring);
      }
      for (const backlog of backlogs) kernel.restoreBacklog({ ...backlog, stops });
      for (const { header, outcome } of journal.exchanges()) kernel.resumeExchange(header, outcome);
      kernel.start(nowMs);
    },
    stop(scope) {
      const stopped = kernel.stop(scope, "operator", nowMs);
      stops.push(...stopped.kept);
      return stopped;
    },
    abort(sessionKey, runId) {
      const { queued, active } = driver.stop({
        type: "session",
        sessionKey,
        ...(runId === undefined ? {} : { runId }),
      });
      return [...active, ...queued];
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
      return options.keepTrace === true ? hash.toString(16) : undefined;
    },
    get wrongAnswers() {
      const unanswered = [...openTickets].map((ticket) => `ticket ${ticket} has no answer`);
      const calls = [...cells.values()].flatMap((cell) => wrongAnswers(cell, true));
      return [...wrongTickets, ...unanswered, ...answeredTwice, ...calls];
    },
    watch,
    sent: store.sent,
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

/** Says what it was asked, and takes a token for each character. */
function echoModel({ request }: ModelCall): ModelEnd {
  return {
    ok: true,
    json: JSON.stringify({ text: request }),
    used: { input: request.length, output: 1, costNanos: 7 },
    model: "test/echo",
  };
}
