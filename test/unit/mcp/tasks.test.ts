/** Tasks of MCP servers in their thread, on a virtual clock: what is asked after, how often, and when that ends. With a real server: `test/contract/mcp-tasks.test.ts`. */
import type { CallToolResult, Task } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Connection, Refused, Started } from "../../../runtime/mcp/connection.ts";
import type { Held } from "../../../runtime/mcp/pool.ts";
import type { McpCall, McpTask } from "../../../runtime/mcp/port.ts";
import { makeTasks } from "../../../runtime/mcp/tasks.ts";
import { makeVirtualClock, settle } from "../../support/virtual-clock.ts";

const state = (status: Task["status"], more: Partial<Task> = {}): Task => ({
  taskId: "r-1",
  status,
  ttl: 60_000,
  createdAt: "",
  lastUpdatedAt: "",
  ...more,
});
const result = (text: string): CallToolResult => ({ content: [{ type: "text", text }] });
const failed = (kind: string, more: { readonly isUnsent?: true; readonly because?: Refused } = {}): Error =>
  Object.assign(new Error(kind), { kind, isUnsent: false, ...more });
const unknown = failed("refused", { because: "params" });
const asked = { server: "web", tool: "report", workspace: "/w", canBeTold: true } as McpCall;
const task: McpTask = {
  id: "s-1",
  agentId: "kim",
  workspace: "/w",
  server: "web",
  tool: "report",
  remoteId: "r-1",
  untilMs: 1_100_000,
};

/** What the server says, in order; the last one again and again. */
interface Says {
  readonly started?: Promise<Started> | Started;
  readonly results?: readonly unknown[];
  readonly states?: readonly unknown[];
  /** Failures of connecting, then it connects. */
  readonly holds?: readonly unknown[];
  /** What becomes of `tasks/cancel`, in order; then it is cancelled. */
  readonly cancels?: readonly unknown[];
}

function open({
  started = { task: state("working") },
  results = [failed("late")],
  states = [state("working")],
  holds = [],
  cancels = [undefined],
}: Says) {
  const clock = makeVirtualClock();
  const did: string[] = [];
  const told: object[] = [];
  const logged: string[] = [];
  const count = new Map<string, number>();
  const next = async (what: string, list: readonly unknown[]): Promise<never> => {
    const at = count.get(what) ?? 0;
    count.set(what, at + 1);
    did.push(what);
    const said = list[Math.min(at, list.length - 1)];
    if (said instanceof Error) throw said;
    return said as never;
  };
  const connection: Connection = {
    pid: undefined,
    tools: async () => [],
    call: () => next("call", []),
    startTask: async () => (did.push("start"), started),
    task: () => next("get", states),
    taskResult: (_, waitMs) => next(`result ${waitMs}`, results),
    cancelTask: (taskId) => next(taskId === "r-1" ? "cancel" : `cancel ${taskId.slice(0, 9)}`, cancels),
    close: async () => undefined,
  };
  const held: Held = {
    connection,
    tools: [],
    release: () => did.push("release"),
    discard: () => did.push("discard"),
    renew: () => undefined,
    worked: () => undefined,
  };
  let connects = 0;
  const tasks = makeTasks({
    pool: {
      waitMs: (_, isTask) => (isTask ? 10 : 1_000),
      async hold() {
        const fault = holds[connects++];
        if (fault !== undefined) throw fault;
        did.push("hold");
        return held;
      },
    },
    clock: {
      nowMs: clock.nowMs,
      random: clock.random,
      after: (ms, act) => {
        const stop = new AbortController();
        void clock.pause(ms, stop.signal).then(() => stop.signal.aborted || act());
        return () => stop.abort();
      },
    },
    remote: { ended: async (end) => void told.push(end), log: async (_, what) => void logged.push(what) },
  });
  const run = (changes: Partial<McpCall> = {}, signal = new AbortController().signal) =>
    tasks.run({ ...asked, ...changes }, {}, held, signal);
  return { tasks, clock, did, told, logged, run };
}

test("a call waits for its result, and goes on when it takes longer or its connection ends meanwhile", async () => {
  expect(await open({ results: [result("42 pages")] }).run()).toEqual({ status: "ok", text: "42 pages" });
  for (const kind of ["late", "lost"])
    expect(await open({ results: [failed(kind)] }).run()).toEqual({
      status: "pending",
      remoteId: "r-1",
      untilMs: 1_060_000,
    });
  const forever = open({ started: { task: state("working", { ttl: null }) } });
  expect(await forever.run()).toMatchObject({ untilMs: 1_000_000 + limits.mcpTaskMsMax });
});

test("a server that carries it out at once is no task", async () => {
  const { run, did } = open({ started: { result: result("at once") } });
  expect(await run()).toEqual({ status: "ok", text: "at once" });
  expect(did).toEqual(["start"]);
});

test("where nobody can be told later it waits as long as a call may take, and then the server ends it", async () => {
  const { run, did } = open({});
  await expect(run({ canBeTold: false })).rejects.toMatchObject({ kind: "late" });
  await settle();
  expect(did).toEqual(["start", "result 1000", "hold", "cancel", "release"]);
});

test("a turn that is over begins none", async () => {
  const { run, did } = open({});
  await expect(run({}, AbortSignal.abort(new Error("over")))).rejects.toThrow("over");
  expect(did).toEqual([]);
});

test("a turn that is over while it waits has it cancelled", async () => {
  const stop = new AbortController();
  const { run, did } = open({ results: [failed("lost")] });
  const running = run({}, stop.signal);
  stop.abort(new Error("over"));
  await expect(running).rejects.toThrow();
  await settle();
  expect(did.slice(-3)).toEqual(["hold", "cancel", "release"]);
});

test.each([
  ["the turn is over", async (stop: AbortController) => stop.abort(new Error("over")), { message: "over" }],
  [
    "nobody waits any more",
    async (_: AbortController, pass: (ms: number) => Promise<void>) => pass(1_000),
    { kind: "late", isUnsent: false },
  ],
])(
  "when %s before the server has said that it began, the caller goes on, and it is cancelled by the name that comes later",
  async (_, end, error) => {
    const started = Promise.withResolvers<Started>();
    const stop = new AbortController();
    const { run, did, clock } = open({ started: started.promise });
    const running = run({}, stop.signal).catch((found: unknown) => found);
    await settle();
    await end(stop, (ms) => clock.advance(ms));
    expect(await running).toMatchObject(error);
    expect(did).toEqual(["start", "hold"]);
    started.resolve({ task: state("working") });
    await settle();
    expect(did).toEqual(["start", "hold", "release", "hold", "cancel", "release"]);
  },
);

test("what was not begun after all, or done at once, is not cancelled", async () => {
  for (const outcome of [Promise.reject(failed("lost")), Promise.resolve({ result: result("x") })]) {
    const started = Promise.withResolvers<Started>();
    const stop = new AbortController();
    const { run, did } = open({ started: started.promise });
    const running = run({}, stop.signal).catch(() => undefined);
    stop.abort(new Error("over"));
    await running;
    started.resolve(outcome);
    await settle();
    expect(did).toEqual(["start", "hold", "release"]);
  }
});

test("a server that is away, fails or does not answer is told again that nobody wants it, and in the end the operator is", async () => {
  const stop = new AbortController();
  const { run, did, clock, logged } = open({
    results: [failed("lost")],
    cancels: [failed("lost"), failed("late"), failed("refused", { because: "fault" }), undefined],
  });
  await expect(run({ canBeTold: false }, stop.signal)).rejects.toThrow();
  await clock.advance(600_000);
  expect(did.filter((what) => what === "cancel")).toHaveLength(4);
  expect(did.filter((what) => what === "discard")).toHaveLength(1);
  expect(clock.pauses.slice(-3)).toEqual([1_000, 2_000, 4_000]);
  expect(logged).toEqual([]);
  const never = open({ results: [failed("lost")], cancels: [failed("lost")] });
  await expect(never.run({ canBeTold: false })).rejects.toThrow();
  await never.clock.advance(3_600_000);
  expect(never.did.filter((what) => what === "cancel")).toHaveLength(limits.mcpTaskCancelsMax);
  expect(never.logged).toEqual([expect.stringContaining("it may go on there")]);
});

test("a server that has none that it could cancel is told once, and after the end of the thread none is", async () => {
  for (const because of ["params", "method"] as const) {
    const { run, did, clock } = open({ results: [failed("lost")], cancels: [failed("refused", { because })] });
    await expect(run({ canBeTold: false })).rejects.toThrow();
    await clock.advance(600_000);
    expect(did.filter((what) => what === "cancel")).toHaveLength(1);
  }
  const { run, did, clock, tasks } = open({ results: [failed("lost")], cancels: [failed("lost")] });
  await expect(run({ canBeTold: false })).rejects.toThrow();
  await settle();
  tasks.close();
  await clock.advance(600_000);
  expect(did.filter((what) => what === "cancel")).toHaveLength(1);
});

test("what has begun is not begun once more, also when its server knows the connection no more", async () => {
  const { run } = open({ results: [failed("lost", { isUnsent: true })] });
  await expect(run({ canBeTold: false })).rejects.toMatchObject({ kind: "lost", isUnsent: false });
});

test("a name of a task that is too long is none", async () => {
  const taskId = "x".repeat(limits.mcpTaskIdCharsMax + 1);
  const { run, did } = open({ started: { task: state("working", { taskId }) } });
  await expect(run()).rejects.toMatchObject({ kind: "refused", because: "fault" });
  await settle();
  expect(did).toEqual(["start", "hold", "cancel xxxxxxxxx", "release"]);
});

test.each([
  [state("failed", { statusMessage: "no paper" }), "it failed: no paper"],
  [state("failed"), "it failed: refused"],
  [state("cancelled"), "its server cancelled it"],
])("a task without a result tells how it ended: %j", async (ended, error) => {
  const { run } = open({ results: [failed("refused")], states: [ended] });
  expect(await run()).toMatchObject({ status: "error", error });
});

test.each([
  ["does not say", failed("late")],
  ["is not reached", failed("lost")],
  ["fails to say", failed("refused", { because: "fault" })],
])(
  "a task without a result of which its server %s how it ended goes on: its end is told later",
  async (_what, answer) => {
    const { run, did } = open({ results: [failed("refused")], states: [answer] });
    expect(await run()).toEqual({ status: "pending", remoteId: "r-1", untilMs: 1_060_000 });
    expect(did).toEqual(["start", "result 10", "get"]);
  },
);

test("a task that its server knows no more while the call waits has begun: it is not told as refused", async () => {
  const { run } = open({ results: [unknown], states: [unknown] });
  expect(await run()).toMatchObject({ status: "error", code: "outcome_unknown" });
});

test("it is asked after as often as its server wants, within bounds, and its end is told once", async () => {
  const slow = state("working", { pollInterval: 10 * limits.mcpTaskPollMsMax });
  const { tasks, clock, did, told } = open({
    states: [state("working"), state("working", { pollInterval: 1 }), slow, state("completed")],
    results: [result("42 pages")],
  });
  await tasks.follow(task);
  await tasks.follow(task);
  await clock.advance(100_000);
  expect(clock.pauses).toEqual([limits.mcpTaskPollMs, limits.mcpTaskPollMsMin, limits.mcpTaskPollMsMax]);
  expect(told).toEqual([{ id: "s-1", isDone: true, text: "42 pages" }]);
  expect(did).toEqual(["hold", "get", "get", "get", "get", `result ${limits.mcpRequestMs}`, "release"]);
});

test("a server that is away is asked again when it is back: its end is told all the same", async () => {
  const away = Object.assign(new Error("away"), { isUnavailable: true, isBusy: false, retryAfterMs: 5_000 });
  const { tasks, clock, did, told } = open({
    states: [failed("lost"), failed("late"), state("completed")],
    results: [result("42 pages")],
    holds: [undefined, away],
  });
  await tasks.follow(task);
  await clock.advance(100_000);
  expect(clock.pauses).toEqual([limits.mcpRetryMs, 5_000, limits.mcpTaskPollMs]);
  expect(did.slice(0, 5)).toEqual(["hold", "get", "discard", "release", "hold"]);
  expect(told).toEqual([{ id: "s-1", isDone: true, text: "42 pages" }]);
});

test("what its server does not know any more has ended, and how is not known", async () => {
  for (const [because, why] of [
    ["params", "its server does not know it any more"],
    ["method", "its server carries out no tasks any more"],
  ] as const) {
    const { tasks, told } = open({ states: [failed("refused", { because })] });
    await tasks.follow(task);
    await settle();
    expect(told).toEqual([
      { id: "s-1", isDone: false, text: `${why}, and whether it took effect is not known: refused` },
    ]);
  }
});

test("a server that fails when it is asked after it is asked again later, and the operator is told once", async () => {
  const fault = failed("refused", { because: "fault" });
  const { tasks, clock, told, logged } = open({
    states: [fault, fault, state("completed"), state("completed")],
    results: [fault, result("42 pages")],
  });
  await tasks.follow({ ...task, untilMs: 2_000_000 });
  await clock.advance(600_000);
  expect(clock.pauses).toEqual([limits.mcpTaskPollMsMax, limits.mcpTaskPollMsMax, limits.mcpTaskPollMsMax]);
  expect(told).toEqual([{ id: "s-1", isDone: true, text: "42 pages" }]);
  expect(logged).toEqual(["an MCP server fails when it is asked after a task; it is asked again"]);
});

test("an operator who cancels hears why a server has not, and what helps", async () => {
  const away = Object.assign(new Error("the MCP server web is not available: it failed a moment ago"), {
    isUnavailable: true,
  });
  const again = expect.stringMatching(/^cancel it again when `cloister mcp list` shows .*mcp\.servers\.web\.agents/);
  for (const [says, why, remedy] of [
    [{ holds: [away] }, `${away.message}; it was not told`, again],
    [{ cancels: [failed("late")] }, "the MCP server web did not answer within 10000 ms", again],
    [{ cancels: [failed("lost")] }, "the connection to the MCP server web ended before it answered: lost", again],
    [
      { cancels: [failed("refused", { because: "method" })] },
      "the MCP server web cancels no tasks: refused",
      expect.stringContaining("wait for its end"),
    ],
    [
      { cancels: [unknown] },
      "the MCP server web has none that it could cancel: refused",
      "its session is told how it ended",
    ],
    [
      { cancels: [failed("refused", { because: "fault" })] },
      "the MCP server web failed to cancel it: refused",
      expect.stringContaining("cancel it again"),
    ],
  ] as const)
    expect(await open(says).tasks.cancelTask(task)).toEqual({ isEnded: false, why, remedy });
  expect(await open({}).tasks.cancelTask(task)).toEqual({ isEnded: true });
});

test("nobody is told after its time, or when it is followed no more", async () => {
  const late = open({});
  await late.tasks.follow(task);
  await late.clock.advance(200_000);
  const stopped = open({ states: [state("working"), state("completed")], results: [result("x")] });
  await stopped.tasks.follow(task);
  await settle();
  await stopped.tasks.unfollow("s-1");
  await stopped.clock.advance(200_000);
  for (const { told, did } of [late, stopped]) {
    expect(told).toEqual([]);
    expect(did.at(-1)).toBe("release");
  }
});
