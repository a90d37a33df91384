/** `cloister models status`: which model each agent asks, and with whose credential. Source: behaviour §6.4, K-04. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

const home = useCliHome();
const tomorrow = Date.UTC(2026, 0, 3);

async function configure(defaults: object, providers: object = {}): Promise<void> {
  const config = {
    agents: { defaults, list: [{ id: "main", default: true }, { id: "raul" }] },
    models: { providers },
  };
  await writeFile(path.join(home.stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });
}

async function keep(agent: string, profiles: object): Promise<void> {
  const dir = path.join(home.stateDir, "agents", agent, "agent");
  await mkdir(dir, { recursive: true });
  await writeFile(path.join(dir, "auth-profiles.json"), JSON.stringify({ profiles }), { mode: 0o600 });
}

const status = async (...more: readonly string[]): Promise<unknown> => {
  home.clear();
  const exit = await home.run("models", "status", "--json", ...more);
  return { exit, ...(JSON.parse(home.terminal.outText()) as object) };
};

describe("models status", () => {
  it("has the models of channels.modelByChannel", async () => {
    const local = { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1", apiKey: "canary" };
    const config = {
      agents: { defaults: { model: "local/m" } },
      models: { providers: { local } },
      channels: { modelByChannel: { telegram: { "*": "local/t" } } },
    };
    await writeFile(path.join(home.stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });
    expect(await status()).toMatchObject({
      models: [
        { model: "local/m", role: "primary" },
        { model: "local/t", role: "channel", credentials: [{ id: "models.providers.local.apiKey" }] },
      ],
    });
  });

  it("names the agent whose file a credential is read from: its own, else the default agent's (K-04)", async () => {
    await configure(
      { model: { primary: "anthropic/opus", fallbacks: ["local/m"] } },
      {
        local: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1", apiKey: "canary" },
      },
    );
    await keep("main", {
      "anthropic:work": { type: "api_key", provider: "anthropic", key: "canary" },
      "anthropic:old": { type: "token", provider: "anthropic", token: "canary", expires: 1 },
    });
    const local = { credentials: [{ id: "models.providers.local.apiKey" }], problems: [] };
    const ofMain = {
      credentials: [{ id: "anthropic:work", from: "main" }],
      problems: [
        { id: "anthropic:old", reason: "expired", from: "main" },
        {
          id: "models.providers.anthropic.apiKey",
          reason: "missing_credential",
          detail: "ANTHROPIC_API_KEY is not set",
        },
      ],
    };
    expect(await status()).toEqual({
      exit: 0,
      defaultAgent: "main",
      models: [
        { agent: "main", model: "anthropic/opus", role: "primary", ...ofMain },
        { agent: "main", model: "local/m", role: "fallback", ...local },
        { agent: "raul", model: "anthropic/opus", role: "primary", ...ofMain },
        { agent: "raul", model: "local/m", role: "fallback", ...local },
      ],
      aliases: {},
    });
    await keep("raul", { "anthropic:raul": { type: "api_key", provider: "anthropic", key: "canary" } });
    expect(await status("--agent", "raul")).toMatchObject({
      models: [{ credentials: [{ id: "anthropic:raul", from: "raul" }] }, {}],
    });
    home.clear();
    expect(await home.run("models")).toBe(0);
    expect(home.terminal.outText()).toMatch(/raul\s+anthropic\/opus\s+primary\s+anthropic:raul\s+its own file\s+ok\n/);
    expect(home.terminal.outText()).toMatch(/primary\s+anthropic:old\s+its own file\s+expired\n/);
    expect(home.terminal.outText()).not.toContain("ALIAS");
    expect(home.terminal.outText() + home.terminal.errText()).not.toContain("canary");
  });

  it("has the aliases as they are written, also of models that no agent has as its own", async () => {
    const local = { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1", apiKey: "canary" };
    const named = { "local/m": { alias: "mine" }, "local/big": { alias: "Big" }, "local/late": { alias: "BIG" } };
    await configure({ model: "MINE", models: named }, { local });
    expect(await status("--agent", "raul")).toMatchObject({
      exit: 0,
      models: [{ agent: "raul", model: "local/m", role: "primary" }],
      aliases: { mine: "local/m", Big: "local/big" },
    });
    home.clear();
    await home.run("models", "status");
    expect(home.terminal.outText()).toMatch(/\n\nALIAS +MODEL\nmine +local\/m\nBig +local\/big\n$/);
  });

  it("ends with 1 where a model has none, says why, and that a running gateway may have other variables", async () => {
    await configure({ model: "anthropic/opus" });
    expect(await home.run("models", "status")).toBe(1);
    expect(home.terminal.outText()).toMatch(/the configuration\s+missing_credential: ANTHROPIC_API_KEY is not set/);
    expect(home.terminal.errText()).toContain("a running gateway has those that it was started with");
    await configure({ model: "nowhere/m" });
    expect(await status("--agent", "main")).toMatchObject({
      exit: 1,
      models: [{ problems: [{ id: "models.providers.nowhere", reason: "no_model" }] }],
    });
    await configure({});
    home.clear();
    expect(await home.run("models", "status")).toBe(1);
    expect(home.terminal.errText()).toContain("config set agents.defaults.model provider/model");
  });

  it("renews nothing: a token that is old counts as the next call will find it", async () => {
    await configure({ model: "anthropic/opus" });
    const old = { type: "oauth", provider: "anthropic", access: "canary", refresh: "canary", expires: 1 };
    await keep("main", { "anthropic:a": { ...old, tokenUrl: "http://127.0.0.1:1/token", clientId: "c" } });
    expect(await status("--agent", "main")).toMatchObject({
      exit: 0,
      models: [{ credentials: [{ id: "anthropic:a", from: "main" }] }],
    });
    await keep("main", { "anthropic:b": { type: "token", provider: "anthropic", token: "canary", expires: tomorrow } });
    expect(await status("--agent", "main")).toMatchObject({ models: [{ credentials: [{ id: "anthropic:b" }] }] });
    await writeFile(path.join(home.stateDir, "agents/main/agent/auth-profiles.json"), '{"profiles": "canary"}');
    await expect(home.run("models", "status")).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.not.stringContaining("canary") as string,
    });
  });
});
