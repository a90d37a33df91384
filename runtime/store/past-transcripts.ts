/**
 * The transcripts that a reset or a deletion ended, in the order of their ends, and which rows name which file: what retention
 * needs to remove the oldest in short writes (`docs/adr/0027-retention.md`).
 *
 * Layout, since format 3 of an agent's environment (`K` is `keyText` of the session key):
 *   ["p", K, n]             → PastTranscript   the n-th that ended, from 1; `messages` shrinks while its rows are removed
 *   ["e", endedAtMs, K, n]  → 0                the same by the time of the end; ["e"] → their number
 *   ["z", hash, sessionId, seq] → 0            this row of a transcript names the file
 * Every function that writes runs inside a transaction.
 */
import type { StoredRow } from "./agent-store.ts";
import { type Environment, type Range, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { PastTranscript } from "./port.ts";
import type { ExpiredTranscripts, TranscriptRule } from "./retention-rows.ts";
import type { SessionHead } from "./session-index.ts";

export function putTranscriptRow(environment: Environment, sessionId: string, row: StoredRow): void {
  environment.put(["h", sessionId, row.seq], row);
  if (typeof row.text !== "string") environment.put(["z", row.text.blob, sessionId, row.seq], 0);
}

/** The file that the row named. */
export function removeTranscriptRow(environment: Environment, sessionId: string, seq: number): string | undefined {
  const row = environment.get<StoredRow>(["h", sessionId, seq]);
  environment.remove(["h", sessionId, seq]);
  if (row === undefined || typeof row.text === "string") return undefined;
  environment.remove(["z", row.text.blob, sessionId, seq]);
  return row.text.blob;
}

/** Whether a row of a transcript names the file. */
export function namesFile(environment: Environment, blob: string): boolean {
  return [...environment.entries({ start: ["z", blob], end: ["z", blob, top], limit: 1 })].length > 0;
}

export function pastOf(sessionKey: string): Pick<Range, "start" | "end"> {
  return { start: ["p", keyText(sessionKey), 0], end: ["p", keyText(sessionKey), top] };
}

export function endTranscript(environment: Environment, { key, sessionId, messages }: SessionHead, atMs: number): void {
  environment.remove(["t", sessionId]);
  if (messages === 0) return;
  const [last] = environment.entries({ ...pastOf(key), reverse: true, limit: 1 });
  const n = last === undefined ? 1 : (last.key[2] as number) + 1;
  environment.put(["p", keyText(key), n], { sessionId, messages, endedAtMs: atMs } satisfies PastTranscript);
  environment.put(["e", atMs, keyText(key), n], 0);
  environment.put(["e"], countOf(environment) + 1);
}

/** What `removeExpired` would remove, among the oldest `limit`. Writes nothing. */
export function countExpired(environment: Environment, rule: TranscriptRule, limit: number): ExpiredTranscripts {
  let left = countOf(environment);
  let transcripts = 0;
  let messages = 0;
  for (const { key } of oldest(environment, limit)) {
    if (!isExpired(key, left, rule)) return { transcripts, messages, files: [], more: false };
    transcripts += 1;
    left -= 1;
    messages += environment.get<PastTranscript>(["p", ...key.slice(2)])?.messages ?? 0;
  }
  return { transcripts, messages, files: [], more: transcripts === limit };
}

/** Removes the oldest ones that the rule does not keep, at most `rowsMax` rows of them; `files` are what those rows named. */
export function removeExpired(environment: Environment, rule: TranscriptRule, rowsMax: number): ExpiredTranscripts {
  const files = new Set<string>();
  let count = countOf(environment);
  let transcripts = 0;
  let messages = 0;
  let more = false;
  for (const { key } of oldest(environment, rowsMax + 1)) {
    if (!isExpired(key, count, rule)) break;
    if (messages >= rowsMax) {
      more = true;
      break;
    }
    const place = ["p", ...key.slice(2)];
    const past = environment.get<PastTranscript>(place);
    const kept = Math.max(0, (past?.messages ?? 0) - (rowsMax - messages));
    for (let seq = (past?.messages ?? 0) - 1; seq >= kept; seq--) {
      const file = removeTranscriptRow(environment, past?.sessionId ?? "", seq);
      if (file !== undefined) files.add(file);
      messages += 1;
    }
    if (past !== undefined && kept > 0) {
      environment.put(place, { ...past, messages: kept });
      more = true;
      break;
    }
    environment.remove(place);
    environment.remove(key);
    count -= 1;
    transcripts += 1;
  }
  environment.put(["e"], count);
  return { transcripts, messages, files: [...files], more };
}

/** From format 2, which had no order of ends, and of a file only that some row names it. */
export function indexPast(environment: Environment): void {
  const ended = Array.from(environment.entries<PastTranscript>({ start: ["p", 0], end: ["p", top] }));
  for (const { key, value } of ended) environment.put(["e", value.endedAtMs, ...key.slice(1)], 0);
  environment.put(["e"], ended.length);
  const named = Array.from(environment.entries({ start: ["z", 0], end: ["z", top] }), ({ key }) => key);
  if (named.length === 0) return;
  const naming: (string | number)[][] = [];
  for (const { key, value } of environment.entries<StoredRow>({ start: ["h", 0], end: ["h", top] }))
    if (typeof value.text !== "string") naming.push(["z", value.text.blob, ...key.slice(1)]);
  for (const key of named) environment.remove(key);
  for (const key of naming) environment.put(key, 0);
}

function oldest(environment: Environment, limit: number) {
  return Array.from(environment.entries({ start: ["e", 0], end: ["e", top], limit }));
}

function isExpired(key: readonly (string | number)[], count: number, { beforeMs, max }: TranscriptRule): boolean {
  return count > max || (key[1] as number) < beforeMs;
}

function countOf(environment: Environment): number {
  return environment.get<number>(["e"]) ?? 0;
}
