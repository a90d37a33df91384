/** `cloister grants list` and `explain`. */
import type { ExplainedEntry, GrantEntry } from "../gateway-rows.ts";
import { formatAge, formatDuration, formatTable } from "./table.ts";

/** Oldest first, as they come. */
export function formatGrants(grants: readonly GrantEntry[], nowMs: number): readonly string[] {
  const columns = ["ID", "FROM", "TO", "VERBS", "ENDS", "GRANTED", "BY"].map((title) => ({ title }));
  return formatTable(
    columns,
    grants.map(({ id, from, to, verbs, untilMs, createdAtMs, by }) => [
      id,
      from,
      to,
      verbs.join(","),
      untilMs === undefined ? "" : `in ${formatDuration(Math.max(0, untilMs - nowMs))}`,
      formatAge(createdAtMs, nowMs),
      by,
    ]),
  );
}

export function formatExplained(verbs: readonly ExplainedEntry[], prefix: string): readonly string[] {
  return verbs.flatMap(({ verb, allowed, rule, message, config, command }) => [
    `${verb}: ${allowed ? "allowed" : "refused"} by ${rule}`,
    ...(allowed ? [] : [`  ${message}`, `  in the config: ${config ?? ""}`]),
    ...(command === undefined ? [] : [`  ${allowed ? "to end it" : "until it is revoked"}: ${prefix} ${command}`]),
  ]);
}
