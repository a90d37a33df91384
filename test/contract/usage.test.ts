/** Tokens that actors report, with real cells: of sessions over restarts, of runs, and against their budgets. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestGateway } from "../support/gateway.ts";

const agents = [
  {
    id: "main",
    ...actor("spawner"),
    subagents: subagentPolicy({ allowAgents: [], depthMax: 2 }),
  },
];

const task = (command: object): string => JSON.stringify(command);
const tell = async (gateway: TestGateway, command: object) =>
  JSON.parse(await gateway.reply("main", task(command))) as Readonly<Record<string, unknown>>;
const status = (gateway: TestGateway) => tell(gateway, { do: "tool", tool: "session_status", params: {} });

test("what a session's turns reported is in session_status, is kept over a restart, and begins anew with it", async () => {
  const before = await openGateway(agents);
  expect((await status(before))["session"]).not.toHaveProperty("usage");
  await before.reply("main", task({ do: "say", text: "a", usage: { inputTokens: 1_000, outputTokens: 50 } }));
  await before.reply("main", task({ do: "say", text: "b", usage: { outputTokens: 5 } }));
  const usage = { inputTokens: 1_000, outputTokens: 55, totalTokens: 1_055 };
  expect(await status(before)).toMatchObject({
    session: { usage },
    agentUsage: usage,
    card: expect.stringContaining("Tokens: 1000 in, 55 out, 1055 in all"),
  });
  await before.drain(0);
  const after = await openGateway([], {}, { store: before.store, config: before.config });
  expect(await status(after)).toMatchObject({ session: { usage }, agentUsage: { totalTokens: 0 } });
  await after.reply("main", "/new");
  expect((await status(after))["session"]).not.toHaveProperty("usage");
});

test("clients hear what was taken by day, agent and session, also of a session that began anew", async () => {
  const gateway = await openGateway(agents);
  await gateway.reply("main", task({ do: "say", text: "a", usage: { inputTokens: 1_000, outputTokens: 50 } }));
  await gateway.reply("main", "/new");
  await gateway.reply("main", task({ do: "say", text: "b", usage: { outputTokens: 5 } }));
  const reader = { connId: "c", clientId: "t", mode: "test", scopes: ["operator.read"] } as const;
  const sum = { input: 1_000, output: 55, totalTokens: 1_055, totalCost: 0, missingCostEntries: 2 };
  expect(await gateway.doors.rpc(reader, "usage.cost", {})).toMatchObject({
    payload: { totals: sum, daily: [sum], agents: [{ agentId: "main", ...sum }] },
  });
  expect(await gateway.doors.rpc(reader, "sessions.usage", { key: "agent:main:main" })).toMatchObject({
    payload: { total: 1, sessions: [{ key: "agent:main:main", agentId: "main", usage: sum }] },
  });
});

test("a turn that fails has taken its tokens all the same", async () => {
  const gateway = await openGateway(agents);
  expect(await gateway.say("main", task({ do: "throw", usage: { inputTokens: 7 } }))).toMatchObject({
    status: "error",
  });
  expect(await status(gateway)).toMatchObject({ session: { usage: { totalTokens: 7 }, totalTokens: 7 } });
});

test("A11.1: a sub-agent that goes on beyond its budget of tokens ends with `budget`; the numbers are where its end is", async () => {
  const gateway = await openGateway(agents);
  const eat = {
    do: "tool",
    tool: "subagents",
    params: { action: "list" },
    usage: { inputTokens: 60, outputTokens: 40 },
  };
  const end = await tell(gateway, { do: "spawn", options: { task: task(eat), budget: { tokens: 100 } } });
  expect(end).toMatchObject({
    status: "failed",
    code: "budget",
    text: expect.stringContaining("is used up: it took 100"),
    tokens: { input: 60, output: 40 },
    treeTokens: 100,
  });
  // One more is enough for the call.
  const fed = await tell(gateway, { do: "spawn", options: { task: task(eat), budget: { tokens: 101 } } });
  expect(fed).toMatchObject({ status: "succeeded", tokens: { input: 60, output: 40 } });
  expect(await status(gateway)).toMatchObject({ agentUsage: { totalTokens: 200 } });
  const { runId } = end as { readonly runId: string };
  expect(await gateway.reply("main", `/subagents info ${runId}`)).toContain("Used: tokens 60 in, 40 out, 100 in all");
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.read"] };
  expect(await gateway.doors.rpc(client, "subagents.list", {})).toMatchObject({
    payload: { tasks: [{ tokens: { input: 60, output: 40 } }, { runId, code: "budget", treeTokens: 100 }] },
  });
});

test.each([
  [{ inputTokens: -1 }, "inputTokens"],
  [{ outputTokens: 0.5 }, "outputTokens"],
  [{ inputTokens: "5" }, "inputTokens"],
  [{ outputTokens: 1_000_000_001 }, "outputTokens"],
])("ctx.usage of %j says what it wanted", async (usage, name) => {
  const gateway = await openGateway(agents);
  expect(await gateway.say("main", task({ do: "say", text: "x", usage }))).toMatchObject({
    status: "error",
    refusal: { message: expect.stringContaining(`ctx.usage: ${name} wanted a whole number from 0 to 1000000000`) },
  });
});
