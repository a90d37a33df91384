/**
 * What models took and turns did, by day and session: rows in the registry beside the session index, so that a sum opens no agent's environment and
 * stays when a session begins anew or is deleted.
 *
 *   ["spent", day, sessionId, 0]  → UsageRow   `day` counts from 1970-01-01, in UTC; the last part leaves a place before each row
 *
 * A row is written with its session's row in the index, as the sum that the session's head has of that day, and not as something to
 * add: what is brought up to date twice after a crash counts once.
 */
import { limits } from "../kernel/limits.ts";
import { addTokens, noTokens } from "../kernel/usage.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import { addWork, type DaySpent, dayOf, type Spent, type UsageQuery, type UsageRow } from "./usage-rows.ts";

export function addToDay(last: DaySpent | undefined, { tokens, work }: Partial<Spent>, atMs: number): DaySpent {
  // A clock that is set back begins no day again whose row is written.
  const day = Math.max(dayOf(atMs), last?.day ?? 0);
  const before = last?.day === day ? last : undefined;
  const sum = work === undefined ? before?.work : addWork(before?.work, work);
  return {
    day,
    tokens: tokens === undefined ? (before?.tokens ?? noTokens) : addTokens(before?.tokens, tokens),
    ...(sum === undefined ? {} : { work: sum }),
  };
}

/** Inside a transaction. Removes as well what is too old, two rows for one that is written, so that none of it stays. */
export function putUsage(environment: Environment, { day, ...row }: UsageRow): void {
  const end = ["spent", day - limits.usageDaysKept + 1];
  const old = Array.from(environment.entries({ start: ["spent", 0], end, limit: 2 }), ({ key }) => key);
  for (const key of old) environment.remove(key);
  environment.put(["spent", day, keyText(row.sessionId), 0], { day, ...row } satisfies UsageRow);
}

/** The newest day first. */
export function readUsage(environment: Environment, { fromDay, toDay, before, limit }: UsageQuery): UsageRow[] {
  const end = before === undefined ? ["spent", toDay, top] : ["spent", before.day, keyText(before.sessionId)];
  const rows = environment.entries<UsageRow>({ start: ["spent", fromDay], end, reverse: true, limit });
  return Array.from(rows, ({ value }) => value);
}
