/**
 * The rows of one generation of the log, in the bytes that its file has, and found by their keys. What orders them is made when a range is
 * asked for, and kept.
 *
 * Rows are put into the record that is open. `close` gives it for the disk; `written` or `drop` says what became of it.
 */
import type { Key, Range, WrittenRow } from "./environment.ts";
import { KeyNumbers } from "./key-numbers.ts";
import { compareKeys, findPlace } from "./key-order.ts";
import { headBytes, rowBytesMax, valueAt, writeHead, writeRow } from "./log-records.ts";
import type { LaidRow } from "./merge-rows.ts";

/** Of a row of which nothing is said. */
const nowhere = -1;

/** Room for what a generation has as a rule, with the record that ends it. */
const firstBytes = 196_608;

/** A record on its way to the disk. */
export interface ClosedRecord {
  /** Where it stands in the file. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** How far the open record was. */
export interface Mark {
  readonly end: number;
  readonly puts: number;
}

interface Shelf {
  /** In the order of the keys. Never changed: a range that is being read keeps its own. */
  sorted: readonly ShelvedRow[];
  /** Rows of the generation that were looked through for it. */
  looked: number;
}

interface ShelvedRow {
  readonly key: Key;
  readonly row: number;
}

export class LogGeneration {
  readonly number: number;
  readonly #recordsBefore: number;
  #bytes = Buffer.allocUnsafeSlow(firstBytes);
  #records = 0;
  #isEndUnsure = false;
  /** Of the records that are on the disk; behind them stand the rows of the open one. */
  #flushedEnd = 0;
  #end = headBytes;
  /** The rows that were put into it, in order, and the places that they had before. */
  #puts: { readonly row: number; readonly before: number }[] = [];
  /** The numbers of rows; and of each row its key, its last place, and the last one that is on the disk. */
  readonly #rows = new KeyNumbers();
  readonly #keys: Key[] = [];
  readonly #places: number[] = [];
  readonly #flushedPlaces: number[] = [];
  /** By the first part of the key, since a range is within one as a rule; those that were asked for. */
  readonly #shelves = new Map<string | number, Shelf>();

  /** `recordsBefore`: of the generation before; a start needs not know, which has moved them. */
  constructor(number: number, recordsBefore = 0) {
    this.number = number;
    this.#recordsBefore = recordsBefore;
  }

  /** Records that are on the disk. */
  get records(): number {
    return this.#records;
  }

  /** Bytes that are on the disk. */
  get length(): number {
    return this.#flushedEnd;
  }

  /** Behind what is on the disk may stand a record that was refused, because no other was written in its place. */
  get isEndUnsure(): boolean {
    return this.#isEndUnsure;
  }

  /** Nothing was put into the open record. */
  get isEmpty(): boolean {
    return this.#puts.length === 0;
  }

  put(key: Key, json: string | undefined): void {
    const keyJson = JSON.stringify(key);
    const place = this.#end;
    this.#makeRoom(place + rowBytesMax(keyJson, json));
    this.#end = writeRow(this.#bytes, place, keyJson, json);
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = this.#keys.push(key) - 1;
      this.#rows.set(key, row);
      this.#places.push(nowhere);
      this.#flushedPlaces.push(nowhere);
    }
    this.#puts.push({ row, before: this.#places[row] as number });
    this.#places[row] = place;
  }

  /** JSON of the value; undefined when the row is removed, null when nothing is said of it. `withOpen`: what is on the disk and what is not yet. */
  find(key: Key, withOpen: boolean): string | undefined | null {
    const row = this.#rows.get(key);
    return row === undefined ? null : this.#textOf(row, withOpen);
  }

  /** In the order of the range; its limit is not heeded. */
  *range({ start, end, reverse = false }: Range, withOpen: boolean): Iterable<LaidRow> {
    for (const { sorted } of this.#shelvesOf(start, end, reverse)) {
      const from = findPlace(sorted, start);
      const to = findPlace(sorted, end);
      for (let at = 0; at < to - from; at += 1) {
        const { key, row } = sorted[reverse ? to - 1 - at : from + at] as ShelvedRow;
        const json = this.#textOf(row, withOpen);
        if (json !== null) yield { key, json };
      }
    }
  }

  /** What of it is on the disk, values as they stand there. */
  *flushed(): Iterable<WrittenRow> {
    for (const [row, key] of this.#keys.entries()) {
      const place = this.#flushedPlaces[row] as number;
      if (place !== nowhere) yield { key, json: valueAt(this.#bytes, place) };
    }
  }

  mark(): Mark {
    return { end: this.#end, puts: this.#puts.length };
  }

  /** What was put since then was not. */
  undo({ end, puts }: Mark): void {
    for (const { row, before } of this.#puts.splice(puts).toReversed()) this.#places[row] = before;
    this.#end = end;
  }

  close(): ClosedRecord {
    const record = { at: this.#flushedEnd, bytes: this.#bytes.subarray(this.#flushedEnd, this.#end) };
    writeHead(record.bytes, { generation: this.number, number: this.#records, recordsBefore: this.#recordsBefore });
    return record;
  }

  written(): void {
    this.#records += 1;
    this.#isEndUnsure = false;
    this.#flushedEnd = this.#end;
    this.#end += headBytes;
    for (const { row } of this.#puts) this.#flushedPlaces[row] = this.#places[row] as number;
    this.#puts = [];
  }

  drop(): void {
    this.#isEndUnsure = true;
    this.undo({ end: this.#flushedEnd + headBytes, puts: 0 });
  }

  #textOf(row: number, withOpen: boolean): string | undefined | null {
    const place = (withOpen ? this.#places : this.#flushedPlaces)[row] as number;
    return place === nowhere ? null : valueAt(this.#bytes, place)?.toString("utf8");
  }

  #makeRoom(end: number): void {
    if (end <= this.#bytes.length) return;
    // The one before stays as it is, for a record that is on its way.
    const bytes = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2));
    this.#bytes.copy(bytes, 0, 0, this.#end);
    this.#bytes = bytes;
  }

  #shelvesOf(start: Key, end: Key, reverse: boolean): readonly Shelf[] {
    const [low = 0] = start;
    const [high = 0] = end;
    const shelves = (low === high ? [low] : this.#firstsWithin(low, high)).map((first) => this.#shelfOf(first));
    return reverse ? shelves.toReversed() : shelves;
  }

  /** In order. */
  #firstsWithin(low: string | number, high: string | number): readonly (string | number)[] {
    const firsts = new Set(this.#keys.map(([first = 0]) => first));
    return [...firsts]
      .filter((first) => compareKeys([first], [low]) >= 0 && compareKeys([first], [high]) <= 0)
      .toSorted((a, b) => compareKeys([a], [b]));
  }

  #shelfOf(first: string | number): Shelf {
    const shelf = this.#shelves.get(first) ?? { sorted: [], looked: 0 };
    this.#shelves.set(first, shelf);
    const added: ShelvedRow[] = [];
    for (; shelf.looked < this.#keys.length; shelf.looked += 1) {
      const key = this.#keys[shelf.looked] as Key;
      if (key[0] === first) added.push({ key, row: shelf.looked });
    }
    if (added.length > 0) shelf.sorted = merge(shelf.sorted, added);
    return shelf;
  }
}

function merge(sorted: readonly ShelvedRow[], added: readonly ShelvedRow[]): readonly ShelvedRow[] {
  const merged: ShelvedRow[] = [];
  let at = 0;
  for (const row of added.toSorted((a, b) => compareKeys(a.key, b.key))) {
    for (let old = sorted[at]; old !== undefined && compareKeys(old.key, row.key) < 0; old = sorted[++at])
      merged.push(old);
    merged.push(row);
  }
  return [...merged, ...sorted.slice(at)];
}
