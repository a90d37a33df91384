/** When retention walks: by its clock, one walk at a time, and on after a store or an agent that failed. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Store } from "../../../runtime/store/port.ts";
import { makeRetention, type RetentionDeps } from "../../../runtime/supervisor/retention.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const nothing = { transcripts: 0, messages: 0, files: [], more: false };

function make(store: Partial<Store> = {}, rule: Partial<RetentionDeps["rule"]> = {}) {
  const errors: string[] = [];
  const ignore = (): void => undefined;
  const retention = makeRetention({
    store: {
      countSessions: async () => ({ counts: {} }),
      staleSessions: async () => ({ rows: [], over: {} }),
      pruneSession: async () => undefined,
      expireTranscripts: async () => nothing,
      storedBytes: async () => 0,
      audit: async () => undefined,
      ...store,
    },
    rule: { isEnforced: true, pruneAfterMs: 1_000, transcriptsAfterMs: 500, entriesMax: 3, bytes: undefined, ...rule },
    agents: new Map([
      ["ann", {}],
      ["bob", {}],
    ]),
    mainOf: (agentId) => `agent:${agentId}:main`,
    forgetState: () => true,
    onSessionChanged: ignore,
    nowMs: Date.now,
    log: { debug: ignore, info: ignore, warn: ignore, error: (_fields, message) => void errors.push(message) },
  });
  return { retention, errors };
}

test("the first walk comes some minutes after the start, the next ones every few hours, also after one that failed; none after the close", async () => {
  let walks = 0;
  const { retention, errors } = make({
    countSessions: async () => {
      walks += 1;
      if (walks === 1) throw new Error("power cut");
      return { counts: {} };
    },
  });
  retention.start();
  await vi.advanceTimersByTimeAsync(limits.retentionFirstMs - 1);
  expect(walks).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect([walks, errors.length]).toEqual([1, 1]);
  await vi.advanceTimersByTimeAsync(2 * limits.retentionEveryMs);
  expect([walks, errors.length]).toEqual([3, 1]);
  await retention.close();
  await vi.advanceTimersByTimeAsync(2 * limits.retentionEveryMs);
  expect(walks).toBe(3);
});

test("a walk begins when the one before has ended, and the close waits for the call under way", async () => {
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const { retention } = make({
    countSessions: async () => {
      order.push("walk");
      await gate.promise;
      return { counts: {} };
    },
    expireTranscripts: async (agentId) => {
      order.push(agentId);
      return nothing;
    },
  });
  const walks = [retention.sweep(), retention.sweep(false)];
  await vi.advanceTimersByTimeAsync(1);
  expect(order).toEqual(["walk"]);
  gate.resolve();
  await Promise.all(walks);
  expect(order).toEqual(["walk", "ann", "bob", "walk", "ann", "bob"]);
});

test("one agent whose store fails is told, and the others are looked through", async () => {
  const { retention, errors } = make({
    expireTranscripts: async (agentId) => {
      if (agentId === "ann") throw new Error("power cut");
      return { ...nothing, transcripts: 1, messages: 2 };
    },
  });
  expect((await retention.sweep()).agents).toMatchObject([
    { agentId: "ann", error: expect.stringContaining("power cut") },
    { agentId: "bob", transcripts: 1, messages: 2 },
  ]);
  expect(errors).toHaveLength(1);
});

test("what is kept for good by age is still bounded by number, and a walk goes on until nothing is left", async () => {
  const asked: unknown[] = [];
  const { retention } = make(
    {
      countSessions: async (after) =>
        after === undefined ? { counts: { ann: 4 }, next: "k" } : { counts: { ann: 1, bob: 3 } },
      staleSessions: async ({ over }) => {
        asked.push(over);
        return { rows: [], over, ...(asked.length === 1 ? { next: [1, "k"] as const } : {}) };
      },
      expireTranscripts: async (_agentId, rule) => {
        asked.push(rule);
        return { ...nothing, messages: 1, more: asked.length === 3 };
      },
    },
    { transcriptsAfterMs: undefined },
  );
  const { agents } = await retention.sweep();
  const rule = { beforeMs: 0, max: 3 };
  expect(asked).toEqual([{ ann: 2 }, { ann: 2 }, rule, rule, rule]);
  expect(agents).toMatchObject([
    { agentId: "ann", tooMany: 2, messages: 2, more: false },
    { agentId: "bob", messages: 1 },
  ]);
});
