/** Hooks of programs, from their requests to what the agent is told: `agent`, `wake` and the mappings of the config. */
import { afterEach, describe, expect, test } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { configSchema } from "../../runtime/config/schema.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import type { HookMapping } from "../../runtime/edge/settings.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { actor } from "../support/actors.ts";
import { provider } from "../support/broker.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { type Answer, hookToken, postJson, settingsWith } from "./edge-kit.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const startBroker = makeBrokerStart(quiet);
const bearer = { authorization: `Bearer ${hookToken}` };
const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

interface Open {
  readonly gateway: TestGateway;
  readonly post: (name: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** What the agent of the answered run was told. */
  readonly told: (answer: Answer) => Promise<object>;
  /** The gateway's clock goes on by so much. */
  readonly pass: (ms: number) => void;
}

const webhook = {
  accounts: { home: { token: "t", outboundUrl: "http://127.0.0.1:1/" }, mute: { token: "u" } },
  defaultAccount: "home",
};

async function open(
  mappings: readonly HookMapping[],
  allowedAgentIds?: readonly string[],
  more: Partial<ResolvedConfig["hooks"]> = {},
): Promise<Open> {
  const hooks = { enabled: true, path: "/hooks", token: hookToken, allowRequestSessionKey: true, mappings, ...more };
  const models = {
    providers: {
      scripted: provider("scripted", {
        models: {
          small: { id: "small", script: [{ say: "small" }] },
          large: { id: "large", script: [{ say: "large" }] },
        },
      }),
    },
    catalogue: ["scripted/small", "scripted/large"],
    authOrder: {},
    variables: {},
  };
  let passedMs = 0;
  const gateway = await openGateway(
    [
      ...["main", "ops", "raul"].map((id) => ({ id, ...actor("speaker") })),
      { id: "holder", ...actor("holder") },
      { id: "asker", ...actor("asker"), model: "scripted/small" },
    ],
    {
      webhook,
      channelDefaults: { webhook: "home" },
      accountsOn: { webhook: ["home"] },
      models,
      hooks: allowedAgentIds === undefined ? hooks : { ...hooks, allowedAgentIds },
    },
    { startBroker, nowMs: () => Date.now() + passedMs },
  );
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500 } });
  closings.push(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(gateway.config.stateDir), hooks });
  return {
    gateway,
    post: (name, body, headers = {}) => postJson(port, `/hooks/${name}`, { ...bearer, ...headers }, body),
    async told({ json }) {
      const run = await gateway.ended(json.runId);
      return JSON.parse(run.status === "ok" ? (run.reply ?? "null") : "null");
    },
    pass: (ms) => (passedMs += ms),
  };
}

const github: HookMapping = {
  path: "github",
  action: "agent",
  name: "GitHub",
  agentId: "ops",
  template:
    "{{sender.login}} pushed {{commits[0].message}} ({{commits.length}}{{nothing.there}}{{__proto__.x}}), {{ref}}: {{tags}}",
};
const payload = { sender: { login: "ana" }, commits: [{ message: "a fix" }], ref: 7, tags: ["a"] };

describe("wake", () => {
  test("is a message to the agent's main session; a repeated one is the same", async () => {
    const { post, told } = await open([]);
    const first = await post("wake", { text: "the backup is done", agentId: "raul" }, { "idempotency-key": "k" });
    expect(first).toMatchObject({ status: 200, json: { ok: true, agentId: "raul", sessionKey: "agent:raul:main" } });
    expect(await told(first)).toMatchObject({ agent: "raul", text: "the backup is done" });
    const again = await post("wake", { text: "the backup is done", agentId: "raul" }, { "idempotency-key": "k" });
    expect(again.json).toMatchObject({ status: "duplicate", runId: first.json.runId });
  });

  test("says what it does not act on, and what is wrong", async () => {
    const { post } = await open([]);
    expect((await post("wake", { text: "x", mode: "now", model: "m" })).json.ignored).toEqual(["model"]);
    expect(await post("wake", { text: " " })).toMatchObject({
      status: 400,
      json: { error: { code: "CLOISTER_REQUEST_INVALID" } },
    });
  });
});

describe("the session of a hook", () => {
  const forbidden = (message: string) => ({
    status: 403,
    json: { error: { code: "CLOISTER_EDGE_FORBIDDEN", message: expect.stringContaining(message) } },
  });
  const byId: HookMapping = { path: "m", action: "agent", sessionKey: "hook:mail:{{id}}", template: "{{id}}" };

  test("is the one of the config when nobody names one, of the agent that it is for", async () => {
    const { post } = await open(
      [
        { path: "m", action: "agent", agentId: "raul" },
        { path: "w", action: "wake" },
      ],
      undefined,
      {
        defaultSessionKey: "agent:ops:hook:inbox",
      },
    );
    const sessionOf = async (name: string, body: object) => (await post(name, body)).json.sessionKey;
    expect(await sessionOf("agent", { message: "x" })).toBe("agent:ops:hook:inbox");
    expect(await sessionOf("agent", { message: "x", agentId: "main" })).toBe("agent:main:hook:inbox");
    expect(await sessionOf("agent", { message: "x", sessionKey: "agent:raul:other" })).toBe("agent:raul:other");
    expect(await sessionOf("m", {})).toBe("agent:raul:hook:inbox");
    expect(await sessionOf("w", {})).toBe("agent:main:main");
    expect(await sessionOf("wake", { text: "x" })).toBe("agent:main:main");
  });

  test.each([
    ["hook:ci", true],
    ["Hook:ci", true],
    ["agent:main:hook:ci", true],
    ["agent:ops:main", true],
    ["main", false],
    ["agent:main:main", false],
    ["agent:raul:main", false],
    ["telegram:direct:hook:1", false],
  ])("%j may be chosen where the prefixes allow it: %j", async (sessionKey, isAllowed) => {
    const { post, gateway } = await open([], undefined, { sessionKeyPrefixes: ["hook:", "agent:ops:"] });
    const answer = await post("agent", { message: "x", sessionKey });
    if (isAllowed) expect(answer).toMatchObject({ status: 200 });
    else {
      expect(answer).toMatchObject(forbidden("no text of hooks.allowedSessionKeyPrefixes begins it"));
      expect(answer.json.error.remedy).toBe("name one that begins with hook: or agent:ops:");
      expect((await gateway.store.sessions({ limit: 1, offset: 0 })).total).toBe(0);
    }
  });

  test("is for a repeated one that the first one began", async () => {
    const { post, gateway } = await open([]);
    const ask = (key: string, more: object = {}) =>
      post("agent", { message: "the backup is done", ...more }, { "idempotency-key": key });
    const first = await ask("k");
    await gateway.ended(first.json.runId);
    const again = await ask("k");
    expect(again.json).toMatchObject({ status: "duplicate", runId: first.json.runId });
    expect(again.json.sessionKey).toBe(first.json.sessionKey);
    expect(await gateway.store.session(again.json.sessionKey)).toMatchObject({ messages: 2 });
    expect((await ask("other")).json.sessionKey).not.toBe(first.json.sessionKey);
  });

  test("that a mapping makes of the payload is chosen by who sends it", async () => {
    const free = await open([byId], undefined, { sessionKeyPrefixes: ["hook:mail:"] });
    expect((await free.post("m", { id: 7 })).json.sessionKey).toBe("agent:main:hook:mail:7");
    expect((await free.post("m", { id: "x".repeat(600) })).json.error.message).toContain(
      "the sessionKey of the hook m",
    );
    const closed = await open([byId], undefined, { allowRequestSessionKey: false });
    expect(await closed.post("m", { id: 7 })).toMatchObject(forbidden("may not choose its session"));
    const other = await open([{ ...byId, sessionKey: "{{id}}" }], undefined, { sessionKeyPrefixes: ["hook:"] });
    expect(await other.post("m", { id: "main" })).toMatchObject(forbidden("allowedSessionKeyPrefixes"));
    expect((await other.post("m", { id: "hook:a" })).json.sessionKey).toBe("agent:main:hook:a");
  });
});

test("a request is as large as hooks.maxBodyBytes says, and others are as they were", async () => {
  const small = await open([], undefined, { bodyBytesMax: 200 });
  expect(await small.post("agent", { message: "x".repeat(100) })).toMatchObject({ status: 200 });
  for (const name of ["agent", "wake", "m"])
    expect(await small.post(name, { message: "x".repeat(300) })).toMatchObject({
      status: 413,
      json: { error: { message: expect.stringContaining("at most 200 are read") } },
    });
  const large = await open([], undefined, { bodyBytesMax: 2_000_000 });
  expect(await large.post("agent", { message: "x".repeat(1_500_000) })).toMatchObject({ status: 200 });
  const usual = await open([]);
  expect(await usual.post("agent", { message: "x".repeat(1_500_000) })).toMatchObject({ status: 413 });
});

describe("an agent is woken five times in a minute at most", () => {
  const full = { status: 503, json: { error: { code: "CLOISTER_BUSY", remedy: "tell several events in one text" } } };
  const wakes: HookMapping = { path: "m", action: "wake", agentId: "raul", template: "{{n}}" };

  test("by hooks, by mappings that wake, and by events together; what is refused leaves nothing", async () => {
    const { gateway, post, pass } = await open([wakes]);
    const client = { clientId: "cli", connId: "c", mode: "test", scopes: ["operator.admin"] } as never;
    expect(await gateway.doors.rpc(client, "wake", { text: "one", agentId: "raul" })).toMatchObject({ ok: true });
    for (const n of [2, 3])
      expect(await post("wake", { text: `${n}`, agentId: "raul" })).toMatchObject({ status: 200 });
    for (const n of [4, 5]) expect(await post("m", { n })).toMatchObject({ status: 200 });
    const refused = await post("wake", { text: "six", agentId: "Raul" });
    expect(refused).toMatchObject(full);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(50);
    expect(await post("m", { n: 7 })).toMatchObject(full);
    expect(await gateway.doors.rpc(client, "wake", { text: "eight", agentId: "raul" })).toMatchObject({ ok: false });
    expect(await post("wake", { text: "elsewhere", agentId: "ops" })).toMatchObject({ status: 200 });
    expect(await post("agent", { message: "no wake", agentId: "raul" })).toMatchObject({ status: 200 });
    pass(60_001);
    expect(await post("wake", { text: "a minute later", agentId: "raul" })).toMatchObject({ status: 200 });
  });

  test("a repeated one counts once, and one that is not accepted not at all", async () => {
    const { post } = await open([{ ...wakes, model: "scripted/large" }], ["main", "raul"]);
    const same = () => post("wake", { text: "the same", agentId: "raul" }, { "idempotency-key": "k" });
    for (let n = 0; n < 10; n++) expect(await same()).toMatchObject({ status: 200 });
    for (let n = 0; n < 10; n++) {
      expect((await post("m", { n })).json.error.message).toContain("raul has none");
      expect(await post("wake", { text: "x", agentId: "ops" })).toMatchObject({ status: 403 });
    }
    for (const n of [2, 3, 4, 5])
      expect(await post("wake", { text: `${n}`, agentId: "raul" })).toMatchObject({ status: 200 });
    expect(await post("wake", { text: "six", agentId: "raul" })).toMatchObject(full);
  });
});

describe("the time of a hook's turn", () => {
  const endOf = async ({ gateway }: Open, { json }: Answer) => gateway.ended(json.runId);

  test("ends it, when the request or the mapping says one, and no other turn", async () => {
    const open1 = await open([
      { path: "short", action: "agent", agentId: "holder", template: "hold", turnMsMax: 50 },
      { path: "long", action: "agent", agentId: "holder", template: "hold" },
    ]);
    const { post, gateway } = open1;
    const long = await post("long", {});
    expect(await endOf(open1, await post("short", {}))).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_ASK_ABORTED" },
    });
    expect(
      await endOf(open1, await post("agent", { message: "hold", agentId: "holder", timeoutSeconds: 1 })),
    ).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
    expect(await gateway.doors.waitRun(long.json.runId, 0)).toMatchObject({ status: "timeout" });
  });

  test("is how long the request waits, when it waits: the turn goes on", async () => {
    const open1 = await open([]);
    const body = { message: "hold", agentId: "holder", timeoutSeconds: 1, waitForCompletion: true };
    const answer = await open1.post("agent", body);
    expect(answer).toMatchObject({ status: 202, json: { status: "timeout" } });
    expect(await open1.gateway.doors.waitRun(answer.json.runId, 200)).toMatchObject({ status: "timeout" });
  });

  test.each([0, -1, 86_401, "60"])("timeoutSeconds %j of a mapping is refused with its bounds", (timeoutSeconds) => {
    const parsed = configSchema.safeParse({ hooks: { mappings: [{ match: { path: "a" }, timeoutSeconds }] } });
    expect(JSON.stringify(parsed.error?.issues)).toContain("timeoutSeconds");
  });
});

describe("the answer of a hook", () => {
  const said = (gateway: TestGateway) =>
    gateway.sent.map(({ channel, accountId, peer, text }) => [
      channel,
      accountId,
      peer.kind,
      peer.id,
      JSON.parse(text).text,
    ]);

  test("goes to the channel that it names, through an account of its agent, and without one stays in its session", async () => {
    const { gateway, post, told } = await open([]);
    for (const [message, asked] of [
      ["kept", {}],
      ["no", { deliver: false, channel: "webhook", to: "direct:ana" }],
      ["person", { channel: "webhook", to: "ana" }],
      ["group", { deliver: true, channel: "webhook", to: "group:g-1" }],
    ] as const) {
      const answer = await post("agent", { message, ...asked });
      expect(answer).toMatchObject({ status: 200 });
      expect(answer.json).not.toHaveProperty("ignored");
      expect(await told(answer)).toMatchObject({ text: message });
    }
    await expect
      .poll(() => said(gateway))
      .toEqual([
        ["webhook", "home", "direct", "ana", "person"],
        ["webhook", "home", "group", "g-1", "group"],
      ]);
  });

  test("goes where its session last spoke, or else its agent's main session", async () => {
    const { gateway, post, told } = await open([{ path: "m", action: "agent", delivery: { channel: "last" } }]);
    const nobody = await post("agent", { message: "x", deliver: true });
    expect(nobody).toMatchObject({ status: 400, json: { error: { remedy: "name channel and to" } } });
    await told(await post("agent", { message: "first", sessionKey: "agent:main:main", channel: "webhook", to: "ana" }));
    await told(await post("agent", { message: "last", deliver: true }));
    await told(await post("m", { ping: 1 }));
    await expect.poll(() => gateway.sent.map(({ peer }) => peer.id)).toEqual(["ana", "ana", "ana"]);
  });

  test.each([
    [{ to: "ana" }, "to: the hook names nobody on a channel"],
    [{ channel: "webhook" }, "the hook names nobody on webhook"],
    [{ channel: "carrier-pigeon", to: "ana" }, "account default of channel carrier-pigeon"],
    [{ thinking: "much" }, "wanted off, low, medium, high"],
    [{ model: "scripted/large" }, "main has none"],
    [{ model: "scripted/other", agentId: "asker" }, "scripted/other"],
    [{ deliver: "yes" }, "deliver"],
  ])("%j is refused, and nothing is accepted", async (asked, message) => {
    const { gateway, post } = await open([]);
    const answer = await post("agent", { message: "x", ...asked });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.json.error.message).toContain(message);
    expect((await gateway.store.sessions({ limit: 1, offset: 0 })).total).toBe(0);
  });

  test("is of the model that it names, for its own turn alone", async () => {
    const { post, told } = await open([
      { path: "m", action: "wake", agentId: "asker", model: "scripted/large", template: "{}" },
    ]);
    const ask = async (of: object) =>
      told(await post("agent", { message: "{}", agentId: "asker", sessionKey: "agent:asker:main", ...of }));
    expect(await ask({ model: "scripted/large", thinking: "low" })).toMatchObject([{ text: "large" }]);
    expect(await ask({})).toMatchObject([{ text: "small" }]);
    expect(await told(await post("m", {}))).toMatchObject([{ text: "large" }]);
  });
});

describe("a mapping", () => {
  test("makes a message of the payload, from the name that it gives, in a session of its own", async () => {
    const { post, told } = await open([github]);
    const answer = await post("github", payload);
    expect(answer.json.sessionKey).toMatch(/^agent:ops:hook:/);
    expect(await told(answer)).toMatchObject({
      agent: "ops",
      text: 'ana pushed a fix (1), 7: ["a"]',
      provenance: { kind: "external_user", sourceChannel: "hook", senderName: "GitHub" },
    });
  });

  test("is found by path, by source, or both; the first that fits counts", async () => {
    const { post, told } = await open([
      { path: "mail", source: "a", action: "wake", agentId: "raul", template: "first" },
      { source: "a", action: "agent", sessionKey: "alerts", template: "second" },
      { path: "mail", action: "agent" },
    ]);
    expect(await told(await post("mail", { source: "a" }))).toMatchObject({
      text: "first",
      session: "agent:raul:main",
    });
    expect(await told(await post("other", { source: "a" }))).toMatchObject({
      text: "second",
      session: "agent:main:alerts",
    });
    expect(await told(await post("mail", { source: "b" }))).toMatchObject({
      text: JSON.stringify({ source: "b" }, undefined, 2),
    });
    expect(await post("other", {})).toMatchObject({
      status: 404,
      json: { error: { remedy: expect.stringContaining("hooks.mappings") } },
    });
  });

  test("that makes nothing of a payload refuses it, and names the template", async () => {
    const { post } = await open([{ ...github, template: "{{not.there}}" }]);
    const answer = await post("github", payload);
    expect(answer).toMatchObject({
      status: 400,
      json: { error: { remedy: expect.stringContaining("messageTemplate") } },
    });
  });

  test("reaches no agent that hooks may not reach, and opens nothing without the token", async () => {
    const { post, gateway } = await open([github], ["main"]);
    expect(await post("github", payload)).toMatchObject({
      status: 403,
      json: { error: { code: "CLOISTER_EDGE_FORBIDDEN", remedy: 'add "ops" to hooks.allowedAgentIds' } },
    });
    for (const name of ["github", "no-such-name", "wake"])
      expect(await post(name, payload, { authorization: "Bearer wrong" })).toMatchObject({ status: 401 });
    expect((await gateway.store.sessions({ limit: 1, offset: 0 })).total).toBe(0);
    expect((await gateway.store.audits(5)).filter(({ type }) => type === "refused")).toMatchObject([
      { subject: "hook", object: "agent:ops" },
    ]);
  });

  test.each([
    [{ match: {} }, "must have path or source"],
    [{ match: { path: "wake" } }, "must not be agent or wake"],
    [{ match: { path: "../v1" } }, "must be a name"],
    [{ match: { path: "a" }, command: "rm" }, "command"],
  ])("%j in the config is refused", (mapping, message) => {
    const parsed = configSchema.safeParse({ hooks: { mappings: [mapping] } });
    expect(JSON.stringify(parsed.error?.issues)).toContain(message);
  });
});
