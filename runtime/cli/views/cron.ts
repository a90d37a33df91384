/** `cloister cron list` and `cron runs`. */
import type { JobEntry, JobRunEntry } from "../commands/cron.ts";
import { formatAge, formatDuration, formatLeft, formatTable } from "./table.ts";

export function formatJobs(jobs: readonly JobEntry[], nowMs: number): readonly string[] {
  const columns = ["ID", "NAME", "AGENT", "SESSION", "WHEN", "NEXT", "LAST"].map((title) => ({ title }));
  return formatTable(
    columns,
    jobs.map(
      ({
        id,
        name,
        agentId,
        sessionTarget,
        wakeMode,
        schedule,
        enabled,
        isOff,
        state: { nextRunAtMs, lastStatus = "" },
      }) => [
        id,
        name,
        agentId,
        sessionTarget,
        `${describeSchedule(schedule)}${wakeMode === "next-heartbeat" ? ", with the next heartbeat" : ""}`,
        !enabled ? "disabled" : isOff ? "off" : nextRunAtMs === undefined ? "none" : formatNext(nextRunAtMs, nowMs),
        lastStatus,
      ],
    ),
  );
}

function describeSchedule({ kind, at, everyMs, expr, tz }: JobEntry["schedule"]): string {
  if (everyMs !== undefined) return `every ${formatLeft(everyMs, 0)}`;
  if (expr !== undefined) return tz === undefined ? expr : `${expr} (${tz})`;
  return at ?? kind;
}

const formatNext = (atMs: number, nowMs: number): string =>
  atMs <= nowMs ? "now" : `in ${formatDuration(atMs - nowMs)}`;

export function formatRuns(runs: readonly JobRunEntry[], nowMs: number): readonly string[] {
  const columns = ["ENDED", "STATUS", "TOOK", "DELIVERED", "ANSWER"].map((title) => ({ title }));
  return formatTable(
    columns,
    runs.map(({ ts, status, durationMs, summary, error, delivered, deliveryError }) => [
      formatAge(ts, nowMs),
      status,
      durationMs === undefined ? "" : formatDuration(durationMs),
      delivered === undefined ? "" : delivered ? "yes" : `no: ${deliveryError ?? ""}`,
      (error ?? summary ?? "").split("\n")[0] ?? "",
    ]),
  );
}
