/** Jobs as clients see them: the peer's words. An agent's own timer is shown as a job that tells its session something. */
import { urlChannel } from "../kernel/envelope.ts";
import { limits } from "../kernel/limits.ts";
import { type Job, type JobAnswer, type JobRun, type JobSchedule, type JobTurn, neverMs } from "../store/job-rows.ts";
import type { TimerRow } from "../store/port.ts";
import { heldSince, jobIdMark } from "./job-schedule.ts";

interface JobView extends Readonly<Record<string, unknown>> {
  /** Absent: it has no next time, or jobs are off. */
  readonly nextRunAtMs?: number;
  /** Jobs are off altogether (`cron.enabled`). */
  readonly isOff?: true;
}

const isoTime = (ms: number): string => new Date(ms).toISOString();

/** `happens`: jobs are not off altogether. One that was asked for by hand comes also then. */
export function viewJob(row: TimerRow, happens: boolean): JobView {
  const { id, agentId, sessionKey, name, dueAtMs, createdAtMs, job } = row;
  const isOff = !happens && job !== undefined && id.startsWith(jobIdMark) && job.byHandAtMs !== dueAtMs;
  const next = isOff || dueAtMs >= neverMs ? {} : { nextRunAtMs: dueAtMs };
  return {
    id,
    agentId,
    sessionKey,
    name,
    createdAtMs,
    wakeMode: row.hook === undefined && job?.atHeartbeat !== true ? "now" : "next-heartbeat",
    ...(job === undefined ? timerFields(row) : jobFields(row, job)),
    ...(isOff ? { isOff: true as const } : {}),
    state: { ...next, ...(job === undefined ? {} : { ...waitOf(job, dueAtMs), ...lastOf(job.runs) }) },
    ...next,
  };
}

/** What became of the answer of a run, in the peer's words; nothing while it is on its way, and where there was none. */
export function viewAnswer(answer: JobAnswer | undefined): object {
  if (answer === undefined) return {};
  const { fate, why } = answer;
  if (fate === "stays") return { deliveryStatus: "not-requested" };
  if (fate === "sent") return { delivered: true, deliveryStatus: "delivered" };
  return {
    delivered: false,
    deliveryStatus: "not-delivered",
    ...(why === undefined ? {} : { deliveryError: why }),
  };
}

const preview = (body: string): string => body.slice(0, limits.previewCharsMax);

function timerFields({ dueAtMs, everyMs, sessionKey, createdAtMs, body }: TimerRow): object {
  return {
    enabled: true,
    deleteAfterRun: everyMs === undefined,
    updatedAtMs: createdAtMs,
    schedule: everyMs === undefined ? { kind: "at", at: isoTime(dueAtMs) } : { kind: "every", everyMs },
    sessionTarget: `session:${sessionKey}`,
    payload: { kind: "systemEvent", text: preview(body) },
  };
}

function jobFields({ sessionKey, body, dueAtMs }: TimerRow, job: Job): object {
  const { description, schedule, target, payload, turn, delivery, enabled, deleteAfterRun, updatedAtMs, by } = job;
  const text = preview(body);
  return {
    ...(description === undefined ? {} : { description }),
    // One that has had its time stays to be looked at, and run by hand.
    enabled: enabled && (schedule.kind !== "at" || dueAtMs < neverMs),
    deleteAfterRun,
    updatedAtMs,
    by,
    schedule: viewSchedule(schedule),
    sessionTarget: target === "session" ? `session:${sessionKey}` : target,
    payload:
      payload === "systemEvent" ? { kind: payload, text } : { kind: payload, message: text, ...turnFields(turn) },
    delivery: viewDelivery(delivery),
  };
}

/** As it was asked for. */
function turnFields({ choices, turnMsMax }: JobTurn = {}): object {
  const { model, authProfile, thinking } = choices ?? {};
  return {
    ...(model === undefined ? {} : { model: authProfile === undefined ? model : `${model}@${authProfile}` }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(turnMsMax === undefined ? {} : { timeoutSeconds: turnMsMax / 1_000 }),
  };
}

function viewDelivery(delivery: Job["delivery"]): object {
  if (delivery.type === "none") return { mode: "none" };
  const { channel, accountId, peerKind, peerId } = delivery;
  if (channel === urlChannel) return { mode: "webhook", to: peerId };
  return { mode: "announce", channel, accountId, to: `${peerKind}:${peerId}` };
}

const viewSchedule = (schedule: JobSchedule): object =>
  schedule.kind === "at" ? { kind: "at", at: isoTime(schedule.atMs) } : schedule;

/** Its time has come, and the agent's heartbeat has not. */
function waitOf(job: Job, dueAtMs: number): object {
  const waitsSinceMs = heldSince(job, dueAtMs);
  return waitsSinceMs === undefined ? {} : { waitsSinceMs };
}

function lastOf(runs: readonly JobRun[]): object {
  const last = runs.at(-1);
  if (last === undefined) return {};
  const { atMs, status, text, startedAtMs } = last;
  return {
    lastRunAtMs: startedAtMs ?? atMs,
    lastStatus: status,
    ...(startedAtMs === undefined ? {} : { lastDurationMs: atMs - startedAtMs }),
    ...(status === "ok" || text === undefined ? {} : { lastError: text }),
  };
}
