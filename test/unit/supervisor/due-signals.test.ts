/** When what is due is looked for: at its time, whatever comes meanwhile, fails or ends. On a clock of its own, with the store in memory. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ErrorCode, failure } from "../../../runtime/kernel/errors.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { makeSignals } from "../../../runtime/supervisor/signals.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const hour = 3_600_000;

async function open() {
  /** What the clock says beyond the time that timeouts wait: a machine that slept. */
  let slept = 0;
  const nowMs = (): number => Date.now() + slept;
  const told: string[] = [];
  const errors: string[] = [];
  /** The mailbox refuses with this, as long as it is set. */
  const mailbox: { code?: ErrorCode; onMail?: () => void; heartbeat?: Error } = {};
  const store = await openMemoryStore({ stateDir: "/state", agents: [] }, { now: nowMs });
  const signals = makeSignals({
    store,
    kernel: () => ({ isOpen: () => false, signalResult: () => undefined, view: () => undefined }),
    async accept({ body, fires }: Admission) {
      told.push(body);
      mailbox.onMail?.();
      const { code } = mailbox;
      if (code !== undefined) return { status: "refused", refusal: { code, message: code } };
      const id = fires?.id ?? "";
      if (fires?.nextMs !== undefined) await store.postpone(id, fires.nextMs);
      else if (id.startsWith("m-")) await store.demonitor(id);
      else await store.unschedule(id, {});
      return { status: "duplicate", runId: "r", envelopeId: "e" };
    },
    dueRun: async () => undefined,
    heartbeat: async () => undefined,
    async heartbeatMs() {
      if (mailbox.heartbeat !== undefined) throw mailbox.heartbeat;
      return nowMs();
    },
    jobsHappen: () => true,
    newId: () => "1",
    nowMs,
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (_, text) => errors.push(text),
    },
  });
  const timer = (body: string, inMs: number): TimerRow => ({
    id: `t-${body}`,
    agentId: "kim",
    sessionKey: "agent:kim:main",
    name: body,
    via: "schedule:kim",
    body,
    isData: false,
    dueAtMs: nowMs() + inMs,
    createdAtMs: nowMs(),
  });
  const sleep = (ms: number): void => void (slept += ms);
  await signals.start();
  const read = store.due.bind(store);
  const looks = vi.spyOn(store, "due");
  return { signals, store, told, errors, mailbox, timer, sleep, read, looks };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const down = (agentId: string, detail = "") => ({ type: "down", agentId, reason: "crash", detail }) as const;

test("each comes at its time, whichever was set first, and nothing is looked for before", async () => {
  const { signals, told, timer, looks } = await open();
  await signals.setTask(timer("soon", 10));
  await signals.setTask(timer("last", 2 * hour));
  await signals.setTask(timer("first", hour));
  await pass(10);
  expect(told).toEqual(["soon"]);
  looks.mockClear();
  await pass(hour - 11);
  expect(looks).not.toHaveBeenCalled();
  await pass(1);
  expect(told).toEqual(["soon", "first"]);
  await pass(hour);
  expect(told).toEqual(["soon", "first", "last"]);
});

test("one that is far ahead, further than a timeout can wait, is not looked for all the time", async () => {
  const { signals, timer, looks } = await open();
  const waits = vi.spyOn(globalThis, "setTimeout");
  await signals.setTask(timer("far", 60 * 24 * hour));
  await pass(10 * limits.dueLookMs);
  expect(waits.mock.calls.length).toBeLessThan(20);
  expect(looks).not.toHaveBeenCalled();
});

test("what became due while the machine slept comes soon after it woke", async () => {
  const { signals, told, timer, sleep } = await open();
  await signals.setTask(timer("morning", 8 * hour));
  await pass(1);
  sleep(9 * hour);
  await pass(limits.dueLookMs);
  expect(told).toEqual(["morning"]);
});

test("what is set while nothing was found to be due comes as well", async () => {
  const { signals, told, timer, looks } = await open();
  await signals.setTask(timer("gone", 10));
  const gate = Promise.withResolvers<void>();
  looks.mockImplementationOnce(async () => {
    await gate.promise;
    return { rows: [], nextMs: undefined };
  });
  await pass(10);
  await signals.setTask(timer("new", 20));
  gate.resolve();
  await pass(20);
  expect(told).toContain("new");
});

test("nothing comes any more when the gateway stops, not even what was just read", async () => {
  const { signals, store, told, timer, read, looks } = await open();
  await signals.setTask(timer("late", 10));
  const gate = Promise.withResolvers<void>();
  looks.mockImplementationOnce(async (...asked) => {
    const found = await read(...asked);
    await gate.promise;
    return found;
  });
  await pass(10);
  signals.stop();
  gate.resolve();
  await pass(hour);
  expect(told).toEqual([]);
  expect(looks).toHaveBeenCalledTimes(1);
  expect((await store.timers({ limit: 1 })).total).toBe(1);
});

test("a store that cannot be read is asked again a while later, and nothing is lost", async () => {
  const { signals, told, errors, timer, looks } = await open();
  await signals.setTask(timer("kept", 10));
  looks.mockRejectedValueOnce(new Error("the disk"));
  await pass(10 + limits.dueRetryMs - 1);
  expect(looks).toHaveBeenCalledTimes(1);
  expect(errors).toEqual([expect.stringContaining("tried again")]);
  await pass(1);
  expect(told).toEqual(["kept"]);
});

test("what a mailbox does not take comes again, later each time, and never later than a bound", async () => {
  const { signals, store, told, mailbox, timer } = await open();
  const postpone = vi.spyOn(store, "postpone");
  mailbox.code = "CLOISTER_MAILBOX_FULL";
  await signals.setTask(timer("full", 10));
  await pass(10);
  await pass(10 * limits.dueRetryMsMax);
  const times = postpone.mock.calls.map(([, atMs]) => atMs);
  const waits = times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0));
  expect(waits[0]).toBe(limits.dueRetryMs);
  expect(waits.toSorted((a, b) => a - b)).toEqual(waits);
  expect(new Set(waits).size).toBeGreaterThan(3);
  expect(waits.at(-1)).toBe(limits.dueRetryMsMax);
  delete mailbox.code;
  const before = told.length;
  await pass(2 * limits.dueRetryMsMax);
  expect(told).toHaveLength(before + 1);
});

test("what is gone when it is told is left alone", async () => {
  const { signals, store, told, mailbox, timer } = await open();
  const [postpone, audit] = [vi.spyOn(store, "postpone"), vi.spyOn(store, "audit")];
  mailbox.code = "CLOISTER_SIGNAL_UNKNOWN";
  await signals.setTask(timer("gone", 10));
  mailbox.onMail = () => void store.unschedule("t-gone", {});
  await pass(10 * limits.dueRetryMsMax);
  expect(told).toEqual(["gone"]);
  expect([postpone, audit].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
});

test("the end of an agent that could not be written is told later, once, and as it was the last time", async () => {
  const { signals, store, told, errors } = await open();
  const watch = { agentId: "kim", sessionKey: "agent:kim:main", via: "monitor:kim", createdAtMs: Date.now() };
  await store.monitor({ ...watch, id: "m-1", target: "raul" });
  await store.monitor({ ...watch, id: "m-2", target: "ana" });
  const writes = vi.spyOn(store, "down");
  signals.down(down("ana", "one"));
  await pass(1);
  expect(told).toEqual([expect.stringContaining("ana is down (crash): one")]);
  writes.mockRejectedValueOnce(new Error("the disk"));
  signals.down(down("raul", "two"));
  // It ends once more before that was tried again.
  writes.mockRejectedValueOnce(new Error("the disk"));
  signals.down(down("raul", "three"));
  await pass(limits.dueRetryMs);
  expect(errors).toHaveLength(2);
  expect(told.slice(1)).toEqual([expect.stringContaining("raul is down (crash): three")]);
  const written = writes.mock.calls.length;
  await pass(hour);
  await store.monitor({ ...watch, id: "m-3", target: "raul" });
  signals.expect(Date.now());
  await pass(hour);
  expect(writes).toHaveBeenCalledTimes(written);
  expect(told).toHaveLength(2);
});

test("an end that comes while the one before it is written is told as well", async () => {
  const { signals, store, told } = await open();
  const watch = { agentId: "kim", sessionKey: "agent:kim:main", via: "monitor:kim", createdAtMs: Date.now() };
  const writes = vi.spyOn(store, "down");
  const gate = Promise.withResolvers<void>();
  writes.mockImplementationOnce(async () => {
    await gate.promise;
    return 0;
  });
  signals.down(down("raul", "one"));
  await store.monitor({ ...watch, id: "m-1", target: "raul" });
  writes.mockRejectedValueOnce(new Error("the disk"));
  signals.down(down("raul", "two"));
  gate.resolve();
  await pass(limits.dueRetryMs);
  expect(told).toEqual([expect.stringContaining("raul is down (crash): two")]);
});

test("a process that ended without order is told of by the next one, to whoever watched", async () => {
  const { signals, store, told } = await open();
  await store.monitor({
    id: "m-1",
    agentId: "kim",
    sessionKey: "agent:kim:main",
    target: "raul",
    via: "monitor:kim",
    createdAtMs: Date.now(),
  });
  signals.stop();
  await signals.start();
  expect(told).toEqual([expect.stringContaining("raul is down (killed)")]);
});

const held: NonNullable<TimerRow["job"]> = {
  schedule: { kind: "at", atMs: 0 },
  target: "main",
  payload: "systemEvent",
  delivery: { type: "none" },
  atHeartbeat: true,
  enabled: true,
  deleteAfterRun: true,
  by: "operator",
  updatedAtMs: 0,
  runs: [],
};

test("what waits for a heartbeat of an agent that has none says so once, and comes when there is one", async () => {
  const { signals, store, told, mailbox, timer } = await open();
  mailbox.heartbeat = failure("CLOISTER_REQUEST_INVALID", "it has no heartbeat", "set one");
  await signals.setTask({ ...timer("held", 10), id: "j-held", job: held });
  await pass(10 * limits.dueRetryMsMax);
  const [row] = (await store.timers({ limit: 1 })).rows;
  expect(row?.job?.runs).toEqual([
    expect.objectContaining({ status: "skipped", text: "it has no heartbeat: set one" }),
  ]);
  expect(told).toEqual([]);
  delete mailbox.heartbeat;
  await pass(2 * limits.dueRetryMsMax);
  expect(told).toEqual(["held"]);
});

test("whose next heartbeat cannot be read is looked for again: nothing is skipped for it", async () => {
  const { signals, store, told, errors, mailbox, timer } = await open();
  mailbox.heartbeat = failure("CLOISTER_STORE_FAILED", "the disk");
  await signals.setTask({ ...timer("held", 10), id: "j-held", job: held });
  await pass(10 + 2 * limits.dueRetryMs);
  expect(errors.length).toBeGreaterThan(1);
  expect((await store.timers({ limit: 1 })).rows[0]?.job?.runs).toEqual([]);
  delete mailbox.heartbeat;
  await pass(limits.dueRetryMs);
  expect(told).toEqual(["held"]);
});
