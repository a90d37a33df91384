import { getHeapSpaceStatistics } from "node:v8";
import { createContext, runInContext } from "node:vm";
import { expect, test } from "vitest";
import { trimHeap } from "../../../runtime/thread/trim-heap.ts";

const physicalMb = (): number =>
  getHeapSpaceStatistics().reduce((sum, { physical_space_size }) => sum + physical_space_size, 0) / 1_048_576;

test("gives back the pages of what is no longer held, and leaves nobody a way to force a collection", async () => {
  const before = physicalMb();
  let held: unknown[] | undefined = Array.from({ length: 400_000 }, (_, n) => ({ n, text: `text ${n}` }));
  const full = physicalMb();
  expect(full - before).toBeGreaterThan(20);
  expect(held).toHaveLength(400_000);
  held = undefined;
  await trimHeap();
  expect(physicalMb()).toBeLessThan(before + (full - before) / 4);
  expect(runInContext("typeof gc", createContext())).toBe("undefined");
});
