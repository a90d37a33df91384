/** Operators' clients read and change a real configuration file while real cells work. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { findPaths, loadConfig, resolveConfig } from "../../runtime/config/index.ts";
import type { ConfigFiles } from "../../runtime/config/last-good.ts";
import type { Client } from "../../runtime/edge/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actorPath } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { quietEdge } from "../support/quiet-edge.ts";

const text = `// the office
{
  agents: { list: [{ id: "main", module: "echo" }, { id: "raul", module: "echo" }] },
  // the door
  gateway: { auth: { token: "t0p-s3cret" }, reload: { debounceMs: 0 } },
}
`;

interface Office {
  readonly gateway: TestGateway;
  readonly file: string;
  readonly now: () => string;
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever a method answers
  readonly call: (method: string, params?: object, client?: Client) => Promise<any>;
  /** The hash that a change has to name. */
  readonly hash: () => Promise<string>;
}

const admin: Client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };

async function open(written = text): Promise<Office> {
  const home = mkdtempSync(path.join(os.tmpdir(), "cloister-config-methods-"));
  const stateDir = path.join(home, ".cloister");
  const file = path.join(stateDir, "cloister.json");
  mkdirSync(stateDir);
  writeFileSync(file, written);
  const read = async (texts: ConfigFiles = new Map()) => {
    const loaded = await loadConfig({ ...(await findPaths({ env: {}, homeDir: home })), env: {}, texts });
    return { config: resolveConfig(loaded), files: loaded.files };
  };
  const { config, files } = await read();
  const gateway = await openGateway([], {}, { config, configFile: { read, files } });
  await gateway.configDesk.start();
  const call: Office["call"] = async (method, params = {}, client = admin) => {
    const result = await gateway.doors.rpc(client, method, params);
    if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
    return result.payload;
  };
  return {
    gateway,
    file,
    call,
    now: () => readFileSync(file, "utf8"),
    hash: async () => (await call("config.get")).hash,
  };
}

describe("config.get", () => {
  test("shows the file without its secrets, and the hash that a change has to name", async () => {
    const { call } = await open();
    const got = await call("config.get");
    expect(got).toMatchObject({ exists: true, valid: true, issues: [], generation: 1, restart: [] });
    expect(got.parsed.gateway.auth.token).toBe("__OPENCLAW_REDACTED__");
    expect(JSON.stringify(got)).not.toContain("t0p-s3cret");
    expect(await call("config.schema.lookup", { path: "agents.list[].id" })).toMatchObject({ type: "text" });
  });

  test("of a broken file says what is wrong, while the gateway goes on with what it has", async () => {
    const { call, file, gateway } = await open();
    writeFileSync(file, text.replace("auth:", "aught:"));
    await expect.poll(async () => (await call("config.get")).error?.code).toBe("CLOISTER_CONFIG_INVALID");
    expect(await call("config.get")).toMatchObject({ valid: false, issues: [{ path: "gateway.aught" }] });
    expect(
      gateway.logged.filter(({ message }) => message.startsWith("config reload skipped (invalid config)")),
    ).toHaveLength(1);
    expect(await gateway.reply("main", "still here")).toBe("still here");
    writeFileSync(file, text);
    await expect.poll(async () => (await call("config.get")).error).toBeUndefined();
  });
});

describe("a change of the file", () => {
  test("keeps comments and secrets, is in force when it is answered, and leaves the old text beside", async () => {
    const { call, hash, now, file, gateway } = await open();
    const { parsed } = await call("config.get");
    const agents = { list: [...parsed.agents.list, { id: "ana", module: "echo" }] };
    const set = [
      { path: ["agents"], value: agents },
      { path: ["gateway", "auth"], value: parsed.gateway.auth },
    ];
    const done = await call("config.patch", { set, baseHash: await hash() });
    expect(done).toMatchObject({ ok: true, status: "applied", agents: { added: ["ana"], removed: [], changed: [] } });
    expect(await gateway.reply("ana", "hello")).toBe("hello");
    expect(now()).toContain("// the door");
    expect(now()).toContain('"t0p-s3cret"');
    expect(done.hash).toBe(await hash());
    expect(readFileSync(`${file}.bak`, "utf8")).toBe(text);
    expect((await call("health")).config).toMatchObject({ generation: 2, hash: done.hash });
  });

  test("needs the hash of what it was made for, and is told the new one", async () => {
    const { call, hash, now } = await open();
    const raw = "{ session: { dmScope: 'per-peer' } }";
    await expect(call("config.patch", { raw })).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    const stale = await hash();
    await call("config.patch", { raw, baseHash: stale });
    const error = await call("config.patch", { raw, baseHash: stale }).catch((found: unknown) => found);
    expect(error).toMatchObject({ code: "CLOISTER_CONFIG_STALE", message: expect.stringContaining(await hash()) });
    expect(now()).toContain("per-peer");
  });

  test("that is not valid changes neither the file nor what is in force, and names the key", async () => {
    const { call, hash, now, gateway } = await open();
    const set = [{ path: ["agents", "list", 1, "modul"], value: "echo" }];
    await expect(call("config.patch", { set, baseHash: await hash() })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_INVALID",
      message: expect.stringContaining("agents.list[1].modul"),
    });
    expect(now()).toBe(text);
    expect(gateway.configDesk.status().generation).toBe(1);
  });

  test("that the doors refuse is taken out of the file again", async () => {
    const { call, hash, now, gateway } = await open();
    gateway.attachEdge(quietEdge({ configure: () => Promise.reject(new Error("no")) }));
    const raw = "{ session: { dmScope: 'per-peer' } }";
    await expect(call("config.patch", { raw, baseHash: await hash() })).rejects.toThrow("no");
    expect(now()).toBe(text);
    expect(gateway.configDesk.status().generation).toBe(1);
  });

  test("that would lose most of the file waits for a word, and is kept beside it", async () => {
    const long = text.replace("// the office", `// ${"the office ".repeat(80)}`);
    const { call, hash, now, file, gateway } = await open(long);
    const raw = '{ agents: { list: [{ id: "main", module: "echo" }] } }';
    await expect(call("config.apply", { raw, baseHash: await hash() })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_GUARDED",
    });
    expect(now()).toBe(long);
    expect(readFileSync(`${file}.rejected`, "utf8")).toBe(raw);
    // Another change leaves it where it is.
    await call("config.patch", { raw: "{ session: { dmScope: 'per-peer' } }", baseHash: await hash() });
    expect(readFileSync(`${file}.rejected`, "utf8")).toBe(raw);
    await call("config.apply", { raw, baseHash: await hash(), force: true });
    expect(existsSync(`${file}.rejected`)).toBe(false);
    expect(gateway.agents().map(({ agentId }) => agentId)).toEqual(["main"]);
  });

  test("comes from one client at a bounded rate", async () => {
    const { call, hash } = await open();
    const baseHash = await hash();
    for (let write = 0; write < limits.configWritesMax; write++) await call("config.patch", { raw: "{}", baseHash });
    await expect(call("config.patch", { raw: "{}", baseHash })).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
    expect(await call("config.patch", { raw: "{}", baseHash }, { ...admin, clientId: "other" })).toMatchObject({
      status: "unchanged",
    });
  });
});

test("secrets.reload takes up a changed file first, and says when it cannot be used", async () => {
  const slow = text.replace("debounceMs: 0", "debounceMs: 60000");
  const { call, file, gateway } = await open(slow);
  const read = { ok: true, renewed: [], unread: [] };
  expect(await call("secrets.reload")).toEqual({ ...read, configuration: "unchanged" });
  writeFileSync(file, slow.replace('"raul"', '"ana"'));
  expect(await call("secrets.reload")).toEqual({ ...read, configuration: "applied" });
  expect(await gateway.reply("ana", "hello")).toBe("hello");
  writeFileSync(file, "{");
  expect(await call("secrets.reload")).toEqual({ ...read, configuration: "invalid" });
  writeFileSync(file, slow.replace('"raul"', '"ana"').replace("debounceMs", 'mode: "off", debounceMs'));
  expect(await call("secrets.reload")).toMatchObject({ configuration: "applied" });
  writeFileSync(file, slow.replace("debounceMs", 'mode: "off", debounceMs'));
  expect(await call("secrets.reload")).toEqual({ ...read, configuration: "off" });
});

describe("config.check", () => {
  const whole = (value: unknown) => ({ set: [{ path: [], value }] });

  test("says what a change would do, place by place, and does none of it", async () => {
    const { call, hash, now, gateway } = await open();
    const { parsed } = await call("config.get");
    const [main, raul] = parsed.agents.list;
    const agents = { list: [main, { ...raul, name: "Raul" }, { id: "ana", module: "echo" }] };
    const gatewayWanted = { ...parsed.gateway, auth: { token: "another" }, port: 1 };
    const found = await call("config.check", whole({ agents, gateway: gatewayWanted }));
    expect(found).toMatchObject({ valid: true, issues: [], hash: await hash(), moreChanges: 0 });
    expect(found.changes.map(({ path: place }: { path: string }) => place)).toEqual([
      "agents.list",
      "gateway.auth.token",
      "gateway.port",
    ]);
    expect(found.changes[1]).toMatchObject({ isHidden: true });
    expect(found.changes[2]).toEqual({ path: "gateway.port", after: "1" });
    expect(found.plan).toMatchObject({
      agents: { added: ["ana"], changed: ["raul"] },
      restart: [{ key: "gateway.port" }],
    });
    expect(JSON.stringify(found)).not.toMatch(/t0p-s3cret|another/);
    expect(now()).toBe(text);
    expect(gateway.agents()).toHaveLength(2);
  });

  test("names each key that is wrong, and keeps what it was compared with", async () => {
    const { call, hash } = await open();
    const { parsed } = await call("config.get");
    const wrong = { ...parsed, agents: { list: [{ id: "main", modul: "echo" }] }, bindings: [{ agentId: "nobody" }] };
    const found = await call("config.check", whole(wrong));
    expect(found).toMatchObject({ valid: false, hash: await hash() });
    expect(found.issues.map(({ path: place }: { path: string }) => place)).toEqual(
      expect.arrayContaining(["agents.list[0].modul"]),
    );
    expect(found).not.toHaveProperty("plan");
    // A mark without a secret behind it, and a text that is no map.
    const marked = { hooks: { token: "__OPENCLAW_REDACTED__" } };
    for (const value of [marked, 5]) expect(await call("config.check", whole(value))).toMatchObject({ valid: false });
  });

  test("tells what would be lost, and features that are not there", async () => {
    const { call } = await open(text.replace("auth:", 'mode: "local", auth:'));
    const { parsed } = await call("config.get");
    const found = await call("config.check", whole({ agents: parsed.agents }));
    expect(found).toMatchObject({ valid: true, guarded: "gateway.mode would be lost", notActive: [] });
    const later = await call("config.check", whole({ ...parsed, talk: {} }));
    expect(later).not.toHaveProperty("guarded");
    expect(later.notActive).toEqual([expect.stringContaining("talk")]);
  });
});

describe("agents.create, update and delete", () => {
  test("W-10: one is made, changed and removed; its rights and its folders go, and its grants with them", async () => {
    const { call, gateway, now, file } = await open();
    const made = await call("agents.create", { name: "Work", module: "echo", emoji: "🦊", bind: ["webhook"] });
    expect(made).toMatchObject({ ok: true, agentId: "work", agents: { added: ["work"] } });
    expect(await gateway.reply("work", "hello")).toBe("hello");
    await call("grants.add", { from: "work", to: "main", verbs: ["send"] });
    expect(await call("agents.update", { agentId: "work", name: "Labour" })).toMatchObject({
      agents: { changed: ["work"] },
    });
    expect(now()).toContain('name: "Labour"');
    await expect(call("agents.create", { name: "work" })).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });

    await call("agents.delete", { agentId: "work" });
    await expect.poll(() => gateway.driver.kernel.view("work")).toBeUndefined();
    expect(now()).toBe(text.replace("\n}\n", "\n  bindings: [],\n}\n"));
    expect((await call("grants.list")).grants).toEqual([]);
    const trash = path.join(path.dirname(file), "trash");
    await expect
      .poll(() => readdirSync(path.join(trash, readdirSync(trash)[0] ?? "")).toSorted())
      .toContain("workspace");
    await expect(call("agents.delete", { agentId: "work" })).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
  });
});

describe("an agent that is deleted and one of its name that is added", () => {
  const job = (agentId: string) => ({
    name: "report",
    agentId,
    schedule: { kind: "every", everyMs: 3_600_000 },
    payload: { kind: "agentTurn", message: "x" },
  });

  test("the new one has no job, no timer, no order and no session of the old one, and others keep theirs", async () => {
    const { call, gateway } = await open();
    const other = await call("cron.add", job("main"));
    await call("cron.add", job("raul"));
    await call("cron.add", {
      ...job("raul"),
      schedule: { kind: "at", at: new Date(Date.now() + 60_000).toISOString() },
    });
    await gateway.reply("raul", "hello");
    await gateway.reply("main", "hello");
    await call("agents.park", { agentId: "raul" });
    await expect.poll(() => gateway.driver.kernel.view("raul")?.phase).toBe("parked");
    const keys = async () => (await gateway.store.sessions({ limit: 10, offset: 0 })).rows.map(({ key }) => key);
    expect((await keys()).toSorted()).toEqual(["agent:main:main", "agent:raul:main"]);

    await call("agents.delete", { agentId: "raul" });
    expect((await call("cron.list")).jobs).toMatchObject([{ id: other.id }]);
    await expect.poll(keys).toEqual(["agent:main:main"]);
    expect(await gateway.store.orders()).toEqual([]);
    await call("agents.create", { name: "Raul", module: "echo" });
    expect(await gateway.reply("raul", "anew")).toBe("anew");
    expect((await call("cron.list")).total).toBe(1);
  });

  test("taken out of the file by hand, its jobs are not run by hand, and are its own again when it is back", async () => {
    const { call, file, gateway } = await open();
    const { id } = await call("cron.add", job("raul"));
    writeFileSync(file, text.replace(', { id: "raul", module: "echo" }', ""));
    await expect.poll(() => gateway.driver.kernel.view("raul")).toBeUndefined();
    await expect(call("cron.run", { id })).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
    writeFileSync(file, text);
    await expect.poll(() => gateway.driver.kernel.view("raul")).toBeDefined();
    expect(await call("cron.run", { id })).toMatchObject({ ran: true });
  });

  test("with its files kept its sessions are kept as well, and its jobs go", async () => {
    const { call, gateway } = await open();
    await call("cron.add", job("raul"));
    await gateway.reply("raul", "hello");
    await call("agents.delete", { agentId: "raul", deleteFiles: false });
    await expect.poll(() => gateway.driver.kernel.view("raul")).toBeUndefined();
    expect((await call("cron.list")).total).toBe(0);
    await call("agents.create", { name: "Raul", module: "echo" });
    expect(await gateway.store.session("agent:raul:main")).toMatchObject({ messages: 2 });
  });
});

test("the folders of an agent that is there until the next start stay, and the answer names them", async () => {
  const { call, file, gateway } = await open(text.replace("debounceMs: 0", "debounceMs: 0, mode: 'off'"));
  const { workspace, agentDir, sessionsDir } = gateway.config.agents[1] ?? {};
  const deleted = await call("agents.delete", { agentId: "raul" });
  expect(deleted).toMatchObject({ status: "off", agentId: "raul", filesLeft: { workspace, agentDir, sessionsDir } });
  expect(await gateway.reply("raul", "still here")).toBe("still here");
  expect(readdirSync(path.dirname(file))).not.toContain("trash");
});

test("A10.5: an agent can neither read nor write the configuration, and holds no right to anything that could", async () => {
  const { gateway, file, now, call, hash } = await open();
  const raul = { id: "raul", module: actorPath("powers"), options: { outside: file } };
  await call("config.patch", { set: [{ path: ["agents", "list", 1], value: raul }], baseHash: await hash() });
  const before = now();
  for (const power of ["read outside", "write outside"]) {
    expect(await gateway.reply("raul", power)).toContain("denied: ERR_ACCESS_DENIED");
  }
  const verbs = gateway.driver.pairings.of("agent:raul").flatMap((pairing) => pairing.verbs);
  expect(verbs.length).toBeGreaterThan(3);
  expect(verbs.filter((verb) => /config|agents_(?!list)/.test(verb))).toEqual([]);
  expect(now()).toBe(before);
});
