/** Operators' grants between the store and a real kernel. */
import { expect, test } from "vitest";
import { makeGrants } from "../../../runtime/supervisor/grants.ts";
import { gate, type Script, storedOf } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";

/** `send`: a message to main's session now, and one more when the gate opens. */
const sender: Script = function* (turn) {
  if (turn.body !== "send") {
    yield* gate("main goes on");
    return { reply: "done" };
  }
  yield* storedOf(turn.send("agent:main:main", "before"));
  yield* gate("raul goes on");
  yield* storedOf(turn.send("agent:main:main", "after"));
  return {};
};

test("P5: a grant that is taken back while its agent leaves has no effect from the next delivery on", async () => {
  const driver = makeDriver({ agents: ["main", "raul"], script: sender, pairings: [] });
  const agents = new Map([
    ["main", {}],
    ["raul", {}],
  ]);
  const grants = makeGrants({
    kept: [],
    agents,
    store: {
      keepGrant: () => Promise.resolve(),
      dropGrant: () => Promise.resolve(),
      audit: () => Promise.resolve(),
    },
    kernel: () => driver.kernel,
    newId: () => "g1",
    nowMs: () => driver.nowMs,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  await grants.add({ from: "raul", to: "main", verbs: ["send"] }, "operator");
  driver.tell("agent:main:main", "busy");
  driver.tell("agent:raul:main", "send");
  driver.settle();
  // As the configuration removes it: it is no agent of the map, and its turn may still end.
  agents.delete("raul");
  driver.kernel.removeAgent("raul", driver.nowMs);
  driver.settle();
  await grants.revoke("g1", "operator");
  // It has not gone yet when what it sent would be delivered, nor when it sends again.
  driver.open("main goes on");
  expect(driver.outcomes("before")).toMatchObject([{ status: "error", code: "CLOISTER_CAPABILITY_REVOKED" }]);
  driver.open("raul goes on");
  driver.finish();
  expect(driver.handled.filter(({ agentId }) => agentId === "main").map(({ body }) => body)).toEqual(["busy"]);
});
