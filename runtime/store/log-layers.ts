/** Reads an environment through generations of a log that lie over it, the newest first. */
import type { Entry, Environment, Key, Range } from "./environment.ts";
import { LogGeneration } from "./log-generation.ts";
import type { FoundRecords } from "./log-records.ts";
import { mergeRows, type RowReader } from "./merge-rows.ts";

type Readable = Pick<Environment, "get" | "keys">;

export interface Layers<Base extends Readable = Readable> {
  readonly base: Base;
  readonly generations: readonly LogGeneration[];
  /** Whether what is not on the disk yet is read too. */
  readonly withOpen: boolean;
}

const entryReader: RowReader<Entry<unknown>> = {
  keyOf: ({ key }) => key,
  read: (key, json) => ({ key, value: JSON.parse(json) }),
};

const keyReader: RowReader<Key> = { keyOf: (key) => key, read: (key) => key };

export function getThrough<T>({ base, generations, withOpen }: Layers, key: Key): T | undefined {
  for (const generation of generations) {
    const text = generation.find(key, withOpen);
    if (text !== null) return text === undefined ? undefined : (JSON.parse(text) as T);
  }
  return base.get(key);
}

export function entriesThrough<T>(
  layers: Layers<Readable & Pick<Environment, "entries">>,
  range: Range,
): Iterable<Entry<T>> {
  return mergeRows(rowsOver(layers, range), layers.base.entries(withoutLimit(range)), range, entryReader) as Iterable<
    Entry<T>
  >;
}

export function keysThrough(layers: Layers, range: Range): Iterable<Key> {
  return mergeRows(rowsOver(layers, range), layers.base.keys(withoutLimit(range)), range, keyReader);
}

/** What was read of a log, as one generation. */
export function layFound(found: readonly FoundRecords[]): LogGeneration {
  const all = new LogGeneration(0);
  for (const { records } of found)
    for (const rows of records) for (const { key, json } of rows) all.put(key, json?.toString("utf8"));
  all.written();
  return all;
}

function rowsOver({ generations, withOpen }: Layers, range: Range): ReturnType<LogGeneration["range"]>[] {
  return generations.map((generation) => generation.range(range, withOpen));
}

function withoutLimit({ start, end, reverse = false }: Range): Range {
  return { start, end, reverse };
}
