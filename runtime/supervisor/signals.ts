/**
 * Timers and monitors at work: carries out what cells ask for (`runtime/kernel/signals.ts`), and turns what is due into
 * envelopes on the one accept path. The main thread keeps the next due time and one timeout; the rows are in the store.
 *
 * Recurrence does not drift: a time is the first one plus a whole number of periods. Times that passed while the gateway was
 * down, or while the one before was not handled, become one, which says how many it stands for (`missed`).
 */
import { z } from "zod";
import type { TaskStatus } from "../kernel/envelope.ts";
import type { Admission } from "../kernel/kernel.ts";
import { failure, fromRefusal, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { SignalCall } from "../kernel/signal-call.ts";
import type { AcceptResult, Effect } from "../kernel/state.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { AuditRow, DownFacts, DueRow, DueRows, Store, TimerRow, TimerScope } from "../store/port.ts";
import type { Logger } from "./driver.ts";
import type { Job } from "../store/job-rows.ts";
import { waitedAdmission } from "./hook-events.ts";
import { heartbeatIdMark, heldSince, isOperators, nextOf } from "./job-schedule.ts";
import { downAdmission, jobAdmission, taskAdmission, timerAdmission, timesOf } from "./signal-mail.ts";

export interface SignalsDeps {
  readonly store: Store;
  readonly kernel: () => Pick<Kernel, "isOpen" | "signalResult" | "view">;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  /** A due row of a sub-agent's run (`subagents.ts`). */
  readonly dueRun: (row: Extract<DueRow, { type: "run" }>) => Promise<void>;
  /** What a heartbeat that is due says; undefined: nothing now, and its row says when it is due again. */
  readonly heartbeat: (timer: TimerRow, atMs: number) => Promise<Admission | undefined>;
  /** When the agent's next heartbeat is; rejects with CLOISTER_REQUEST_INVALID when it has none. */
  readonly heartbeatMs: (agentId: string, key: string) => Promise<number>;
  /** False: jobs are kept, and none comes at its time. */
  readonly jobsHappen: () => boolean;
  readonly newId: (nowMs: number) => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface Signals {
  /** A call of a cell whose right is checked. */
  call(call: SignalCall): void;
  /** An agent is down. */
  down(effect: Extract<Effect, { type: "down" }>): void;
  /** Something of the store is due at this time. */
  expect(atMs: number): void;
  /** Fires what is due now. A look that is under way looks once more. */
  look(): Promise<void>;
  /** The gateway is up: what was watched before is down, and what became due meanwhile fires. */
  start(): Promise<void>;
  /** Nothing fires any more; what is due stays. */
  stop(): void;
  /** The gateway ends in order, and every agent with it. Call it when the cells have ended. */
  end(): Promise<void>;
  timers: Store["timers"];
  /** A task that is put off for a session by the gateway; undefined when its agent has too many timers. */
  setTask(timer: TimerRow): Promise<string | undefined>;
  /** False: it has ended already. What the mailbox does not take now is told later, by the next process if need be. Rejects as the store does, and while the gateway ends. */
  endTask(timer: TimerRow, status: TaskStatus, body: string): Promise<boolean>;
  /** By an operator. */
  remove(id: string, by: string): Promise<TimerRow | undefined>;
}

const scheduleParams = z
  .object({
    name: z.string().trim().min(1).max(limits.timerNameCharsMax),
    inMs: z.number().min(0).exactOptional(),
    atMs: z.number().min(0).exactOptional(),
    everyMs: z.number().min(limits.timerPeriodMsMin).max(limits.timerHorizonMsMax).exactOptional(),
    isData: z.boolean(),
    isTask: z.literal(true).exactOptional(),
  })
  .refine(({ inMs, atMs }) => inMs === undefined || atMs === undefined, {
    path: ["inMs"],
    message: "found inMs and atMs, wanted one of them",
  })
  .refine(({ inMs, atMs, everyMs }) => inMs !== undefined || atMs !== undefined || everyMs !== undefined, {
    message: "wanted one of inMs, atMs and everyMs, found none",
  });

/** Nothing that time or an operator's patience would change: the row goes, and the audit trail says so. */
const hopeless: ReadonlySet<string> = new Set(["CLOISTER_AGENT_UNKNOWN", "CLOISTER_CAPABILITY_REVOKED"]);

export function makeSignals(deps: SignalsDeps): Signals {
  const { store, log, nowMs } = deps;
  let timeout: NodeJS.Timeout | undefined;
  let nextMs: number | undefined;
  let isRunning = false;
  let isLooking = false;
  let lookAgain = false;
  /** Ends that the store could not take yet, by agent. Lost with the process, whose own end tells the watchers instead. */
  const untold = new Map<string, DownFacts>();

  const arm = (): void => {
    clearTimeout(timeout);
    timeout = undefined;
    if (!isRunning || nextMs === undefined) return;
    timeout = setTimeout(
      () => (nextMs !== undefined && nextMs <= nowMs() ? void look() : arm()),
      Math.min(Math.max(0, nextMs - nowMs()), limits.dueLookMs),
    );
    timeout.unref();
  };

  const expect = (atMs: number): void => {
    if (isLooking) lookAgain = true;
    else if (nextMs === undefined || atMs < nextMs) {
      nextMs = atMs;
      arm();
    }
  };

  const mustGoOn = ({ rows }: DueRows): boolean => isRunning && (lookAgain || rows.length > 0);

  /** Fires what is due, portion by portion. */
  async function look(): Promise<void> {
    if (isLooking) {
      lookAgain = true;
      return;
    }
    isLooking = true;
    try {
      let due: DueRows;
      // Once more after the last portion: what recurs has its next time only then.
      do {
        lookAgain = false;
        for (const facts of untold.values()) await tell(facts);
        due = await store.due(nowMs(), limits.dueRowsPerRead);
        await Promise.all(due.rows.map(fire));
        ({ nextMs } = due);
      } while (mustGoOn(due));
    } catch (error) {
      log.error({ error: toRefusal(error) }, "due timers could not be handled; they are tried again");
      nextMs = nowMs() + limits.dueRetryMs;
    } finally {
      isLooking = false;
      arm();
    }
  }

  async function fire(row: DueRow): Promise<void> {
    if (!isRunning) return;
    const atMs = nowMs();
    if (row.type === "run") {
      await deps.dueRun(row);
      return;
    }
    const admission = row.type === "timer" ? await timedAdmission(row.timer, atMs) : downAdmission(row.monitor, row);
    if (admission === undefined) return;
    const result = await deps.accept(admission);
    if (result.status !== "refused" || result.refusal.code === "CLOISTER_SIGNAL_UNKNOWN") return;
    const id = row.type === "timer" ? row.timer.id : row.monitor.id;
    if (hopeless.has(result.refusal.code)) await drop(row, id, result.refusal);
    else {
      const waitMs = Math.min(Math.max(atMs - dueAtOf(row), limits.dueRetryMs), limits.dueRetryMsMax);
      await store.postpone(id, atMs + waitMs);
    }
  }

  /** Undefined: nothing is said this time, and the row has its next one. */
  async function timedAdmission(timer: TimerRow, atMs: number): Promise<Admission | undefined> {
    const { id, job, hook } = timer;
    if (hook !== undefined) return waitedAdmission(timer, hook, atMs);
    if (id.startsWith(heartbeatIdMark)) return deps.heartbeat(timer, atMs);
    if (job !== undefined)
      return (await isOff(timer, job, atMs)) || (await isSkipped(timer, job, atMs)) || (await isHeld(timer, job, atMs))
        ? undefined
        : jobAdmission(timer, job, nextOf(job, atMs), deps.newId(atMs));
    if (!isBusy(timer)) return timerAdmission(timer, atMs);
    await store.postpone(id, timesOf(timer, atMs).nextMs ?? atMs);
    return undefined;
  }

  /** While jobs are off, what recurs goes on to its next time, of which nobody hears, and what happens once waits until they are on again. */
  async function isOff(timer: TimerRow, job: Job, atMs: number): Promise<boolean> {
    if (deps.jobsHappen() || job.byHandAtMs === timer.dueAtMs) return false;
    if (job.schedule.kind === "at") await store.postpone(timer.id, atMs + limits.dueRetryMsMax);
    else await store.amendJob(timer.id, { dueAtMs: nextOf(job, atMs) });
    return true;
  }

  /** A time of a recurring job that passed long ago, or while the run before goes on, is left out; the next one comes. */
  async function isSkipped(timer: TimerRow, job: Job, atMs: number): Promise<boolean> {
    // One that waits for a heartbeat was in time, and is told as late as the heartbeat itself comes.
    if (job.schedule.kind === "at" || heldSince(job, timer.dueAtMs) !== undefined) return false;
    const text = isOpen(timer)
      ? "the run before it had not ended"
      : atMs - timer.dueAtMs > limits.jobLateMsMax
        ? `it was due at ${new Date(timer.dueAtMs).toISOString()}, and could not begin by then`
        : undefined;
    if (text === undefined) return false;
    await store.amendJob(timer.id, { dueAtMs: nextOf(job, atMs), ran: { atMs, status: "skipped", text } });
    return true;
  }

  /** What waits for a heartbeat is due again at that time, and is told then. By hand, it is told now. */
  async function isHeld({ id, agentId, dueAtMs }: TimerRow, job: Job, atMs: number): Promise<boolean> {
    if (job.atHeartbeat !== true || job.byHandAtMs === dueAtMs || heldSince(job, dueAtMs) !== undefined) return false;
    const untilMs = await deps.heartbeatMs(agentId, "wakeMode").catch(toRefusal);
    if (typeof untilMs === "number") {
      await store.amendJob(id, { dueAtMs: untilMs, job: { held: { dueAtMs, untilMs } } });
      return true;
    }
    if (untilMs.code !== "CLOISTER_REQUEST_INVALID") throw fromRefusal(untilMs);
    const ran = { atMs, status: "skipped", text: `${untilMs.message}: ${untilMs.remedy ?? ""}` } as const;
    if (job.schedule.kind !== "at") await store.amendJob(id, { dueAtMs: nextOf(job, atMs), ran });
    else {
      // What happens once waits until the agent has one; its log says so once.
      if ((job.runs.at(-1)?.atMs ?? 0) < dueAtMs) await store.amendJob(id, { ran });
      await store.postpone(id, atMs + limits.dueRetryMsMax);
    }
    return true;
  }

  /** The time before is not handled yet: a slow or parked agent gets one, not a heap of them. */
  const isBusy = (timer: TimerRow): boolean => timer.everyMs !== undefined && isOpen(timer);

  const isOpen = ({ lastEnvelopeId }: TimerRow): boolean =>
    lastEnvelopeId !== undefined && deps.kernel().isOpen(lastEnvelopeId);

  async function drop(row: Exclude<DueRow, { type: "run" }>, id: string, refusal: Refusal): Promise<void> {
    const what = row.type === "timer" ? "timer" : "monitor";
    if (row.type === "timer") await store.unschedule(id, {});
    else await store.demonitor(id);
    const { agentId } = row.type === "timer" ? row.timer : row.monitor;
    log.warn({ agent: agentId, [what]: id, code: refusal.code }, `a ${what} was removed: ${refusal.message}`);
    await store.audit([
      {
        atMs: nowMs(),
        type: `${what}_dropped`,
        subject: `agent:${agentId}`,
        object: id,
        decision: "refused",
        code: refusal.code,
        detail: refusal.message,
      },
    ]);
  }

  async function tell(facts: DownFacts): Promise<void> {
    const target = facts.target ?? "";
    const told = await store.down(facts);
    // A later end of the same agent may have come while this one was written.
    if (untold.get(target) === facts) untold.delete(target);
    if (told > 0) expect(facts.atMs);
  }

  function carryOut(call: SignalCall): Promise<unknown> {
    if (call.call === "schedule") return schedule(call);
    if (call.call === "monitor") return watch(call);
    if (call.call === "complete") return complete(call);
    if (call.call === "demonitor") return store.demonitor(call.monitor, call.agentId);
    const { agentId, sessionKey } = call;
    const scope = sessionKey === undefined ? { agentId } : { agentId, sessionKey };
    if (call.call === "timers") return list(scope);
    // Operators' jobs are theirs.
    return isOperators(call.id)
      ? Promise.resolve(false)
      : store.unschedule(call.id, scope).then((removed) => removed !== undefined);
  }

  async function list(scope: TimerScope): Promise<readonly object[]> {
    const { rows } = await store.timers({ ...scope, limit: limits.timersPerAgentMax });
    return rows
      .filter(({ task, job, hook }) => task === undefined && job === undefined && hook === undefined)
      .map(({ id, name, sessionKey, dueAtMs, everyMs }) => ({ id, name, sessionKey, dueAtMs, everyMs }));
  }

  /** False: it has ended already. */
  async function complete({
    agentId,
    sessionKey,
    id,
    status,
    body,
  }: Extract<SignalCall, { call: "complete" }>): Promise<boolean> {
    const scope = sessionKey === undefined ? { agentId } : { agentId, sessionKey };
    const { rows } = await store.timers({ ...scope, limit: limits.timersPerAgentMax });
    const timer = rows.find((row) => row.id === id && row.task !== undefined && row.task.ended === undefined);
    return timer !== undefined && endTask(timer, status, body);
  }

  async function tellEnd(timer: TimerRow, status: TaskStatus, body: string): Promise<boolean> {
    try {
      return await endTask(timer, status, body);
    } catch (error) {
      const { code } = toRefusal(error);
      // Whoever ends with the gateway is told of at its next start, of what has happened by then.
      if (hopeless.has(code) || code === "CLOISTER_GATEWAY_DRAINING") throw error;
      const atMs = nowMs() + limits.dueRetryMs;
      const isKept = await store.endTaskLater(timer.id, { status, body, atMs });
      if (isKept) expect(atMs);
      return isKept;
    }
  }

  /** Rejects with the refusal of the accept path; the task goes on then. */
  async function endTask(timer: TimerRow, status: TaskStatus, body: string): Promise<boolean> {
    const result = await deps.accept(taskAdmission(timer, status, body));
    if (result.status !== "refused") return true;
    if (result.refusal.code === "CLOISTER_SIGNAL_UNKNOWN") return false;
    throw fromRefusal(result.refusal);
  }

  async function schedule(call: Extract<SignalCall, { call: "schedule" }>): Promise<string> {
    const params = parseParams(call.params);
    const createdAtMs = nowMs();
    const dueAtMs = Math.floor(params.atMs ?? createdAtMs + (params.inMs ?? params.everyMs ?? 0));
    if (dueAtMs - createdAtMs > limits.timerHorizonMsMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `ctx.schedule: a timer may be ${limits.timerHorizonMsMax} ms ahead, found ${dueAtMs - createdAtMs}`,
        "set a nearer one that sets the next",
      );
    const set = await store.schedule(
      {
        id: `t-${deps.newId(createdAtMs)}`,
        agentId: call.agentId,
        sessionKey: call.sessionKey,
        name: params.name,
        via: call.via,
        body: call.body,
        isData: params.isData,
        dueAtMs,
        ...(params.everyMs === undefined ? {} : { everyMs: Math.floor(params.everyMs) }),
        ...(params.isTask === undefined ? {} : { task: { replyRoute: call.header.replyRoute } }),
        createdAtMs,
      },
      { turn: call.header.id, call: call.callId },
    );
    if (set.status === "full")
      throw failure(
        "CLOISTER_MAILBOX_FULL",
        `the agent ${call.agentId} has ${limits.timersPerAgentMax} timers; the bound is reached`,
        "remove some with ctx.unschedule or `cloister timers remove`",
      );
    expect(dueAtMs);
    return set.id;
  }

  async function watch(call: Extract<SignalCall, { call: "monitor" }>): Promise<string> {
    const createdAtMs = nowMs();
    const { agentId, target, via } = call;
    const set = await store.monitor(
      { id: `m-${deps.newId(createdAtMs)}`, agentId, sessionKey: call.header.sessionKey, target, via, createdAtMs },
      { turn: call.header.id, call: call.callId },
    );
    if (set.status === "full")
      throw failure(
        "CLOISTER_MAILBOX_FULL",
        `the agent ${agentId} watches ${limits.monitorsPerAgentMax} agents; the bound is reached`,
        "end some with ctx.demonitor",
      );
    // Looked at after the row is stored: an end after this is told by its own event, one before it is seen here.
    const view = deps.kernel().view(target);
    if (view?.phase === "parked" || view?.phase === "disabled")
      note({ target, reason: view.phase, detail: view.reason ?? "", atMs: createdAtMs });
    return set.id;
  }

  const note = (facts: DownFacts & { readonly target: string }): void => {
    untold.set(facts.target, facts);
    tell(facts).catch((error: unknown) => {
      log.error({ agent: facts.target, error: toRefusal(error) }, "the end of an agent could not be told; tried again");
      expect(nowMs() + limits.dueRetryMs);
    });
  };

  return {
    call(call) {
      carryOut(call).then(
        (result) => deps.kernel().signalResult(call, { json: JSON.stringify(result) }),
        (error: unknown) => deps.kernel().signalResult(call, { refusal: toRefusal(error) }),
      );
    },
    expect,
    look,
    down: ({ agentId, reason, detail }) => note({ target: agentId, reason, detail, atMs: nowMs() }),
    async start() {
      isRunning = true;
      // An orderly end has told every watcher already: what is left was watched by a process that died.
      await store.down({ reason: "killed", detail: "the gateway ended without being stopped", atMs: nowMs() });
      await look();
    },
    stop() {
      isRunning = false;
      clearTimeout(timeout);
    },
    async end() {
      await store.down({ reason: "shutdown", detail: "the gateway was stopped", atMs: nowMs() });
    },
    timers: (query) => store.timers(query),
    async setTask(timer) {
      const set = await store.schedule(timer);
      if (set.status === "full") return undefined;
      expect(timer.dueAtMs);
      return set.id;
    },
    endTask: tellEnd,
    async remove(id, by) {
      const timer = await store.unschedule(id, {});
      if (timer === undefined) return undefined;
      const { agentId, name, sessionKey } = timer;
      const row: AuditRow = {
        atMs: nowMs(),
        type: "timer_removed",
        subject: by,
        object: sessionKey,
        decision: "allowed",
        detail: `${id} of ${agentId}: ${name}`,
      };
      await store.audit([row]);
      return timer;
    },
  };
}

function parseParams(json: string): z.infer<typeof scheduleParams> {
  let params: unknown;
  try {
    params = JSON.parse(json);
  } catch {
    throw failure("CLOISTER_REQUEST_INVALID", "the parameters of ctx.schedule are not JSON");
  }
  const parsed = scheduleParams.safeParse(params);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `ctx.schedule: ${issue?.path.join(".") || "options"}: ${issue?.message ?? "not valid"}`,
    "give a name, one of inMs and atMs, and everyMs for one that recurs",
  );
}

const dueAtOf = (row: Exclude<DueRow, { type: "run" }>): number =>
  row.type === "timer" ? row.timer.dueAtMs : row.dueAtMs;
