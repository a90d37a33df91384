import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeDebounce } from "../../../runtime/supervisor/debounce.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(quietMs = 300, longestMs = 5_000) {
  const calls: number[] = [];
  const startMs = Date.now();
  return {
    calls,
    ...makeDebounce(
      () => void calls.push(Date.now() - startMs),
      () => quietMs,
      longestMs,
    ),
  };
}

test("many notices are one call, when it was quiet for a while", () => {
  const { calls, notice } = open();
  for (let n = 0; n < 5; n += 1) {
    notice();
    vi.advanceTimersByTime(100);
  }
  vi.advanceTimersByTime(10_000);
  expect(calls).toEqual([700]);
});

test("what is never quiet is called after the longest wait, again and again", () => {
  const { calls, notice } = open();
  for (let n = 0; n < 120; n += 1) {
    notice();
    vi.advanceTimersByTime(100);
  }
  expect(calls).toEqual([5_000, 10_000]);
  vi.advanceTimersByTime(10_000);
  expect(calls).toEqual([5_000, 10_000, 12_200]);
});

test("a while that is longer than the longest wait is kept, and what is cancelled is not called", () => {
  const { calls, notice, cancel } = open(8_000);
  notice();
  vi.advanceTimersByTime(7_999);
  expect(calls).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(calls).toEqual([8_000]);
  notice();
  cancel();
  vi.advanceTimersByTime(60_000);
  expect(calls).toEqual([8_000]);
});
