/**
 * A random world for a logged environment: changes that put, remove, read and throw, several in one record of the log; flushes and moves
 * that end late, fail or never end; copies; and processes that end anywhere. A list of values is what it is held against.
 */
import type { Environment, Key, Range } from "../../runtime/store/environment.ts";
import { recoverLog } from "../../runtime/store/log.ts";
import { LoggedEnvironment } from "../../runtime/store/logged-environment.ts";
import { copyDisk, type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { HeldBase, HeldFile, type Part } from "./held-log.ts";
import { makeRandom, type Random } from "./random.ts";

/** In their order, which is written here by hand. */
const keys: readonly Key[] = [
  [1],
  [1, 2],
  [1, 10],
  [1, "a"],
  [2, "x"],
  [10, 1],
  ["a"],
  ["a", 0],
  ["a", 5],
  ["a", 40],
  ["a", "b"],
  ["a", "b", 1],
  ["a", "ba"],
  ["a", "é"],
  ["a", "～"],
  ["a", "😀"],
  ["b", 1],
  ["b", 2],
  ["c😀", 1],
];

/** Behind the last of them, and before the row of the log. */
const lastEnd: Key = ["d"];

/** JSON by the key's place. */
type State = readonly (string | undefined)[];

interface Write {
  readonly throws: boolean;
  hasRun: boolean;
  puts: boolean;
  answer: "none" | "done" | "refused";
  error: unknown;
}

interface Copy {
  readonly dir: string;
  /** How many states there were. */
  readonly since: number;
  readonly failedMoves: number;
  answer: "none" | "done" | "refused";
}

/** The process that runs now. */
interface Process {
  readonly base: HeldBase;
  readonly files: readonly [HeldFile, HeldFile];
  readonly environment: LoggedEnvironment;
  flushes: number;
}

export interface LoggedWorldReport {
  readonly problems: readonly string[];
  readonly counts: {
    readonly flushes: number;
    readonly moves: number;
    readonly crashes: number;
    /** Starts that found a record that was refused, or of which only a part was written for sure. */
    readonly ghosts: number;
    readonly copies: number;
    /** Writes whose turn never came, because the log was full. */
    readonly refusals: number;
  };
}

const dir = "/held";
const bounds = { storeLogBytes: 150, storeLogBytesMax: 450 };

/** Everything that only waits for promises has run after this. */
const rest = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export async function runLoggedWorld(seed: number): Promise<LoggedWorldReport> {
  const world = new World(makeRandom(seed));
  await world.run();
  return { problems: world.problems, counts: world.counts };
}

class World {
  readonly problems: string[] = [];
  readonly counts = { flushes: 0, moves: 0, crashes: 0, ghosts: 0, copies: 0, refusals: 0 };
  readonly #random: Random;
  /** How many flushes fail. */
  readonly #faults: number;
  #disk: MemoryDisk = new Map();
  /** What was flushed, after each flush of this process; the last is what everybody reads. */
  #states: State[] = [keys.map(() => undefined)];
  /** What the record that is being made will leave; there is one as soon as a change ran. */
  #open: State | undefined;
  /** What a crash may leave instead, because a write that failed may be on the disk. */
  #ghosts: State[] = [];
  /** Those whose record is not flushed. */
  #writes: Write[] = [];
  #copies: Copy[] = [];
  #failedMoves = 0;
  #inChange = false;
  /** Flushes that the process has not heard of yet. */
  #unheard = 0;
  #values = 0;
  #process!: Process;

  constructor(random: Random) {
    this.#random = random;
    this.#faults = random.pick([0.05, 0.2, 0.5]);
  }

  async run(): Promise<void> {
    await this.#start([new HeldFile(), new HeldFile()]);
    for (let crashesLeft = this.#random.below(4); this.problems.length === 0; crashesLeft -= 1) {
      for (let events = 10 + this.#random.below(50); events > 0 && this.problems.length === 0; events -= 1)
        await this.#event();
      if (crashesLeft <= 0 || this.problems.length > 0) break;
      await this.#crash();
    }
    if (this.problems.length === 0) await this.#end();
  }

  get #flushed(): State {
    return this.#states.at(-1) as State;
  }

  #wrong(what: string): void {
    this.problems.push(what);
  }

  async #start(files: readonly [HeldFile, HeldFile]): Promise<void> {
    const base = new HeldBase(await memoryEnvironments(this.#disk)(dir));
    const recovering = recoverLog(base.environment, files, dir);
    await rest();
    if (base.held > 0 && this.#random.chance(0.4)) {
      // The process ends once more, with what it writes there or not.
      if (this.#random.chance(0.5)) await base.keep();
      this.#disk = copyDisk(this.#disk);
      await this.#start(files.map((file) => file.crash("nothing", this.#random)) as [HeldFile, HeldFile]);
      return;
    }
    if (base.held > 0) await base.release();
    const environment = new LoggedEnvironment(base.environment, await recovering, bounds);
    this.#process = { base, files, environment, flushes: 0 };
  }

  async #event(): Promise<void> {
    const what = this.#random.below(100);
    if (what < 40) for (let count = 1 + this.#random.below(3); count > 0; count -= 1) this.#write();
    else if (what < 68) this.#endFlush(!this.#random.chance(this.#faults));
    else if (what < 80) await this.#endMove(this.#random.chance(0.6));
    else if (what < 85) this.#copy();
    else if (this.#unheard === 0) this.#read(this.#process.environment, this.#flushed, "outside");
    // Now and then the next thing happens before anybody has heard of this one.
    if (this.#random.chance(0.2)) return;
    await rest();
    this.#unheard = 0;
    this.#check();
  }

  #write(): void {
    const { environment } = this.#process;
    const write: Write = {
      throws: this.#random.chance(0.15),
      hasRun: false,
      puts: false,
      answer: "none",
      error: undefined,
    };
    const result = this.#values++;
    const writing = environment.write(() => {
      write.hasRun = true;
      this.#change(environment, write);
      return result;
    });
    this.#writes.push(write);
    writing.then(
      (answer) => {
        write.answer = "done";
        if (answer !== result) this.#wrong(`a write gave ${answer} instead of ${result}`);
      },
      (error: unknown) => {
        write.answer = "refused";
        write.error = error;
      },
    );
  }

  /** One change, in the environment and in the state that it must make. */
  #change(environment: Environment, write: Write): void {
    const before = this.#open ?? this.#flushed;
    let state = before;
    this.#inChange = true;
    for (let left = this.#random.below(5); left > 0; left -= 1) {
      const at = this.#random.below(keys.length);
      const key = keys[at] as Key;
      if (this.#random.chance(0.3)) {
        this.#read(environment, state, "in a change");
        continue;
      }
      const value = this.#random.chance(0.25)
        ? undefined
        : { n: this.#values++, text: "ä".repeat(this.#random.below(30)) };
      if (value === undefined) environment.remove(key);
      else environment.put(key, value);
      write.puts = true;
      state = state.with(at, value && JSON.stringify(value));
    }
    this.#read(environment, state, "in a change");
    this.#inChange = false;
    this.#open = write.throws ? before : state;
    if (write.throws) throw new Error("as the change wants");
  }

  #read(environment: Environment, state: State, where: string): void {
    const { from, to, range } = this.#range();
    const at = this.#random.below(keys.length);
    const one = JSON.stringify(environment.get(keys[at] as Key));
    if (one !== state[at]) this.#wrong(`${where}, ${JSON.stringify(keys[at])} is ${one}, not ${state[at]}`);
    const expected = rowsOf(state).filter(({ place }) => place >= from && place < to);
    if (range.reverse === true) expected.reverse();
    const limited = expected.slice(0, range.limit);
    const entries = [...environment.entries(range)].map(({ key, value }) => [key, value]);
    const wanted = JSON.stringify(limited.map(({ key, json }) => [key, JSON.parse(json)]));
    if (JSON.stringify(entries) !== wanted)
      this.#wrong(`${where}, ${JSON.stringify(range)} is ${JSON.stringify(entries)}, not ${wanted}`);
    const found = JSON.stringify([...environment.keys(range)]);
    if (found !== JSON.stringify(limited.map(({ key }) => key)))
      this.#wrong(`${where}, the keys of ${JSON.stringify(range)} are ${found}`);
  }

  #range(): { readonly from: number; readonly to: number; readonly range: Range } {
    const from = this.#random.below(keys.length);
    const to = from + this.#random.below(keys.length - from + 1);
    const range: Range = {
      start: keys[from] as Key,
      end: keys[to] ?? lastEnd,
      ...(this.#random.chance(0.5) ? { reverse: this.#random.chance(0.7) } : {}),
      ...(this.#random.chance(0.4) ? { limit: this.#random.below(5) } : {}),
    };
    return { from, to, range };
  }

  #endFlush(isGood: boolean): void {
    const file = this.#process.files.find(({ held }) => held !== undefined);
    if (file === undefined) return;
    const error = new Error("the disk is at fault");
    const open = this.#open ?? this.#flushed;
    this.#open = undefined;
    for (const write of this.#writes)
      if (write.hasRun && !write.throws && write.answer === "none" && !expected.has(write))
        expected.set(write, isGood ? undefined : error);
    if (isGood) {
      this.counts.flushes += 1;
      this.#process.flushes += 1;
      this.#unheard += 1;
      this.#states.push(open);
      this.#ghosts = [];
      file.release();
    } else {
      const part = this.#part();
      if (part !== "nothing") this.#ghosts.push(open);
      file.fail(error, part, this.#random);
    }
  }

  async #endMove(isGood: boolean): Promise<void> {
    const { base } = this.#process;
    if (base.held === 0) return;
    if (isGood) {
      this.counts.moves += 1;
      await base.release();
    } else {
      this.#failedMoves += 1;
      base.fail(new MoveError(`move ${this.#failedMoves}`));
    }
  }

  #copy(): void {
    const into = `/copy-${this.#values++}`;
    const copy: Copy = {
      dir: into,
      since: this.#states.length - 1 - this.#unheard,
      failedMoves: this.#failedMoves,
      answer: "none",
    };
    this.#copies.push(copy);
    this.#process.environment.copyTo(into).then(
      () => void (copy.answer = "done"),
      (error: unknown) => {
        copy.answer = "refused";
        if (!(error instanceof MoveError) || this.#failedMoves === copy.failedMoves)
          this.#wrong(`a copy was refused: ${String(error)}`);
      },
    );
  }

  /** When nothing can happen any more until the test lets it. */
  #check(): void {
    const { environment, files, base, flushes } = this.#process;
    if (this.#inChange) this.#wrong("a change ended in its middle");
    if (files.every(({ held }) => held !== undefined)) this.#wrong("both files are written at once");
    if (base.held > 1) this.#wrong("two moves at once");
    if (environment.commits() !== flushes) this.#wrong(`${environment.commits()} commits are counted, not ${flushes}`);
    this.#checkWrites();
    for (const copy of this.#copies.filter(({ answer }) => answer === "done")) this.#checkCopy(copy);
    this.#copies = this.#copies.filter(({ answer }) => answer === "none");
  }

  #checkWrites(): void {
    for (const write of this.#writes) {
      const { throws, hasRun, answer, error } = write;
      if (answer === "none") {
        if (expected.has(write)) this.#wrong("a write is not answered after its flush");
      } else if (!hasRun) {
        this.counts.refusals += 1;
        if (answer === "done" || !(error instanceof MoveError))
          this.#wrong(`a change that did not run: ${String(error)}`);
      } else if (throws) {
        if (!String(error).includes("as the change wants"))
          this.#wrong(`a change that throws: ${answer} ${String(error)}`);
      } else if (expected.has(write)) {
        if (expected.get(write) !== error)
          this.#wrong(`a write has ${String(error)}, not ${String(expected.get(write))}`);
      } else if (answer !== "done" || write.puts) this.#wrong(`a write is ${answer} before its flush`);
    }
    this.#writes = this.#writes.filter(({ answer }) => answer === "none");
  }

  get #isWriting(): boolean {
    return this.#process.files.some(({ held }) => held !== undefined);
  }

  #checkCopy({ dir: into, since }: Copy): void {
    this.counts.copies += 1;
    const rows = (this.#disk.get(into) ?? []).filter(({ key }) => key[0] !== "log");
    const found = JSON.stringify(rows);
    const isKnown = this.#states.slice(since).some((state) => JSON.stringify(bare(state)) === found);
    if (!isKnown) this.#wrong(`a copy has ${found}, which is no state since it began`);
  }

  async #crash(): Promise<void> {
    const { files, base } = this.#process;
    this.counts.crashes += 1;
    if (base.held > 0 && this.#random.chance(0.5)) await base.keep();
    const part = this.#part();
    // A change that ran is in the record that is being written.
    const open = this.#isWriting ? this.#open : undefined;
    this.#disk = copyDisk(this.#disk);
    await this.#start(files.map((file) => file.crash(part, this.#random)) as [HeldFile, HeldFile]);
    const found = readAll(this.#process.environment);
    const isWhole = open !== undefined && part === "whole";
    const mayBe = isWhole ? [open] : [this.#flushed, ...this.#ghosts, ...(open && part === "torn" ? [open] : [])];
    const state = mayBe.find((each) => JSON.stringify(bare(each)) === found);
    if (state === undefined)
      this.#wrong(`a start finds ${found}, not ${JSON.stringify(mayBe.map((each) => bare(each)))}`);
    if (state !== this.#flushed && !isWhole) this.counts.ghosts += 1;
    this.#states = [state ?? this.#flushed];
    this.#open = undefined;
    this.#ghosts = [];
    this.#writes = [];
    this.#copies = [];
    this.#unheard = 0;
  }

  /** Everything works again: what waits is answered, and a close leaves nothing in the log alone. */
  async #end(): Promise<void> {
    const finish = async (): Promise<void> => {
      for (let idle = 0; idle < 3; idle += 1) {
        await rest();
        if (this.#isWriting || this.#process.base.held > 0) idle = 0;
        this.#endFlush(true);
        await this.#endMove(true);
      }
    };
    await finish();
    this.#check();
    if (this.#writes.length > 0) this.#wrong(`${this.#writes.length} writes are never answered`);
    if (this.#copies.length > 0) this.#wrong(`${this.#copies.length} copies never end`);
    let isClosed = false;
    void this.#process.environment.close().then(() => (isClosed = true));
    await finish();
    if (!isClosed) this.#wrong("a close never ends");
    const rows = (this.#disk.get(dir) ?? []).filter(({ key }) => key[0] !== "log");
    if (JSON.stringify(rows) !== JSON.stringify(bare(this.#flushed)))
      this.#wrong(`a close leaves ${JSON.stringify(rows)}, not ${JSON.stringify(bare(this.#flushed))}`);
  }

  #part(): Part {
    return this.#random.pick(["whole", "torn", "nothing"]);
  }
}

class MoveError extends Error {}

/** What writes whose flush has ended must be told: an error, or undefined. */
const expected = new WeakMap<Write, unknown>();

function rowsOf(state: State): { readonly place: number; readonly key: Key; readonly json: string }[] {
  return state.flatMap((json, place) => (json === undefined ? [] : [{ place, key: keys[place] as Key, json }]));
}

/** As the rows of a disk are. */
function bare(state: State): { readonly key: Key; readonly json: string }[] {
  return rowsOf(state).map(({ key, json }) => ({ key, json }));
}

function readAll(environment: Environment): string {
  const rows = [...environment.entries({ start: [0], end: lastEnd })];
  return JSON.stringify(rows.map(({ key, value }) => ({ key, json: JSON.stringify(value) })));
}
