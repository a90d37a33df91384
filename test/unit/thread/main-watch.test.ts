/** The watch over the main thread: when it ends the process, and when it waits. The words are written by hand. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { beatForWatch, watchMain } from "../../../runtime/thread/main-watch.ts";

const ends: string[] = [];
const end = (reason: string): void => void ends.push(reason);

beforeEach(() => {
  vi.useFakeTimers();
  ends.length = 0;
});
afterEach(() => vi.useRealTimers());

test("a loop that turns is left alone", () => {
  watchMain(beatForWatch(1_000), end, 1_000);
  vi.advanceTimersByTime(60_000);
  expect(ends).toEqual([]);
});

test("a loop that stands still ends the process once, after the bound and not before", () => {
  const words = new SharedArrayBuffer(8);
  Atomics.store(new Int32Array(words), 0, 7);
  watchMain(words, end, 1_000);
  vi.advanceTimersByTime(1_000);
  expect(ends).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(ends).toEqual(["the main thread's loop did not turn for 1000 ms"]);
});

test("a debugger stops the watch for as long as it is attached", () => {
  const words = new SharedArrayBuffer(8);
  Atomics.store(new Int32Array(words), 1, 1);
  watchMain(words, end, 1_000);
  vi.advanceTimersByTime(60_000);
  expect(ends).toEqual([]);
  Atomics.store(new Int32Array(words), 1, 0);
  vi.advanceTimersByTime(1_000);
  expect(ends).toHaveLength(1);
});
