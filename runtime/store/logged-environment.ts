/**
 * An environment whose writes are on the disk when a log has them (`runtime/store/log.ts`): one flush of a few kilobytes, at a place that
 * its file has already, where a transaction of the database searches, copies and flushes pages. The rows stay in memory until
 * they are written to the environment beneath, those of many writes in one transaction.
 *
 * Changes wait for the flush that is on its way, and those that wait are one record of the log. A change reads what was flushed and what the
 * changes before it in the record have written; everybody else reads what was flushed.
 */
import { type Entry, type Environment, type Key, type Range, withoutWaiting, type WrittenRow } from "./environment.ts";
import { InFlight } from "./in-flight.ts";
import { type Log, moveRows } from "./log.ts";
import { LogGeneration } from "./log-generation.ts";
import { entriesThrough, getThrough, keysThrough, type Layers } from "./log-layers.ts";

export interface LogBounds {
  /** Bytes of the log after which its rows are written to the environment beneath. */
  readonly storeLogBytes: number;
  /** From so many on, writes wait until that is done. */
  readonly storeLogBytesMax: number;
}

interface Waiting {
  readonly change: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class LoggedEnvironment implements Environment {
  readonly #base: Environment;
  readonly #log: Log;
  readonly #bounds: LogBounds;
  readonly #writing = new InFlight();
  #waiting: Waiting[] = [];
  #isRunning = false;
  /** The last one; settles when it is on the disk or refused. */
  #record: Promise<void> | undefined;
  /** While a change runs. */
  #isInside = false;
  #recent: LogGeneration;
  /** The generation before, until the environment beneath has its rows. */
  #older: LogGeneration | undefined;
  /** Somebody waits for what is flushed to be moved. */
  #isAsked = false;
  #moving: Promise<void> | undefined;
  #commits = 0;

  constructor(base: Environment, log: Log, bounds: LogBounds) {
    this.#base = base;
    this.#log = log;
    this.#bounds = bounds;
    this.#recent = new LogGeneration(log.first);
  }

  get<T>(key: Key): T | undefined {
    return getThrough(this.#layers(), key);
  }

  entries<T>(range: Range): Iterable<Entry<T>> {
    return entriesThrough(this.#layers(), range);
  }

  keys(range: Range): Iterable<Key> {
    return keysThrough(this.#layers(), range);
  }

  put(key: Key, value: unknown): void {
    this.#change(key, JSON.stringify(value));
  }

  remove(key: Key): void {
    this.#change(key, undefined);
  }

  write<T>(change: () => T): Promise<T> {
    const writing = new Promise<T>((resolve, reject) => {
      this.#waiting.push({ change, resolve: resolve as (result: unknown) => void, reject });
    });
    if (!this.#isRunning) {
      this.#isRunning = true;
      // After the other calls of the same moment.
      queueMicrotask(() => void this.#run());
    }
    return this.#writing.add(writing);
  }

  writeRows(rows: Iterable<WrittenRow>): Promise<void> {
    return this.write(() => {
      for (const { key, json } of rows) this.#change(key, json?.toString());
    });
  }

  checkRoom(moreBytes?: number): void {
    this.#base.checkRoom(moreBytes);
  }

  settled(): Promise<void> {
    return this.#writing.settled();
  }

  usedBytes(): number {
    return this.#base.usedBytes() + this.#recent.length + (this.#older?.length ?? 0);
  }

  commits(): number {
    return this.#commits;
  }

  async copyTo(dir: string): Promise<void> {
    await this.#moveAll();
    await this.#base.copyTo(dir);
  }

  async close(): Promise<void> {
    await this.settled();
    // What cannot be moved is in the log, and the next start moves it.
    await this.#moveAll().catch(() => undefined);
    await this.#log.close();
    await this.#base.close();
  }

  #layers(): Layers<Environment> {
    const generations = this.#older === undefined ? [this.#recent] : [this.#recent, this.#older];
    return { base: this.#base, generations, withOpen: this.#isInside };
  }

  #change(key: Key, json: string | undefined): void {
    this.#recent.put(key, json);
  }

  /** One record after the other, while there are changes. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      // Before they run: what a change writes on its own is in a later record.
      this.#waiting = [];
      this.#record = this.#makeRecord(waiting);
      await this.#record;
    }
    this.#isRunning = false;
  }

  async #makeRecord(waiting: readonly Waiting[]): Promise<void> {
    try {
      if (this.#mustMove) await this.#move();
      await this.#flush(waiting);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
    if (this.#recent.length >= this.#bounds.storeLogBytes || this.#isAsked) this.#beginAnew();
  }

  /** A start that finds a refused record at the end of the generation before must not find others behind it, which know nothing of it. */
  get #mustMove(): boolean {
    return this.#older?.isEndUnsure === true || this.#recent.length >= this.#bounds.storeLogBytesMax;
  }

  /** Rejects when nothing of them is on the disk. */
  async #flush(waiting: readonly Waiting[]): Promise<void> {
    const done: (() => void)[] = [];
    for (const { change, resolve, reject } of waiting) {
      try {
        const result = this.#runChange(change);
        done.push(() => resolve(result));
      } catch (error) {
        reject(error);
      }
    }
    if (!this.#recent.isEmpty) await this.#append();
    for (const settle of done) settle();
  }

  #runChange(change: () => unknown): unknown {
    const mark = this.#recent.mark();
    this.#isInside = true;
    try {
      return withoutWaiting(change());
    } catch (error) {
      this.#recent.undo(mark);
      throw error;
    } finally {
      this.#isInside = false;
    }
  }

  async #append(): Promise<void> {
    const appending = this.#log.append(this.#recent.number, this.#recent.close());
    // While the disk is at work. What fails is tried again with the next record.
    this.#move().catch(() => undefined);
    try {
      await appending;
      this.#recent.written();
      this.#commits += 1;
    } catch (error) {
      this.#recent.drop();
      throw error;
    }
  }

  /** Between two records. Later, where the environment beneath does not have the rows of the generation before. */
  #beginAnew(): void {
    if (this.#older !== undefined || this.#recent.length === 0) return;
    this.#isAsked = false;
    this.#older = this.#recent;
    this.#recent = new LogGeneration(this.#older.number + 1, this.#older.records);
  }

  /** Brings what is flushed by now to the environment beneath. */
  async #moveAll(): Promise<void> {
    const last = this.#recent;
    await this.#move();
    if (last.length === 0) return;
    while (this.#recent === last || this.#older === last) {
      this.#isAsked = this.#recent === last;
      if (this.#isRunning) await this.#record;
      else if (this.#isAsked) this.#beginAnew();
      await this.#move();
    }
  }

  /** Brings the rows of the generation before to the environment beneath. */
  #move(): Promise<void> {
    this.#moving ??= this.#moveOlder().finally(() => (this.#moving = undefined));
    return this.#moving;
  }

  async #moveOlder(): Promise<void> {
    const older = this.#older;
    if (older === undefined) return;
    await moveRows(this.#base, older.flushed(), older.number);
    this.#older = undefined;
  }
}
