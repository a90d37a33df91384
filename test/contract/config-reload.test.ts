/** The configuration changes while real cells work. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { Applied } from "../../runtime/supervisor/config-desk.ts";
import { actor, moduleOf } from "../support/actors.ts";
import { makeConfig, openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { execSettings } from "../support/exec-settings.ts";
import { quietEdge } from "../support/quiet-edge.ts";

const held = (id: string, more: Partial<TestAgent> = {}): TestAgent => ({ id, ...actor("holder"), ...more });

/** The same state directory with other agents and settings. */
const change = (
  gateway: TestGateway,
  agents: readonly TestAgent[],
  changes: Partial<ResolvedConfig> = {},
): Promise<Applied> => {
  const config = {
    ...makeConfig(agents, changes, gateway.config.stateDir),
    revision: JSON.stringify([agents, changes]),
  };
  return gateway.configDesk.apply({ config, files: new Map() }, "test");
};

const goOn = (gateway: TestGateway, id: string): void => {
  writeFileSync(path.join(gateway.config.stateDir, `workspace-${id}`, "go-on"), "");
};
const phase = (gateway: TestGateway, id: string) => gateway.driver.kernel.view(id)?.phase;
const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };

test("an agent whose module could not be loaded works when the configuration names another, with its mail", async () => {
  const gateway = await openGateway([{ id: "main", ...moduleOf("throws.ts") }]);
  expect(await gateway.say("main", "kept")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_DISABLED" } });
  // Its cell may still be ending: what the change asks for is done when that is over.
  await change(gateway, [{ id: "main", module: "echo" }]);
  await gateway.until(() => phase(gateway, "main") !== "disabled");
  expect(await gateway.reply("main", "new")).toBe("new");
  const { rows } = await gateway.store.history("main", "agent:main:main", 10, 0);
  expect(rows.map(({ text }) => text)).toEqual(["kept", "kept", "new", "new"]);
});

test("an agent that an operator stopped while it was disabled is not started by the change that repairs it", async () => {
  const gateway = await openGateway([{ id: "main", ...moduleOf("throws.ts") }]);
  expect(await gateway.say("main", "kept")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_DISABLED" } });
  const order = (name: "start" | "stop") => gateway.doors.rpc(client, `agents.${name}`, { agentId: "main" });
  // What was asked for before, and waits for the end of its cell, is taken back as well.
  expect(await order("start")).toMatchObject({ payload: { done: true, before: "disabled" } });
  expect(await order("stop")).toMatchObject({ payload: { done: true } });
  await change(gateway, [{ id: "main", module: "echo" }]);
  await gateway.until(() => phase(gateway, "main") === "parked");
  expect(await gateway.store.orders()).toMatchObject([{ agentId: "main", reason: "stopped by the operator" }]);
  expect(await order("start")).toMatchObject({ payload: { done: true, before: "parked" } });
  expect(await gateway.reply("main", "new")).toBe("new");
  expect(await gateway.store.orders()).toEqual([]);
});

test("what a change brings to be warned of is in the log, once", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  const warnings = [
    { path: "agents.list[0].model", message: 'is "gpt", which names no provider', remedy: "Name one." },
  ];
  const told = () =>
    gateway.logged.filter(({ message }) => message.startsWith("config: ")).map(({ message }) => message);
  await change(gateway, [{ id: "main", module: "echo" }], { warnings, jobs: { enabled: false } });
  expect(told()).toEqual(['config: agents.list[0].model: is "gpt", which names no provider → Name one.']);
  await change(gateway, [{ id: "main", module: "echo" }], { warnings });
  expect(told()).toHaveLength(1);
});

test("a sandbox that a change brings and that cannot be set up here is in the log, as one at the start is", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  const box = { ...execSettings().box, image: "cloister.invalid/not-there" };
  const boxed = { id: "main", module: "echo", sandboxMode: "all", exec: { ...execSettings(), backend: "docker", box } };
  await change(gateway, [boxed as TestAgent]);
  const told = () => gateway.logged.filter(({ message }) => message.startsWith("a sandbox cannot be set up"));
  await expect
    .poll(told, { timeout: 30_000 })
    .toMatchObject([{ level: "warn", fields: { agents: ["main"], backend: "docker", reason: expect.any(String) } }]);
});

describe("W-10: an agent that is removed", () => {
  test("ends its turn and its cell, its mail has a fate, its rights are gone, and nobody else notices", async () => {
    const gateway = await openGateway([held("main"), held("raul")], {
      agentToAgent: { enabled: true, allow: ["*"] },
      visibility: "all",
    });
    const running = gateway.say("raul", "hold this");
    await expect.poll(() => phase(gateway, "raul")).toBe("running");
    const waiting = gateway.say("raul", "behind it");
    await expect.poll(() => gateway.driver.kernel.view("raul")?.queueDepth).toBe(1);
    const others = gateway.say("main", "hold as well");
    await expect.poll(() => phase(gateway, "main")).toBe("running");
    const incarnation = gateway.driver.kernel.view("main")?.incarnation;

    await change(gateway, [held("main")], { agentToAgent: { enabled: true, allow: ["main"] }, visibility: "all" });
    expect(await waiting).toMatchObject({ status: "error", refusal: { code: "CLOISTER_AGENT_UNKNOWN" } });
    await expect(gateway.say("raul", "late")).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
    expect(gateway.agents().map(({ agentId }) => agentId)).toEqual(["main"]);
    expect(phase(gateway, "raul")).toBe("running");
    goOn(gateway, "raul");
    expect(await running).toMatchObject({ status: "ok", reply: "hold this" });
    await expect.poll(() => phase(gateway, "raul")).toBeUndefined();
    expect(gateway.driver.pairings.of("agent:raul")).toEqual([]);
    expect(gateway.driver.liveCells).toBe(1);
    const { rows } = await gateway.store.deadLetters({ limit: 10, offset: 0 });
    expect(rows.map(({ fate, reason }) => ({ fate, reason }))).toEqual([
      { fate: "undeliverable", reason: "the agent raul is no longer configured" },
    ]);

    goOn(gateway, "main");
    expect(await others).toMatchObject({ status: "ok", reply: "hold as well" });
    expect(gateway.driver.kernel.view("main")?.incarnation).toBe(incarnation);
    await expect
      .poll(async () => (await gateway.store.audits(20)).map(({ type }) => type))
      .toEqual(expect.arrayContaining(["config_applied", "agent_removed"]));
  });

  test("and comes back later starts anew, with what its sessions were", async () => {
    const gateway = await openGateway([held("main"), held("raul")]);
    expect(await gateway.reply("raul", "first")).toBe("first");
    await change(gateway, [held("main")]);
    await expect.poll(() => phase(gateway, "raul")).toBeUndefined();
    await change(gateway, [held("main"), held("raul")]);
    expect(await gateway.reply("raul", "second")).toBe("second");
    const history = await gateway.doors.rpc(client, "chat.history", { sessionKey: "agent:raul:main" });
    expect(JSON.stringify(history)).toMatch(/"first"[^]*"second"/);
  });
});

test("W-07: an agent that is taken out of agentToAgent.allow may not send any more, while the run in hand is finished", async () => {
  const rights = (allow: readonly string[]): Partial<ResolvedConfig> => ({
    agentToAgent: { enabled: true, allow },
    visibility: "all",
  });
  const talker: TestAgent = { id: "main", ...actor("tool-user") };
  const gateway = await openGateway([talker, held("raul")], rights(["main", "raul"]));
  const call = (message: string) =>
    gateway.reply(
      "main",
      JSON.stringify({
        tool: "sessions_send",
        params: { sessionKey: "agent:raul:main", message, timeoutSeconds: 20 },
      }),
    );
  const running = call("hold");
  await expect.poll(() => phase(gateway, "raul")).toBe("running");
  await change(gateway, [talker, held("raul")], rights(["raul"]));
  goOn(gateway, "raul");
  expect(await running).toContain('"reply":"hold"');
  expect(await call("again")).toContain("forbidden");
  await change(gateway, [talker, held("raul")], rights(["main", "raul"]));
  expect(await call("once more")).toContain('"reply":"once more"');
});

test("A10.3: while agents come, change and go, the turns of the others go on, and every message is answered or has a fate", async () => {
  const gateway = await openGateway([held("main"), held("steady")]);
  const over = new AbortController();
  const talk = async (): Promise<number> => {
    let turns = 0;
    for (; !over.signal.aborted; turns++) expect(await gateway.reply("steady", `m${turns}`)).toBe(`m${turns}`);
    return turns;
  };
  const long = gateway.say("main", "hold");
  const steady = talk();
  await expect.poll(() => phase(gateway, "main")).toBe("running");
  const ends: Promise<string>[] = [];
  for (let round = 0; round < 12; round++) {
    const agents = [held("main"), held("steady"), held(`come-${round % 3}`, { name: `n${round}` })];
    expect(await change(gateway, agents)).toMatchObject({ status: "applied" });
    ends.push(
      gateway.say(`come-${round % 3}`, "hello").then(
        (result) => (result.status === "ok" ? "ok" : result.status === "error" ? result.refusal.code : result.status),
        (error: { readonly code: string }) => error.code,
      ),
    );
  }
  over.abort();
  expect(await steady).toBeGreaterThan(3);
  goOn(gateway, "main");
  expect(await long).toMatchObject({ status: "ok", reply: "hold" });
  expect(gateway.driver.kernel.view("main")?.incarnation).toBe(1);
  expect(gateway.driver.kernel.view("steady")?.incarnation).toBe(1);
  for (const end of await Promise.all(ends)) expect(["ok", "CLOISTER_AGENT_UNKNOWN"]).toContain(end);
});

test("A2.5: a changed agent ends its turn under its old module, and what waited goes to the new one in order", async () => {
  const gateway = await openGateway([held("main")]);
  const first = gateway.say("main", "hold");
  await expect.poll(() => phase(gateway, "main")).toBe("running");
  const second = gateway.say("main", "second");
  await expect.poll(() => gateway.driver.kernel.view("main")?.queueDepth).toBe(1);
  await change(gateway, [{ id: "main", module: "echo" }]);
  const third = gateway.say("main", "third");
  goOn(gateway, "main");
  expect(await first).toMatchObject({ status: "ok", reply: "hold" });
  expect(await second).toMatchObject({ status: "ok", reply: "second" });
  expect(await third).toMatchObject({ status: "ok", reply: "third" });
  expect(gateway.driver.kernel.view("main")?.incarnation).toBe(2);
});

describe("a change that cannot be made", () => {
  test("leaves everything as it was when the doors refuse it", async () => {
    const gateway = await openGateway([held("main")]);
    const refuse = { code: "CLOISTER_CONFIG_INVALID" as const };
    gateway.attachEdge(quietEdge({ configure: () => Promise.reject(Object.assign(new Error("no"), refuse)) }));
    await expect(change(gateway, [held("main"), held("raul")])).rejects.toMatchObject(refuse);
    expect(gateway.agents().map(({ agentId }) => agentId)).toEqual(["main"]);
    expect(gateway.configDesk.status()).toMatchObject({ generation: 1, revision: "test" });
    await expect(gateway.say("raul", "hello")).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
    expect(await gateway.reply("main", "still here")).toBe("still here");
  });

  test("without a launcher what needs a restart is held back and named, and the rest counts", async () => {
    const gateway = await openGateway([held("main")]);
    const applied = await change(gateway, [held("main"), held("raul")], {
      gateway: { ...gateway.config.gateway, port: 4711 },
    });
    expect(applied).toMatchObject({ status: "applied", plan: { restart: [{ key: "gateway.port" }] } });
    expect(await gateway.reply("raul", "hello")).toBe("hello");
    const status = await gateway.doors.rpc(client, "status", {});
    expect(status).toMatchObject({ payload: { config: { generation: 2, restart: [{ key: "gateway.port" }] } } });
  });
});
