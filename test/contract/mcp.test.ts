/** Tools of MCP servers on a gateway with real cells and real servers: who is told of them, who may call them, and what is left when all is done. */
import { describe, expect, test } from "vitest";
import type { McpRules } from "../../auth/tool-policy.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { McpServer } from "../../runtime/mcp/port.ts";
import { makeMcpStart } from "../../runtime/supervisor/start-mcp.ts";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { openGateway, subagentPolicy, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { httpServer, openHttpMcp, stdioServer } from "../support/mcp.ts";
import { childrenOf, isAlive } from "../support/processes.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const startMcp = makeMcpStart(quiet, async () => ({ PATH: process.env["PATH"] ?? "" }));

const rule = (server: string, changes: Partial<McpRules> = {}): McpRules => ({
  server,
  agents: ["*"],
  include: [],
  exclude: [],
  ...changes,
});

const open = (
  agents: readonly TestAgent[],
  servers: readonly McpServer[],
  rules: readonly McpRules[] = servers.map(({ name }) => rule(name)),
) => openGateway(agents, { mcp: { servers, rules, idleMs: limits.mcpIdleMs } }, { startMcp });

const user = (id: string, changes: Partial<TestAgent> = {}): TestAgent => ({ id, ...actor("tool-user"), ...changes });

/** What was answered; which fields it has, each test knows. */
type Told = Record<string, unknown> & { readonly text: string };

const said = async (gateway: TestGateway, agentId: string, command: object): Promise<Told> =>
  JSON.parse(await gateway.reply(agentId, JSON.stringify(command))) as Told;
const call = (gateway: TestGateway, agentId: string, name: string, params: object = {}): Promise<Told> =>
  said(gateway, agentId, { tool: "call", params: { name, params } });
const toldOf = async (gateway: TestGateway, agentId: string): Promise<readonly string[]> =>
  ((await said(gateway, agentId, { tool: "list" })) as unknown as { name: string }[])
    .map(({ name }) => name)
    .filter((name) => name.startsWith("mcp__"));

const client = { connId: "t", clientId: "t", mode: "test", scopes: ["operator.admin" as const] };
const ask = async (gateway: TestGateway, method: string, params: object = {}): Promise<Told> => {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload as Told;
};

describe("an agent", () => {
  test("is told of the tools of its servers, and calls them through the same policy as any other", async () => {
    const server = await openHttpMcp();
    const gateway = await open(
      [user("main", { toolRules: { deny: ["mcp__web__createissue", "mcp__web__pid"] } }), user("raul")],
      [httpServer("web", server.url), httpServer("ops", server.url)],
      [rule("web", { exclude: ["e*"], include: [] }), rule("ops", { agents: ["raul"] })],
    );
    const own = await toldOf(gateway, "main");
    expect(own).toContain("mcp__web__fail");
    expect(own).not.toContain("mcp__web__pid");
    expect(own.some((name) => name.startsWith("mcp__ops__") || name.startsWith("mcp__web__e"))).toBe(false);
    expect(await toldOf(gateway, "raul")).toEqual(expect.arrayContaining(["mcp__ops__echo", "mcp__web__pid"]));
    expect(await call(gateway, "raul", "mcp__ops__echo", { text: "hi" })).toEqual({ status: "ok", text: "hi" });
    expect(await call(gateway, "main", "mcp__web__fail")).toEqual({
      status: "error",
      code: "tool_error",
      error: "there is no paper",
    });
    for (const [name, key] of [
      ["mcp__web__pid", "agents.list[id=main].tools.deny"],
      ["mcp__web__createIssue", "agents.list[id=main].tools.deny"],
      ["mcp__web__echo", "mcp.servers.web.toolFilter.exclude"],
      ["mcp__ops__echo", "mcp.servers.ops.agents"],
    ] as const)
      expect(await call(gateway, "main", name)).toMatchObject({
        status: "forbidden",
        error: expect.stringContaining(`(${key})`),
      });
    expect(await call(gateway, "main", "mcp__web__nothing")).toMatchObject({ code: "not_found" });
    expect(await call(gateway, "main", "mcp__none__x")).toMatchObject({ code: "not_found" });
    const explained = await ask(gateway, "tools.effective", { agentId: "main" });
    expect(explained["allowed"]).toContain("mcp__web__fail");
    expect(explained["removed"]).toContainEqual({
      rule: "the MCP server ops is for other agents",
      key: "mcp.servers.ops.agents",
      tools: ["mcp__ops__*"],
      remedy: 'add "main" to mcp.servers.ops.agents',
    });
    expect(explained["removed"]).toContainEqual(
      expect.objectContaining({ rule: "MCP server web: deny", tools: expect.arrayContaining(["mcp__web__echo"]) }),
    );
    await server.close();
  });

  test("goes on without a server that is not there, and hears why a call of it fails; the operator is told more", async () => {
    const at = { type: "stdio" as const, command: "no-such-program", args: [], env: {} };
    const gateway = await open([user("main")], [stdioServer("gone", { at })]);
    expect(await toldOf(gateway, "main")).toEqual([]);
    expect(await call(gateway, "main", "mcp__gone__x")).toMatchObject({
      status: "error",
      code: "worker_unavailable",
      operatorHint: "cloister mcp list tells why",
    });
    expect(await ask(gateway, "mcp.list")).toMatchObject({
      servers: [
        {
          server: "gone",
          type: "stdio",
          agents: 1,
          connections: [
            {
              agentId: "main",
              state: "failed",
              reason: expect.stringContaining("there is no program no-such-program"),
            },
          ],
        },
      ],
    });
  });

  test("gives its sub-agents the tools that it has itself, and no others", async () => {
    const server = await openHttpMcp();
    const spawner: TestAgent = { id: "main", ...actor("spawner"), subagents: subagentPolicy() };
    const gateway = await open(
      [{ ...spawner, toolRules: { deny: ["mcp__web__pid"] } }],
      [httpServer("web", server.url)],
    );
    const child = async (task: object): Promise<Told> => {
      const end = await said(gateway, "main", { do: "spawn", options: { task: JSON.stringify(task) } });
      return JSON.parse(end.text) as Told;
    };
    const told = ((await child({ do: "tool", tool: "list" })) as unknown as { name: string }[]).map(({ name }) => name);
    expect(told).toContain("mcp__web__echo");
    expect(told).not.toContain("mcp__web__pid");
    const calls = (tool: string) => child({ do: "call", tool, params: { text: "hi" } });
    expect(await calls("mcp__web__echo")).toEqual({ status: "ok", text: "hi" });
    expect(await calls("mcp__web__pid")).toMatchObject({ status: "forbidden" });
    await server.close();
  });
});

/** Turns of one conversation and of many; 1,000 by hand: `CLOISTER_MCP_RUNS=1000`. */
const runs = Number(process.env["CLOISTER_MCP_RUNS"] ?? 40);

test(`A15.6: ${runs} runs of two agents share one process each, and none is left when the servers are gone`, async () => {
  const before = childrenOf(process.pid);
  const gateway = await open([user("main"), user("raul")], [stdioServer("notes")]);
  const pids = new Set<number>();
  for (let run = 0; run < runs; run++)
    for (const agentId of ["main", "raul"]) {
      const command = JSON.stringify({ tool: "call", params: { name: "mcp__notes__pid", params: {} } });
      const { text } = JSON.parse(await gateway.reply(agentId, command, `agent:${agentId}:s${run}`)) as {
        text: string;
      };
      pids.add(Number(text));
    }
  expect(pids.size).toBe(2);
  // What other tests started may be ending still.
  const started = (): ReadonlySet<number> => new Set(childrenOf(process.pid).filter((pid) => !before.includes(pid)));
  await eventually(() => expect(started()).toEqual(pids));
  const config = { ...gateway.config, revision: "without", mcp: { ...gateway.config.mcp, servers: [], rules: [] } };
  expect(await gateway.configDesk.apply({ config, files: new Map() }, "test")).toMatchObject({ status: "applied" });
  expect(await toldOf(gateway, "main")).toEqual([]);
  await eventually(() => expect(started()).toEqual(new Set()));
});

test("A6.4: no process of a server outlives its gateway", async () => {
  const gateway = await open([user("main")], [stdioServer("notes")]);
  const [pid, child] = [
    await call(gateway, "main", "mcp__notes__pid"),
    await call(gateway, "main", "mcp__notes__child"),
  ];
  expect(isAlive(Number(child.text))).toBe(true);
  expect(await gateway.drain(5_000)).toBe(true);
  await eventually(() => expect([pid, child].map(({ text }) => isAlive(Number(text)))).toEqual([false, false]));
});
