/** What cells ask of timers, tasks and monitors: what is refused with which words, and whose they are. */
import { expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Kernel } from "../../../runtime/kernel/kernel.ts";
import type { SignalCall } from "../../../runtime/kernel/signal-call.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { makeSignals } from "../../../runtime/supervisor/signals.ts";

const nowMs = 1_000_000;
const sessionKey = "agent:kim:main";
const job: NonNullable<TimerRow["job"]> = {
  schedule: { kind: "at", atMs: nowMs },
  target: "main",
  payload: "systemEvent",
  delivery: { type: "none" },
  enabled: true,
  deleteAfterRun: true,
  by: "operator",
  updatedAtMs: 0,
  runs: [],
};

/** Of an agent of each phase that a test names. */
async function open({ phase, bounds = {} }: { readonly phase?: string; readonly bounds?: object } = {}) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const told: string[] = [];
  let answer = Promise.withResolvers<unknown>();
  let ids = 0;
  const store = await openMemoryStore({ stateDir: "/state", agents: [] }, { now: () => nowMs, bounds });
  const kernel: Pick<Kernel, "isOpen" | "signalResult" | "view"> = {
    isOpen: () => false,
    signalResult: (_call, result) =>
      answer.resolve("json" in result ? JSON.parse(result.json ?? "null") : result.refusal),
    view: () => (phase === undefined ? undefined : ({ phase, reason: "broken" } as never)),
  };
  const signals = makeSignals({
    store,
    kernel: () => kernel,
    async accept({ body, fires }) {
      told.push(body);
      await store.demonitor(fires?.id ?? "");
      return { status: "duplicate", runId: "r", envelopeId: "e" };
    },
    dueRun: async () => undefined,
    heartbeat: async () => undefined,
    heartbeatMs: async () => nowMs,
    jobsHappen: () => true,
    newId: () => String(++ids),
    nowMs: () => nowMs,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  await signals.start();
  const call = (asked: object): Promise<unknown> => {
    answer = Promise.withResolvers();
    const header = { id: `e${ids}`, sessionKey, replyRoute: { type: "none" } };
    const common = { type: "signal-call", agentId: "kim", incarnation: 1, ref: 1, turn: 1, callId: 1, header };
    signals.call({ ...common, ...asked } as unknown as SignalCall);
    return answer.promise;
  };
  const schedule = (params: unknown): Promise<unknown> =>
    call({
      call: "schedule",
      via: "schedule:kim",
      sessionKey,
      body: "b",
      params: typeof params === "string" ? params : JSON.stringify(params),
    });
  const row = (id: string, more: Partial<TimerRow> = {}): TimerRow => ({
    id,
    agentId: "kim",
    sessionKey,
    name: id,
    via: "schedule:kim",
    body: "b",
    isData: false,
    dueAtMs: nowMs + 3_600_000,
    createdAtMs: nowMs,
    ...more,
  });
  const idsLeft = async () => (await store.timers({ limit: 100 })).rows.map(({ id }) => id).toSorted();
  return { store, signals, told, call, schedule, row, idsLeft };
}

const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: "CLOISTER_REQUEST_INVALID", message: expect.stringMatching(message) });

test.each([
  ["no JSON", "{", /are not JSON/],
  ["no time", { name: "a", isData: false }, /wanted one of inMs, atMs and everyMs, found none/],
  ["two times", { name: "a", isData: false, inMs: 1, atMs: 2 }, /inMs: found inMs and atMs, wanted one of them/],
  ["a period that is too short", { name: "a", isData: false, everyMs: limits.timerPeriodMsMin - 1 }, /everyMs/],
  [
    "a time that is too far ahead",
    { name: "a", isData: false, inMs: limits.timerHorizonMsMax + 1 },
    new RegExp(`may be ${limits.timerHorizonMsMax} ms ahead, found ${limits.timerHorizonMsMax + 1}$`),
  ],
])("a timer with %s is refused, and none is set", async (_what, params, message) => {
  const { schedule, idsLeft } = await open();
  expect(await schedule(params)).toEqual(invalid(message));
  expect(await idsLeft()).toEqual([]);
});

test.each([
  [{ inMs: limits.timerHorizonMsMax }, limits.timerHorizonMsMax],
  [{ atMs: nowMs + 5.5 }, 5],
  [{ everyMs: 60_000 }, 60_000],
  [{ inMs: 7, everyMs: 60_000 }, 7],
])("a timer with %j is due then", async (times, inMs) => {
  const { schedule, store } = await open();
  const id = await schedule({ name: "a", isData: false, ...times });
  expect((await store.timers({ limit: 2 })).rows).toMatchObject([{ id, dueAtMs: nowMs + inMs }]);
});

test("a timer and a monitor beyond the bound of one agent are refused, and a task of the gateway is not set", async () => {
  const { schedule, call, signals, row, idsLeft } = await open({
    bounds: { timersPerAgentMax: 1, monitorsPerAgentMax: 1 },
  });
  const first = await schedule({ name: "a", isData: false, inMs: 60_000 });
  const full = expect.objectContaining({ code: "CLOISTER_MAILBOX_FULL" });
  expect(await schedule({ name: "b", isData: false, inMs: 60_000 })).toEqual(full);
  expect(await signals.setTask(row("c-1"))).toBeUndefined();
  expect(await idsLeft()).toEqual([first]);
  const watch = (target: string) => call({ call: "monitor", via: "monitor:kim", target });
  expect(await watch("raul")).toMatch(/^m-/);
  expect(await watch("ana")).toEqual(full);
});

test("an agent sees and removes its own timers alone: no task, no job, and nothing that waits for another", async () => {
  const { store, call, row, idsLeft } = await open();
  await store.schedule(row("t-own"));
  await store.schedule(row("t-task", { task: { replyRoute: { type: "none" } } }));
  await store.schedule(row("j-job", { job }));
  await store.schedule(row("t-other", { agentId: "raul", sessionKey: "agent:raul:main" }));
  expect(await call({ call: "timers", sessionKey: undefined })).toEqual([
    { id: "t-own", name: "t-own", sessionKey, dueAtMs: nowMs + 3_600_000 },
  ]);
  const remove = (id: string) => call({ call: "unschedule", sessionKey: undefined, id });
  expect(await remove("j-job")).toBe(false);
  expect(await remove("t-other")).toBe(false);
  expect(await idsLeft()).toEqual(["j-job", "t-other", "t-own", "t-task"]);
  expect(await remove("t-own")).toBe(true);
  expect(await idsLeft()).toEqual(["j-job", "t-other", "t-task"]);
});

test("a task that has ended is not ended again", async () => {
  const { store, call, row, told } = await open();
  await store.schedule(row("t-1", { task: { replyRoute: { type: "none" } } }));
  const complete = () => call({ call: "complete", sessionKey, id: "t-1", status: "done", body: "made" });
  await store.endTaskLater("t-1", { status: "failed", body: "broke", atMs: nowMs + 3_600_000 });
  expect(await complete()).toBe(false);
  expect(told).toEqual([]);
});

test("a watch is ended by the agent that set it alone", async () => {
  const { call, store } = await open();
  const monitor = await call({ call: "monitor", via: "monitor:kim", target: "raul" });
  expect(await call({ call: "demonitor", monitor, agentId: "ana" })).toBe(false);
  expect(await call({ call: "demonitor", monitor })).toBe(true);
  expect(await store.demonitor(String(monitor))).toBe(false);
});

test.each(["parked", "disabled"])("a watch of an agent that is %s already tells so", async (phase) => {
  const { call, told } = await open({ phase });
  await call({ call: "monitor", via: "monitor:kim", target: "raul" });
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual([`the agent raul is down (${phase}): broken`]);
});

test("a timer that an operator removes is in the audit trail; one that is not there is not", async () => {
  const { store, signals, row } = await open();
  const audit = vi.spyOn(store, "audit");
  await store.schedule(row("t-1"));
  expect(await signals.remove("t-1", "cli")).toMatchObject({ id: "t-1" });
  expect(audit.mock.calls.flatMap(([rows]) => rows)).toMatchObject([
    { type: "timer_removed", subject: "cli", object: sessionKey, decision: "allowed", detail: "t-1 of kim: t-1" },
  ]);
  expect(await signals.remove("t-1", "cli")).toBeUndefined();
  expect(audit).toHaveBeenCalledTimes(1);
});
