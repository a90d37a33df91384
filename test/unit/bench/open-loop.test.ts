/** A load at fixed times sees a pause in every request that fell into it. */
import { expect, test, vi } from "vitest";
import { loadOpen } from "../../../bench/open-loop.ts";

test("sends at its times although nothing answers, and counts from when a request was due", async () => {
  const open: (() => void)[] = [];
  const sent = vi.fn((_request: number, _dueMs: number) => new Promise<void>((resolve) => open.push(resolve)));
  const loading = loadOpen({ perSecond: 1_000, forMs: 20 }, sent);
  // A client that waits for its answers would stand still at the first request.
  await expect.poll(() => open.length).toBe(20);
  const heldMs = 30;
  await new Promise((resolve) => setTimeout(resolve, heldMs));
  for (const answer of open) answer();
  const { calls, p50Ms, maxMs } = await loading;
  expect(calls).toBe(20);
  const [, firstMs = 0] = sent.mock.calls[0] ?? [];
  expect(sent.mock.calls.map(([request, dueMs]) => [request, Math.round(dueMs - firstMs)])).toEqual(
    Array.from({ length: 20 }, (_, at) => [at, at]),
  );
  expect(p50Ms).toBeGreaterThan(heldMs);
  expect(maxMs).toBeGreaterThan(p50Ms);
});

test("rejects with the first failure when all requests have ended", async () => {
  let ended = 0;
  const call = async (request: number): Promise<void> => {
    ended++;
    if (request === 1) throw new Error("refused");
  };
  await expect(loadOpen({ perSecond: 1_000, forMs: 5 }, call)).rejects.toThrow("refused");
  expect(ended).toBe(5);
});
