/** When a job is due: pure but for the time zones that the system knows. Cron expressions are read by croner. */
import { Cron } from "croner";
import { isTimezone } from "../config/timezone.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { type Job, type JobSchedule, neverMs } from "../store/job-rows.ts";

/** The first time after `afterMs`; `neverMs` when there is none. A time of `at` is the same whenever it is asked for. */
export function nextTime(schedule: JobSchedule, afterMs: number): number {
  if (schedule.kind === "at") return schedule.atMs > afterMs ? schedule.atMs : neverMs;
  if (schedule.kind === "every") {
    const { everyMs, anchorMs } = schedule;
    return anchorMs + Math.max(0, Math.floor((afterMs - anchorMs) / everyMs) + 1) * everyMs;
  }
  return readCron(schedule).nextRun(new Date(afterMs))?.getTime() ?? neverMs;
}

/** What ids of jobs begin with; those of agents' timers do not. */
export const jobIdMark = "j-";

/** And those of heartbeats, which are kept as jobs (`heartbeats.ts`). */
export const heartbeatIdMark = "h-";
/** Of tasks that are commands in the background (`tools/command-news.ts`). */
export const commandTaskMark = "c-";
/** Of tasks that are commands that wait for an operator (`tools/exec-approvals.ts`). */
export const approvalTaskMark = "a-";
/** Of tasks that MCP servers carry out (`mcp-tasks.ts`). */
export const mcpTaskMark = "s-";
export type TaskKind = "command" | "approval" | "mcp" | "deferred";
/** Who has a task done: a command in the background, an operator who has not decided yet, an MCP server, or the agent itself, which has put it off. */
export const taskKindOf = (id: string): TaskKind =>
  id.startsWith(commandTaskMark)
    ? "command"
    : id.startsWith(approvalTaskMark)
      ? "approval"
      : id.startsWith(mcpTaskMark)
        ? "mcp"
        : "deferred";
/** Of messages of hooks that wait (`hook-events.ts`). */
export const waitingHookIdMark = "w-";
/** What is kept as a job: set by operators, the configuration or the tool `cron`; and what was said from outside. An agent's calls for its own timers neither see nor remove it. */
export const isOperators = (id: string): boolean =>
  [jobIdMark, heartbeatIdMark, waitingHookIdMark].some((mark) => id.startsWith(mark));

/** After a time that came; one that is disabled was only run by hand. */
export const nextOf = ({ enabled, schedule }: Job, afterMs: number): number =>
  enabled && schedule.kind !== "at" ? nextTime(schedule, afterMs) : neverMs;

/** Since when it waits for its agent's heartbeat. */
export const heldSince = (job: Job, dueAtMs: number): number | undefined =>
  job.held?.untilMs === dueAtMs ? job.held.dueAtMs : undefined;

const readCron = ({ expr, tz }: Extract<JobSchedule, { kind: "cron" }>): Cron =>
  new Cron(expr, { timezone: tz, paused: true });

/** @throws CLOISTER_REQUEST_INVALID for a time too far ahead, an expression that says nothing, or times that follow too closely */
export function checkSchedule(schedule: JobSchedule, nowMs: number): JobSchedule {
  if (schedule.kind === "cron") checkCron(schedule, nowMs);
  if (schedule.kind === "at" && schedule.atMs - nowMs > limits.timerHorizonMsMax)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `schedule.at: found ${new Date(schedule.atMs).toISOString()}, wanted a time at most ${limits.timerHorizonMsMax} ms ahead`,
    );
  return schedule;
}

function checkCron(schedule: Extract<JobSchedule, { kind: "cron" }>, nowMs: number): void {
  const remedy = "minute hour day month weekday, e.g. `0 7 * * 1-5`, with a time zone such as Europe/Berlin";
  if (!isTimezone(schedule.tz))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `schedule.tz: found ${JSON.stringify(schedule.tz)}, which is no time zone`,
      "name one such as Europe/Berlin",
    );
  let times: readonly Date[];
  try {
    times = readCron(schedule).nextRuns(limits.jobTimesChecked, new Date(nowMs));
  } catch (error) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `schedule: found ${JSON.stringify(schedule.expr)} in ${JSON.stringify(schedule.tz)}: ${(error as Error).message}`,
      remedy,
    );
  }
  if (times.length === 0)
    throw failure("CLOISTER_REQUEST_INVALID", `schedule.expr: ${JSON.stringify(schedule.expr)} is never due`, remedy);
  const gaps = times.slice(1).map((time, at) => time.getTime() - (times[at] ?? time).getTime());
  if (gaps.some((gapMs) => gapMs < limits.jobPeriodMsMin))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `schedule.expr: ${JSON.stringify(schedule.expr)} is due after ${Math.min(...gaps)} ms, wanted ${limits.jobPeriodMsMin} ms or more`,
      remedy,
    );
}
