/** Rows of jobs, and of what is kept as one: how they are set, and how the end of a run is written into them. */
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { JobAnswer, JobRun } from "../store/job-rows.ts";
import type { Store, TimerRow } from "../store/port.ts";
import type { Logger } from "./driver.ts";

/** @throws CLOISTER_MAILBOX_FULL */
export async function setJob(
  store: Pick<Store, "schedule">,
  row: TimerRow,
  by?: Parameters<Store["schedule"]>[1],
): Promise<string> {
  const set = await store.schedule(row, by);
  if (set.status !== "full") return set.id;
  throw failure(
    "CLOISTER_MAILBOX_FULL",
    `the agent ${row.agentId} has ${limits.timersPerAgentMax} timers and jobs; the bound is reached`,
    "remove some: cloister cron remove <id>",
  );
}

/** Of a turn that a row of these began: it is among the row's last runs from then on. `mark`: what ids of the caller's rows begin with. */
export function noteRun(
  store: Pick<Store, "amendJob">,
  log: Pick<Logger, "error">,
  mark: string,
  header: EnvelopeHeader,
  outcome: Outcome,
  atMs: number,
): void {
  const { from } = header;
  if (from.type !== "timer" || !from.timerId.startsWith(mark)) return;
  store
    .amendJob(from.timerId, { ran: runOf(header, outcome, atMs) })
    .catch((error: unknown) =>
      log.error({ job: from.timerId, error: toRefusal(error) }, "the end of a job's run was not written down"),
    );
}

/** The answer of such a turn has left, or will not. */
export function noteAnswer(
  store: Pick<Store, "amendJob">,
  log: Pick<Logger, "error">,
  { from, runId }: EnvelopeHeader,
  answer: JobAnswer,
): void {
  if (from.type !== "timer") return;
  const change = { answered: { runId, answer: { ...answer, ...cutWhy(answer) } } };
  store
    .amendJob(from.timerId, change)
    .catch((error: unknown) =>
      log.error({ job: from.timerId, error: toRefusal(error) }, "what became of a job's answer was not written down"),
    );
}

const cutWhy = ({ why }: JobAnswer): Pick<JobAnswer, "why"> =>
  why === undefined ? {} : { why: why.slice(0, limits.jobRunCharsMax) };

function runOf(
  { runId, sessionKey, acceptedAtMs, replyRoute }: EnvelopeHeader,
  outcome: Outcome,
  atMs: number,
): JobRun {
  const said =
    outcome.status === "error"
      ? `${outcome.code}: ${outcome.message}`
      : outcome.status === "ok"
        ? outcome.text
        : undefined;
  return {
    atMs,
    status: outcome.status === "error" ? "error" : "ok",
    runId,
    sessionKey,
    startedAtMs: acceptedAtMs,
    ...(said === undefined ? {} : { text: said.slice(0, limits.jobRunCharsMax) }),
    ...(replyRoute.type === "none" ? { answer: { fate: "stays" } } : {}),
  };
}
