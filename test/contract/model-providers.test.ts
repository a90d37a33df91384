/** Each provider through its real package, against a server that speaks its wire format (needs A11, A17.3). */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { eventually } from "../support/eventually.ts";
import { openBroker, provider, type TestBrokerOptions } from "../support/broker.ts";
import {
  answerWire,
  type ModelServer,
  openModelServer,
  openWireServer,
  type Reply,
  type Said,
  type WireApi,
  wireApis,
} from "../support/model-servers.ts";

const key = "sk-canary-0123456789abcdef";

async function open(api: WireApi, replies: readonly Reply[], options: TestBrokerOptions = {}) {
  const server = await openModelServer(api, replies);
  const id = api === "openai-completions" ? "local" : (api.split("-")[0] ?? api);
  const prices = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 };
  const told = provider(id, {
    api,
    baseUrl: server.baseUrl,
    apiKey: { value: key },
    headers: { "x-extra": { value: "extra" } },
    models: { m: { id: "m", cost: prices } },
  });
  return { server, name: `${id}/m`, ...openBroker([told], options) };
}

/** A server that answers everything alike. */
async function openAnswering(status: number, { type, body }: { readonly type: string; readonly body: string }) {
  let count = 0;
  const server = createServer((asked, answer) => {
    count++;
    asked.resume();
    answer.writeHead(status, { "content-type": type }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, count: () => count };
}

const say = (said: Said): Reply => ({ type: "say", said });
const refuse = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  type: "refuse",
  status,
  body,
  headers,
});
const codeOf = (end: Awaited<ReturnType<ReturnType<typeof openBroker>["ask"]>>) => (end.ok ? "ok" : end.refusal.code);

const tool = {
  name: "weather",
  description: "The weather of a town",
  parameters: { type: "object", properties: { town: { type: "string" } }, required: ["town"] },
};

/** How each refuses a conversation that is too long. Sources: their references of errors. */
const tooLong: Readonly<Record<WireApi, unknown>> = {
  "anthropic-messages": {
    type: "error",
    error: { type: "invalid_request_error", message: "prompt is too long: 210000 tokens > 200000 maximum" },
  },
  "openai-completions": {
    error: {
      message: "This model's maximum context length is 128000 tokens.",
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded",
    },
  },
  "openai-responses": {
    error: {
      message: "Your input exceeds the context window of this model.",
      type: "invalid_request_error",
      param: "input",
      code: "context_length_exceeded",
    },
  },
  "google-generative-ai": {
    error: {
      code: 400,
      message: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
      status: "INVALID_ARGUMENT",
    },
  },
  ollama: { error: "the input length exceeds the context length" },
};

/** Where the words of a request are. */
const wordsOf: Readonly<Record<WireApi, (server: ModelServer) => string>> = {
  "anthropic-messages": ({ received }) => JSON.stringify(received.at(-1)?.body["messages"]),
  "openai-completions": ({ received }) => JSON.stringify(received.at(-1)?.body["messages"]),
  "openai-responses": ({ received }) => JSON.stringify(received.at(-1)?.body["input"]),
  "google-generative-ai": ({ received }) => JSON.stringify(received.at(-1)?.body["contents"]),
  ollama: ({ received }) => JSON.stringify(received.at(-1)?.body["messages"]),
};

const credentialOf = ({ received }: ModelServer): unknown => {
  const { authorization, "x-api-key": anthropic, "x-goog-api-key": google } = received[0]?.headers ?? {};
  return authorization ?? anthropic ?? google;
};

describe.each(wireApis)("%s", (api) => {
  test("streams text in pieces; counts tokens and cost; sends the key and further headers", async () => {
    const usage = { input: 1_000, output: 50, ...(api === "ollama" ? {} : { cacheRead: 400 }) };
    const opened = await open(api, [say({ pieces: ["Hel", "lo ", "you"], usage })]);
    const { server, answer, ask, pieces, name } = opened;
    expect(await answer({ system: "Be kind.", maxOutputTokens: 77 })).toMatchObject({
      text: "Hello you",
      toolCalls: [],
      finish: "stop",
      model: name,
      usage: { inputTokens: 1_000, outputTokens: 50, ...(api === "ollama" ? {} : { cacheReadTokens: 400 }) },
      costUsd: api === "ollama" ? 0.003_75 : 0.002_67,
    });
    expect(pieces.join("")).toBe("Hello you");
    expect(String(credentialOf(server))).toContain(key);
    expect(server.received[0]?.headers["x-extra"]).toBe("extra");
    expect(JSON.stringify(server.received[0]?.body)).toContain("Be kind.");
    expect(JSON.stringify(server.received[0]?.body)).toContain("77");
    expect(await ask()).toMatchObject({
      ok: true,
      used: { input: 1_000, output: 50, costNanos: api === "ollama" ? 3_750_000 : 2_670_000 },
    });
  });

  test("calls a tool, and goes on with its result", async () => {
    const { server, answer } = await open(api, [
      say({ pieces: ["Let me see."], calls: [{ id: "call_1", name: "weather", input: { town: "Rome" } }] }),
      say({ pieces: ["Sun."] }),
    ]);
    const messages = [{ role: "user" as const, text: "How is Rome?" }];
    const first = await answer({ messages, tools: [tool] });
    expect(first).toMatchObject({
      text: "Let me see.",
      finish: "tool_calls",
      toolCalls: [{ id: expect.stringMatching(/./), name: "weather", input: { town: "Rome" } }],
    });
    expect(JSON.stringify(server.received[0]?.body)).toContain('"The weather of a town"');
    const [call] = first.toolCalls;
    const second = await answer({
      messages: [
        ...messages,
        {
          role: "assistant",
          text: first.text,
          toolCalls: first.toolCalls,
          ...(first.carry === undefined ? {} : { carry: first.carry }),
        },
        { role: "tool", toolCallId: call?.id ?? "", name: "weather", text: "31 degrees" },
      ],
      tools: [tool],
    });
    expect(second).toMatchObject({ text: "Sun.", finish: "stop" });
    const words = wordsOf[api](server);
    for (const word of ["How is Rome?", "Let me see.", "Rome", "31 degrees"]) expect(words).toContain(word);
  });

  test("says when its answer was cut at its length", async () => {
    const { answer } = await open(api, [say({ pieces: ["and then"], finish: "length" })]);
    expect(await answer()).toMatchObject({ text: "and then", finish: "length" });
  });

  test("is asked for JSON by its own means", async () => {
    const { server, answer } = await open(api, [say({ pieces: ['{"town":', '"Rome"}'] })]);
    expect((await answer({ schema: tool.parameters })).text).toBe('{"town":"Rome"}');
    expect(JSON.stringify(server.received[0]?.body)).toContain('"town"');
  });

  test("refuses a key: no second try, and the key is in no message", async () => {
    const { server, ask, logged } = await open(api, [
      refuse(401, { error: { message: `bad key ${key}`, type: "authentication_error" } }),
    ]);
    const end = await ask();
    expect(codeOf(end)).toBe("CLOISTER_MODEL_CREDENTIAL");
    expect(server.received).toHaveLength(1);
    expect(JSON.stringify([end, logged])).not.toContain(key);
  });

  test("has a rate limit: waits as long as it is told to, and no longer than for ten tries", async () => {
    const limited = refuse(429, { error: { message: "slow down", type: "rate_limit_error" } }, { "retry-after": "7" });
    const waited = await open(api, [limited, say({ pieces: ["ok"] })]);
    expect((await waited.answer()).text).toBe("ok");
    expect(waited.pauses).toEqual([7_000]);
    const { server, ask, pauses } = await open(api, [limited]);
    expect(await ask()).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_MODEL_RATE_LIMITED", retryAfterMs: 7_000 },
    });
    expect(server.received).toHaveLength(10);
    expect(pauses).toEqual([7_000, 7_000, 7_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test("fails for a while: tried again with pauses that double", async () => {
    const { answer, pauses } = await open(api, [
      refuse(503, { error: { message: "overloaded" } }),
      refuse(500, {}),
      say({ pieces: ["ok"] }),
    ]);
    expect((await answer()).text).toBe("ok");
    expect(pauses).toEqual([1_000, 2_000]);
  });

  test("cuts the connection in the middle: tried again, and nothing is told twice", async () => {
    const { answer, pieces, server } = await open(api, [
      { type: "cut", said: { pieces: ["Hel"] } },
      say({ pieces: ["Hel", "lo"] }),
    ]);
    expect((await answer()).text).toBe("Hello");
    expect(server.received).toHaveLength(2);
    expect(["Hel", "Hello"]).toContain(pieces.join(""));
  });

  test("refuses a conversation that is too long: at once, by a code of its own", async () => {
    const { server, ask } = await open(api, [refuse(400, tooLong[api])]);
    expect(codeOf(await ask())).toBe("CLOISTER_MODEL_CONTEXT_FULL");
    expect(server.received).toHaveLength(1);
  });

  test("refuses the request: at once", async () => {
    const { server, ask } = await open(api, [
      refuse(400, { error: { message: "no such thing", type: "invalid_request_error" } }),
    ]);
    expect(codeOf(await ask())).toBe("CLOISTER_MODEL_REFUSED");
    expect(server.received).toHaveLength(1);
  });

  test("does not know the model, or answers with a web page: the fallback is asked at once, and without one the remedy names the key", async () => {
    const second = provider("second", { models: { m: { id: "m", script: [{ say: "from the second" }] } } });
    const page = { type: "text/html", body: "<html>sign in</html>" };
    const none = { type: "application/json", body: '{"error":{"message":"no such model"}}' };
    for (const [status, answer] of [[404, none] as const, [200, page] as const]) {
      const { baseUrl, count } = await openAnswering(status, answer);
      const first = provider("first", { api, baseUrl, apiKey: { value: key } });
      const agents = { main: { primary: "first/m", fallbacks: ["second/m"], agentDir: "/nowhere" } };
      const { answer: ask, logged, pauses } = openBroker([first, second], { agents });
      expect((await ask()).text).toBe("from the second");
      expect([count(), pauses]).toEqual([1, []]);
      expect(logged).toContainEqual(
        expect.objectContaining({
          level: "warn",
          fields: expect.objectContaining({ model: "first/m", next: "second/m" }),
        }),
      );
      expect(await openBroker([first]).ask()).toMatchObject({
        refusal: {
          code: "CLOISTER_MODEL_UNAVAILABLE",
          message: expect.stringMatching(/^first\/m: /),
          remedy: expect.stringContaining("models.providers.first.baseUrl"),
        },
      });
    }
  });

  test("a tool that the model was not offered is told to its caller, who can tell the model; what nobody can give back is no answer", async () => {
    const calls = [{ id: "1", name: "launch", input: { at: 1 } }];
    const { answer, ask, server } = await open(api, [
      say({ calls }),
      say({ calls: [{ id: "2", name: "x y", input: {} }] }),
    ]);
    expect((await answer({ tools: [tool] })).toolCalls).toMatchObject([{ name: "launch", input: { at: 1 } }]);
    expect(server.received).toHaveLength(1);
    expect(codeOf(await ask({ tools: [tool] }))).toBe("CLOISTER_MODEL_OUTPUT_INVALID");
  });

  test("is let go when the run is stopped", async () => {
    const { server, ask, broker } = await open(api, [{ type: "hang" }]);
    const end = ask({}, { id: 7 });
    await expect.poll(() => server.received.length).toBe(1);
    await broker.cancel(7);
    expect(codeOf(await end)).toBe("CLOISTER_ASK_ABORTED");
    await expect.poll(server.left).toBe(1);
  });

  test("A17.3: an answer beyond its bound of bytes ends while it streams", async () => {
    const long = say({ pieces: Array.from({ length: 50 }, () => "x".repeat(1_000)) });
    const { ask } = await open(api, [long], { bounds: { bytesMax: 20_000, silenceMs: 10_000 } });
    expect(await ask()).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_MODEL_OUTPUT_INVALID", message: expect.stringContaining("more than 20000 bytes") },
    });
  });

  test("A17.3: an answer beyond its bound of characters is none", async () => {
    const long = say({
      pieces: ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(limits.modelAnswerCharsMax / 4)),
    });
    const { ask } = await open(api, [long]);
    expect(codeOf(await ask())).toBe("CLOISTER_MODEL_OUTPUT_INVALID");
  });
});

describe("a failure inside of a stream that began well", () => {
  test.each([
    ["anthropic-messages", { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, 2],
    ["anthropic-messages", { type: "error", error: { type: "invalid_request_error", message: "no" } }, 1],
    [
      "openai-responses",
      {
        type: "error",
        sequence_number: 1,
        error: { type: "server_error", code: "server_error", message: "oops", param: null },
      },
      2,
    ],
    ["openai-completions", { error: { message: "oops", type: "server_error", code: null, param: null } }, 2],
    ["google-generative-ai", { error: { code: 503, message: "overloaded", status: "UNAVAILABLE" } }, 2],
  ] as const)("%s: %j takes %i tries", async (api, record, tries) => {
    const { ask, server } = await open(api, [
      { type: "fail", said: { pieces: ["Hel"] }, record },
      say({ pieces: ["Hello"] }),
    ]);
    expect(codeOf(await ask())).toBe(tries === 1 ? "CLOISTER_MODEL_REFUSED" : "ok");
    expect(server.received).toHaveLength(tries);
  });
});

test.each([
  ["is another one", "sk-good", ["a"]],
  ["is the same", "sk-bad", ["b"]],
])(
  "a credential that was refused comes last for a while; when its secret %s, %j goes first",
  async (_what, next, first) => {
    const server = await openWireServer("anthropic-messages", ({ headers }, _count, response) =>
      headers["x-api-key"] === "sk-bad"
        ? response
            .writeHead(401, { "content-type": "application/json" })
            .end('{"error":{"type":"authentication_error"}}')
        : answerWire("anthropic-messages", say({ pieces: ["yes"] }), response),
    );
    const told = provider("anthropic", {
      api: "anthropic-messages",
      baseUrl: server.baseUrl,
      models: { m: { id: "m" } },
    });
    const { ask, agentDir } = openBroker([told]);
    const write = (secret: string): void => {
      mkdirSync(agentDir("main"), { recursive: true });
      const profiles = {
        a: { type: "api_key", provider: "anthropic", key: secret },
        b: { type: "api_key", provider: "anthropic", key: "sk-b" },
      };
      writeFileSync(path.join(agentDir("main"), "auth-profiles.json"), JSON.stringify({ profiles }));
    };
    const keysOf = async (authProfile?: string): Promise<readonly string[]> => {
      const before = server.received.length;
      expect(codeOf(await ask({}, authProfile === undefined ? {} : { authProfile }))).toBe("ok");
      return server.received.slice(before).map(({ headers }) => (headers["x-api-key"] === "sk-b" ? "b" : "a"));
    };
    write("sk-bad");
    expect(await keysOf()).toEqual(["a", "b"]);
    expect(await keysOf()).toEqual(["b"]);
    expect(await keysOf("a")).toEqual(["b"]);
    write(next);
    expect(await keysOf()).toEqual(first);
    expect(await keysOf("b")).toEqual(["b"]);
  },
);

describe("a key that was refused", () => {
  const refusing = (good: string) =>
    openWireServer("anthropic-messages", ({ headers }, _count, response) =>
      headers["x-api-key"] === good || headers["x-tenant"] === good
        ? answerWire("anthropic-messages", say({ pieces: ["yes"] }), response)
        : response
            .writeHead(401, { "content-type": "application/json" })
            .end('{"error":{"type":"authentication_error"}}'),
    );
  const ref = { ref: { source: "exec", provider: "vault", id: "key" } } as const;

  /** A program that says what is in a file, and counts. */
  async function openVault(changes: Parameters<typeof provider>[1]) {
    const server = await refusing("sk-new");
    const told = provider("anthropic", {
      api: "anthropic-messages",
      baseUrl: server.baseUrl,
      models: { m: { id: "m" } },
      ...changes,
    });
    const opened = openBroker([told]);
    const stateDir = path.dirname(opened.agentDir("main"));
    const folder = path.join(stateDir, "secret-programs");
    mkdirSync(folder, { mode: 0o700 });
    const [kept, count] = [path.join(stateDir, "vault-key"), path.join(stateDir, "vault-count")];
    writeFileSync(path.join(folder, "vault"), `#!/bin/sh\nprintf x >> ${count}\ncat ${kept}\n`, { mode: 0o700 });
    writeFileSync(kept, "sk-old");
    return {
      ...opened,
      server,
      rotate: () => writeFileSync(kept, "sk-new"),
      runs: () => readFileSync(count, "utf8").length,
    };
  }

  test.each([
    ["the credential", { apiKey: ref }],
    ["a header", { apiKey: { value: "sk-x" }, headers: { "x-tenant": ref } }],
  ])("is read again from its program within the call, and another one answers it: %s", async (_what, changes) => {
    const { ask, rotate, runs, pass, server, logged } = await openVault(changes);
    expect(codeOf(await ask())).toBe("CLOISTER_MODEL_CREDENTIAL");
    expect([server.received.length, runs()]).toEqual([1, 1]);
    rotate();
    pass(limits.secretProgramAgainMs);
    expect(codeOf(await ask())).toBe("ok");
    expect([server.received.length, runs()]).toEqual([3, 2]);
    expect(codeOf(await ask())).toBe("ok");
    expect([server.received.length, runs()]).toEqual([4, 2]);
    expect(JSON.stringify(logged)).not.toMatch(/sk-(old|new)/);
  });

  test("that is the same is not tried again, and its program is not run for each refusal", async () => {
    const { ask, runs, pass, server } = await openVault({ apiKey: ref });
    for (let n = 0; n < 5; n++) expect(codeOf(await ask())).toBe("CLOISTER_MODEL_CREDENTIAL");
    expect([server.received.length, runs()]).toEqual([5, 1]);
    pass(limits.secretProgramAgainMs);
    for (let n = 0; n < 5; n++) await ask();
    expect([server.received.length, runs()]).toEqual([10, 2]);
  });
});

test("a redirect is no way to another host: the key would go with it", async () => {
  const { ask, server } = await open("anthropic-messages", [refuse(307, {}, { location: "http://127.0.0.1:1/" })]);
  expect(codeOf(await ask())).toBe("CLOISTER_MODEL_FAILED");
  expect(server.received.length).toBeGreaterThan(0);
});

test("a provider that sends nothing for too long has failed", async () => {
  const { ask } = await open("openai-completions", [{ type: "hang" }], {
    bounds: { bytesMax: 1_000_000, silenceMs: 20 },
  });
  expect(await ask()).toMatchObject({
    ok: false,
    refusal: { code: "CLOISTER_MODEL_FAILED", message: expect.stringContaining("said nothing for 20 ms") },
  });
});

test("one agent with more calls than it has places does not keep another's from its provider", async () => {
  const agent = { primary: "local/m", fallbacks: [], agentDir: "/nowhere" };
  const agents = { main: agent, ana: agent };
  const { ask, broker, server } = await open("openai-completions", [{ type: "hang" }], { agents });
  const text = (said: string) => ({ messages: [{ role: "user" as const, text: said }] });
  const count = limits.modelTriesOfAgentMax + 1;
  const calls = Array.from({ length: count }, (_, id) => ask(text("main"), { id }));
  calls.push(ask(text("ana"), { agentId: "ana", id: count }));
  const said = (): readonly string[] => server.received.map(({ body }) => JSON.stringify(body));
  await eventually(() => expect(said().some((body) => body.includes("ana"))).toBe(true));
  expect(said().filter((body) => body.includes("main"))).toHaveLength(limits.modelTriesOfAgentMax);
  for (let id = 0; id <= count; id++) void broker.cancel(id);
  expect(new Set((await Promise.all(calls)).map(codeOf))).toEqual(new Set(["CLOISTER_ASK_ABORTED"]));
});

test("a fallback is offered no tool that the policy keeps from it, and an answer that calls one all the same is none", async () => {
  const server = await openModelServer("openai-completions", [
    say({ pieces: ["fine"] }),
    say({ calls: [{ id: "1", name: "exec", input: {} }] }),
  ]);
  const failing = provider("first", { models: { m: { id: "m", script: [{ fail: { status: 401, message: "no" } }] } } });
  const second = provider("second", { api: "openai-completions", baseUrl: server.baseUrl });
  const { ask, logged } = openBroker([failing, second], {
    agents: { main: { primary: "first/m", fallbacks: ["second/m"], agentDir: "/nowhere" } },
    toolsByModel: { global: { byProvider: { second: { deny: ["exec"] } } }, agents: {} },
  });
  const request = { tools: [tool, { ...tool, name: "exec" }] };
  expect(await ask(request)).toMatchObject({ ok: true });
  expect(server.received[0]?.body["tools"]).toMatchObject([{ function: { name: "weather" } }]);
  expect(logged).toContainEqual(
    expect.objectContaining({ level: "debug", fields: expect.objectContaining({ tools: ["exec"] }) }),
  );
  expect(codeOf(await ask(request))).toBe("CLOISTER_MODEL_OUTPUT_INVALID");
});

test("ollama takes the bounds of a call where it reads them: among its options, with the context of the model", async () => {
  const server = await openModelServer("ollama", [say({ pieces: ["a"] }), say({ pieces: ["b"] })]);
  const told = provider("ollama", {
    api: "ollama",
    baseUrl: server.baseUrl,
    models: { m: { id: "m", contextWindow: 32_768, maxTokens: 500 }, plain: { id: "plain" } },
  });
  const { answer } = openBroker([told], { catalogue: ["ollama/plain"] });
  await answer({ model: "ollama/m", maxOutputTokens: 77, temperature: 0.5 });
  expect(server.received[0]?.body["options"]).toEqual({ num_ctx: 32_768, num_predict: 77, temperature: 0.5 });
  await answer({ model: "ollama/plain" });
  expect(server.received[1]?.body["options"]).toEqual({});
});
