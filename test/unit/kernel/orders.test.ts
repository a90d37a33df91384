import { describe, expect, it } from "vitest";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const park = { type: "park", reason: "stopped by the operator" } as const;
const restart = { type: "restart" } as const;

describe("an agent that is stopped or parked", () => {
  it("ends the turns that it has, then its cell; its mail is taken and waits until it is started", () => {
    const driver = makeDriver({ script: blocked });
    for (const body of ["a", "b"]) driver.tell(main, body);
    driver.settle();
    expect(driver.kernel.order("main", park, driver.nowMs)).toBe(true);
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("running");
    driver.open("go on");
    driver.finish();
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.kernel.view("main")).toMatchObject({ phase: "parked", reason: park.reason, queueDepth: 1 });
    expect(driver.ofType("stop-cell")).toEqual([expect.objectContaining({ reason: "shutdown" })]);
    const late = driver.tell(main, "c");
    driver.advance(120_000);
    expect(driver.accepted(late)).toMatchObject({ status: "stored" });
    expect(driver.handled.map(({ body }) => body)).toEqual(["a"]);

    expect(driver.kernel.unpark("main", driver.nowMs)).toBe(true);
    driver.settle();
    driver.open("go on");
    driver.open("go on");
    driver.finish();
    expect(driver.handled.map(({ body, attempt }) => [body, attempt])).toEqual([
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("whose turn does not end in time loses its cell; the message is delivered again and counts as no crash", () => {
    const driver = makeDriver({ limits: { agentStopMs: 1_000 }, script: blocked });
    driver.tell(main, "a");
    driver.settle();
    driver.kernel.order("main", park, driver.nowMs);
    driver.advance(900);
    expect(driver.kernel.view("main")?.phase).toBe("running");
    driver.advance(300);
    expect(driver.kernel.view("main")).toMatchObject({ phase: "parked", restarts: 0, queueDepth: 1 });
    expect(driver.kernel.state.agents.get("main")?.suspects).toBe(0);
    driver.kernel.unpark("main", driver.nowMs);
    driver.settle();
    driver.open("go on");
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.handled.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("tells who waits for its mail at once, and who asks later; a dormant one starts no cell", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        busy: blocked,
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send(raul, "work", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
      }),
    });
    driver.kernel.order("raul", park, driver.nowMs);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "parked", reason: park.reason });
    driver.tell(main, "ask");
    driver.settle();
    expect(driver.outcomes("ask")).toEqual([{ status: "ok", text: "CLOISTER_AGENT_PARKED" }]);
    expect(driver.ofType("start-cell").map(({ agentId }) => agentId)).toEqual(["main"]);

    driver.kernel.unpark("raul", driver.nowMs);
    driver.finish();
    driver.tell(raul, "busy");
    driver.settle();
    driver.tell(main, "ask");
    driver.settle();
    const before = driver.nowMs;
    driver.kernel.order("raul", park, driver.nowMs);
    driver.settle();
    driver.open("go on");
    expect(driver.nowMs).toBe(before);
    expect(driver.outcomes("ask")[1]).toEqual({ status: "ok", text: "CLOISTER_AGENT_PARKED" });
    expect(driver.kernel.view("raul")?.phase).toBe("parked");
  });

  it("goes on as it was when it is started before its turns have ended", () => {
    const driver = makeDriver({ script: blocked });
    for (const body of ["a", "b"]) driver.tell(main, body);
    driver.settle();
    driver.kernel.order("main", park, driver.nowMs);
    expect(driver.kernel.unpark("main", driver.nowMs)).toBe(true);
    driver.open("go on");
    driver.open("go on");
    driver.finish();
    expect(driver.ofType("stop-cell")).toEqual([]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["a", "b"]);
  });
});

describe("an agent that is restarted", () => {
  it("ends its turns and its cell, and goes on with its mail in a new one", () => {
    const driver = makeDriver({ script: blocked });
    for (const body of ["a", "b"]) driver.tell(main, body);
    driver.settle();
    expect(driver.kernel.order("main", restart, driver.nowMs)).toBe(true);
    driver.open("go on");
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(driver.handled.map(({ body, incarnation }) => [body, incarnation])).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", restarts: 0 });
  });

  it("waits for no back-off and forgets its crashes", () => {
    const driver = makeDriver({ limits: { restartBackoffMs: 5_000 }, jitter: 0.999, script: blocked });
    driver.tell(main, "a");
    driver.settle();
    driver.crash("main");
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("dormant");
    driver.kernel.order("main", restart, driver.nowMs);
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("running");
    expect(driver.kernel.state.agents.get("main")?.crashTimes).toEqual([]);
  });
});

it("an order that cannot be carried out is refused, and one that can is in the audit trail", () => {
  const driver = makeDriver({ agents: ["main", "broken"], script: blocked });
  driver.kernel.disable("broken", "no such module", driver.nowMs);
  for (const order of [park, restart]) {
    expect(driver.kernel.order("nobody", order, driver.nowMs)).toBe(false);
    expect(driver.kernel.order("broken", order, driver.nowMs)).toBe(order === park);
  }
  expect(driver.kernel.order("main", park, driver.nowMs)).toBe(true);
  expect(driver.kernel.order("main", restart, driver.nowMs)).toBe(false);
  expect(driver.kernel.order("main", { ...park, reason: "another" }, driver.nowMs)).toBe(true);
  expect(driver.kernel.view("main")?.reason).toBe("another");
  expect(driver.audits("order").map(({ object, detail }) => [object, detail])).toEqual([
    ["agent:broken", "park: stopped by the operator"],
    ["agent:main", "park: stopped by the operator"],
    ["agent:main", "park: another"],
  ]);
});
