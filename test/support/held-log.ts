/**
 * Files of a log and an environment beneath it that do nothing by themselves: a test says when a write ends and how, and what of it a
 * crash leaves. What was written and not flushed is on the disk, or not, or in part.
 */
import type { Environment, WrittenRow } from "../../runtime/store/environment.ts";
import type { LogFile } from "../../runtime/store/log.ts";
import type { Random } from "./random.ts";

/** How much of a write is on the disk. */
export type Part = "whole" | "torn" | "begun" | "nothing";

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface HeldWrite extends Piece {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class HeldFile implements LogFile {
  #disk: Buffer;
  /** In the memory of the system. */
  #unflushed: Piece[] = [];
  #write: HeldWrite | undefined;

  constructor(disk: Buffer = Buffer.alloc(0)) {
    this.#disk = disk;
  }

  /** The write that is under way. */
  get held(): Piece | undefined {
    return this.#write;
  }

  /** What is on the disk for sure. */
  get bytes(): Buffer {
    return this.#disk;
  }

  /** What a process finds that begins without a crash of the system. */
  get cached(): Buffer {
    return this.#unflushed.reduce(withPiece, this.#disk);
  }

  async read(): Promise<Buffer> {
    return Buffer.from(this.#disk);
  }

  write(bytes: Uint8Array, at: number): Promise<void> {
    if (this.#write !== undefined) throw new Error("two writes at once");
    return new Promise((resolve, reject) => (this.#write = { bytes, at, resolve, reject }));
  }

  spoil(at: number): void {
    this.#unflushed.push({ at, bytes: new Uint8Array(4) });
  }

  async close(): Promise<void> {
    if (this.#write !== undefined) throw new Error("closed while it writes");
  }

  /** The write that is under way, and all before it, are on the disk. */
  release(): void {
    const write = this.#take();
    this.#disk = [...this.#unflushed, write].reduce(withPiece, this.#disk);
    this.#unflushed = [];
    write.resolve();
  }

  fail(error: unknown, part: Part, random: Random): void {
    const write = this.#take();
    this.#unflushed.push(...partOf({ at: write.at, bytes: Buffer.from(write.bytes) }, part, random));
    write.reject(error);
  }

  /** The file as the next process finds it. `part` is of the write that is under way; of what came before it some is there, maybe. */
  crash(part: Part, random: Random): HeldFile {
    let disk = this.#disk;
    for (const piece of this.#unflushed)
      for (const kept of partOf(piece, random.pick(["whole", "torn", "nothing"]), random)) disk = withPiece(disk, kept);
    if (this.#write !== undefined) for (const kept of partOf(this.#write, part, random)) disk = withPiece(disk, kept);
    return new HeldFile(disk);
  }

  #take(): HeldWrite {
    const write = this.#write;
    if (write === undefined) throw new Error("nothing is being written");
    this.#write = undefined;
    return write;
  }
}

interface HeldMove {
  readonly rows: readonly WrittenRow[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** An environment of which `writeRows` waits until the test ends it. */
export class HeldBase {
  readonly environment: Environment;
  readonly #inner: Environment;
  readonly #moves: HeldMove[] = [];

  constructor(inner: Environment) {
    this.#inner = inner;
    this.environment = {
      get: (key) => inner.get(key),
      entries: (range) => inner.entries(range),
      keys: (range) => inner.keys(range),
      put: (key, value) => inner.put(key, value),
      remove: (key) => inner.remove(key),
      write: (change) => inner.write(change),
      writeRows: (rows) =>
        new Promise((resolve, reject) => void this.#moves.push({ rows: [...rows], resolve, reject })),
      checkRoom: (moreBytes) => inner.checkRoom(moreBytes),
      settled: () => inner.settled(),
      usedBytes: () => inner.usedBytes(),
      commits: () => inner.commits(),
      copyTo: (dir) => inner.copyTo(dir),
      close: () => inner.close(),
    };
  }

  /** Moves that are under way. */
  get held(): number {
    return this.#moves.length;
  }

  async release(): Promise<void> {
    const { rows, resolve } = this.#take();
    await this.#inner.writeRows(rows);
    resolve();
  }

  fail(error: unknown): void {
    this.#take().reject(error);
  }

  /** Before a crash: what is under way is there, and nobody hears of it. */
  async keep(): Promise<void> {
    await this.#inner.writeRows(this.#take().rows);
  }

  #take(): HeldMove {
    const move = this.#moves.shift();
    if (move === undefined) throw new Error("nothing is being moved");
    return move;
  }
}

/** What of a write a disk has, in pieces. One that was torn is there from its begin, or here and there, and never all of it. */
export function partOf({ at, bytes }: Piece, part: Part, random: Random): Piece[] {
  if (part === "nothing") return [];
  if (part === "whole") return [{ at, bytes }];
  if (part === "begun") return [{ at, bytes: bytes.subarray(0, random.below(bytes.length / 2)) }];
  if (random.chance(0.5)) return [{ at, bytes: bytes.subarray(0, random.below(bytes.length)) }];
  const size = 1 + random.below(24);
  const pieces: Piece[] = [];
  const lost = random.below(bytes.length);
  for (let from = 0; from < bytes.length; from += size)
    if ((lost < from || lost >= from + size) && random.chance(0.5))
      pieces.push({ at: at + from, bytes: bytes.subarray(from, from + size) });
  return pieces;
}

/** The bytes of a file with some of them written anew; between its end and theirs stand zeros. */
export function withPiece(disk: Buffer, { at, bytes }: Piece): Buffer {
  if (bytes.length === 0) return disk;
  const all = Buffer.alloc(Math.max(disk.length, at + bytes.length));
  disk.copy(all);
  all.set(bytes, at);
  return all;
}
