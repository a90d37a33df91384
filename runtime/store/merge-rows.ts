import type { Key, Range } from "./environment.ts";
import { compareKeys } from "./key-order.ts";

/** A row that lies over one of an environment, or in its place: JSON, or undefined where it is removed. */
export interface LaidRow {
  readonly key: Key;
  readonly json: string | undefined;
}

/** What the rows of an environment are read as. */
export interface RowReader<T> {
  readonly keyOf: (found: T) => Key;
  readonly read: (key: Key, json: string) => T;
}

/** A range of an environment with the rows that lie over it, newest layer first. `base` is in the order of the range and without its limit. Lazy. */
export function* mergeRows<T>(
  layers: readonly Iterable<LaidRow>[],
  base: Iterable<T>,
  { reverse = false, limit = Number.POSITIVE_INFINITY }: Range,
  { keyOf, read }: RowReader<T>,
): Iterable<T> {
  const above = layers.map((layer) => layer[Symbol.iterator]());
  const below = base[Symbol.iterator]();
  try {
    const rows = above.map((each) => next(each));
    let found = next(below);
    for (let given = 0; given < limit; ) {
      let first = found === undefined ? undefined : keyOf(found);
      for (const row of rows) if (row !== undefined && comesFirst(row.key, first, reverse)) first = row.key;
      if (first === undefined) return;
      let newest: LaidRow | undefined;
      for (const [at, row] of rows.entries()) {
        if (row === undefined || compareKeys(row.key, first) !== 0) continue;
        newest ??= row;
        rows[at] = next(above[at] as Iterator<LaidRow>);
      }
      const under = found;
      if (under !== undefined && compareKeys(keyOf(under), first) === 0) found = next(below);
      if (newest !== undefined && newest.json === undefined) continue;
      given += 1;
      yield newest?.json === undefined ? (under as T) : read(newest.key, newest.json);
    }
  } finally {
    below.return?.();
  }
}

function next<T>(iterator: Iterator<T>): T | undefined {
  const { done, value } = iterator.next();
  return done === true ? undefined : value;
}

function comesFirst(key: Key, other: Key | undefined, reverse: boolean): boolean {
  if (other === undefined) return true;
  const order = compareKeys(key, other);
  return reverse ? order > 0 : order < 0;
}
