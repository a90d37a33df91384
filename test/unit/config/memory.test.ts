/** `memorySearch.provider` and what stands beside it: who makes vectors of whose notes. */
import { describe, expect, it } from "vitest";
import { loadText, refusalOf } from "./load-text.ts";

const config = (defaults: object, own: object = {}, models: object = {}) => ({
  agents: { defaults: { memorySearch: defaults }, list: [{ id: "main", memorySearch: own }] },
  models,
});
const embeddings = async (...given: Parameters<typeof config>) =>
  (await loadText(config(...given))).resolved.agents[0]?.memory.embeddings;
const local = { providers: { local: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" } } };

describe("search by meaning", () => {
  it("is there for agents whose configuration names a provider, with the model of that provider", async () => {
    expect(await embeddings({})).toBeUndefined();
    expect(await embeddings({ model: "m" })).toBeUndefined();
    expect(await embeddings({ provider: "openai" })).toEqual({
      model: "openai/text-embedding-3-small",
      scoreMin: 0.35,
    });
    expect(await embeddings({ provider: "gemini" })).toMatchObject({ model: "google/gemini-embedding-001" });
    expect(await embeddings({ provider: "local2", model: "m" }, { provider: "ollama" })).toMatchObject({
      model: "ollama/nomic-embed-text",
    });
    expect(await embeddings({ provider: "openai" }, { provider: "none" })).toBeUndefined();
    expect(await embeddings({ provider: "openai", query: { minScore: 0.5 } }, { model: "big" })).toEqual({
      model: "openai/big",
      scoreMin: 0.5,
    });
    expect(await embeddings({}, { provider: "local", model: "a/b" }, local)).toBeUndefined();
    expect(
      await embeddings({}, { provider: "mine", model: "a/b" }, { providers: { mine: local.providers.local } }),
    ).toEqual({ model: "mine/a/b", scoreMin: 0.35 });
  });

  it("gives the notes to nobody while a server of its own is named, which is not built", async () => {
    const { loaded } = await loadText(config({ provider: "openai", remote: { baseUrl: "http://127.0.0.1:1" } }));
    expect(loaded.notActive).toContain("memory by embeddings of a server of its own");
    expect(await embeddings({ provider: "openai", remote: { baseUrl: "http://127.0.0.1:1" } })).toBeUndefined();
    expect(await embeddings({ provider: "openai" }, { remote: {} })).toBeUndefined();
  });

  it.each([
    ["a provider that nobody knows", { provider: "voyage" }, "agents.defaults.memorySearch.provider", /no provider/],
    ["one without vectors", { provider: "anthropic" }, "agents.defaults.memorySearch.provider", /anthropic-messages/],
    ["one of which no model is known", { provider: "mine" }, "agents.defaults.memorySearch.model", /is missing/],
  ])("refuses %s", async (_what, written, path, message) => {
    const models = { providers: { mine: local.providers.local } };
    const [issue] = await refusalOf(config(written, {}, models));
    expect(issue).toMatchObject({ path, message: expect.stringMatching(message) });
  });
});
