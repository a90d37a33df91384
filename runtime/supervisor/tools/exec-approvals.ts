/**
 * Commands that an operator has to allow (`tools.exec.ask`). What is allowed is one vector: its words, folder, environment, place, agent,
 * session, run, and whether the agent can write to it, as a hash. Nothing is run that was not asked for in these words.
 *
 *   open ──allow──► allowed: the call that waits, or the next one of the run with the same vector, runs once ──► gone
 *    │  └──deny──► denied: the call that waits, or the session, is told so ──► gone
 *    └──nobody decides in a day──► the session is told so ──► gone
 *
 * Each state is in the registry before anybody is told of it, and a request that is spent is gone from there before its command runs: after a
 * crash it is listed, decided and told of as before, and runs at most once. A request is also a task of its session (behaviour §5.10), which is
 * how a session whose turn is over is told of the decision; the turn that is told counts as the run that asked.
 *
 * A call of a turn that the operator began waits for two minutes. Any other is answered `needs_approval` at once: nobody may be there, and a turn
 * that waits would hang. Source: needs A15.5, §17 (20).
 */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { schedulePairingId } from "../../../auth/compile-pairings.ts";
import type { GatewayEvent } from "../../edge/port.ts";
import type { ReplyRoute } from "../../kernel/envelope.ts";
import { failure, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { CommandRequestChange, Store, TimerRow } from "../../store/port.ts";
import type { CommandVector, Place } from "../../tools/port.ts";
import type { makeAuditNote } from "../audit-trail.ts";
import type { Logger } from "../driver.ts";
import { makeInTurn } from "../in-turn.ts";
import { approvalTaskMark } from "../job-schedule.ts";
import type { Handlers } from "../method-handlers.ts";
import type { Signals } from "../signals.ts";
import { wholeRows } from "../whole-rows.ts";
import { writtenOut } from "../written-out.ts";

export interface ApprovalsDeps {
  /** What the store kept at the start, as it is. */
  readonly kept: readonly unknown[];
  readonly store: Pick<Store, "keepCommandRequests" | "unschedule">;
  readonly signals: () => Pick<Signals, "setTask" | "endTask" | "timers">;
  /** Default: random. */
  readonly newRequestId?: () => string;
  readonly newId: (nowMs: number) => string;
  readonly nowMs: () => number;
  readonly publish: (event: GatewayEvent) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly log: Logger;
}

/** One call of `exec`. */
export interface CommandForApproval {
  readonly agentId: string;
  /** Of a sub-agent's run: that of the run. */
  readonly sessionKey: string;
  readonly runId: string;
  readonly vector: CommandVector;
  readonly place: Place["type"];
  /** Its input stays open: what an interpreter runs may come after it was allowed. */
  readonly hasInput: boolean;
}

/** Who asks, beside what is bound. */
export interface Asking {
  /** Somebody may be there who decides. */
  readonly waits: boolean;
  /** Nobody follows the call any more, which then runs nothing. */
  readonly isOver: () => boolean;
  /** Tasks whose end the turn of the call was told: it goes on where their runs stopped. */
  readonly tasks: readonly string[];
  /** Absent: the session ends with its run, and nobody is told of a decision that comes later. */
  readonly told?: {
    readonly replyRoute: ReplyRoute;
    /** The parameters of the call, as the agent wrote them. */
    readonly asked: string;
  };
}

export type Approval =
  | { readonly type: "allowed" }
  | { readonly type: "denied"; readonly id: string }
  /** Nobody has decided; `waited`: for as long as a call may wait. `isTold`: the session hears of the decision. */
  | { readonly type: "waits"; readonly id: string; readonly waited: boolean; readonly isTold: boolean }
  | { readonly type: "full"; readonly why: string };

export interface Approvals {
  /** Rejects as the store does, and nothing is asked or allowed then. */
  ask(command: CommandForApproval, asking: Asking): Promise<Approval>;
  /** The operator has allowed this very command for this run; nothing is spent. */
  isAllowed(command: CommandForApproval, tasks: Asking["tasks"]): boolean;
  readonly methods: Handlers<"exec.approval.list" | "exec.approval.resolve">;
  /** What the task stands for is not run; false: that was decided before. */
  denyTask(taskId: string, by: string): Promise<boolean>;
  /** Tells of decisions that the last process did not tell of. Rejects as the store does. */
  start(): Promise<void>;
  /** Whoever waits is told that nobody has decided. */
  close(): void;
}

interface Request extends CommandForApproval {
  readonly id: string;
  readonly hash: string;
  /** What tells the session of the decision. */
  readonly taskId?: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly state: "open" | "allowed" | "denied";
}

const requestForm: z.ZodType<Request> = z.object({
  agentId: z.string(),
  sessionKey: z.string(),
  runId: z.string(),
  vector: z.object({ argv: z.array(z.string()), cwd: z.string(), env: z.record(z.string(), z.string()) }),
  place: z.enum(["host", "bubblewrap", "docker"]),
  hasInput: z.boolean(),
  id: z.string(),
  hash: z.string(),
  taskId: z.string().exactOptional(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  state: z.enum(["open", "allowed", "denied"]),
});

type Decision = "allow" | "deny" | "late";

interface Waiting {
  readonly answer: (decision: Decision) => void;
  readonly isOver: () => boolean;
}

export function makeApprovals(deps: ApprovalsDeps): Approvals {
  const { kept, store, signals, newRequestId = randomId, newId, nowMs, publish, note, log } = deps;
  const requests = new Map(wholeRows(kept, requestForm).map((request) => [request.id, request]));
  if (requests.size < kept.length)
    log.error({ damaged: kept.length - requests.size }, "commands that wait for an operator cannot be read");
  /** Calls that wait for the decision, oldest first, by request. */
  const waiting = new Map<string, Waiting[]>();
  let isClosed = false;
  /** One change at a time: bounds are counted and the store written without another one in between. */
  const inTurn = makeInTurn();

  const all = (): readonly Request[] => [...requests.values()].filter(({ expiresAtMs }) => expiresAtMs > nowMs());
  const waitingFor = ({ id }: Request): readonly Waiting[] => waiting.get(id)?.slice() ?? [];

  const change = async (put: readonly Request[], remove: readonly Request[] = []): Promise<void> => {
    const rows: CommandRequestChange = {
      put: put.map((row) => ({ type: "request", id: row.id, row })),
      remove: remove.map(({ id }) => ({ type: "request", id })),
    };
    await store.keepCommandRequests(rows);
    for (const { id } of remove) requests.delete(id);
    for (const row of put) requests.set(row.id, row);
    const total = all().filter(({ state }) => state === "open").length;
    publish({ event: "exec.approvals", payload: { total } });
  };

  const dropExpired = async (): Promise<void> => {
    const over = [...requests.values()].filter(({ expiresAtMs }) => expiresAtMs <= nowMs());
    if (over.length > 0) await change([], over);
  };

  /** The session knows by itself. That the row stays costs one turn that says what is known. */
  const forgetTask = ({ taskId, agentId }: Request): void => {
    if (taskId === undefined) return;
    store
      .unschedule(taskId, { agentId })
      .catch((error: unknown) => log.warn({ agent: agentId, error: toRefusal(error) }, "a task could not be removed"));
  };

  /** The task that tells the session; undefined when it has no one to tell, or its agent too many timers. */
  const setTask = async (request: Request, told: Asking["told"]): Promise<string | undefined> => {
    if (told === undefined) return undefined;
    const { id, agentId, sessionKey, createdAtMs, expiresAtMs } = request;
    const task: TimerRow = {
      id: `${approvalTaskMark}${newId(createdAtMs)}`,
      agentId,
      sessionKey,
      name: `approval ${id}`,
      via: schedulePairingId(agentId),
      // Told as it is when nobody decides; with a decision, its last line says what was asked.
      body: `nobody decided whether this command may run, and it was not run: do without it, or ask again.\n${told.asked}`,
      isData: false,
      dueAtMs: expiresAtMs,
      task: { replyRoute: told.replyRoute },
      createdAtMs,
    };
    return signals().setTask(task);
  };

  /** Where there is still a task, its session hears of the decision. May be done again. */
  const tell = async ({ taskId, id, agentId, state }: Request): Promise<void> => {
    if (taskId === undefined) return;
    const { rows } = await signals().timers({ id: taskId, agentId, limit: 1 });
    const task = rows.find((row) => row.task !== undefined && row.task.ended === undefined);
    if (task === undefined) return;
    const asked = task.body.slice(task.body.indexOf("\n") + 1);
    const said =
      state === "allowed"
        ? `the operator allowed the command that waited as ${id}. Call exec again with exactly these parameters, and it runs once:`
        : `the operator denied the command that waited as ${id}, and it was not run: do without it, or ask the operator.`;
    await signals().endTask(task, state === "allowed" ? "done" : "failed", `${said}\n${asked}`);
  };

  /** False: it could not be told, and the next process tries again (`start`). */
  const tryToTell = async (request: Request): Promise<boolean> => {
    try {
      await tell(request);
      return true;
    } catch (error) {
      const { agentId: agent, id } = request;
      log.warn({ agent, request: id, error: toRefusal(error) }, "a decision about a command could not be told");
      return false;
    }
  };

  /** `before`: an earlier request for the same that nobody waits for, in whose place this one is. */
  const raise = async (
    command: CommandForApproval,
    told: Asking["told"],
    before: Request | undefined,
  ): Promise<Request | { readonly why: string }> => {
    await dropExpired();
    const rows = all().filter(({ id }) => id !== before?.id);
    const own = rows.filter(({ agentId }) => agentId === command.agentId).length;
    if (own >= limits.execApprovalsPerAgentMax || rows.length >= limits.execApprovalsMax)
      return {
        why: `${own} commands of ${command.agentId} and ${rows.length} in all wait for an operator; the bounds are ${limits.execApprovalsPerAgentMax} and ${limits.execApprovalsMax}`,
      };
    const createdAtMs = nowMs();
    const request: Request = {
      ...command,
      id: before?.id ?? newRequestId(),
      hash: hashOf(command),
      createdAtMs,
      expiresAtMs: createdAtMs + limits.execApprovalAgeMs,
      state: "open",
    };
    const taskId = await setTask(request, told);
    const raised = taskId === undefined ? request : { ...request, taskId };
    try {
      await change([raised]);
    } catch (error) {
      forgetTask(raised);
      throw error;
    }
    if (before !== undefined) forgetTask(before);
    note({ type: "exec_approval_requested", subject: command.sessionKey, object: raised.id, detail: raised.hash });
    return raised;
  };

  const find = (command: CommandForApproval, tasks: Asking["tasks"]): Request | undefined =>
    all().find((request) => request.state !== "denied" && isOf(request, command, tasks));

  const decision = (request: Request, isOver: () => boolean): Promise<Decision> => {
    const { promise, resolve: answer } = Promise.withResolvers<Decision>();
    const timer = setTimeout(answer, limits.execApprovalWaitMs, "late");
    const one = { answer, isOver };
    waiting.set(request.id, [...waitingFor(request), one]);
    return promise.finally(() => {
      clearTimeout(timer);
      const left = waitingFor(request).filter((other) => other !== one);
      if (left.length > 0) waiting.set(request.id, [...left]);
      else waiting.delete(request.id);
    });
  };

  const resolve = async (id: string, decided: "allow-once" | "deny", by: string): Promise<object> => {
    const request = all().find((one) => one.id === id);
    if (request?.state !== "open")
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `no command that waits has the id ${id}; it was decided, or nobody decided it in time`,
        "cloister approvals list",
      );
    const [first, ...others] = waitingFor(request).filter(({ isOver }) => !isOver());
    const ran = decided === "allow-once" && first !== undefined;
    // Once is once: what runs now, or is told to a call that waits, is no request any more.
    if (first !== undefined) await change([], [request]);
    else {
      const after: Request = { ...request, state: decided === "deny" ? "denied" : "allowed" };
      await change([after]);
      const isKnown = await tryToTell(after);
      if (decided === "deny" && isKnown) await change([], [after]);
    }
    note({ type: "exec_approval_decided", subject: by, object: id, detail: `${decided}: ${request.hash}` });
    if (first !== undefined) {
      forgetTask(request);
      first.answer(ran ? "allow" : "deny");
      for (const { answer } of others) answer(ran ? "late" : "deny");
    }
    return { id, decision: decided, ran, told: first === undefined && request.taskId !== undefined };
  };

  return {
    async ask(command, { waits, isOver, tasks, told }) {
      const asked = await inTurn(async () => {
        const own = find(command, tasks);
        if (own?.state === "allowed") {
          await change([], [own]);
          forgetTask(own);
          return { type: "allowed" } as const;
        }
        const before = all().find(
          (one) => one.state === "open" && isSame(one, command) && waitingFor(one).length === 0,
        );
        const request = own ?? (await raise(command, told, before));
        if ("why" in request) return { type: "full", why: request.why } as const;
        // Here, so that no decision comes before there is somebody to tell.
        return { type: "open", request, decided: waits && !isClosed ? decision(request, isOver) : undefined } as const;
      });
      if (asked.type !== "open") return asked;
      const { id } = asked.request;
      const decided = await asked.decided;
      if (decided === "allow") return { type: "allowed" };
      if (decided === "deny") return { type: "denied", id };
      return { type: "waits", id, waited: decided !== undefined, isTold: requests.get(id)?.taskId !== undefined };
    },
    isAllowed: (command, tasks) => find(command, tasks)?.state === "allowed",
    methods: {
      "exec.approval.list": () => ({
        ts: nowMs(),
        requests: all()
          .filter(({ state }) => state !== "denied")
          .toSorted((a, b) => a.createdAtMs - b.createdAtMs)
          .map(show),
      }),
      "exec.approval.resolve": ({ id, decision: decided }, { clientId }) =>
        inTurn(() => resolve(id, decided, clientId)),
    },
    denyTask: (taskId, by) =>
      inTurn(async () => {
        const request = all().find((one) => one.taskId === taskId && one.state === "open");
        if (request === undefined) return false;
        await resolve(request.id, "deny", by);
        return true;
      }),
    start: () =>
      inTurn(async () => {
        await dropExpired();
        const denied: Request[] = [];
        for (const request of all().filter(({ state }) => state !== "open"))
          if ((await tryToTell(request)) && request.state === "denied") denied.push(request);
        if (denied.length > 0) await change([], denied);
      }),
    close() {
      isClosed = true;
      for (const calls of waiting.values()) for (const { answer } of calls) answer("late");
    },
  };
}

const randomId = (): string => `x-${randomUUID().slice(0, 8)}`;

/** Everything that makes the command what it is. */
export function hashOf(command: CommandForApproval): string {
  const { argv, cwd, env } = command.vector;
  const { agentId, sessionKey, runId, place, hasInput } = command;
  const variables = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([argv, cwd, variables, agentId, sessionKey, runId, place, hasInput]))
    .digest("hex");
}

/** But for the run. */
const isSame = (request: Request, command: CommandForApproval): boolean =>
  request.hash === hashOf({ ...command, runId: request.runId });

/** The same command, of the same run or of the turn that was told how its request ended. */
const isOf = (request: Request, command: CommandForApproval, tasks: Asking["tasks"]): boolean =>
  isSame(request, command) &&
  (request.runId === command.runId || (request.taskId !== undefined && tasks.includes(request.taskId)));

function show(request: Request) {
  const { id, agentId, sessionKey, runId, vector, place, hasInput, hash, createdAtMs, expiresAtMs, state } = request;
  const { argv, cwd, env } = vector;
  // For eyes: each word with its end, and nothing that is not seen.
  const shown = {
    words: written(argv),
    folder: written(cwd),
    variables: Object.entries(env).map(([name, value]) => `${name}=${written(value)}`),
  };
  const what = { id, agentId, sessionKey, runId, argv, cwd, env, shown, place, input: hasInput };
  return { ...what, hash, createdAtMs, expiresAtMs, allowed: state === "allowed" };
}

const written = (value: string | readonly string[]): string => writtenOut(JSON.stringify(value));
