/**
 * Notices of new sessions, in their agent's environment: each is written in the transaction that makes its session, and goes in the one that
 * commits a turn which was told of it, so that none is lost or told twice.
 *
 * Layout: `["n", keyText(session that is told), number]` → SessionNotice, number from 1; at 0 the number of the last one that there was. No number
 * comes twice, so that the commit of a turn which was told of some takes none that came after them, whatever became of its session meanwhile.
 */
import { limits } from "../kernel/limits.ts";
import type { SessionNotice } from "../kernel/session-notices.ts";
import { type Environment, type Range, top } from "./environment.ts";
import { keyText } from "./key-text.ts";

export type NewNotice = Omit<SessionNotice, "number" | "earlier">;

/** Inside a transaction. Beyond the bound the oldest goes, and is counted with the next one. */
export function putNotice(environment: Environment, to: string, notice: NewNotice): void {
  const before = readNotices(environment, to);
  const last = ["n", keyText(to), 0];
  const number = Math.max(before.at(-1)?.number ?? 0, environment.get<number>(last) ?? 0) + 1;
  environment.put(last, number);
  environment.put(["n", keyText(to), number], { ...notice, number } satisfies SessionNotice);
  const [oldest, second] = before;
  if (oldest === undefined || second === undefined || before.length < limits.sessionNoticesMax) return;
  environment.remove(["n", keyText(to), oldest.number]);
  environment.put(["n", keyText(to), second.number], { ...second, earlier: (oldest.earlier ?? 0) + 1 });
}

/** Oldest first. */
export function readNotices(environment: Environment, sessionKey: string): readonly SessionNotice[] {
  return Array.from(environment.entries<SessionNotice>(noticesOf(sessionKey)), ({ value }) => value);
}

/** Inside a transaction: those up to this number. */
export function removeNotices(environment: Environment, sessionKey: string, upto: number): void {
  for (const { key } of Array.from(
    environment.entries({ ...noticesOf(sessionKey), end: ["n", keyText(sessionKey), upto + 1] }),
  ))
    environment.remove(key);
}

/** Inside a transaction. */
export function dropNotices(environment: Environment, sessionKey: string): void {
  for (const { key } of Array.from(environment.entries(noticesOf(sessionKey)))) environment.remove(key);
}

function noticesOf(sessionKey: string): Range {
  return { start: ["n", keyText(sessionKey), 1], end: ["n", keyText(sessionKey), top] };
}
