/**
 * Ten times more than a mailbox holds, over the real kernel, cells and store: what each policy answers, what is handled, in which
 * order, and that the kernel's own counters stay within the bound. Times are nowhere asserted.
 */
import { expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { RpcResult } from "../../runtime/edge/port.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const client = { connId: "t", clientId: "tester", mode: "t", scopes: ["operator.admin"] };
const sessions = 20;
const depthMax = 300;
const messages = 10 * depthMax;
const sessionOf = (at: number): string => `agent:main:s${at % sessions}`;

const open = (overflow: "reject" | "park" | "spill") =>
  openGateway([
    { id: "main", module: "echo", maxConcurrent: 16, mailbox: { depthMax, sessionDepthMax: depthMax, overflow } },
  ]);

/** The agent takes mail and handles none; `release` sets it going. */
function hold(gateway: TestGateway): { readonly release: () => void } {
  const { kernel } = gateway.driver;
  kernel.order("main", { type: "park", reason: "held by the test" }, Date.now());
  return { release: () => void kernel.unpark("main", Date.now()) };
}

const post = (gateway: TestGateway, at: number): Promise<RpcResult> =>
  gateway.doors.rpc(client, "chat.send", { sessionKey: sessionOf(at), message: `m${at}`, idempotencyKey: `m${at}` });

function held(gateway: TestGateway): number {
  const { agents, mail } = gateway.driver.kernel.state;
  const agent = agents.get("main");
  expect(mail.size).toBeLessThanOrEqual(depthMax);
  return (agent?.depth ?? 0) - (agent?.appending ?? 0);
}

/** What the sessions' transcripts say was handled, in order. */
async function handled(gateway: TestGateway): Promise<number[][]> {
  const read = Array.from({ length: sessions }, async (_, at) => {
    const { rows } = await gateway.store.history("main", sessionOf(at), messages * 2, 0);
    return rows.filter(({ role }) => role === "user").map(({ text }) => Number(text.slice(1)));
  });
  return Promise.all(read);
}

function expectAll(found: readonly number[][], wanted: readonly number[]): void {
  for (const [session, numbers] of found.entries())
    expect(numbers).toEqual(wanted.filter((at) => at % sessions === session));
}

test("spill: all are accepted, the kernel holds no more than its bound, and all are handled once and in order", async () => {
  const gateway = await open("spill");
  const { release } = hold(gateway);
  for (let at = 0; at < messages; at += 500) {
    const answers = await Promise.all(Array.from({ length: 500 }, (_, each) => post(gateway, at + each)));
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
    expect(held(gateway)).toBeLessThanOrEqual(depthMax);
  }
  expect(gateway.driver.kernel.view("main")).toMatchObject({ queueDepth: messages });
  expect(gateway.driver.kernel.state.agents.get("main")?.spill?.count).toBe(messages - depthMax);
  release();
  // The last of all is asked for while it lies on the disk.
  expect(await gateway.doors.waitRun(`m${messages - 1}`, 120_000)).toMatchObject({ status: "ok" });
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth, { timeout: 60_000 }).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expectAll(
    await handled(gateway),
    Array.from({ length: messages }, (_, at) => at),
  );
}, 180_000);

test("reject: as many are accepted as there are places, every other is told to come again, and no more is handled", async () => {
  const gateway = await open("reject");
  const { release } = hold(gateway);
  const answers = await Promise.all(Array.from({ length: messages }, (_, at) => post(gateway, at)));
  expect(held(gateway)).toBe(depthMax);
  const accepted = answers.flatMap((answer, at) => (answer.ok ? [at] : []));
  expect(accepted).toEqual(Array.from({ length: depthMax }, (_, at) => at));
  for (const answer of answers.filter(({ ok }) => !ok))
    expect(answer).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_FULL", retryAfterMs: 1_000 } });
  release();
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth, { timeout: 60_000 }).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expectAll(await handled(gateway), accepted);
}, 180_000);

test("park: as many wait for a place as may, the others are refused, and who waited is accepted in order", async () => {
  const gateway = await open("park");
  const { release } = hold(gateway);
  const taken = depthMax + limits.parkedSendersMax;
  const posted = Array.from({ length: messages }, (_, at) => post(gateway, at));
  // Those beyond places and waiting room are answered while the agent stands still.
  const refused = await Promise.all(posted.slice(taken));
  for (const answer of refused) expect(answer).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_FULL" } });
  expect(gateway.driver.kernel.state.agents.get("main")?.crowd).toHaveLength(limits.parkedSendersMax);
  await expect.poll(() => held(gateway)).toBe(depthMax);
  release();
  const answers = await Promise.all(posted);
  const accepted = answers.flatMap((answer, at) => (answer.ok ? [at] : []));
  expect(accepted).toEqual(Array.from({ length: taken }, (_, at) => at));
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth, { timeout: 60_000 }).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expectAll(await handled(gateway), accepted);
  expect(gateway.driver.kernel.state.heldChars).toBe(0);
}, 180_000);

test("a backlog that a restart finds is not read into memory, whatever the policy is by then", async () => {
  const makeAgent = (overflow: "reject" | "spill") => ({
    id: "main",
    module: "echo",
    mailbox: { depthMax: 10, sessionDepthMax: 10, overflow },
  });
  const config = makeConfig([makeAgent("spill")]);
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openMemoryStore({ stateDir: config.stateDir, agents });
  const before = await openGateway([], {}, { store, config });
  hold(before);
  for (let at = 0; at < 200; at++) expect(await post(before, at)).toMatchObject({ ok: true });
  await before.drain(0);
  const gateway = await openGateway(
    [],
    {},
    { store, config: { ...config, agents: makeConfig([makeAgent("reject")], {}, config.stateDir).agents } },
  );
  expect(gateway.driver.kernel.state.mail.size).toBeLessThanOrEqual(10);
  expect(await gateway.doors.waitRun("m199", 60_000)).toMatchObject({ status: "ok", reply: "m199" });
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expectAll(
    await handled(gateway),
    Array.from({ length: 200 }, (_, at) => at),
  );
});

test("what is stopped behind a backlog ends while the agent stands still, and is not there after a restart", async () => {
  const config = makeConfig([
    { id: "main", module: "echo", mailbox: { depthMax: 10, sessionDepthMax: 10, overflow: "spill" } },
  ]);
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openMemoryStore({ stateDir: config.stateDir, agents });
  const before = await openGateway([], {}, { store, config });
  hold(before);
  for (let at = 0; at < 200; at++) expect(await post(before, at)).toMatchObject({ ok: true });
  const stop = (params: object): Promise<RpcResult> => before.doors.rpc(client, "chat.abort", params);
  const waiting = before.doors.waitRun("m150", 60_000);
  expect(await stop({ sessionKey: sessionOf(150), runId: "m150" })).toMatchObject({ ok: true });
  const ended = { status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } };
  expect(await waiting).toMatchObject(ended);
  expect(await before.doors.waitRun("m150", 0)).toMatchObject(ended);
  // The first of the session is in memory, the others are on the disk.
  expect(await stop({ sessionKey: sessionOf(7) })).toMatchObject({ payload: { runIds: ["m7"] } });
  await expect.poll(() => before.driver.kernel.view("main")).toMatchObject({ queueDepth: 189 });
  const { total } = await store.deadLetters({ fate: "dropped", limit: 1, offset: 0 });
  expect(total).toBe(11);
  await before.drain(0);
  const gateway = await openGateway([], {}, { store, config });
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth, { timeout: 60_000 }).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expectAll(
    await handled(gateway),
    Array.from({ length: 200 }, (_, at) => at).filter((at) => at % sessions !== 7 && at !== 150),
  );
});

test("an agent's sends wait for a slow one and arrive in order", async () => {
  const gateway = await openGateway(
    [
      {
        id: "main",
        ...actor("burst"),
      },
      { id: "slow", module: "echo", maxConcurrent: 1, mailbox: { depthMax: 3, sessionDepthMax: 3, overflow: "park" } },
    ],
    { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" },
  );
  expect(await gateway.reply("main", "60")).toBe("sent 60, refused 0");
  await expect.poll(() => gateway.driver.kernel.view("slow")?.queueDepth).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  const { rows } = await gateway.store.history("slow", "agent:slow:main", 200, 0);
  expect(rows.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual(
    Array.from({ length: 60 }, (_, at) => `part ${at}`),
  );
});

test("what is stopped on the disk stays stopped over a restart, and what came after it does not", async () => {
  const config = makeConfig([
    { id: "main", module: "echo", mailbox: { depthMax: 10, sessionDepthMax: 10, overflow: "spill" } },
  ]);
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openMemoryStore({ stateDir: config.stateDir, agents });
  const before = await openGateway([], {}, { store, config });
  hold(before);
  for (let at = 0; at < 100; at++) expect(await post(before, at)).toMatchObject({ ok: true });
  // m0 and m1 are in memory; the stop of their sessions finds those behind them on the disk.
  expect(await before.doors.rpc(client, "chat.abort", { sessionKey: sessionOf(0) })).toMatchObject({ ok: true });
  expect(await before.doors.rpc(client, "chat.abort", { sessionKey: sessionOf(1), runId: "m21" })).toMatchObject({
    ok: true,
  });
  for (let at = 100; at < 120; at++) expect(await post(before, at)).toMatchObject({ ok: true });
  await before.drain(0);
  const gateway = await openGateway([], {}, { store, config });
  expect(await gateway.doors.waitRun("m119", 60_000)).toMatchObject({ status: "ok", reply: "m119" });
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth).toBe(0);
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  const stopped = [0, 20, 40, 60, 80, 21];
  expectAll(
    await handled(gateway),
    Array.from({ length: 120 }, (_, at) => at).filter((at) => !stopped.includes(at)),
  );
  expect(await store.deadLetters({ limit: 10 })).toMatchObject({
    rows: stopped.map(() => ({ fate: "dropped", reason: "the operator stopped it" })),
    total: stopped.length,
  });
  // Once nothing waits that they may mean, they are forgotten.
  expect(await store.stops()).toHaveLength(2);
  await gateway.drain(0);
  await openGateway([], {}, { store, config });
  expect(await store.stops()).toEqual([]);
});
