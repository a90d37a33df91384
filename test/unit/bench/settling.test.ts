import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { measureSettling } from "../../../bench/inside/settling.ts";

const order = { how: "endless loop", pending: 4, windowMs: 1_000, file: "/signs" } as const;

class TargetDied extends Error {
  override readonly name = "TargetDied";
}

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => vi.useRealTimers());

test("each way to settle is told from the others, and a call that is pending after the window is left out", async () => {
  const asked: string[] = [];
  const ways = [
    () => Promise.reject(Object.assign(new Error("gone"), { code: "CLOISTER_AGENT_CRASHED" })),
    () => Promise.reject(new TargetDied("gone")),
    () => Promise.reject(new Error("gone")),
    () => new Promise(() => undefined),
    () => Promise.resolve("dying"),
  ];
  const measuring = measureSettling(order, (text, call) => {
    asked.push(text);
    return ways[call]?.() ?? Promise.reject(new Error("no such call"));
  });
  await vi.advanceTimersByTimeAsync(order.windowMs);
  const settled = await measuring;
  expect(settled.map(({ as, isTyped }) => [as, isTyped])).toEqual([
    ["CLOISTER_AGENT_CRASHED", true],
    ["TargetDied", true],
    ["Error: gone", false],
  ]);
  expect(settled.every(({ atNs }) => BigInt(atNs) > 0n)).toBe(true);
  expect(asked.slice(0, 4)).toEqual(["wait", "wait", "wait", "wait"]);
  expect(JSON.parse(asked[4] ?? "")).toEqual({ how: "endless loop", pending: 4, file: "/signs" });
});

test("an answer is no error, and the window ends when all have settled", async () => {
  const settled = await measureSettling(order, () => Promise.resolve({ status: "no_reply" }));
  expect(settled.map(({ as, isTyped }) => [as, isTyped])).toEqual(
    Array.from({ length: 4 }, () => ['an answer: {"status":"no_reply"}', false]),
  );
});

test("a target that dies before it has said so counts as any other", async () => {
  const settled = await measureSettling(order, () => Promise.reject(new TargetDied("gone")));
  expect(settled.map(({ as }) => as)).toEqual(Array.from({ length: 4 }, () => "TargetDied"));
});

test("a target that has to be ended is ended once, after it said that it is ready", async () => {
  const happened: string[] = [];
  const ask = (text: string): Promise<unknown> => {
    if (text !== "wait") happened.push("ready");
    return Promise.resolve();
  };
  await measureSettling({ ...order, how: "ended from outside" }, ask, () => happened.push("ended"));
  await measureSettling(order, ask, () => happened.push("ended"));
  expect(happened).toEqual(["ready", "ended", "ready"]);
});
