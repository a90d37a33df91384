/**
 * The envelope that a due timer or monitor becomes. Pure: the kernel's tests make theirs with it as well.
 */
import type { TaskStatus } from "../kernel/envelope.ts";
import type { Admission } from "../kernel/kernel.ts";
import { type Job, neverMs } from "../store/job-rows.ts";
import type { DueRow, MonitorRow, TimerRow } from "../store/port.ts";
import { heldSince } from "./job-schedule.ts";

type Repeats = Pick<TimerRow, "dueAtMs"> & { readonly everyMs?: number | undefined };
type DueTimer = Repeats &
  Pick<TimerRow, "id" | "agentId" | "sessionKey" | "name" | "via" | "body" | "isData"> & {
    readonly task?: TimerRow["task"];
  };
type DueMonitor = Omit<MonitorRow, "createdAtMs">;
type Down = Pick<Extract<DueRow, { type: "down" }>, "reason" | "detail" | "dueAtMs">;

/** How many later times have passed as well, and when the next one is. */
export function timesOf(
  { dueAtMs, everyMs }: Repeats,
  nowMs: number,
): { readonly missed: number; readonly nextMs: number | undefined } {
  if (everyMs === undefined) return { missed: 0, nextMs: undefined };
  const missed = Math.max(0, Math.floor((nowMs - dueAtMs) / everyMs));
  return { missed, nextMs: dueAtMs + (missed + 1) * everyMs };
}

/** The end of a task: its row goes with the journaling of this, so that it ends once, whoever ends it. */
export function taskAdmission(timer: DueTimer, status: TaskStatus, body: string): Admission {
  const { id, agentId, sessionKey, name, dueAtMs, via, task } = timer;
  return {
    ...internal("task"),
    replyRoute: task?.replyRoute ?? { type: "none" },
    from: { type: "timer", agentId, timerId: id },
    agentId,
    sessionKey,
    via,
    body,
    signal: { type: "task", id, name, status },
    fires: { id, dueAtMs, nextMs: undefined },
  };
}

export function timerAdmission(timer: DueTimer, nowMs: number): Admission {
  if (timer.task !== undefined) return taskAdmission(timer, timer.task.ended ?? "expired", timer.body);
  const { id, agentId, sessionKey, name, dueAtMs, isData } = timer;
  const { missed, nextMs } = timesOf(timer, nowMs);
  return {
    ...internal("schedule"),
    from: { type: "timer", agentId, timerId: id },
    agentId,
    sessionKey,
    via: timer.via,
    body: timer.body,
    signal: { type: "timer", id, name, dueAtMs, missed, isData },
    fires: { id, dueAtMs, nextMs },
  };
}

/** `runId` makes the session of a job whose runs are on their own. An `at` that stays has no next time. */
export function jobAdmission(
  { id, agentId, sessionKey, name, dueAtMs, body, via }: DueTimer,
  job: Job,
  nextMs: number,
  runId: string,
): Admission {
  const { target, payload, delivery, deleteAfterRun, enabled, turn } = job;
  const cameMs = heldSince(job, dueAtMs) ?? dueAtMs;
  // One that is switched off was run by hand, and its own time may still come.
  const goes = deleteAfterRun && enabled && nextMs === neverMs;
  return {
    ...internal("schedule"),
    replyRoute: delivery,
    from: { type: "timer", agentId, timerId: id },
    agentId,
    sessionKey: target === "isolated" ? `${sessionKey}:run:${runId}` : sessionKey,
    via,
    body,
    ...(payload === "agentTurn"
      ? {}
      : { signal: { type: "timer", id, name, dueAtMs: cameMs, missed: 0, isData: false } }),
    ...turn,
    fires: { id, dueAtMs, nextMs: goes ? undefined : nextMs },
  };
}

export function downAdmission(
  { id, agentId, sessionKey, target, via }: DueMonitor,
  { reason, detail, dueAtMs }: Down,
): Admission {
  return {
    ...internal("monitor"),
    from: { type: "monitor", agentId: target, ref: id },
    agentId,
    sessionKey,
    via,
    body: `the agent ${target} is down (${reason})${detail === "" ? "" : `: ${detail}`}`,
    signal: { type: "down", ref: id, agentId: target, reason, detail },
    fires: { id, dueAtMs, nextMs: undefined },
  };
}

function internal(sourceTool: "schedule" | "monitor" | "task") {
  return {
    verb: "send",
    chain: [],
    provenance: { kind: "internal_system", sourceChannel: "internal", sourceTool },
    replyRoute: { type: "none" },
  } as const;
}
