/**
 * Calls of MCP servers that go on after their turn: each is a task of its session (`ctx.defer` is another), kept in the journal from before the call
 * is answered `pending`, with the name that its server gave it. Whatever ends meanwhile (the server, its connection, its thread, the gateway), the server
 * is asked after it again, and the session is told of its end once. Source: behaviour §5.10.
 *
 *   pending ──► followed ── ends ──► told: one turn of the session
 *                 ├── cancelled by an operator ──► told that, when its server has ended it
 *                 ├── its server is taken from the agent ──► told that
 *                 └── nobody tells of its end in its time ──► told that
 */
import { schedulePairingId } from "../../auth/compile-pairings.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { KernelForMcp, McpAgent, McpCancelled, McpForKernel, McpGoesOn, McpTask } from "../mcp/port.ts";
import type { TimerRow } from "../store/port.ts";
import type { Logger } from "./driver.ts";
import { mcpTaskMark } from "./job-schedule.ts";
import { readOpenTasks } from "./open-tasks.ts";
import type { Signals } from "./signals.ts";
import { fault, type ToolCall } from "./tools/table.ts";

export interface McpTasksDeps {
  readonly signals: () => Pick<Signals, "setTask" | "endTask" | "timers">;
  readonly newId: (nowMs: number) => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** What they are asked through. */
export interface McpReach {
  /** The thread, which starts when it does not run. */
  readonly remote: () => Promise<McpForKernel>;
  readonly agentOf: (agentId: string) => McpAgent;
  readonly mayUse: (agentId: string, server: string) => boolean;
}

export interface McpTasks {
  /** What the agent is answered. */
  expect(
    call: Pick<ToolCall, "header" | "tool">,
    goesOn: McpGoesOn & Pick<McpTask, "server" | "tool">,
  ): Promise<object>;
  readonly ended: KernelForMcp["ended"];
  /** By an operator. `over`: it has ended. Rejects when the thread does not start. */
  cancel(id: string): Promise<"over" | McpCancelled>;
  /** The thread is gone, and follows none any more. */
  lost(): void;
  /** Another configuration: tasks of servers that their agents have no longer end. */
  changed(): void;
  /** Goes on with those of the last process. Rejects as the store does. */
  start(): Promise<void>;
}

type Row = TimerRow & { readonly task: { readonly mcp: NonNullable<NonNullable<TimerRow["task"]>["mcp"]> } };

export function makeMcpTasks(
  { signals, newId, nowMs, log }: McpTasksDeps,
  { remote, agentOf, mayUse }: McpReach,
): McpTasks {
  const open = new Map<string, Row>();

  const taskOf = ({ id, agentId, dueAtMs, task: { mcp } }: Row): McpTask => ({
    ...agentOf(agentId),
    ...mcp,
    id,
    untilMs: dueAtMs,
  });

  const warn = (row: Row, error: unknown, what: string): void =>
    log.warn({ agent: row.agentId, server: row.task.mcp.server, error: toRefusal(error) }, what);

  /** A store that fails is asked again for as long as the task has: then the session is told that nobody told of its end. */
  const tell = async (row: Row, isDone: boolean, text: string): Promise<void> => {
    open.delete(row.id);
    const told = text.slice(0, limits.taskResultCharsMax);
    try {
      await signals().endTask(row, isDone ? "done" : "failed", told);
    } catch (error) {
      warn(row, error, "the end of a task of an MCP server could not be told yet; tried again");
      if (nowMs() < row.dueAtMs) setTimeout(() => void tell(row, isDone, told), limits.mcpRetryMsMax).unref();
    }
  };

  const take = (row: Row): void => {
    const { agentId, task } = row;
    const { server } = task.mcp;
    if (!mayUse(agentId, server)) {
      void tell(row, false, `the MCP server ${server} is not this agent's any more; what became of it is not known`);
      return;
    }
    follow(row);
  };

  /** A thread that cannot start is tried again: nobody else would. */
  const follow = (row: Row): void => {
    open.set(row.id, row);
    void remote()
      .then((thread) => thread.follow(taskOf(row)))
      .catch((error: unknown) => {
        warn(row, error, "a task of an MCP server cannot be followed; tried again");
        followLater(row, limits.mcpRetryMsMax);
      });
  };

  const followLater = (row: Row, waitMs: number): void =>
    void setTimeout(() => {
      if (open.has(row.id)) follow(row);
    }, waitMs).unref();

  /** Of those that were in their time nobody told, their session has been told that. */
  const dropLate = (): void => {
    for (const { id, dueAtMs } of open.values()) if (dueAtMs <= nowMs()) open.delete(id);
  };

  /** Nobody would be told of its end. */
  const giveUp = async (row: Row, isFull: boolean): Promise<object> => {
    const isEnded = await remote()
      .then((thread) => thread.cancelTask(taskOf(row)))
      .then((cancelled) => cancelled.isEnded)
      .catch(() => false);
    const [code, why, hint] = isFull
      ? ([
          "busy",
          "this agent has too many timers to be told of its end",
          "cloister timers list, cloister tasks list",
        ] as const)
      : (["worker_unavailable", "it could not be kept for its end", "cloister doctor"] as const);
    return fault(
      code,
      `${row.task.mcp.server} goes on with it as a task, and ${why}; the server was told to end it${isEnded ? "" : ", and whether it did is not known"}`,
      hint,
    );
  };

  return {
    async expect({ header, tool: name }, goesOn) {
      const { agentId, sessionKey, replyRoute } = header;
      const { server, tool, remoteId, untilMs } = goesOn;
      const createdAtMs = nowMs();
      const row: Row = {
        id: `${mcpTaskMark}${newId(createdAtMs)}`,
        agentId,
        sessionKey,
        name: name.slice(0, limits.timerNameCharsMax),
        via: schedulePairingId(agentId),
        body: `the MCP server ${server} has not told of its end in its time; what became of it is not known`,
        isData: false,
        dueAtMs: untilMs,
        task: { replyRoute, mcp: { server, tool, remoteId } },
        createdAtMs,
      };
      dropLate();
      try {
        if ((await signals().setTask(row)) === undefined) return giveUp(row, true);
      } catch (error) {
        warn(row, error, "a task of an MCP server could not be kept, and is given up");
        return giveUp(row, false);
      }
      take(row);
      return {
        status: "pending",
        taskId: row.id,
        text: `${server} goes on with it as a task.`,
        news: "its end will be told to this session: end the turn",
      };
    },
    async ended({ id, isDone, text }) {
      const row = open.get(id);
      if (row !== undefined) await tell(row, isDone, text);
    },
    async cancel(id) {
      const row = open.get(id);
      if (row === undefined) return "over";
      const cancelled = await (await remote()).cancelTask(taskOf(row));
      if (!open.has(id)) return "over";
      if (cancelled.isEnded) open.delete(id);
      return cancelled;
    },
    lost() {
      dropLate();
      for (const row of open.values()) followLater(row, limits.mcpRetryMs);
    },
    changed() {
      for (const row of open.values()) {
        const { agentId, id, task } = row;
        if (mayUse(agentId, task.mcp.server)) continue;
        void remote()
          .then((thread) => thread.unfollow(id))
          .catch(() => undefined);
        take(row);
      }
    },
    async start() {
      for (const row of await readOpenTasks(signals(), mcpTaskMark)) if (isWhole(row)) take(row);
    },
  };
}

const isWhole = (row: TimerRow): row is Row => row.task?.mcp !== undefined;
