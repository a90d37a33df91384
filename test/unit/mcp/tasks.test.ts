/** Tasks of MCP servers in their thread, on a virtual clock: what is asked after, how often, and when that ends. With a real server: `test/contract/mcp-tasks.test.ts`. */
import type { CallToolResult, Task } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Connection, Started } from "../../../runtime/mcp/connection.ts";
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
const failed = (kind: string, isUnsent = false): Error => Object.assign(new Error(kind), { kind, isUnsent });
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
  readonly started?: Started;
  readonly results?: readonly unknown[];
  readonly states?: readonly unknown[];
  /** Failures of connecting, then it connects. */
  readonly holds?: readonly unknown[];
}

function open({
  started = { task: state("working") },
  results = [failed("late")],
  states = [state("working")],
  holds = [],
}: Says) {
  const clock = makeVirtualClock();
  const did: string[] = [];
  const told: object[] = [];
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
    cancelTask: async () => void did.push("cancel"),
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
    remote: { ended: async (end) => void told.push(end), log: async () => undefined },
  });
  const run = (changes: Partial<McpCall> = {}, signal = new AbortController().signal) =>
    tasks.run({ ...asked, ...changes }, {}, held, signal);
  return { tasks, clock, did, told, run };
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
  expect(did).toEqual(["start", "result 1000", "cancel"]);
});

test("a turn that is over before the server has said that it began has it cancelled all the same", async () => {
  const { run, did } = open({ results: [failed("lost")] });
  await expect(run({}, AbortSignal.abort())).rejects.toThrow();
  expect(did).toEqual(["start", "result 10", "cancel"]);
});

test("what has begun is not begun once more, also when its server knows the connection no more", async () => {
  const { run } = open({ results: [failed("lost", true)] });
  await expect(run({ canBeTold: false })).rejects.toMatchObject({ kind: "lost", isUnsent: false });
});

test("a name of a task that is too long is none", async () => {
  const taskId = "x".repeat(limits.mcpTaskIdCharsMax + 1);
  await expect(open({ started: { task: state("working", { taskId }) } }).run()).rejects.toMatchObject({
    kind: "refused",
  });
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
])(
  "a task without a result of which its server %s how it ended goes on: its end is told later",
  async (_what, answer) => {
    const { run, did } = open({ results: [failed("refused")], states: [answer] });
    expect(await run()).toEqual({ status: "pending", remoteId: "r-1", untilMs: 1_060_000 });
    expect(did).toEqual(["start", "result 10", "get"]);
  },
);

test("a task that its server knows no more while the call waits has begun: it is not told as refused", async () => {
  const { run } = open({ results: [failed("refused")], states: [failed("refused")] });
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
  const { tasks, told } = open({ states: [failed("refused")] });
  await tasks.follow(task);
  await settle();
  expect(told).toEqual([
    { id: "s-1", isDone: false, text: expect.stringContaining("whether it took effect is not known") },
  ]);
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
