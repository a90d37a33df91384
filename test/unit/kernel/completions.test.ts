/** What becomes of the end of a sub-agent's run while a turn of its requester runs, in every queue mode. Source: behaviour §3.5, §5.3. */
import { describe, expect, it } from "vitest";
import { queueModes, type QueuePolicy } from "../../../runtime/kernel/queues.ts";
import { answerOf, gate, type Part, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings, spawningPairing } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const spawning = spawningPairing();

/** `first` starts two sub-agents, asks what came meanwhile when it is told to look (unless it never looks), and ends when it may. */
function open(policy: Partial<QueuePolicy> | undefined, looks = true) {
  const heard: Part[] = [];
  const first: Script = function* (turn) {
    for (const task of ["one", "two"]) yield* answerOf(turn.call("sessions_spawn", {}, task));
    if (looks) {
      yield* gate("look");
      const ref = turn.take();
      yield* answerOf(ref);
      heard.push(...turn.takenAt(ref));
    }
    yield* gate("go on");
    return { reply: "done" };
  };
  const queue: QueuePolicy = { mode: "followup", debounceMs: 0, cap: 1, drop: "new", ...policy };
  const driver = makeDriver({
    agents: ["main"],
    pairings: [...openPairings(["main"]), spawning],
    queueOf: () => (policy === undefined ? undefined : queue),
    script: scripted({ first }),
  });
  driver.tell(main, "first");
  driver.settle();
  return { driver, heard };
}

const completions = (driver: Driver): readonly string[] =>
  driver.handled.filter(({ body }) => body.startsWith("[Subagent Completion]")).map(({ sessionKey }) => sessionKey);

function finish(driver: Driver): void {
  driver.open("go on");
  driver.finish();
  expect(leaks(driver.kernel)).toEqual([]);
  expect(driver.watch.problems).toEqual([]);
  expect([...driver.runs.rows.values()].map(({ end }) => [end?.outcome, end?.delivery])).toEqual([
    ["succeeded", "delivered"],
    ["succeeded", "delivered"],
  ]);
  for (const { commits } of driver.journal.done.values()) expect(commits).toBe(1);
}

describe("the end of a sub-agent's run", () => {
  it.each([undefined, "steer"] as const)(
    "joins the running turn in mode %s, once, and has no turn beside it",
    (mode) => {
      const { driver, heard } = open(mode && { mode });
      driver.open("look");
      expect(heard.map(({ body }) => body.split("\n")[0])).toEqual(["[Subagent Completion]", "[Subagent Completion]"]);
      finish(driver);
      expect(completions(driver)).toEqual([]);
    },
  );

  it("is given again to the turn that is handled again", () => {
    const { driver, heard } = open(undefined);
    driver.open("look");
    const before = heard.splice(0).map(({ body }) => body);
    driver.crash("main");
    driver.advance(1_000);
    driver.open("look");
    expect(heard.map(({ body }) => body)).toEqual(before);
    finish(driver);
  });

  it.each(queueModes.filter((mode) => mode !== "steer"))("has a turn of its own in mode %s", (mode) => {
    const { driver, heard } = open({ mode });
    driver.open("look");
    expect(heard).toEqual([]);
    finish(driver);
    expect(completions(driver)).toEqual([main, main]);
  });

  it.each(queueModes)("is not dropped, collected or interrupted in mode %s, whatever people say", (mode) => {
    const { driver } = open({ mode }, false);
    driver.tell(main, "a");
    driver.settle();
    driver.tell(main, "b");
    finish(driver);
    expect(completions(driver)).toEqual([main, main]);
    expect(driver.handled.filter(({ body }) => body.includes(" + "))).toEqual([]);
  });
});
