/**
 * Calls that a server carries out as tasks (revision 2025-11-25 of the protocol): the call waits for its end for a while, and what goes on then is
 * asked after until it has ended, however often its server is lost meanwhile.
 *
 *   started ──ends in time──► result
 *      └── goes on ──followed──► ended ──► told, once
 *                        ├── its server does not know it any more, or wants an answer of a person ──► told that
 *                        └── `untilMs` ──► told by whoever set that time
 */
import type { CallToolResult, Task } from "@modelcontextprotocol/sdk/types.js";
import { unlessAborted } from "../../channels/aborted.ts";
import { limits } from "../kernel/limits.ts";
import { makeAbandon } from "./abandon.ts";
import type { CallFailure, Connection, Refused, Started } from "./connection.ts";
import { keepPictures } from "./pictures.ts";
import { type Held, isUnavailable, pause, type Pool, type PoolClock } from "./pool.ts";
import type { KernelForMcp, McpAgent, McpCall, McpCancelled, McpForKernel, McpGoesOn, McpTask } from "./port.ts";
import { resultOf } from "./results.ts";

export interface TasksDeps {
  readonly pool: Pick<Pool, "hold" | "waitMs">;
  readonly clock: PoolClock;
  readonly remote: Pick<KernelForMcp, "ended" | "log">;
}

export interface Tasks extends Pick<McpForKernel, "follow" | "unfollow" | "cancelTask"> {
  /** Starts it and waits. Rejects with `CallFailure` when it was not started, or its connection ended and nobody can be told of its end. */
  run(asked: McpCall, args: Readonly<Record<string, unknown>>, held: Held, signal: AbortSignal): Promise<object>;
  /** Follows none any more; the servers go on. */
  close(): void;
}

/** `isDone`: the tool did what it was asked for. */
interface End {
  readonly isDone: boolean;
  readonly result: object;
}

export function makeTasks({ pool, clock, remote }: TasksDeps): Tasks {
  const followed = new Map<string, AbortController>();
  const abandon = makeAbandon({ pool, clock, remote });

  const drop = (id: string): void => {
    followed.get(id)?.abort();
    followed.delete(id);
  };

  const read = async ({ workspace }: McpAgent, answer: CallToolResult): Promise<End> => {
    const result = resultOf(answer, await keepPictures(workspace, answer, clock.nowMs()));
    return { isDone: answer.isError !== true, result };
  };

  /** Undefined: it goes on. */
  const look = async (
    connection: Connection,
    of: McpAgent,
    task: Task,
    signal: AbortSignal,
  ): Promise<End | undefined> => {
    const { status, taskId, statusMessage } = task;
    const said = statusMessage === undefined ? "" : `: ${statusMessage.slice(0, saidCharsMax)}`;
    if (status === "working") return undefined;
    if (status === "cancelled") return failed("cancelled", `its server cancelled it${said}`);
    if (status === "input_required") {
      await connection.cancelTask(taskId);
      return failed(
        "invalid",
        `its server wants to ask somebody, which nobody can answer here; it was cancelled${said}`,
      );
    }
    try {
      return await read(of, await connection.taskResult(taskId, limits.mcpRequestMs, signal));
    } catch (error) {
      const { kind, message } = error as CallFailure;
      if (kind !== "refused" || status !== "failed") throw error;
      return failed("tool_error", `it failed${said || `: ${message.slice(0, saidCharsMax)}`}`);
    }
  };

  const run: Tasks["run"] = async (asked, args, held, signal) => {
    signal.throwIfAborted();
    const starting = held.connection.startTask(asked.tool, args, limits.mcpTaskMsMax);
    const started = await inTime(asked, starting, signal);
    if ("result" in started) return (await read(asked, started.result)).result;
    const { task } = started;
    const { taskId } = task;
    if (taskId.length > limits.mcpTaskIdCharsMax) {
      void abandon.cancel(asked, taskId);
      throw failure("refused", `the name of its task has ${taskId.length} characters`, "fault");
    }
    try {
      return await waitFor(asked, task, held, signal);
    } catch (error) {
      // The server has it: nothing begins it once more.
      throw Object.assign(error as CallFailure, { isUnsent: false });
    }
  };

  /** Nobody waits for it any more when the turn is over or its time is: then its name is waited for, and it is cancelled by that. */
  const inTime = async (asked: McpCall, starting: Promise<Started>, signal: AbortSignal): Promise<Started> => {
    const waitMs = pool.waitMs(asked.server);
    const late = new AbortController();
    const takeBack = clock.after(waitMs, () => late.abort());
    const started = await unlessAborted(starting, AbortSignal.any([signal, late.signal])).finally(takeBack);
    if (started !== undefined) return started;
    void abandon.cancelWhenNamed(asked, starting);
    signal.throwIfAborted();
    throw failure("late", `it did not say within ${waitMs} ms that it began`);
  };

  const waitFor = async (asked: McpCall, task: Task, held: Held, signal: AbortSignal): Promise<object> => {
    const { connection } = held;
    const { taskId } = task;
    const waitMs = asked.canBeTold ? pool.waitMs(asked.server, true) : pool.waitMs(asked.server);
    try {
      return (await read(asked, await connection.taskResult(taskId, waitMs, signal))).result;
    } catch (error) {
      if (!signal.aborted && (error as CallFailure).kind === "refused") {
        // It has ended in another way than with a result. If that cannot be had now, it goes on like any other.
        const seen = await lookAgain({ ...asked, remoteId: taskId }, held, signal).catch(() => undefined);
        if (seen !== undefined && "end" in seen) return seen.end.result;
      }
      if (!signal.aborted && asked.canBeTold) return goesOn(task, clock.nowMs());
      void abandon.cancel(asked, taskId);
      throw error;
    }
  };

  /** Undefined: not known yet, and the server is asked again after `waitMs`. */
  const lookAgain = async (
    task: McpAgent & Pick<McpTask, "remoteId">,
    held: Held,
    signal: AbortSignal,
  ): Promise<{ readonly end: End } | { readonly waitMs: number; readonly fault?: string }> => {
    try {
      const state = await held.connection.task(task.remoteId);
      held.worked();
      const end = await look(held.connection, task, state, signal);
      return end === undefined ? { waitMs: pollMsOf(state) } : { end };
    } catch (error) {
      const { kind, message, because = "fault" } = error as CallFailure;
      if (kind === "late") return { waitMs: limits.mcpTaskPollMs };
      if (kind !== "refused") throw error;
      const said = message.slice(0, saidCharsMax);
      // What it knows of the task is not said by a failure of its own, which may pass.
      if (because === "fault") return { waitMs: limits.mcpTaskPollMsMax, fault: said };
      const why = because === "method" ? "carries out no tasks any more" : "does not know it any more";
      return {
        end: failed("outcome_unknown", `its server ${why}, and whether it took effect is not known: ${said}`),
      };
    }
  };

  const warn = ({ agentId: agent, server }: McpTask, what: string, reason: string): void =>
    void remote.log("warn", what, { agent, server, reason }).catch(() => undefined);

  async function followOne(task: McpTask, signal: AbortSignal): Promise<End | undefined> {
    let held: Held | undefined;
    let hasFailed = false;
    try {
      while (!signal.aborted && clock.nowMs() < task.untilMs) {
        let waitMs: number;
        try {
          held ??= await pool.hold(task, task.server);
          const seen = await lookAgain(task, held, signal);
          if ("end" in seen) return seen.end;
          ({ waitMs } = seen);
          if (seen.fault !== undefined && !hasFailed) {
            hasFailed = true;
            warn(task, "an MCP server fails when it is asked after a task; it is asked again", seen.fault);
          }
        } catch (error) {
          waitMs = limits.mcpRetryMs;
          if (isUnavailable(error)) waitMs = Math.max(error.retryAfterMs ?? limits.mcpTaskPollMsMax, waitMs);
          else held?.discard((error as Error).message);
          held?.release();
          held = undefined;
        }
        await pause(clock, waitMs, signal);
      }
      return undefined;
    } finally {
      held?.release();
    }
  }

  return {
    run,
    async follow(task) {
      if (followed.has(task.id)) return;
      const abort = new AbortController();
      followed.set(task.id, abort);
      void followOne(task, abort.signal)
        .then(async (end) => {
          if (end === undefined || abort.signal.aborted) return;
          await remote.ended({ id: task.id, isDone: end.isDone, text: textOf(end.result) });
        })
        .catch((error: unknown) =>
          warn(task, "the end of a task of an MCP server could not be told", (error as Error).message),
        )
        .finally(() => {
          if (followed.get(task.id) === abort) followed.delete(task.id);
        });
    },
    unfollow: async (id) => drop(id),
    async cancelTask(task) {
      let held: Held | undefined;
      try {
        held = await pool.hold(task, task.server);
        await held.connection.cancelTask(task.remoteId);
      } catch (error) {
        const { kind, message } = error as CallFailure;
        if (kind === "lost") held?.discard(message);
        return { isEnded: false, ...whyNotCancelled(task.server, error as CallFailure) };
      } finally {
        held?.release();
      }
      drop(task.id);
      return { isEnded: true };
    },
    close() {
      for (const abort of followed.values()) abort.abort();
      followed.clear();
      abandon.close();
    },
  };
}

/** Of what a server says of a task. */
const saidCharsMax = 4_000;

const failed = (code: string, error: string): End => ({ isDone: false, result: { status: "error", code, error } });

const failure = (kind: CallFailure["kind"], message: string, because?: Refused): CallFailure =>
  Object.assign(new Error(message), { kind, isUnsent: false, ...(because === undefined ? {} : { because }) });

/** For operators: what the server says is in it. */
function whyNotCancelled(
  server: string,
  error: CallFailure,
): Omit<Extract<McpCancelled, { isEnded: false }>, "isEnded"> {
  const name = `the MCP server ${server}`;
  const giveUp = `take the server from the agent (mcp.servers.${server}.agents), which gives its tasks up`;
  const again = `cancel it again when \`cloister mcp list\` shows that the server is connected, or ${giveUp}`;
  const said = error.message.slice(0, saidCharsMax);
  if (isUnavailable(error)) return { why: `${said}; it was not told`, remedy: again };
  if (error.kind === "late") return { why: `${name} did not answer within ${limits.mcpTaskStateMs} ms`, remedy: again };
  if (error.kind === "lost")
    return { why: `the connection to ${name} ended before it answered: ${said}`, remedy: again };
  if (error.because === "method")
    return { why: `${name} cancels no tasks: ${said}`, remedy: `wait for its end, or ${giveUp}` };
  if (error.because === "params")
    return { why: `${name} has none that it could cancel: ${said}`, remedy: "its session is told how it ended" };
  return { why: `${name} failed to cancel it: ${said}`, remedy: `cancel it again, or ${giveUp}` };
}

const goesOn = ({ taskId, ttl }: Task, nowMs: number): McpGoesOn => ({
  status: "pending",
  remoteId: taskId,
  untilMs: nowMs + Math.min(ttl ?? limits.mcpTaskMsMax, limits.mcpTaskMsMax),
});

const pollMsOf = ({ pollInterval }: Task): number =>
  Math.min(Math.max(pollInterval ?? limits.mcpTaskPollMs, limits.mcpTaskPollMsMin), limits.mcpTaskPollMsMax);

/** What a session is told of a result. */
function textOf(result: object): string {
  const { text, error, cut } = result as { readonly text?: string; readonly error?: string; readonly cut?: string };
  return `${text ?? error ?? ""}${cut === undefined ? "" : `\n[${cut}]`}`;
}
