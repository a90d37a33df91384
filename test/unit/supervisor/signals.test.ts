/** The end of a task that the accept path does not take at once. What fires and when: `test/contract/store-signals.test.ts`. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ErrorCode } from "../../../runtime/kernel/errors.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { makeSignals } from "../../../runtime/supervisor/signals.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** The mailbox refuses with these codes, one after the other, and then takes what comes. */
async function open(...refusals: readonly ErrorCode[]) {
  const codes = [...refusals];
  const told: string[] = [];
  const store = await openMemoryStore({ stateDir: "/state", agents: [] }, { now: Date.now });
  const task: TimerRow = {
    id: "c-1",
    agentId: "kim",
    sessionKey: "agent:kim:main",
    name: "exec make",
    via: "schedule:kim",
    body: "nobody has told",
    isData: false,
    dueAtMs: Date.now() + 3_600_000,
    task: { replyRoute: { type: "none" } },
    createdAtMs: Date.now(),
  };
  const process = () =>
    makeSignals({
      store,
      kernel: () => ({ isOpen: () => false, signalResult: () => undefined, view: () => undefined }),
      async accept({ body, signal, fires }: Admission) {
        const isThere = (await store.timers({ id: fires?.id ?? "", limit: 1 })).total > 0;
        const code = isThere ? codes.shift() : "CLOISTER_SIGNAL_UNKNOWN";
        if (code !== undefined) return { status: "refused", refusal: { code, message: code } };
        if (signal?.type === "task") told.push(`${signal.status}: ${body}`);
        await store.unschedule(fires?.id ?? "", {});
        return { status: "duplicate", runId: "r", envelopeId: "e" };
      },
      dueRun: async () => undefined,
      heartbeat: async () => undefined,
      heartbeatMs: async () => Date.now(),
      jobsHappen: () => true,
      newId: () => "1",
      nowMs: Date.now,
      log: quiet,
    });
  const signals = process();
  await signals.start();
  expect(await signals.setTask(task)).toBe("c-1");
  return { signals, task, told, store, process };
}

test("AC-19.1: the end of a task that a full mailbox does not take is told when there is room, with what it was", async () => {
  const { signals, task, told, store } = await open("CLOISTER_MAILBOX_FULL", "CLOISTER_MAILBOX_FULL");
  expect(await signals.endTask(task, "done", "it is made")).toBe(true);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(3 * limits.dueRetryMs);
  expect(told).toEqual(["done: it is made"]);
  expect(await signals.endTask(task, "failed", "again")).toBe(false);
  expect((await store.timers({ limit: 1 })).total).toBe(0);
});

test("AC-19.1: likewise by the next process, and once", async () => {
  const { signals, task, told, process } = await open("CLOISTER_MAILBOX_FULL");
  await signals.endTask(task, "failed", "it broke");
  signals.stop();
  await vi.advanceTimersByTimeAsync(limits.dueRetryMs);
  expect(told).toEqual([]);
  const next = process();
  await next.start();
  expect(told).toEqual(["failed: it broke"]);
  await vi.advanceTimersByTimeAsync(2 * 3_600_000);
  expect(told).toHaveLength(1);
});

test("is not kept while the gateway ends, nor for an agent that is gone: whoever tells of it hears so", async () => {
  for (const code of ["CLOISTER_GATEWAY_DRAINING", "CLOISTER_AGENT_UNKNOWN"] as const) {
    const { signals, task, store } = await open(code);
    await expect(signals.endTask(task, "done", "it is made")).rejects.toMatchObject({ code });
    expect((await store.timers({ limit: 1 })).rows).toEqual([task]);
  }
});
