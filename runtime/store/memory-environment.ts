/** An environment in memory, for tests: sorted rows, values as JSON text so that nobody shares an object with the store. */
import type { BlobFolder } from "./blobs.ts";
import {
  copyFailure,
  type Entry,
  type Environment,
  type Key,
  type OpenEnvironment,
  putRows,
  type Range,
  withoutWaiting,
  type WrittenRow,
} from "./environment.ts";
import { compareKeys, findPlace } from "./key-order.ts";

interface Row {
  readonly key: Key;
  readonly json: string;
}

/** What survives closing: the rows of each directory. */
export type MemoryDisk = Map<string, Row[]>;

/** What is in it now, as a crash leaves it: nobody who has the first one open changes the copy. */
export function copyDisk(disk: MemoryDisk): MemoryDisk {
  const copy: MemoryDisk = new Map([...disk].map(([dir, rows]) => [dir, [...rows]]));
  const folders = files.get(disk);
  if (folders !== undefined) files.set(copy, new Map([...folders].map(([dir, folder]) => [dir, new Map(folder)])));
  return copy;
}

export function memoryEnvironments(disk: MemoryDisk): OpenEnvironment {
  const open = async (dir: string): Promise<Environment> => {
    const rows = disk.get(dir) ?? [];
    disk.set(dir, rows);
    return new MemoryEnvironment(disk, rows);
  };
  return Object.assign(open, { exists: async (dir: string) => disk.has(dir), blobs: memoryBlobs(disk) });
}

/** Beside the rows of each directory, and surviving like them. */
const files = new WeakMap<MemoryDisk, Map<string, Map<string, Uint8Array>>>();

function memoryBlobs(disk: MemoryDisk): (dir: string) => BlobFolder {
  const folders = files.get(disk) ?? new Map<string, Map<string, Uint8Array>>();
  files.set(disk, folders);
  const folderOf = (dir: string): Map<string, Uint8Array> => {
    const folder = folders.get(dir) ?? new Map<string, Uint8Array>();
    folders.set(dir, folder);
    return folder;
  };
  return (dir) => ({
    has: async (name) => folderOf(dir).has(name),
    write: async (name, bytes) => void folderOf(dir).set(name, bytes),
    read: async (name) => folderOf(dir).get(name) ?? new Uint8Array(),
    list: async () => [...folderOf(dir).keys()],
    bytes: async () => [...folderOf(dir).values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    remove: async (name) => void folderOf(dir).delete(name),
    async copyTo(into) {
      for (const [name, bytes] of folderOf(dir)) folderOf(into).set(name, bytes);
    },
  });
}

class MemoryEnvironment implements Environment {
  readonly #disk: MemoryDisk;
  readonly #rows: Row[];
  #undo: (() => void)[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #commits = 0;

  constructor(disk: MemoryDisk, rows: Row[]) {
    this.#disk = disk;
    this.#rows = rows;
  }

  get<T>(key: Key): T | undefined {
    const row = this.#rows[findPlace(this.#rows, key)];
    return row !== undefined && compareKeys(row.key, key) === 0 ? (JSON.parse(row.json) as T) : undefined;
  }

  *entries<T>(range: Range): Iterable<Entry<T>> {
    for (const { key, json } of this.#rowsOf(range)) yield { key, value: JSON.parse(json) as T };
  }

  *keys(range: Range): Iterable<Key> {
    for (const { key } of this.#rowsOf(range)) yield key;
  }

  put(key: Key, value: unknown): void {
    const at = findPlace(this.#rows, key);
    const old = this.#rows[at];
    const replaced = old !== undefined && compareKeys(old.key, key) === 0 ? [old] : [];
    this.#splice(at, replaced, [{ key: [...key], json: JSON.stringify(value) }]);
  }

  remove(key: Key): void {
    const at = findPlace(this.#rows, key);
    const old = this.#rows[at];
    if (old !== undefined && compareKeys(old.key, key) === 0) this.#splice(at, [old], []);
  }

  write<T>(change: () => T): Promise<T> {
    const writing = this.#tail.then(() => {
      this.#undo = [];
      try {
        const result = withoutWaiting(change());
        this.#commits += 1;
        return result;
      } catch (error) {
        for (const step of this.#undo.toReversed()) step();
        throw error;
      }
    });
    this.#tail = writing.catch(() => undefined);
    return writing;
  }

  writeRows(rows: Iterable<WrittenRow>): Promise<void> {
    return this.write(() => putRows(this, rows));
  }

  checkRoom(): void {
    // Memory that is full ends the process.
  }

  async settled(): Promise<void> {
    await this.#tail;
  }

  usedBytes(): number {
    return this.#rows.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);
  }

  commits(): number {
    return this.#commits;
  }

  async copyTo(dir: string): Promise<void> {
    if (this.#disk.has(dir)) throw copyFailure(dir, "there is an environment already");
    this.#disk.set(dir, [...this.#rows]);
  }

  async close(): Promise<void> {
    await this.#tail;
  }

  #splice(at: number, removed: Row[], added: Row[]): void {
    this.#rows.splice(at, removed.length, ...added);
    this.#undo.push(() => this.#rows.splice(at, added.length, ...removed));
  }

  #rowsOf({ start, end, reverse = false, limit = Number.POSITIVE_INFINITY }: Range): readonly Row[] {
    const rows = this.#rows.slice(findPlace(this.#rows, start), findPlace(this.#rows, end));
    return (reverse ? rows.toReversed() : rows).slice(0, limit);
  }
}
