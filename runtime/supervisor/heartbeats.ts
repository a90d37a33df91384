/**
 * Heartbeats: regular turns of an agent in its main session, or in the one that its configuration says, which nobody asked for. Each is a timer with the log of a job (`store/job-rows.ts`)
 * under an id of its own, so that no agent and no method for jobs sees or removes it. Source: behaviour §5.8; docs/adr/0050-heartbeats.md.
 *
 *     written in the configuration ──► a row ──due──► outside of its hours ──► tried when they begin
 *                                                     the session is at work ──► tried a little later
 *                                                     else ──► one turn, for all times that passed ──► a row of its log
 *     not written any more ──due──► the row goes
 */
import type { HeartbeatRule, ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import type { EnvelopeHeader, Outcome, ReplyRoute } from "../kernel/envelope.ts";
import { failure, fromRefusal, toRefusal } from "../kernel/errors.ts";
import type { Admission, Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import { partsOfModel } from "../kernel/model-name.ts";
import type { AcceptResult } from "../kernel/state.ts";
import { mainSessionKey } from "../routing/index.ts";
import { type Job, type JobRun, neverMs } from "../store/job-rows.ts";
import type { Store, TimerRow } from "../store/port.ts";
import { aFewAtOnce } from "../thread/a-few-at-once.ts";
import { nextActiveMs } from "./active-hours.ts";
import { statAgentFile } from "./agent-files.ts";
import { accountOf, ownerRoute, readAddress, unasked } from "./answer-address.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import type { Logger } from "./driver.ts";
import { makeInTurn } from "./in-turn.ts";
import { noteRun, setJob } from "./job-rows.ts";
import { heartbeatIdMark, jobIdMark } from "./job-schedule.ts";
import type { Handlers } from "./method-handlers.ts";
import type { Targets } from "./method-targets.ts";
import type { Models } from "./models.ts";
import { timesOf } from "./signal-mail.ts";
import { tooManyWakes, type WakePace } from "./wake-pace.ts";

export interface HeartbeatsDeps {
  readonly config: Pick<ResolvedConfig, "session" | "commands" | "channelDefaults" | "accountsOn" | "bindings">;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly targets: Targets;
  readonly store: Pick<Store, "schedule" | "unschedule" | "amendJob" | "postpone" | "timers" | "session">;
  readonly kernel: () => Pick<Kernel, "isOpen" | "isRunning">;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  readonly expect: (atMs: number) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly profileType: Models["profileType"];
  readonly wakePace: Pick<WakePace, "place">;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export type AgentPlace = Pick<ResolvedAgent, "id" | "workspace">;

export interface Heartbeats {
  readonly methods: Handlers<"wake" | "last-heartbeat" | "set-heartbeats">;
  /** The configuration is another one, or the gateway has started: there is a row for each agent that has them. */
  follow(): Promise<void>;
  /** The gateway is up: turns of agents that have a BOOT.md, of those whose workspace was there before. */
  boot(withWorkspace: readonly AgentPlace[]): Promise<void>;
  /** A time has come. Undefined: nothing is to be said now, and the row says when next. */
  due(timer: TimerRow, atMs: number): Promise<Admission | undefined>;
  /** The turn of a message has ended; those of heartbeats are written down. */
  ended(header: EnvelopeHeader, outcome: Outcome): void;
  /** When its next turn is, as things stand. Rejects with CLOISTER_REQUEST_INVALID, which names `key`, when it has none. */
  nextMs(agentId: string, key: string): Promise<number>;
  /** How long its turn may take; undefined: it is none of a heartbeat, or nobody said. */
  spanMsOf(header: EnvelopeHeader): number | undefined;
  /** For `status` and `health`. */
  view(agentId: string): HeartbeatView;
}

/** In the peer's words. */
export interface HeartbeatView {
  readonly enabled: boolean;
  readonly every: string;
  readonly everyMs: number | null;
  readonly prompt: string;
  readonly target: string;
  readonly ackMaxChars: number;
}

const idOf = (agentId: string): string => `${heartbeatIdMark}${agentId}`;

const usualPrompt =
  "This is your regular check. Follow HEARTBEAT.md if there is one; repeat nothing from earlier that is settled. If nothing needs attention, answer HEARTBEAT_OK.";
const bootPrompt =
  "The gateway has started. Follow BOOT.md. What it asks you to tell others, tell them with your tools; then answer NO_REPLY.";

export function makeHeartbeats(deps: HeartbeatsDeps): Heartbeats {
  const { config, agents, targets, store, wakePace: pace, nowMs, log } = deps;
  const inTurn = makeInTurn();
  /** By id, of agents that have another one than their configuration gives. */
  const periods = new Map<string, number>();
  let isPaused = false;

  /** A provider whose credentials cannot be read has the one of before: the calls of its models say what is wrong. */
  async function findPeriod(
    agentId: string,
    { everyMs, isUsual, model }: HeartbeatRule,
    beforeMs = everyMs,
  ): Promise<number> {
    const { provider } = partsOfModel(model ?? agents.get(agentId)?.model ?? "");
    if (isUsual !== true || provider !== "anthropic") return everyMs;
    try {
      const type = await deps.profileType(agentId, provider);
      return type === "oauth" || type === "token" ? limits.heartbeatTurnSignedInMs : everyMs;
    } catch {
      return beforeMs;
    }
  }

  const rowOf = async (agentId: string): Promise<(TimerRow & { readonly job: Job }) | undefined> => {
    const [row] = (await store.timers({ id: idOf(agentId), limit: 1 })).rows;
    return row?.job === undefined ? undefined : { ...row, job: row.job };
  };

  const expect = (atMs: number): void => {
    if (atMs < neverMs) deps.expect(atMs);
  };

  async function keepRow(
    agentId: string,
    everyMs: number,
    found: Awaited<ReturnType<typeof rowOf>>,
    firstMs = nowMs() + everyMs,
  ): Promise<void> {
    const atMs = nowMs();
    const schedule = { kind: "every", everyMs, anchorMs: atMs } as const;
    if (found !== undefined) {
      if (found.everyMs === everyMs) return;
      // The row of another period is replaced: `everyMs` is what its times are counted by.
      await store.unschedule(found.id, {});
    }
    const enabled = !isPaused;
    const dueAtMs = enabled ? firstMs : neverMs;
    const set = await store.schedule({
      id: idOf(agentId),
      agentId,
      sessionKey: mainSessionKey(agentId, config.session),
      name: "heartbeat",
      via: "door:operator",
      body: "",
      isData: false,
      dueAtMs,
      everyMs,
      createdAtMs: atMs,
      job: {
        schedule,
        target: "main",
        payload: "systemEvent",
        delivery: { type: "none" },
        enabled,
        deleteAfterRun: false,
        by: "config",
        updatedAtMs: atMs,
        runs: found?.job.runs ?? [],
      },
    });
    if (set.status === "full")
      log.warn({ agent: agentId }, `the agent has ${limits.timersPerAgentMax} timers and jobs, and so no heartbeat`);
    else expect(dueAtMs);
  }

  /** Somebody has signed in or out since the row was made: it is due as it was, and again after the other period. */
  const changePeriod = ({ id, agentId, everyMs: beforeMs, dueAtMs }: TimerRow, rule: HeartbeatRule): Promise<boolean> =>
    inTurn(async () => {
      const everyMs = await findPeriod(agentId, rule, beforeMs);
      const found = await rowOf(agentId);
      if (everyMs === beforeMs || found?.dueAtMs !== dueAtMs) return false;
      if (everyMs === rule.everyMs) periods.delete(agentId);
      else periods.set(agentId, everyMs);
      await keepRow(agentId, everyMs, found, dueAtMs);
      log.debug({ agent: agentId, timer: id, everyMs }, "the heartbeat has another period");
      return true;
    });

  /** Where an answer goes. A place that no answers leave for is said in the log, and it stays in the session. */
  async function routeOf(agentId: string, { target, to, accountId, sparesDirect }: HeartbeatRule): Promise<ReplyRoute> {
    if (target === "none") return { type: "none" };
    const route =
      target === "last"
        ? (await store.session(mainSessionKey(agentId, config.session)))?.lastRoute
        : target === "owner"
          ? ownerRoute(config, agentId)
          : readAddress(target, accountId ?? accountOf(config, target, agentId), to ?? "");
    if (route?.type === "channel" && sparesDirect && route.peerKind === "direct") return { type: "none" };
    if (route?.type === "channel" && deps.carriesAnswers(route.channel, route.accountId)) return unasked(route);
    log.warn({ agent: agentId, target }, "the heartbeat's answer stays in its session: it has no channel to go to");
    return { type: "none" };
  }

  /** Of the next turn. A key that is no session of the agent is said in the log, and its main session has the turn. */
  function sessionOf(agentId: string, { session, isIsolated }: HeartbeatRule): string {
    if (isIsolated) return `agent:${agentId}:cron:${idOf(agentId)}:run:${deps.newId()}`;
    const main = mainSessionKey(agentId, config.session);
    if (session === undefined) return main;
    try {
      const found = targets.session(session.startsWith("agent:") ? session : `agent:${agentId}:${session}`);
      if (found.agentId === agentId) return found.sessionKey;
      log.warn({ agent: agentId, session }, "heartbeat.session is a session of another agent; the main session has it");
    } catch (error) {
      log.warn(
        { agent: agentId, session, error: toRefusal(error) },
        "heartbeat.session is no session; the main session has it",
      );
    }
    return main;
  }

  const enabledRows = async (): Promise<readonly (TimerRow & { readonly job: Job })[]> => {
    const having = [...agents.values()].filter(({ heartbeat }) => heartbeat !== undefined);
    const rows = await Promise.all(having.map(({ id }) => rowOf(id)));
    return rows.flatMap((row) => row ?? []);
  };

  /** A message to the main session that is no user's word, now or with the next regular turn. */
  async function tell(agentId: string, text: string, atMs: number, by: string): Promise<void> {
    const { sessionKey } = targets.main(agentId);
    const id = `${jobIdMark}${deps.newId()}`;
    await setJob(store, {
      id,
      agentId,
      sessionKey,
      name: "wake",
      via: "door:operator",
      body: text,
      isData: false,
      dueAtMs: atMs,
      createdAtMs: nowMs(),
      job: {
        schedule: { kind: "at", atMs },
        target: "main",
        payload: "systemEvent",
        delivery: { type: "none" },
        enabled: true,
        deleteAfterRun: true,
        by,
        updatedAtMs: nowMs(),
        runs: [],
      },
    });
    deps.note({ type: "cron_changed", subject: by, object: `agent:${agentId}`, detail: `wake ${id}` });
    expect(atMs);
  }

  async function nextMs(agentId: string, key: string): Promise<number> {
    const row = await rowOf(agentId);
    const rule = agents.get(agentId)?.heartbeat;
    if (row !== undefined && row.dueAtMs < neverMs && rule !== undefined)
      return nextActiveMs(rule.hours, Math.max(row.dueAtMs, nowMs()));
    const isOff = row !== undefined && rule !== undefined;
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${key}: the agent ${agentId} has no heartbeat to wait for${isOff ? " while they are disabled" : ""}`,
      isOff ? "cloister system heartbeat enable" : 'use "now", or set agents.defaults.heartbeat',
    );
  }

  async function bootTurn({ id: agentId, workspace }: AgentPlace): Promise<boolean> {
    const { missing, size = 0 } = await statAgentFile(workspace, "BOOT.md");
    if (missing || size === 0) return false;
    const result = await deps.accept({
      ...internal("boot"),
      from: { type: "operator", client: "boot" },
      agentId,
      sessionKey: mainSessionKey(agentId, config.session),
      replyRoute: { type: "none" },
      body: bootPrompt,
      signal: { type: "wake", reason: "start", ackCharsMax: limits.heartbeatAckCharsMax, isLight: false },
      // Once in each span of this length, however often the gateway starts.
      dedupe: { scope: `boot:${agentId}`, key: String(Math.floor(nowMs() / limits.bootTurnEveryMs)) },
    });
    if (result.status === "refused") log.warn({ agent: agentId, ...result.refusal }, "no turn for its BOOT.md");
    return result.status === "stored";
  }

  return {
    follow: () =>
      inTurn(async () => {
        const wanted: { readonly id: string; readonly heartbeat: HeartbeatRule }[] = [];
        // No iterator, whose garbage would stay (`runtime/kernel/agent-table.ts`).
        agents.forEach(({ id, heartbeat }) => {
          if (heartbeat !== undefined) wanted.push({ id, heartbeat });
        });
        const having = await Promise.all(
          wanted.map(async ({ id, heartbeat }) => {
            const [row, everyMs] = await Promise.all([rowOf(id), findPeriod(id, heartbeat)]);
            return { id, row, everyMs, isOther: everyMs !== heartbeat.everyMs };
          }),
        );
        periods.clear();
        for (const { id, everyMs, isOther } of having) if (isOther) periods.set(id, everyMs);
        // Disabled for all: also for an agent that has one only now, whichever comes first in the list.
        if (having.some(({ row }) => row?.job.enabled === false)) isPaused = true;
        for (const { id, everyMs, row } of having) await keepRow(id, everyMs, row);
      }).catch((error: unknown) => log.error({ error: toRefusal(error) }, "heartbeats could not be set")),
    async boot(withWorkspace) {
      // A file each: all at once, thousands would be held at the same time.
      let begun = 0;
      await aFewAtOnce(withWorkspace, limits.bootLooksAtOnce, async (agent) => {
        try {
          if (await bootTurn(agent)) begun += 1;
        } catch (error) {
          log.error({ agent: agent.id, error: toRefusal(error) }, "no turn for its BOOT.md");
        }
      });
      log.debug({ agents: begun }, "the start has begun the turns of agents with a BOOT.md");
    },
    async due(timer, atMs) {
      const { id, agentId, dueAtMs } = timer;
      const rule = agents.get(agentId)?.heartbeat;
      if (rule === undefined) {
        await store.unschedule(id, {});
        return undefined;
      }
      if (rule.isUsual === true && (await changePeriod(timer, rule))) return undefined;
      const activeMs = nextActiveMs(rule.hours, atMs);
      const sessionKey = sessionOf(agentId, rule);
      const kernel = deps.kernel();
      const isBusy =
        kernel.isRunning(sessionKey) || (timer.lastEnvelopeId !== undefined && kernel.isOpen(timer.lastEnvelopeId));
      const tryMs = activeMs > atMs ? activeMs : isBusy ? atMs + limits.heartbeatTurnBusyMs : atMs;
      if (tryMs > atMs) {
        await store.postpone(id, tryMs);
        return undefined;
      }
      return {
        ...internal("heartbeat"),
        replyRoute: await routeOf(agentId, rule),
        from: { type: "timer", agentId, timerId: id },
        agentId,
        sessionKey,
        body: rule.prompt ?? usualPrompt,
        signal: {
          type: "wake",
          reason: "heartbeat",
          ackCharsMax: rule.ackCharsMax,
          isLight: rule.isLight,
          ...(rule.model === undefined ? {} : { model: rule.model }),
        },
        fires: { id, dueAtMs, nextMs: timesOf(timer, atMs).nextMs },
      };
    },
    nextMs,
    ended: (header, outcome) => noteRun(store, log, heartbeatIdMark, header, outcome, nowMs()),
    spanMsOf: ({ from, agentId }) =>
      from.type === "timer" && from.timerId === idOf(agentId) ? agents.get(agentId)?.heartbeat?.timeoutMs : undefined,
    view(agentId) {
      const rule = agents.get(agentId)?.heartbeat;
      const { prompt = usualPrompt, target = "none", ackCharsMax = limits.heartbeatAckCharsMax } = rule ?? {};
      const told = { prompt, target, ackMaxChars: ackCharsMax };
      if (rule === undefined || isPaused) return { enabled: false, every: "disabled", everyMs: null, ...told };
      const everyMs = periods.get(agentId) ?? rule.everyMs;
      const minutes = everyMs / 60_000;
      const every = minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
      return { enabled: true, every, everyMs, ...told };
    },
    methods: {
      wake: async ({ text, mode = "now", agentId: reference }, { clientId: by }) => {
        const agentId = targets.agent(reference);
        if (mode === "now") {
          const cameMs = nowMs();
          const placed = pace.place(agentId, cameMs);
          if ("retryAfterMs" in placed) throw fromRefusal(tooManyWakes(agentId, placed.retryAfterMs));
          await tell(agentId, text, placed.atMs, by);
          return { ok: true, ...(placed.atMs > cameMs ? { atMs: placed.atMs } : {}) };
        }
        await tell(agentId, text, await nextMs(agentId, "mode"), by);
        return { ok: true };
      },
      "last-heartbeat": async ({ agentId: reference }) => {
        const rows = reference === undefined ? await enabledRows() : [await rowOf(targets.agent(reference))];
        const [last] = rows
          .flatMap((row) => {
            const run = row?.job.runs.at(-1);
            return row === undefined || run === undefined ? [] : [{ row, run }];
          })
          .toSorted((a, b) => b.run.atMs - a.run.atMs);
        if (last === undefined) return null;
        const { atMs, startedAtMs } = last.run;
        return {
          ts: atMs,
          agentId: last.row.agentId,
          ...howItEnded(last.run),
          ...(startedAtMs === undefined ? {} : { durationMs: atMs - startedAtMs }),
        };
      },
      "set-heartbeats": ({ enabled }, { clientId: by }) =>
        inTurn(async () => {
          for (const { id, everyMs = 0, job } of await enabledRows()) {
            if (job.enabled === enabled) continue;
            const dueAtMs = enabled ? nowMs() + everyMs : neverMs;
            await store.amendJob(id, { dueAtMs, job: { enabled, by, updatedAtMs: nowMs() } });
            expect(dueAtMs);
          }
          isPaused = !enabled;
          deps.note({
            type: "cron_changed",
            subject: by,
            object: "heartbeats",
            detail: enabled ? "enabled" : "disabled",
          });
          return { ok: true, enabled };
        }),
    },
  };
}

interface HeartbeatEnd {
  /** In the peer's words, but for `sending`: its channel does not have it yet. */
  readonly status: "sent" | "sending" | "skipped" | "ok-empty" | "failed";
  readonly preview?: string;
  readonly reason?: string;
}

function howItEnded({ status, text = "", answer }: JobRun): HeartbeatEnd {
  if (status === "error") return { status: "failed", ...(text === "" ? {} : { reason: text }) };
  if (text === "") return { status: "ok-empty" };
  const { fate, why } = answer ?? {};
  const reason = fate === "stays" ? "no-target: the answer stays in its session" : why;
  return { status: statusOf[fate ?? "open"], preview: text, ...(reason === undefined ? {} : { reason }) };
}

const statusOf = {
  open: "sending",
  sent: "sent",
  stays: "skipped",
  withheld: "skipped",
  undeliverable: "failed",
} as const;

const internal = (sourceTool: "heartbeat" | "boot") =>
  ({
    verb: "send",
    via: "door:operator",
    chain: [],
    provenance: { kind: "internal_system", sourceChannel: "internal", sourceTool },
  }) as const;
