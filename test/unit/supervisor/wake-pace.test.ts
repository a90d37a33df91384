/** How fast an agent is told of events. In the gateway: `test/contract/heartbeat.test.ts`. */
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeWakePace } from "../../../runtime/supervisor/wake-pace.ts";

test("the next one comes half a minute after the last one was told, whenever that is", () => {
  const pace = makeWakePace();
  expect(pace.place("kim", 0)).toEqual({ atMs: 0 });
  expect(pace.place("kim", 10_000)).toEqual({ atMs: 30_000 });
  expect(pace.place("kim", 20_000)).toEqual({ atMs: 60_000 });
  expect(pace.place("kim", 95_000)).toEqual({ atMs: 95_000 });
  expect(pace.place("raul", 95_000)).toEqual({ atMs: 95_000 });
});

test("of more than five in a minute the rest is refused until the first of them is a minute old", () => {
  const pace = makeWakePace();
  for (let came = 0; came < limits.wakesPerSpanMax; came++) pace.place("kim", came * 1_000);
  expect(pace.place("kim", 6_000)).toEqual({ retryAfterMs: 54_000 });
  expect(pace.place("kim", 59_999)).toEqual({ retryAfterMs: 1 });
  expect(pace.place("kim", 60_000)).toEqual({ atMs: 150_000 });
  expect(pace.place("kim", 60_500)).toEqual({ retryAfterMs: 500 });
});

test("what is told at once counts with them, waits for none of them, and counts no more when it is taken back", () => {
  const pace = makeWakePace();
  pace.place("kim", 0);
  const taken = [1, 2, 3, 4].map((atMs) => pace.take("kim", atMs));
  expect(pace.take("kim", 5)).toEqual({ retryAfterMs: 59_995 });
  expect(pace.place("kim", 5)).toEqual({ retryAfterMs: 59_995 });
  expect(pace.take("raul", 5)).toEqual({ takeBack: expect.any(Function) });
  for (const one of taken) if ("takeBack" in one) one.takeBack();
  expect(pace.place("kim", 6)).toEqual({ atMs: 30_000 });
});

test("no more than five wait: who goes on and on is refused until one of them is told", () => {
  const pace = makeWakePace();
  const waits: number[] = [];
  // Less than five in a minute, and more than are told in one.
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 15_000) {
    const placed = pace.place("kim", nowMs);
    if ("atMs" in placed) waits.push(placed.atMs - nowMs);
    else expect(placed.retryAfterMs).toBe(15_000);
  }
  expect(Math.max(...waits)).toBe(limits.wakesPerSpanMax * limits.wakesApartMs);
  // Those that are told in the hour, and those that wait at its end.
  expect(waits.length).toBe(3_600_000 / limits.wakesApartMs + limits.wakesPerSpanMax);
});
