import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { measureCalls } from "../../../bench/inside/measure-calls.ts";

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "performance"] }));
afterEach(() => vi.useRealTimers());

describe("measuring calls", () => {
  test("one in flight: each call begins when the one before has its answer", async () => {
    const running = measureCalls({ inFlight: 1, forMs: 100 }, () => later(10));
    await vi.advanceTimersByTimeAsync(100);
    expect(await running).toEqual({ calls: 10, elapsedMs: 100, p50Ms: 10, p99Ms: 10 });
  });

  test("many in flight: so many are under way, each by its own client", async () => {
    const clients = new Set<number>();
    let underWay = 0;
    let most = 0;
    const running = measureCalls({ inFlight: 4, forMs: 100 }, async (client) => {
      clients.add(client);
      most = Math.max(most, ++underWay);
      await later(client === 3 ? 50 : 10);
      underWay--;
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await running).toMatchObject({ calls: 32, elapsedMs: 100, p50Ms: 10, p99Ms: 50 });
    expect([most, [...clients]]).toEqual([4, [0, 1, 2, 3]]);
  });

  test("calls that began in time are waited for and counted", async () => {
    const running = measureCalls({ inFlight: 1, forMs: 100 }, () => later(70));
    await vi.advanceTimersByTimeAsync(140);
    expect(await running).toMatchObject({ calls: 2, elapsedMs: 140 });
  });

  test("a call that fails fails the measurement", async () => {
    await expect(measureCalls({ inFlight: 2, forMs: 100 }, () => Promise.reject(new Error("refused")))).rejects.toThrow(
      "refused",
    );
  });
});
