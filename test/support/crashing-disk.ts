/**
 * A disk in memory that flushes when the dice say so and forgets what a crash takes: the environments of
 * `runtime/store/memory-environment.ts` with the two steps of a real one. A transaction runs and is seen at once; it is answered
 * by a later flush, together with all that ran before it. A crash takes an unflushed tail of each environment, however long,
 * independently of the others, and nobody of that process hears anything any more.
 */
import { failure } from "../../runtime/kernel/errors.ts";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import type { Random } from "./random.ts";

export interface CrashingDisk {
  /** For the process that runs now. */
  readonly open: OpenEnvironment;
  /** Runs one transaction or flushes one environment. False when nothing is under way. */
  step(): Promise<boolean>;
  /** The next `times` transactions, of whichever environment, do not fit on the disk. */
  failNext(times: number): void;
  crash(): void;
  /** The keys of an environment, as they are now. */
  keys(dir: string): readonly (readonly (string | number)[])[];
  readonly dirs: readonly string[];
}

interface Change {
  readonly run: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** One environment of the process that runs now. */
interface Place {
  readonly inner: Environment;
  readonly waiting: Change[];
  /** Answers of transactions that ran and are not flushed. */
  readonly answers: (() => void)[];
}

type Rows = MemoryDisk extends Map<string, infer R> ? R : never;

export function makeCrashingDisk(random: Random): CrashingDisk {
  let disk: MemoryDisk = new Map();
  let places = new Map<string, Place>();
  /** What is safe, by environment, and what each transaction since then made of it. */
  const safe = new Map<string, Rows>();
  const unflushed = new Map<string, Rows[]>();
  let failures = 0;

  const copyOf = (dir: string): Rows => [...(disk.get(dir) ?? [])];

  const openIn = async (of: typeof places, dir: string): Promise<Environment> => {
    const inner = await memoryEnvironments(disk)(dir);
    const place: Place = { inner, waiting: [], answers: [] };
    of.set(dir, place);
    if (!safe.has(dir)) safe.set(dir, copyOf(dir));
    let last: Promise<unknown> = Promise.resolve();
    return {
      get: (key) => inner.get(key),
      entries: (range) => inner.entries(range),
      keys: (range) => inner.keys(range),
      put: (key, value) => inner.put(key, value),
      remove: (key) => inner.remove(key),
      write<T>(change: () => T): Promise<T> {
        const writing = new Promise<T>((resolve, reject) => {
          place.waiting.push({ run: change, resolve: resolve as (result: unknown) => void, reject });
        });
        last = Promise.allSettled([last, writing]);
        return writing;
      },
      settled: async () => void (await last),
      checkRoom: (moreBytes) => inner.checkRoom(moreBytes),
      usedBytes: () => inner.usedBytes(),
      commits: () => inner.commits(),
      copyTo: (to) => inner.copyTo(to),
      async close() {
        await last;
        if (of.get(dir) === place) of.delete(dir);
      },
    };
  };

  const run = async (dir: string, place: Place): Promise<void> => {
    const change = place.waiting.shift();
    if (change === undefined) return;
    const fails = failures > 0;
    if (fails) failures--;
    try {
      const result = await place.inner.write(() => {
        const value = change.run();
        if (fails) throw failure("CLOISTER_STORE_FAILED", "cannot commit: the disk is full", "free space on its disk");
        return value;
      });
      unflushed.set(dir, [...(unflushed.get(dir) ?? []), copyOf(dir)]);
      place.answers.push(() => change.resolve(result));
    } catch (error) {
      place.answers.push(() => change.reject(error));
    }
  };

  const flush = (dir: string, place: Place): void => {
    const rows = unflushed.get(dir)?.at(-1);
    if (rows !== undefined) safe.set(dir, rows);
    unflushed.delete(dir);
    for (const answer of place.answers.splice(0)) answer();
  };

  return {
    get open() {
      const of = places;
      return Object.assign((dir: string) => openIn(of, dir), { exists: async (dir: string) => disk.has(dir) });
    },
    async step() {
      const busy = [...places].filter(([, { waiting, answers }]) => waiting.length + answers.length > 0);
      if (busy.length === 0) return false;
      const [dir, place] = random.pick(busy);
      if (place.waiting.length > 0 && (place.answers.length === 0 || random.chance(0.6))) await run(dir, place);
      else flush(dir, place);
      return true;
    },
    failNext: (times) => void (failures = times),
    crash() {
      for (const [dir, rows] of unflushed) {
        const kept = random.below(rows.length + 1);
        const last = rows[kept - 1];
        if (last !== undefined) safe.set(dir, last);
      }
      unflushed.clear();
      failures = 0;
      places = new Map();
      disk = new Map([...safe].map(([dir, rows]) => [dir, [...rows]]));
    },
    keys: (dir) => (disk.get(dir) ?? []).map(({ key }) => key),
    get dirs() {
      return [...disk.keys()];
    },
  };
}
