/** Renewal of OAuth tokens: one for all agents, written beside other processes, and one error when it fails. */
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ModelSettings, SecretValue } from "../../../runtime/broker/port.ts";
import { makeProfiles } from "../../../runtime/broker/profiles.ts";
import { makeRenewal } from "../../../runtime/broker/renewal.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { provider } from "../../support/broker.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-renewal-"));
afterAll(() => rmSync(base, { recursive: true }));

const anthropic = provider("anthropic", { api: "anthropic-messages" });
const tokenUrl = "https://tokens.example/oauth/token";
const old = { type: "oauth", provider: "anthropic", access: "old", expires: 1_000, refresh: "r-1", clientId: "c" };
let folder = "";
let made = 0;
let nowMs = 0;
beforeEach(() => {
  folder = path.join(base, String(made++));
  nowMs = 1_000_000;
});

/** `answer`: of the server of tokens. */
function open(profile: object, answer: () => Response) {
  const file = path.join(folder, "main", "auth-profiles.json");
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    JSON.stringify({ kept: 1, profiles: { p: { tokenUrl, ...profile }, q: { type: "x", provider: "y" } } }),
  );
  const asked: string[] = [];
  const agents = Object.fromEntries(
    ["main", ...Array.from({ length: 20 }, (_, at) => `a${at}`)].map((id) => [
      id,
      { fallbacks: [], agentDir: path.join(folder, id) },
    ]),
  );
  const settings = { agents, defaultAgentId: "main", authOrder: {} } as unknown as ModelSettings;
  /** As one process has it. */
  const start = () => {
    const ask: typeof fetch = async (url, init) => {
      asked.push(`${url as string} ${new URLSearchParams(init?.body as URLSearchParams).toString()}`);
      return answer();
    };
    const read = {
      read: async (told: SecretValue) =>
        "ref" in told && told.ref.id === "client" ? { value: "s-1" } : { missing: "none" },
    };
    const renew = makeRenewal(ask, () => nowMs, read);
    return makeProfiles(
      () => settings,
      read,
      renew,
      () => nowMs,
    );
  };
  const written = () => JSON.parse(readFileSync(file, "utf8")) as { profiles: Record<string, object> };
  return { start, asked, written, file };
}

const fresh = (more: object = {}): Response => Response.json({ access_token: "new", expires_in: 3_600, ...more });
const tokens = { type: "token", value: "new" };

describe("an OAuth token that is old", () => {
  it("A8.4: is renewed once for twenty agents in two processes, and the file keeps what else it has", async () => {
    const { start, asked, written, file } = open(old, () => fresh({ refresh_token: "r-2" }));
    const [one, two] = [start(), start()];
    const found = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : two).find(`a${at}`, anthropic)),
    );
    for (const credentials of found) expect(credentials.usable).toEqual([{ id: "p", secret: tokens }]);
    expect(asked).toEqual([`${tokenUrl} grant_type=refresh_token&refresh_token=r-1&client_id=c`]);
    expect(written()).toMatchObject({
      kept: 1,
      profiles: { p: { access: "new", refresh: "r-2", expires: nowMs + 3_600_000, clientId: "c" }, q: { type: "x" } },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("is renewed with the secret of the client where that is, which is not copied; one that cannot be read is told", async () => {
    const { start, asked, written } = open({ ...old, clientSecretRef: { source: "store", id: "client" } }, fresh);
    expect((await start().find("main", anthropic)).usable).toEqual([{ id: "p", secret: tokens }]);
    expect(asked).toEqual([`${tokenUrl} grant_type=refresh_token&refresh_token=r-1&client_id=c&client_secret=s-1`]);
    expect(JSON.stringify(written())).not.toContain("s-1");
    expect(written()).toMatchObject({ profiles: { p: { access: "new", clientSecretRef: { id: "client" } } } });
    folder = `${folder}-wrong`;
    const wrong = open({ ...old, clientSecretRef: { source: "store", id: "gone" } }, fresh);
    expect((await wrong.start().find("main", anthropic)).problems).toMatchObject([
      { id: "p", reason: "expired", forOperator: expect.stringContaining("the secret of its client cannot be read") },
    ]);
    expect(wrong.asked).toEqual([]);
  });

  it("that cannot be renewed gives way to what another process has put there meanwhile", async () => {
    const { start, file, written } = open({ ...old, tokenUrl }, () => {
      // Another program, which knows nothing of the lock, was first: this refresh token counts no more.
      const now = written();
      const p = { ...now.profiles["p"], access: "theirs", expires: nowMs + 600_000 };
      writeFileSync(file, JSON.stringify({ ...now, profiles: { ...now.profiles, p } }));
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    });
    const { usable, problems } = await start().find("main", anthropic);
    expect([usable, problems]).toEqual([[{ id: "p", secret: { type: "token", value: "theirs" } }], []]);
  });

  it.each([
    ["the same account", { email: "ana@example.org" }, "shared"],
    ["another account", { email: "bo@example.org" }, undefined],
    ["no account", {}, undefined],
  ])("that cannot be renewed gives way to the default agent's of %s", async (_what, of, value) => {
    const main = { ...old, access: "shared", expires: nowMs + 600_000, ...of };
    const { start, file } = open(main, () => Response.json({ error: "invalid_grant" }, { status: 400 }));
    const own = path.join(folder, "a0", "auth-profiles.json");
    mkdirSync(path.dirname(own), { recursive: true });
    const before = JSON.stringify({ profiles: { p: { ...old, tokenUrl, email: "ana@example.org" } } });
    writeFileSync(own, before);
    const { usable, problems } = await start().find("a0", anthropic);
    expect(usable).toEqual(value === undefined ? [] : [{ id: "p", secret: { type: "token", value } }]);
    expect(problems).toHaveLength(value === undefined ? 1 : 0);
    expect(readFileSync(own, "utf8")).toBe(before);
    expect(readFileSync(file, "utf8")).toContain("shared");
  });

  it("is renewed where it is when an agent has it by a link, and the link stays one", async () => {
    const { start, asked, written, file } = open(old, () => fresh({ refresh_token: "r-2" }));
    const link = path.join(folder, "a0", "auth-profiles.json");
    mkdirSync(path.dirname(link));
    symlinkSync(file, link);
    const [one, two] = [start(), start()];
    const found = await Promise.all([one.find("a0", anthropic), two.find("main", anthropic)]);
    for (const credentials of found) expect(credentials.usable).toEqual([{ id: "p", secret: tokens }]);
    expect(asked).toHaveLength(1);
    expect(written()).toMatchObject({ profiles: { p: { refresh: "r-2" } } });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });

  it("is renewed before it expires, with the refresh token that it has when the server gives no other", async () => {
    const { start, asked, written } = open({ ...old, expires: nowMs + limits.modelRenewEarlyMs }, () => fresh());
    const profiles = start();
    expect((await profiles.find("main", anthropic)).usable).toEqual([{ id: "p", secret: tokens }]);
    expect((await profiles.find("main", anthropic)).usable).toEqual([{ id: "p", secret: tokens }]);
    expect(asked).toHaveLength(1);
    expect(written()).toMatchObject({ profiles: { p: { refresh: "r-1" } } });
  });

  it.each([{}, { expires_in: null }, { expires_in: "soon" }])(
    "is renewed by a server that does not say how long it counts (%j), and keeps the refresh token that took the old one's place",
    async (more) => {
      const { start, written } = open(old, () => Response.json({ access_token: "new", refresh_token: "r-2", ...more }));
      expect((await start().find("main", anthropic)).usable).toEqual([{ id: "p", secret: tokens }]);
      const expires = nowMs + limits.modelTokenSecondsDefault * 1_000;
      expect(written()).toMatchObject({ profiles: { p: { access: "new", refresh: "r-2", expires } } });
    },
  );

  it("that is not renewed is one error for all, tried again after a while, and nothing is written", async () => {
    let answer = () => new Response("canary-body", { status: 400 });
    const { start, asked, written } = open(old, () => answer());
    const before = written();
    const profiles = start();
    const found = await Promise.all(Array.from({ length: 20 }, (_, at) => profiles.find(`a${at}`, anthropic)));
    for (const { usable, problems } of found) {
      expect(usable).toEqual([]);
      expect(problems).toMatchObject([
        {
          id: "p",
          reason: "expired",
          forOperator: "p was not renewed: tokens.example refused to renew it (HTTP 400); sign in again",
        },
      ]);
    }
    await profiles.find("main", anthropic);
    expect(asked).toHaveLength(1);
    expect(written()).toEqual(before);
    answer = fresh;
    nowMs += limits.modelRestMs;
    expect((await profiles.find("main", anthropic)).usable).toEqual([{ id: "p", secret: tokens }]);
  });

  it.each([
    ["an answer that is no token", old, () => new Response("<html>"), "gave no token"],
    ["no client", { ...old, clientId: undefined }, fresh, "no clientId"],
    ["an address without encryption", { ...old, tokenUrl: "http://tokens.example/t" }, fresh, "is not https"],
  ])("is not renewed with %s", async (_what, profile, answer, why) => {
    const { start } = open(profile, answer);
    expect(await start().find("main", anthropic)).toMatchObject({
      usable: [],
      problems: [{ reason: "expired", forOperator: expect.stringContaining(why) }],
    });
  });

  it("that is still good is used when its renewal fails", async () => {
    const { start } = open({ ...old, expires: nowMs + 1_000 }, () => new Response("", { status: 503 }));
    expect((await start().find("main", anthropic)).usable).toEqual([
      { id: "p", secret: { type: "token", value: "old" } },
    ]);
  });
});
