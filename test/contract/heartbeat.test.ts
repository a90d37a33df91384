/** Heartbeats and what the start begins, through the whole gateway: real cells, a clock that the tests set, restarts. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { HeartbeatRule, ResolvedConfig } from "../../runtime/config/resolved.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actor } from "../support/actors.ts";
import type { TestGateway } from "../support/gateway.ts";
import { call, ended, minutes, row, rule, startMs, told, world } from "../support/heartbeats.ts";
import { quietEdge } from "../support/quiet-edge.ts";

describe("a heartbeat", () => {
  test("that was missed is one turn in the main session, which is no user's word, and comes on by its rhythm", async () => {
    const { first, at } = await world([{ id: "main", module: "echo", heartbeat: rule({ prompt: "look around" }) }]);
    expect(await row(first)).toMatchObject({ dueAtMs: startMs + 30 * minutes });
    expect(await call(first, "last-heartbeat")).toBeNull();
    expect(await told(first)).toEqual([]);
    const gateway = await at(10 * 60 * minutes + 5 * minutes);
    await ended(gateway);
    expect(await told(gateway)).toMatchObject([
      { text: "look around", provenance: { kind: "internal_system", sourceTool: "heartbeat" } },
    ]);
    expect(await row(gateway)).toMatchObject({ dueAtMs: startMs + 10 * 60 * minutes + 30 * minutes });
    expect(await call(gateway, "last-heartbeat")).toMatchObject({
      agentId: "main",
      status: "skipped",
      preview: "look around",
      reason: "no-target: the answer stays in its session",
    });
    const { heartbeat } = await call(gateway, "status");
    expect(heartbeat.agents).toMatchObject([{ agentId: "main", enabled: true, every: "30m", everyMs: 30 * minutes }]);
  });

  test("outside of its hours waits until they begin", async () => {
    const hours = { startMinute: 8 * 60, endMinute: 13 * 60, timezone: "UTC" };
    const { at } = await world([{ id: "main", module: "echo", heartbeat: rule({ hours }) }]);
    // 15:00: nothing is said, and it is due at 8:00 on the next day.
    const evening = await at(3 * 60 * minutes);
    const due = async (gateway: TestGateway) => (await gateway.store.due(0, 10)).nextMs;
    await expect.poll(() => due(evening)).toBe(Date.UTC(2026, 0, 2, 8));
    expect(await told(evening)).toEqual([]);
    const morning = await at(20 * 60 * minutes);
    await ended(morning);
    expect(await told(morning)).toHaveLength(1);
  });

  test("waits while its session is at work", async () => {
    const { at, store } = await world([{ id: "main", ...actor("crasher"), heartbeat: rule() }]);
    const gateway = await at(minutes);
    void gateway.say("main", "hang").catch(() => undefined);
    await expect.poll(() => gateway.agents()[0]?.phase).toBe("running");
    await store.amendJob("h-main", { dueAtMs: startMs + minutes });
    // Another job that is run lets the gateway look at what is due.
    const schedule = { kind: "every", everyMs: 3_600_000 };
    const payload = { kind: "systemEvent", text: "x" };
    const job = await call(gateway, "cron.add", { name: "o", schedule, payload, enabled: false });
    await call(gateway, "cron.run", { id: job.id });
    await expect.poll(async () => (await store.due(0, 10)).nextMs).toBe(startMs + minutes + limits.heartbeatTurnBusyMs);
    expect((await row(gateway))?.lastEnvelopeId).toBeUndefined();
  });

  test("is neither the agent's nor a job to change", async () => {
    const { first } = await world([{ id: "main", ...actor("clock-user"), heartbeat: rule() }]);
    const ask = async (command: object) => JSON.parse(await first.reply("main", JSON.stringify(command)));
    expect([await ask({ do: "timers" }), await ask({ do: "unschedule", id: "h-main" })]).toEqual([[], false]);
    for (const method of ["cron.remove", "cron.run", "cron.runs"])
      await expect(call(first, method, { id: "h-main" })).rejects.toMatchObject({ code: "CLOISTER_SIGNAL_UNKNOWN" });
  });

  test("is disabled and enabled for all agents, over restarts", async () => {
    const agents = ["main", "raul"].map((id) => ({ id, module: "echo", heartbeat: rule() }));
    const { first, at } = await world(agents);
    expect(await call(first, "set-heartbeats", { enabled: false })).toEqual({ ok: true, enabled: false });
    const quiet = await at(24 * 60 * minutes);
    expect(await Promise.all([told(quiet), told(quiet, "raul")])).toEqual([[], []]);
    expect((await call(quiet, "status")).heartbeat.agents).toMatchObject([{ enabled: false }, { enabled: false }]);
    await expect(call(quiet, "wake", { text: "x", mode: "next-heartbeat" })).rejects.toMatchObject({
      message: expect.stringContaining("disabled"),
    });
    await call(quiet, "set-heartbeats", { enabled: true });
    expect(await row(quiet)).toMatchObject({ dueAtMs: startMs + 24 * 60 * minutes + 30 * minutes });
    const loud = await at(25 * 60 * minutes);
    await ended(loud);
    await expect.poll(() => told(loud, "raul")).toHaveLength(1);
  });

  test("follows the configuration while the gateway runs", async () => {
    const { first, config, at } = await world([{ id: "main", module: "echo" }]);
    expect(await row(first)).toBeUndefined();
    const withRule = (heartbeat?: HeartbeatRule, revision = "r"): ResolvedConfig => ({
      ...config,
      revision,
      agents: config.agents.map((agent) => (heartbeat === undefined ? agent : { ...agent, heartbeat })),
    });
    const apply = (next: ResolvedConfig) => first.configDesk.apply({ config: next, files: new Map() }, "test");
    await apply(withRule(rule(), "1"));
    await expect.poll(() => row(first)).toMatchObject({ everyMs: 30 * minutes });
    await apply(withRule(rule({ everyMs: 60 * minutes }), "2"));
    await expect.poll(() => row(first)).toMatchObject({ everyMs: 60 * minutes, dueAtMs: startMs + 60 * minutes });
    // Written no more: its row goes when it is due, and nothing is said.
    const after = await at(60 * minutes, withRule());
    await expect.poll(() => row(after)).toBeUndefined();
    expect(await told(after)).toEqual([]);
  });

  const accounts = { biz: { token: "t", outboundUrl: "http://127.0.0.1:1/" } };
  const webhook = { webhook: { accounts, defaultAccount: "biz" }, channelDefaults: { webhook: "biz" } };
  const commands = { text: true, native: true, owners: ["webhook:olga"], allowFrom: undefined, resetTriggers: [] };
  test.each([
    ["a channel", { target: "webhook", to: "group:team" }, { kind: "group", id: "team" }],
    ["the owner", { target: "owner" }, { kind: "direct", id: "olga" }],
  ])("answers where it says: %s", async (_what, where, peer) => {
    const { at } = await world([{ id: "main", module: "echo", heartbeat: rule(where) }], { ...webhook, commands });
    const gateway = await at(30 * minutes);
    await expect.poll(() => gateway.sent).toMatchObject([{ channel: "webhook", accountId: "biz", peer }]);
    await expect.poll(() => call(gateway, "last-heartbeat")).toMatchObject({ status: "sent" });
  });

  test("is told as failed when its answer is a dead letter, and as skipped when it may not leave its session", async () => {
    const where = { target: "webhook", to: "group:team" };
    const { at, store } = await world([{ id: "main", module: "echo", heartbeat: rule(where) }], webhook);
    const lost = await at(30 * minutes);
    lost.attachEdge(
      quietEdge({ send: async () => ({ status: "failed", reason: "the receiver is gone", retry: false }) }),
    );
    await expect
      .poll(() => call(lost, "last-heartbeat"))
      .toMatchObject({
        status: "failed",
        reason: expect.stringContaining("the receiver is gone"),
      });
    await store.setChoices("agent:main:main", "main", { sendPolicy: "deny" }, startMs);
    const quiet = await at(60 * minutes);
    await expect
      .poll(() => call(quiet, "last-heartbeat"))
      .toMatchObject({
        status: "skipped",
        reason: expect.stringContaining("send"),
      });
    expect(quiet.sent).toEqual([]);
  });

  test("answers in its session what would go to a direct chat, where that is not wanted", async () => {
    const spared = rule({ target: "owner", sparesDirect: true });
    const { at } = await world([{ id: "main", module: "echo", heartbeat: spared }], { ...webhook, commands });
    const gateway = await at(30 * minutes);
    await ended(gateway);
    expect(await told(gateway)).toHaveLength(1);
    expect(gateway.sent).toEqual([]);
  });

  const sessionsOf = async (gateway: TestGateway) =>
    (await row(gateway))?.job?.runs.map(({ sessionKey }) => sessionKey) ?? [];

  test("has a session of its own each time, where that is wanted, also while the main session is at work", async () => {
    const { at } = await world([{ id: "main", module: "echo", heartbeat: rule({ isIsolated: true }) }]);
    const first = await at(30 * minutes);
    await ended(first);
    const second = await at(60 * minutes);
    await ended(second, 2);
    const sessions = await sessionsOf(second);
    expect(sessions).toEqual([1, 2].map(() => expect.stringMatching(/^agent:main:cron:h-main:run:\w+$/)));
    expect(new Set(sessions).size).toBe(2);
    expect(await told(second)).toEqual([]);
  });

  test.each([
    ["a key of its own", "webhook:group:team", "agent:main:webhook:group:team"],
    ["a session of another agent", "agent:raul:main", "agent:main:main"],
    ["an agent that is not there", "agent:nobody:main", "agent:main:main"],
  ])("is in the session that is named: %s", async (_what, session, used) => {
    const { at } = await world([
      { id: "main", module: "echo", heartbeat: rule({ session }) },
      { id: "raul", module: "echo" },
    ]);
    const gateway = await at(30 * minutes);
    await ended(gateway);
    expect(await sessionsOf(gateway)).toEqual([used]);
    expect(gateway.logged.some(({ message }) => message.includes("heartbeat.session"))).toBe(
      used !== `agent:main:${session}`,
    );
  });

  test("answers where the main session last spoke, and nowhere when it never did", async () => {
    const { at } = await world([{ id: "main", module: "echo", heartbeat: rule({ target: "last" }) }], webhook);
    const silent = await at(30 * minutes);
    await ended(silent);
    expect(silent.sent).toEqual([]);
    const event = {
      channel: "webhook",
      accountId: "biz",
      peer: { kind: "direct" as const, id: "ana" },
      sender: { id: "ana" },
      text: "hello",
      tsMs: 0,
    };
    await silent.doors.inbound(event, undefined);
    await expect.poll(() => silent.sent).toHaveLength(1);
    const gateway = await at(60 * minutes);
    await expect.poll(() => gateway.sent).toMatchObject([{ peer: { kind: "direct", id: "ana" } }]);
    expect(gateway.sent[0]).not.toHaveProperty("inReplyTo");
  });
});

describe("an agent is told something", () => {
  test("at once, or with its next heartbeat", async () => {
    const { first, at } = await world([{ id: "main", module: "echo", heartbeat: rule() }]);
    expect(await call(first, "wake", { text: "the mail is here" })).toEqual({ ok: true });
    await expect.poll(() => told(first)).toMatchObject([{ text: "the mail is here" }]);
    await call(first, "wake", { text: "later", mode: "next-heartbeat" });
    expect(await told(first)).toHaveLength(1);
    const gateway = await at(30 * minutes);
    await ended(gateway);
    await expect.poll(async () => (await told(gateway)).map(({ text }) => text)).toContain("later");
  });

  test("of several things half a minute apart, over restarts, and of no more than five in a minute", async () => {
    const { first, at } = await world([
      { id: "main", module: "echo" },
      { id: "raul", module: "echo" },
    ]);
    expect(await call(first, "wake", { text: "one" })).toEqual({ ok: true });
    for (const [text, afterMs] of [
      ["two", 30_000],
      ["three", 60_000],
      ["four", 90_000],
      ["five", 120_000],
    ] as const)
      expect(await call(first, "wake", { text })).toEqual({ ok: true, atMs: startMs + afterMs });
    await expect(call(first, "wake", { text: "six" })).rejects.toMatchObject({
      code: "CLOISTER_BUSY",
      retryAfterMs: 60_000,
      remedy: "tell several events in one text",
    });
    expect(await call(first, "wake", { text: "elsewhere", agentId: "raul" })).toEqual({ ok: true });
    const texts = async (gateway: TestGateway) => (await told(gateway)).map(({ text }) => text);
    await expect.poll(() => texts(first)).toEqual(["one"]);
    const later = await at(30_000);
    await expect.poll(() => texts(later)).toEqual(["one", "two"]);
    const last = await at(120_000);
    await expect.poll(async () => (await texts(last)).toSorted()).toEqual(["five", "four", "one", "three", "two"]);
  });

  test("with a heartbeat only when it has one", async () => {
    const { first } = await world([{ id: "main", module: "echo" }]);
    await expect(call(first, "wake", { text: "x", mode: "next-heartbeat" })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining("main"),
    });
  });
});

describe("a hook that waits for the heartbeat", () => {
  const hooked = { enabled: true, path: "/hooks", allowRequestSessionKey: false, mappings: [] };
  const inMain = { name: "wake", message: "the backup is done", configuredSession: "main", atHeartbeat: "mode" };
  const agents = (more: Partial<HeartbeatRule> = {}) => [{ id: "main", module: "echo", heartbeat: rule(more) }];

  test("is told with it, once and as the word of who sent it, over a restart; what waits is nobody's to see or to remove", async () => {
    const prompt = JSON.stringify({ do: "timers" });
    const agent = { id: "main", ...actor("clock-user"), heartbeat: rule({ prompt }) };
    const { first, at } = await world([agent], { hooks: hooked });
    const event = { ...inMain, message: ` ${prompt}` };
    const held = await first.doors.hook({ ...event, name: "backup", idempotencyKey: "k" });
    expect(held).toMatchObject({ status: "accepted", sessionKey: "agent:main:main", atMs: startMs + 30 * minutes });
    const runId = "runId" in held ? held.runId : "";
    expect(await first.doors.hook({ ...event, idempotencyKey: "k" })).toMatchObject({ status: "duplicate", runId });
    const { configuredSession: _main, ...fresh } = event;
    const other = { ...fresh, name: "other", idempotencyKey: "other" };
    const own = await first.doors.hook(other);
    const { status: _accepted, atMs: _atMs, ...again } = own as Record<string, unknown>;
    expect(await first.doors.hook(other)).toEqual({ ...again, status: "duplicate" });
    expect(await told(first)).toEqual([]);
    const { jobs } = await call(first, "cron.list");
    expect(jobs.filter(({ name }: { name: string }) => name === "backup")).toMatchObject([
      { wakeMode: "next-heartbeat", payload: { text: event.message } },
    ]);
    const ask = async (command: object) => JSON.parse(await first.reply("main", JSON.stringify(command)));
    const id = `w-${runId}`;
    expect([await ask({ do: "timers" }), await ask({ do: "unschedule", id })]).toEqual([[], false]);
    const gateway = await at(30 * minutes);
    expect(await gateway.doors.waitRun(runId, 10_000)).toMatchObject({ status: "ok" });
    expect((await told(gateway)).filter(({ text }) => text === event.message)).toMatchObject([
      { provenance: { kind: "external_user", sourceChannel: "hook", senderName: "backup" } },
    ]);
    expect(await row(gateway, id)).toBeUndefined();
    // Also when its time is over: a repetition is the same message.
    expect(await gateway.doors.hook({ ...event, idempotencyKey: "k" })).toMatchObject({ status: "duplicate", runId });
    const { atHeartbeat: _, ...now } = event;
    expect(await gateway.doors.hook({ ...now, idempotencyKey: "k" })).toMatchObject({ status: "duplicate", runId });
    const later = await at(60 * minutes);
    await expect.poll(async () => (await row(later))?.job?.runs.length ?? 0).toBeGreaterThan(0);
    expect((await told(later)).filter(({ text }) => text === event.message)).toHaveLength(1);
  });

  test("has its own session, model and place for the answer when it asks for them", async () => {
    const { first, at } = await world(agents(), {
      hooks: hooked,
      webhook: { accounts: { home: { token: "t", outboundUrl: "http://127.0.0.1:1/" } }, defaultAccount: "home" },
      channelDefaults: { webhook: "home" },
      accountsOn: { webhook: ["home"] },
    });
    const asked = {
      name: "ci",
      message: "built",
      atHeartbeat: "wakeMode",
      delivery: { channel: "webhook", to: "ana" },
    };
    const held = await first.doors.hook({ ...asked, turnMsMax: 60_000 });
    expect(held).toMatchObject({ sessionKey: expect.stringMatching(/^agent:main:hook:/) });
    const gateway = await at(30 * minutes);
    await expect.poll(() => gateway.sent.map(({ peer, text }) => [peer.id, text])).toEqual([["ana", "built"]]);
  });

  test("is not told at night, nor when it is worth nothing by then", async () => {
    const hours = { startMinute: 8 * 60, endMinute: 12 * 60 + 10, timezone: "UTC" };
    const { first, at } = await world(agents({ hours }), { hooks: hooked });
    const morningMs = Date.UTC(2026, 0, 2, 8);
    expect(await first.doors.hook(inMain)).toMatchObject({ atMs: morningMs });
    expect(await first.doors.hook({ ...inMain, message: "soon over", ttlMs: minutes })).toMatchObject({
      atMs: morningMs,
    });
    await call(first, "wake", { text: "an operator's", mode: "next-heartbeat" });
    const evening = await at(60 * minutes);
    expect(await told(evening)).toEqual([]);
    const morning = await at(morningMs - startMs);
    await expect.poll(async () => (await told(morning)).map(({ text }) => text)).toContain("an operator's");
    await expect.poll(async () => (await told(morning)).map(({ text }) => text)).toContain(inMain.message);
    await expect
      .poll(async () => (await morning.store.deadLetters({ limit: 5 })).rows)
      .toMatchObject([{ fate: "expired" }]);
    expect((await told(morning)).map(({ text }) => text)).not.toContain("soon over");
  });

  test("is refused where there is none, and by name of the key; twenty wait, and wake nobody", async () => {
    const { first } = await world([...agents(), { id: "raul", module: "echo" }], { hooks: hooked });
    const invalid = { code: "CLOISTER_REQUEST_INVALID", remedy: 'use "now", or set agents.defaults.heartbeat' };
    await expect(first.doors.hook({ ...inMain, agentId: "raul", atHeartbeat: "wakeMode" })).rejects.toMatchObject({
      ...invalid,
      message: expect.stringMatching(/^wakeMode: the agent raul has no heartbeat/),
    });
    await call(first, "set-heartbeats", { enabled: false });
    await expect(first.doors.hook(inMain)).rejects.toMatchObject({ remedy: "cloister system heartbeat enable" });
    await call(first, "set-heartbeats", { enabled: true });
    const all = await Promise.all(
      Array.from({ length: 22 }, (_, n) => first.doors.hook({ ...inMain, message: `${n}` })),
    );
    const refused = all.filter(({ status }) => status === "refused");
    expect([all.length - refused.length, refused.length]).toEqual([limits.waitingHooksPerAgentMax, 2]);
    expect(refused[0]).toMatchObject({ refusal: { code: "CLOISTER_BUSY", retryAfterMs: 30 * minutes } });
    expect(await told(first)).toEqual([]);
    // None of them has counted as one that wakes.
    expect(await call(first, "wake", { text: "now" })).toEqual({ ok: true });
  });
});

test("an agent with a BOOT.md has a turn at the start, once a minute at the most, and others have none", async () => {
  const { config, at } = await world([
    { id: "main", module: "echo" },
    { id: "raul", module: "echo" },
  ]);
  const { workspace = "" } = config.agents[0] ?? {};
  mkdirSync(workspace, { recursive: true });
  writeFileSync(path.join(workspace, "BOOT.md"), "Say good morning.");
  const booted = await at(minutes);
  await expect.poll(() => told(booted)).toMatchObject([{ provenance: { sourceTool: "boot" } }]);
  const again = await at(minutes + 1_000);
  await expect.poll(() => again.logged.some(({ message }) => message.includes("agents with a BOOT.md"))).toBe(true);
  expect(await told(again)).toHaveLength(1);
  const later = await at(3 * minutes);
  await expect.poll(() => told(later)).toHaveLength(2);
  expect(await told(later, "raul")).toEqual([]);
});
