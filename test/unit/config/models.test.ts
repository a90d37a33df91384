/** `models.*`, `auth.*` and the models of agents, as the broker is told of them. */
import { describe, expect, it } from "vitest";
import { allowedModels } from "../../../runtime/broker/allowed-models.ts";
import { modelSettingsOf } from "../../../runtime/supervisor/model-settings.ts";
import { redactionMark, redactValue } from "../../../runtime/config/secrets.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { loadText } from "./load-text.ts";

const settings = async (config: object, env: Readonly<Record<string, string>> = {}) =>
  modelSettingsOf((await loadText(config, { env })).resolved);

describe("providers", () => {
  it("are known by name, each with the key of its variable", async () => {
    const { providers } = await settings({}, { ANTHROPIC_API_KEY: "sk-a", GOOGLE_API_KEY: "g", PATH: "/bin" });
    expect(Object.values(providers).map(({ id, api, apiKey }) => [id, api, apiKey])).toEqual([
      ["anthropic", "anthropic-messages", { value: "sk-a" }],
      ["openai", "openai-responses", { missing: "OPENAI_API_KEY is not set" }],
      ["google", "google-generative-ai", { value: "g" }],
      ["openrouter", "openai-completions", { missing: "OPENROUTER_API_KEY is not set" }],
      ["ollama", "ollama", undefined],
    ]);
  });

  it("of the file replace what is known of theirs, key by key; with `replace` there are no others", async () => {
    const config = {
      models: {
        mode: "replace",
        providers: {
          anthropic: { apiKey: "${MY_KEY}", baseUrl: "https://proxy.example" },
          local: {
            api: "openai-completions",
            baseUrl: "http://127.0.0.1:8000/v1",
            headers: { "X-Team": { source: "env", id: "TEAM" } },
            models: [{ id: "llama", contextWindow: 8_192, maxTokens: 1_024, cost: { input: 0.5 } }],
          },
        },
      },
    };
    expect((await settings(config, { MY_KEY: "k", TEAM: "blue" })).providers).toEqual({
      anthropic: {
        id: "anthropic",
        api: "anthropic-messages",
        baseUrl: "https://proxy.example",
        apiKey: { value: "k" },
        headers: {},
        models: {},
      },
      local: {
        id: "local",
        api: "openai-completions",
        baseUrl: "http://127.0.0.1:8000/v1",
        headers: { "X-Team": { value: "blue" } },
        models: {
          llama: {
            id: "llama",
            contextWindow: 8_192,
            maxTokens: 1_024,
            cost: { input: 0.5, output: 0, cacheRead: 0, cacheWrite: 0 },
          },
        },
      },
    });
  });

  it("whose key cannot be read say why, and the gateway starts", async () => {
    const { providers } = await settings({
      models: { providers: { anthropic: { apiKey: "${NO_SUCH}" }, openai: { apiKey: { source: "env", id: "NONE" } } } },
    });
    expect(providers["anthropic"]?.apiKey).toEqual({
      missing: "models.providers.anthropic.apiKey needs the variable NO_SUCH, which is not set",
    });
    expect(providers["openai"]?.apiKey).toEqual({
      missing: "models.providers.openai.apiKey needs the variable NONE, which is not set",
    });
  });

  it("tell the broker where their secrets are, and read none themselves", async () => {
    const program = { source: "exec", provider: "vault", id: "openai" };
    const { providers } = await settings({
      models: {
        providers: {
          anthropic: { apiKey: { source: "file", id: "~/keys/anthropic" } },
          openai: { apiKey: program, headers: { "x-org": { source: "store", id: "org" } } },
        },
      },
    });
    expect(providers["anthropic"]?.apiKey).toEqual({
      ref: { source: "file", id: expect.stringMatching(/^\/.*\/keys\/anthropic$/) },
    });
    expect(providers["openai"]).toMatchObject({
      apiKey: { ref: program },
      headers: { "x-org": { ref: { source: "store", id: "org" } } },
    });
  });

  it.each([
    [{ local: { baseUrl: "http://x/v1" } }, "models.providers.local.api"],
    [{ local: { api: "openai-completions" } }, "models.providers.local.baseUrl"],
    [{ "a/b": { api: "ollama" } }, 'models.providers["a/b"]'],
    [{ s: { api: "scripted", models: [{ id: "m" }] } }, "models.providers.s.models[0].script"],
    [{ openai: { models: [{ id: "m", script: [] }] } }, "models.providers.openai.models[0].script"],
    [{ openai: { models: [{ id: "m" }, { id: "m" }] } }, "models.providers.openai.models[1].id"],
    [{ openai: { baseUrl: "file:///etc/passwd" } }, "models.providers.openai.baseUrl"],
    [{ openai: { baseUrl: "https://ana:pass-0@proxy.example/v1" } }, "models.providers.openai.baseUrl"],
    [{ openai: { api: "telepathy" } }, "models.providers.openai.api"],
    [{ openai: { apiKey: { source: "file", id: "keys/openai" } } }, "models.providers.openai.apiKey"],
    [{ openai: { headers: { x: { source: "exec", id: "x" } } } }, "models.providers.openai.headers.x"],
    [{ openai: { models: [{ id: "m", cost: { input: -1 } }] } }, "models.providers.openai.models[0].cost.input"],
  ])("are refused: %j", async (providers, path) => {
    const issues = await loadText({ models: { providers } }).then(
      () => [],
      (error: { readonly issues: readonly { readonly path: string }[] }) => error.issues,
    );
    expect(issues).toMatchObject([{ path }]);
    expect(JSON.stringify(issues)).not.toContain("pass-0");
  });
});

describe("models of agents", () => {
  it("are their own, else the default's, else the older key's; a text alone has no fallbacks", async () => {
    const { agents, catalogue } = await settings({
      model: "old/m",
      agents: {
        defaults: { model: { primary: "p/a", fallbacks: ["p/b", "q/c"] }, models: { "p/z": {} } },
        list: [{ id: "main" }, { id: "ana", model: "q/x" }],
      },
    });
    expect(agents["main"]).toMatchObject({ primary: "p/a", fallbacks: ["p/b", "q/c"] });
    expect(agents["ana"]).toMatchObject({ primary: "q/x", fallbacks: [] });
    expect(catalogue).toEqual(["p/z"]);
    expect((await settings({ model: "old/m" })).agents["main"]).toMatchObject({ primary: "old/m" });
  });
});

describe("what credentials may refer to", () => {
  it("is the variables whose names say that they are secrets, and no other", async () => {
    const env = { WORK_API_KEY: "1", GH_TOKEN: "2", HOME: "/h", LANG: "C" };
    expect(await settings({ auth: { order: { openai: ["b", "a"] } } }, env)).toMatchObject({
      variables: { WORK_API_KEY: "1", GH_TOKEN: "2" },
      authOrder: { openai: ["b", "a"] },
    });
  });
});

it("keys of providers are not shown with the configuration, in headers neither", () => {
  const written = {
    models: {
      providers: {
        p: {
          apiKey: "sk-1",
          headers: { "x-any": "sk-2", Authorization: "Bearer x", team: { source: "env", id: "T" } },
        },
      },
    },
  };
  expect(redactValue(written)).toEqual({
    models: {
      providers: {
        p: {
          apiKey: redactionMark,
          headers: { "x-any": redactionMark, Authorization: redactionMark, team: { source: "env", id: "T" } },
        },
      },
    },
  });
});

describe("the model of sub-agents", () => {
  const settle = async (defaults: object, own: object) =>
    (
      await loadText({
        agents: { defaults: { subagents: defaults }, list: [{ id: "main", model: "p/m", subagents: own }] },
      })
    ).resolved;

  it.each([
    [{}, {}, undefined],
    [{ model: "p/s" }, {}, { primary: "p/s", fallbacks: [] }],
    [{ model: "p/s" }, { model: { primary: "p/o", fallbacks: ["p/f"] } }, { primary: "p/o", fallbacks: ["p/f"] }],
    [{ model: { fallbacks: ["p/f"] } }, {}, undefined],
  ])("of defaults %j and own %j is %j, which its agent may ask as well", async (defaults, own, model) => {
    const resolved = await settle(defaults, own);
    expect(resolved.agents[0]?.subagents.model).toEqual(model);
    const asked = modelSettingsOf(resolved);
    expect(asked.agents["main"]?.subagents).toEqual(model);
    expect(allowedModels(asked, "main", "")).toEqual(["p/m"]);
    if (model !== undefined)
      expect(allowedModels(asked, "main", model.primary)).toEqual([model.primary, ...model.fallbacks]);
    expect(() => allowedModels(asked, "main", "p/f")).toThrow("may not use the model");
  });

  it("thinks as its keys say, by the names that agents have", async () => {
    expect((await settle({ thinking: "xhigh" }, {})).agents[0]?.subagents.thinking).toBe("high");
    expect((await settle({ thinking: "xhigh" }, { thinking: "off" })).agents[0]?.subagents.thinking).toBe("off");
  });
});

describe("pictures", () => {
  const vision = { providers: { local: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" } } };
  const withModels = (models: readonly object[]) => ({ providers: { local: { ...vision.providers.local, models } } });

  it("are described by the model that says so, for those that are said to read none", async () => {
    const models = withModels([{ id: "a", input: ["text"] }, { id: "b", input: ["text", "image"] }, { id: "c" }]);
    const written = { models, agents: { defaults: { imageModel: "local/b" } } };
    const { resolved } = await loadText(written);
    expect(resolved.models.imageModel).toEqual({ primary: "local/b", fallbacks: [] });
    expect(resolved.agents[0]?.settings.pictures).toEqual({ describedBy: "local/b", blind: ["local/a"] });
    const two = { ...written, agents: { defaults: { imageModel: { primary: "local/b", fallbacks: ["local/c"] } } } };
    expect((await loadText(two)).resolved.models.imageModel).toEqual({ primary: "local/b", fallbacks: ["local/c"] });
    const none = (await loadText({ models })).resolved;
    expect([none.models.imageModel, none.agents[0]?.settings.pictures]).toEqual([undefined, undefined]);
  });

  it.each([
    [undefined, undefined],
    [2, 2_097_152],
    [0.5, 524_288],
    // Files of other gateways have more.
    [100, limits.modelPicturesBytesMax],
  ])("with mediaMaxMb %s one may have %s bytes", async (mediaMaxMb, bytes) => {
    const defaults = mediaMaxMb === undefined ? {} : { mediaMaxMb };
    expect((await loadText({ agents: { defaults } })).resolved.models.pictureBytesMax).toBe(bytes);
  });
});
