/** What an agent costs that is configured and never has mail (promise P7): looking at it must not make what it does not need. */
import { expect, it } from "vitest";
import { gate, type Script } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";

const done: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

it("asking for the turns in flight, stopping sessions and agents, views and the clock make no entry for a dormant agent", () => {
  const { kernel, nowMs } = makeDriver({ agents: ["main", "raul"], script: done });
  const made = (): string[] => kernel.state.agents.made().map(({ spec }) => spec.id);
  expect([kernel.state.agents.size, made()]).toEqual([2, []]);
  expect(kernel.turnsInFlight()).toBe(0);
  expect(kernel.views().map(({ id, phase }) => [id, phase])).toEqual([
    ["main", "dormant"],
    ["raul", "dormant"],
  ]);
  expect([kernel.view("raul")?.phase, kernel.oldestMs("raul"), kernel.inHand("raul")]).toEqual([
    "dormant",
    undefined,
    [],
  ]);
  expect(kernel.sessionView("raul", "agent:raul:main")).toMatchObject({ phase: "dormant", waiting: 0 });
  for (const scope of [{ type: "all" }, { type: "agent", agentId: "raul" }] as const)
    expect(kernel.stop(scope, "t", nowMs)).toMatchObject({ active: [], queued: [] });
  expect(kernel.stop({ type: "session", sessionKey: "agent:main:main" }, "t", nowMs)).toMatchObject({
    active: [],
    queued: [],
  });
  kernel.tick(nowMs + 60_000);
  expect(made()).toEqual([]);
});
