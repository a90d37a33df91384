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
