/** `cloister grants list` and `explain`. */
import type { ExplainedEntry, GrantEntry, RequestEntry } from "../gateway-rows.ts";
import { formatAge, formatCount, formatLeft, formatTable } from "./table.ts";

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
      untilMs === undefined ? "" : `in ${formatLeft(untilMs, nowMs)}`,
      formatAge(createdAtMs, nowMs),
      by,
    ]),
  );
}

/** Oldest first, as they come; each with its messages and what an approval would do. */
export function formatRequests(requests: readonly RequestEntry[], nowMs: number, prefix: string): readonly string[] {
  return requests.flatMap((request) => [
    ...describeRequest(request, nowMs),
    ...(request.releasing
      ? ["  approved; what is left waits for room in a mailbox"]
      : [`  ${prefix} grants approve ${request.id}`, `  ${prefix} grants deny ${request.id}`]),
  ]);
}

export function describeRequest(
  { id, from, to, verb, createdAtMs, expiresAtMs, calls, messages }: RequestEntry,
  nowMs: number,
): readonly string[] {
  const ends = formatLeft(expiresAtMs, nowMs);
  return [
    `${id}: ${from} asks to ${verb} to ${to} (${formatAge(createdAtMs, nowMs)}, ${formatCount(calls, "refused call")}, ends in ${ends})`,
    ...messages.map(
      ({ fromSession, toSession, bodyChars, preview }) =>
        `  kept: ${fromSession} → ${toSession}, ${bodyChars} characters: ${JSON.stringify(preview)}`,
    ),
  ];
}

export function formatExplained(verbs: readonly ExplainedEntry[], prefix: string): readonly string[] {
  return verbs.flatMap(({ verb, allowed, rule, message, config, command }) => [
    `${verb}: ${allowed ? "allowed" : "refused"} by ${rule}`,
    ...(allowed ? [] : [`  ${message}`, `  in the config: ${config ?? ""}`]),
    ...(command === undefined ? [] : [`  ${allowed ? "to end it" : "until it is revoked"}: ${prefix} ${command}`]),
  ]);
}
