/** A long measurement of agents as several that stay within what one message may cause. */
import { expect, test } from "vitest";
import { inSlices } from "../../../bench/in-slices.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

test("a long measurement is several, each of which stays within what one message may cause", async () => {
  const asked: number[] = [];
  const figures = await inSlices(800, async (forMs) => {
    asked.push(forMs);
    return { calls: 1_000 * asked.length, elapsedMs: forMs + 1, p50Ms: asked.length, p99Ms: 10 * asked.length };
  });
  expect(asked).toEqual([160, 160, 160, 160, 160]);
  expect(500_000 * 0.16).toBeLessThan(limits.chainMessagesMax);
  expect(figures).toEqual({ calls: 15_000, elapsedMs: 805, p50Ms: 3, p99Ms: 30 });
});

test("a short one is one", async () => {
  const figures = { calls: 3, elapsedMs: 100, p50Ms: 1, p99Ms: 2 };
  expect(await inSlices(100, () => Promise.resolve(figures))).toEqual(figures);
});
