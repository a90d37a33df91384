/**
 * A disk in memory that flushes when the dice say so and forgets what a crash takes: the environments of
 * `runtime/store/memory-environment.ts` with the two steps of a real one. A transaction runs and is seen at once; it is answered
 * by a later flush, together with all that ran before it. A crash takes an unflushed tail of each environment, however long,
 * independently of the others, and nobody of that process hears anything any more. Of a log it leaves what is being written whole, torn
 * or not at all.
 */
import { failure } from "../../runtime/kernel/errors.ts";
import { type Environment, type Key, type OpenEnvironment, putRows } from "../../runtime/store/environment.ts";
import { recoverLog } from "../../runtime/store/log.ts";
import { decodeRecords } from "../../runtime/store/log-records.ts";
import { type LogBounds, LoggedEnvironment } from "../../runtime/store/logged-environment.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { HeldFile, type Part } from "./held-log.ts";
import type { Random } from "./random.ts";

export interface CrashingDisk {
  /** For the process that runs now. */
  readonly open: OpenEnvironment;
  /** Runs one transaction, flushes one environment or ends one write of a log. False when nothing is under way. */
  step(): Promise<boolean>;
  /** The next `times` transactions and writes of logs, of whichever environment, do not fit on the disk. */
  failNext(times: number): void;
  crash(): void;
  /** The keys of an environment, as a program that begins now would find them: with the rows of its log. */
  keys(dir: string): readonly (readonly (string | number)[])[];
  readonly dirs: readonly string[];
}

/** The log's code, or one with a planted bug. */
export interface LogCode {
  readonly recoverLog: typeof recoverLog;
  readonly LoggedEnvironment: typeof LoggedEnvironment;
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
  /** Of its log. */
  files: readonly HeldFile[];
}

type Rows = MemoryDisk extends Map<string, infer R> ? R : never;

const full = () => failure("CLOISTER_STORE_FAILED", "cannot commit: the disk is full", "free space on its disk");

export function makeCrashingDisk(random: Random, logCode: LogCode = { recoverLog, LoggedEnvironment }): CrashingDisk {
  let disk: MemoryDisk = new Map();
  let places = new Map<string, Place>();
  /** What is safe, by environment, and what each transaction since then made of it. */
  const safe = new Map<string, Rows>();
  const unflushed = new Map<string, Rows[]>();
  const logs = new Map<string, readonly [HeldFile, HeldFile]>();
  let failures = 0;

  const fails = (): boolean => failures > 0 && failures-- > 0;

  const copyOf = (dir: string): Rows => [...(disk.get(dir) ?? [])];

  const openIn = async (of: typeof places, dir: string): Promise<Environment> => {
    const inner = await memoryEnvironments(disk)(dir);
    const place: Place = { inner, waiting: [], answers: [], files: [] };
    of.set(dir, place);
    if (!safe.has(dir)) safe.set(dir, copyOf(dir));
    let last: Promise<unknown> = Promise.resolve();
    const write = <T>(change: () => T): Promise<T> => {
      const writing = new Promise<T>((resolve, reject) => {
        place.waiting.push({ run: change, resolve: resolve as (result: unknown) => void, reject });
      });
      last = Promise.allSettled([last, writing]);
      return writing;
    };
    return {
      get: (key) => inner.get(key),
      entries: (range) => inner.entries(range),
      keys: (range) => inner.keys(range),
      put: (key, value) => inner.put(key, value),
      remove: (key) => inner.remove(key),
      write,
      writeRows: (rows) => write(() => putRows(inner, rows)),
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

  const openLog = async (
    of: typeof places,
    inner: Environment,
    dir: string,
    bounds: LogBounds,
  ): Promise<Environment> => {
    const files = logs.get(dir) ?? ([new HeldFile(), new HeldFile()] as const);
    logs.set(dir, files);
    const place = of.get(dir);
    if (place !== undefined) place.files = files;
    return new logCode.LoggedEnvironment(inner, await logCode.recoverLog(inner, files, dir), bounds);
  };

  const endWrite = (file: HeldFile): void => {
    // What fits in part. A write that failed and is there all the same is in the tests of the log: it may be found after a crash.
    if (fails()) file.fail(full(), random.pick<Part>(["begun", "nothing"]), random);
    else file.release();
  };

  const run = async (dir: string, place: Place): Promise<void> => {
    const change = place.waiting.shift();
    if (change === undefined) return;
    const isFull = fails();
    try {
      const result = await place.inner.write(() => {
        const value = change.run();
        if (isFull) throw full();
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
      return Object.assign((dir: string) => openIn(of, dir), {
        exists: async (dir: string) => disk.has(dir),
        withLog: (inner: Environment, dir: string, bounds: LogBounds) => openLog(of, inner, dir, bounds),
      });
    },
    async step() {
      const work = ({ waiting, answers }: Place): number => waiting.length + answers.length;
      const busy = [...places].filter(([, place]) => work(place) > 0 || writtenFile(place) !== undefined);
      if (busy.length === 0) return false;
      const [dir, place] = random.pick(busy);
      const file = writtenFile(place);
      if (file !== undefined && (work(place) === 0 || random.chance(0.6))) endWrite(file);
      else if (place.waiting.length > 0 && (place.answers.length === 0 || random.chance(0.6))) await run(dir, place);
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
      for (const [dir, files] of logs) {
        const part = random.pick<Part>(["whole", "torn", "nothing"]);
        const [even, odd] = files;
        logs.set(dir, [even.crash(part, random), odd.crash(part, random)]);
      }
      failures = 0;
      places = new Map();
      disk = new Map([...safe].map(([dir, rows]) => [dir, [...rows]]));
    },
    keys: (dir) => keysOf(disk.get(dir) ?? [], logs.get(dir) ?? []),
    get dirs() {
      return [...disk.keys()];
    },
  };
}

function writtenFile({ files }: Place): HeldFile | undefined {
  return files.find(({ held }) => held !== undefined);
}

function keysOf(rows: Rows, files: readonly HeldFile[]): readonly Key[] {
  const from = Number(rows.find(({ key }) => key[0] === "log")?.json ?? 0);
  const found = files.map(({ cached }) => decodeRecords(cached, from)).toSorted((a, b) => a.generation - b.generation);
  const keys = new Map(rows.map(({ key }) => [JSON.stringify(key), key]));
  for (const { key, json } of found.flatMap(({ records }) => records.flat())) {
    if (json === undefined) keys.delete(JSON.stringify(key));
    else keys.set(JSON.stringify(key), key);
  }
  return [...keys.values()];
}
