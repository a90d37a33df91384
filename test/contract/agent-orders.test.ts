/** An operator stops, parks, starts and restarts agents of a running gateway. */
import { expect, test } from "vitest";
import { openGateway } from "../support/gateway.ts";

test("a stopped or parked agent shows why and keeps its mail until it is started; a restarted one gets a new cell", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };
  const order = async (method: string, params: object = { agentId: "main" }) =>
    (await gateway.doors.rpc(client, `agents.${method}`, params)) as unknown;
  const isIn = (phase: string) => expect.poll(() => gateway.agents()[0]?.phase).toBe(phase);
  expect(await gateway.reply("main", "hello")).toBe("hello");

  expect(await order("stop")).toMatchObject({ ok: true, payload: { done: true, before: "live" } });
  await isIn("parked");
  expect(gateway.agents()[0]).toMatchObject({ phase: "parked", reason: "stopped by the operator", restarts: 0 });
  const waiting = gateway.say("main", "kept");
  await expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(1);
  expect(await order("restart")).toMatchObject({ ok: true, payload: { done: false, before: "parked" } });
  expect(await order("start")).toMatchObject({ ok: true, payload: { done: true, before: "parked" } });
  expect(await waiting).toMatchObject({ status: "ok", reply: "kept" });
  expect(await order("start")).toMatchObject({ ok: true, payload: { done: false } });

  expect(await order("park", { agentId: "MAIN", reason: "moves to another machine" })).toMatchObject({ ok: true });
  await isIn("parked");
  expect(gateway.agents()[0]?.reason).toBe("parked by the operator: moves to another machine");
  await order("start");

  expect(await gateway.reply("main", "again")).toBe("again");
  expect(await order("restart")).toMatchObject({ ok: true, payload: { done: true } });
  await isIn("dormant");
  expect(gateway.agents()[0]).toMatchObject({ restarts: 0 });
  expect(await gateway.reply("main", "in a new cell")).toBe("in a new cell");
  expect(await order("stop", { agentId: "nobody" })).toMatchObject({
    ok: false,
    refusal: { code: "CLOISTER_AGENT_UNKNOWN" },
  });
});

test("what was ordered holds in the next process, before its first message, until it is taken back", async () => {
  const agents = ["main", "raul", "ana"].map((id) => ({ id, module: "echo" }));
  const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };
  let gateway = await openGateway(agents);
  const next = async () => {
    await gateway.drain(0);
    gateway = await openGateway(agents, {}, { store: gateway.store, config: gateway.config });
  };
  const order = (method: string, agentId: string, params: object = {}) =>
    gateway.doors.rpc(client, `agents.${method}`, { agentId, ...params });
  const phases = () => gateway.agents().map(({ agentId, phase, reason }) => [agentId, phase, reason ?? null]);
  await order("stop", "main");
  await order("park", "raul", { reason: "moves" });
  await order("stop", "ana");
  // The last order counts.
  await order("park", "ana", { reason: "for good" });
  await next();
  expect(phases()).toEqual([
    ["main", "parked", "stopped by the operator"],
    ["raul", "parked", "parked by the operator: moves"],
    ["ana", "parked", "parked by the operator: for good"],
  ]);
  const said = await gateway.doors.rpc(client, "chat.send", { sessionKey: "agent:main:main", message: "kept" });
  expect(said).toMatchObject({ ok: true });
  await order("start", "raul");
  await order("unpark", "ana");
  await next();
  expect(phases()).toEqual([
    ["main", "parked", "stopped by the operator"],
    ["raul", "dormant", null],
    ["ana", "dormant", null],
  ]);
  expect(gateway.agents()[0]?.queueDepth).toBe(1);
  expect(await gateway.reply("raul", "hello")).toBe("hello");
  await order("start", "main");
  expect(await gateway.reply("main", "after")).toBe("after");
  const history = await gateway.doors.rpc(client, "chat.history", { sessionKey: "agent:main:main" });
  expect(JSON.stringify(history)).toMatch(/"kept"[^]*"kept"[^]*"after"/);
  expect(await gateway.store.orders()).toEqual([]);
});

test("an order that the store cannot keep is refused and changes nothing", async () => {
  const { store, config } = await openGateway([{ id: "main", module: "echo" }]);
  const broken = new Proxy(store, {
    get: (target, name) =>
      name === "keepOrder"
        ? () => Promise.reject(Object.assign(new Error("the disk is gone"), { code: "CLOISTER_STORE_FAILED" }))
        : Reflect.get(target, name),
  });
  const gateway = await openGateway([{ id: "main", module: "echo" }], {}, { store: broken, config });
  const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };
  expect(await gateway.doors.rpc(client, "agents.stop", { agentId: "main" })).toMatchObject({
    ok: false,
    refusal: { code: "CLOISTER_STORE_FAILED" },
  });
  expect(await gateway.reply("main", "goes on")).toBe("goes on");
});

test("mail to a parked agent is told to whoever looks at the list", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };
  await gateway.doors.rpc(client, "agents.stop", { agentId: "main" });
  const depths = () =>
    gateway.events.flatMap(({ event, payload }) =>
      event === "agents" ? payload.agents.map(({ queueDepth }) => queueDepth) : [],
    );
  for (const depth of [1, 2]) {
    await gateway.doors.rpc(client, "chat.send", { sessionKey: "agent:main:main", message: `m${depth}` });
    await expect.poll(() => depths().at(-1)).toBe(depth);
  }
});
