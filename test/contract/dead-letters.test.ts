/** Dead letters as an operator handles them, over the real kernel, cells and store: methods, counts, events, audit. */
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const crasher = {
  module: fileURLToPath(new URL("../fixtures/actors/crasher.ts", import.meta.url)),
  moduleKind: "file",
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
  const id = await vi.waitFor(async () => {
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
  expect(await call(gateway, "deadletters.list", { agentId: "other" })).toMatchObject({ count: 0, total: 0 });
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
  expect(await gateway.doors.waitRun(replayed["runId"] as string, 20_000)).toMatchObject({
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
  await vi.waitFor(async () => {
    expect((await store.audits(50)).filter(({ type }) => type === "deadletter_replayed")).toMatchObject([
      { subject: "tester", object: "agent:main:main", decision: "allowed", envelopeId: id },
    ]);
  });
});

test("a replay in the same process: who waits for the run hears its new end", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  const id = await poison(gateway);
  const { runId } = await call(gateway, "deadletters.replay", { id });
  expect(await gateway.doors.waitRun(runId as string, 20_000), "not the end of before").toMatchObject({
    refusal: { code: "CLOISTER_MAILBOX_POISON" },
  });
  const again = (await gateway.store.deadLetters({ limit: 10 })).rows;
  expect(again).toMatchObject([{ preview: "exit", attempts: 3 }]);
  expect(again[0]?.header.id, "a letter of its own").not.toBe(id);
});

test("a replay that is refused says why and keeps the letter", async () => {
  const gateway = await openGateway([{ id: "main", ...crasher }]);
  const id = await poison(gateway);
  gateway.driver.kernel.disable("main", "its module is gone");
  await expect(call(gateway, "deadletters.replay", { id })).rejects.toMatchObject({
    code: "CLOISTER_AGENT_DISABLED",
    message: expect.stringContaining("its module is gone"),
  });
  expect(await gateway.store.deadLetter(id)).toBeDefined();
  expect(await call(gateway, "status")).toMatchObject({ deadLetters: { total: 1 } });
  await vi.waitFor(async () => {
    expect((await gateway.store.audits(50)).filter(({ type }) => type === "deadletter_replayed")).toMatchObject([
      { decision: "refused", code: "CLOISTER_AGENT_DISABLED" },
    ]);
  });
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
  const picky = fileURLToPath(new URL("../fixtures/actors/picky.ts", import.meta.url));
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
    hooks: { enabled: true, path: "/hooks", allowRequestSessionKey: false },
  });
  const { kernel } = gateway.driver;
  kernel.order("main", { type: "park", reason: "held by the test" }, Date.now());
  const sessionKey = "agent:main:main";
  await call(gateway, "chat.send", { sessionKey, message: "chat", ttlMs: 1, idempotencyKey: "chat" });
  await call(gateway, "agent", { sessionKey, message: "agent", ttlMs: 1, idempotencyKey: "agent" });
  const hook = await gateway.doors.hook({ name: "t", message: "hook", agentId: "main", ttlMs: 1 });
  await call(gateway, "chat.send", { sessionKey, message: "kept", ttlMs: 3_600_000, idempotencyKey: "kept" });
  const acceptedMs = Date.now();
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(acceptedMs + 2));
  kernel.unpark("main", Date.now());
  expect(await gateway.doors.waitRun("kept", 20_000)).toMatchObject({ status: "ok", reply: "kept" });
  for (const runId of ["chat", "agent", hook.status === "refused" ? "" : hook.runId])
    expect(await gateway.doors.waitRun(runId, 20_000)).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_EXPIRED" } });
});
