/**
 * Carries out what the kernel decides: hands appends and commits to the store, records to cells, ends to whoever follows a
 * run, and reports back. The only place where the pure kernel meets time, threads and stores.
 */
import type { Policy } from "../../auth/policy.ts";
import { callerPairings, compilePairings, grantPairings } from "../../auth/compile-pairings.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { type Admission, type Kernel, makeKernel } from "../kernel/kernel.ts";
import type { CallerRow, Outcome } from "../kernel/envelope.ts";
import { type ErrorCode, toRefusal } from "../kernel/errors.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import { limits } from "../kernel/limits.ts";
import { makePairingRegistry, type PairingRegistry } from "../kernel/pairings.ts";
import type { AcceptResult, AuditEffect, Effect } from "../kernel/state.ts";
import { wasStoppedBefore } from "../kernel/spill.ts";
import { storedOutcome } from "../kernel/turns.ts";
import type { StandingOrder, Store } from "../store/port.ts";
import { resetFor } from "./reset-rules.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import { type CellHost, makeCellHost } from "../thread/cell-host.ts";
import { sessionChannel, sessionKind } from "../routing/index.ts";
import { specOf } from "./agent-spec.ts";
import { type Deliver, makeAnswers, restartHeader } from "./answers.ts";
import { makeAlarm } from "./alarm.ts";
import { makeBacklogs } from "./backlogs.ts";
import { makeCellEnds } from "./cell-ends.ts";
import { initOf, prepareCell } from "./cell-places.ts";
import type { FollowUp } from "../kernel/exchange.ts";
import { makeKernelSettings } from "./kernel-settings.ts";
import { makeProfiles } from "./profiles.ts";
import type { Models } from "./models.ts";
import type { Queues } from "./queues.ts";
import type { Runs } from "./runs.ts";
import type { Signals } from "./signals.ts";
import type { Subagents } from "./subagents.ts";

export interface DriverDeps {
  readonly config: ResolvedConfig;
  /** Those of the configuration, by id. */
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly policy: Policy;
  readonly store: Store;
  readonly assets: CellAssets;
  readonly runs: Runs;
  /** In force since before this start. */
  readonly orders: readonly StandingOrder[];
  /** Programs outside that may call agents, of those in force. */
  readonly callers: readonly CallerRow[];
  readonly liveCellsMax: number;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly newId: (nowMs: number) => string;
  readonly onAgentChanged: (agentId: string) => void;
  /** Nothing is left of an agent that was removed while the gateway ran. */
  readonly onAgentGone: (agentId: string) => void;
  readonly noteAudit: (effect: AuditEffect) => void;
  /** One more is in the store. */
  readonly onDeadLetter: () => void;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly deliver: Deliver;
  /** A session tool was called by a cell whose right to it is checked. */
  readonly callTool: (effect: Extract<Effect, { type: "call" }>) => void;
  readonly models: Pick<Models, "ask" | "endTurn" | "endCell">;
  /** Whether a call of the tool may be carried out again when its result was not kept. */
  readonly isRepeatable: (tool: string) => boolean;
  /** Another turn of an exchange follows on one that is done. */
  readonly onFollowUp: (next: FollowUp) => void;
  /** The agent whose failure ends the gateway was parked. */
  readonly onEscalated: (agentId: string, reason: string) => void;
  /** A cell lacked a right that an operator may grant; ends with `rightAsked`. */
  readonly askRight: (effect: Extract<Effect, { type: "ask-right" }>) => void;
  readonly subagents: Pick<Subagents, "carryOut" | "start" | "takeFiles">;
  readonly queues: Pick<Queues, "of">;
  readonly signals: Pick<Signals, "call" | "down" | "start" | "stop" | "end">;
}

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the last process left: mail that is not done, of which so many were in hand, and answers that were not delivered. */
export interface Resumed {
  readonly envelopes: number;
  readonly inHand: number;
  readonly outbound: number;
}

export interface Driver {
  readonly kernel: Kernel;
  readonly pairings: PairingRegistry;
  /** Journals the message. Resolves when it is stored, or with the refusal. */
  accept(admission: Admission): Promise<AcceptResult>;
  /** Resolves when what the last process left is taken up. */
  readonly resumed: Promise<void>;
  /** Takes up what the last process left. */
  resume(): Promise<Resumed>;
  /** Lets turns in flight end, then ends the cells. True when all ended in time. */
  drain(timeoutMs: number): Promise<boolean>;
  inspectCell(agentId: string): ReturnType<CellHost["inspect"]>;
  readonly liveCells: number;
}

export function makeDriver(deps: DriverDeps): Driver {
  const { config, agents, store, runs, log, nowMs, noteAudit } = deps;
  const tickets = new Map<number, (result: AcceptResult) => void>();
  let nextTicket = 1;
  const isResumed = Promise.withResolvers<void>();
  const answers = makeAnswers(deps);

  const pairings = makePairingRegistry(compilePairings(deps.policy, (agentId) => agents.has(agentId)));
  const granted = (deps.policy.operator ?? []).flatMap((grant) => grantPairings(grant, [...agents.keys()]));
  for (const pairing of [...granted, ...deps.callers.flatMap(callerPairings)]) pairings.add(pairing);

  const parked = new Map(deps.orders.map(({ agentId, reason }) => [agentId, reason]));
  const kernel = makeKernel(
    makeKernelSettings(deps),
    [...agents.values()].map((agent) => specOf(agent, config, deps.policy, parked.get(agent.id))),
    pairings,
    (effect) => perform(effect),
  );

  const reportEnd = makeCellEnds(makeProfiles(config.stateDir), log, nowMs, noteAudit);

  const host = makeCellHost(deps.assets, {
    ready: (agentId, incarnation, takesPart) => kernel.cellReady(agentId, incarnation, nowMs(), takesPart),
    invalid: (agentId, _incarnation, reason) => {
      log.error({ agent: agentId, reason }, "the agent is disabled: its module cannot be loaded");
      kernel.disable(agentId, reason, nowMs());
    },
    frame: (agentId, incarnation, frame) => kernel.frame(agentId, incarnation, frame, nowMs()),
    ending: (agentId, incarnation, reason) => {
      deps.models.endCell(agentId, incarnation);
      log.info({ agent: agentId, incarnation, reason }, "a cell is to end");
      kernel.cellEnding(agentId, incarnation, reason, nowMs());
    },
    exited: (agentId, incarnation, reason, detail, profile) => {
      deps.models.endCell(agentId, incarnation);
      reportEnd(agentId, incarnation, kernel.inHand(agentId), reason, detail, profile);
      kernel.cellExit(agentId, incarnation, reason, detail, nowMs());
    },
    hasWork: (agentId, incarnation) => {
      const view = kernel.view(agentId);
      return view !== undefined && view.incarnation === incarnation && view.phase === "running";
    },
  });

  const spilled = makeBacklogs({ store, kernel: () => kernel, onDeadLetter: deps.onDeadLetter, log, nowMs });
  const ticker = setInterval(() => kernel.tick(nowMs()), limits.heartbeatCheckMs);
  ticker.unref();
  const alarm = makeAlarm(nowMs, () => kernel.expireAsks(nowMs()));

  const failed = (what: string, fields: object) => (error: unknown) =>
    log.error({ ...fields, error: toRefusal(error) }, what);

  /** The thread's effects. Every branch either answers at once or reports back to the kernel exactly once. */
  function perform(effect: Effect): void {
    switch (effect.type) {
      case "append":
        append(effect).then(
          (result) => {
            // Known from here on: whoever hears of the run may ask for its end before it begins.
            if (effect.replaces !== undefined) runs.reopened(effect.envelope.header.runId);
            else if (result.status === "stored") runs.opened(effect.envelope.header.runId);
            kernel.appended(effect.envelope, effect.ticket, result, nowMs());
          },
          (error: unknown) => {
            const refusal = { ...toRefusal(error), retryAfterMs: limits.storeRetryMs };
            kernel.appended(effect.envelope, effect.ticket, { status: "failed", refusal }, nowMs());
          },
        );
        return;
      case "spilled":
        runs.shelved(effect.header.runId);
        return;
      case "unspilled":
        runs.unshelved(effect.header.runId);
        return;
      case "refill":
        spilled.refill(effect);
        return;
      case "drop-queued":
        spilled.drop(effect);
        return;
      case "accepted": {
        const resolve = tickets.get(effect.ticket);
        tickets.delete(effect.ticket);
        resolve?.(effect.result);
        return;
      }
      case "begin":
        runs.began(effect.header);
        store
          .begin({
            envelopeId: effect.envelopeId,
            agentId: agentOfKey(effect.sessionKey) ?? effect.agentId,
            sessionKey: effect.sessionKey,
            wantState: effect.wantState,
            ...resetFor(config.session, effect.header),
          })
          .then(
            (result) => kernel.begun(effect.agentId, effect.turn, result, nowMs()),
            (error: unknown) =>
              kernel.begun(effect.agentId, effect.turn, { status: "failed", refusal: toRefusal(error) }, nowMs()),
          );
        return;
      case "record": {
        const { envelopeId, sessionKey, row } = effect;
        const agentId = agentOfKey(sessionKey) ?? effect.agentId;
        store.recordStep({ envelopeId, agentId, sessionKey, row }).then(
          () => kernel.recorded(effect, undefined),
          (error: unknown) => kernel.recorded(effect, toRefusal(error)),
        );
        return;
      }
      case "take":
        store.take({ ...effect, agentId: agentOfKey(effect.sessionKey) ?? effect.agentId }).then(
          (found) => kernel.taken(effect, found, nowMs()),
          (error: unknown) => kernel.taken(effect, toRefusal(error), nowMs()),
        );
        return;
      case "commit":
        // The actor did not wait for what it had asked a model.
        deps.models.endTurn(effect.agentId, effect.turn);
        commit(effect);
        return;
      case "outbound":
        if (effect.route.type === "channel") answers.send(effect.header, effect.route, effect.text);
        return;
      case "settle":
        store
          .settle(effect.envelopeId)
          .catch(failed("a done envelope could not be removed from the journal", { envelope: effect.envelopeId }));
        return;
      case "session-reset":
        log.info({ agent: effect.agentId, session: effect.sessionKey }, "a session was over and begins anew");
        deps.onSessionChanged(effect.sessionKey, effect.agentId, "reset");
        return;
      case "follow-up":
        deps.onFollowUp(effect.next);
        return;
      case "bury":
        log.warn(
          { envelope: effect.header.id, session: effect.header.sessionKey, fate: effect.fate, reason: effect.reason },
          "an envelope became a dead letter",
        );
        store
          .bury(effect.header.id, effect.fate, effect.reason)
          .then(deps.onDeadLetter, failed("a dead letter could not be written", { envelope: effect.header.id }));
        return;
      case "recall":
        recall(effect);
        return;
      case "start-cell":
        startCell(effect);
        return;
      case "waited": {
        const { header, lane, waitedMs } = effect;
        log.debug({ agent: header.agentId, session: header.sessionKey, lane, waitedMs }, `queued for ${waitedMs} ms`);
        return;
      }
      case "stop-cell":
        host.stop(
          effect.agentId,
          effect.incarnation,
          effect.reason,
          effect.reason === "normal"
            ? "idle"
            : effect.reason === "shutdown"
              ? "an operator ordered it"
              : `it was not ready within ${limits.cellStartMs} ms`,
        );
        return;
      case "post":
        host.post(effect.agentId, effect.incarnation, effect.record);
        return;
      case "cancel":
        deps.models.endTurn(effect.agentId, effect.turn);
        host.cancel(effect.agentId, effect.incarnation, effect.turn);
        return;
      case "call":
        deps.callTool(effect);
        return;
      case "model":
        deps.models.ask(effect);
        return;
      case "ask-right":
        deps.askRight(effect);
        return;
      case "runs-waited":
      case "run-ended":
        deps.subagents.carryOut(effect);
        return;
      case "signal-call":
        deps.signals.call(effect);
        return;
      case "escalated":
        log.error(
          { agent: effect.agentId, escalate: effect.to, group: effect.group, reason: effect.reason },
          "an agent ended too often and is parked",
        );
        if (effect.to === "gateway") deps.onEscalated(effect.agentId, effect.reason);
        return;
      case "down":
        deps.signals.down(effect);
        return;
      case "streamed":
        runs.streamed(effect.header, effect.seq, effect.text);
        return;
      case "ended":
        runs.ended(effect.header, effect.seq, effect.outcome, effect.aborted);
        return;
      case "flow":
        runs.flow(effect.envelopeId, effect.fromSession, effect.toSession, effect.state);
        return;
      case "deadline":
        alarm.wakeAt(effect.atMs);
        return;
      case "cell-log":
        log[effect.level >= 50 ? "error" : effect.level >= 40 ? "warn" : effect.level >= 30 ? "info" : "debug"](
          { agent: effect.agentId },
          effect.message,
        );
        return;
      case "agent-changed":
        deps.onAgentChanged(effect.agentId);
        return;
      case "agent-gone":
        deps.onAgentGone(effect.agentId);
        return;
      case "audit":
        noteAudit(effect);
        return;
    }
  }

  async function append(effect: Extract<Effect, { type: "append" }>): ReturnType<Store["append"]> {
    const { envelope, dedupe, replaces, releases, fires, sees } = effect;
    if (fires !== undefined) return { status: "stored", ...(await store.fire(fires, envelope)) };
    if (releases !== undefined) return { status: "stored", ...(await store.releaseKept(releases, envelope)) };
    if (replaces !== undefined) return { status: "stored", ...(await store.replay(replaces, envelope)) };
    return store.append(envelope, dedupe, sees);
  }

  function commit(effect: Extract<Effect, { type: "commit" }>): void {
    const { header } = effect;
    store
      .commit({
        envelopeId: header.id,
        taken: effect.taken,
        agentId: header.agentId,
        sessionKey: header.sessionKey,
        kind: sessionKind(header.sessionKey, config.session.mainKey),
        channel: sessionChannel(header.sessionKey, header.provenance.sourceChannel),
        rows: effect.rows,
        ...(effect.state === undefined ? {} : { state: effect.state }),
        outcomeText: effect.outcomeText,
        ...(effect.failure === undefined ? {} : { failure: effect.failure }),
        ...(effect.outbound === undefined ? {} : { outbound: effect.outbound }),
        ...(effect.tokens === undefined ? {} : { tokens: effect.tokens }),
        atMs: nowMs(),
      })
      .then(
        () => {
          kernel.committed(effect.agentId, effect.turn, { ok: true }, nowMs());
          deps.onSessionChanged(header.sessionKey, header.agentId, "turn");
        },
        (error: unknown) =>
          kernel.committed(effect.agentId, effect.turn, { ok: false, refusal: toRefusal(error) }, nowMs()),
      );
  }

  function recall(effect: Extract<Effect, { type: "recall" }>): void {
    const lost: Outcome = {
      status: "error",
      code: "CLOISTER_AGENT_CRASHED" satisfies ErrorCode,
      message: "this message was sent before; how it ended is no longer known",
    };
    store.outcome(effect.agentId, effect.envelopeId).then(
      (result) => {
        if (result.status === "open") kernel.stillOpen(effect, nowMs());
        else if (result.status === "unknown") kernel.recalled(effect, lost, false);
        else kernel.recalled(effect, storedOutcome(result), true);
      },
      () => kernel.recalled(effect, lost, false),
    );
  }

  function startCell(effect: Extract<Effect, { type: "start-cell" }>): void {
    const agent = agents.get(effect.homeId) as ResolvedAgent;
    const files = deps.subagents.takeFiles(effect.agentId);
    prepareCell(agent, config, deps.assets).then(
      (place) =>
        host.start({
          id: effect.agentId,
          init: initOf(agent, place, config.session.mainKey, effect, files),
          readable: place.readable,
          isSuspect: effect.isSuspect,
          ...agent.isolation,
        }),
      (error: unknown) => {
        const { message } = toRefusal(error);
        log.error({ agent: effect.agentId, reason: message }, "the agent is disabled: its cell cannot be prepared");
        kernel.disable(effect.agentId, message, nowMs());
        kernel.cellExit(effect.agentId, effect.incarnation, "normal", message, nowMs());
      },
    );
  }

  return {
    kernel,
    pairings,
    resumed: isResumed.promise,
    async accept(admission) {
      // What was accepted before comes before what is accepted now, in every session.
      await isResumed.promise;
      return new Promise((resolve) => {
        const ticket = nextTicket++;
        tickets.set(ticket, resolve);
        kernel.admit(admission, ticket, nowMs());
      });
    },
    async resume() {
      // Before the turns that wait for them are handled again.
      await deps.subagents.start();
      // The store knows the usual one.
      const unusual = config.agents.filter(({ mailbox }) => mailbox.depthMax !== limits.mailboxDepthMax);
      const windows = Object.fromEntries(unusual.map(({ id, mailbox }) => [id, mailbox.depthMax]));
      const { envelopes, backlogs, outbound, exchanges } = await store.pending(windows);
      const stops = await store.stops();
      let stopped = 0;
      for (const row of outbound) {
        if (row.route.type === "channel") answers.send(restartHeader(row), row.route, row.text);
      }
      for (const envelope of envelopes) {
        const { header, attempts, seq } = envelope;
        const isStopped = wasStoppedBefore(stops, header, seq);
        if (isStopped) stopped++;
        runs.opened(header.runId);
        // The run lost its cell with the process; who looks for why it took so long finds it.
        if (attempts > 0) {
          noteAudit({
            type: "audit",
            event: "redelivered",
            subject: header.agentId,
            object: header.sessionKey,
            verb: header.verb,
            decision: "noted",
            envelopeId: header.id,
            trace: header.trace,
            detail: `its run was lost when the last process ended, after delivery ${attempts}; it is handled again`,
          });
        }
        kernel.restore(envelope, attempts, nowMs(), isStopped);
      }
      let behind = 0;
      for (const backlog of backlogs) {
        behind += backlog.count;
        runs.shelvedBefore(backlog.count);
        kernel.restoreBacklog({ ...backlog, stops });
      }
      // Nothing is left that they may mean: what ends now is looked for again at the next start.
      if (stops.length > 0 && stopped + backlogs.length === 0) await store.dropStops();
      for (const { header, ...done } of exchanges) kernel.resumeExchange(header, storedOutcome(done));
      kernel.start(nowMs());
      isResumed.resolve();
      await deps.signals.start();
      const inHand = envelopes.filter(({ attempts }) => attempts > 0).length;
      return { envelopes: envelopes.length + behind, inHand, outbound: outbound.length };
    },
    async drain(timeoutMs) {
      deps.signals.stop();
      kernel.drain();
      const until = nowMs() + timeoutMs;
      while (kernel.turnsInFlight() > 0 && nowMs() < until) await new Promise((resolve) => setTimeout(resolve, 20));
      const clean = kernel.turnsInFlight() === 0;
      const answersUntil = Math.min(until, nowMs() + limits.drainAnswersMs);
      while (answers.size > 0 && nowMs() < answersUntil) await new Promise((resolve) => setTimeout(resolve, 20));
      clearInterval(ticker);
      alarm.close();
      await host.close();
      await deps.signals.end().catch(failed("the end of the gateway could not be told to who watches its agents", {}));
      return clean;
    },
    inspectCell: (agentId) => host.inspect(agentId),
    get liveCells() {
      return host.size;
    },
  };
}
