/**
 * The idempotency window, inside the journal's environment: which (scope, key) was seen, and what became of it.
 *
 * Its times (`ranMs`) are no time of day. They count the milliseconds that a gateway ran over this journal, so that a stop, however
 * long, takes nothing out of the window, and a clock that is set neither: a platform offers again after the stop what was stored
 * before it and not confirmed. A start goes on from the latest time on the disk, the mark or the newest write. A kill loses what
 * ran since, less than the time between two marks: keys stay that much longer, never shorter.
 *
 * Layout, since format 3 of the journal (`S` and `K` are `keyText` of scope and key; `seq` is the journal's number of the first
 * envelope that a write remembers; positions count the keys of a scope and never repeat while one of them is remembered):
 *   ["d", S, K]   → [position, ranMs, envelopeId, runId]  the row that a repeated key finds
 *   ["o", S, seq] → [position of the first, K…]           what one write added to the scope, to drop the oldest beyond the bound
 *   ["t", seq]    → [ranMs, S…]                           what one write added anywhere, to drop what is too old
 *   ["ran"]       → ranMs                                 the mark; since format 9, before which times were those of the day
 * One row a key, and two a write and scope: envelopes that are appended together share them. All change in the transaction
 * that appends the envelopes, so a crash leaves none of them alone. A key that is seen again after its window has a new
 * position; its old place in an "o" row means nothing then, because the positions differ.
 */
import { type Entry, type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { WindowKey } from "./port.ts";

export interface DedupeBounds {
  readonly dedupeWindowMs: number;
  readonly dedupeKeysPerScopeMax: number;
}

type SeenRow = readonly [position: number, ranMs: number, envelopeId: string, runId: string];
type OrderRow = readonly [first: number, ...keys: string[]];
type AgeRow = readonly [ranMs: number, ...scopes: string[]];

/** Positions of a scope: of its oldest key that may still be remembered, and of the next. */
interface Positions {
  first: number;
  next: number;
  /** The last write whose row was there when this was read: of later ones it is known which keys were dropped. */
  readonly foundSeq: number;
}

/** Rows that one append removes because of their age: more than it adds, so that the window shrinks under steady traffic. */
const expiredPerAppend = 4;

/** Scopes whose positions are kept in memory; with more, all are read again. */
const scopesKnownMax = 10_000;

/** By which part of its bound a scope may exceed it: the oldest keys go many at a time, which is one range and not one for each write. */
const surplusParts = 16;

export class DedupeWindow {
  readonly #environment: Environment;
  readonly #bounds: DedupeBounds;
  readonly #elapsedMs: () => number;
  /** Of `ranMs` when `elapsedMs` is 0. */
  readonly #beganMs: number;
  readonly #positions = new Map<string, Positions>();
  /** Until then nothing is too old. */
  #freshUntilMs = 0;
  /** The latest time on the disk, and the newest write's: with the first behind the second's window, all is known to be too old. */
  #markedMs: number;
  #newestMs: number;

  /** `elapsedMs` is a clock that nobody sets; only differences count. */
  constructor(environment: Environment, bounds: DedupeBounds, elapsedMs: () => number) {
    this.#environment = environment;
    this.#bounds = bounds;
    this.#elapsedMs = elapsedMs;
    this.#newestMs = newestWrite(environment)?.value[0] ?? Number.NEGATIVE_INFINITY;
    this.#markedMs = Math.max(environment.get<number>(["ran"]) ?? 0, this.#newestMs);
    this.#beganMs = this.#markedMs - elapsedMs();
  }

  /** What the key was remembered for; undefined when it is not, or too old. */
  find(key: WindowKey): Seen | undefined {
    return this.#find(key, this.#ranMs());
  }

  #find({ scope, key }: WindowKey, ranMs: number): Seen | undefined {
    const seen = this.#environment.get<SeenRow>(["d", keyText(scope), keyText(key)]);
    if (seen === undefined || ranMs - seen[1] >= this.#bounds.dedupeWindowMs) return undefined;
    return { envelopeId: seen[2], runId: seen[3] };
  }

  /** One transaction's view. Inside it: any number of `find` and `remember`, then `end`. */
  begin(): DedupeWrite {
    const ranMs = this.#ranMs();
    const added = new Map<string, [number, ...string[]]>();
    let firstSeq: number | undefined;
    let count = 0;
    return {
      find: (key) => this.#find(key, ranMs),
      remember: (dedupe, seq, { envelopeId, runId }) => {
        const scope = keyText(dedupe.scope);
        const key = keyText(dedupe.key);
        const position = this.#positionsOf(scope).next++;
        this.#environment.put(["d", scope, key], [position, ranMs, envelopeId, runId] satisfies SeenRow);
        const row = added.get(scope);
        if (row === undefined) added.set(scope, [position, key]);
        else row.push(key);
        firstSeq ??= seq;
        count += 1;
      },
      end: () => {
        if (firstSeq === undefined) return;
        for (const [scope, row] of added) this.#environment.put(["o", scope, firstSeq], row satisfies OrderRow);
        this.#environment.put(["t", firstSeq], [ranMs, ...added.keys()] satisfies AgeRow);
        this.#newestMs = ranMs;
        for (const scope of added.keys()) this.#dropSurplus(scope, ranMs);
        this.#dropExpired(ranMs, count * expiredPerAppend);
      },
    };
  }

  /** Whether a start from what is on the disk may take a key for younger than it is. */
  needsMark(): boolean {
    return this.#markedMs - this.#newestMs < this.#bounds.dedupeWindowMs;
  }

  /** Inside a write; `marked` with its result once that is on the disk. */
  mark(): number {
    const ranMs = this.#ranMs();
    this.#environment.put(["ran"], ranMs);
    return ranMs;
  }

  marked(ranMs: number): void {
    this.#markedMs = ranMs;
  }

  /** After a write that failed: what it has counted was not written. */
  reset(): void {
    this.#positions.clear();
    this.#freshUntilMs = 0;
  }

  #ranMs(): number {
    return Math.floor(this.#beganMs + this.#elapsedMs());
  }

  #positionsOf(scope: string): Positions {
    const known = this.#positions.get(scope);
    if (known !== undefined) return known;
    const range = { start: ["o", scope, 0], end: ["o", scope, top], limit: 1 };
    const [oldest] = this.#environment.entries<OrderRow>(range);
    const [newest] = this.#environment.entries<OrderRow>({ ...range, reverse: true });
    const positions = {
      first: oldest?.value[0] ?? 0,
      next: newest === undefined ? 0 : endOf(newest.value),
      foundSeq: (newest?.key[2] as number | undefined) ?? 0,
    };
    if (this.#positions.size >= scopesKnownMax) this.#positions.clear();
    this.#positions.set(scope, positions);
    return positions;
  }

  /** The oldest keys of the scope beyond its bound, once they are more than may exceed it. */
  #dropSurplus(scope: string, nowMs: number): void {
    const { dedupeKeysPerScopeMax, dedupeWindowMs } = this.#bounds;
    const positions = this.#positionsOf(scope);
    const keptFrom = positions.next - dedupeKeysPerScopeMax;
    if (keptFrom - positions.first <= Math.floor(dedupeKeysPerScopeMax / surplusParts)) return;
    const rows: Entry<OrderRow>[] = [];
    for (const row of this.#environment.entries<OrderRow>({ start: ["o", scope, 0], end: ["o", scope, top] })) {
      if (row.value[0] >= keptFrom) break;
      rows.push(row);
    }
    for (const { key, value } of rows) {
      const seq = key[2] as number;
      const age = this.#environment.get<AgeRow>(["t", seq]) ?? [Number.NEGATIVE_INFINITY];
      // A key comes again when its window is over, not before.
      const isFirst = seq > positions.foundSeq && nowMs - age[0] < dedupeWindowMs;
      this.#forget(scope, value, { from: positions.first, to: keptFrom, isFirst });
      if (endOf(value) > keptFrom) break;
      this.#environment.remove(["o", scope, seq]);
      this.#removeFromAge(seq, age, scope);
    }
    positions.first = keptFrom;
  }

  /** Whole writes, the oldest first, until about so many keys are gone. */
  #dropExpired(nowMs: number, keysMax: number): void {
    let budget = keysMax;
    while (budget > 0 && nowMs >= this.#freshUntilMs) {
      const [oldest] = this.#environment.entries<AgeRow>({ start: ["t", 0], end: ["t", top], limit: 1 });
      const [ranMs, ...scopes] = oldest?.value ?? [nowMs];
      if (oldest === undefined || nowMs - ranMs < this.#bounds.dedupeWindowMs) {
        this.#freshUntilMs = ranMs + this.#bounds.dedupeWindowMs;
        return;
      }
      const seq = oldest.key[1] as number;
      for (const scope of scopes) {
        const row = this.#environment.get<OrderRow>(["o", scope, seq]);
        if (row === undefined) continue;
        this.#forget(scope, row, { from: 0, to: Number.POSITIVE_INFINITY, isFirst: false });
        this.#environment.remove(["o", scope, seq]);
        const positions = this.#positions.get(scope);
        if (positions !== undefined) positions.first = Math.max(positions.first, endOf(row));
        budget -= row.length - 1;
      }
      this.#environment.remove(["t", seq]);
      budget -= 1;
    }
  }

  /** The keys of one row with positions from `from` to below `to`. `isFirst`: none of them came again, so that their rows need not be read. */
  #forget(
    scope: string,
    [first, ...keys]: OrderRow,
    { from, to, isFirst }: { readonly from: number; readonly to: number; readonly isFirst: boolean },
  ): void {
    for (const [at, key] of keys.entries()) {
      const position = first + at;
      if (position < from || position >= to) continue;
      const row = ["d", scope, key];
      if (isFirst || this.#environment.get<SeenRow>(row)?.[0] === position) this.#environment.remove(row);
    }
  }

  #removeFromAge(seq: number, [ranMs, ...scopes]: AgeRow, scope: string): void {
    const others = scopes.filter((other) => other !== scope);
    if (others.length > 0) this.#environment.put(["t", seq], [ranMs, ...others] satisfies AgeRow);
    else this.#environment.remove(["t", seq]);
  }
}

export interface Seen {
  readonly envelopeId: string;
  readonly runId: string;
}

export interface DedupeWrite {
  /** The first envelope with this key if it is still within the window; also one of this transaction. */
  find(dedupe: WindowKey): Seen | undefined;
  remember(dedupe: WindowKey, seq: number, seen: Seen): void;
  /** Writes what orders the keys, and prunes: what is too old anywhere, and the oldest of these scopes beyond their bound. */
  end(): void;
}

/** The greatest envelope number that the window knows, 0 if none. */
export function lastSeq(environment: Environment): number {
  return (newestWrite(environment)?.key[1] as number | undefined) ?? 0;
}

function newestWrite(environment: Environment): Entry<AgeRow> | undefined {
  const [newest] = environment.entries<AgeRow>({ start: ["t", 0], end: ["t", top], reverse: true, limit: 1 });
  return newest;
}

/** Format 2 of the journal had four rows for each key, one of them a count for each scope. Each key becomes a write of its own. */
export function groupWindow(environment: Environment): void {
  const next = new Map<string, number>();
  for (let at = 0; ; ) {
    const [oldest] = environment.entries<[string, string, number]>({ start: ["t", at], end: ["t", top], limit: 1 });
    if (oldest === undefined) break;
    const seq = oldest.key[1] as number;
    const [scope, key, atMs] = oldest.value;
    const seen = environment.get<{ readonly envelopeId: string; readonly runId: string }>(["d", scope, key]);
    const position = next.get(scope) ?? 0;
    next.set(scope, position + 1);
    environment.put(["o", scope, seq], [position, key] satisfies OrderRow);
    environment.put(["t", seq], [atMs, scope] satisfies AgeRow);
    if (seen !== undefined)
      environment.put(["d", scope, key], [position, atMs, seen.envelopeId, seen.runId] satisfies SeenRow);
    at = seq + 1;
  }
  for (const scope of next.keys()) environment.remove(["c", scope]);
}

/**
 * Format 8 of the journal had times of day. A start goes on from the newest write's, so that they may stay, but those of a clock
 * that ran ahead and was set back: nothing behind them would ever be too old.
 */
export function countRunningTime(environment: Environment): void {
  const newestMs = newestWrite(environment)?.value[0];
  if (newestMs === undefined) return;
  const writes = Array.from(environment.entries<AgeRow>({ start: ["t", 0], end: ["t", top] }));
  for (const { key, value } of writes) {
    const [atMs, ...scopes] = value;
    if (atMs <= newestMs) continue;
    const seq = key[1] as number;
    environment.put(["t", seq], [newestMs, ...scopes] satisfies AgeRow);
    for (const scope of scopes) {
      const [first, ...keys] = environment.get<OrderRow>(["o", scope, seq]) ?? [0];
      for (const [at, each] of keys.entries()) {
        const seen = environment.get<SeenRow>(["d", scope, each]);
        if (seen?.[0] !== first + at) continue;
        environment.put(["d", scope, each], [seen[0], newestMs, seen[2], seen[3]] satisfies SeenRow);
      }
    }
  }
}

const endOf = (row: OrderRow): number => row[0] + row.length - 1;
