/**
 * Ends a cell before its memory ends the process. Node's own limit of a worker's heap is no fault boundary: V8 aborts the whole
 * process when one allocation finds no room (measured per shape in `docs/THREAT_MODEL.md`). So the limit that V8 gets is far
 * above what a cell may use, and this watch ends the cell in between.
 *
 * Three figures, all read from outside, so that neither a spinning nor a hostile cell has a say in them:
 * - used heap and external memory (buffers), by `worker.getHeapStatistics()`, which interrupts running JavaScript;
 * - where that is not answered (a collection, or one long native call such as `JSON.parse`), the growth of the process since
 *   the last answer. That is a hint, because another cell may have grown: one cell at a time is ended for it.
 *
 * Only cells that are busy are asked (`limits.heapCheckMs`), and of those a small one seldom while the process does not grow
 * (`limits.heapQuietCheckMs`): a question interrupts the cell and wakes this thread. The timer stands still when none is busy.
 */
import { limits } from "../kernel/limits.ts";

/** Bytes. */
export interface CellMemory {
  /** Undefined: a process that has not said it yet. */
  readonly heapUsed: number | undefined;
  readonly external: number | undefined;
  /** Of a cell that is a process: all that it holds, as the system says. What it says itself bounds nothing. */
  readonly resident?: number;
}

export interface WatchedHeap {
  /** Rejects when the cell does not run (yet, or any more). */
  readonly measure: () => Promise<CellMemory>;
  /** True while the cell may allocate: it starts, has work, or its loop does not turn. */
  readonly isBusy: () => boolean;
  /** Ends the cell; asked for once. */
  readonly end: (detail: string) => void;
  /** A process of its own: what the gateway's process grows by says nothing about it. */
  readonly isOutside?: boolean;
}

export interface HeapWatch {
  add(cell: WatchedHeap): void;
  /** The cell may have become busy: it is read from the next round on, for as long as it is. */
  wake(cell: WatchedHeap): void;
  /** Reads the cell once, busy or not. */
  look(cell: WatchedHeap): void;
  /** What the last reading found; undefined: none came yet. */
  last(cell: WatchedHeap): CellMemory | undefined;
  remove(cell: WatchedHeap): void;
  close(): void;
}

interface Sample {
  /** When the open question was asked; `undefined`: none is open. */
  askedAtMs: number | undefined;
  answeredAtMs: number;
  /** Heap or buffers, whichever was larger: each has its own bound, and what grows is not known. */
  lastBytes: number;
  last: CellMemory | undefined;
  /** Resident bytes of the process when the last answer came. */
  residentBytes: number;
}

const megabyte = 1_048_576;
const heapBytesMax = limits.cellOldGenerationMb * limits.cellHeapShare * megabyte;
const externalBytesMax = limits.cellExternalMbMax * megabyte;
/** Of a cell that may be asked seldom. */
const quietBytesMax = Math.min(heapBytesMax, externalBytesMax) / 2;
const quietGrowthBytesMax = limits.heapQuietGrowthMbMax * megabyte;
const residentBytesMax = limits.cellProcessMbMax * megabyte;
/** A cell that fills its memory adds some ten megabytes meanwhile. */
const residentKeptMs = 5;
const inMb = (bytes: number): number => Math.round(bytes / megabyte);

export function makeHeapWatch(residentBytes: () => number, nowMs: () => number = () => performance.now()): HeapWatch {
  const samples = new Map<WatchedHeap, Sample>();
  const busy = new Set<WatchedHeap>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let lastRoundMs = 0;
  let reading = { bytes: 0, atMs: Number.NEGATIVE_INFINITY };

  /** One reading for the answers of a moment: it costs as much as all else that is done about one. */
  const residentLately = (): number => {
    const now = nowMs();
    if (now - reading.atMs > residentKeptMs) reading = { bytes: residentBytes(), atMs: now };
    return reading.bytes;
  };

  const end = (cell: WatchedHeap, detail: string): void => {
    busy.delete(cell);
    samples.delete(cell);
    cell.end(detail);
  };

  const judge = (cell: WatchedHeap, memory: CellMemory): void => {
    const { resident = 0 } = memory;
    const { heapUsed = 0, external = 0 } = cell.isOutside === true ? {} : memory;
    const sample = samples.get(cell);
    if (sample === undefined) return;
    sample.askedAtMs = undefined;
    sample.answeredAtMs = nowMs();
    sample.last = memory;
    sample.lastBytes = Math.max(heapUsed, external);
    sample.residentBytes = residentLately();
    if (heapUsed > heapBytesMax)
      end(cell, `its heap holds ${inMb(heapUsed)} MB, more than the ${inMb(heapBytesMax)} MB that a cell may use`);
    else if (external > externalBytesMax)
      end(
        cell,
        `its buffers hold ${inMb(external)} MB, more than the ${inMb(externalBytesMax)} MB that a cell may use`,
      );
    else if (resident > residentBytesMax)
      end(cell, `its process holds ${inMb(resident)} MB, more than the ${inMb(residentBytesMax)} MB that it may use`);
  };

  /** What it held is far from its bounds, was read a moment ago, and the process holds hardly more since: so does the cell, but for memory that others gave back. */
  const isQuiet = (cell: WatchedHeap, sample: Sample, now: number): boolean =>
    cell.isOutside !== true &&
    now - sample.answeredAtMs < limits.heapQuietCheckMs &&
    sample.lastBytes < quietBytesMax &&
    residentLately() - sample.residentBytes < quietGrowthBytesMax;

  const ask = (cell: WatchedHeap, sample: Sample, now: number): void => {
    sample.askedAtMs = now;
    cell.measure().then(
      (memory) => judge(cell, memory),
      // Not running yet, or no more: there is nothing to read, and its end is told by its own event.
      () => {
        sample.askedAtMs = undefined;
      },
    );
  };

  const round = (): void => {
    const now = nowMs();
    // When this thread was held up, an answer may be waiting behind this very round.
    const late = now - lastRoundMs > 2 * limits.heapCheckMs;
    lastRoundMs = now;
    let silent: { readonly cell: WatchedHeap; readonly sample: Sample; readonly askedAtMs: number } | undefined;
    let asked = 0;
    for (const cell of busy) {
      const sample = samples.get(cell);
      if (sample === undefined || (sample.askedAtMs === undefined && !cell.isBusy())) {
        busy.delete(cell);
        continue;
      }
      const { askedAtMs } = sample;
      if (askedAtMs !== undefined) {
        if (cell.isOutside !== true && (silent === undefined || askedAtMs < silent.askedAtMs))
          silent = { cell, sample, askedAtMs };
      } else if (asked < limits.heapChecksPerRound && !isQuiet(cell, sample, now)) {
        asked++;
        ask(cell, sample, now);
        // To the end of the line: with more busy cells than a round asks, each gets its turn.
        busy.delete(cell);
        busy.add(cell);
      }
    }
    if (silent !== undefined && !late) hint(silent.cell, silent.sample, now - silent.askedAtMs);
    if (busy.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };

  const hint = (cell: WatchedHeap, sample: Sample, silentMs: number): void => {
    // A collection takes a few tens of milliseconds, and is no reason.
    if (silentMs < 2 * limits.heapCheckMs) return;
    const resident = residentBytes();
    const grown = resident - sample.residentBytes;
    if (sample.lastBytes + grown <= heapBytesMax) return;
    // What has grown is answered for: the others are measured from here.
    for (const other of samples.values()) other.residentBytes = resident;
    end(
      cell,
      `its memory could not be read for ${Math.round(silentMs)} ms while the process grew by ${inMb(grown)} MB, ` +
        `after ${inMb(sample.lastBytes)} MB at the last reading; a cell may use ${inMb(heapBytesMax)} MB`,
    );
  };

  const wake = (cell: WatchedHeap): void => {
    if (!samples.has(cell) || busy.has(cell)) return;
    busy.add(cell);
    if (timer !== undefined) return;
    lastRoundMs = nowMs();
    timer = setInterval(round, limits.heapCheckMs);
    timer.unref();
  };

  return {
    add(cell) {
      samples.set(cell, {
        askedAtMs: undefined,
        answeredAtMs: Number.NEGATIVE_INFINITY,
        lastBytes: 0,
        last: undefined,
        residentBytes: residentBytes(),
      });
      wake(cell);
    },
    wake,
    look(cell) {
      const sample = samples.get(cell);
      if (sample === undefined || sample.askedAtMs !== undefined) return;
      wake(cell);
      ask(cell, sample, nowMs());
    },
    last: (cell) => samples.get(cell)?.last,
    remove(cell) {
      samples.delete(cell);
      busy.delete(cell);
    },
    close: () => clearInterval(timer),
  };
}
