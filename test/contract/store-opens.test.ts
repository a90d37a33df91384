/** What a message costs in stores, on a gateway with real cells: the one of the agent that handles it. */
import { expect, test } from "vitest";
import { openGateway } from "../support/gateway.ts";

test("a message opens one store, once, however many agents are configured", async () => {
  const idle = Array.from({ length: 200 }, (_, n) => ({ id: `idle${n}`, module: "echo" }));
  const gateway = await openGateway([...idle, { id: "ann", module: "echo" }, { id: "bob", module: "echo" }], {});
  const opens = async () => (await gateway.store.counters()).agentOpens;
  expect(await opens()).toEqual({});
  expect(await gateway.reply("ann", "first")).toBe("first");
  expect(await opens()).toEqual({ ann: 1 });
  expect(await gateway.reply("ann", "second")).toBe("second");
  expect(await gateway.reply("bob", "third")).toBe("third");
  expect(await opens()).toEqual({ ann: 1, bob: 1 });
});
