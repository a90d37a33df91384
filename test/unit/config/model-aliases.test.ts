/** Short names of models: what a file says of them, and where they may stand. */
import { describe, expect, it } from "vitest";
import { readChoices } from "../../../runtime/supervisor/session-choices.ts";
import { modelSettingsOf } from "../../../runtime/supervisor/model-settings.ts";
import { loadText } from "./load-text.ts";

const models = { providers: { p: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" } } };
const named = { "p/big": { alias: "Big" }, "p/small@x": { alias: "small" }, "p/eye": { alias: "eye" }, "p/none": {} };

const load = async (defaults: object, rest: object = {}) =>
  (await loadText({ models, agents: { defaults: { models: named, ...defaults }, ...rest } })).resolved;

describe("an alias", () => {
  it("stands for its model wherever the configuration names one", async () => {
    const { resolved } = await loadText({
      models,
      agents: {
        defaults: {
          models: named,
          model: { primary: "big", fallbacks: ["SMALL", "p/none"] },
          imageModel: "eye",
          subagents: { model: "small" },
        },
        list: [
          { id: "a" },
          {
            id: "b",
            model: "Small",
            subagents: { model: { primary: "eye", fallbacks: ["big"] } },
            heartbeat: { model: "big" },
          },
        ],
        entries: { c: { model: { primary: "eye" } } },
      },
      channels: { modelByChannel: { telegram: { "-1": " big ", "*": "p/none" }, slack: { C1: "small" } } },
    });
    expect([resolved.notActive, resolved.warnings]).toEqual([[], []]);
    const { agents, imageModel } = modelSettingsOf(resolved);
    expect(agents).toMatchObject({
      a: {
        primary: "p/big",
        fallbacks: ["p/small@x", "p/none"],
        subagents: { primary: "p/small@x", fallbacks: [] },
      },
      b: {
        primary: "p/small@x",
        fallbacks: [],
        subagents: { primary: "p/eye", fallbacks: ["p/big"] },
        heartbeat: "p/big",
      },
      c: { primary: "p/eye" },
    });
    expect(imageModel).toEqual({ primary: "p/eye", fallbacks: [] });
    expect(resolved.channelModels).toEqual({
      telegram: { "-1": "p/big", "*": "p/none" },
      slack: { c1: "p/small@x" },
    });
  });

  it("is kept as it is written, and is the first's of two that differ in case alone", async () => {
    const { aliases } = modelSettingsOf(await load({ models: { ...named, "p/late": { alias: "BIG" } } }));
    expect(aliases).toEqual({ Big: "p/big", small: "p/small@x", eye: "p/eye" });
  });

  it("is the model of all agents where all have it", async () => {
    const heartbeat = { every: "30m", model: "eye" };
    const { resolved } = await loadText({ models, model: "big", agents: { defaults: { models: named, heartbeat } } });
    expect(modelSettingsOf(resolved).agents).toMatchObject({ main: { primary: "p/big", heartbeat: "p/eye" } });
  });

  it.each([
    ["big", { model: "p/big", authProfile: null }],
    [" BIG@work ", { model: "p/big", authProfile: "work" }],
    ["small", { model: "p/small@x", authProfile: null }],
    ["small@work", { model: "p/small@x", authProfile: "work" }],
    ["p/big", { model: "p/big", authProfile: null }],
  ])("chosen for a session as %j is kept as the whole name", async (model, choice) => {
    const settings = modelSettingsOf(await load({ model: "p/big" }));
    expect(readChoices(settings, "main", { model })).toEqual(choice);
  });

  it.each(["p/Big@", "big/x", "constructor", "__proto__"])("is not %j", async (model) => {
    const settings = modelSettingsOf(await load({ model: "p/big" }));
    expect(() => readChoices(settings, "main", { model })).toThrow("may not use the model");
  });

  it("names no credential where an agent asks", async () => {
    const settings = modelSettingsOf(await load({ model: "p/big" }));
    expect(readChoices(settings, "main", { model: "big", byAgent: true })).toEqual({
      model: "p/big",
      authProfile: null,
    });
    expect(() => readChoices(settings, "main", { model: "big@work", byAgent: true })).toThrow("may not use the model");
  });
});

it.each([
  ["a/b", "by which no model can be named"],
  ["two words", "by which no model can be named"],
  ["big@x", "by which no model can be named"],
  ["Default", "by which no model can be named"],
  ["", "by which no model can be named"],
  ["BIG", "which stands for p/big"],
])("the alias %j is told", async (alias, message) => {
  const { warnings } = await load({ models: { ...named, "p/late": { alias } } });
  expect(warnings).toMatchObject([
    { path: expect.stringContaining("p/late"), message: expect.stringContaining(message) },
  ]);
});

it("a name that is none is told, in a heartbeat as well", async () => {
  const { warnings } = await load({ model: "bog", heartbeat: { every: "30m", model: "bug" } });
  expect(warnings.map(({ path }) => path)).toEqual(["agents.defaults.model", "agents.defaults.heartbeat.model"]);
});
