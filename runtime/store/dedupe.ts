/**
 * The idempotency window, inside the journal's environment: which (scope, key) was seen, and what became of it.
 *
 * Layout, format 1 (`S` and `K` are `keyText` of scope and key; `seq` is the journal's number of the envelope):
 *   ["d", S, K]   → { seq, atMs, envelopeId, runId }   the row that a repeated key finds
 *   ["o", S, seq] → K                                  order within a scope, to drop the oldest beyond the bound
 *   ["t", seq]    → [S, K, atMs]                       order over all scopes, to drop what is too old
 *   ["c", S]      → number of keys in the scope
 * The four change in the transaction that appends the envelope, so a crash leaves none of them alone.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { Dedupe } from "./port.ts";

export interface Seen {
  readonly seq: number;
  readonly atMs: number;
  readonly envelopeId: string;
  readonly runId: string;
}

export interface DedupeBounds {
  readonly dedupeWindowMs: number;
  readonly dedupeKeysPerScopeMax: number;
}

/** Rows that one append removes because of their age: more than it adds, so that the window shrinks under steady traffic. */
const expiredPerAppend = 4;

/** The first envelope with this key if it is still within the window. Inside a transaction. */
export function findSeen(
  environment: Environment,
  dedupe: Dedupe,
  nowMs: number,
  bounds: DedupeBounds,
): Seen | undefined {
  const seen = environment.get<Seen>(["d", keyText(dedupe.scope), keyText(dedupe.key)]);
  return seen !== undefined && nowMs - seen.atMs < bounds.dedupeWindowMs ? seen : undefined;
}

/** Remembers the key and prunes: what is too old anywhere, and the oldest of this scope beyond its bound. Inside a transaction. */
export function remember(environment: Environment, dedupe: Dedupe, seen: Seen, bounds: DedupeBounds): void {
  const scope = keyText(dedupe.scope);
  const key = keyText(dedupe.key);
  const expired = environment.get<Seen>(["d", scope, key]);
  if (expired !== undefined) forget(environment, scope, key, expired.seq);
  environment.put(["d", scope, key], seen);
  environment.put(["o", scope, seen.seq], key);
  environment.put(["t", seen.seq], [scope, key, seen.atMs]);
  const count = (environment.get<number>(["c", scope]) ?? 0) + 1;
  environment.put(["c", scope], count);

  const over = count - bounds.dedupeKeysPerScopeMax;
  if (over > 0) {
    const dropped = Array.from(
      environment.entries<string>({ start: ["o", scope, 0], end: ["o", scope, top], limit: over }),
    );
    for (const { key: at, value } of dropped) {
      forget(environment, scope, value, at[2] as number);
    }
  }
  const oldest = [
    ...environment.entries<[string, string, number]>({ start: ["t", 0], end: ["t", top], limit: expiredPerAppend }),
  ];
  for (const { key: at, value } of oldest) {
    const [oldScope, oldKey, atMs] = value;
    if (seen.atMs - atMs < bounds.dedupeWindowMs) break;
    forget(environment, oldScope, oldKey, at[1] as number);
  }
}

/** The greatest envelope number that the window knows, 0 if none. */
export function lastSeq(environment: Environment): number {
  const [last] = environment.entries({ start: ["t", 0], end: ["t", top], reverse: true, limit: 1 });
  return last === undefined ? 0 : (last.key[1] as number);
}

function forget(environment: Environment, scope: string, key: string, seq: number): void {
  environment.remove(["d", scope, key]);
  environment.remove(["o", scope, seq]);
  environment.remove(["t", seq]);
  const count = (environment.get<number>(["c", scope]) ?? 1) - 1;
  if (count > 0) environment.put(["c", scope], count);
  else environment.remove(["c", scope]);
}
