/**
 * An environment on disk: one LMDB database, values as JSON.
 *
 * Only asynchronous transactions are used (a thread that ends inside a synchronous one keeps the write lock for ever). In
 * LMDB's default mode their promises resolve after the flush. A crash leaves the last committed transaction.
 */
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { asBinary, open, type RootDatabase } from "lmdb";
import { failure, isCoded } from "../../kernel/errors.ts";
import { InFlight } from "../in-flight.ts";
import { storeFull } from "../store-full.ts";
import {
  copyFailure,
  type Entry,
  type Environment,
  type Key,
  type OpenEnvironment,
  type Range,
  withoutWaiting,
  type WrittenRow,
} from "../environment.ts";
import { openBlobFolder } from "./blob-folder.ts";
import { isDiskFull } from "./disk-full.ts";
import { openFailure, reasonOf } from "./failures.ts";
import { dataFile } from "./files.ts";
import { openLog } from "./log-files.ts";
import { checkRoomToOpen, makeRoomCheck } from "./room.ts";

/** Slots for reading threads and processes in the lock file; LMDB's own default of 126 is near what a busy host reaches. */
const readersMax = 256;

export const openLmdbEnvironment: OpenEnvironment = Object.assign(openEnvironment, {
  exists: (dir: string): Promise<boolean> =>
    access(join(dir, dataFile)).then(
      () => true,
      () => false,
    ),
  blobs: openBlobFolder,
  withLog: openLog,
});

async function openEnvironment(dir: string): Promise<Environment> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await checkRoomToOpen(dir);
    const database = open<unknown, (string | number)[]>({
      path: dir,
      // A dot in the last part of the path would otherwise make it a file.
      noSubdir: false,
      encoding: "json",
      maxReaders: readersMax,
      // With it on, lmdb 3.5.6 leaves a promise of a failed commit to nobody, which ends the thread.
      eventTurnBatching: false,
    });
    return new LmdbEnvironment(dir, database);
  } catch (error) {
    throw openFailure("the database", dir, error);
  }
}

/** What LMDB counts of the pages of one database; the package has no type for it. */
interface PageCounts {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

class LmdbEnvironment implements Environment {
  readonly #dir: string;
  readonly #database: RootDatabase<unknown, (string | number)[]>;
  readonly #writing = new InFlight();
  readonly checkRoom: Environment["checkRoom"];
  #commits = 0;
  /** Number of the last transaction that reached the disk; writes that shared it say the same one. */
  #committed = 0;
  #failedLast = false;
  /** Commits that fail together ask once whether the disk is full. */
  #probe: Promise<boolean> | undefined;

  constructor(dir: string, database: RootDatabase<unknown, (string | number)[]>) {
    this.#dir = dir;
    this.#database = database;
    this.checkRoom = makeRoomCheck(dir);
  }

  get<T>(key: Key): T | undefined {
    return this.#database.get([...key]) as T | undefined;
  }

  entries<T>(range: Range): Iterable<Entry<T>> {
    return this.#database.getRange(readRange(range)) as Iterable<unknown> as Iterable<Entry<T>>;
  }

  keys(range: Range): Iterable<Key> {
    return this.#database.getKeys(readRange(range));
  }

  put(key: Key, value: unknown): void {
    // Inside a transaction it is written at once; the promise says nothing.
    void this.#database.put([...key], value);
  }

  remove(key: Key): void {
    void this.#database.remove([...key]);
  }

  async write<T>(change: () => T): Promise<T> {
    let transaction = 0;
    // A child transaction, because a plain one keeps what a callback wrote before it threw.
    const writing = this.#database.childTransaction(() => {
      transaction = this.#database.getWriteTxnId();
      return withoutWaiting(change());
    });
    const result = await this.#commit(writing);
    if (transaction !== this.#committed) this.#commits += 1;
    this.#committed = transaction;
    return result;
  }

  async writeRows(rows: Iterable<WrittenRow>): Promise<void> {
    const writing = this.#database.batch(() => {
      for (const { key, json } of rows) {
        if (json === undefined) this.remove(key);
        else void this.#database.put([...key], asBinary(json));
      }
    });
    await this.#commit(writing);
    this.#commits += 1;
  }

  async #commit<T>(writing: Promise<T>): Promise<T> {
    try {
      const result = await this.#writing.add(writing);
      this.#failedLast = false;
      return result;
    } catch (error) {
      if (isCoded(error)) throw error;
      this.#failedLast = true;
      const reason = await commitReason(error);
      this.#probe ??= isDiskFull(this.#dir, dataFile, reason).finally(() => (this.#probe = undefined));
      if (await this.#probe) throw storeFull(this.#dir, reason, error);
      throw failure(
        "CLOISTER_STORE_FAILED",
        `cannot commit to the database in ${this.#dir}: ${reason}`,
        "free space on its disk and check that the disk can be written; nothing of the change was stored",
        error,
      );
    }
  }

  settled(): Promise<void> {
    return this.#writing.settled();
  }

  usedBytes(): number {
    const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = this.#database.getStats() as PageCounts;
    return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
  }

  commits(): number {
    return this.#commits;
  }

  async copyTo(dir: string): Promise<void> {
    try {
      if (await openLmdbEnvironment.exists(dir)) throw new Error("there is an environment already");
      await mkdir(dir, { recursive: true, mode: 0o700 });
      // Compacting reads through one read transaction, in a thread of the pool. Without it LMDB holds the write lock for as long
      // as it copies (measured: 80 ms for 250 MB, in which nobody could commit; with it 16 commits took at most 8 ms).
      await this.#database.backup(dir, true);
    } catch (error) {
      throw copyFailure(dir, reasonOf(error), error);
    }
  }

  async close(): Promise<void> {
    await this.settled();
    // After a failed commit lmdb waits for a flush that never comes, unless another transaction has followed.
    if (this.#failedLast) await this.#database.transaction(() => undefined);
    await this.#database.close();
  }
}

/**
 * A range as LMDB takes it: its own `reverse` would take the end in and leave the start out.
 *
 * Without `snapshot` it is read from one state of the database for as long as the thread does nothing else. One that somebody holds open
 * longer lets that state go and continues with the current one: a forgotten range would else keep every page that is freed after it from
 * being used again, and the file would grow with each commit.
 */
export function readRange({ start, end, reverse = false, limit }: Range) {
  const [from, to] = reverse ? [end, start] : [start, end];
  const bounds = {
    start: [...from],
    end: [...to],
    reverse,
    exclusiveStart: reverse,
    inclusiveEnd: reverse,
    snapshot: false,
  };
  return limit === undefined ? bounds : { ...bounds, limit };
}

/** A failed commit rejects with a text that says nothing and a promise that has the cause. */
async function commitReason(error: unknown): Promise<string> {
  const commitError = (error as { commitError?: unknown }).commitError;
  if (!(commitError instanceof Promise)) return reasonOf(error);
  return commitError.then(() => reasonOf(error), reasonOf);
}
