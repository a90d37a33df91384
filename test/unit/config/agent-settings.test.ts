import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { contextTokensOf, settingsFor } from "../../../runtime/kernel/model-context.ts";
import { sharedSettings } from "../../support/agent-settings.ts";
import { loadText } from "./load-text.ts";

const settingsOf = async (defaults: object, entry: object = {}) => {
  const config = { agents: { defaults: { userTimezone: "UTC", ...defaults }, list: [{ id: "raul", ...entry }] } };
  return (await loadText(config)).resolved.agents[0]?.settings;
};

describe("what the module assistant goes by", () => {
  it("is complete without a key", async () => {
    expect(await settingsOf({})).toEqual(sharedSettings());
  });

  it("comes from the agent's own keys, else from those of all", async () => {
    const defaults = { skills: ["a"], contextTokens: 50_000, thinkingDefault: "high" };
    expect(await settingsOf(defaults)).toMatchObject({ skills: ["a"], contextTokens: 50_000, thinking: "high" });
    expect(
      await settingsOf(defaults, {
        identity: { emoji: "🦊", theme: "calm" },
        skills: [],
        contextTokens: 9_000,
        thinkingDefault: "off",
      }),
    ).toMatchObject({ emoji: "🦊", theme: "calm", skills: [], contextTokens: 9_000, thinking: "off" });
  });

  it("hands on what the agent's own sub-agents say, else those of all", async () => {
    const prefer = { subagents: { delegationMode: "prefer" } };
    expect(await settingsOf(prefer)).toMatchObject({ handsOn: true });
    expect(await settingsOf({}, prefer)).toMatchObject({ handsOn: true });
    expect(await settingsOf(prefer, { subagents: { delegationMode: "suggest" } })).not.toHaveProperty("handsOn");
  });

  it.each([
    ["minimal", "low"],
    ["adaptive", "medium"],
    ["xhigh", "high"],
    ["max", "high"],
  ])("takes the effort %s as %s", async (name, thinking) => {
    expect(await settingsOf({ thinkingDefault: name })).toMatchObject({ thinking });
  });

  it("has the bound on the list of skills", async () => {
    const { resolved } = await loadText({
      skills: { limits: { maxSkillsPromptChars: 900 } },
      agents: { list: [{ id: "raul" }] },
    });
    expect(resolved.agents[0]?.settings.skillsCharsMax).toBe(900);
    expect(resolved.notActive).toEqual([]);
  });

  it("leaves something of a small context", async () => {
    expect((await settingsOf({ contextTokens: 8_000 }))?.compaction).toMatchObject({
      reserveTokens: 2_000,
      keepRecentTokens: 2_000,
    });
  });

  it("takes what the configuration says of a model, and no more than the agent may have", async () => {
    const models = [{ id: "small", contextWindow: 8_000 }, { id: "large", contextWindow: 1_000_000 }, { id: "unsaid" }];
    const windowsOf = async (defaults: object) => {
      const { resolved } = await loadText({
        models: { providers: { lab: { baseUrl: "http://127.0.0.1:1/v1", api: "openai-completions", models } } },
        agents: { defaults, list: [{ id: "raul" }] },
      });
      const settings = resolved.agents[0]?.settings ?? sharedSettings();
      return ["lab/small", "lab/large", "lab/unsaid"].map((name) => contextTokensOf(settings, name));
    };
    expect(await windowsOf({})).toEqual([8_000, 1_000_000, limits.contextTokensDefault]);
    expect(await windowsOf({ contextTokens: 50_000 })).toEqual([8_000, 50_000, 50_000]);
  });

  it("leaves something of a model with a small context", () => {
    const settings = { ...sharedSettings(), windows: { "lab/small": 8_000 } };
    expect(settingsFor(settings, "lab/small")).toMatchObject({
      contextTokens: 8_000,
      compaction: { reserveTokens: 2_000, keepRecentTokens: 2_000 },
    });
    expect(settingsFor(settings, "lab/other")).toBe(settings);
  });

  it("has the bounds of the prompt's files, of compaction and of pruning", async () => {
    const settings = await settingsOf({
      bootstrapMaxChars: 10,
      bootstrapTotalMaxChars: 20,
      contextInjection: "never",
      compaction: { enabled: false, reserveTokens: 1, keepRecentTokens: 2, memoryFlush: { enabled: false } },
      contextPruning: { mode: "cache-ttl", ttl: "2h" },
    });
    expect(settings).toMatchObject({
      bootstrap: { fileCharsMax: 10, totalCharsMax: 20, injection: "never" },
      compaction: { isEnabled: false, reserveTokens: 1, keepRecentTokens: 2, flushesMemory: false },
      pruneAfterMs: 7_200_000,
    });
    expect(await settingsOf({ contextPruning: { mode: "cache-ttl" } })).toMatchObject({
      pruneAfterMs: limits.promptCacheMs,
    });
    expect(await settingsOf({ contextPruning: { mode: "off", ttl: "1s" } })).not.toHaveProperty("pruneAfterMs");
  });

  it("is kept once for agents that have the same", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "raul" }, { id: "sara", name: "Sara" }] } });
    expect(resolved.agents[0]?.settings).toBe(resolved.agents[1]?.settings);
  });
});

describe("the module of an agent", () => {
  it.each([
    ["that has a model is the model loop", { model: "anthropic/claude-sonnet-4-6" }, {}, "assistant"],
    ["that inherits a model is the model loop", {}, { model: "anthropic/claude-sonnet-4-6" }, "assistant"],
    ["without a model follows rules", {}, {}, "scripted"],
    ["that names one is that", { model: "a/b", module: "echo" }, {}, "echo"],
    ["that inherits one is that", { model: "a/b" }, { module: "relay" }, "relay"],
  ])("%s", async (_what, entry, defaults, module) => {
    const { resolved } = await loadText({ agents: { defaults, list: [{ id: "raul", ...entry }] } });
    expect(resolved.agents[0]?.module).toBe(module);
  });
});
