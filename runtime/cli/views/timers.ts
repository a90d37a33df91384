/** `cloister timers list`. */
import { neverMs } from "../../store/job-rows.ts";
import type { TimerEntry } from "../gateway-rows.ts";
import { formatAge, formatDuration, formatTable } from "./table.ts";

/** Soonest first, as they come. */
export function formatTimers(timers: readonly TimerEntry[], nowMs: number): readonly string[] {
  const columns = [
    { title: "ID" },
    { title: "SESSION" },
    { title: "NAME" },
    { title: "DUE" },
    { title: "EVERY" },
  ] as const;
  return formatTable(
    columns,
    timers.map(({ id, sessionKey, name, dueAtMs, everyMs }) => [
      id,
      sessionKey,
      name,
      dueAtMs >= neverMs
        ? "never"
        : dueAtMs > nowMs
          ? `in ${formatDuration(dueAtMs - nowMs)}`
          : formatAge(dueAtMs, nowMs),
      everyMs === 0 ? "" : formatDuration(everyMs),
    ]),
  );
}
