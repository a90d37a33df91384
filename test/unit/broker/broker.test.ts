/** What is tried when a model does not answer, and for how long, on a clock that jumps (behaviour §5.5). */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ScriptRule } from "../../../runtime/broker/port.ts";
import { makeReadRequest } from "../../../runtime/broker/request.ts";
import { ProviderFailure } from "../../../runtime/broker/provider-failure.ts";
import { tryWays } from "../../../runtime/broker/tries.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeBroker } from "../../../runtime/broker/broker.ts";
import { openBroker, provider } from "../../support/broker.ts";

const scripted = (id: string, script: readonly ScriptRule[], key?: string) =>
  provider(id, { models: { m: { id: "m", script } }, ...(key === undefined ? {} : { apiKey: { value: key } }) });
const fails = (status: number, message = "no"): ScriptRule => ({ fail: { status, message } });

const agents = (fallbacks: readonly string[]) => ({ main: { primary: "a/m", fallbacks, agentDir: "/nowhere" } });

describe("a model that does not answer", () => {
  it.each([
    [429, "b", 9],
    [503, "b", 6],
    [401, "b", 0],
    [402, "b", 0],
    [404, "b", 0],
  ] as const)("HTTP %i: its fallback %s answers, after %i pauses", async (status, model, count) => {
    const { answer, pauses, logged } = openBroker([scripted("a", [fails(status)]), scripted(model, [{ say: "b" }])], {
      agents: agents(["b/m"]),
    });
    expect(await answer()).toMatchObject({ text: "b", model: "b/m" });
    expect(pauses).toHaveLength(count);
    const again = pauses.map((pauseMs) => ({ level: "info", fields: { agent: "main", model: "a/m", pauseMs } }));
    expect(logged).toMatchObject([...again, { level: "warn", fields: { agent: "main", model: "a/m", next: "b/m" } }]);
  });

  it("that answers with nothing is told in the log", async () => {
    const { answer, logged } = openBroker([scripted("a", [{ say: "" }])], { agents: agents([]) });
    expect(await answer()).toMatchObject({ text: "", model: "a/m" });
    expect(logged).toEqual([
      {
        level: "warn",
        message: "a model answered with nothing",
        fields: { agent: "main", model: "a/m", finish: "stop" },
      },
    ]);
  });

  it.each([400, 422])("HTTP %i: the request is refused, and nothing else is tried", async (status) => {
    const { ask, logged } = openBroker([scripted("a", [fails(status)]), scripted("b", [{ say: "b" }])], {
      agents: agents(["b/m"]),
    });
    expect(await ask()).toMatchObject({ ok: false, refusal: { code: "CLOISTER_MODEL_REFUSED" } });
    expect(logged).toEqual([]);
  });

  it("A8.3: a fallback's secret is read when it is its turn, and not for a call that the first one answers", async () => {
    const unread = provider("b", {
      models: { m: { id: "m", script: [{ say: "b" }] } },
      apiKey: { ref: { source: "file", id: "/nowhere/key" } },
    });
    const c = scripted("c", [{ say: "c" }]);
    const first = openBroker([scripted("a", [{ say: "a" }]), unread, c], { agents: agents(["b/m", "c/m"]) });
    expect(await first.answer()).toMatchObject({ model: "a/m" });
    expect(first.logged).toEqual([]);
    const second = openBroker([scripted("a", [fails(401)], "refused"), unread, c], { agents: agents(["b/m", "c/m"]) });
    expect(await second.answer()).toMatchObject({ model: "c/m" });
    expect(second.logged).toMatchObject([
      { level: "error", message: expect.stringContaining("/nowhere/key") },
      { level: "warn", fields: { model: "a/m", next: "c/m" } },
    ]);
  });

  it("has the credential that was chosen for the session looked for at its own provider, and at none of its fallbacks", async () => {
    const { ask, logged } = openBroker([scripted("a", [fails(401)]), scripted("b", [{ say: "b" }])], {
      agents: agents(["b/m"]),
    });
    expect(await ask({}, { authProfile: "work" })).toMatchObject({ ok: true, model: "b/m" });
    expect(logged.filter(({ level }) => level === "error")).toMatchObject([
      { message: expect.stringContaining("a has no profile of this name"), fields: { profile: "work" } },
    ]);
  });

  it("that was named is tried alone", async () => {
    const { ask } = openBroker([scripted("a", [fails(401)]), scripted("b", [{ say: "b" }])], {
      agents: agents(["b/m"]),
    });
    expect(await ask({ model: "a/m" })).toMatchObject({ ok: false, refusal: { code: "CLOISTER_MODEL_CREDENTIAL" } });
  });

  it("stops to be tried when the run is stopped", async () => {
    const opened = openBroker([scripted("a", [fails(503)])], {
      onPause: () => void opened.broker.cancel(5),
    });
    expect(await opened.ask({}, { id: 5 })).toMatchObject({ ok: false, refusal: { code: "CLOISTER_ASK_ABORTED" } });
    expect(opened.pauses).toHaveLength(1);
  });
});

describe("tries", () => {
  it("tell which way was given up also when what comes next cannot be told", async () => {
    const givenUp: unknown[] = [];
    const failed = await tryWays({
      ways: (async function* (): AsyncGenerator<{ model: string; profile: string }, undefined> {
        yield { model: "m", profile: "first" };
        throw new Error("the next one's credential cannot be read");
      })(),
      clock: { nowMs: () => 0, random: () => 0, pause: () => Promise.resolve() },
      signal: new AbortController().signal,
      once: () => Promise.reject(new ProviderFailure("credential", "a wrong key")),
      onGivenUp: (way, failure, next) => givenUp.push([way.profile, failure.message, next]),
      onRetry: () => undefined,
    }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ message: "the next one's credential cannot be read" });
    expect(givenUp).toEqual([["first", "a wrong key", undefined]]);
  });

  const run = async (failure: (at: number) => ProviderFailure, ways = 1) => {
    let nowMs = 0;
    const pauses: number[] = [];
    const tried: string[] = [];
    const retried: string[] = [];
    const clock = {
      nowMs: () => nowMs,
      random: () => 0.5,
      pause: async (ms: number) => {
        pauses.push(ms);
        nowMs += ms;
      },
    };
    const failed = await tryWays({
      ways: (async function* (): AsyncGenerator<{ model: string; profile: string }, undefined> {
        for (let index = 0; index < ways; index++) yield { model: "m", profile: `p${index}` };
        return undefined;
      })(),
      clock,
      signal: new AbortController().signal,
      once: async ({ profile }) => {
        tried.push(profile);
        throw failure(tried.length);
      },
      onGivenUp: () => undefined,
      onRetry: ({ profile }, { kind }, pauseMs) => retried.push(`${profile} ${kind} ${pauseMs}`),
    }).catch((error: unknown) => error);
    return { pauses, tried, failed, retried };
  };

  it.each(["refused", "context"] as const)("are none for a request that is at fault itself (%s)", async (kind) => {
    const failure = new ProviderFailure(kind, "x");
    expect(await run(() => failure, 2)).toMatchObject({ tried: ["p0"], pauses: [], failed: failure });
  });

  it("of what is transient end with the last that begins within 90 s", async () => {
    const { pauses, tried, retried } = await run(() => new ProviderFailure("transient", "x"));
    expect(pauses).toEqual([1_050, 2_100, 4_200, 8_400, 16_800, 33_600]);
    expect(tried).toHaveLength(7);
    expect(retried).toEqual(pauses.map((ms) => `${tried[0]} transient ${ms}`));
  });

  it("of a rate limit are ten, also when the longest pause has its random part", async () => {
    const { pauses, tried } = await run(() => new ProviderFailure("rate-limit", "x", 60_000));
    expect(tried).toHaveLength(10);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(60_000);
    expect(Math.max(...pauses)).toBe(63_000);
    expect((await run(() => new ProviderFailure("rate-limit", "x"))).pauses).toEqual([
      1_050, 2_100, 4_200, 8_400, 16_800, 33_600, 63_000, 63_000, 63_000,
    ]);
  });

  it("are eight further ones at the most, however short the pauses of a provider that is asked quickly", async () => {
    const kinds = ["rate-limit", "transient"] as const;
    const { tried } = await run((at) => new ProviderFailure(kinds[at % 2] ?? "transient", "x"));
    expect(tried.length).toBeLessThanOrEqual(10);
  });

  it("do not wait for a provider that wants more than the longest pause", async () => {
    const { pauses, tried, failed } = await run(() => new ProviderFailure("rate-limit", "x", 3_600_000), 2);
    expect([pauses, tried]).toEqual([[], ["p0", "p1"]]);
    expect(failed).toMatchObject({ kind: "rate-limit", retryAfterMs: 3_600_000 });
  });

  it("go on with the next credential when one is refused, and end when the request is", async () => {
    expect((await run(() => new ProviderFailure("credential", "x"), 3)).tried).toEqual(["p0", "p1", "p2"]);
    expect((await run(() => new ProviderFailure("refused", "x"), 3)).tried).toEqual(["p0"]);
  });
});

describe("a request of a cell", () => {
  const hello = [{ role: "user", text: "hi" }];
  it.each([
    ["not json", "{", "is not JSON"],
    ["no messages", "{}", "messages"],
    ["an empty conversation", JSON.stringify({ messages: [] }), "messages"],
    ["a system message", JSON.stringify({ messages: [{ role: "system", text: "x" }] }), "messages.0.role"],
    ["a key that it does not know", JSON.stringify({ messages: hello, apiKey: "x" }), "apiKey"],
    [
      "a tool with a bad name",
      JSON.stringify({ messages: hello, tools: [{ name: "a b", description: "", parameters: {} }] }),
      "tools.0.name",
    ],
    [
      "two tools of one name",
      JSON.stringify({ messages: hello, tools: [1, 2].map(() => ({ name: "a", description: "", parameters: {} })) }),
      "two of them are called a",
    ],
    ["a temperature beyond its range", JSON.stringify({ messages: hello, temperature: 3 }), "temperature"],
  ])("with %s is refused, and says what is wrong", (_what, json, words) => {
    expect(() => makeReadRequest()(json, "")).toThrow(
      expect.objectContaining({ code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining(words) }),
    );
  });

  const tool = (name: string) => ({ name, description: "d", parameters: { type: "object" } });
  const asked = JSON.stringify({ messages: hello });

  it("may have its tools beside it, which are read once for as long as they are the same", () => {
    const read = makeReadRequest();
    const list = JSON.stringify([tool("a"), tool("b")]);
    const first = read(asked, list);
    expect(first).toEqual({ messages: hello, tools: [tool("a"), tool("b")] });
    expect(read(asked, `${list.slice(0, 5)}${list.slice(5)}`).tools).toBe(first.tools);
    for (let at = 0; at < limits.modelToolListsKeptMax; at++) read(asked, JSON.stringify([tool(`other${at}`)]));
    expect(read(asked, list).tools).not.toBe(first.tools);
    const long = JSON.stringify([{ ...tool("a"), description: "x".repeat(limits.modelToolListKeptCharsMax) }]);
    expect(read(asked, long).tools).not.toBe(read(asked, long).tools);
  });

  it.each([
    ["that are no list", asked, "{}", "tools: "],
    ["that are not JSON", asked, "[", "tools is not JSON"],
    ["of which one has a bad name", asked, JSON.stringify([tool("a b")]), "tools.0.name"],
    ["of which two have one name", asked, JSON.stringify([tool("a"), tool("a")]), "two of them are called a"],
    ["and others in it", JSON.stringify({ messages: hello, tools: [] }), "[]", "wanted one of the two"],
  ])("with tools beside it %s is refused, each time", (_what, json, list, words) => {
    const read = makeReadRequest();
    for (let time = 0; time < 2; time++)
      expect(() => read(json, list)).toThrow(
        expect.objectContaining({ code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining(words) }),
      );
  });
});

it("vectors that do not come in time say what went wrong before the pause in which the time was over", async () => {
  // The time is over in the pause, however long the first try takes, which loads the provider's package.
  const time = new AbortController();
  const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(time.signal);
  onTestFinished(() => timeout.mockRestore());
  const paused = async (_ms: number, signal: AbortSignal): Promise<void> => {
    time.abort();
    signal.throwIfAborted();
  };
  const broker = makeBroker({
    settings: {
      providers: { local: provider("local", { api: "ollama", baseUrl: "http://127.0.0.1:9" }) },
      agents: { main: { fallbacks: [], agentDir: "/nowhere", embeddings: "local/m" } },
      catalogue: [],
      defaultAgentId: "main",
      stateDir: "/nowhere",
      authOrder: {},
      variables: {},
    },
    remote: { text: () => undefined, log: () => undefined },
    fetch: async () => new Response("overloaded", { status: 503 }),
    clock: { nowMs: () => 0, random: () => 0, pause: paused },
  });
  expect(await broker.embed({ agentId: "main", texts: ["a"], isQuery: true, timeoutMs: 50 })).toMatchObject({
    refusal: { code: "CLOISTER_MODEL_FAILED", message: expect.stringMatching(/^local\/m: .*503/) },
  });
  expect(timeout.mock.calls).toEqual([[50]]);
});
