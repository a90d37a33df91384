/**
 * The idempotency window, inside the journal's environment: which (scope, key) was seen, and what became of it.
 *
 * Layout, since format 3 of the journal (`S` and `K` are `keyText` of scope and key; `seq` is the journal's number of the first
 * envelope that a write remembers; positions count the keys of a scope and never repeat while one of them is remembered):
 *   ["d", S, K]   → [position, atMs, envelopeId, runId]   the row that a repeated key finds
 *   ["o", S, seq] → [position of the first, K…]           what one write added to the scope, to drop the oldest beyond the bound
 *   ["t", seq]    → [atMs, S…]                            what one write added anywhere, to drop what is too old
 * One row a key, and two a write and scope: envelopes that are appended together share them. All change in the transaction
 * that appends the envelopes, so a crash leaves none of them alone. A key that is seen again after its window has a new
 * position; its old place in an "o" row means nothing then, because the positions differ.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { WindowKey } from "./port.ts";

export interface DedupeBounds {
  readonly dedupeWindowMs: number;
  readonly dedupeKeysPerScopeMax: number;
}

type SeenRow = readonly [position: number, atMs: number, envelopeId: string, runId: string];
type OrderRow = readonly [first: number, ...keys: string[]];
type AgeRow = readonly [atMs: number, ...scopes: string[]];

/** Positions of a scope: of its oldest key that may still be remembered, and of the next. */
interface Positions {
  first: number;
  next: number;
}

/** Rows that one append removes because of their age: more than it adds, so that the window shrinks under steady traffic. */
const expiredPerAppend = 4;

/** Scopes whose positions are kept in memory; with more, all are read again. */
const scopesKnownMax = 10_000;

/** Rows read at a time where the oldest keys of a scope make room. */
const orderRowsPerRead = 2;

export class DedupeWindow {
  readonly #environment: Environment;
  readonly #bounds: DedupeBounds;
  readonly #positions = new Map<string, Positions>();
  /** Until then nothing is too old. */
  #freshUntilMs = 0;

  constructor(environment: Environment, bounds: DedupeBounds) {
    this.#environment = environment;
    this.#bounds = bounds;
  }

  /** What the key was remembered for; undefined when it is not, or too old. */
  find({ scope, key }: WindowKey, atMs: number): { readonly envelopeId: string; readonly runId: string } | undefined {
    const seen = this.#environment.get<SeenRow>(["d", keyText(scope), keyText(key)]);
    if (seen === undefined || atMs - seen[1] >= this.#bounds.dedupeWindowMs) return undefined;
    return { envelopeId: seen[2], runId: seen[3] };
  }

  /** One transaction's view. Inside it: any number of `find` and `remember`, then `end`. */
  begin(atMs: number): DedupeWrite {
    const added = new Map<string, [number, ...string[]]>();
    let firstSeq: number | undefined;
    let count = 0;
    return {
      find: (key) => this.find(key, atMs),
      remember: (dedupe, seq, { envelopeId, runId }) => {
        const scope = keyText(dedupe.scope);
        const key = keyText(dedupe.key);
        const position = this.#positionsOf(scope).next++;
        this.#environment.put(["d", scope, key], [position, atMs, envelopeId, runId] satisfies SeenRow);
        const row = added.get(scope);
        if (row === undefined) added.set(scope, [position, key]);
        else row.push(key);
        firstSeq ??= seq;
        count += 1;
      },
      end: () => {
        if (firstSeq === undefined) return;
        for (const [scope, row] of added) this.#environment.put(["o", scope, firstSeq], row satisfies OrderRow);
        this.#environment.put(["t", firstSeq], [atMs, ...added.keys()] satisfies AgeRow);
        for (const scope of added.keys()) this.#dropSurplus(scope);
        this.#dropExpired(atMs, count * expiredPerAppend);
      },
    };
  }

  /** After a write that failed: what it has counted was not written. */
  reset(): void {
    this.#positions.clear();
    this.#freshUntilMs = 0;
  }

  #positionsOf(scope: string): Positions {
    const known = this.#positions.get(scope);
    if (known !== undefined) return known;
    const range = { start: ["o", scope, 0], end: ["o", scope, top], limit: 1 };
    const [oldest] = this.#environment.entries<OrderRow>(range);
    const [newest] = this.#environment.entries<OrderRow>({ ...range, reverse: true });
    const positions = { first: oldest?.value[0] ?? 0, next: newest === undefined ? 0 : endOf(newest.value) };
    if (this.#positions.size >= scopesKnownMax) this.#positions.clear();
    this.#positions.set(scope, positions);
    return positions;
  }

  /** The oldest keys of the scope beyond its bound. */
  #dropSurplus(scope: string): void {
    const positions = this.#positionsOf(scope);
    const keptFrom = positions.next - this.#bounds.dedupeKeysPerScopeMax;
    while (positions.first < keptFrom) {
      const range = { start: ["o", scope, 0], end: ["o", scope, top], limit: orderRowsPerRead };
      const rows = [...this.#environment.entries<OrderRow>(range)];
      for (const { key, value } of rows) {
        if (value[0] >= keptFrom) break;
        this.#forget(scope, value, positions.first, keptFrom);
        if (endOf(value) > keptFrom) break;
        this.#environment.remove(["o", scope, key[2] as number]);
        this.#removeFromAge(key[2] as number, scope);
      }
      const last = rows.at(-1)?.value;
      positions.first = last === undefined ? keptFrom : Math.min(endOf(last), keptFrom);
    }
  }

  /** Whole writes, the oldest first, until about so many keys are gone. */
  #dropExpired(nowMs: number, keysMax: number): void {
    let budget = keysMax;
    while (budget > 0 && nowMs >= this.#freshUntilMs) {
      const [oldest] = this.#environment.entries<AgeRow>({ start: ["t", 0], end: ["t", top], limit: 1 });
      const [atMs, ...scopes] = oldest?.value ?? [nowMs];
      if (oldest === undefined || nowMs - atMs < this.#bounds.dedupeWindowMs) {
        this.#freshUntilMs = atMs + this.#bounds.dedupeWindowMs;
        return;
      }
      const seq = oldest.key[1] as number;
      for (const scope of scopes) {
        const row = this.#environment.get<OrderRow>(["o", scope, seq]);
        if (row === undefined) continue;
        this.#forget(scope, row, 0, Number.POSITIVE_INFINITY);
        this.#environment.remove(["o", scope, seq]);
        const positions = this.#positions.get(scope);
        if (positions !== undefined) positions.first = Math.max(positions.first, endOf(row));
        budget -= row.length - 1;
      }
      this.#environment.remove(["t", seq]);
      budget -= 1;
    }
  }

  /** The keys of one row with positions from `from` to below `to`. */
  #forget(scope: string, [first, ...keys]: OrderRow, from: number, to: number): void {
    for (const [at, key] of keys.entries()) {
      const position = first + at;
      if (position < from || position >= to) continue;
      const seen = this.#environment.get<SeenRow>(["d", scope, key]);
      if (seen?.[0] === position) this.#environment.remove(["d", scope, key]);
    }
  }

  #removeFromAge(seq: number, scope: string): void {
    const [atMs, ...scopes] = this.#environment.get<AgeRow>(["t", seq]) ?? [0];
    const others = scopes.filter((other) => other !== scope);
    if (others.length > 0) this.#environment.put(["t", seq], [atMs, ...others] satisfies AgeRow);
    else this.#environment.remove(["t", seq]);
  }
}

export interface DedupeWrite {
  /** The first envelope with this key if it is still within the window; also one of this transaction. */
  find(dedupe: WindowKey): { readonly envelopeId: string; readonly runId: string } | undefined;
  remember(dedupe: WindowKey, seq: number, seen: { readonly envelopeId: string; readonly runId: string }): void;
  /** Writes what orders the keys, and prunes: what is too old anywhere, and the oldest of these scopes beyond their bound. */
  end(): void;
}

/** The greatest envelope number that the window knows, 0 if none. */
export function lastSeq(environment: Environment): number {
  const [last] = environment.entries({ start: ["t", 0], end: ["t", top], reverse: true, limit: 1 });
  return last === undefined ? 0 : (last.key[1] as number);
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

const endOf = (row: OrderRow): number => row[0] + row.length - 1;
