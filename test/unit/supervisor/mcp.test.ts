/** Calls of MCP tools as the main thread has them, with a thread that answers when the test says so. */
import { expect, onTestFinished, test, vi } from "vitest";
import { nothingRead } from "../../../runtime/broker/secrets-read.ts";
import type { ResolvedAgent } from "../../../runtime/config/resolved.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { KernelForMcp, McpCall, McpForKernel, McpListing } from "../../../runtime/mcp/port.ts";
import { makeMcp } from "../../../runtime/supervisor/mcp.ts";
import type { ToolCall } from "../../../runtime/supervisor/tools/table.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const spec = (name: string) => ({ name, description: "", parameters: { type: "object" } });
const offers = (...names: readonly string[]): McpListing => ({
  server: "web",
  result: { tools: names.map((name) => ({ name, spec: spec(`mcp__web__${name}`) })) },
});

/** `answer` and `accept` let the thread give its list, and take a configuration. */
function open(renewed: readonly string[] = []) {
  const calls: McpCall[] = [];
  const listing = Promise.withResolvers<McpListing>();
  const configured = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let lists = 0;
  let told: KernelForMcp["changed"] = async () => undefined;
  const remote: McpForKernel = {
    list: async () => {
      lists++;
      asked.resolve();
      return [await listing.promise];
    },
    call: async (call) => {
      calls.push(call);
      return { status: "ok" };
    },
    cancel: async () => undefined,
    follow: async () => undefined,
    unfollow: async () => undefined,
    cancelTask: async () => ({ isEnded: true }),
    configure: () => configured.promise,
    readSecrets: async () => ({ ...nothingRead, servers: renewed }),
    connections: async () => [],
    heldMemory: async () => [],
    close: async () => undefined,
  };
  const mcp = makeMcp({
    config: {
      mcp: {
        servers: [],
        rules: [{ server: "web", agents: ["*"], include: [], exclude: [] }],
        idleMs: limits.mcpIdleMs,
      },
      stateDir: "/nowhere",
    },
    agents: new Map([["ana", { id: "ana", workspace: "/ana" } as ResolvedAgent]]),
    start: async (_settings, handlers) => {
      told = handlers.changed;
      return { remote, stop: async () => undefined };
    },
    signals: () => {
      throw new Error("there are no tasks here");
    },
    newId: () => "",
    nowMs: () => 0,
    log: quiet,
  });
  const call = (tool: string) =>
    mcp.tool.run({ agentId: "ana", incarnation: 1, turn: 7, header: { agentId: "ana" }, tool, body: "{}" } as ToolCall);
  return {
    mcp,
    call,
    calls,
    asked: asked.promise,
    lists: () => lists,
    answer: listing.resolve,
    accept: configured.resolve,
    tell: (one: McpListing) => told("ana", one),
  };
}

test("a call whose turn ends while the server tells its tools is not made", async () => {
  const { mcp, call, calls, asked, answer } = open();
  const called = call("mcp__web__pay");
  await asked;
  mcp.endTurn("ana", 7);
  answer(offers("pay"));
  expect(await called).toMatchObject({ code: "worker_unavailable", error: "the turn that made the call is over" });
  expect(calls).toEqual([]);
  expect(await call("mcp__web__pay")).toEqual({ status: "ok" });
});

test("what a server of the last configuration says before the thread knows of the next one counts no more", async () => {
  const { mcp, answer, tell, accept } = open();
  answer(offers("old"));
  await mcp.ready("ana");
  mcp.changed();
  await tell(offers("old", "older"));
  expect(mcp.namesOf("ana")).toEqual(["mcp__web__old", "mcp__web__older"]);
  accept();
  await new Promise(setImmediate);
  expect(mcp.isKnown("ana")).toBe(false);
  expect(mcp.namesOf("ana")).toEqual([]);
});

test("what a server told before it was given another secret is asked for again, also when it was on its way; the others' is kept", async () => {
  const { mcp, asked, answer, lists } = open(["web"]);
  const ready = mcp.ready("ana");
  await asked;
  await mcp.readSecrets();
  answer(offers("pay"));
  await ready;
  expect([lists(), mcp.namesOf("ana")]).toEqual([2, ["mcp__web__pay"]]);
  await mcp.readSecrets();
  expect(mcp.isKnown("ana")).toBe(false);
  const same = open(["other"]);
  same.answer(offers("pay"));
  await same.mcp.ready("ana");
  await same.mcp.readSecrets();
  expect(same.mcp.isKnown("ana")).toBe(true);
});

test("a server that hangs holds up one turn, and no further one; its tools are there when it has told them", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { mcp, asked, answer } = open();
  const first = mcp.ready("ana");
  await asked;
  await vi.advanceTimersByTimeAsync(limits.mcpListMs);
  await first;
  let isReady = false;
  void mcp.ready("ana").then(() => (isReady = true));
  await vi.advanceTimersByTimeAsync(1);
  expect([isReady, mcp.namesOf("ana")]).toEqual([true, []]);
  answer(offers("pay"));
  await vi.advanceTimersByTimeAsync(1);
  expect([mcp.isKnown("ana"), mcp.namesOf("ana")]).toEqual([true, ["mcp__web__pay"]]);
});
