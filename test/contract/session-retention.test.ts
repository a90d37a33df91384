/** Retention on a gateway with real cells and a clock of the test's (behaviour §1.5, §5.6). */
import { expect, test } from "vitest";
import { makeRetention } from "../../runtime/supervisor/retention.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const day = 86_400_000;
const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin" as const] };
const hook = "agent:main:hook:build";

async function open(rule: Partial<TestGateway["config"]["session"]["maintenance"]> = {}) {
  const clock = { nowMs: new Date(2026, 2, 3, 12).getTime() };
  const config = makeConfig([{ id: "main" }]);
  const session = { ...config.session, maintenance: { ...config.session.maintenance, ...rule } };
  const gateway = await openGateway([{ id: "main" }], { session }, { nowMs: () => clock.nowMs });
  const cleanup = async (params: { readonly enforce?: boolean } = {}): Promise<unknown> => {
    const result = await gateway.doors.rpc(client, "sessions.cleanup", params);
    if (!result.ok) throw new Error(result.refusal.message);
    return result.payload;
  };
  const archive = async (key: string): Promise<void> => {
    await gateway.doors.rpc(client, "sessions.patch", { key, archived: true });
  };
  const pass = (ms: number): void => void (clock.nowMs += ms);
  return { gateway, pass, cleanup, archive };
}

test("an archived session ends after pruneAfter, its transcript goes after resetArchiveRetention; both are audited and told", async () => {
  const { gateway, pass, cleanup, archive } = await open({ transcriptsAfterMs: 7 * day });
  await gateway.reply("main", "remember that it rains", hook);
  await gateway.reply("main", "remember that the key is under the mat");
  await archive(hook);
  const row = await gateway.store.session(hook);
  pass(30 * day);
  expect(await cleanup()).toEqual({ enforced: true, agents: [] });
  pass(1);
  const ended = {
    agentId: "main",
    keys: [hook],
    sessions: 1,
    transcripts: 0,
    messages: 0,
    tooMany: 0,
    bytesOver: 0,
    more: false,
  };
  expect(await cleanup({ enforce: false })).toEqual({ enforced: false, agents: [ended] });
  expect(await gateway.store.session(hook)).toEqual(row);
  expect(await cleanup()).toEqual({ enforced: true, agents: [ended] });
  expect(await gateway.store.session(hook)).toBeUndefined();
  expect(await gateway.store.pastTranscripts("main", hook, 5)).toHaveLength(1);
  expect(gateway.events).toContainEqual(
    expect.objectContaining({ payload: expect.objectContaining({ sessionKey: hook, reason: "delete" }) }),
  );
  // The cell that is still there has forgotten it as well.
  expect(await gateway.reply("main", "what do you remember", hook)).toContain("I remember nothing yet");

  pass(7 * day + 1);
  const removed = { ...ended, keys: [], sessions: 0, transcripts: 1, messages: 2 };
  expect(await cleanup({ enforce: false })).toEqual({ enforced: false, agents: [removed] });
  expect(await cleanup()).toEqual({ enforced: true, agents: [removed] });
  expect(await gateway.store.pastTranscripts("main", hook, 5)).toEqual([]);
  expect(await gateway.reply("main", "what do you remember")).toContain("the key is under the mat");
  const trail = (await gateway.store.audits(100)).filter(({ object }) => object === "agent:main");
  expect(trail.map(({ type, detail }) => [type, detail])).toEqual([
    ["transcripts.removed", "1 transcripts removed, 2 messages"],
    ["sessions.pruned", `1 sessions ended: ${hook} …`],
  ]);
  expect(gateway.logged.filter(({ message }) => message === "retention")).toHaveLength(2);
});

test("beyond maxEntries the oldest that may go end, and what may not is told", async () => {
  const { gateway, pass, cleanup } = await open({ entriesMax: 2 });
  for (const key of ["agent:main:hook:a", "agent:main:hook:b", "agent:main:main", "agent:main:webhook:direct:x"]) {
    await gateway.reply("main", "hello", key);
    pass(1_000);
  }
  expect(await cleanup()).toMatchObject({ agents: [{ keys: ["agent:main:hook:a", "agent:main:hook:b"], tooMany: 0 }] });
  await gateway.reply("main", "hello", "agent:main:webhook:direct:y");
  expect(await cleanup()).toMatchObject({ agents: [{ sessions: 0, tooMany: 1 }] });
  expect(gateway.logged).toContainEqual(
    expect.objectContaining({ level: "warn", fields: { agent: "main", beyond: 1, maxEntries: 2 } }),
  );
});

test("mode warn removes nothing, unless an operator says so", async () => {
  const { gateway, pass, cleanup } = await open({ isEnforced: false });
  await gateway.reply("main", "hello", hook);
  pass(31 * day);
  expect(await cleanup()).toMatchObject({ enforced: false, agents: [{ keys: [hook] }] });
  expect(await gateway.store.session(hook)).toBeDefined();
  expect(await cleanup({ enforce: true })).toMatchObject({ enforced: true, agents: [{ keys: [hook] }] });
  expect(await gateway.store.session(hook)).toBeUndefined();
});

test("a session whose turn runs stays, and so does the main session under any name", async () => {
  const { gateway, pass } = await open();
  const keys = [hook, "agent:main:hook:busy", "agent:main:hook:main"];
  for (const key of keys) await gateway.reply("main", "hello", key);
  pass(31 * day);
  const retention = makeRetention({
    store: gateway.store,
    rule: gateway.config.session.maintenance,
    agents: new Map([["main", {}]]),
    mainOf: () => "agent:main:hook:main",
    forgetState: (key) => key !== "agent:main:hook:busy",
    onSessionChanged: () => undefined,
    nowMs: () => Date.now() + 10_000 * day,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  expect(await retention.sweep()).toMatchObject({ agents: [{ keys: [hook] }] });
  await retention.close();
  expect(await retention.sweep()).toMatchObject({ agents: [] });
});

test("beyond maxDiskBytes what has ended goes first, then the oldest that may end, until it is below highWaterBytes", async () => {
  const { gateway, pass, cleanup } = await open({ bytes: { max: 110_000, low: 90_000 } });
  const text = "x".repeat(5_000);
  const remember = async (name: string): Promise<void> => {
    await gateway.reply("main", `remember that ${text}`, `agent:main:hook:${name}`);
    // What is settled goes with the next message once the index of sessions is written, which a listing waits for.
    await gateway.store.sessions({ limit: 1, offset: 0 });
    pass(1_000);
  };
  for (const name of ["reset", "a", "b", "c", "d", "e"]) await remember(name);
  await gateway.doors.rpc(client, "sessions.patch", { key: "agent:main:hook:b", pinned: true });
  await gateway.doors.rpc(client, "sessions.reset", { key: "agent:main:hook:reset" });
  const before = await gateway.store.storedBytes("main");
  expect(before).toBeLessThanOrEqual(110_000);
  expect(await cleanup()).toMatchObject({ agents: [] });
  for (const name of ["f", "g", "h"]) await remember(name);
  const full = await gateway.store.storedBytes("main");
  expect(full).toBeGreaterThan(110_000);
  expect(await cleanup({ enforce: false })).toMatchObject({
    agents: [{ sessions: 0, transcripts: 0, bytesOver: full - 110_000 }],
  });
  expect(await gateway.store.storedBytes("main")).toBe(full);
  const { agents } = (await cleanup()) as { agents: { keys: string[]; transcripts: number; bytesOver: number }[] };
  expect(agents[0]).toMatchObject({ bytesOver: 0 });
  expect(await gateway.store.storedBytes("main")).toBeLessThanOrEqual(90_000);
  expect(await gateway.store.pastTranscripts("main", "agent:main:hook:reset", 5)).toEqual([]);
  // The oldest first, and never the one that is pinned.
  expect(agents[0]?.keys).toEqual(["a", "c", "d", "e"].map((name) => `agent:main:hook:${name}`));
  expect(await gateway.store.session("agent:main:hook:b")).toMatchObject({ pinned: true, messages: 2 });
});

test("what is too large and may not go stays, and is told", async () => {
  const { gateway, cleanup } = await open({ bytes: { max: 3_000, low: 2_000 } });
  await gateway.reply("main", `remember that ${"x".repeat(5_000)}`);
  const left = await gateway.store.storedBytes("main");
  expect(await cleanup()).toMatchObject({ agents: [{ sessions: 0, transcripts: 0, bytesOver: left - 3_000 }] });
  expect(gateway.logged).toContainEqual(
    expect.objectContaining({ level: "warn", fields: { agent: "main", bytes: left, maxDiskBytes: 3_000 } }),
  );
});

test("a pinned session stays whatever its age and their number, over a reset, until it is pinned no more", async () => {
  const { gateway, pass, cleanup } = await open({ entriesMax: 1 });
  const pin = (pinned: boolean) => gateway.doors.rpc(client, "sessions.patch", { key: hook, pinned });
  expect(await pin(true)).toMatchObject({ ok: false, refusal: { code: "CLOISTER_SESSION_UNKNOWN" } });
  await gateway.reply("main", "hello", hook);
  expect(await pin(true)).toMatchObject({ ok: true, payload: { session: { pinned: true } } });
  await gateway.reply("main", "hello again", hook);
  await gateway.doors.rpc(client, "sessions.reset", { key: hook });
  await gateway.reply("main", "hello");
  pass(40 * day);
  expect(await cleanup()).toMatchObject({ agents: [{ sessions: 0, transcripts: 1, tooMany: 1 }] });
  expect(await gateway.store.session(hook)).toMatchObject({ pinned: true });
  expect(await pin(false)).toMatchObject({ ok: true, payload: { session: { pinned: false } } });
  expect(await cleanup()).toMatchObject({ agents: [{ keys: [hook], sessions: 1 }] });
});
