/** From the decision that a cell ends to its end. */
import { describe, expect, it } from "vitest";
import { up } from "../../../runtime/kernel/frames.ts";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

const answers: Script = function* () {
  yield* gate("answer");
  return { reply: "answered" };
};

const asks = (to: string): Script =>
  function* (turn) {
    const heard = yield* answerOf(turn.send(to, "work", { timeoutMs: 60_000 }));
    return { reply: JSON.stringify(heard) };
  };

/** Main asks raul, who has the message in hand. */
function waiting(): Driver {
  const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ go: asks(raul), work: answers }) });
  driver.tell(main, "go");
  driver.settle();
  expect(driver.kernel.state.asks.size).toBe(1);
  return driver;
}

const heard = (driver: Driver): unknown => {
  const [outcome] = driver.outcomes("go");
  return outcome?.status === "ok" ? JSON.parse(outcome.text) : outcome;
};

const crashed = { type: "refused", refusal: { code: "CLOISTER_AGENT_CRASHED" } };
const attempts = (driver: Driver, body: string): readonly number[] =>
  driver.handled.filter((one) => one.body === body).map(({ attempt }) => attempt);

describe("an end that is decided", () => {
  it("is told to who waits at once, and the message goes on when the cell has ended", () => {
    const driver = waiting();
    driver.kernel.cellEnding("raul", 1, "out_of_memory", driver.nowMs);
    driver.settle();
    expect(heard(driver)).toMatchObject(crashed);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "stopping", activeRuns: 1, restarts: 0 });
    driver.crash("raul", "out_of_memory");
    driver.finish();
    driver.open("answer");
    driver.finish();
    expect(driver.outcomes("go")).toHaveLength(1);
    expect(driver.outcomes("work")).toEqual([{ status: "ok", text: "answered" }]);
    expect(attempts(driver, "work")).toEqual([1, 2]);
    expect(driver.kernel.view("raul")).toMatchObject({ restarts: 1 });
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("makes nothing of what the cell still says, except for the log", () => {
    const driver = waiting();
    driver.kernel.cellEnding("raul", 1, "hung", driver.nowMs);
    // It answers after all: who waited was told otherwise.
    driver.open("answer");
    expect(driver.outcomes("work")).toEqual([]);
    expect(driver.ofType("commit").filter(({ agentId }) => agentId === "raul")).toEqual([]);
    const seq = driver.kernel.state.agents.get("raul")?.lastSeq ?? 0;
    driver.frame("raul", [1, seq + 1, up.log, 0, 0, 0, 30, "last words", "", ""]);
    expect(driver.ofType("cell-log").map(({ message }) => message)).toEqual(["last words"]);
    expect(driver.ofType("audit").filter(({ event }) => event.startsWith("forged"))).toEqual([]);
    driver.crash("raul", "hung");
    driver.finish();
    driver.open("answer");
    driver.finish();
    expect(attempts(driver, "work")).toEqual([1, 2]);
    expect(driver.outcomes("work")).toHaveLength(1);
  });

  it("is told to who waits when an order's time is up, before the cell is gone", () => {
    const driver = waiting();
    driver.kernel.order("raul", { type: "restart" }, driver.nowMs);
    driver.kernel.tick(driver.nowMs + 60_000);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "stopping", activeRuns: 1 });
    expect(driver.kernel.state.asks.size).toBe(0);
    driver.settle();
    expect(heard(driver)).toMatchObject(crashed);
  });

  it("is told to who waits as a stop when the turn is stopped and does not end in time", () => {
    const driver = waiting();
    driver.kernel.stop({ type: "session", sessionKey: raul }, "operator", driver.nowMs);
    driver.kernel.tick(driver.nowMs + 60_000);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "stopping", activeRuns: 1 });
    expect(driver.kernel.state.asks.size).toBe(0);
    driver.finish();
    expect(heard(driver)).toMatchObject({ type: "refused", refusal: { code: "CLOISTER_ASK_ABORTED" } });
    expect(driver.outcomes("work")).toHaveLength(1);
  });

  it("is not recorded as the answer of a call that the same cell made: the turn asks again when it is delivered again", () => {
    const driver = makeDriver({ script: scripted({ go: asks("agent:main:side"), work: answers }) });
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.cellEnding("main", 1, "hung", driver.nowMs);
    driver.settle();
    expect(driver.ofType("record")).toEqual([]);
    driver.crash("main", "hung");
    driver.finish();
    driver.open("answer");
    driver.finish();
    driver.open("answer");
    driver.finish();
    expect(heard(driver)).toMatchObject({ type: "result", text: "answered" });
  });

  it("is told at once also to who asks again for what the cell has in hand", () => {
    const driver = waiting();
    driver.crash("main");
    driver.settle();
    driver.kernel.cellEnding("raul", 1, "hung", driver.nowMs);
    driver.advance(1_000);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "stopping", activeRuns: 1 });
    expect(driver.kernel.state.asks.size).toBe(0);
    expect(heard(driver)).toMatchObject(crashed);
    driver.crash("raul", "hung");
    driver.finish();
    driver.open("answer");
    driver.finish();
    expect(driver.outcomes("work")).toEqual([{ status: "ok", text: "answered" }]);
  });

  it("is heard once, of the cell that lives, and of no other", () => {
    const driver = waiting();
    const before = driver.effects.length;
    driver.kernel.cellEnding("raul", 2, "hung", driver.nowMs);
    driver.kernel.cellEnding("nobody", 1, "hung", driver.nowMs);
    expect(driver.effects.length).toBe(before);
    driver.kernel.cellEnding("raul", 1, "hung", driver.nowMs);
    const told = driver.effects.length;
    expect(told).toBeGreaterThan(before);
    driver.kernel.cellEnding("raul", 1, "out_of_memory", driver.nowMs);
    expect(driver.effects.length).toBe(told);
  });
});
