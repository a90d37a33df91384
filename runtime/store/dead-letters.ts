/**
 * Dead letters: envelopes that will not be handled, with their fate, until an operator replays or purges them or newer ones
 * need the room.
 *
 * Layout in the journal's environment, since its format 2 (`n` counts from 1 and gives the order of arrival; `E` is `keyText` of
 * the envelope id, which is also the letter's id):
 *   ["x", n]    → DeadLetterRow: all but the body, so that a listing reads no bodies
 *   ["b", n]    → the body (`StoredText`)
 *   ["a", n]    → the answer that its channel did not take, a string; since format 6
 *   ["y", E]    → n
 *   ["k", fate] → how many there are of this fate; absent for none
 * Every function that writes runs inside a transaction of the environment, so that a crash leaves all of a letter or nothing.
 */
import { type Fate, fates } from "../kernel/envelope.ts";
import { charsOf, headOf, type StoredText } from "./blobs.ts";
import { putBody, removeBody } from "./body-rows.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type {
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetterPurge,
  DeadLetterQuery,
  DeadLetterRow,
} from "./port.ts";

/** A letter as the journal holds it. */
export interface StoredLetter extends DeadLetterRow {
  readonly body: StoredText;
  readonly answer?: string;
}

type NewLetter = Omit<StoredLetter, "bodyChars" | "answerChars" | "preview">;

/** Characters of the body that a listing shows. */
const previewCharsMax = 200;

const all = { start: ["x", 0], end: ["x", top] } as const;

/** Keeps at most `lettersMax`: the oldest make room. */
export function addLetter(environment: Environment, letter: NewLetter, lettersMax: number): void {
  const [newest] = environment.entries({ ...all, reverse: true, limit: 1 });
  put(environment, newest === undefined ? 1 : (newest.key[1] as number) + 1, letter);
  const surplus = countAll(letterCounts(environment)) - lettersMax;
  if (surplus <= 0) return;
  for (const { key, value } of Array.from(environment.entries<DeadLetterRow>({ ...all, limit: surplus })))
    remove(environment, key[1] as number, value);
}

export function findLetter(environment: Environment, id: string): StoredLetter | undefined {
  const n = environment.get<number>(["y", keyText(id)]);
  if (n === undefined) return undefined;
  const row = environment.get<DeadLetterRow>(["x", n]);
  if (row === undefined) return undefined;
  const answer = environment.get<string>(["a", n]);
  return {
    ...row,
    body: environment.get<StoredText>(["b", n]) ?? "",
    ...(answer === undefined ? {} : { answer }),
  };
}

/** Newest first. With a filter every row is looked at; `deadLettersMax` bounds them. Total and counts are of what the filter lets through. */
export function listLetters(environment: Environment, query: DeadLetterQuery): DeadLetterPage {
  const { limit, offset = 0 } = query;
  if (isEverything(query)) {
    const read =
      limit <= 0 ? [] : [...environment.entries<DeadLetterRow>({ ...all, reverse: true, limit: offset + limit })];
    const counts = letterCounts(environment);
    return { rows: read.slice(offset).map(({ value }) => value), total: countAll(counts), counts };
  }
  const rows: DeadLetterRow[] = [];
  const counts = Object.fromEntries(fates.map((fate) => [fate, 0])) as Record<Fate, number>;
  let total = 0;
  for (const { value } of environment.entries<DeadLetterRow>({ ...all, reverse: true })) {
    if (!matches(value, query)) continue;
    if (total >= offset && rows.length < limit) rows.push(value);
    total += 1;
    counts[value.fate] += 1;
  }
  return { rows, total, counts };
}

/** False when there is no such letter. */
export function removeLetter(environment: Environment, id: string): boolean {
  const n = environment.get<number>(["y", keyText(id)]);
  const row = n === undefined ? undefined : environment.get<DeadLetterRow>(["x", n]);
  if (n === undefined || row === undefined) return false;
  remove(environment, n, row);
  return true;
}

/** How many were removed. */
export function purgeLetters(environment: Environment, purge: DeadLetterPurge): number {
  if (purge.id !== undefined) return removeLetter(environment, purge.id) ? 1 : 0;
  const found = [...environment.entries<DeadLetterRow>(all)].filter(({ value }) => matches(value, purge));
  for (const { key, value } of found) remove(environment, key[1] as number, value);
  return found.length;
}

export function letterCounts(environment: Environment): DeadLetterCounts {
  const counts = fates.map((fate) => [fate, environment.get<number>(["k", fate]) ?? 0] as const);
  return Object.fromEntries(counts) as Record<Fate, number>;
}

/** Format 1 of the journal had the whole letter in one row, and no index: one letter at a time, so that bodies need no room. */
export function splitLetters(environment: Environment): void {
  let at = 0;
  for (;;) {
    const [next] = environment.entries<NewLetter>({
      start: ["x", at],
      end: ["x", top],
      limit: 1,
    });
    if (next === undefined) return;
    const n = next.key[1] as number;
    put(environment, n, next.value);
    at = n + 1;
  }
}

function put(environment: Environment, n: number, { body, answer, ...head }: NewLetter): void {
  const row: DeadLetterRow = {
    ...head,
    bodyChars: charsOf(body),
    ...(answer === undefined ? {} : { answerChars: answer.length }),
    preview: headOf(body).slice(0, previewCharsMax),
  };
  environment.put(["x", n], row);
  if (answer !== undefined) environment.put(["a", n], answer);
  putBody(environment, head.header.agentId, ["b", n], body);
  environment.put(["y", keyText(head.header.id)], n);
  count(environment, head.fate, 1);
}

function remove(environment: Environment, n: number, row: DeadLetterRow): void {
  environment.remove(["x", n]);
  removeBody(environment, row.header.agentId, ["b", n]);
  if (row.answerChars !== undefined) environment.remove(["a", n]);
  environment.remove(["y", keyText(row.header.id)]);
  count(environment, row.fate, -1);
}

function count(environment: Environment, fate: Fate, by: 1 | -1): void {
  const next = (environment.get<number>(["k", fate]) ?? 0) + by;
  if (next > 0) environment.put(["k", fate], next);
  else environment.remove(["k", fate]);
}

const countAll = (counts: DeadLetterCounts): number => Object.values(counts).reduce((sum, one) => sum + one, 0);

const isEverything = ({ agentId, fate, beforeMs }: DeadLetterFilter): boolean =>
  agentId === undefined && fate === undefined && beforeMs === undefined;

function matches({ header, fate, atMs }: DeadLetterRow, filter: DeadLetterFilter): boolean {
  return (
    (filter.agentId === undefined || header.agentId === filter.agentId) &&
    (filter.fate === undefined || fate === filter.fate) &&
    (filter.beforeMs === undefined || atMs < filter.beforeMs)
  );
}
