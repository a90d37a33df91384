/** `secrets.reload`: what was changed where a reference leads counts at once, also for what is connected; what is the same is left alone. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { keepSecret, removeSecret } from "../../runtime/broker/secret-file.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import { makeSecretReader } from "../../runtime/broker/secret-refs.ts";
import type { Client } from "../../runtime/edge/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { startChannelThread } from "../../runtime/supervisor/channels/start-channel.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { makeMcpStart } from "../../runtime/supervisor/start-mcp.ts";
import { actor } from "../support/actors.ts";
import { makeMessage, openBotApi, type Watch } from "../support/bot-api.ts";
import { provider } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { groupsOf, openGateway } from "../support/gateway.ts";
import { httpServer, openHttpMcp } from "../support/mcp.ts";
import { answerWire, openWireServer } from "../support/model-servers.ts";
import { postJson, settingsWith } from "./edge-kit.ts";

const operator: Client = { clientId: "cli", connId: "c", mode: "cli", scopes: ["operator.admin"] };
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

test("models and the gateway's doors have it with the next use, and what was before opens nothing", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "reload-"));
  await mkdir(path.join(stateDir, "secret-programs"), { mode: 0o700 });
  const kept = path.join(stateDir, "kept");
  await writeFile(path.join(stateDir, "secret-programs", "vault"), `#!/bin/sh\ncat ${kept}\n`, { mode: 0o700 });
  await writeFile(kept, "key-one");
  const ref = { source: "exec", provider: "vault", id: "x" } as const;
  const server = await openWireServer("anthropic-messages", (_, _count, response) =>
    answerWire("anthropic-messages", { type: "say", said: { pieces: ["yes"] } }, response),
  );
  const told = { api: "anthropic-messages", baseUrl: server.baseUrl, models: { m: { id: "m" } } } as const;
  const hooks = {
    enabled: true,
    path: "/hooks",
    mappings: [],
    allowRequestSessionKey: false,
    token: { key: "hooks.token", ref },
  };
  const gateway = await openGateway(
    [{ id: "main", module: "assistant", model: "anthropic/m" }],
    {
      stateDir,
      hooks,
      models: {
        providers: { anthropic: provider("anthropic", { ...told, apiKey: { ref } }) },
        catalogue: [],
        authOrder: {},
        variables: {},
      },
    },
    { startBroker: makeBrokerStart(quiet) },
  );
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500 } }, secrets);
  onTestFinished(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(stateDir), hooks });
  gateway.attachEdge(edge);
  const used = async () => {
    await gateway.reply("main", "hello");
    return server.received.at(-1)?.headers["x-api-key"];
  };
  const opens = async (token: string) =>
    (await postJson(port, "/hooks/agent", { authorization: `Bearer ${token}` }, { message: "x" })).status;
  expect([await used(), await opens("key-one")]).toEqual(["key-one", 200]);
  await writeFile(kept, "key-two");
  expect([await used(), await opens("key-two")]).toEqual(["key-one", 401]);
  expect(await gateway.doors.rpc(operator, "secrets.reload", {})).toEqual({
    ok: true,
    payload: { ok: true, configuration: "unchanged", renewed: ["hooks.token"], unread: [] },
  });
  expect([await used(), await opens("key-two"), await opens("key-one")]).toEqual(["key-two", 200, 401]);
  await rm(kept);
  const lost = await gateway.doors.rpc(operator, "secrets.reload", {});
  expect(lost).toMatchObject({
    payload: {
      renewed: [],
      unread: [
        { path: "hooks.token", message: expect.stringContaining("vault x: ") },
        { path: "models.providers.anthropic.apiKey", message: expect.stringContaining("ended with exit code 1") },
      ],
    },
  });
  expect(JSON.stringify(lost)).not.toContain("key-");
  // What cannot be read leaves the door as it was.
  expect(await opens("key-two")).toBe(200);
});

const [first, next, raul] = ["1:A", "1:B", "2:C"] as const;
const keyOf = (account: string) => `channels.telegram.accounts.${account}.botToken`;

/** Two bots of Telegram, whose tokens are kept as `main-bot` and `raul-bot`, in a real thread. */
async function openBots(watch?: Watch) {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "reload-"));
  const api = await openBotApi(watch);
  onTestFinished(() => api.close());
  api.addBot(first, "main_bot");
  api.addBot(raul, "raul_bot");
  await keepSecret(stateDir, "main-bot", first, 1);
  await keepSecret(stateDir, "raul-bot", raul, 1);
  const bot = (account: string) => ({
    botToken: { key: keyOf(account), ref: { source: "store", id: `${account}-bot` } } as const,
    apiRoot: api.root,
    textChunkLimit: 4_000,
  });
  const gateway = await openGateway(
    [{ id: "main" }, { id: "raul" }],
    {
      stateDir,
      channels: { telegram: { main: bot("main"), raul: bot("raul") } },
      channelDefaults: { telegram: "main" },
      groups: groupsOf({
        channels: { telegram: { dmPolicy: "open", allowFrom: ["*"], accounts: { main: {}, raul: {} } } },
      }),
      bindings: [
        { index: 0, agentId: "main", match: { channel: "telegram", accountId: "main" } },
        { index: 1, agentId: "raul", match: { channel: "telegram", accountId: "raul" } },
      ],
    },
    { startChannel: startChannelThread },
  );
  const ask = (token: string, id: number) =>
    api.push(token, { message: makeMessage({ text: "who are you", message_id: id }) });
  const reload = () => gateway.doors.rpc(operator, "secrets.reload", {});
  const logins = (token: string) => api.calls.filter((call) => call.token === token && call.method === "getMe").length;
  return { api, gateway, stateDir, ask, reload, logins };
}

test("an account goes on with the bot's next token at once: nothing is lost, nothing is answered twice, and the other account stays connected", async () => {
  const { api, gateway, stateDir, ask, reload, logins } = await openBots();
  ask(first, 1);
  ask(raul, 1);
  await eventually(() => expect([api.sent(first).length, api.sent(raul).length]).toEqual([1, 1]));
  expect(await reload()).toMatchObject({ payload: { renewed: [], unread: [] } });
  await eventually(() => expect(api.unconfirmed(first)).toBe(0));

  api.renewToken(first, next);
  // While nobody is connected with it, and once more what was answered.
  ask(next, 2);
  ask(next, 1);
  await keepSecret(stateDir, "main-bot", next, 2);
  await removeSecret(stateDir, "raul-bot");
  expect(await reload()).toEqual({
    ok: true,
    payload: {
      ok: true,
      configuration: "unchanged",
      renewed: [keyOf("main")],
      unread: [
        {
          path: keyOf("raul"),
          message: "store: raul-bot: there is none",
          remedy: expect.stringContaining("cloister secrets set"),
        },
      ],
    },
  });
  await eventually(() => expect(api.sent(next)).toHaveLength(1));
  ask(next, 3);
  ask(raul, 2);
  await eventually(() => expect([api.sent(next).length, api.sent(raul).length]).toEqual([2, 2]));
  await eventually(() => expect([api.unconfirmed(next), api.unconfirmed(raul)]).toEqual([0, 0]));
  await gateway.drain(1_000);
  expect([api.sent(first).length, api.sent(next).length, api.sent(raul).length]).toEqual([1, 2, 2]);
  expect([logins(first), logins(next), logins(raul)]).toEqual([1, 1, 1]);
  expect(api.violations).toEqual([]);
});

test("an answer on its way when the token was taken back is sent with the next one, once", async () => {
  const { api, gateway, stateDir, ask, reload } = await openBots(({ type, call }) => {
    if (type === "came" && call.method === "sendMessage" && call.token === first) api.renewToken(first, next);
    return undefined;
  });
  ask(first, 1);
  await eventually(async () =>
    expect(await gateway.doors.rpc(operator, "channels.status", {})).toMatchObject({
      payload: {
        channelAccounts: {
          telegram: expect.arrayContaining([expect.objectContaining({ accountId: "main", running: false })]),
        },
      },
    }),
  );
  await keepSecret(stateDir, "main-bot", next, 2);
  expect(await reload()).toMatchObject({ payload: { renewed: [keyOf("main")] } });
  await eventually(() => expect(api.sent(next)).toMatchObject([{ text: expect.stringContaining("I am main") }]));
  await gateway.drain(1_000);
  expect([api.sent(first).length, api.sent(next).length]).toEqual([1, 1]);
  expect(await gateway.doors.rpc(operator, "deadletters.list", {})).toMatchObject({ payload: { total: 0 } });
});

test("the next call of an MCP server has its other secret, and the tools that are there for it", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "reload-"));
  await keepSecret(stateDir, "web", "first", 1);
  const web = await openHttpMcp();
  onTestFinished(() => web.close());
  const server = httpServer("web", web.url, { "x-key": { ref: { source: "store", id: "web" } } });
  const gateway = await openGateway(
    [{ id: "main", ...actor("tool-user") }],
    {
      stateDir,
      mcp: {
        servers: [server],
        rules: [{ server: "web", agents: ["*"], include: [], exclude: [] }],
        idleMs: limits.mcpIdleMs,
      },
    },
    { startMcp: makeMcpStart(quiet, async () => ({})) },
  );
  const call = async (text: string) =>
    JSON.parse(
      await gateway.reply(
        "main",
        JSON.stringify({ tool: "call", params: { name: "mcp__web__echo", params: { text } } }),
      ),
    ) as unknown;
  expect(await call("one")).toEqual({ status: "ok", text: "one" });
  await keepSecret(stateDir, "web", "second", 2);
  expect(await gateway.doors.rpc(operator, "secrets.reload", {})).toMatchObject({
    payload: { renewed: ["mcp.servers.web.headers.x-key"], unread: [] },
  });
  await eventually(() => expect(web.ended).toEqual(["first"]));
  const before = web.seen.length;
  expect(await call("two")).toEqual({ status: "ok", text: "two" });
  expect(new Set(web.seen.slice(before).map((seen) => seen["x-key"]))).toEqual(new Set(["second"]));
});
