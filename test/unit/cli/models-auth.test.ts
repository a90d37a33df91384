/** `cloister models auth`: signing in to a provider by a browser or a code, what is kept of it, and signing out. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import type { ModelSettings } from "../../../runtime/broker/port.ts";
import { makeProfiles } from "../../../runtime/broker/profiles.ts";
import { makeRenewal } from "../../../runtime/broker/renewal.ts";
import { provider } from "../../support/broker.ts";
import { eventually } from "../../support/eventually.ts";
import { openOAuthServer, type OAuthServer, type OAuthServerKind } from "../../support/oauth-server.ts";
import { useCliHome } from "./cli-home.ts";

const home = useCliHome();

async function configure(oauth: object | undefined, more: object = {}): Promise<void> {
  const config = {
    agents: { list: [{ id: "main", default: true }, { id: "raul" }] },
    models: { providers: { acme: { api: "anthropic-messages", ...(oauth === undefined ? {} : { oauth }) } } },
    ...more,
  };
  await writeFile(path.join(home.stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });
}

/** A server that says all of itself, and a config that names it. */
async function withServer(kind: OAuthServerKind = {}, more: object = {}): Promise<OAuthServer> {
  const server = await openOAuthServer(kind);
  await configure({ issuer: server.url, clientId: "cloister-test", ...more });
  return server;
}

const login = (...more: readonly string[]): Promise<number> =>
  home.run("models", "auth", "login", "--provider", "acme", ...more);
const shown = (): string => home.terminal.outText() + home.terminal.errText();
const shownAddress = (): Promise<string> =>
  eventually(() => {
    const found = /^http\S*\/authorize\S*$/m.exec(home.terminal.outText())?.[0];
    if (found === undefined) throw new Error("no address yet");
    return found;
  });
const fileOf = (agent: string): string => path.join(home.stateDir, "agents", agent, "agent", "auth-profiles.json");
const kept = async (agent = "main"): Promise<{ profiles: Record<string, object>; order?: object }> =>
  JSON.parse(await readFile(fileOf(agent), "utf8")) as { profiles: Record<string, object> };

/** What is printed and thrown has no token in it, and nothing that the server wrote for people. */
function expectNoToken(text: string): void {
  expect(text).not.toMatch(/access-\d|refresh-\d|canary/);
}

describe("with a browser", () => {
  it("signs in at an address of this machine, with the proof, and keeps the tokens for the next call", async () => {
    const server = await withServer({}, { scopes: ["chat", "models.read"], params: { prompt: "login" } });
    const done = login();
    const address = new URL(await shownAddress());
    expect(Object.fromEntries(address.searchParams)).toMatchObject({
      client_id: "cloister-test",
      response_type: "code",
      scope: "chat models.read",
      prompt: "login",
      code_challenge_method: "S256",
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/) as string,
    });
    const back = await server.browse(address.href);
    const page = await fetch(back);
    expect(page.status).toBe(200);
    expect(await page.text()).toMatch(/go back to the terminal/);
    expect(await done).toBe(0);
    expect(await kept()).toMatchObject({
      profiles: {
        "acme:default": {
          type: "oauth",
          provider: "acme",
          access: "access-1",
          refresh: "refresh-1",
          expires: Date.UTC(2026, 0, 2) + 3_600_000,
          tokenUrl: `${server.url}/token`,
          revocationUrl: `${server.url}/revoke`,
          clientId: "cloister-test",
        },
      },
    });
    expect((await stat(fileOf("main"))).mode & 0o777).toBe(0o600);
    expect(shown()).toMatch(/signed in to acme: acme:default of the agent main/);
    expectNoToken(shown());
    // The door is closed again.
    await expect(fetch(back)).rejects.toThrow();
  });

  it("waits past answers that are not of this sign-in", async () => {
    const server = await withServer();
    const done = login();
    const address = await shownAddress();
    const back = new URL(await server.browse(address));
    const wrong = new URL(back);
    wrong.searchParams.set("state", "guessed");
    const none = new URL(back);
    none.searchParams.delete("state");
    for (const other of [wrong.href, none.href, new URL("/other", back).href]) {
      const answer = await fetch(other);
      expect(answer.status).toBe(404);
      expect(await answer.text()).not.toContain("guessed");
    }
    expect((await fetch(back, { method: "POST" })).status).toBe(404);
    expect((await fetch(back)).status).toBe(200);
    expect(await done).toBe(0);
  });

  it("goes by OpenID Connect's metadata, by written addresses, and by a secret of the client that is elsewhere", async () => {
    const server = await openOAuthServer({ isOpenId: true, clientSecret: "client-canary" });
    const sources = [
      { issuer: `${server.url}/` },
      { tokenUrl: `${server.url}/token`, authorizationUrl: `${server.url}/authorize` },
    ];
    for (const source of sources) {
      await configure({ ...source, clientId: "cloister-test", clientSecret: { source: "store", id: "acme" } });
      home.clear();
      home.terminal.input.end("client-canary");
      expect(await home.run("secrets", "set", "acme")).toBe(0);
      home.clear();
      const done = login();
      expect((await fetch(await server.browse(await shownAddress()))).status).toBe(200);
      expect(await done).toBe(0);
      expectNoToken(shown());
      // Where the secret is, and not the secret.
      expect(await kept()).toMatchObject({
        profiles: { "acme:default": { clientSecretRef: { source: "store", id: "acme" } } },
      });
      expect(await readFile(fileOf("main"), "utf8")).not.toContain("client-canary");
    }
    home.clear();
    expect(await home.run("models", "auth", "logout", "--provider", "acme", "--json")).toBe(0);
    expect(home.terminal.outText()).not.toContain("cannot be read");
  });

  it("takes the address that the person pastes, for a browser on another machine", async () => {
    const server = await withServer();
    const done = login("--paste");
    home.terminal.input.end(`\n ${await server.browse(await shownAddress())} \n`);
    expect(await done).toBe(0);
    expect(await kept()).toMatchObject({ profiles: { "acme:default": { access: "access-1" } } });
  });

  it.each([
    ["nothing", () => "", /found nothing/],
    ["no address", () => "abc", /found something else/],
    ["another sign-in's address", () => "http://127.0.0.1/callback?code=x&state=y", /not of this sign-in/],
    ["an address without a code", (back: string) => back.replace(/code=[^&]*/, ""), /has no code/],
    ["another code", (back: string) => back.replace(/code=[^&]*/, "code=other"), /invalid_grant/],
    [
      "another server's answer",
      (back: string) => back.replace(/iss=[^&]*/, "iss=https%3A%2F%2Fevil.example"),
      /another server/,
    ],
  ])("refuses %s that is pasted, and keeps nothing", async (_what, make, message) => {
    const server = await withServer();
    const done = login("--paste");
    home.terminal.input.end(`${make(await server.browse(await shownAddress()))}\n`);
    const error = await done.catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ message: expect.stringMatching(message) as string });
    expectNoToken(String(error));
    await expect(kept()).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("tells that the person refused", async () => {
    const server = await withServer({ decides: "deny" });
    const done = login().catch((error: unknown) => error);
    await fetch(await server.browse(await shownAddress()));
    expect(await done).toMatchObject({
      code: "CLOISTER_MODEL_CREDENTIAL",
      message: "Signing in to acme: it was refused in the browser.",
    });
  });

  it("ends with the person's signal, and leaves no door open", async () => {
    const server = await withServer();
    const done = login();
    const back = await server.browse(await shownAddress());
    home.terminal.signal("SIGINT");
    expect(await done).toBe(130);
    await expect(fetch(back)).rejects.toThrow();
    expect(home.terminal.listeners()).toBe(0);
  });

  it("ends with the person's signal while an address is to be pasted, and reads no further", async () => {
    await withServer();
    const done = login("--paste");
    await shownAddress();
    home.terminal.signal("SIGINT");
    expect(await done).toBe(130);
    expect(home.terminal.input.isPaused()).toBe(true);
    await expect(kept()).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("tells that the port of redirectUrl is another program's", async () => {
    const server = await openOAuthServer();
    await configure({ issuer: server.url, clientId: "cloister-test", redirectUrl: `${server.url}/callback` });
    await expect(login()).rejects.toMatchObject({
      code: "CLOISTER_EDGE_BIND",
      remedy: expect.stringContaining("models.providers.acme.oauth.redirectUrl") as string,
    });
  });
});

describe("with a code for another device", () => {
  it("shows the code, asks until it was typed, and less often when it should", async () => {
    const server = await withServer({ pending: ["authorization_pending", "down"] }, { scopes: ["chat"] });
    expect(await login("--device", "--json", "--agent", "raul", "--auth-profile", "acme:work")).toBe(0);
    expect(home.terminal.outText()).toContain('"code": "WDJB-MJHT"');
    expect(home.terminal.outText()).toContain('"status": "kept"');
    expect(server.forms.map(({ path: door }) => door)).toEqual(["/device", "/token", "/token", "/token"]);
    expect(server.forms[0]?.form).toMatchObject({ scope: "chat", client_id: "cloister-test" });
    expect(await kept("raul")).toMatchObject({ profiles: { "acme:work": { access: "access-1" } } });
    expectNoToken(shown());
  }, 20_000);

  it("ends with the person's signal while the code is to be typed", async () => {
    await withServer({ pending: Array.from({ length: 60 }, () => "authorization_pending" as const) });
    const done = login("--device");
    await eventually(() => expect(home.terminal.outText()).toContain("WDJB-MJHT"));
    home.terminal.signal("SIGINT");
    expect(await done).toBe(130);
    await expect(kept()).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is what is done when there is no address for a browser", async () => {
    const server = await openOAuthServer();
    await configure({ deviceUrl: `${server.url}/device`, tokenUrl: `${server.url}/token`, clientId: "cloister-test" });
    expect(await login()).toBe(0);
    expect(shown()).toMatch(/Open http:\S+\/activate on any device, and type the code WDJB-MJHT/);
  });

  it("tells that the person refused", async () => {
    await withServer({ decides: "deny" });
    await expect(login("--device")).rejects.toMatchObject({
      message: expect.stringMatching(/refused on the other/) as string,
    });
  });
});

describe("what cannot be", () => {
  test.each([
    [["--device", "--paste"], "CLOISTER_REQUEST_INVALID", /wanted one of the two/],
    [["--agent", "nobody"], "CLOISTER_REQUEST_INVALID", /none of this id; those are main, raul/],
    [["--auth-profile", "__proto__"], "CLOISTER_REQUEST_INVALID", /the first a letter or a digit/],
  ])("%j", async (args, code, message) => {
    await withServer();
    await expect(login(...args)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it("a provider without oauth, and one that is not there, are refused with what to write", async () => {
    await configure(undefined);
    await expect(login()).rejects.toMatchObject({
      message: expect.stringMatching(/does not say how; nobody signs in to any/) as string,
      remedy: expect.stringContaining("models.providers.acme.oauth") as string,
    });
    await expect(home.run("models", "auth", "login", "--provider", "other")).rejects.toMatchObject({
      message: expect.stringMatching(/no such provider/) as string,
    });
  });

  it("a server that calls itself another, or does not answer, is told with both places", async () => {
    await withServer({ issuer: "https://other.example" });
    await expect(login()).rejects.toMatchObject({
      code: "CLOISTER_MODEL_CREDENTIAL",
      message: expect.stringMatching(
        /oauth-authorization-server: it calls itself another issuer; .*openid-configuration: HTTP 404/,
      ) as string,
    });
  });

  it("a client that the server does not know is told by the name of the refusal alone", async () => {
    await withServer({}, { clientId: "other" });
    const error = await login("--device").catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ message: "Signing in to acme: 127.0.0.1 refused it (HTTP 401, invalid_client)." });
    expectNoToken(String(error));
  });

  it.each([
    [{ clientId: "c" }, /oauth\.tokenUrl/],
    [{ clientId: "c", tokenUrl: "https://a.example/t" }, /oauth/],
    [{ clientId: "c", issuer: "http://a.example" }, /https/],
    [{ clientId: "c", issuer: "https://a.example", redirectUrl: "http://a.example/callback" }, /redirectUrl/],
    [{ clientId: "c", issuer: "https://a.example", params: { state: "x" } }, /program itself/],
    [{ clientId: "c", issuer: "https://a.example", scopes: ["a b"] }, /scopes/],
    [{ issuer: "https://a.example" }, /clientId/],
    [{ clientId: "c", issuer: "https://a.example", clientSecret: { source: "exec", id: "x" } }, /clientSecret/],
  ])("a config with %j is refused", async (oauth, message) => {
    await configure(oauth);
    const error = (await login().catch((thrown: unknown) => thrown)) as { code: string; issues?: object };
    expect(error.code).toBe("CLOISTER_CONFIG_INVALID");
    expect(JSON.stringify(error.issues)).toMatch(message);
  });
});

describe("what is kept", () => {
  it("stands beside what was there, first in the file's order, and tells what was not granted or is not used", async () => {
    const server = await openOAuthServer({ scope: "chat", givesRefresh: false });
    const oauth = { issuer: server.url, clientId: "cloister-test", scopes: ["chat", "files"] };
    await configure(oauth, { auth: { order: { acme: ["acme:other"] } } });
    await mkdir(path.dirname(fileOf("main")), { recursive: true });
    const before = { version: 3, profiles: { "acme:other": { type: "api_key", provider: "acme", key: "k", note: 1 } } };
    await writeFile(fileOf("main"), JSON.stringify(before));
    expect(await login("--device")).toBe(0);
    expect(shown()).toMatch(/cannot be renewed/);
    expect(shown()).toMatch(/did not grant: files/);
    expect(shown()).toMatch(/auth\.order\.acme of the config leaves it out/);
    expect(await kept()).toMatchObject({
      ...before,
      profiles: { ...before.profiles, "acme:default": { type: "oauth" } },
    });
    await writeFile(fileOf("main"), JSON.stringify({ ...(await kept()), order: { acme: ["acme:other"] } }));
    home.clear();
    expect(await login("--device", "--auth-profile", "acme:two")).toBe(0);
    expect(await kept()).toMatchObject({ order: { acme: ["acme:two", "acme:other"] } });
    expect(shown()).not.toMatch(/leaves it out/);
  }, 20_000);

  it("is renewed once when twenty agents call with it at once, and the server never sees a token twice", async () => {
    const server = await withServer({ seconds: 30 });
    expect(await login("--device")).toBe(0);
    const nowMs = (): number => Date.UTC(2026, 0, 2);
    const ids = Array.from({ length: 20 }, (_, at) => `a${at}`);
    const agents = Object.fromEntries(
      ["main", ...ids].map((id) => [id, { fallbacks: [], agentDir: path.join(home.stateDir, "agents", id, "agent") }]),
    );
    const settings = { agents, defaultAgentId: "main", authOrder: {} } as unknown as ModelSettings;
    const secrets = { read: async () => ({ missing: "" }) };
    const profiles = makeProfiles(() => settings, secrets, makeRenewal(fetch, nowMs, secrets), nowMs);
    const found = await Promise.all(
      ids.map((id) => profiles.find(id, provider("acme", { api: "anthropic-messages" }))),
    );
    for (const { usable } of found)
      expect(usable).toEqual([{ id: "acme:default", secret: { type: "token", value: "access-2" } }]);
    expect(server.forms.filter(({ form }) => form["grant_type"] === "refresh_token")).toHaveLength(1);
    expect(server.counting()).toEqual(["refresh-2"]);
  });

  it("is listed without a value, with what it counts for", async () => {
    await withServer();
    expect(await home.run("models", "auth")).toBe(0);
    expect(shown()).toMatch(/no credential is kept; sign in with `cloister models auth login/);
    const at = Date.UTC(2026, 0, 2);
    const profiles = {
      "acme:a": { type: "oauth", provider: "acme", access: "canary", refresh: "canary", expires: at - 1 },
      "acme:b": { type: "oauth", provider: "acme", access: "canary", expires: at - 1 },
      "acme:c": { type: "token", provider: "acme", token: "canary", expires: at + 60_000 },
      "acme:d": { type: "api_key", provider: "acme", keyRef: { source: "env", id: "CANARY" } },
      "acme:e": { type: "api_key", provider: "acme" },
    };
    await mkdir(path.dirname(fileOf("raul")), { recursive: true });
    await writeFile(fileOf("raul"), JSON.stringify({ profiles }));
    home.clear();
    expect(await home.run("models", "auth", "list", "--json")).toBe(0);
    const listed = JSON.parse(home.terminal.outText()) as { profiles: { profile: string; state: string }[] };
    expect(listed.profiles.map(({ profile, state }) => [profile, state])).toEqual([
      ["acme:a", "renewed with the next call"],
      ["acme:b", "expired"],
      ["acme:c", "set"],
      ["acme:d", "set"],
      ["acme:e", "missing"],
    ]);
    home.clear();
    expect(await home.run("models", "auth", "list", "--agent", "raul")).toBe(0);
    expect(shown()).toMatch(/^AGENT\s+PROFILE\s+PROVIDER\s+TYPE\s+STATE\s+UNTIL\nraul\s+acme:a\s+acme\s+oauth/);
    expect(shown()).not.toMatch(/canary/i);
    await writeFile(fileOf("raul"), '{"profiles": "canary"}');
    await expect(home.run("models", "auth", "list")).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.not.stringContaining("canary") as string,
    });
  });

  it("is given back and forgotten", async () => {
    const server = await withServer();
    expect(await login("--device")).toBe(0);
    expect(server.counting()).toEqual(["refresh-1"]);
    home.clear();
    const logout = (...more: readonly string[]) => home.run("models", "auth", "logout", "--provider", "acme", ...more);
    expect(await logout("--json")).toBe(0);
    expect(JSON.parse(home.terminal.outText())).toEqual({
      agent: "main",
      profile: "acme:default",
      provider: "acme",
      revoked: true,
    });
    expect(server.counting()).toEqual([]);
    expect(await kept()).toEqual({ profiles: {} });
    await expect(logout()).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: 'Signing out of acme: the agent main has no credential "acme:default" for it.',
    });
    const old = { type: "token", provider: "acme", token: "canary" };
    await writeFile(
      fileOf("main"),
      JSON.stringify({ profiles: { "acme:default": old }, order: { acme: ["acme:default"] } }),
    );
    home.clear();
    expect(await logout()).toBe(0);
    expect(shown()).toMatch(/may still count at acme \(it takes none back\)/);
    expect(await kept()).toEqual({ profiles: {}, order: { acme: [] } });
  });
});
