/** Dead letters as an operator handles them, over the real kernel, cells and store: methods, counts, events, audit. */
import { expect, test } from "vitest";
import type { OutboundMessage, SendResult } from "../../channels/port.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { Store } from "../../runtime/store/port.ts";
import { actor, actorPath } from "../support/actors.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";
import { eventually } from "../support/eventually.ts";
import { quietEdge } from "../support/quiet-edge.ts";

const crasher = {
  ...actor("crasher"),
} as const;
const client = { connId: "t", clientId: "tester", mode: "t", scopes: ["operator.admin"] };

async function call(gateway: TestGateway, method: string, params: object = {}): Promise<Record<string, unknown>> {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload as Record<string, unknown>;
}

const counted = (gateway: TestGateway): unknown =>
  gateway.events.findLast(({ event }) => event === "deadletters")?.payload;

/** A message that ended its cell twice; gives the letter's id. */
async function poison(gateway: TestGateway, text = "exit"): Promise<string> {
  expect(await gateway.say("main", text)).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_POISON" } });
  const id = await eventually(async () => {
    const { rows } = await gateway.store.deadLetters({ limit: 1 });
    if (rows[0]?.preview !== text) throw new Error("the letter is not written yet");
    return rows[0].header.id;
  });
  return id;
}

test("a letter is listed, shown and counted; clients are told of it", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  expect(await call(gateway, "status")).toMatchObject({ deadLetters: { total: 0, byFate: {} } });
  const id = await poison(gateway);
  await gateway.until(() => (counted(gateway) as { total: number } | undefined)?.total === 1);
  for (const method of ["status", "health"])
    expect(await call(gateway, method)).toMatchObject({ deadLetters: { total: 1, byFate: { poison: 1 } } });
  const letter = {
    id,
    fate: "poison",
    reason: "it was delivered 2 times and ended its cell",
    sessionKey: "agent:main:main",
    from: "operator (test)",
    preview: "exit",
  };
  expect(await call(gateway, "deadletters.list", { agentId: "MAIN", fate: "poison" })).toMatchObject({
    count: 1,
    total: 1,
    hasMore: false,
    byFate: { poison: 1 },
    letters: [letter],
  });
  // Total and counts are of the same letters, those that the filter lets through.
  for (const filter of [{ agentId: "other" }, { fate: "expired" }])
    expect(await call(gateway, "deadletters.list", filter)).toEqual({
      ts: expect.any(Number),
      count: 0,
      total: 0,
      hasMore: false,
      byFate: {},
      letters: [],
    });
  expect(await call(gateway, "deadletters.show", { id })).toEqual({
    letter: expect.objectContaining({ ...letter, body: "exit", header: expect.objectContaining({ id }) }),
  });
  await expect(call(gateway, "deadletters.show", { id: "nobody" })).rejects.toMatchObject({
    code: "CLOISTER_DEADLETTER_UNKNOWN",
  });
});

test("a replay after the repair is handled once, under the run that its sender knows; the audit names who asked", async () => {
  const config = makeConfig([{ id: "main", ...crasher }]);
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const before = await openGateway([], {}, { store, config });
  const id = await poison(before);
  await before.drain(0);
  const agents = config.agents.map((agent) => ({ ...agent, module: "echo", moduleKind: "builtin" as const }));
  const gateway = await openGateway([], {}, { store, config: { ...config, agents } });
  await gateway.until(() => counted(gateway) !== undefined);
  expect(counted(gateway), "known from the start on").toEqual({ total: 1, byFate: { poison: 1 } });
  const replayed = await call(gateway, "deadletters.replay", { id });
  expect(replayed).toMatchObject({ ok: true, id, agentId: "main", sessionKey: "agent:main:main" });
  expect(replayed["envelopeId"]).not.toBe(id);
  expect(await gateway.ended(replayed["runId"] as string)).toMatchObject({
    status: "ok",
    reply: "exit",
  });
  expect((await store.history("main", "agent:main:main", 10, 0)).rows.map(({ text }) => text)).toEqual([
    "exit",
    "exit",
  ]);
  expect(await call(gateway, "status")).toMatchObject({ deadLetters: { total: 0, byFate: {} } });
  await expect(call(gateway, "deadletters.replay", { id })).rejects.toMatchObject({
    code: "CLOISTER_DEADLETTER_UNKNOWN",
  });
  await eventually(async () => {
    expect((await store.audits(50)).filter(({ type }) => type === "deadletter_replayed")).toMatchObject([
      { subject: "tester", object: "agent:main:main", decision: "allowed", envelopeId: id },
    ]);
  });
});

test("a replay keeps what its message chose for its turn", async () => {
  const hooks = { enabled: true, path: "/hooks", allowRequestSessionKey: false, mappings: [] };
  const gateway = await openGateway([{ id: "main", ...crasher }], { hooks });
  const hook = { name: "ci", message: "exit", thinking: "low", turnMsMax: 60_000 };
  const { runId = "" } = (await gateway.doors.hook(hook)) as { readonly runId?: string };
  const kept = async (): Promise<object> => {
    expect(await gateway.ended(runId)).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_POISON" } });
    return eventually(async () => {
      const [letter] = (await gateway.store.deadLetters({ limit: 1 })).rows;
      if (letter === undefined) throw new Error("the letter is not written yet");
      return letter.header;
    });
  };
  const first = await kept();
  expect(first).toMatchObject({ choices: { thinking: "low" }, turnMsMax: 60_000 });
  await call(gateway, "deadletters.replay", { id: (first as { id: string }).id });
  const again = await kept();
  expect(again).toMatchObject({ choices: { thinking: "low" }, turnMsMax: 60_000 });
  expect(again).not.toMatchObject({ id: (first as { id: string }).id });
});

test("a replay in the same process: who waits for the run hears its new end", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  const id = await poison(gateway);
  const { runId } = await call(gateway, "deadletters.replay", { id });
  expect(await gateway.ended(runId as string), "not the end of before").toMatchObject({
    refusal: { code: "CLOISTER_MAILBOX_POISON" },
  });
  const again = (await gateway.store.deadLetters({ limit: 10 })).rows;
  expect(again).toMatchObject([{ preview: "exit", attempts: 3 }]);
  expect(again[0]?.header.id, "a letter of its own").not.toBe(id);
});

test("a replay that is refused says why and keeps the letter", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  const id = await poison(gateway);
  gateway.driver.kernel.disable("main", "its module is gone", Date.now());
  await expect(call(gateway, "deadletters.replay", { id })).rejects.toMatchObject({
    code: "CLOISTER_AGENT_DISABLED",
    message: expect.stringContaining("its module is gone"),
  });
  expect(await gateway.store.deadLetter(id)).toBeDefined();
  expect(await call(gateway, "status")).toMatchObject({ deadLetters: { total: 1 } });
  await eventually(async () => {
    expect((await gateway.store.audits(50)).filter(({ type }) => type === "deadletter_replayed")).toMatchObject([
      { decision: "refused", code: "CLOISTER_AGENT_DISABLED" },
    ]);
  });
});

const webhook = {
  webhook: { accounts: { biz: { token: "t", outboundUrl: "http://127.0.0.1:1/" } }, defaultAccount: "biz" },
  bindings: [{ index: 0, agentId: "main", match: { channel: "webhook" } }],
};

/** What the channel says to an answer is up to the test; gives the answers that came to it. */
function answersOf(gateway: TestGateway, say: () => Promise<SendResult>): OutboundMessage[] {
  const came: OutboundMessage[] = [];
  gateway.attachEdge(
    quietEdge({
      send: (message) => {
        came.push(message);
        return say();
      },
    }),
  );
  return came;
}

async function askByWebhook(gateway: TestGateway, text: string): Promise<void> {
  const event = {
    channel: "webhook",
    accountId: "biz",
    peer: { kind: "direct" as const, id: "p" },
    sender: { id: "p" },
  };
  const result = await gateway.doors.inbound({ ...event, text, tsMs: 1 });
  expect(result).toMatchObject({ status: "accepted", agentId: "main" });
}

const lost = (store: Store) =>
  eventually(async () => {
    const [row] = (await store.deadLetters({ limit: 1 })).rows;
    if (row === undefined) throw new Error("the letter is not written yet");
    return row;
  });

test("an answer that its channel did not take stays with the letter; a replay sends it, once, without a turn", async () => {
  const config = makeConfig([{ id: "main", module: "echo" }], webhook);
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const before = await openGateway([], {}, { store, config });
  const away = answersOf(before, async () => ({ status: "failed", reason: "the receiver is away", retry: false }));
  await askByWebhook(before, "exit");
  const { header } = await lost(store);
  expect(await call(before, "deadletters.show", { id: header.id })).toMatchObject({
    letter: { fate: "undeliverable", body: "exit", answer: "exit", answerChars: 4 },
  });
  await expect(call(before, "deadletters.replay", { id: header.id })).rejects.toMatchObject({
    code: "CLOISTER_GATEWAY_UNREACHABLE",
    message: `cannot send the answer of the dead letter ${header.id} to webhook/biz: the receiver is away`,
    remedy: expect.stringContaining("repair the channel"),
  });
  expect(away, "at the end of the turn, and again").toHaveLength(2);
  expect(await store.deadLetter(header.id), "a letter as before").toMatchObject({ answer: "exit" });
  await before.drain(0);

  // A turn would end the cell.
  const agents = config.agents.map((agent) => ({ ...agent, ...crasher }));
  const gateway = await openGateway([], {}, { store, config: { ...config, agents } });
  const taken = answersOf(gateway, async () => ({ status: "sent" }));
  const both = await Promise.all([1, 2].map(() => call(gateway, "deadletters.replay", { id: header.id })));
  const told = { ok: true, id: header.id, status: "sent", agentId: "main", sessionKey: header.sessionKey };
  expect(both).toEqual([told, told]);
  expect(taken).toEqual([away[0]]);
  expect(away[1]).toEqual(away[0]);
  expect((await store.history("main", header.sessionKey, 10, 0)).rows.map(({ text }) => text)).toEqual([
    "exit",
    "exit",
  ]);
  expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
  expect(await call(gateway, "status")).toMatchObject({ deadLetters: { total: 0, byFate: {} } });
  await expect(call(gateway, "deadletters.replay", { id: header.id })).rejects.toMatchObject({
    code: "CLOISTER_DEADLETTER_UNKNOWN",
  });
  await eventually(async () => {
    const replays = (await store.audits(50)).filter(({ type }) => type === "deadletter_replayed");
    expect(replays.map(({ decision, detail, code }) => [decision, detail, code])).toEqual([
      ["allowed", "its answer", undefined],
      ["allowed", "its answer", undefined],
      ["refused", "its answer", "CLOISTER_GATEWAY_UNREACHABLE"],
    ]);
  });
});

test("an answer that is neither delivered nor a letter, because the store failed, is sent at the next start", async () => {
  const config = makeConfig([{ id: "main", module: "echo" }], webhook);
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const full = { ...store, bury: () => Promise.reject(new Error("the disk is full")) };
  const before = await openGateway([], {}, { store: full, config });
  answersOf(before, async () => ({ status: "failed", reason: "the receiver is away", retry: false }));
  await askByWebhook(before, "kept");
  await eventually(() =>
    expect(before.logged.map(({ message }) => message)).toContain("a dead letter could not be written"),
  );
  await before.drain(10_000);
  const gateway = await openGateway([], {}, { store, config });
  await gateway.until(() => gateway.sent.length === 1);
  expect(gateway.sent.map(({ text }) => text)).toEqual(["kept"]);
  expect(await store.deadLetters({ limit: 1 })).toMatchObject({ total: 0 });
});

test("purge removes what it names, by age too, and refuses an id that is none", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  const id = await poison(gateway);
  expect(await call(gateway, "deadletters.purge", { olderThanMs: 3_600_000 })).toMatchObject({ purged: 0 });
  expect(await call(gateway, "deadletters.purge", { fate: "expired" })).toMatchObject({ purged: 0 });
  expect(await call(gateway, "deadletters.purge", { id })).toMatchObject({ ok: true, purged: 1 });
  await expect(call(gateway, "deadletters.purge", { id })).rejects.toMatchObject({
    code: "CLOISTER_DEADLETTER_UNKNOWN",
  });
  expect(await call(gateway, "deadletters.purge", { all: true })).toMatchObject({ purged: 0 });
  expect(counted(gateway)).toEqual({ total: 0, byFate: {} });
});

test("a message that its actor does not handle is a letter of that fate, without an effect on the state", async () => {
  const picky = actorPath("picky");
  const gateway = await openGateway([{ id: "main", module: picky, moduleKind: "file" }]);
  expect(await gateway.reply("main", "do it")).toBe("1");
  expect(await gateway.say("main", "sing")).toMatchObject({
    status: "error",
    refusal: {
      code: "CLOISTER_MESSAGE_UNHANDLED",
      message: "the agent does not handle this message: no order begins like sing",
    },
  });
  expect(await gateway.say("main", "caught")).toMatchObject({ refusal: { code: "CLOISTER_MESSAGE_UNHANDLED" } });
  expect(await gateway.reply("main", "do it again"), "the state of before").toBe("2");
  await gateway.until(() => (counted(gateway) as { total: number } | undefined)?.total === 2);
  const { rows } = await gateway.store.deadLetters({ limit: 9, fate: "unhandled" });
  expect(rows.map(({ preview, reason }) => [preview, reason])).toEqual([
    ["caught", "the actor does not handle it: caught all the same"],
    ["sing", "the actor does not handle it: no order begins like sing"],
  ]);
});

test("a message whose time is over before its turn is a letter, through every door that names one", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }], {
    hooks: { enabled: true, path: "/hooks", allowRequestSessionKey: false, mappings: [] },
  });
  const { kernel } = gateway.driver;
  kernel.order("main", { type: "park", reason: "held by the test" }, Date.now());
  const sessionKey = "agent:main:main";
  await call(gateway, "chat.send", { sessionKey, message: "chat", ttlMs: 1, idempotencyKey: "chat" });
  await call(gateway, "agent", { sessionKey, message: "agent", ttlMs: 1, idempotencyKey: "agent" });
  const hook = await gateway.doors.hook({ name: "t", message: "hook", agentId: "main", ttlMs: 1 });
  await call(gateway, "chat.send", { sessionKey, message: "kept", ttlMs: 3_600_000, idempotencyKey: "kept" });
  const acceptedMs = Date.now();
  await eventually(() => expect(Date.now()).toBeGreaterThan(acceptedMs + 2));
  kernel.unpark("main", Date.now());
  expect(await gateway.ended("kept")).toMatchObject({ status: "ok", reply: "kept" });
  for (const runId of ["chat", "agent", hook.status === "refused" ? "" : hook.runId])
    expect(await gateway.ended(runId)).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_EXPIRED" } });
});
