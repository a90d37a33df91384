/** Which credential answers a call, in which order, and why others are not used (behaviour §6.4). */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ModelSettings } from "../../../runtime/broker/port.ts";
import { makeProfiles } from "../../../runtime/broker/profiles.ts";
import { makeSecretReader } from "../../../runtime/broker/secret-refs.ts";
import { openBroker, provider } from "../../support/broker.ts";

const nowMs = 1_000_000;
const anthropic = provider("anthropic", { api: "anthropic-messages" });
const key = (id: string, more: object = {}) => ({ type: "api_key", provider: "anthropic", key: `sk-${id}`, ...more });

function open(files: Readonly<Record<string, object | string>>, settings: Partial<ModelSettings> = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-credentials-"));
  const write = (agentId: string, file: object | string): void => {
    mkdirSync(path.join(folder, agentId), { recursive: true });
    const text = typeof file === "string" ? file : JSON.stringify(file);
    writeFileSync(path.join(folder, agentId, "auth-profiles.json"), text);
  };
  for (const [agentId, file] of Object.entries(files)) write(agentId, file);
  const agent = (id: string) => ({ fallbacks: [], agentDir: path.join(folder, id) });
  const all: ModelSettings = {
    providers: {},
    agents: { main: agent("main"), ana: agent("ana") },
    catalogue: [],
    defaultAgentId: "main",
    stateDir: folder,
    authOrder: {},
    variables: { WORK_API_KEY: "sk-work" },
    ...settings,
  };
  return {
    profiles: makeProfiles(
      () => all,
      makeSecretReader(
        () => all,
        () => nowMs,
      ),
      () => Promise.reject(new Error("nothing is renewed here")),
      () => nowMs,
    ),
    write,
  };
}

const secretsOf = async (found: ReturnType<ReturnType<typeof makeProfiles>["find"]>) =>
  (await found).usable.map(({ secret }) => secret?.value);

it("names those that an agent may have tried first: its own, else the default agent's, and of that provider alone", async () => {
  const other = { type: "api_key", provider: "openai", key: "sk-o" };
  const { profiles } = open({
    main: { profiles: { "main:a": key("a"), "main:o": other } },
    ana: { profiles: { "ana:o": other, "ana:late": { ...other, type: "token", expires: 1 } } },
  });
  expect(await profiles.names("ana", "anthropic")).toEqual(["main:a"]);
  expect(await profiles.names("ana", "openai")).toEqual(["ana:o", "ana:late"]);
  expect(await profiles.names("main", "google")).toEqual([]);
  await expect(open({ ana: "{" }).profiles.names("ana", "openai")).rejects.toThrow("is not JSON");
});

it("the first credential of a provider says its kind, in the order in which they are tried, and nothing is read for it", async () => {
  const gone = { type: "oauth", provider: "anthropic", access: "a", expires: 1 };
  const { profiles, write } = open({ main: { profiles: { a: key("a"), o: gone } } });
  expect(await profiles.firstType("ana", "anthropic")).toBe("api_key");
  expect(await profiles.firstType("ana", "openai")).toBeUndefined();
  write("main", { profiles: { a: key("a"), o: gone }, order: { anthropic: ["nobody", "o", "a"] } });
  expect(await profiles.firstType("ana", "anthropic")).toBe("oauth");
  write("ana", { profiles: { t: { type: "token", provider: "anthropic", token: "t" } } });
  expect(await profiles.firstType("ana", "anthropic")).toBe("token");
});

describe("the credential that was chosen for a session", () => {
  const files = { main: { profiles: { a: key("a"), b: key("b"), c: key("c") }, order: { anthropic: ["b", "a"] } } };

  it("goes first, also when no order names it; the others follow in theirs", async () => {
    const { profiles } = open(files);
    expect(await secretsOf(profiles.find("main", anthropic))).toEqual(["sk-b", "sk-a"]);
    expect(await secretsOf(profiles.find("main", anthropic, "a"))).toEqual(["sk-a", "sk-b"]);
    expect(await secretsOf(profiles.find("ana", anthropic, "c"))).toEqual(["sk-c", "sk-b", "sk-a"]);
  });

  it("that is none of this provider is told to the operator, and the others are tried", async () => {
    const { profiles } = open(files);
    const found = await profiles.find("main", anthropic, "work");
    expect(found.usable.map(({ id }) => id)).toEqual(["b", "a"]);
    expect(found.problems).toContainEqual({
      id: "work",
      reason: "missing_credential",
      forOperator: "work was chosen for the session, and anthropic has no profile of this name",
    });
  });
});

describe("credentials of an agent", () => {
  it("are its own; without any for the provider the default agent's, read when it calls", async () => {
    const { profiles, write } = open({ main: { profiles: { m: key("main") } } });
    expect(await secretsOf(profiles.find("ana", anthropic))).toEqual(["sk-main"]);
    write("main", { profiles: { m: key("rotated") } });
    expect(await secretsOf(profiles.find("ana", anthropic))).toEqual(["sk-rotated"]);
    write("ana", { profiles: { o: { type: "api_key", provider: "openai", key: "sk-o" } } });
    expect(await secretsOf(profiles.find("ana", anthropic))).toEqual(["sk-rotated"]);
    write("ana", { profiles: { a: key("ana") } });
    expect(await secretsOf(profiles.find("ana", anthropic))).toEqual(["sk-ana"]);
  });

  it("come in the order of their file, else of the config, else as they stand; then what the config says of the provider", async () => {
    const all = { a: key("a"), b: key("b"), c: key("c") };
    const told = { ...anthropic, apiKey: { value: "sk-config" } };
    const { profiles, write } = open({ main: { profiles: all } }, { authOrder: { anthropic: ["c", "a"] } });
    expect(await secretsOf(profiles.find("main", told))).toEqual(["sk-c", "sk-a", "sk-config"]);
    write("main", { profiles: all, order: { anthropic: ["b"] } });
    expect(await profiles.find("main", told)).toMatchObject({
      usable: [{ id: "b" }, { id: "models.providers.anthropic.apiKey" }],
      problems: [
        { id: "a", reason: "excluded_by_auth_order" },
        { id: "c", reason: "excluded_by_auth_order" },
      ],
    });
    const { profiles: plain } = open({ main: { profiles: all } });
    expect(await secretsOf(plain.find("main", anthropic))).toEqual(["sk-a", "sk-b", "sk-c"]);
  });

  it.each([
    ["missing_credential", key("x", { key: " " })],
    ["missing_credential", { type: "token", provider: "anthropic" }],
    ["expired", { type: "token", provider: "anthropic", token: "t", expires: nowMs }],
    ["expired", { type: "oauth", provider: "anthropic", access: "t", refresh: "r", expires: nowMs - 1 }],
    ["invalid_expires", { type: "token", provider: "anthropic", token: "t", expires: "tomorrow" }],
    ["invalid_expires", { type: "token", provider: "anthropic", token: "t", expires: -5 }],
    ["unresolved_ref", { type: "api_key", provider: "anthropic", keyRef: { source: "env", id: "NO_SUCH_KEY" } }],
    ["unresolved_ref", { type: "api_key", provider: "anthropic", keyRef: { source: "exec", id: "vault" } }],
    ["unresolved_ref", { type: "api_key", provider: "anthropic", keyRef: { source: "env", id: "constructor" } }],
    ["ineligible_profile", { type: "constructor", provider: "anthropic" }],
    ["ineligible_profile", { type: "carrier-pigeon", provider: "anthropic" }],
  ])("are not used, with the reason %s: %j", async (reason, profile) => {
    const { profiles } = open({ main: { profiles: { x: profile } } });
    expect(await profiles.find("main", anthropic)).toMatchObject({ usable: [], problems: [{ id: "x", reason }] });
  });

  it("may be references to variables, and tokens until they expire", async () => {
    const { profiles } = open({
      main: {
        profiles: {
          ref: { type: "api_key", provider: "anthropic", keyRef: { source: "env", id: "WORK_API_KEY" } },
          token: { type: "token", provider: "anthropic", token: "t", expires: nowMs + 1 },
        },
      },
    });
    expect((await profiles.find("main", anthropic)).usable).toEqual([
      { id: "ref", secret: { type: "key", value: "sk-work" } },
      { id: "token", secret: { type: "token", value: "t" } },
    ]);
  });

  it("are what the file names, and not what every object has", async () => {
    const file = { profiles: { a: key("a") }, order: { anthropic: ["constructor", "toString", "a"] } };
    const { profiles } = open({ main: file });
    expect(await profiles.find("main", anthropic)).toMatchObject({ usable: [{ id: "a" }], problems: [] });
    expect(await profiles.find("constructor", provider("toString", { api: "ollama" }))).toMatchObject({
      usable: [{ secret: undefined }],
      problems: [],
    });
  });

  it("of a server of one's own need not be there", async () => {
    const { profiles } = open({});
    const local = provider("local", { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" });
    expect((await profiles.find("main", local)).usable).toEqual([
      { id: "models.providers.local.apiKey", secret: undefined },
    ]);
    expect(await profiles.find("main", anthropic)).toEqual({ usable: [], problems: [] });
  });

  it("in a file that is not one are refused without a word of what is in it", async () => {
    const { profiles, write } = open({ main: "{ sk-secret" });
    await expect(profiles.find("main", anthropic)).rejects.toThrow(/auth-profiles\.json is not JSON$/);
    write("main", { profiles: { a: { type: "api_key", key: "sk-secret" } } });
    await expect(profiles.find("main", anthropic)).rejects.toThrow(/profiles\.a\.provider: (?!.*secret)/);
  });
});

describe("a credential that no header takes", () => {
  const wrong = ["sk-first\nsk-second", "sk-\u2026", "sk-\u0000"];

  it.each(wrong)("is not sent, and quoted by nothing: %j", async (value) => {
    const file = { profiles: { own: key("own", { key: value }) } };
    const { profiles } = open({ main: file });
    const { usable, problems } = await profiles.find("main", { ...anthropic, apiKey: { value } });
    expect(usable).toEqual([]);
    expect(problems).toMatchObject([
      { id: "own", reason: "missing_credential", detail: expect.stringContaining("no header takes") },
      { id: "models.providers.anthropic.apiKey", detail: expect.stringContaining("no header takes") },
    ]);
    expect(JSON.stringify(problems)).not.toContain("sk-");
  });

  it("of a header of the provider ends the call at once, with the key that it stands at", async () => {
    const local = provider("local", {
      api: "openai-completions",
      baseUrl: "http://127.0.0.1:9/v1",
      headers: { "x-key": { value: "sk-first\nsk-second" } },
    });
    const { ask, pauses, logged } = openBroker([local]);
    const end = await ask();
    expect(end).toMatchObject({ refusal: { code: "CLOISTER_MODEL_CREDENTIAL" } });
    expect(JSON.stringify([end, logged])).toContain("the header x-key of local has no value");
    expect(JSON.stringify([end, logged])).not.toContain("sk-first");
    expect(pauses).toEqual([]);
  });
});
