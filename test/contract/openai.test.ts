/** Programs that speak OpenAI's API, by OpenAI's own client, against a gateway with real cells behind a real edge. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterEach, describe, expect, test } from "vitest";
import type { EdgeBounds } from "../../runtime/edge/bounds.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import type { EdgeForKernel } from "../../runtime/edge/port.ts";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { ask, type Answer, gatewayToken, operatorKey, postJson, settingsWith } from "./edge-kit.ts";
import { makeWatchers } from "../support/watchers.ts";

const agents = ["main", "shop", "raul"].map((id) => ({ id, ...actor("speaker") }));
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };

interface Open {
  readonly gateway: TestGateway;
  readonly edge: EdgeForKernel;
  readonly port: number;
  /** OpenAI's client with this token; it does not try again by itself. */
  readonly client: (token: string) => OpenAI;
  /** A new caller's token. */
  readonly caller: (name: string, ...agents: string[]) => Promise<string>;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers of methods, looked into by the tests
  readonly rpc: (method: string, params: object) => Promise<any>;
  readonly goOn: (agentId: string) => void;
}

const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

async function open(changes: { bounds?: Partial<EdgeBounds>; settings?: Partial<EdgeSettings> } = {}): Promise<Open> {
  const gateway = await openGateway(agents);
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500, ...changes.bounds } });
  closings.push(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(gateway.config.stateDir), ...changes.settings });
  const { until, changed } = makeWatchers();
  gateway.attachEdge({
    ...edge,
    publish: (events) => void edge.publish(events).then(changed),
  });
  const rpc: Open["rpc"] = async (method, params) => {
    const result = await gateway.doors.rpc(operator, method, params);
    return result.ok ? result.payload : result.refusal;
  };
  return {
    gateway: { ...gateway, until },
    edge,
    port,
    rpc,
    client: (apiKey) => new OpenAI({ apiKey, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 }),
    caller: async (name, ...names) => (await rpc("callers.add", { name, agents: names })).token,
    goOn: (agentId) => {
      const workspace = path.join(gateway.config.stateDir, `workspace-${agentId}`);
      mkdirSync(workspace, { recursive: true });
      writeFileSync(path.join(workspace, "go-on"), "");
    },
  };
}

const say = (content: string) => [{ role: "user" as const, content }];
// oxlint-disable-next-line typescript/no-explicit-any -- what the fixture tells, looked into by the tests
const told = (text: string | null | undefined): any => JSON.parse(text ?? "null");
const failureOf = async (call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw new Error(`wanted an error of the API, found ${String(error)}`);
};

describe("A15.4: an agent is a model of OpenAI's API", () => {
  test("chat completions, not streamed: the answer, the agent's own name, and no invented usage", async () => {
    const { client } = await open();
    const answer = await client(gatewayToken).chat.completions.create({ model: "agent/shop", messages: say("hello") });
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      model: "agent/shop",
      choices: [{ index: 0, message: { role: "assistant" }, finish_reason: "stop" }],
      usage: null,
    });
    expect(told(answer.choices[0]?.message.content)).toMatchObject({
      agent: "shop",
      text: "hello",
      session: expect.stringMatching(/^agent:shop:hook:http:operator:[0-9a-f]{32}$/),
      provenance: { kind: "external_user", sourceChannel: "http" },
      turns: 1,
    });
  });

  test.each([
    ["cloister", "main"],
    ["openclaw/default", "main"],
    ["openclaw:shop", "shop"],
    ["agent:raul", "raul"],
    ["Cloister/RAUL", "raul"],
  ])("the model %s is the agent %s", async (model, agent) => {
    const { client } = await open();
    const answer = await client(gatewayToken).chat.completions.create({ model, messages: say("x") });
    expect(told(answer.choices[0]?.message.content).agent).toBe(agent);
  });

  test("streamed: the parts as the agent says them, before it has ended, and together the answer", async () => {
    const { client, goOn } = await open();
    const stream = await client(gatewayToken).chat.completions.create({
      model: "agent/shop",
      messages: say("stream"),
      stream: true,
      stream_options: { include_usage: true },
    });
    const parts: string[] = [];
    let last: unknown;
    let usage: unknown = "not told";
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      if (choice === undefined) usage = chunk.usage;
      if (choice?.delta.content) parts.push(choice.delta.content);
      // It waits for this: what came before has come while the turn ran.
      if (choice?.delta.content === "one ") goOn("shop");
      last = choice?.finish_reason ?? last;
      expect(chunk.model).toBe("agent/shop");
    }
    expect(parts).toEqual(["one ", "two"]);
    expect([last, usage]).toEqual(["stop", null]);
  });

  test("an answer that is not what was streamed follows after it", async () => {
    const { client, goOn } = await open();
    goOn("raul");
    const stream = await client(gatewayToken).chat.completions.create({
      model: "agent/raul",
      messages: say("stream other"),
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("one two\n\nthree");
  });

  test("the conversation so far is shown to an agent that does not have it; one that keeps it gets what is new", async () => {
    const { client } = await open();
    const openai = client(gatewayToken);
    const messages = [
      { role: "system" as const, content: "be brief" },
      ...say("first"),
      { role: "assistant" as const, content: "an answer" },
      { role: "user" as const, content: [{ type: "text" as const, text: "second" }] },
    ];
    const fresh = await openai.chat.completions.create({ model: "agent/shop", messages });
    const { text } = told(fresh.choices[0]?.message.content);
    expect(text).toContain("system: be brief\nuser: first\nassistant (agent): an answer");
    expect(text.endsWith("\nsecond")).toBe(true);
    const kept = await openai.chat.completions.create({ model: "agent/shop", messages, user: "Ana" });
    expect(told(kept.choices[0]?.message.content)).toMatchObject({
      text: "second",
      session: "agent:shop:http:operator:direct:ana",
      provenance: { senderName: "Ana" },
    });
    const again = await openai.chat.completions.create({ model: "agent/shop", messages: say("third"), user: "Ana" });
    expect(told(again.choices[0]?.message.content).turns).toBe(2);
  });

  test("responses: text and items, instructions, going on from one, and its events in order", async () => {
    const { client } = await open();
    const openai = client(gatewayToken);
    const first = await openai.responses.create({ model: "agent/shop", input: "one", instructions: "be brief" });
    expect(first).toMatchObject({ object: "response", status: "completed", model: "agent/shop", usage: null });
    expect(told(first.output_text)).toMatchObject({
      turns: 1,
      text: expect.stringMatching(/system: be brief[^]*\none$/),
    });
    const second = await openai.responses.create({
      model: "agent/shop",
      input: [{ role: "user", content: [{ type: "input_text", text: "two" }] }],
      previous_response_id: first.id,
    });
    expect(told(second.output_text)).toMatchObject({ turns: 2, text: "two", session: told(first.output_text).session });
    const types: string[] = [];
    const numbers: number[] = [];
    let streamed = "";
    for await (const event of await openai.responses.create({ model: "agent/shop", input: "three", stream: true })) {
      types.push(event.type);
      numbers.push(event.sequence_number);
      if (event.type === "response.output_text.delta") streamed += event.delta;
      if (event.type === "response.completed")
        expect(event.response.output).toMatchObject([{ content: [{ text: streamed }] }]);
    }
    expect(told(streamed).text).toBe("three");
    expect(types).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(numbers).toEqual(numbers.map((_, index) => index));
  });

  test("an Idempotency-Key makes a repeated request the same call", async () => {
    const { client, gateway } = await open();
    const openai = client(gatewayToken);
    const send = (text: string) =>
      openai.responses.create({ model: "agent/shop", input: text }, { headers: { "Idempotency-Key": "k-1" } });
    const [first, again] = [await send("one"), await send("one")];
    expect(again.id).toBe(first.id);
    expect(again.output_text).toBe(first.output_text);
    expect((await gateway.store.sessions({ limit: 10, offset: 0 })).total).toBe(1);
  });
});

describe("A15.4: a caller of its own", () => {
  test("may call exactly the agents of its token, and learns of no others", async () => {
    const { client, caller, gateway } = await open();
    const bot = client(await caller("bot", "shop"));
    expect((await bot.models.list()).data.map(({ id }) => id)).toEqual(["agent/shop"]);
    expect((await bot.models.retrieve("agent/shop")).id).toBe("agent/shop");
    const answer = await bot.chat.completions.create({ model: "cloister", messages: say("hi"), user: "Ana" });
    expect(told(answer.choices[0]?.message.content)).toMatchObject({
      agent: "shop",
      session: "agent:shop:http:bot:direct:ana",
      provenance: { kind: "external_user", sourceChannel: "http", accountId: "bot" },
    });
    // One that is there and one that is not: the same words.
    for (const other of ["raul", "nobody"]) {
      const refused = await failureOf(bot.chat.completions.create({ model: `agent/${other}`, messages: say("hi") }));
      expect(refused).toMatchObject({
        status: 403,
        code: "CLOISTER_CAPABILITY_DENIED",
        type: "permission_error",
        message: expect.stringContaining(`cloister callers allow bot --agent ${other}`),
      });
      expect(await failureOf(bot.models.retrieve(`agent/${other}`))).toMatchObject({ status: 404 });
    }
    expect((await gateway.store.sessions({ limit: 10, offset: 0, agentIds: ["raul"] })).total).toBe(0);
    expect((await gateway.store.audits(20)).filter(({ decision }) => decision === "refused")).toMatchObject([
      { subject: "caller:bot", object: "agent:nobody", code: "CLOISTER_CAPABILITY_DENIED" },
      { subject: "caller:bot", object: "agent:raul", code: "CLOISTER_CAPABILITY_DENIED" },
    ]);
  });

  test("has conversations of its own: no name, key or id of another program's reaches any other", async () => {
    const { client, caller } = await open();
    const [bot, spy] = [client(await caller("bot", "shop")), client(await caller("spy", "shop"))];
    const own = await bot.responses.create({ model: "agent/shop", input: "secret" });
    expect(
      await failureOf(spy.responses.create({ model: "agent/shop", input: "x", previous_response_id: own.id })),
    ).toMatchObject({ status: 404, code: "CLOISTER_SESSION_UNKNOWN" });
    const named = async (program: OpenAI, headers: Record<string, string>) =>
      told(
        (await program.chat.completions.create({ model: "agent/shop", messages: say("x") }, { headers })).choices[0]
          ?.message.content,
      );
    expect((await named(spy, { "x-cloister-session": "ana" })).session).toBe("agent:shop:http:spy:direct:ana");
    // The name is text, and not structure.
    expect((await named(spy, { "x-cloister-session": "x:direct:../bot" })).session).toMatch(
      /^agent:shop:http:spy:direct:/,
    );
    const key = { "x-openclaw-session-key": "agent:shop:http:bot:direct:ana" };
    expect(await failureOf(named(spy, key))).toMatchObject({ status: 403, code: "CLOISTER_EDGE_FORBIDDEN" });
    expect((await named(client(gatewayToken), key)).session).toBe("agent:shop:http:bot:direct:ana");
    expect(await failureOf(named(client(gatewayToken), { "x-openclaw-session-key": "agent:raul:main" }))).toMatchObject(
      {
        status: 400,
      },
    );
  });

  test("that came with the gateway's own token hears that this is another one now", async () => {
    const { client, edge, gateway } = await open();
    const asked = failureOf(
      client(gatewayToken).chat.completions.create({ model: "agent/shop", messages: say("stream") }),
    );
    await gateway.until(() => gateway.agents().find(({ agentId }) => agentId === "shop")?.activeRuns === 1);
    const settings = settingsWith(gateway.config.stateDir);
    await edge.configure({ ...settings, auth: { mode: "token", secret: "another-secret" } });
    expect(await asked).toMatchObject({ status: 403, code: "CLOISTER_CAPABILITY_REVOKED" });
    expect(await failureOf(client(gatewayToken).models.list())).toMatchObject({ status: 401 });
    expect((await client("another-secret").models.list()).data).toHaveLength(3);
    await edge.configure({
      ...settings,
      programs: { chatCompletions: false, responses: false, mcp: false, a2a: false },
    });
    expect(await failureOf(client(gatewayToken).models.list())).toMatchObject({ status: 404 });
  });

  test("that is revoked hears it in the middle of its answer, its run is stopped, and its token opens nothing", async () => {
    const { client, caller, rpc, gateway } = await open();
    const bot = client(await caller("bot", "shop"));
    const stream = await bot.chat.completions.create({ model: "agent/shop", messages: say("stream"), stream: true });
    const parts: string[] = [];
    const reading = (async () => {
      for await (const chunk of stream) {
        parts.push(chunk.choices[0]?.delta.content ?? "");
        if (parts.at(-1) === "one ") expect(await rpc("callers.revoke", { name: "bot" })).toMatchObject({ ok: true });
      }
    })();
    expect(await failureOf(reading)).toMatchObject({ code: "CLOISTER_CAPABILITY_REVOKED" });
    expect(parts).toEqual(["", "one "]);
    await gateway.until(() => gateway.agents().find(({ agentId }) => agentId === "shop")?.activeRuns === 0);
    expect(await failureOf(bot.models.list())).toMatchObject({ status: 401, code: "CLOISTER_EDGE_UNAUTHENTICATED" });
    expect(await rpc("callers.revoke", { name: "bot" })).toMatchObject({ code: "CLOISTER_CALLER_UNKNOWN" });
  });

  test("what of it waits when it is revoked is refused at delivery", async () => {
    const { client, caller, rpc, gateway, goOn } = await open();
    const bot = client(await caller("bot", "shop"));
    const ana = { model: "agent/shop", user: "ana" } as const;
    // The first holds the session.
    const running = bot.chat.completions.create(
      { ...ana, messages: say("stream") },
      { headers: { "Idempotency-Key": "a" } },
    );
    await gateway.until(() => gateway.agents().find(({ agentId }) => agentId === "shop")?.phase === "running");
    const waiting = failureOf(
      bot.chat.completions.create({ ...ana, messages: say("late") }, { headers: { "Idempotency-Key": "b" } }),
    );
    await gateway.until(() => gateway.agents().find(({ agentId }) => agentId === "shop")?.queueDepth === 1);
    await rpc("callers.allow", { name: "bot", agents: ["raul"] });
    goOn("shop");
    expect(await waiting).toMatchObject({ status: 403, code: "CLOISTER_CAPABILITY_REVOKED" });
    // What an agent has in hand goes on.
    expect((await running).choices[0]?.message.content).toBe("one two");
  });

  test("rotated: the new token works, the old one does not; and both outlive the gateway as a hash alone", async () => {
    const { client, caller, rpc, gateway } = await open();
    const old = await caller("bot", "shop");
    const { token } = await rpc("callers.rotate", { name: "bot" });
    expect(await failureOf(client(old).models.list())).toMatchObject({ status: 401 });
    expect((await client(token).models.list()).data).toHaveLength(1);
    const kept = JSON.stringify(await gateway.store.callers());
    expect(kept).toContain('"name":"bot"');
    expect(kept).not.toContain(token);
    expect(JSON.stringify([await rpc("callers.list", {}), gateway.logged])).not.toMatch(/clt_|tokenHash/);
    const second = await openGateway(agents, {}, { store: gateway.store, config: gateway.config });
    expect(second.callers.keys()).toMatchObject([{ name: "bot" }]);
    expect(await second.doors.callable({ type: "caller", name: "bot" })).toMatchObject([{ agentId: "shop" }]);
  });
});

describe("what is refused", () => {
  test.each([
    ["a model of somebody else", { model: "gpt-4o" }, 404, "CLOISTER_AGENT_UNKNOWN", "agent/<id>"],
    ["an agent that is not there", { model: "agent/nobody" }, 404, "CLOISTER_AGENT_UNKNOWN", "nobody"],
    ["tools of the caller", { tools: [{}] }, 400, "CLOISTER_REQUEST_INVALID", "an agent's tools are its own"],
    ["several answers", { n: 2 }, 400, "CLOISTER_REQUEST_INVALID", "n: must be 1"],
    [
      "a form of the answer",
      { response_format: { type: "json_object" } },
      400,
      "CLOISTER_REQUEST_INVALID",
      "json_object",
    ],
    [
      "no last word of the user",
      { messages: [{ role: "assistant", content: "x" }] },
      400,
      "CLOISTER_REQUEST_INVALID",
      "wanted a message of the user",
    ],
    [
      "an image",
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      400,
      "CLOISTER_REQUEST_INVALID",
      "image_url",
    ],
    ["no messages", { messages: [] }, 400, "CLOISTER_REQUEST_INVALID", "messages"],
    [
      "an agent's result of a tool",
      { messages: [{ role: "tool", content: "x" }] },
      400,
      "CLOISTER_REQUEST_INVALID",
      "tool",
    ],
  ])("%s: in the form of the API, with what is wanted", async (_, change, status, code, message) => {
    const { port, gateway } = await open();
    const body = { model: "agent/main", messages: say("x"), ...change };
    const answer = await postJson(port, "/v1/chat/completions", bearer(gatewayToken), body);
    expect(answer).toMatchObject({ status, json: { error: { code, type: expect.any(String), param: null } } });
    expect(answer.json.error.message).toContain(message);
    expect((await gateway.store.sessions({ limit: 1, offset: 0 })).total).toBe(0);
  });

  test.each([
    ["no token", {}, 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["a wrong token", { authorization: "Bearer nothing-of-ours" }, 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    [
      "the gateway's own token, from beyond this machine",
      { authorization: `Bearer ${gatewayToken}`, "x-forwarded-for": "203.0.113.9" },
      401,
      "CLOISTER_EDGE_UNAUTHENTICATED",
    ],
    [
      "the gateway's own token, from an allowed page",
      { authorization: `Bearer ${gatewayToken}`, origin: "https://panel.example.org" },
      401,
      "CLOISTER_EDGE_UNAUTHENTICATED",
    ],
    [
      "the page of another site",
      { authorization: `Bearer ${gatewayToken}`, origin: "https://evil.example" },
      403,
      "CLOISTER_EDGE_FORBIDDEN",
    ],
    [
      "a name that was pointed here",
      { authorization: `Bearer ${gatewayToken}`, host: "evil.example" },
      421,
      "CLOISTER_EDGE_HOST",
    ],
  ])("%s", async (_, headers, status, code) => {
    const { port } = await open();
    for (const place of ["/v1/chat/completions", "/v1/responses"]) {
      const answer = await postJson(port, place, headers, { model: "agent/main", messages: say("x"), input: "x" });
      expect(answer).toMatchObject({ status, json: { error: { code } } });
    }
  });

  test("with auth mode none too, a call needs a token", async () => {
    const { port, client } = await open({ settings: { auth: { mode: "none" } } });
    const answer = await postJson(port, "/v1/chat/completions", {}, { model: "agent/main", messages: say("x") });
    expect(answer.status).toBe(401);
    expect((await client(operatorKey).models.list()).data).toHaveLength(3);
  });

  test("what is not enabled is not there, and says which key enables it", async () => {
    const { port } = await open({
      settings: { programs: { chatCompletions: false, responses: false, mcp: false, a2a: false } },
    });
    const chat = await postJson(port, "/v1/chat/completions", bearer(gatewayToken), {});
    expect(chat).toMatchObject({ status: 404, json: { error: { code: "CLOISTER_EDGE_NOT_FOUND" } } });
    expect(chat.json.error.message).toContain("gateway.http.endpoints.chatCompletions.enabled");
    expect((await ask(port, "GET", "/v1/models", bearer(gatewayToken))).status).toBe(404);
  });

  test("wrong tokens lock the address out, and a right one does not open it then", async () => {
    const { port } = await open({ bounds: { webhookAuthFailuresPerMinute: 3 } });
    const send = (token: string): Promise<Answer> => ask(port, "GET", "/v1/models", bearer(token));
    for (let index = 0; index < 3; index++) expect((await send(`wrong-${index}`)).status).toBe(401);
    expect(await send(gatewayToken)).toMatchObject({ status: 429, headers: { "retry-after": expect.any(String) } });
  });

  test("a field that nothing acts on is named in a header", async () => {
    const { port } = await open();
    const body = { model: "agent/main", messages: say("x"), temperature: 0.2, seed: 7 };
    const answer = await postJson(port, "/v1/chat/completions", bearer(gatewayToken), body);
    expect(answer).toMatchObject({ status: 200, headers: { "x-cloister-ignored": "temperature, seed" } });
  });
});

describe("a call that nobody waits for", () => {
  const isIdle = (gateway: TestGateway) => () =>
    gateway.agents().find(({ agentId }) => agentId === "shop")?.activeRuns === 0;
  const isRunning = (gateway: TestGateway) => () => !isIdle(gateway)();

  test.each(["streamed", "not streamed"])("is stopped when its client closes the connection (%s)", async (how) => {
    const { client, gateway } = await open();
    const leaving = new AbortController();
    const asked = client(gatewayToken).chat.completions.create(
      { model: "agent/shop", messages: say("stream"), stream: how === "streamed" },
      { signal: leaving.signal },
    );
    const ended = asked.then(
      async (answer) => {
        if (Symbol.asyncIterator in answer) for await (const _ of answer);
      },
      () => undefined,
    );
    await gateway.until(isRunning(gateway));
    leaving.abort();
    await ended;
    await gateway.until(isIdle(gateway));
  });

  test("goes on under an Idempotency-Key, and the same request again gets its answer", async () => {
    const { client, gateway, goOn } = await open();
    const leaving = new AbortController();
    const send = (signal?: AbortSignal) =>
      client(gatewayToken).chat.completions.create(
        { model: "agent/shop", messages: say("stream") },
        { headers: { "Idempotency-Key": "k" }, ...(signal === undefined ? {} : { signal }) },
      );
    const asked = send(leaving.signal).catch(() => undefined);
    await gateway.until(isRunning(gateway));
    leaving.abort();
    await asked;
    const again = send();
    goOn("shop");
    expect((await again).choices[0]?.message.content).toBe("one two");
  });

  test("that is not answered in time is stopped, with 504", async () => {
    const { client, gateway } = await open({ bounds: { programWaitMs: 100 } });
    const error = await failureOf(
      client(gatewayToken).chat.completions.create({ model: "agent/shop", messages: say("stream") }),
    );
    expect(error).toMatchObject({ status: 504, code: "CLOISTER_ASK_TIMEOUT" });
    await gateway.until(isIdle(gateway));
  });

  test("beyond the bound of its caller is refused, and frees its place when it ends", async () => {
    const { client, caller, gateway, goOn } = await open({ bounds: { programCallsPerCallerMax: 1 } });
    const bot = client(await caller("bot", "shop"));
    const other = client(await caller("other", "shop"));
    const first = bot.chat.completions.create({ model: "agent/shop", messages: say("stream") });
    await gateway.until(isRunning(gateway));
    const again = () => bot.chat.completions.create({ model: "agent/shop", messages: say("x") });
    expect(await failureOf(again())).toMatchObject({ status: 503, code: "CLOISTER_EDGE_BUSY" });
    expect((await other.chat.completions.create({ model: "agent/shop", messages: say("x") })).choices).toHaveLength(1);
    goOn("shop");
    await first;
    expect((await again()).choices).toHaveLength(1);
  });
});

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
