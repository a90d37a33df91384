/** What becomes of tasks of MCP servers when something else happens in the same moment. With a real server: `test/contract/mcp-tasks.test.ts`. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { McpForKernel } from "../../../runtime/mcp/port.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { makeMcpTasks } from "../../../runtime/supervisor/mcp-tasks.ts";
import { settle } from "../../support/virtual-clock.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

const call = {
  tool: "mcp__web__report",
  header: { agentId: "kim", sessionKey: "agent:kim:main", replyRoute: { type: "none" } },
} as never;
const goesOn = { status: "pending", remoteId: "r-1", untilMs: 1_000, server: "web", tool: "report" } as const;

function open({ isFull = false, kept = [] as TimerRow[] } = {}) {
  const did: string[] = [];
  let nowMs = 0;
  let broken = false;
  let failures = 0;
  let mayUse = true;
  const remote = {
    follow: async ({ id, remoteId, untilMs, workspace }) =>
      void did.push(`follow ${id} ${remoteId} ${untilMs} ${workspace}`),
    unfollow: async (id) => void did.push(`unfollow ${id}`),
    cancelTask: async ({ remoteId }) => (did.push(`cancel ${remoteId}`), { isEnded: true }),
  } satisfies Pick<McpForKernel, "follow" | "unfollow" | "cancelTask">;
  const tasks = makeMcpTasks(
    {
      signals: () => ({
        async setTask(task) {
          if (failures-- > 0) throw new Error("the disk is full");
          if (isFull) return undefined;
          kept.push(task);
          return task.id;
        },
        async endTask({ id }, status, body) {
          if (failures-- > 0) throw new Error("the disk is full");
          did.push(`${id} ${status}: ${body}`);
          return true;
        },
        timers: async () => ({ rows: kept, total: kept.length }),
      }),
      newId: () => String(kept.length),
      nowMs: () => nowMs,
      log: {
        debug: () => undefined,
        info: () => undefined,
        warn: (_, what) => void did.push(what),
        error: () => undefined,
      },
    },
    {
      remote: () => (broken ? Promise.reject(new Error("it does not start")) : Promise.resolve(remote as never)),
      agentOf: (agentId) => ({ agentId, workspace: `/${agentId}` }),
      mayUse: () => mayUse,
    },
  );
  return {
    tasks,
    kept,
    /** What happened since the last time. */
    did: async () => {
      await settle();
      return did.splice(0);
    },
    /** The store, so many times. */
    fail: (times: number) => void (failures = times),
    break: (is: boolean) => void (broken = is),
    take: () => void (mayUse = false),
    pass: async (ms: number) => {
      nowMs += ms;
      await vi.advanceTimersByTimeAsync(ms);
    },
  };
}

test("it is kept with its server's name for it before it is followed, and its end is told once", async () => {
  const { tasks, kept, did } = open();
  expect(await tasks.expect(call, goesOn)).toMatchObject({ status: "pending", taskId: "s-0" });
  expect(kept).toMatchObject([
    {
      id: "s-0",
      agentId: "kim",
      sessionKey: "agent:kim:main",
      name: "mcp__web__report",
      dueAtMs: 1_000,
      task: { mcp: { server: "web", tool: "report", remoteId: "r-1" } },
    },
  ]);
  expect(await did()).toEqual(["follow s-0 r-1 1000 /kim"]);
  await tasks.ended({ id: "s-0", isDone: true, text: "x".repeat(limits.taskResultCharsMax + 1) });
  await tasks.ended({ id: "s-0", isDone: true, text: "again" });
  expect(await did()).toEqual([`s-0 done: ${"x".repeat(limits.taskResultCharsMax)}`]);
});

test("a thread that is lost follows it again after a moment, and one that does not start is tried again", async () => {
  const { tasks, did, pass, break: broken } = open();
  await tasks.expect(call, { ...goesOn, untilMs: 1_000_000 });
  await did();
  tasks.lost();
  expect(await did()).toEqual([]);
  await pass(limits.mcpRetryMs);
  expect(await did()).toEqual(["follow s-0 r-1 1000000 /kim"]);
  broken(true);
  tasks.lost();
  await pass(limits.mcpRetryMs);
  expect(await did()).toEqual(["a task of an MCP server cannot be followed; tried again"]);
  broken(false);
  await pass(limits.mcpRetryMsMax);
  expect(await did()).toEqual(["follow s-0 r-1 1000000 /kim"]);
});

test("one whose time is over is followed no more: its session has been told that", async () => {
  const { tasks, did, pass } = open();
  await tasks.expect(call, goesOn);
  await did();
  await pass(1_000);
  tasks.lost();
  await pass(limits.mcpRetryMs);
  expect(await did()).toEqual([]);
  expect(await tasks.cancel("s-0")).toBe("over");
});

test("the agent is told at once when it has too many timers, and the server to end it", async () => {
  const { tasks, did } = open({ isFull: true });
  expect(await tasks.expect(call, goesOn)).toMatchObject({
    status: "error",
    code: "busy",
    error: expect.stringContaining("the server was told to end it"),
  });
  expect(await did()).toEqual(["cancel r-1"]);
});

test("those of the last process are gone on with, and those whose server the agent has no longer are told", async () => {
  const last = open();
  await last.tasks.expect(call, goesOn);
  const kept = [...last.kept, { ...last.kept[0], id: "t-other" } as TimerRow];
  const now = open({ kept });
  await now.tasks.start();
  expect(await now.did()).toEqual(["follow s-0 r-1 1000 /kim"]);
  now.take();
  now.tasks.changed();
  expect(await now.did()).toEqual([
    "s-0 failed: the MCP server web is not this agent's any more; what became of it is not known",
    "unfollow s-0",
  ]);
  const later = open({ kept });
  later.take();
  await later.tasks.start();
  expect(await later.did()).toHaveLength(1);
});

test("a store that cannot keep it has the server told to end it, and the agent that nobody will tell of it", async () => {
  const { tasks, did, kept, fail } = open();
  fail(1);
  expect(await tasks.expect(call, goesOn)).toMatchObject({
    status: "error",
    code: "worker_unavailable",
    error: expect.stringContaining("it could not be kept for its end; the server was told to end it"),
  });
  expect(kept).toEqual([]);
  expect(await did()).toEqual(["a task of an MCP server could not be kept, and is given up", "cancel r-1"]);
});

test("a store that cannot take its end is asked again for as long as the task has, and told once", async () => {
  const { tasks, did, pass, fail } = open();
  await tasks.expect(call, { ...goesOn, untilMs: 2 * limits.mcpRetryMsMax });
  await did();
  const failed = "the end of a task of an MCP server could not be told yet; tried again";
  fail(1);
  await tasks.ended({ id: "s-0", isDone: true, text: "ready" });
  expect(await did()).toEqual([failed]);
  await pass(limits.mcpRetryMsMax);
  expect(await did()).toEqual(["s-0 done: ready"]);
  await pass(2 * limits.mcpRetryMsMax);
  expect(await did()).toEqual([]);
});

test("after its time its end is not tried again: the session has been told that nobody told of it", async () => {
  const { tasks, did, pass, fail } = open();
  await tasks.expect(call, { ...goesOn, untilMs: limits.mcpRetryMsMax });
  await did();
  fail(9);
  await tasks.ended({ id: "s-0", isDone: false, text: "broke" });
  expect(await did()).toHaveLength(1);
  await pass(limits.mcpRetryMsMax);
  expect(await did()).toHaveLength(1);
  await pass(2 * limits.mcpRetryMsMax);
  expect(await did()).toEqual([]);
});
