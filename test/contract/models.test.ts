/** `ctx.model` from a real cell through the kernel and the broker's own thread, and back. */
import { expect, test } from "vitest";
import type { ModelSettings, ProviderSettings } from "../../runtime/broker/port.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { actor } from "../support/actors.ts";
import { provider } from "../support/broker.ts";
import { openGateway, subagentPolicy, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { openModelServer, type Reply } from "../support/model-servers.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const startBroker = makeBrokerStart(quiet);

const scripted = provider("scripted", {
  models: {
    demo: {
      id: "demo",
      cost: { input: 2, output: 4, cacheRead: 0, cacheWrite: 0 },
      script: [
        { when: { text: "json" }, say: '{"town":"Rome"}' },
        { when: { text: "fail" }, fail: { status: 400, message: "no" } },
        { say: "You said {{text}}.", pieceChars: 4 },
      ],
    },
    dear: { id: "dear", script: [{ say: "dear" }] },
  },
});

const subagents = subagentPolicy({ allowAgents: [], depthMax: 2 });

async function open(
  providers: readonly ProviderSettings[] = [scripted],
  agent: Partial<TestAgent> = {},
  models: Partial<ModelSettings> = {},
): Promise<TestGateway> {
  const main = { id: "main", ...actor("asker"), model: "scripted/demo", subagents, ...agent };
  const known = Object.fromEntries(providers.map((each) => [each.id, each]));
  return openGateway(
    [main],
    { models: { providers: known, catalogue: [], authOrder: {}, variables: {}, ...models } },
    { startBroker },
  );
}

const told = async (gateway: TestGateway, command: object): Promise<unknown> =>
  JSON.parse(await gateway.reply("main", JSON.stringify(command)));

test("an agent asks its model, hears pieces and the answer; the gateway counts tokens and cost for agent and session", async () => {
  const gateway = await open();
  const [heard] = (await told(gateway, { prompt: "hi" })) as [{ readonly text: string; readonly pieces: string[] }];
  expect(heard.text).toBe("You said hi.");
  // The first at once, and what comes quickly after it joined.
  expect(heard.pieces[0]).toBe("You ");
  expect(heard.pieces.join("")).toBe(heard.text);
  const used = gateway.driver.kernel.tokensOf("main");
  expect(used).toEqual({ input: 8, output: 3, costNanos: 8 * 2_000 + 3 * 4_000 });
  const head = await gateway.store.session("agent:main:main");
  expect(head).toMatchObject({ tokens: used });
});

test("structured answers are values; what is no JSON is refused by its code", async () => {
  const gateway = await open();
  expect(await told(gateway, { structured: "as json" })).toEqual({ town: "Rome" });
  expect(await told(gateway, { structured: "in words" })).toEqual({ code: "CLOISTER_MODEL_OUTPUT_INVALID" });
});

test("an agent names its own models and those of the catalogue, and no other", async () => {
  const models = { catalogue: ["scripted/dear"], aliases: { Costly: "scripted/dear" } };
  const gateway = await open([scripted], { modelFallbacks: ["scripted/demo"] }, models);
  const names = ["scripted/dear", "costly", "scripted/demo", "anthropic/claude"];
  const requests = names.map((model) => ({ model }));
  expect(await told(gateway, { requests, prompt: "hi" })).toEqual([
    { text: "dear", pieces: ["dear"] },
    { text: "dear", pieces: ["dear"] },
    { text: "You said hi.", pieces: expect.any(Array), costUsd: expect.any(Number) },
    { code: "CLOISTER_CAPABILITY_DENIED" },
  ]);
});

test("an agent without a model is told what to set, and so is one whose provider is not there", async () => {
  expect(await told(await open([scripted], { model: undefined }), {})).toEqual([
    { code: "CLOISTER_MODEL_UNAVAILABLE" },
  ]);
  expect(await told(await open([scripted], { model: "nowhere/m" }), {})).toEqual([
    { code: "CLOISTER_MODEL_UNAVAILABLE" },
  ]);
});

const wire = (baseUrl: string): ProviderSettings =>
  provider("anthropic", { api: "anthropic-messages", baseUrl, apiKey: { value: "sk-test" } });
const says = (text: string): Reply => ({ type: "say", said: { pieces: [text], usage: { input: 5, output: 1 } } });

test("a turn that is repeated after a crash hears the same answer, and the provider is not asked again", async () => {
  const server = await openModelServer("anthropic-messages", [says("one"), says("two"), says("three")]);
  const gateway = await open([wire(server.baseUrl)], { model: "anthropic/m" });
  expect(await told(gateway, { requests: [{}, {}], crashAfter: 1 })).toEqual([
    { text: "one", pieces: [] },
    { text: "two", pieces: ["two"] },
  ]);
  expect(server.received).toHaveLength(2);
  expect(await gateway.store.session("agent:main:main")).toMatchObject({ tokens: { input: 10, output: 2 } });
});

test("a run that is stopped lets the provider go at once", async () => {
  const server = await openModelServer("anthropic-messages", [{ type: "hang" }]);
  const gateway = await open([wire(server.baseUrl)], { model: "anthropic/m" });
  const run = gateway.say("main", JSON.stringify({}));
  await expect.poll(() => server.received.length).toBe(1);
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };
  await gateway.doors.rpc(client, "chat.abort", { sessionKey: "agent:main:main" });
  await expect.poll(server.left).toBe(1);
  expect(await run).toMatchObject({ status: "error" });
});

test("A11.1: an agent that has used up its day asks no model more, also in the next process", async () => {
  // Noon, whatever the time is: a day must not end in between.
  const shift = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 43_200_000 - Date.now();
  const usual = { startBroker, nowMs: () => Date.now() + shift };
  const main = { id: "main", ...actor("asker"), model: "scripted/demo", budget: { tokensPerDay: 11 } };
  const models = { providers: { scripted }, catalogue: [], authOrder: {}, variables: {} };
  const gateway = await openGateway([main], { models }, usual);
  expect(await told(gateway, { prompt: "hi" })).toMatchObject([{ text: "You said hi." }]);
  expect(await told(gateway, { prompt: "hi" })).toEqual([{ code: "CLOISTER_BUDGET_SPENT" }]);
  await gateway.drain(1_000);
  const next = await openGateway([], {}, { ...usual, store: gateway.store, config: gateway.config });
  expect(await told(next, { prompt: "hi" })).toEqual([{ code: "CLOISTER_BUDGET_SPENT" }]);
});

test("A11.1: an agent that has used up its tool calls of the day calls no tool more, also in the next process", async () => {
  const shift = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 43_200_000 - Date.now();
  const usual = { startBroker, nowMs: () => Date.now() + shift };
  const main = { id: "main", ...actor("talker"), budget: { toolCallsPerDay: 2 } };
  const gateway = await openGateway([main, { id: "free", ...actor("talker") }], {}, usual);
  const list = async (of: TestGateway, agentId = "main"): Promise<unknown> =>
    JSON.parse(await of.reply(agentId, JSON.stringify({ tool: "sessions_list", params: {} })));
  const spent = {
    status: "forbidden",
    error: expect.stringContaining("2 tool calls for today (budget.toolCallsPerDay)"),
  };
  expect(await list(gateway)).toHaveProperty("sessions");
  expect(await list(gateway)).toHaveProperty("sessions");
  expect(await list(gateway)).toMatchObject(spent);
  expect(await list(gateway, "free")).toHaveProperty("sessions");
  await gateway.drain(1_000);
  const next = await openGateway([], {}, { ...usual, store: gateway.store, config: gateway.config });
  expect(await list(next)).toMatchObject(spent);
  expect(await list(next, "free")).toHaveProperty("sessions");
});

test("A11.1: an agent whose turns have used up the time of its day asks no model more, in the turn that goes on as well", async () => {
  const server = await openModelServer("anthropic-messages", [says("one"), says("two")]);
  const shift = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 43_200_000 - Date.now();
  // With the first request to the provider a minute and a half have passed.
  const usual = { startBroker, nowMs: () => Date.now() + shift + (server.received.length > 0 ? 90_000 : 0) };
  const main = { id: "main", ...actor("asker"), model: "anthropic/m", budget: { turnMinutesPerDay: 1 } };
  const models = { providers: { anthropic: wire(server.baseUrl) }, catalogue: [], authOrder: {}, variables: {} };
  const gateway = await openGateway([main], { models }, usual);
  expect(await told(gateway, { requests: [{}, {}] })).toMatchObject([
    { text: "one" },
    { code: "CLOISTER_BUDGET_SPENT" },
  ]);
  await gateway.drain(1_000);
  const next = await openGateway([], {}, { ...usual, store: gateway.store, config: gateway.config });
  expect(await told(next, {})).toEqual([{ code: "CLOISTER_BUDGET_SPENT" }]);
  expect(server.received).toHaveLength(1);
});

test("A11.1: a sub-agent whose budget of money is used up ends before its next call of a model", async () => {
  const gateway = await open();
  const task = JSON.stringify({ requests: [{}, {}, {}], prompt: "hi" });
  // The first call costs 0.000 09 USD or more.
  const end = await told(gateway, { spawn: { task, budget: { costUsd: 0.000_001 } } });
  expect(end).toMatchObject({ status: "failed", code: "budget", text: expect.stringContaining("money") });
  const { costNanos = 0 } = gateway.driver.kernel.tokensOf("main");
  expect(costNanos).toBeGreaterThan(1_000);
  expect(await told(gateway, { spawn: { task, budget: { costUsd: 1 } } })).toMatchObject({ status: "succeeded" });
  // One call before the end, and three.
  expect(gateway.driver.kernel.tokensOf("main").costNanos).toBe(costNanos * 4);
});

test("A12.3: what sessions and runs paid is what the agent paid, and what its answers say", async () => {
  const gateway = await open();
  const said = (await told(gateway, { requests: [{}, {}], prompt: "hi" })) as readonly { readonly costUsd: number }[];
  const task = JSON.stringify({ requests: [{}, {}, {}], prompt: "a longer prompt" });
  const end = (await told(gateway, { spawn: { task } })) as { readonly sessionKey?: string; readonly text: string };
  const below = JSON.parse(end.text) as readonly { readonly costUsd: number }[];
  const total = [...said, ...below].reduce((sum, { costUsd }) => sum + Math.round(costUsd * 1e9), 0);
  expect(gateway.driver.kernel.tokensOf("main").costNanos).toBe(total);
  const { rows } = await gateway.store.sessions({ agentIds: ["main"], limit: 10, offset: 0 });
  const sessions = rows.map(({ tokens }) => tokens?.costNanos ?? 0);
  expect(sessions.filter((paid) => paid > 0)).toHaveLength(2);
  expect(sessions.reduce((sum, paid) => sum + paid, 0)).toBe(total);
});

test("a change of the models counts from the next call on", async () => {
  const gateway = await open();
  expect(await told(gateway, { prompt: "a" })).toMatchObject([{ text: "You said a." }]);
  const next = provider("scripted", { models: { demo: { id: "demo", script: [{ say: "changed" }] } } });
  const { config } = gateway;
  await gateway.configDesk.apply(
    {
      config: { ...config, revision: "r2", models: { ...config.models, providers: { scripted: next } } },
      files: new Map(),
    },
    "test",
  );
  expect(await told(gateway, { prompt: "a" })).toMatchObject([{ text: "changed" }]);
});
