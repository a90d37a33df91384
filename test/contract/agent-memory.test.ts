/** A6.2: what operators are told of the memory of each agent: of its cells, and of the processes that really run for it. */
import { describe, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { AgentMemoryRow } from "../../runtime/supervisor/agent-memory.ts";
import { makeMcpStart } from "../../runtime/supervisor/start-mcp.ts";
import { actor } from "../support/actors.ts";
import { execSettings } from "../support/exec-settings.ts";
import { openGateway, openGatewayAt, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { stdioServer } from "../support/mcp.ts";

const megabyte = 1_048_576;
const exec = execSettings({ tools: { exec: { security: "full", ask: "off" } } });
const user = (id: string, changes: Partial<TestAgent> = {}): TestAgent => ({
  id,
  ...actor("tool-user"),
  exec,
  ...changes,
});
const client = { connId: "t", clientId: "t", mode: "test", scopes: ["operator.admin"] };

async function rpc(gateway: TestGateway, method: string, params: object = {}): Promise<Record<string, unknown>> {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw new Error(result.refusal.message);
  return result.payload as Record<string, unknown>;
}

const call = async (gateway: TestGateway, agentId: string, name: string, params: object) =>
  JSON.parse(await gateway.reply(agentId, JSON.stringify({ tool: "call", params: { name, params } }))) as {
    readonly processId?: string;
  };

async function rowOf(gateway: TestGateway, agentId: string): Promise<AgentMemoryRow | undefined> {
  const { agents } = (await rpc(gateway, "agents.memory")) as unknown as { readonly agents: readonly AgentMemoryRow[] };
  return agents.find((row) => row.agentId === agentId);
}

/** Megabytes; undefined: none runs. */
const heldBy = async (gateway: TestGateway, agentId: string, kind: "cells" | "commands" | "mcp") => {
  const bytes = (await rowOf(gateway, agentId))?.processes[kind]?.residentBytes;
  return bytes === undefined ? undefined : bytes / megabyte;
};

const figuresOf = async (gateway: TestGateway, name: string): Promise<readonly string[]> =>
  String((await rpc(gateway, "metrics.get"))["text"])
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`));

/** The shell's child holds them: it waits for the end of a line that does not come. */
const holding = (mb: number): string => `(head -c ${mb * megabyte} /dev/zero; sleep 4711) | tail -n 1`;
const begin = (gateway: TestGateway, agentId: string, command: string) =>
  call(gateway, agentId, "exec", { command, background: true });

/** A figure is read anew when it is `processMemoryMs` old. */
const patience = { timeout: 60_000, interval: limits.processMemoryMs / 4 };

describe("A6.2: the memory of commands", () => {
  test("is told of each agent, with what they have started, until they end", async () => {
    const gateway = await openGateway([user("main"), user("raul"), { id: "ana", module: "echo" }]);
    const { processId } = await begin(gateway, "main", `${holding(60)} & ${holding(90)}`);
    await begin(gateway, "raul", holding(250));
    await gateway.reply("ana", "hello");
    await expect.poll(() => heldBy(gateway, "main", "commands"), patience).toBeGreaterThan(150);
    expect(await heldBy(gateway, "main", "commands")).toBeLessThan(200);
    await expect.poll(() => heldBy(gateway, "raul", "commands"), patience).toBeGreaterThan(250);
    expect(await heldBy(gateway, "raul", "commands")).toBeLessThan(300);
    expect((await rowOf(gateway, "ana"))?.processes).toEqual({});
    const { read, residentBytes, agents } = await rpc(gateway, "agents.memory", { agentId: "MAIN" });
    expect({ read, agents }).toMatchObject({
      read: ["cells", "commands", "mcp"],
      // Two shells below the first one, and what they started.
      agents: [{ agentId: "main", cells: 1, processes: { commands: { processes: expect.any(Number) } } }],
    });
    expect(residentBytes).toBeGreaterThan(50 * megabyte);
    const figure = (await figuresOf(gateway, "cloister_child_resident_bytes")).find((line) => line.includes('"main"'));
    expect(figure).toMatch(/^cloister_child_resident_bytes\{agent="main",kind="commands"\} \d{9}$/);
    await call(gateway, "main", "process", { action: "kill", processId });
    await expect.poll(() => heldBy(gateway, "main", "commands"), patience).toBeUndefined();
    expect(await heldBy(gateway, "raul", "commands")).toBeGreaterThan(250);
    const left = await figuresOf(gateway, "cloister_child_processes");
    expect(left.map((line) => line.replace(/\d+$/, "n"))).toEqual([
      'cloister_child_processes{agent="raul",kind="commands"} n',
    ]);
  });

  test("is told of those in a sandbox as well", async () => {
    const gateway = await openGateway([user("main", { sandboxMode: "all" })]);
    await begin(gateway, "main", holding(70));
    await expect.poll(() => heldBy(gateway, "main", "commands"), patience).toBeGreaterThan(70);
    expect(await heldBy(gateway, "main", "commands")).toBeLessThan(120);
  });
});

test("A6.2: the memory of MCP servers is that of the agent that each runs for, with what it has started, until they end", async () => {
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const rules = [{ server: "box", agents: ["*"], include: [], exclude: [] }];
  const gateway = await openGateway(
    [user("main"), user("raul")],
    { mcp: { servers: [stdioServer("box")], rules, idleMs: limits.mcpIdleMs } },
    { startMcp: makeMcpStart(quiet, async () => ({ PATH: process.env["PATH"] ?? "" })) },
  );
  await call(gateway, "main", "mcp__box__child", {});
  await call(gateway, "raul", "mcp__box__pid", {});
  const processesOf = async (agentId: string) => (await rowOf(gateway, agentId))?.processes.mcp?.processes;
  await expect.poll(() => processesOf("main"), patience).toBe(2);
  await expect.poll(() => processesOf("raul"), patience).toBe(1);
  expect(await heldBy(gateway, "main", "mcp")).toBeGreaterThan(60);
  expect(await heldBy(gateway, "raul", "mcp")).toBeGreaterThan(30);
  const without = { ...gateway.config, revision: "without", mcp: { ...gateway.config.mcp, servers: [], rules: [] } };
  expect(await gateway.configDesk.apply({ config: without, files: new Map() }, "test")).toMatchObject({
    status: "applied",
  });
  await expect.poll(() => heldBy(gateway, "main", "mcp"), patience).toBeUndefined();
  expect(await heldBy(gateway, "raul", "mcp")).toBeUndefined();
  const known = await figuresOf(gateway, "cloister_child_memory_known");
  expect(known).toContain('cloister_child_memory_known{kind="mcp"} 1');
});

test("A6.2: a cell that is a process is told with its heap, its buffers, and all that its process holds", async () => {
  const gateway = await openGatewayAt("process")([{ id: "main", module: "echo" }]);
  await gateway.reply("main", "hello");
  await expect.poll(async () => (await rowOf(gateway, "main"))?.heapBytes, patience).toBeGreaterThan(megabyte);
  const row = await rowOf(gateway, "main");
  expect(row?.externalBytes).toBeGreaterThan(0);
  expect(row?.processes.cells?.processes).toBe(1);
  expect(row?.processes.cells?.residentBytes).toBeGreaterThan(row?.heapBytes ?? Number.POSITIVE_INFINITY);
  // Its heap is in its process, and not counted twice.
  expect(row?.heldBytes).toBe(row?.processes.cells?.residentBytes);
});

test("A6.2: what a trusted module has started from a cell that is a process counts as its agent's", async () => {
  const isolation = { level: "process", trust: "trusted" } as const;
  const gateway = await openGateway([{ id: "main", ...actor("trusted"), isolation }]);
  await gateway.reply("main", "leave a program running");
  await expect.poll(async () => (await rowOf(gateway, "main"))?.processes.cells?.processes, patience).toBe(2);
  gateway.driver.kernel.order("main", { type: "park", reason: "a test" }, Date.now());
  await expect.poll(() => heldBy(gateway, "main", "cells"), patience).toBeUndefined();
});
