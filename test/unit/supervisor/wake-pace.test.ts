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
