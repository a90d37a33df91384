/** What agents let happen and say by themselves: the tools `cron` and `message`, in real cells, with restarts. */
import { describe, expect, test } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const accounts = { biz: { token: "t", outboundUrl: "http://127.0.0.1:1/" }, mute: { token: "u" } };
const webhook = { webhook: { accounts, defaultAccount: "biz" }, channelDefaults: { webhook: "biz" } };
const agents = [
  { id: "main", ...actor("tool-user") },
  { id: "raul", ...actor("tool-user") },
];
const startMs = Date.UTC(2026, 0, 1, 12);
const client = { connId: "o", clientId: "op", mode: "cli", scopes: ["operator.admin"] };

// oxlint-disable-next-line typescript/no-explicit-any -- an answer, looked into by the tests
async function call(gateway: TestGateway, method: string, params: object = {}): Promise<any> {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload;
}

const toolText = (name: string, params: object): string => JSON.stringify({ tool: "call", params: { name, params } });

// oxlint-disable-next-line typescript/no-explicit-any -- a result of a tool, looked into by the tests
async function use(gateway: TestGateway, name: string, params: object, sessionKey = "agent:main:main"): Promise<any> {
  return JSON.parse(await gateway.reply(sessionKey.split(":")[1] ?? "", toolText(name, params), sessionKey));
}

/** Somebody writes to main on the channel; what main answers leaves there. */
const write = (gateway: TestGateway, text: string, peer = { kind: "direct" as const, id: "ana" }) =>
  gateway.doors.inbound(
    { channel: "webhook", accountId: "biz", peer, sender: { id: "ana" }, text, tsMs: 0 },
    undefined,
  );

const open = (changes: Partial<ResolvedConfig> = {}) =>
  openGateway(agents, { ...webhook, ...changes }, { nowMs: () => startMs });

const answerOf = async (gateway: TestGateway, at: number) => {
  await expect.poll(() => gateway.sent.length).toBeGreaterThan(at);
  return gateway.sent[at];
};

describe("message", () => {
  test("goes where the turn came from, before the answer, and the answer goes there too", async () => {
    const gateway = await open();
    await write(gateway, toolText("message", { text: "I am looking." }));
    const said = await answerOf(gateway, 0);
    expect(said).toMatchObject({ channel: "webhook", accountId: "biz", peer: { id: "ana" }, text: "I am looking." });
    const answer = await answerOf(gateway, 1);
    expect(JSON.parse(answer?.text ?? "")).toEqual({ status: "sent", to: "webhook:biz:direct:ana" });
    expect(answer?.idempotencyKey).not.toBe(said?.idempotencyKey);
    const { rows } = await call(gateway, "audit.list", { kind: "message_sent" });
    expect(rows).toMatchObject([{ subject: "agent:main:main", object: "webhook:biz:direct:ana" }]);
  });

  test("goes where its session last spoke when nobody there began the turn", async () => {
    const gateway = await open();
    expect(await use(gateway, "message", { text: "hello?" })).toMatchObject({ status: "error", code: "not_found" });
    await write(gateway, toolText("agents_list", {}));
    await answerOf(gateway, 0);
    expect(await use(gateway, "message", { text: "and one more thing" })).toMatchObject({ status: "sent" });
    expect(gateway.sent[1]).toMatchObject({ peer: { kind: "direct", id: "ana" }, text: "and one more thing" });
    expect(gateway.sent[1]).not.toHaveProperty("inReplyTo");
  });

  test("goes elsewhere only with the right to deliver there, which is the agent's own", async () => {
    const gateway = await open({ deliveries: [{ from: "main", to: ["webhook:biz:group:*"] }] });
    const team = { text: "the report is done", channel: "webhook", to: "group:team" };
    expect(await use(gateway, "message", team)).toEqual({ status: "sent", to: "webhook:biz:group:team" });
    expect(gateway.sent).toMatchObject([{ peer: { kind: "group", id: "team" } }]);
    const bob = { text: "psst", channel: "webhook", to: "bob" };
    expect(await use(gateway, "message", bob)).toMatchObject({
      status: "forbidden",
      operatorHint: 'tools.message.deliver: [{ from: "main", to: ["webhook:biz:direct:bob"] }]',
    });
    expect(await use(gateway, "message", team, "agent:raul:main")).toMatchObject({ status: "forbidden" });
    expect(gateway.sent).toHaveLength(1);
  });

  test.each([
    ["no text", { text: " " }, "invalid"],
    ["too long a text", { text: "x".repeat(limits.messageToolCharsMax + 1) }, "invalid"],
    ["an action that no channel has", { action: "dance", text: "x" }, "invalid"],
    ["nobody", { text: "x", channel: "smoke" }, "invalid"],
    [
      "an account that nothing leaves through",
      { text: "x", channel: "webhook", accountId: "mute", to: "a" },
      "not_found",
    ],
    ["a channel that there is not", { text: "x", channel: "smoke", to: "a" }, "not_found"],
  ])("with %s is refused", async (_what, params, code) => {
    const gateway = await open({ deliveries: [{ from: "*", to: ["webhook:*", "smoke:*"] }] });
    await write(gateway, toolText("agents_list", {}));
    await answerOf(gateway, 0);
    expect(await use(gateway, "message", params)).toMatchObject({ status: "error", code });
    expect(gateway.sent).toHaveLength(1);
  });

  test("is bounded by the minute", async () => {
    const gateway = await open({ deliveries: [{ from: "main", to: ["webhook:*"] }] });
    const params = { text: "x", channel: "webhook", to: "ana" };
    for (let at = 0; at < limits.messagesPerMinuteMax; at++) await use(gateway, "message", params);
    expect(await use(gateway, "message", params)).toMatchObject({ code: "busy" });
    expect(gateway.sent).toHaveLength(limits.messagesPerMinuteMax);
  });
});

describe("cron", () => {
  const tea = { action: "add", name: "tea", text: toolText("agents_list", {}), inMinutes: 30 };

  test("lets the agent be told in this conversation, whose answer goes where it is, once, after a restart too", async () => {
    const config = makeConfig(agents, webhook);
    const store = await openMemoryStore({
      stateDir: config.stateDir,
      agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
    });
    const start = (atMs: number) => openGateway([], {}, { store, config, nowMs: () => atMs });
    const first = await start(startMs);
    await write(first, toolText("cron", tea));
    const { job } = JSON.parse((await answerOf(first, 0))?.text ?? "");
    expect(job).toMatchObject({ name: "tea", deleteAfterRun: true, sessionTarget: "session:agent:main:main" });
    await first.drain(0);
    const second = await start(startMs + 40 * 60_000);
    const answer = await answerOf(second, 0);
    expect(answer).toMatchObject({ channel: "webhook", accountId: "biz", peer: { kind: "direct", id: "ana" } });
    expect(JSON.parse(answer?.text ?? "")).toMatchObject({ status: "ok", requester: "main" });
    expect((await call(second, "cron.list")).total).toBe(0);
    await second.drain(0);
    const third = await start(startMs + 80 * 60_000);
    expect(await use(third, "cron", { action: "list" })).toEqual({ status: "ok", jobs: [] });
    expect(third.sent).toEqual([]);
  });

  test("shows, changes, runs and removes what this session set; the main session all of the agent's", async () => {
    const gateway = await open();
    const other = "agent:main:webhook:direct:ana";
    const daily = {
      action: "add",
      name: "daily",
      text: "x",
      cron: "0 7 * * *",
      tz: "Europe/Berlin",
      session: "isolated",
    };
    const { job } = await use(gateway, "cron", daily, other);
    expect(job).toMatchObject({ sessionTarget: "isolated", schedule: { kind: "cron", tz: "Europe/Berlin" } });
    const own = await use(gateway, "cron", { ...tea, session: "main" });
    const names = async (key: string) =>
      (await use(gateway, "cron", { action: "list" }, key)).jobs.map((one: { name: string }) => one.name);
    expect([await names(other), await names("agent:main:main"), await names("agent:raul:main")]).toEqual([
      ["daily"],
      ["tea", "daily"],
      [],
    ]);
    const change = { action: "update", id: job.id, name: "weekly", cron: "0 7 * * 1", text: "agents_list" };
    expect(await use(gateway, "cron", change, other)).toMatchObject({
      job: { name: "weekly", schedule: { expr: "0 7 * * 1" }, payload: { kind: "agentTurn", message: "agents_list" } },
    });
    for (const [key, id] of [
      [other, own.job.id],
      ["agent:raul:main", job.id],
    ])
      for (const action of ["update", "remove", "run", "runs"])
        expect(await use(gateway, "cron", { action, id }, key)).toMatchObject({ status: "error", code: "not_found" });
    expect(await use(gateway, "cron", { action: "run", id: job.id }, other)).toMatchObject({ ran: true });
    await expect.poll(async () => (await use(gateway, "cron", { action: "runs", id: job.id }, other)).total).toBe(1);
    expect(await use(gateway, "cron", { action: "remove", id: job.id }, other)).toMatchObject({ removed: true });
    expect(await names("agent:main:main")).toEqual(["tea"]);
  });

  test("hides an operator's jobs, and stands on the agent's own right", async () => {
    const gateway = await open();
    const schedule = { kind: "every", everyMs: 3_600_000 };
    const theirs = await call(gateway, "cron.add", {
      name: "theirs",
      schedule,
      payload: { kind: "agentTurn", message: "x" },
    });
    expect(await use(gateway, "cron", { action: "list" })).toEqual({ status: "ok", jobs: [] });
    expect(await use(gateway, "cron", { action: "remove", id: theirs.id })).toMatchObject({ code: "not_found" });
    const { job } = await use(gateway, "cron", tea);
    const [row] = (await gateway.store.timers({ id: job.id, limit: 1 })).rows;
    expect(row).toMatchObject({
      via: "config:schedule:main",
      job: { setIn: "agent:main:main", by: "agent:main:main" },
    });
  });

  test.each([
    ["two times", { cron: "0 7 * * *" }, "invalid"],
    ["no time", { inMinutes: undefined }, "invalid"],
    ["a zone for nothing", { tz: "Europe/Berlin" }, "invalid"],
    ["a time that is over", { inMinutes: undefined, at: "2020-01-01T00:00:00Z" }, "invalid"],
    ["a period that is too short", { inMinutes: undefined, everyMinutes: 0.5 }, "invalid"],
    ["an expression that says nothing", { inMinutes: undefined, cron: "x" }, "invalid"],
    ["another session", { session: "agent:raul:main" }, "invalid"],
  ])("with %s is refused, and nothing is kept", async (_what, changes, code) => {
    const gateway = await open();
    expect(await use(gateway, "cron", { ...tea, ...changes })).toMatchObject({ status: "error", code });
    expect((await call(gateway, "cron.list")).total).toBe(0);
  });

  test("is bounded by the agent", async () => {
    const gateway = await open();
    const { job } = await use(gateway, "cron", tea);
    const [row] = (await gateway.store.timers({ id: job.id, limit: 1 })).rows;
    if (row === undefined) throw new Error("the job is not kept");
    for (let at = 1; at < limits.agentJobsMax; at++) await gateway.store.schedule({ ...row, id: `j-${at}` });
    expect(await use(gateway, "cron", tea)).toMatchObject({ code: "busy" });
    expect((await call(gateway, "cron.list")).total).toBe(limits.agentJobsMax);
  });
});

describe("a turn of an agent that takes longer than its time", () => {
  test("is ended, the person who asked is told, and what comes next has its turn", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("holder"), turnMsMax: 200 }], webhook);
    const asked = await write(gateway, "hold");
    expect(await gateway.ended("runId" in asked ? asked.runId : "")).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_ASK_ABORTED" },
    });
    expect(await answerOf(gateway, 0)).toMatchObject({
      peer: { id: "ana" },
      text: "This took longer than 0.2 s, and was ended.",
    });
    const next = await write(gateway, "hold");
    expect(await gateway.ended("runId" in next ? next.runId : "")).toMatchObject({ status: "error" });
    await expect.poll(() => gateway.sent.length).toBe(2);
  });
});
