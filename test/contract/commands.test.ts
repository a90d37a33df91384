/** Chat commands with real cells: what the gateway answers before an agent, past every queue. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it, vi } from "vitest";
import type { InboundEvent } from "../../channels/port.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { RunResult } from "../../runtime/edge/port.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actorPath } from "../support/actors.ts";
import { groupsOf, makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const module = actorPath("holder");
const main = "agent:main:main";

const openHolder = (changes: Partial<ResolvedConfig> = {}, reuse?: Parameters<typeof openGateway>[2]) =>
  openGateway([{ id: "main", module, moduleKind: "file" }], changes, reuse);

const letGo = (gateway: TestGateway): void =>
  writeFileSync(path.join(gateway.config.agents[0]?.workspace ?? "", "go-on"), "");

const isHeld = (gateway: TestGateway) => expect.poll(() => gateway.agents()[0]?.activeRuns).toBe(1);

const eventOf = (text: string, facts: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "webhook",
  accountId: "default",
  peer: { kind: "direct", id: "u1" },
  sender: { id: "u1" },
  text,
  tsMs: 0,
  ...facts,
});

/** Sends it through the channel and gives the answer of its run. */
async function write(gateway: TestGateway, text: string, facts: Partial<InboundEvent> = {}): Promise<RunResult> {
  const result = await gateway.doors.inbound(eventOf(text, facts), facts.messageId);
  if (!("runId" in result)) throw new Error(JSON.stringify(result));
  return gateway.ended(result.runId);
}

const replyOf = (result: RunResult): string => (result.status === "ok" ? (result.reply ?? "") : JSON.stringify(result));

it("/stop takes effect behind a full backlog: what waits first, then what runs, with the counts", async () => {
  const gateway = await openGateway([
    {
      id: "main",
      module,
      moduleKind: "file",
      mailbox: { depthMax: 3, sessionDepthMax: 3, overflow: "reject" },
    },
  ]);
  const held = gateway.say("main", "hold");
  await isHeld(gateway);
  const waiting = [gateway.say("main", "one"), gateway.say("main", "two")];
  await expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(2);
  await expect(gateway.say("main", "three")).rejects.toMatchObject({ code: "CLOISTER_MAILBOX_FULL" });
  expect(replyOf(await gateway.say("main", "/stop"))).toBe("Stopped: 2 that waited, 1 that ran.");
  for (const run of [held, ...waiting])
    expect(await run).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
  expect(replyOf(await gateway.say("main", "/stop"))).toBe("Nothing was running, and nothing waited.");
  expect(await gateway.reply("main", "again")).toBe("again");
});

it("/stop of what lies on the disk is kept before it is answered, so that a restart forgets nothing of it", async () => {
  const mailbox = { depthMax: 2, sessionDepthMax: 2, overflow: "spill" } as const;
  const config = makeConfig([{ id: "main", module, moduleKind: "file", mailbox }]);
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openMemoryStore({ stateDir: config.stateDir, agents });
  const keepStops = vi.spyOn(store, "keepStops");
  const gateway = await openGateway([], {}, { store, config });
  const runs = [gateway.say("main", "hold")];
  await isHeld(gateway);
  for (const text of ["one", "two", "three", "four", "five"]) runs.push(gateway.say("main", text));
  await expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(5);
  expect(replyOf(await gateway.say("main", "/stop"))).toMatch(/^Stopped: .* on the disk/);
  expect(keepStops.mock.calls.flat(2)).toMatchObject([{ agentId: "main", sessionKey: main }]);
  for (const run of runs)
    expect(await run).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
});

it("a command is no message: no turn, no row in the transcript, and its answer leaves by the channel", async () => {
  const gateway = await openHolder({
    webhook: { accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:9/" } }, defaultAccount: "default" },
  });
  expect(replyOf(await write(gateway, "/status"))).toContain(`Session: ${main}`);
  await gateway.until(() => gateway.sent.length === 1);
  expect(gateway.sent[0]).toMatchObject({ channel: "webhook", peer: { kind: "direct", id: "u1" }, sessionKey: main });
  expect(gateway.agents()[0]).toMatchObject({ phase: "dormant" });
  expect(await gateway.store.history("main", main, 10, 0)).toMatchObject({ total: 0 });
});

it("/status answers while a turn runs: session, agent, lane, what waits, queue, messages, context, compactions", async () => {
  const gateway = await openHolder();
  const held = gateway.say("main", "hold");
  await isHeld(gateway);
  const next = gateway.say("main", "next");
  await expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(1);
  expect(replyOf(await gateway.say("main", "/status")).split("\n")).toEqual([
    `Session: ${main}`,
    "Agent: main, running",
    "Model: none",
    "Running: 1 turn in lane main",
    "Waiting: 1",
    "Queue: steer (the default; nothing is dropped)",
    "Messages: 0",
    "Context: unknown",
    "🧹 Compactions: 0",
  ]);
  letGo(gateway);
  await Promise.all([held, next]);
});

it("/new begins the session anew, ends what ran, and hands on what follows it", async () => {
  const gateway = await openHolder();
  await gateway.reply("main", "before");
  const before = await gateway.store.session(main);
  const held = gateway.say("main", "hold");
  await isHeld(gateway);
  expect(await gateway.reply("main", "/NEW  first words")).toBe("first words");
  expect(await held).toMatchObject({ status: "error" });
  const history = await gateway.store.history("main", main, 10, 0);
  expect(history.sessionId).not.toBe(before?.sessionId);
  expect(history.rows.map(({ text }) => text)).toEqual(["first words", "first words"]);
  expect(await gateway.reply("main", "/reset")).toBe(`New session ${main}.`);
  expect(await gateway.store.history("main", main, 10, 0)).toMatchObject({ total: 0 });
});

it("/queue sets how messages wait, shows it, keeps it over a restart, and takes it back", async () => {
  const gateway = await openHolder();
  expect(await gateway.reply("main", "/queue")).toBe("Queue: steer (the default; nothing is dropped)");
  const set = "Queue: collect, debounce 1000 ms, cap 25, drop old (set for this session)";
  expect(await gateway.reply("main", "/queue collect debounce:1s cap:25 drop:old")).toBe(set);
  await gateway.drain(1_000);
  const again = await openHolder({}, { store: gateway.store, config: gateway.config });
  expect(await again.reply("main", "/queue")).toBe(set);
  expect(await again.reply("main", "/queue", "agent:main:other")).toMatch(/the default/u);
  expect(await again.reply("main", "/queue sideways")).toMatch(/^Found "sideways"\. Usage: \/queue /u);
  expect(await again.reply("main", "/queue default")).toMatch(/the default/u);
});

it("whose commands do not count, and what is no command, is an ordinary message", async () => {
  const gateway = await openHolder({
    commands: { text: true, native: true, owners: ["boss"], allowFrom: undefined, resetTriggers: ["/new"] },
    groups: groupsOf({ channels: { webhook: { groupPolicy: "open" } } }),
  });
  const group = { peer: { kind: "group", id: "g1" } } as const;
  expect(replyOf(await write(gateway, "/status", group))).toBe("/status");
  expect(replyOf(await write(gateway, "/status", { ...group, sender: { id: "boss" } }))).toMatch(/^Session: /u);
  for (const text of ["/unknown", "/reset", "please /stop", "/ stop"])
    expect(await gateway.reply("main", text)).toBe(text);
  for (const text of ["/stop all", "/status of my order"])
    expect(replyOf(await write(gateway, text, group))).toBe(text);
});

it("a command with words behind it that it does not take does nothing, and says how it is written", async () => {
  const gateway = await openHolder();
  const held = gateway.say("main", "hold");
  await isHeld(gateway);
  const usages = (await gateway.reply("main", "/help")).split("\n").map((line) => line.split(": ")[0] ?? "");
  const trailing: Readonly<Record<string, string>> = {
    "/stop": "/stop all",
    "/status": "/status of my order",
    "/queue": "/queue all of it",
    "/activation": "/activation sometimes",
    "/send": "/send all of it",
    "/elevated": "/elevated for this once",
    "/subagents": "/subagents of raul",
    "/approve": "/approve of raul",
    "/compact": `/compact ${"x".repeat(limits.compactFocusCharsMax + 1)}`,
    "/context": "/context of raul",
    "/model": "/model of raul",
    "/think": "/think of raul",
    "/verbose": "/verbose of raul",
    "/session": "/session of raul",
    "/agents": "/agents of raul",
    "/help": "/help me",
  };
  // What follows /new and /reset is the first message of the new session.
  expect(Object.keys(trailing)).toEqual(
    usages.map((usage) => usage.split(" ")[0]).filter((name) => name !== "/new" && name !== "/reset"),
  );
  for (const [name, text] of Object.entries(trailing)) {
    const reply = await gateway.reply("main", text);
    expect(reply, text).toContain(`Usage: ${usages.find((usage) => usage.startsWith(name))}`);
  }
  expect(gateway.agents()[0]).toMatchObject({ activeRuns: 1, queueDepth: 0 });
  letGo(gateway);
  expect(await held).toMatchObject({ status: "ok" });
  expect(await gateway.store.history("main", main, 10, 0)).toMatchObject({ total: 2 });
});

it("a command that comes twice is carried out once", async () => {
  const gateway = await openHolder();
  const first = await gateway.doors.inbound(eventOf("/reset", { messageId: "m1" }), "m1");
  await gateway.reply("main", "kept");
  const second = await gateway.doors.inbound(eventOf("/reset", { messageId: "m1" }), "m1");
  expect(first).toMatchObject({ status: "accepted", sessionKey: main });
  expect(second).toEqual({ ...first, status: "duplicate" });
  expect(await gateway.store.history("main", main, 10, 0)).toMatchObject({ total: 2 });
});

it("§4.4: what changes a session needs the scope of the method that does the same, by whatever method it is sent", async () => {
  const gateway = await openHolder({
    commands: { text: true, native: true, owners: [], allowFrom: undefined, resetTriggers: ["/reset", "/fresh"] },
  });
  await gateway.reply("main", "before");
  const ask = (method: string, message: string, scope: string) => {
    const where = method === "chat.send" || method === "agent" ? { sessionKey: main } : { key: main };
    const client = { connId: "c", clientId: "c", mode: "test", scopes: [scope] };
    return gateway.doors.rpc(client, method, { ...where, message });
  };
  const sessionId = async () => (await gateway.store.session(main))?.sessionId;
  const first = await sessionId();
  for (const method of ["chat.send", "sessions.send", "sessions.steer", "agent"]) {
    for (const message of ["/reset", " /RESET again", "/fresh", "/queue interrupt"])
      expect([method, message, await ask(method, message, "operator.write")]).toEqual([
        method,
        message,
        { ok: false, refusal: expect.objectContaining({ missingScope: "operator.admin" }) },
      ]);
    for (const message of ["/status", "/stop", "/queue", "/resetting", "/new"])
      expect([method, message, await ask(method, message, "operator.write")]).toMatchObject([
        method,
        message,
        { ok: true },
      ]);
  }
  await expect.poll(() => gateway.driver.kernel.turnsInFlight()).toBe(0);
  expect([await sessionId(), replyOf(await gateway.say("main", "/queue"))]).toEqual([
    first,
    expect.stringContaining("the default"),
  ]);
  expect(await ask("chat.send", "/fresh", "operator.admin")).toMatchObject({ ok: true });
  await expect.poll(sessionId).not.toBe(first);
});

it("/help lists every command with its usage", async () => {
  const gateway = await openHolder();
  const lines = (await gateway.reply("main", "/help")).split("\n");
  expect(lines.map((line) => line.split(/[ :]/u)[0])).toEqual([
    "/stop",
    "/new",
    "/reset",
    "/status",
    "/queue",
    "/activation",
    "/send",
    "/elevated",
    "/subagents",
    "/approve",
    "/compact",
    "/context",
    "/model",
    "/think",
    "/verbose",
    "/session",
    "/agents",
    "/help",
  ]);
});
