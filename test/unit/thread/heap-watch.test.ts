/** When the heap watch ends a cell, and when it leaves one alone: figures and clock by hand. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import {
  type CellMemory,
  type HeapWatch,
  makeHeapWatch,
  type WatchedHeap,
} from "../../../runtime/thread/heap-watch.ts";

const megabyte = 1_048_576;
let resident = 0;
let readings = 0;
let watch: HeapWatch;

interface FakeCell extends WatchedHeap {
  memory: CellMemory | "silent" | "gone";
  busy: boolean;
  asked: number;
  readonly ends: string[];
}

function makeCell(memory: FakeCell["memory"] = { heapUsed: 0, external: 0 }): FakeCell {
  const cell: FakeCell = {
    memory,
    busy: true,
    asked: 0,
    ends: [],
    measure: () => {
      cell.asked++;
      if (cell.memory === "silent") return new Promise(() => {});
      return cell.memory === "gone" ? Promise.reject(new Error("not running")) : Promise.resolve(cell.memory);
    },
    isBusy: () => cell.busy,
    end: (detail) => cell.ends.push(detail),
  };
  return cell;
}

const rounds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * limits.heapCheckMs);

beforeEach(() => {
  vi.useFakeTimers();
  resident = 0;
  readings = 0;
  watch = makeHeapWatch(
    () => {
      readings++;
      return resident;
    },
    () => Date.now(),
  );
});
afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

test("cells that answer in one moment share a reading of the process, and a later one has its own", async () => {
  const cells = Array.from({ length: 8 }, () => makeCell());
  for (const cell of cells) watch.add(cell);
  readings = 0;
  await rounds(1);
  expect(cells.map(({ asked }) => asked)).toEqual(cells.map(() => 1));
  expect(readings).toBe(1);
  await rounds(1);
  expect(readings).toBe(2);
});

const quietRounds = limits.heapQuietCheckMs / limits.heapCheckMs;

test("a small cell is asked seldom while the process does not grow, and in each round once it has", async () => {
  const cell = makeCell({ heapUsed: 20 * megabyte, external: 0 });
  watch.add(cell);
  await rounds(1 + quietRounds);
  expect(cell.asked).toBe(2);
  await rounds(4 * quietRounds);
  expect(cell.asked).toBe(6);
  const before = cell.asked;
  for (let at = 0; at < quietRounds - 1; at++) {
    resident += limits.heapQuietGrowthMbMax * megabyte;
    await rounds(1);
  }
  expect(cell.asked - before).toBe(quietRounds - 1);
});

test("a cell that has used half of its bound is asked in each round, however little the process grows", async () => {
  const cells = [
    makeCell({ heapUsed: 128 * megabyte, external: 0 }),
    makeCell({ heapUsed: 0, external: 128 * megabyte }),
  ];
  for (const cell of cells) watch.add(cell);
  await rounds(8);
  expect(cells.map(({ asked }) => asked)).toEqual([8, 8]);
});

test("what a cell that is a process holds is asked in each round: this process says nothing about it", async () => {
  const cell = Object.assign(makeCell(), { isOutside: true });
  watch.add(cell);
  await rounds(8);
  expect(cell.asked).toBe(8);
});

test("a cell that is a process is ended for what its process holds, and never for what this one grew by", async () => {
  const cell = Object.assign(makeCell({ heapUsed: 0, external: 0, resident: 768 * megabyte }), { isOutside: true });
  watch.add(cell);
  await rounds(3);
  expect(cell.ends).toEqual([]);
  const silent = Object.assign(makeCell("silent"), { isOutside: true });
  watch.add(silent);
  resident = 2_000 * megabyte;
  await rounds(20);
  expect(silent.ends).toEqual([]);
  cell.memory = { heapUsed: 0, external: 0, resident: 769 * megabyte };
  watch.add(cell);
  await rounds(3);
  expect(cell.ends).toEqual([expect.stringMatching(/its process holds 769 MB, more than the 768 MB/)]);
});

test("A6.2: what a process says of its own heap is told, and bounds nothing", async () => {
  const claim = { heapUsed: 900 * megabyte, external: 900 * megabyte, resident: 100 * megabyte };
  const cell = Object.assign(makeCell(claim), { isOutside: true });
  watch.add(cell);
  await rounds(5);
  expect(cell.ends).toEqual([]);
  expect(watch.last(cell)).toEqual(claim);
});

test("a cell within its bounds is left alone, and is asked only while it is busy", async () => {
  const cell = makeCell({ heapUsed: 200 * megabyte, external: 200 * megabyte });
  watch.add(cell);
  await rounds(10);
  expect(cell.asked).toBe(10);
  cell.busy = false;
  await rounds(10);
  expect(cell).toMatchObject({ asked: 10, ends: [] });
  expect(vi.getTimerCount()).toBe(0);
  cell.busy = true;
  watch.wake(cell);
  await rounds(2);
  expect(cell.asked).toBe(12);
});

test("an idle cell is read once when it is looked at", async () => {
  const cell = makeCell({ heapUsed: 300 * megabyte, external: 0 });
  cell.busy = false;
  watch.add(cell);
  await rounds(5);
  expect(cell.asked).toBe(0);
  watch.look(cell);
  await rounds(5);
  expect(cell.asked).toBe(1);
  expect(cell.ends).toEqual(["its heap holds 300 MB, more than the 256 MB that a cell may use"]);
});

test("a cell whose buffers are too large is ended once, with the figures", async () => {
  const cell = makeCell({ heapUsed: megabyte, external: 300 * megabyte });
  watch.add(cell);
  await rounds(5);
  expect(cell.ends).toEqual(["its buffers hold 300 MB, more than the 256 MB that a cell may use"]);
});

test("of two that do not answer while the process grows, the one that is silent for longer is ended, and only that one", async () => {
  const [flood, calm] = [makeCell("silent"), makeCell()];
  watch.add(flood);
  watch.add(calm);
  await rounds(1);
  calm.memory = "silent";
  await rounds(1);
  resident = 300 * megabyte;
  await rounds(10);
  expect(flood.ends).toEqual([
    expect.stringMatching(/could not be read for \d+ ms while the process grew by 300 MB, after 0 MB/),
  ]);
  expect(calm.ends).toEqual([]);
});

test("a cell that is silent while the process does not grow is left to the heartbeat", async () => {
  const cell = makeCell({ heapUsed: 200 * megabyte, external: 200 * megabyte });
  watch.add(cell);
  await rounds(1);
  cell.memory = "silent";
  resident = 50 * megabyte;
  await rounds(100);
  expect(cell).toMatchObject({ asked: 2, ends: [] });
});

test("a cell whose answer waits behind a round that comes late is not taken for silent", async () => {
  const asked = Promise.withResolvers<CellMemory>();
  const cell = Object.assign(makeCell(), { measure: () => asked.promise });
  watch.add(cell);
  await rounds(1);
  // This thread stood still, while the process grew for another reason.
  resident = 300 * megabyte;
  vi.setSystemTime(Date.now() + 60_000);
  await rounds(1);
  expect(cell.ends).toEqual([]);
  // The answer was there all along, and is read now.
  asked.resolve({ heapUsed: megabyte, external: 0 });
  await rounds(1);
  expect(cell.ends).toEqual([]);
});

test("a cell that does not run yet is asked again", async () => {
  const cell = makeCell("gone");
  watch.add(cell);
  await rounds(3);
  cell.memory = { heapUsed: 300 * megabyte, external: 0 };
  await rounds(1);
  expect(cell.ends).toHaveLength(1);
});

test("with more busy cells than a round reads, each gets its turn", async () => {
  const held = { heapUsed: 200 * megabyte, external: 0 };
  const cells = Array.from({ length: 3 * limits.heapChecksPerRound }, () => makeCell(held));
  for (const cell of cells) watch.add(cell);
  await rounds(6);
  expect(new Set(cells.map(({ asked }) => asked))).toEqual(new Set([2]));
});

test("a removed cell is not asked again", async () => {
  const cell = makeCell();
  watch.add(cell);
  watch.remove(cell);
  await rounds(5);
  expect(cell).toMatchObject({ asked: 0, ends: [] });
});
