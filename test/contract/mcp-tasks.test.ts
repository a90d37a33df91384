/** Tools that a server carries out as tasks, and how their session hears of their end (AC-19.1): on a gateway with real cells, and a real server. */
import { afterEach, expect, test } from "vitest";
import type { McpServer } from "../../runtime/mcp/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { makeMcpStart } from "../../runtime/supervisor/start-mcp.ts";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { openGateway, subagentPolicy, type TestGateway } from "../support/gateway.ts";
import { type HttpMcp, httpServer, openHttpMcp, stdioServer } from "../support/mcp.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const startMcp = makeMcpStart(quiet, async () => ({ PATH: process.env["PATH"] ?? "" }));
const worker = { id: "worker", ...actor("commander") };

const config = (...servers: readonly McpServer[]) => ({
  webhook: { accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } }, defaultAccount: "default" },
  bindings: [{ index: 0, agentId: "worker", match: { channel: "webhook" } }],
  mcp: {
    servers,
    rules: servers.map(({ name }) => ({ server: name, agents: ["*"], include: [], exclude: [] })),
    idleMs: limits.mcpIdleMs,
  },
});

let server: HttpMcp;
afterEach(() => server.close());

/** One whose calls do not wait for tasks, unless it is said for how long. */
const reports = async (taskWaitMs = 1): Promise<McpServer> => {
  server = await openHttpMcp();
  return httpServer("reports", server.url, {}, { taskWaitMs });
};

interface Told {
  readonly status: string;
  readonly taskId: string;
  readonly text?: string;
}

const call = (params: object = {}, name = "mcp__reports__report") => JSON.stringify({ calls: [{ name, params }] });

/** A person asks over the channel for one call; gives what it gave. */
async function ask(gateway: TestGateway, params: object = {}, name?: string): Promise<Told> {
  const before = gateway.sent.length;
  const event = { channel: "webhook", accountId: "default", peer: { kind: "direct" as const, id: "p" } };
  await gateway.doors.inbound({ ...event, sender: { id: "p" }, text: call(params, name), tsMs: 1 });
  await gateway.until(() => gateway.sent.length > before);
  return JSON.parse(gateway.sent[before]?.text ?? "") as Told;
}

const open = async (gateway: TestGateway): Promise<number> => (await gateway.store.timers({ limit: 10 })).total;
const client = { clientId: "cli", connId: "c1" } as never;

test("what ends while the call waits is its result", async () => {
  const gateway = await openGateway([worker], config(await reports(60_000)), { startMcp });
  expect(await ask(gateway, { inMs: 0 })).toEqual({ status: "ok", text: "42 pages" });
  const failing = ask(gateway);
  await eventually(() => expect(server.tasks.begun).toHaveLength(2));
  await server.tasks.finish("there is no paper", true);
  expect(await failing).toEqual({ status: "error", code: "tool_error", error: "there is no paper" });
  expect(await open(gateway)).toBe(0);
});

test("AC-19.1: what goes on is told to its session when it ends: one turn and one channel message", async () => {
  const gateway = await openGateway([worker], config(await reports()), { startMcp });
  const pending = await ask(gateway);
  expect(pending).toEqual({
    status: "pending",
    taskId: expect.stringMatching(/^s-/),
    text: "reports goes on with it as a task.",
    news: "its end will be told to this session: end the turn",
  });
  const { payload } = (await gateway.doors.rpc(client, "tasks.list", {})) as never as { payload: { tasks: object[] } };
  expect(payload.tasks).toMatchObject([
    { id: pending.taskId, kind: "mcp", state: "open", name: "mcp__reports__report" },
  ]);
  await server.tasks.finish("42 pages");
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]).toMatchObject({
    peer: { id: "p" },
    sessionKey: "agent:worker:main",
    text: "mcp__reports__report done: 42 pages",
  });
  expect(await open(gateway)).toBe(0);
  expect(await gateway.drain(5_000)).toBe(true);
});

test("AC-19.1: what ends while the gateway is down is told at the next start, once, although the server knows its session no more", async () => {
  const first = await openGateway([worker], config(await reports()), { startMcp });
  await ask(first);
  expect(await first.drain(5_000)).toBe(true);
  server.forget();
  await server.tasks.finish("there is no paper", true);
  const second = await openGateway([], {}, { store: first.store, config: first.config, startMcp });
  await second.until(() => second.sent.length === 1);
  expect(second.sent[0]).toMatchObject({ peer: { id: "p" }, text: "mcp__reports__report failed: there is no paper" });
  expect(await second.drain(5_000)).toBe(true);
  const third = await openGateway([], {}, { store: first.store, config: first.config, startMcp });
  expect(await third.reply("worker", '{"calls":[]}')).toBe("{}");
  expect(third.sent).toEqual([]);
});

test("what a server that was started again does not know is told as that", async () => {
  const at = await reports();
  const gateway = await openGateway([worker], config(at), { startMcp });
  await ask(gateway);
  server.forget();
  server.tasks.cleanup();
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]?.text).toMatch(
    /failed: its server does not know it any more, and whether it took effect is not known/,
  );
});

test("what a process carries out ends with it, and its session is told so", async () => {
  server = await openHttpMcp();
  const gateway = await openGateway([worker], config(stdioServer("reports", { taskWaitMs: 1 })), { startMcp });
  expect(await ask(gateway)).toMatchObject({ status: "pending" });
  expect(await ask(gateway, {}, "mcp__reports__exit")).toMatchObject({ code: "outcome_unknown" });
  await gateway.until(() => gateway.sent.length === 3);
  expect(gateway.sent[2]?.text).toMatch(/^mcp__reports__report failed: its server does not know it any more/);
});

test("an operator who cancels it ends it at its server, and its session is told so once", async () => {
  const gateway = await openGateway([worker], config(await reports()), { startMcp });
  const { taskId } = await ask(gateway);
  expect(await gateway.doors.rpc(client, "tasks.cancel", { id: taskId, reason: "no paper" })).toMatchObject({
    payload: { cancelled: true, stillRunning: false },
  });
  expect(await server.tasks.getTask(server.tasks.begun[0] ?? "")).toMatchObject({ status: "cancelled" });
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]?.text).toBe("mcp__reports__report failed: an operator cancelled it: no paper");
  const again = await ask(gateway);
  await server.close();
  expect(await gateway.doors.rpc(client, "tasks.cancel", { id: again.taskId })).toMatchObject({
    payload: {
      cancelled: false,
      stillRunning: true,
      why: expect.stringMatching(/^the (connection to the )?MCP server reports /),
      remedy: expect.stringContaining("cancel it again when `cloister mcp list` shows that the server is connected"),
    },
  });
  expect(await open(gateway)).toBe(1);
});

test("one that wants to ask a person is cancelled, since there is none", async () => {
  const gateway = await openGateway([worker], config(await reports()), { startMcp });
  await ask(gateway);
  const [taskId = ""] = server.tasks.begun;
  await server.tasks.updateTaskStatus(taskId, "input_required", "which pages?");
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]?.text).toMatch(
    /failed: its server wants to ask somebody, .*; it was cancelled: which pages\?$/,
  );
  expect(await server.tasks.getTask(taskId)).toMatchObject({ status: "cancelled" });
});

test("its session is told when the server is taken from the agent", async () => {
  const gateway = await openGateway([worker], config(await reports()), { startMcp });
  await ask(gateway);
  const next = { ...gateway.config, revision: "without", mcp: { ...gateway.config.mcp, servers: [], rules: [] } };
  await gateway.configDesk.apply({ config: next, files: new Map() }, "test");
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]?.text).toMatch(/failed: the MCP server reports is not this agent's any more/);
});

test("a turn that is stopped while it waits has the server end it", async () => {
  const gateway = await openGateway([worker], config(await reports(60_000)), { startMcp });
  const turn = gateway.reply("worker", call(), "agent:worker:side").catch(() => undefined);
  await eventually(() => expect(server.tasks.begun).toHaveLength(1));
  await gateway.doors.rpc(client, "sessions.abort", { key: "agent:worker:side" });
  await turn;
  await eventually(async () =>
    expect(await server.tasks.getTask(server.tasks.begun[0] ?? "")).toMatchObject({ status: "cancelled" }),
  );
});

test("a turn that is stopped while the server begins ends at once, and leaves none at the server", async () => {
  const gateway = await openGateway([worker], config(await reports(60_000)), { startMcp });
  const answering = Promise.withResolvers<void>();
  server.tasks.answerAfter = answering.promise;
  const turn = gateway.say("worker", call(), "agent:worker:side");
  await eventually(() => expect(server.tasks.begun).toHaveLength(1));
  await gateway.doors.rpc(client, "sessions.abort", { key: "agent:worker:side" });
  expect(await turn).toMatchObject({ status: "error" });
  answering.resolve();
  await eventually(async () =>
    expect(await server.tasks.getTask(server.tasks.begun[0] ?? "")).toMatchObject({ status: "cancelled" }),
  );
  expect(await open(gateway)).toBe(0);
});

test("a sub-agent waits for its end: nobody could tell it later", async () => {
  const spawner = { ...worker, ...actor("spawner"), subagents: subagentPolicy() };
  const gateway = await openGateway([spawner], config(await reports()), { startMcp });
  const task = JSON.stringify({ do: "call", tool: "mcp__reports__report", params: {} });
  const end = gateway.reply("worker", JSON.stringify({ do: "spawn", options: { task } }));
  await eventually(() => expect(server.tasks.begun).toHaveLength(1));
  await server.tasks.finish("42 pages");
  expect(JSON.parse((JSON.parse(await end) as { text: string }).text)).toEqual({ status: "ok", text: "42 pages" });
  expect(await open(gateway)).toBe(0);
});
