/**
 * Tasks as operators see them: what sessions wait to be told the end of. Agents put them off (`ctx.defer`); commands that go on in the background,
 * commands that wait for an operator and what MCP servers carry out are tasks as well. Each is a row of the timers, and ends once, whoever ends it. Source: behaviour §5.10.
 */
import { type CodedError, failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { McpCancelled } from "../mcp/port.ts";
import type { TimerRow } from "../store/port.ts";
import { addressText } from "./answer-address.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import { taskKindOf } from "./job-schedule.ts";
import type { Handlers } from "./method-handlers.ts";
import type { Targets } from "./method-targets.ts";
import type { Signals } from "./signals.ts";
import type { CommandEnding } from "./tools/host-tools.ts";

export interface TasksDeps {
  readonly signals: () => Pick<Signals, "timers" | "endTask">;
  /** Ends the command, whose end is then told as ever. */
  readonly endCommand: (task: TimerRow) => Promise<CommandEnding>;
  /** Has its server end it. Rejects when that cannot be asked. */
  readonly cancelAtServer: (taskId: string) => Promise<"over" | McpCancelled>;
  /** Decides that the command is not run; false: it was decided. */
  readonly denyCommand: (taskId: string, by: string) => Promise<boolean>;
  readonly targets: Targets;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly nowMs: () => number;
}

interface Ending {
  /** `over`: it has ended meanwhile, by itself or by somebody else. */
  readonly became: CommandEnding;
  /** Of one that goes on, when it is known: why, and what helps. */
  readonly why?: string;
  readonly remedy?: string;
}

type TaskRow = TimerRow & { readonly task: NonNullable<TimerRow["task"]> };

export function makeTaskMethods({
  signals,
  endCommand,
  cancelAtServer,
  denyCommand,
  targets,
  note,
  nowMs,
}: TasksDeps): Handlers<"tasks.list" | "tasks.get" | "tasks.cancel"> {
  const find = async (id: string): Promise<TaskRow> => {
    const { rows } = await signals().timers({ id, isTask: true, limit: 1 });
    const [row] = rows;
    if (row?.task === undefined) throw unknownTask(id);
    return { ...row, task: row.task };
  };

  const end = async (task: TaskRow, by: string, reason: string): Promise<Ending> => {
    const kind = taskKindOf(task.id);
    if (kind === "command") return { became: await endCommand(task) };
    if (kind === "mcp") {
      const cancelled = await cancelAtServer(task.id);
      if (cancelled === "over") return { became: "over" };
      if (!cancelled.isEnded) return { became: "running", why: cancelled.why, remedy: cancelled.remedy };
    }
    const isEnded =
      kind === "approval" ? await denyCommand(task.id, by) : await signals().endTask(task, "failed", reason);
    return { became: isEnded ? "ended" : "over" };
  };

  return {
    "tasks.list": async ({ agentId, sessionKey, limit, offset = 0 }) => {
      const { rows, total } = await signals().timers({
        ...(agentId === undefined ? {} : { agentId: targets.agent(agentId) }),
        ...(sessionKey === undefined ? {} : { sessionKey: targets.session(sessionKey).sessionKey }),
        isTask: true,
        limit: Math.min(limit ?? limits.timersListDefault, limits.timersListMax),
        offset,
      });
      const tasks = rows.map(viewTask);
      return { ts: nowMs(), count: tasks.length, total, hasMore: offset + tasks.length < total, tasks };
    },
    "tasks.get": async ({ id }) => {
      const row = await find(id);
      const { replyRoute, ended } = row.task;
      return {
        task: {
          ...viewTask(row),
          // Its session says there what it makes of the end.
          ...(replyRoute.type === "channel" ? { answersTo: addressText(replyRoute) } : {}),
          ...(ended === undefined ? {} : { status: ended, result: row.body.slice(0, limits.previewCharsMax) }),
        },
      };
    },
    "tasks.cancel": async ({ id, reason }, { clientId: by }) => {
      const row = await find(id);
      const isOver = row.task.ended !== undefined;
      const told = reason === undefined ? "an operator cancelled it" : `an operator cancelled it: ${reason}`;
      const { became, ...known }: Ending = isOver ? { became: "over" } : await end(row, by, told);
      const { agentId, sessionKey, name } = row;
      const stays = became === "running" ? `; ${known.why ?? "it was told to end"}, and it is still running` : "";
      if (became !== "over")
        note({
          type: "task_cancelled",
          subject: by,
          object: sessionKey,
          detail: `${id} of ${agentId}: ${name}${stays}`,
        });
      return {
        ok: true,
        id,
        agentId,
        sessionKey,
        name,
        cancelled: became === "ended",
        stillRunning: became === "running",
        ...known,
      };
    },
  };
}

const viewTask = (row: TimerRow): object => {
  const { id, agentId, sessionKey, name, createdAtMs, dueAtMs, task } = row;
  const kind = taskKindOf(id);
  return {
    id,
    agentId,
    sessionKey,
    name,
    kind: kind === "deferred" ? "agent" : kind,
    // One whose end no mailbox has taken yet is over, and still to be told.
    state: task?.ended === undefined ? "open" : "ended",
    createdAtMs,
    expiresAtMs: dueAtMs,
  };
};

const unknownTask = (id: string): CodedError =>
  failure(
    "CLOISTER_SIGNAL_UNKNOWN",
    `no task has the id ${id}; it has ended, or there was none`,
    "cloister tasks list",
  );
