/** Vectors of notes: each provider through its real package, against a server that speaks its wire format, and a memory that is searched by them. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { EmbedEnd } from "../../runtime/broker/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { actor } from "../support/actors.ts";
import { openBroker, provider } from "../support/broker.ts";
import { type EmbedWireApi, embedWireApis, meaningOf, openEmbeddingServer } from "../support/embedding-servers.ts";
import { openGateway } from "../support/gateway.ts";

const key = "sk-canary-0123456789abcdef";
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function open(api: EmbedWireApi, ...options: readonly unknown[]) {
  const [refuse, vectorsOf] = options as [
    Parameters<typeof openEmbeddingServer>[1],
    Parameters<typeof openEmbeddingServer>[2],
  ];
  const server = await openEmbeddingServer(api, refuse, vectorsOf);
  const cost = { input: 2, output: 0, cacheRead: 0, cacheWrite: 0 };
  const told = provider("local", {
    api,
    baseUrl: server.baseUrl,
    apiKey: { value: key },
    headers: { "x-extra": { value: "extra" } },
    models: { m: { id: "m", cost } },
  });
  const { broker, logged } = openBroker([told], {
    agents: { main: { fallbacks: [], agentDir: "/nowhere", embeddings: "local/m" } },
  });
  const embed = (texts: readonly string[], more: { isQuery?: boolean; timeoutMs?: number; agentId?: string } = {}) =>
    broker.embed({ agentId: "main", texts, isQuery: false, timeoutMs: 60_000, ...more });
  return { server, embed, logged };
}

const refusalOf = (end: EmbedEnd) => (end.ok ? undefined : end.refusal);

describe.each(embedWireApis)("vectors from %s", (api) => {
  test("come in the order of the texts, of length 1, with what they took, for the provider's own key", async () => {
    const { server, embed } = await open(api);
    const end = await embed(["a ship", "tea and coffee", "ship money"]);
    expect(end).toMatchObject({ ok: true, used: { input: expect.any(Number), output: 0 } });
    const vectors = end.ok ? end.vectors : [];
    expect(vectors.map((vector) => Math.hypot(...vector))).toEqual([1, 1, 1].map((one) => expect.closeTo(one, 5)));
    for (const [index, text] of ["a ship", "tea and coffee", "ship money"].entries()) {
      const raw = meaningOf(text);
      const cosine = raw.reduce((sum, value, at) => sum + value * (vectors[index]?.[at] ?? 0), 0) / Math.hypot(...raw);
      expect(cosine).toBeCloseTo(1, 5);
    }
    const [asked] = server.received;
    expect(JSON.stringify(asked?.headers)).toContain(key);
    expect(asked?.headers["x-extra"]).toBe("extra");
    if (api !== "google-generative-ai") expect(end).toMatchObject({ used: { input: 7, costNanos: 14_000 } });
  });

  test("that fail for the request, the credential or for now are told as such, without the key", async () => {
    let status = 400;
    const { embed, server } = await open(api, () => ({ status, message: `no, ${key}` }));
    expect(refusalOf(await embed(["x"]))).toMatchObject({ code: "CLOISTER_MODEL_REFUSED" });
    expect(server.received).toHaveLength(1);
    status = 401;
    const refused = refusalOf(await embed(["x"]));
    expect(refused).toMatchObject({ code: "CLOISTER_MODEL_CREDENTIAL" });
    expect(refused?.message).not.toContain(key);
    status = 503;
    expect(refusalOf(await embed(["x"]))).toMatchObject({ code: "CLOISTER_MODEL_FAILED" });
    // Tried again, on a clock that jumps over the pauses.
    expect(server.received.length).toBeGreaterThan(4);
  });
});

describe("vectors", () => {
  test("that are nonsense get into no index", async () => {
    const nonsense: readonly (readonly (readonly number[])[])[] = [
      [[1, 0]],
      [[1, 0], [1]],
      [
        [1, 0],
        [0, 0],
      ],
      [[], []],
      [Array.from({ length: limits.memoryVectorDimsMax + 1 }, () => 1), [1]],
    ];
    for (const vectors of nonsense) {
      const { embed } = await open("ollama", undefined, () => vectors);
      expect(refusalOf(await embed(["a", "b"]))).toMatchObject({ code: "CLOISTER_MODEL_OUTPUT_INVALID" });
    }
  });

  test("that do not come in time are a failure, and the provider is let go", async () => {
    const { embed } = await open("ollama", () => "hang");
    expect(refusalOf(await embed(["a"], { timeoutMs: 50 }))).toMatchObject({
      code: "CLOISTER_MODEL_FAILED",
      message: expect.stringContaining("50 ms"),
    });
  });

  test("are for agents that have a model for them", async () => {
    const { embed, server } = await open("ollama");
    expect(refusalOf(await embed(["a"], { agentId: "other" }))).toMatchObject({
      code: "CLOISTER_MODEL_UNAVAILABLE",
      remedy: expect.stringContaining("memorySearch.provider"),
    });
    expect(server.received).toEqual([]);
  });
});

test("an agent finds by meaning what has none of its words; a budget that is used up leaves the words", async () => {
  const server = await openEmbeddingServer("ollama");
  const local = provider("local", { api: "ollama", baseUrl: server.baseUrl });
  const embeddings = { model: "local/m", scoreMin: 0.35 };
  const memory = { isEnabled: true, includesDefault: true, sources: [], resultsMax: 6, embeddings };
  const user = (id: string, more: object = {}) => ({ id, ...actor("tool-user"), memory, ...more });
  const gateway = await openGateway(
    [user("main"), user("poor", { budget: { tokensPerDay: 1 } })],
    { models: { providers: { local }, catalogue: [], authOrder: {}, variables: {} } },
    { startBroker: makeBrokerStart(quiet) },
  );
  for (const { workspace } of gateway.config.agents) {
    mkdirSync(workspace, { recursive: true });
    writeFileSync(path.join(workspace, "MEMORY.md"), "The harbour is in Lisbon.");
  }
  const search = async (agentId: string, query: string) => {
    const text = JSON.stringify({ tool: "call", params: { name: "memory_search", params: { query } } });
    return JSON.parse(await gateway.reply(agentId, text)) as object;
  };
  expect(await search("main", "ship")).toEqual({
    status: "ok",
    count: 1,
    results: [expect.objectContaining({ text: "The harbour is in Lisbon." })],
  });
  // The first call took more than a token.
  expect(await search("poor", "ship")).toMatchObject({ meaning: expect.stringContaining("budget") });
  const texts = server.texts.length;
  expect(await search("poor", "lisbon")).toMatchObject({ count: 1, meaning: expect.stringContaining("budget") });
  expect(server.texts).toHaveLength(texts);
});
