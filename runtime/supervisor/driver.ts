/**
 * Carries out what the kernel decides: hands records to cells, ends to whoever follows a run, what the store has to do to
 * `store-effects.ts`, and reports back. The only place where the pure kernel meets time, threads and stores.
 */
import type { Policy } from "../../auth/policy.ts";
import { callerPairings, compilePairings, grantPairings } from "../../auth/compile-pairings.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { type Admission, type Kernel, makeKernel } from "../kernel/kernel.ts";
import type { CallerRow } from "../kernel/envelope.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { makePairingRegistry, type PairingRegistry } from "../kernel/pairings.ts";
import type { AcceptResult, AskedEffect, AuditEffect, Effect } from "../kernel/state.ts";
import type { StandingOrder, Store } from "../store/port.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import { type CellHost, makeCellHost } from "../thread/cell-host.ts";
import type { AgentBudgets } from "./agent-budgets.ts";
import { specOf } from "./agent-spec.ts";
import { type Deliver, makeAnswers } from "./answers.ts";
import { makeAlarm } from "./alarm.ts";
import { makeBacklogs } from "./backlogs.ts";
import { makeCellEnds } from "./cell-ends.ts";
import { initOf, prepareCell } from "./cell-places.ts";
import { makeForeignPlaces } from "./foreign-places.ts";
import type { FollowUp } from "../kernel/exchange.ts";
import { makeKernelSettings } from "./kernel-settings.ts";
import { makeProfiles } from "./profiles.ts";
import { makeReturns } from "./returns.ts";
import type { Mcp } from "./mcp.ts";
import type { Models } from "./models.ts";
import type { Queues } from "./queues.ts";
import { type Resumed, resumeWork } from "./resume-work.ts";
import type { Runs } from "./runs.ts";
import type { Signals } from "./signals.ts";
import { makeStoreEffects } from "./store-effects.ts";
import type { Subagents } from "./subagents.ts";
import type { SkillShelf } from "./skills.ts";
import type { CommandTools } from "./tools/host-tools.ts";
import type { ToolDesk } from "./tools/tool-desk.ts";
import { noteAnswer } from "./job-rows.ts";
import { makeWhyNoSending } from "./send-policy.ts";

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
  readonly noteAsked: (effect: AskedEffect) => void;
  /** One more is in the store. */
  readonly onDeadLetter: () => void;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly deliver: Deliver;
  /** A session tool was called by a cell whose right to it is checked. */
  readonly callTool: (effect: Extract<Effect, { type: "call" }>) => void;
  readonly budgets: Pick<AgentBudgets, "countsWork" | "bookTime">;
  readonly models: Pick<Models, "ask" | "endTurn" | "endCell">;
  /** Commands of agents end with what they were for. */
  readonly commands: Pick<CommandTools, "endTurn" | "endCell">;
  /** Calls of tools elsewhere: what turns and cells wanted that are over. */
  readonly calls: Pick<Mcp, "endTurn" | "endCell">;
  /** Whether a call of the tool may be carried out again when its result was not kept. */
  readonly isRepeatable: (tool: string) => boolean;
  readonly toolDesk: Pick<ToolDesk, "whyNot" | "describe" | "ready">;
  readonly skills: Pick<SkillShelf, "of">;
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
  /** A disabled agent is to work again, as soon as nothing of it is ending any more. False when it is none. */
  bringBack(agentId: string): Promise<boolean>;
  inspectCell(agentId: string): ReturnType<CellHost["inspect"]>;
  readonly liveCells: number;
  readonly cellFigures: CellHost["figures"];
}

export function makeDriver(deps: DriverDeps): Driver {
  const { config, agents, store, runs, log, nowMs, noteAudit } = deps;
  const tickets = new Map<number, (result: AcceptResult) => void>();
  let nextTicket = 1;
  const isResumed = Promise.withResolvers<void>();
  const answers = makeAnswers({
    ...deps,
    whyNoSending: makeWhyNoSending(deps),
    onAnswer: (header, answer) => noteAnswer(store, log, header, answer),
  });

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

  const endTurn = (agentId: string, turn: number): void => {
    deps.models.endTurn(agentId, turn);
    deps.calls.endTurn(agentId, turn);
    deps.commands.endTurn(agentId, turn);
  };
  const endCell = (agentId: string, incarnation: number): void => {
    deps.models.endCell(agentId, incarnation);
    deps.calls.endCell(agentId, incarnation);
  };

  const foreign = makeForeignPlaces(config, nowMs);
  const host = makeCellHost(deps.assets, {
    ready: (agentId, incarnation, takesPart) => kernel.cellReady(agentId, incarnation, nowMs(), takesPart),
    invalid: (agentId, _incarnation, reason) => {
      log.error({ agent: agentId, reason }, "the agent is disabled: its module cannot be loaded");
      kernel.disable(agentId, reason, nowMs());
    },
    frame: (agentId, incarnation, frame) => kernel.frame(agentId, incarnation, frame, nowMs()),
    ending: (agentId, incarnation, reason) => {
      endCell(agentId, incarnation);
      log.info({ agent: agentId, incarnation, reason }, "a cell is to end");
      kernel.cellEnding(agentId, incarnation, reason, nowMs());
    },
    exited: (agentId, incarnation, reason, detail, profile) => {
      endCell(agentId, incarnation);
      deps.commands.endCell(agentId, reason, !agents.has(agentId));
      reportEnd(agentId, incarnation, kernel.inHand(agentId), reason, detail, profile);
      kernel.cellExit(agentId, incarnation, reason, detail, nowMs());
    },
    hasWork: (agentId, incarnation) => {
      const view = kernel.view(agentId);
      return view !== undefined && view.incarnation === incarnation && view.phase === "running";
    },
  });

  const askStore = makeStoreEffects({ ...deps, kernel });
  const spilled = makeBacklogs({ store, kernel: () => kernel, onDeadLetter: deps.onDeadLetter, log, nowMs });
  const returns = makeReturns({ kernel, store, runs, log, nowMs });
  const ticker = setInterval(() => {
    kernel.tick(nowMs());
    returns.goOn();
  }, limits.heartbeatCheckMs);
  ticker.unref();
  const alarm = makeAlarm(nowMs, () => kernel.expireAsks(nowMs()));

  /** The thread's effects. Every branch either answers at once or reports back to the kernel exactly once. */
  function perform(effect: Effect): void {
    switch (effect.type) {
      case "append":
      case "begin":
      case "record":
      case "take":
      case "settle":
      case "bury":
      case "recall":
        askStore(effect);
        return;
      case "commit":
        // The actor did not wait for what it had asked for.
        endTurn(effect.agentId, effect.turn);
        askStore(effect);
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
      case "outbound":
        if (effect.route.type === "channel") answers.send(effect.header, effect.route, effect.text);
        return;
      case "session-reset":
        log.info({ agent: effect.agentId, session: effect.sessionKey }, "a session was over and begins anew");
        deps.onSessionChanged(effect.sessionKey, effect.agentId, "reset");
        return;
      case "follow-up":
        deps.onFollowUp(effect.next);
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
        endTurn(effect.agentId, effect.turn);
        host.cancel(effect.agentId, effect.incarnation, effect.turn);
        return;
      case "call":
        runs.called(effect.header, effect.tool);
        deps.callTool(effect);
        return;
      case "model":
        deps.models.ask(effect);
        return;
      case "list-tools":
        void deps.toolDesk.ready(effect.homeId).then(() => kernel.toolsReady(effect));
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
        runs.ended(effect.header, effect.seq, effect.outcome, effect.aborted, effect.inMemory);
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
      case "asked":
        deps.noteAsked(effect);
        return;
      case "audit":
        noteAudit(effect);
        return;
    }
  }

  function startCell(effect: Extract<Effect, { type: "start-cell" }>): void {
    const agent = agents.get(effect.homeId) as ResolvedAgent;
    const files = deps.subagents.takeFiles(effect.agentId);
    prepareCell(agent, foreign, deps.assets, deps.skills).then(
      (place) => {
        if (place.note !== undefined) log.warn({ agent: effect.agentId }, place.note);
        host.start({
          id: effect.agentId,
          init: initOf(agent, place, config.session, effect, files),
          readable: place.readable,
          isSuspect: effect.isSuspect,
          ...agent.isolation,
        });
      },
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
    resume: () => resumeWork({ ...deps, kernel, answers, onTaken: isResumed.resolve }),
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
      await deps.signals
        .end()
        .catch((error: unknown) =>
          log.error({ error: toRefusal(error) }, "the end of the gateway could not be told to who watches its agents"),
        );
      return clean;
    },
    bringBack: (agentId) => returns.bringBack(agentId),
    inspectCell: (agentId) => host.inspect(agentId),
    cellFigures: () => host.figures(),
    get liveCells() {
      return host.size;
    },
  };
}
