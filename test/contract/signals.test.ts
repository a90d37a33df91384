/** Timers and monitors with real cells: through the whole gateway, over restarts of it. */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const clockUser = actor("clock-user");
const open = { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" as const };

interface Seen {
  readonly signal: {
    readonly type: string;
    readonly id?: string;
    readonly data?: unknown;
    readonly dueAtMs?: number;
    readonly missed?: number;
    readonly reason?: string;
    readonly ref?: string;
    readonly agentId?: string;
  };
  readonly text: string;
}

async function tell(gateway: TestGateway, command: object, agentId = "main", sessionKey?: string): Promise<unknown> {
  return JSON.parse(await gateway.reply(agentId, JSON.stringify(command), sessionKey)) as unknown;
}

const seen = async (gateway: TestGateway, agentId = "main", sessionKey?: string): Promise<readonly Seen[]> =>
  (await tell(gateway, { do: "seen" }, agentId, sessionKey)) as readonly Seen[];

const until = (gateway: TestGateway, count: number, agentId = "main") =>
  expect.poll(async () => (await seen(gateway, agentId)).length).toBe(count);

describe("a timer", () => {
  test("comes once as a message with its data, from the timer itself, to a session of the agent", async () => {
    const gateway = await openGateway([{ id: "main", ...clockUser }]);
    const sessionKey = "agent:main:jobs";
    const id = await tell(gateway, {
      do: "schedule",
      options: { name: "report", inMs: 20, data: { page: 7 }, sessionKey },
    });
    await expect.poll(async () => (await seen(gateway, "main", sessionKey)).length).toBe(1);
    const [first] = await seen(gateway, "main", sessionKey);
    expect(first).toMatchObject({
      signal: { type: "timer", id, name: "report", data: { page: 7 }, missed: 0 },
      text: '{"page":7}',
    });
    expect(await tell(gateway, { do: "timers" })).toEqual([]);
    const history = await gateway.store.history("main", sessionKey, 100, 0);
    expect(history.rows.find(({ text }) => text === '{"page":7}')).toMatchObject({
      role: "user",
      isUser: false,
      provenance: { kind: "internal_system", sourceChannel: "internal", sourceTool: "schedule" },
    });
  });

  test("is set once by a turn that is delivered again", async () => {
    const gateway = await openGateway([{ id: "main", ...clockUser }]);
    const command = { do: "schedule", options: { name: "later", inMs: 3_600_000, text: "x" }, thenExit: true };
    const id = await tell(gateway, command);
    expect(gateway.agents()[0]).toMatchObject({ restarts: 1 });
    expect(await tell(gateway, { do: "timers" })).toEqual([expect.objectContaining({ id, name: "later" })]);
  });

  test("that was missed fires once after the start, a recurring one goes on in its rhythm and says what it stands for", async () => {
    const before = await openGateway([{ id: "main", ...clockUser }]);
    const startMs = Date.now() - 10_500;
    const once = await tell(before, { do: "schedule", options: { name: "once", inMs: 100, text: "a" } });
    await before.drain(0);
    await expect.poll(async () => (await before.store.due(Date.now(), 10)).rows.length).toBe(1);
    const timer = {
      id: "t-every",
      agentId: "main",
      sessionKey: "agent:main:main",
      name: "every",
      via: "config:schedule:main",
      body: "b",
      isData: false,
      dueAtMs: startMs,
      everyMs: 3_000,
      createdAtMs: startMs,
    };
    await before.store.schedule(timer);

    const after = await openGateway([], {}, { store: before.store, config: before.config });
    await until(after, 2);
    const [first, second] = (await seen(after)).toSorted((a, b) => (a.text < b.text ? -1 : 1));
    expect(first?.signal).toMatchObject({ id: once, missed: 0 });
    expect(second?.signal).toMatchObject({ id: "t-every", dueAtMs: startMs });
    // Three, or more on a machine that was busy meanwhile.
    const missed = second?.signal.missed ?? 0;
    expect(missed).toBeGreaterThanOrEqual(3);
    await until(after, 3);
    expect((await seen(after)).find(({ signal }) => signal.dueAtMs === startMs + (missed + 1) * 3_000)).toMatchObject({
      signal: { id: "t-every", missed: 0 },
    });
    expect(await tell(after, { do: "unschedule", id: "t-every" })).toBe(true);
    expect(await tell(after, { do: "unschedule", id: "t-every" })).toBe(false);
  });

  test("of an agent that is parked waits in its mailbox once, however often it is due", async () => {
    const gateway = await openGateway([{ id: "main", ...clockUser }]);
    await tell(gateway, { do: "schedule", options: { name: "tick", everyMs: 1_000, inMs: 200 } });
    gateway.driver.kernel.order("main", { type: "park", reason: "test" }, Date.now());
    await expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(1);
    // Two more times pass.
    await expect
      .poll(async () => (await gateway.store.due(Date.now() + 5_000, 10)).rows[0]?.triedAtMs ?? 0)
      .toBeGreaterThan(Date.now() + 500);
    await expect
      .poll(async () => {
        const [row] = (await gateway.store.due(Date.now() + 5_000, 10)).rows;
        return row?.type === "timer" ? row.triedAtMs - row.timer.dueAtMs : 0;
      })
      .toBeGreaterThanOrEqual(1_000);
    expect(gateway.agents()[0]?.queueDepth).toBe(1);
    gateway.driver.kernel.unpark("main", Date.now());
    await expect
      .poll(async () => (await seen(gateway)).map(({ signal }) => signal.missed))
      .toEqual([0, expect.any(Number)]);
    expect((await seen(gateway))[1]?.signal.missed).toBeGreaterThan(0);
  });

  test.each([
    ["no time", { name: "x" }, "wanted one of inMs, atMs and everyMs"],
    ["no name", { name: " ", inMs: 1 }, "ctx.schedule: name:"],
    ["a negative delay", { name: "x", inMs: -1 }, "ctx.schedule: inMs:"],
    ["two first times", { name: "x", inMs: 1, atMs: 1 }, "found inMs and atMs"],
    ["a period below the bound", { name: "x", everyMs: 999 }, "ctx.schedule: everyMs:"],
    ["a time beyond the horizon", { name: "x", atMs: 9e15 }, "ms ahead, found"],
    ["a text and data", { name: "x", inMs: 1, text: "a", data: 1 }, "found a text as well"],
    ["a session of another agent", { name: "x", inMs: 1, sessionKey: "agent:raul:main" }, "its own agent"],
    ["a long text", { name: "x", inMs: 1, text: "y".repeat(16_385) }, "may have 16384 characters, found 16385"],
  ])("with %s is refused", async (_what, options, message) => {
    const gateway = await openGateway(
      [
        { id: "main", ...clockUser },
        { id: "raul", ...clockUser },
      ],
      open,
    );
    expect(await gateway.say("main", JSON.stringify({ do: "schedule", options }))).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_AGENT_FAILED", message: expect.stringContaining(message) },
    });
    expect(await gateway.store.timers({ limit: 10 })).toEqual({ rows: [], total: 0 });
  });

  test("is seen and removed by an operator, and the audit trail says so", async () => {
    const gateway = await openGateway([{ id: "main", ...clockUser }]);
    const id = await tell(gateway, { do: "schedule", options: { name: "nightly", everyMs: 86_400_000 } });
    const client = { connId: "t", clientId: "cli", mode: "t", scopes: ["operator.admin"] };
    expect(await gateway.doors.rpc(client, "timers.list", { agentId: "MAIN" })).toMatchObject({
      ok: true,
      payload: { total: 1, timers: [{ id, name: "nightly", agentId: "main", everyMs: 86_400_000, bodyChars: 0 }] },
    });
    expect(await gateway.doors.rpc(client, "timers.remove", { id })).toMatchObject({ ok: true });
    expect(await gateway.doors.rpc(client, "timers.remove", { id })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_SIGNAL_UNKNOWN" },
    });
    expect(await gateway.store.audits(1)).toMatchObject([{ type: "timer_removed", subject: "cli" }]);
  });
});

describe("what can never be delivered is removed, and the log and the audit trail say so", () => {
  /** On the disk, as the program has it. */
  const openOnDisk = async (stateDir: string, agents: readonly string[], allow: readonly string[], laterMs = 0) => {
    const config = makeConfig(
      agents.map((id) => ({ id, ...clockUser })),
      { agentToAgent: { enabled: true, allow }, visibility: "all" },
      stateDir,
    );
    const store = await openLmdbStore({
      stateDir,
      agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
    });
    onTestFinished(() => store.close());
    return openGateway([], {}, { store, config, nowMs: () => Date.now() + laterMs });
  };
  const dropped = async (gateway: TestGateway) =>
    (await gateway.store.audits(50))
      .filter(({ type }) => type.endsWith("_dropped"))
      .map(({ type, subject, object, decision, code }) => `${type} ${subject} ${object} ${decision} ${code}`)
      .toSorted();

  test("a timer and a monitor of an agent that the configuration no longer has, and one whose right is gone", async () => {
    const stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-signals-"));
    onTestFinished(() => rm(stateDir, { recursive: true }));
    const before = await openOnDisk(stateDir, ["main", "raul", "ana"], ["*"]);
    // Far enough that none of them is due before the restart, which comes after it by its clock.
    const inMs = 60_000;
    const gone = await tell(before, { do: "schedule", options: { name: "gone", inMs, text: "x" } }, "ana");
    const kept = await tell(before, { do: "schedule", options: { name: "kept", inMs, text: "kept" } });
    const goneMonitor = await tell(before, { do: "monitor", target: "raul" }, "ana");
    const unallowed = await tell(before, { do: "monitor", target: "raul" });
    await before.drain(0);
    await before.store.close();

    // `ana` is gone, and main may no longer send to raul.
    const after = await openOnDisk(stateDir, ["main", "raul"], [], 2 * inMs);
    await until(after, 1);
    expect(await seen(after)).toMatchObject([{ signal: { type: "timer", id: kept }, text: "kept" }]);
    await expect
      .poll(() => dropped(after))
      .toEqual(
        [
          `monitor_dropped agent:ana ${String(goneMonitor)} refused CLOISTER_AGENT_UNKNOWN`,
          `monitor_dropped agent:main ${String(unallowed)} refused CLOISTER_CAPABILITY_REVOKED`,
          `timer_dropped agent:ana ${String(gone)} refused CLOISTER_AGENT_UNKNOWN`,
        ].toSorted(),
      );
    expect(after.logged.filter(({ message }) => / was removed: /.test(message))).toHaveLength(3);
    // Nothing is left that would be tried again, now or after another start.
    expect(await after.store.timers({ limit: 10 })).toMatchObject({ total: 0 });
    expect(await after.store.due(Date.now() + 1e9, 10)).toMatchObject({ rows: [] });
  });

  test("but not what time or an operator may still change: a full mailbox keeps the timer, which is tried again", async () => {
    const gateway = await openGateway([
      { id: "main", ...clockUser, mailbox: { depthMax: 1, sessionDepthMax: 1, overflow: "reject" } },
    ]);
    // Not before the agent is parked, and its mailbox full.
    await tell(gateway, { do: "schedule", options: { name: "late", inMs: 2_000, text: "late" } });
    gateway.driver.kernel.order("main", { type: "park", reason: "test" }, Date.now());
    await expect.poll(() => gateway.agents()[0]?.phase).toBe("parked");
    const waits = gateway.say("main", JSON.stringify({ do: "timers" }));
    await expect
      .poll(async () => (await gateway.store.due(Date.now() + 1e6, 10)).rows[0]?.triedAtMs ?? 0)
      .toBeGreaterThan(Date.now() - 60_000);
    expect((await gateway.store.timers({ limit: 10 })).rows).toMatchObject([{ name: "late" }]);
    expect(await dropped(gateway)).toEqual([]);
    gateway.driver.kernel.unpark("main", Date.now());
    expect(await waits).toMatchObject({ status: "ok" });
    await until(gateway, 1);
    expect(await seen(gateway)).toMatchObject([{ signal: { type: "timer" }, text: "late" }]);
  });
});

describe("a monitor", () => {
  const two = (): Promise<TestGateway> =>
    openGateway(
      [
        { id: "main", ...clockUser },
        { id: "raul", ...clockUser },
      ],
      open,
    );

  test("tells the end of a cell once, with its reason", async () => {
    const gateway = await two();
    const ref = await tell(gateway, { do: "monitor", target: "raul" });
    for (const _ of [1, 2]) await gateway.say("raul", JSON.stringify({ do: "exit" }));
    await until(gateway, 1);
    expect(await seen(gateway)).toMatchObject(
      [
        { signal: { type: "down", ref, agentId: "raul", reason: "crash" }, text: /the agent raul is down \(crash\)/ },
      ].map(({ text, ...row }) => ({ ...row, text: expect.stringMatching(text) })),
    );
    expect(await tell(gateway, { do: "demonitor", id: ref })).toBe(false);
  });

  test("on a parked agent tells so at once; one that was ended tells nothing", async () => {
    const gateway = await two();
    const ended = await tell(gateway, { do: "monitor", target: "raul" });
    expect(await tell(gateway, { do: "demonitor", id: ended })).toBe(true);
    gateway.driver.kernel.order("raul", { type: "park", reason: "holiday" }, Date.now());
    await expect.poll(() => gateway.agents()[1]?.phase).toBe("parked");
    const ref = await tell(gateway, { do: "monitor", target: "agent:raul:main" });
    await until(gateway, 1);
    expect(await seen(gateway)).toMatchObject([{ signal: { ref, reason: "parked", detail: "holiday" } }]);
  });

  test("tells the end of the gateway, and a watcher that is parked hears it when it is back", async () => {
    const before = await two();
    const orderly = await tell(before, { do: "monitor", target: "raul" });
    before.driver.kernel.order("main", { type: "park", reason: "test" }, Date.now());
    await before.drain(1_000);
    const after = await openGateway([], {}, { store: before.store, config: before.config });
    await until(after, 1);
    expect(await seen(after)).toMatchObject([{ signal: { ref: orderly, reason: "shutdown" } }]);
    // As after a kill: the row is there, and nobody said that the gateway ends.
    const row = { id: "m-old", agentId: "main", sessionKey: "agent:main:main", target: "raul", createdAtMs: 1 };
    await after.drain(0);
    const via = "config:a2a:main>*";
    await after.store.monitor({ ...row, via });
    const third = await openGateway([], {}, { store: before.store, config: before.config });
    await until(third, 2);
    expect((await seen(third))[1]).toMatchObject({ signal: { ref: "m-old", reason: "killed" } });
  });

  test("needs the right to send to the agent or to ask it", async () => {
    const gateway = await openGateway([
      { id: "main", ...clockUser },
      { id: "raul", ...clockUser },
    ]);
    const result = await gateway.say("main", JSON.stringify({ do: "monitor", target: "raul" }));
    expect(JSON.stringify(result)).toContain("tools.sessions.visibility");
    expect(await gateway.store.audits(5)).toContainEqual(
      expect.objectContaining({ type: "refused", code: "CLOISTER_CAPABILITY_DENIED", object: "agent:raul:main" }),
    );
  });
});
