/** Jobs through the whole gateway: real cells, a clock that the tests set, restarts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { actor } from "../support/actors.ts";
import { provider } from "../support/broker.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";
import { quietEdge } from "../support/quiet-edge.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const operator = { connId: "o", clientId: "op", mode: "cli", scopes: ["operator.admin"] };

// oxlint-disable-next-line typescript/no-explicit-any -- an answer, looked into by the tests
async function call(gateway: TestGateway, method: string, params: object = {}): Promise<any> {
  const result = await gateway.doors.rpc(operator, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload;
}

const runs = async (gateway: TestGateway, id: string, count: number) => {
  await expect.poll(async () => (await call(gateway, "cron.runs", { id })).total).toBe(count);
  return (await call(gateway, "cron.runs", { id })).entries;
};

const hourly = { kind: "every", everyMs: 3_600_000 } as const;
const say = (message: string) => ({ kind: "agentTurn", message }) as const;

describe("a job", () => {
  test("that is said to the agent has a session of its own each time, and its ends are kept, newest first", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const job = await call(gateway, "cron.add", { name: "report", schedule: hourly, payload: say("how is it") });
    expect(job).toMatchObject({
      agentId: "main",
      enabled: true,
      sessionTarget: "isolated",
      delivery: { mode: "none" },
    });
    const { id } = job;
    expect(await call(gateway, "cron.run", { id })).toEqual({ ok: true, ran: true });
    await runs(gateway, id, 1);
    await call(gateway, "cron.run", { id });
    const ends = await runs(gateway, id, 2);
    expect(ends).toMatchObject([
      { status: "ok", summary: "how is it", jobId: id },
      { status: "ok", summary: "how is it" },
    ]);
    const keys = ends.map(({ sessionKey }: { readonly sessionKey: string }) => sessionKey);
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key).toMatch(new RegExp(`^agent:main:cron:${id}:run:.`));
    // The one row of its time is where it was, by its rhythm.
    const { jobs } = await call(gateway, "cron.list");
    expect(jobs).toMatchObject([{ id, state: { lastStatus: "ok" }, schedule: { kind: "every", everyMs: 3_600_000 } }]);
    expect((jobs[0].nextRunAtMs - job.nextRunAtMs) % 3_600_000).toBe(0);
    expect(await call(gateway, "cron.run", { id, mode: "due" })).toMatchObject({ ran: false, reason: "not-due" });
  });

  test("has the model, the effort and the time that it names, until it names others", async () => {
    const models = {
      usual: { id: "usual", script: [{ say: "the usual: {{text}}" }] },
      other: { id: "other", script: [{ say: "the other: {{text}}" }] },
    };
    const gateway = await openGateway(
      [
        { id: "main", module: "assistant", model: "lab/usual" },
        { id: "holder", ...actor("holder") },
      ],
      {
        models: {
          providers: { lab: provider("lab", { models }) },
          catalogue: ["lab/other"],
          authOrder: {},
          variables: {},
        },
      },
      { startBroker: makeBrokerStart(quiet) },
    );
    const payload = { ...say("go"), model: "lab/other", thinking: "max", timeoutSeconds: 90 };
    const { id, payload: shown } = await call(gateway, "cron.add", { name: "report", schedule: hourly, payload });
    expect(shown).toEqual({ ...payload, thinking: "high" });
    await call(gateway, "cron.run", { id });
    expect(await runs(gateway, id, 1)).toMatchObject([{ status: "ok", summary: "the other: go" }]);
    // What is not of the payload leaves it as it is.
    expect((await call(gateway, "cron.update", { id, patch: { name: "r" } })).payload).toEqual(shown);
    const changed = await call(gateway, "cron.update", { id, patch: { payload: say("go on") } });
    expect(changed.payload).toEqual(say("go on"));
    await call(gateway, "cron.run", { id });
    expect(await runs(gateway, id, 2)).toMatchObject([{ summary: "the usual: go on" }, {}]);

    const late = { ...say("hold"), timeoutSeconds: 1 };
    const held = await call(gateway, "cron.add", { agentId: "holder", name: "held", schedule: hourly, payload: late });
    await call(gateway, "cron.run", { id: held.id });
    expect(await runs(gateway, held.id, 1)).toMatchObject([
      { status: "error", error: expect.stringContaining("stopped") },
    ]);

    const wrong = (more: object) =>
      call(gateway, "cron.add", { name: "x", schedule: hourly, payload: { ...say("x"), ...more } });
    await expect(wrong({ model: "nowhere/m" })).rejects.toMatchObject({ code: "CLOISTER_CAPABILITY_DENIED" });
    await expect(wrong({ thinking: "very" })).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  });

  test("that tells the main session something is no user's word there", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("clock-user") }]);
    const payload = { kind: "systemEvent", text: "the backup is due" };
    const { id } = await call(gateway, "cron.add", { name: "backup", schedule: hourly, payload });
    await call(gateway, "cron.run", { id });
    await runs(gateway, id, 1);
    const { rows } = await gateway.store.history("main", "agent:main:main", 10, 0);
    expect(rows.find(({ text }) => text === "the backup is due")).toMatchObject({
      isUser: false,
      provenance: { kind: "internal_system" },
    });
    // The agent has no say in it.
    const ask = async (command: object) => JSON.parse(await gateway.reply("main", JSON.stringify(command)));
    expect([await ask({ do: "timers" }), await ask({ do: "unschedule", id })]).toEqual([[], false]);
    expect((await call(gateway, "cron.list")).total).toBe(1);
  });

  test("sends its answer where it says, and nowhere else", async () => {
    const accounts = { biz: { token: "t", outboundUrl: "http://127.0.0.1:1/" } };
    const gateway = await openGateway([{ id: "main", module: "echo" }], {
      webhook: { accounts, defaultAccount: "biz" },
    });
    const delivery = { mode: "announce", channel: "webhook", accountId: "biz", to: "direct:ana" };
    const { id } = await call(gateway, "cron.add", { name: "news", schedule: hourly, payload: say("hello"), delivery });
    await call(gateway, "cron.run", { id });
    await expect
      .poll(() => gateway.sent)
      .toMatchObject([{ channel: "webhook", accountId: "biz", peer: { kind: "direct", id: "ana" }, text: "hello" }]);
    await expect
      .poll(() => runs(gateway, id, 1))
      .toMatchObject([{ status: "ok", delivered: true, deliveryStatus: "delivered" }]);
    gateway.attachEdge(
      quietEdge({ send: async () => ({ status: "failed", reason: "the receiver is gone", retry: false }) }),
    );
    await call(gateway, "cron.run", { id });
    await expect
      .poll(async () => (await runs(gateway, id, 2))[0])
      .toMatchObject({
        status: "ok",
        delivered: false,
        deliveryStatus: "not-delivered",
        deliveryError: expect.stringContaining("the receiver is gone"),
      });
    const quietly = await call(gateway, "cron.add", { name: "quiet", schedule: hourly, payload: say("hello") });
    await call(gateway, "cron.run", { id: quietly.id });
    const [stayed] = await runs(gateway, quietly.id, 1);
    expect(stayed).toMatchObject({ deliveryStatus: "not-requested" });
    expect(stayed).not.toHaveProperty("delivered");
  });

  test("that fails says why, and goes on", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
    const { id } = await call(gateway, "cron.add", { name: "bad", schedule: hourly, payload: say("throw") });
    await call(gateway, "cron.run", { id });
    const [end] = await runs(gateway, id, 1);
    expect(end).toMatchObject({ status: "error", error: "CLOISTER_AGENT_FAILED: thrown on purpose" });
    expect((await call(gateway, "cron.list")).jobs[0]).toMatchObject({ enabled: true, state: { lastStatus: "error" } });
  });

  test("keeps the last of its ends", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const { id } = await call(gateway, "cron.add", { name: "x", schedule: hourly, payload: say("x") });
    for (let at = 0; at < limits.jobRunsKeptMax + 2; at++)
      await gateway.store.amendJob(id, { ran: { atMs: at, status: "ok" } });
    const { entries, total } = await call(gateway, "cron.runs", { id });
    expect([total, entries[0].ts, entries.at(-1).ts]).toEqual([limits.jobRunsKeptMax, limits.jobRunsKeptMax + 1, 2]);
  });

  test("is changed by two at once, and what each of them asked for holds", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const { id } = await call(gateway, "cron.add", { name: "a", schedule: hourly, payload: say("x") });
    const schedule = { kind: "every", everyMs: 120_000, anchorMs: 0 };
    const patches = [{ enabled: false }, { schedule }, { payload: say("y") }, { name: "b" }];
    await Promise.all(patches.map((patch) => call(gateway, "cron.update", { id, patch })));
    const [job] = (await call(gateway, "cron.list")).jobs;
    expect(job).toMatchObject({ name: "b", enabled: false, payload: say("y"), schedule });
    expect(job).not.toHaveProperty("nextRunAtMs");
  });

  test("is gone after its run only if it happens once: not one that recurs by now, nor one that was off and run by hand", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const at = (hours: number) => ({ kind: "at", at: new Date(Date.now() + hours * 3_600_000).toISOString() }) as const;
    const add = (more: object) => call(gateway, "cron.add", { name: "a", schedule: at(1), payload: say("x"), ...more });
    const update = (id: string, patch: object) => call(gateway, "cron.update", { id, patch });
    const once = await add({});
    expect(once.deleteAfterRun).toBe(true);
    // What happens once becomes what recurs, and back.
    expect((await update(once.id, { schedule: hourly })).deleteAfterRun).toBe(false);
    await update(once.id, { enabled: false });
    await call(gateway, "cron.run", { id: once.id });
    await runs(gateway, once.id, 1);
    expect((await update(once.id, { schedule: at(2) })).deleteAfterRun).toBe(true);
    const kept = await add({ deleteAfterRun: false });
    expect((await update(kept.id, { schedule: at(3) })).deleteAfterRun).toBe(false);
    const off = await add({ enabled: false });
    await call(gateway, "cron.run", { id: off.id });
    await runs(gateway, off.id, 1);
    expect(await update(off.id, { enabled: true })).toHaveProperty("nextRunAtMs");
    const recurring = add({ schedule: hourly, deleteAfterRun: true });
    await expect(recurring).rejects.toMatchObject({ message: expect.stringContaining("deleteAfterRun") });
    await expect(update(off.id, { schedule: hourly, deleteAfterRun: true })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
    });
  });

  test("that happens once and has is not enabled again without another time; one that was off when it came is", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const soon = () => ({ kind: "at", at: new Date(Date.now() + 20).toISOString() }) as const;
    const add = (more: object) =>
      call(gateway, "cron.add", { name: "a", payload: say("x"), deleteAfterRun: false, schedule: soon(), ...more });
    const update = (id: string, patch: object) => call(gateway, "cron.update", { id, patch });
    const had = await add({});
    await runs(gateway, had.id, 1);
    const refused = { code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining("happens once, and has") };
    await expect(update(had.id, { enabled: true })).rejects.toMatchObject(refused);
    await update(had.id, { enabled: false });
    await expect(update(had.id, { enabled: true })).rejects.toMatchObject(refused);
    await update(had.id, { enabled: true, schedule: soon() });
    await runs(gateway, had.id, 2);

    const off = await add({ enabled: false });
    await expect.poll(() => Date.now() > Date.parse(off.schedule.at)).toBe(true);
    await update(off.id, { enabled: true });
    await runs(gateway, off.id, 1);
  });

  test("is changed, disabled and removed; disabled it runs by hand alone, and is not due afterwards", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const { id } = await call(gateway, "cron.add", { name: "a", schedule: hourly, payload: say("x") });
    const patch = { name: "b", enabled: false, payload: say("y") };
    const after = await call(gateway, "cron.update", { id, patch });
    expect(after).toMatchObject({ name: "b", enabled: false, payload: say("y") });
    expect(after).not.toHaveProperty("nextRunAtMs");
    expect(await call(gateway, "cron.status")).toEqual({ enabled: true, jobs: 1, nextWakeAtMs: null });
    await call(gateway, "cron.run", { id });
    expect(await runs(gateway, id, 1)).toMatchObject([{ summary: "y" }]);
    expect((await call(gateway, "cron.status")).nextWakeAtMs).toBeNull();
    expect(await call(gateway, "cron.update", { id, patch: { enabled: true } })).toHaveProperty("nextRunAtMs");
    await call(gateway, "cron.remove", { id });
    for (const method of ["cron.remove", "cron.run", "cron.runs"])
      await expect(call(gateway, method, { id })).rejects.toMatchObject({ code: "CLOISTER_SIGNAL_UNKNOWN" });
    const kinds = (await call(gateway, "audit.list", { kind: "cron" })).rows.map(
      (row: { detail: string }) => row.detail,
    );
    expect(kinds.map((detail: string) => detail.split(" ")[0]).toSorted()).toEqual([
      "added",
      "changed",
      "changed",
      "removed",
      "run",
    ]);
  });

  test("that takes too long is ended, and its log says so", async () => {
    const timers = vi.spyOn(globalThis, "setTimeout");
    try {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      const { id } = await call(gateway, "cron.add", { name: "slow", schedule: hourly, payload: say("hang") });
      await call(gateway, "cron.run", { id });
      const watch = () => timers.mock.calls.find(([, ms]) => ms === limits.jobRunMsMax)?.[0];
      await expect.poll(watch).toBeTypeOf("function");
      // An hour later.
      watch()?.();
      expect(await runs(gateway, id, 1)).toMatchObject([
        { status: "error", error: expect.stringContaining("stopped") },
      ]);
      expect((await call(gateway, "cron.list")).jobs).toMatchObject([{ enabled: true }]);
    } finally {
      timers.mockRestore();
    }
  });

  test("runs once at a time: by hand it is not begun again, and a time that comes meanwhile is left out", async () => {
    const nowMs = Date.UTC(2026, 0, 1);
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }], {}, { nowMs: () => nowMs });
    const { id } = await call(gateway, "cron.add", { name: "slow", schedule: hourly, payload: say("hang") });
    await call(gateway, "cron.run", { id });
    await expect.poll(() => gateway.agents()[0]?.phase).toBe("running");
    expect(await call(gateway, "cron.run", { id })).toEqual({ ok: true, ran: false, reason: "already-running" });
    // Its next time comes; another job that is run lets the gateway look at what is due.
    await gateway.store.amendJob(id, { dueAtMs: nowMs });
    const other = await call(gateway, "cron.add", { name: "o", schedule: hourly, payload: say("x"), enabled: false });
    await call(gateway, "cron.run", { id: other.id });
    const [left] = await runs(gateway, id, 1);
    expect(left).toMatchObject({ status: "skipped", error: "the run before it had not ended" });
    expect((await call(gateway, "cron.list")).jobs.find((job: { id: string }) => job.id === id).nextRunAtMs).toBe(
      nowMs + 3_600_000,
    );
  });
});

test("a time that passed while the gateway was down: one that comes once is made up for, one that recurs is not", async () => {
  let nowMs = Date.UTC(2026, 0, 1);
  const config = makeConfig([{ id: "main", module: "echo" }]);
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const start = () => openGateway([], {}, { store, config, nowMs: () => nowMs });
  const before = await start();
  const once = { kind: "at", at: new Date(nowMs + 60_000).toISOString() };
  const kept = await call(before, "cron.add", {
    name: "once",
    schedule: once,
    payload: say("late"),
    deleteAfterRun: false,
  });
  const gone = await call(before, "cron.add", { name: "gone", schedule: once, payload: say("late") });
  const recurring = await call(before, "cron.add", { name: "often", schedule: hourly, payload: say("often") });
  await before.drain(0);
  nowMs += 10 * 3_600_000 + 120_000;
  const after = await start();
  expect(await runs(after, kept.id, 1)).toMatchObject([{ status: "ok", summary: "late" }]);
  expect(await runs(after, recurring.id, 1)).toMatchObject([
    { status: "skipped", error: expect.stringContaining("2026-01-01T01:00:00") },
  ]);
  const { jobs } = await call(after, "cron.list");
  expect(Object.fromEntries(jobs.map((job: { id: string; enabled: boolean }) => [job.id, job.enabled]))).toEqual({
    [kept.id]: false,
    [recurring.id]: true,
  });
  expect(jobs.find(({ id }: { id: string }) => id === recurring.id).nextRunAtMs).toBe(
    Date.UTC(2026, 0, 1) + 11 * 3_600_000,
  );
  const said = async () =>
    (await after.store.sessions({ limit: 10, offset: 0 })).rows.map(({ key }) => key.split(":")[3]);
  await expect.poll(async () => new Set(await said())).toEqual(new Set([gone.id, kept.id]));
});

test("that is off with all others is kept and listed as off, runs by hand alone, and comes again when they are on", async () => {
  const startMs = Date.UTC(2026, 0, 1);
  let nowMs = startMs;
  const onConfig = makeConfig([{ id: "main", module: "echo" }]);
  const config = { ...onConfig, jobs: { enabled: false } };
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const start = (from: typeof config) => openGateway([], {}, { store, config: from, nowMs: () => nowMs });
  const add = (gateway: TestGateway, name: string, schedule: object) =>
    call(gateway, "cron.add", { name, schedule, payload: say(name), deleteAfterRun: false });
  const first = await start(config);
  const recurring = await call(first, "cron.add", { name: "often", schedule: hourly, payload: say("often") });
  expect(recurring).toMatchObject({ enabled: true, isOff: true });
  expect(recurring).not.toHaveProperty("nextRunAtMs");
  const once = await add(first, "once", { kind: "at", at: new Date(nowMs + 60_000).toISOString() });
  await first.drain(0);
  nowMs += 90 * 60_000;
  const off = await start(config);
  expect(await call(off, "cron.run", { id: recurring.id })).toEqual({ ok: true, ran: true });
  expect(await runs(off, recurring.id, 1)).toMatchObject([{ status: "ok", summary: "often" }]);
  expect((await call(off, "cron.runs", { id: once.id })).total).toBe(0);
  const { jobs } = await call(off, "cron.list");
  expect(jobs.map(({ enabled, isOff, state }: Record<string, unknown>) => [enabled, isOff, state])).toMatchObject([
    [true, true, {}],
    [true, true, { lastStatus: "ok" }],
  ]);
  expect(await call(off, "cron.status")).toEqual({ enabled: false, jobs: 2, nextWakeAtMs: null });
  await off.drain(0);
  nowMs += limits.dueRetryMsMax;
  const on = await start(onConfig);
  expect(await runs(on, once.id, 1)).toMatchObject([{ status: "ok", summary: "once" }]);
  // A time that passed while jobs were off is no failure of the job.
  expect((await call(on, "cron.runs", { id: recurring.id })).total).toBe(1);
  const next = (await call(on, "cron.list")).jobs.find(({ id }: { id: string }) => id === recurring.id);
  expect(next).toMatchObject({ nextRunAtMs: startMs + 2 * 3_600_000 });
  expect(next).not.toHaveProperty("isOff");
});

describe("an answer that goes to a URL", () => {
  /** Answers with what it is told to; `hold`: not at all. */
  async function openReceiver() {
    const got: { readonly key: string | undefined; readonly token: string | undefined; readonly text: string }[] = [];
    let status = 200;
    let holds = false;
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (piece: string) => (body += piece));
      request.on("end", () => {
        const { authorization: token } = request.headers;
        const [key] = [request.headers["idempotency-key"]].flat();
        got.push({ key, token, text: (JSON.parse(body) as { text: string }).text });
        response.statusCode = status;
        if (!holds) response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      got,
      host,
      url: `http://${host}/jobs`,
      answer: (next: number) => void (status = next),
      hold: (next: boolean) => void (holds = next),
    };
  }
  const job = (to: string) => ({
    name: "report",
    schedule: hourly,
    payload: say("the report"),
    delivery: { mode: "webhook", to },
  });

  test("is sent with the token, and the job is listed with it; what is refused is a dead letter that is sent again by hand", async () => {
    const { got, host, url, answer } = await openReceiver();
    const gateway = await openGateway([{ id: "main", module: "echo" }], {
      jobPosts: { token: "t-secret", allowedHosts: [host] },
    });
    const added = await call(gateway, "cron.add", job(url));
    expect(added.delivery).toEqual({ mode: "webhook", to: url });
    await call(gateway, "cron.run", { id: added.id });
    await expect.poll(() => got, { timeout: 60_000 }).toMatchObject([{ token: "Bearer t-secret", text: "the report" }]);
    answer(400);
    await call(gateway, "cron.run", { id: added.id });
    const letters = async () => (await call(gateway, "deadletters.list")).letters;
    await expect.poll(async () => (await letters()).length, { timeout: 60_000 }).toBe(1);
    const [letter] = await letters();
    expect(letter).toMatchObject({ fate: "undeliverable", reason: expect.stringContaining("answered 400") });
    answer(200);
    await call(gateway, "deadletters.replay", { id: letter.id });
    await expect.poll(() => got.length, { timeout: 60_000 }).toBe(3);
  });

  test("goes to no address of this machine that the configuration does not name", async () => {
    const { got, url } = await openReceiver();
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const { id } = await call(gateway, "cron.add", job(url));
    await call(gateway, "cron.run", { id });
    await expect
      .poll(async () => (await call(gateway, "deadletters.list")).letters, { timeout: 60_000 })
      .toMatchObject([{ reason: expect.stringContaining("is an address of this machine") }]);
    expect(got).toEqual([]);
  });

  test("is sent by the next process under its key when the gateway ends before it has arrived", async () => {
    const { got, host, url, hold } = await openReceiver();
    const changes = { jobPosts: { allowedHosts: [host] } };
    const before = await openGateway([{ id: "main", module: "echo" }], changes);
    hold(true);
    const { id } = await call(before, "cron.add", job(url));
    await call(before, "cron.run", { id });
    await expect.poll(() => got.length, { timeout: 60_000 }).toBe(1);
    await before.drain(0);
    hold(false);
    const after = await openGateway([], {}, { store: before.store, config: before.config });
    await expect.poll(() => got.length, { timeout: 60_000 }).toBe(2);
    expect(got[1]).toEqual(got[0]);
    await expect.poll(async () => (await after.store.pending()).outbound, { timeout: 60_000 }).toEqual([]);
    expect((await call(after, "deadletters.list")).letters).toEqual([]);
  });
});

describe("what is no job", () => {
  const fine = { name: "x", schedule: hourly, payload: say("x") };
  test.each([
    ["an agent that is none", { agentId: "nobody" }, "CLOISTER_AGENT_UNKNOWN", /nobody/],
    [
      "a time that is over",
      { schedule: { kind: "at", at: "2020-01-01T00:00:00Z" } },
      "CLOISTER_REQUEST_INVALID",
      /over/,
    ],
    ["an expression that says nothing", { schedule: { kind: "cron", expr: "x" } }, "CLOISTER_REQUEST_INVALID", /"x"/],
    ["words for the main session", { sessionTarget: "main" }, "CLOISTER_REQUEST_INVALID", /systemEvent/],
    ["a session of another agent", { sessionTarget: "session:agent:raul:main" }, "CLOISTER_REQUEST_INVALID", /raul/],
    ["the current session of nobody", { sessionTarget: "current" }, "CLOISTER_REQUEST_INVALID", /sessionKey/],
    [
      "a heartbeat for what is said",
      { wakeMode: "next-heartbeat" },
      "CLOISTER_REQUEST_INVALID",
      /^wakeMode: .*agentTurn/,
    ],
    ["a webhook without an address", { delivery: { mode: "webhook" } }, "CLOISTER_REQUEST_INVALID", /http or https/],
    [
      "a file",
      { delivery: { mode: "webhook", to: "file:///etc/passwd" } },
      "CLOISTER_REQUEST_INVALID",
      /http or https/,
    ],
    [
      "an address with a password",
      { delivery: { mode: "webhook", to: "http://a:b@x.example/" } },
      "CLOISTER_REQUEST_INVALID",
      /password/,
    ],
    [
      "a webhook through a channel",
      { delivery: { mode: "webhook", channel: "telegram", to: "http://x.example/" } },
      "CLOISTER_REQUEST_INVALID",
      /with channel/,
    ],
    ["an answer to nobody", { delivery: { mode: "announce", channel: "webhook" } }, "CLOISTER_REQUEST_INVALID", /to/],
    [
      "an account that sends nothing",
      { delivery: { mode: "announce", channel: "webhook", to: "direct:a" } },
      "CLOISTER_REQUEST_INVALID",
      /no answers leave through channel "webhook", which has no account/,
    ],
  ])("%s is refused, and nothing is kept", async (_what, changes, code, named) => {
    const gateway = await openGateway([
      { id: "main", module: "echo" },
      { id: "raul", module: "echo" },
    ]);
    await expect(call(gateway, "cron.add", { ...fine, ...changes })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(named),
    });
    expect((await call(gateway, "cron.list")).total).toBe(0);
  });

  test("more than an agent may have", async () => {
    const gateway = await openGateway([{ id: "main", module: "echo" }]);
    const row = await call(gateway, "cron.add", { ...fine, enabled: false });
    const { rows } = await gateway.store.timers({ id: row.id, limit: 1 });
    const [first] = rows;
    if (first === undefined) throw new Error("the job is not kept");
    for (let at = 1; at < limits.timersPerAgentMax; at++) await gateway.store.schedule({ ...first, id: `j-${at}` });
    await expect(call(gateway, "cron.add", fine)).rejects.toMatchObject({ code: "CLOISTER_MAILBOX_FULL" });
  });
});
