/** What is under way for a session beside its own turn: sub-agents, commands in the background, what it put off. Source: behaviour §3.7. */
import { cut } from "../../groups/index.ts";
import { limits } from "../../kernel/limits.ts";
import { type TaskKind, taskKindOf } from "../job-schedule.ts";
import type { FoundSession, SessionToolsDeps } from "./find-session.ts";

export interface SessionTask {
  readonly taskId: string;
  /** `run`: of a sub-agent. `deferred`: a turn put it off (`ctx.defer`). */
  readonly kind: "run" | TaskKind;
  /** Of a run as `subagents` tells it; of anything else `waiting`, and `ended` when that is only still to be told. */
  readonly status: "queued" | "running" | "waiting" | "ending" | "ended";
  /** Absent for who may list the session and not read it: it is somebody's words. */
  readonly name?: string;
  readonly childSessionKey?: string;
  readonly createdAt: number;
  /** When it is given up. */
  readonly dueAt?: number;
}

/** The first of each sort, so that the result of `session_status` fits into a step whatever the session has under way. */
export interface SessionTasks {
  readonly tasks: readonly SessionTask[];
  /** How many there are. */
  readonly tasksTotal: number;
}

/** Runs of its whole tree first, oldest first, then the rest, soonest due first. */
export async function tasksOf(
  { kernel, store }: Pick<SessionToolsDeps, "kernel" | "store">,
  { key, agentId }: Pick<FoundSession, "key" | "agentId">,
  mayRead: boolean,
): Promise<SessionTasks> {
  const named = (name: string): Pick<SessionTask, "name"> =>
    mayRead ? { name: cut(name, limits.statusNameCharsMax) } : {};
  const tree = kernel()
    .runViews()
    .filter(({ run }) => run.lineage.includes(key));
  const runs = tree.slice(0, limits.statusRunsMax).map(
    ({ run, status }): SessionTask => ({
      taskId: run.id,
      kind: "run",
      status,
      ...named(run.label ?? run.taskName ?? run.task),
      childSessionKey: run.sessionKey,
      createdAt: run.createdAtMs,
      ...(run.deadlineMs === undefined ? {} : { dueAt: run.deadlineMs }),
    }),
  );
  const { rows } = await store.timers({ agentId, sessionKey: key, limit: limits.timersPerAgentMax });
  const others = rows.flatMap(({ id, name, task, createdAtMs, dueAtMs }): readonly SessionTask[] =>
    task === undefined
      ? []
      : [
          {
            taskId: id,
            kind: taskKindOf(id),
            status: task.ended === undefined ? "waiting" : "ended",
            ...named(name),
            createdAt: createdAtMs,
            dueAt: dueAtMs,
          },
        ],
  );
  return {
    tasks: [...runs, ...others.slice(0, limits.statusTasksMax)],
    tasksTotal: tree.length + others.length,
  };
}

/** Lines of the card; of many the first, and how many more there are. */
export function formatTasks({ tasks, tasksTotal }: SessionTasks): readonly string[] {
  if (tasks.length === 0) return ["Tasks: none"];
  const shown = tasks.slice(0, limits.cardTasksMax).map(({ taskId, kind, status, name }) => {
    const words = name === undefined ? "" : ` ${JSON.stringify(name)}`;
    return `- ${kind} ${taskId}, ${status}${words}`;
  });
  const left = tasksTotal - shown.length;
  return [`Tasks: ${tasksTotal}`, ...shown, ...(left === 0 ? [] : [`- ${left} more`])];
}
