/**
 * An environment whose disk takes longer to flush, for disks that this machine does not have: a flush of a virtual disk may
 * cost 0.03 ms, of an SSD without a protected cache about 1 ms, of a hard disk 5 ms and more. One flush runs at a time, and
 * what is written meanwhile shares the next, as in the database itself. Nothing else is slowed down.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry, Environment, Key, OpenEnvironment, Range, WrittenRow } from "../runtime/store/environment.ts";

/** Every environment that is opened by the result waits for so long after each of its flushes. */
export function withFlushCost(openEnvironment: OpenEnvironment, flushMs: number): OpenEnvironment {
  if (flushMs === 0) return openEnvironment;
  const slow = (environment: Environment): Environment =>
    new SlowEnvironment(environment, (flushes) => sleep(flushes * flushMs));
  const open = async (dir: string): Promise<Environment> => slow(await openEnvironment(dir));
  const { exists, withLog } = openEnvironment;
  if (withLog === undefined) return Object.assign(open, { exists });
  return Object.assign(open, {
    exists,
    withLog: async (...given: Parameters<typeof withLog>): Promise<Environment> => slow(await withLog(...given)),
  });
}

export class SlowEnvironment implements Environment {
  readonly #inner: Environment;
  readonly #flush: (flushes: number) => Promise<unknown>;
  #waiting: (() => Promise<() => void>)[] = [];
  #running: Promise<void> | undefined;

  /** `flush` is told how many transactions have reached the disk, and resolves when they would have on the slower one. */
  constructor(inner: Environment, flush: (flushes: number) => Promise<unknown>) {
    this.#inner = inner;
    this.#flush = flush;
  }

  get<T>(key: Key): T | undefined {
    return this.#inner.get(key);
  }

  entries<T>(range: Range): Iterable<Entry<T>> {
    return this.#inner.entries(range);
  }

  keys(range: Range): Iterable<Key> {
    return this.#inner.keys(range);
  }

  put(key: Key, value: unknown): void {
    this.#inner.put(key, value);
  }

  remove(key: Key): void {
    this.#inner.remove(key);
  }

  write<T>(change: () => T): Promise<T> {
    return this.#share(() => this.#inner.write(change));
  }

  writeRows(rows: Iterable<WrittenRow>): Promise<void> {
    return this.#share(() => this.#inner.writeRows(rows));
  }

  #share<T>(write: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() =>
        write().then(
          (result) => () => resolve(result),
          (error: unknown) => () => reject(error),
        ),
      );
      this.#running ??= this.#run();
    });
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  checkRoom(moreBytes?: number): void {
    this.#inner.checkRoom(moreBytes);
  }

  usedBytes(): number {
    return this.#inner.usedBytes();
  }

  commits(): number {
    return this.#inner.commits();
  }

  copyTo(dir: string): Promise<void> {
    return this.#inner.copyTo(dir);
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#inner.close();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const before = this.#inner.commits();
      const settle = await Promise.all(this.#waiting.splice(0).map((start) => start()));
      await this.#flush(this.#inner.commits() - before);
      for (const settleOne of settle) settleOne();
    }
    this.#running = undefined;
  }
}
