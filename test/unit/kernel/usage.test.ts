import { describe, expect, it } from "vitest";
import { up } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { answerOf, type FakeTurn, type Script } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings, spawningPairing } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const verbs = ["tool:sessions_spawn", "tool:subagents", "tool:sessions_yield"] as const;
const spawning = spawningPairing(verbs);

/** By the first word of the message; news of ends are heard and nothing more. */
const world = (scripts: Readonly<Record<string, Script>>): Driver =>
  makeDriver({
    agents: ["main"],
    pairings: [...openPairings(["main"]), spawning],
    script: (turn) => scripts[turn.body.split(" ")[0] ?? ""]?.(turn) ?? {},
  });

const report = (turn: FakeTurn, input: number, output: number): void => turn.raw(up.usage, 0, 0, input, String(output));

const spawn = (turn: FakeTurn, task: string, params: object = {}) =>
  answerOf(turn.call("sessions_spawn", params, task));

const look = (turn: FakeTurn) => answerOf(turn.call("subagents", { runIds: [], timeoutMs: 0 }));

const endOf = (driver: Driver, id: string) => driver.runs.rows.get(id)?.end;

const told = (driver: Driver): string =>
  driver.handled.filter(({ sessionKey, body }) => sessionKey === main && body.includes("stats:")).at(-1)?.body ?? "";

describe("tokens of a run", () => {
  it("A11.1: are summed for the run, for those above it and for the agent, and told with the end", () => {
    const driver = world({
      top: function* (turn) {
        report(turn, 5, 1);
        yield* spawn(turn, "middle");
        return {};
      },
      middle: function* (turn) {
        report(turn, 100, 20);
        report(turn, 10, 0);
        yield* spawn(turn, "leaf");
        return { reply: "done" };
      },
      leaf: (turn) => {
        report(turn, 0, 7);
        return { reply: "leaf" };
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(endOf(driver, "r1")).toMatchObject({ tokens: { input: 110, output: 20 }, treeTokens: 137 });
    expect(endOf(driver, "r2")).toMatchObject({ tokens: { input: 0, output: 7 }, treeTokens: 7 });
    expect(driver.kernel.tokensOf("main")).toEqual({ input: 115, output: 28 });
    expect(told(driver)).toContain("tokens 110 in, 20 out, 130 in all, 137 with its sub-agents, sessionKey");
  });

  it("are not made up for a run that reported none", () => {
    const driver = world({
      top: function* (turn) {
        yield* spawn(turn, "quiet");
        return {};
      },
      quiet: () => ({ reply: "done" }),
    });
    driver.tell(main, "top");
    driver.finish();
    expect(endOf(driver, "r1")).not.toHaveProperty("tokens");
    expect(told(driver)).toContain("tokens not reported");
  });

  it("A11.1: end it before its next call when its budget is used up, and its requester hears `budget`", () => {
    const driver = world({
      top: function* (turn) {
        yield* spawn(turn, "eat", { budget: { tokens: 100 } });
        return {};
      },
      eat: function* (turn) {
        report(turn, 60, 39);
        yield* look(turn);
        turn.stream("one is left");
        report(turn, 1, 0);
        yield* look(turn);
        return { reply: "never said" };
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(endOf(driver, "r1")).toMatchObject({
      outcome: "failed",
      code: "budget",
      detail: "the budget of tokens of agent:main:subagent:r1 is used up: it took 100, with what it started",
      tokens: { input: 61, output: 39 },
      delivery: "delivered",
    });
    expect(told(driver)).toContain("status: error (failed: budget)");
  });

  it("may be more than the budget in the last step: what was answered by then counts", () => {
    const driver = world({
      top: function* (turn) {
        yield* spawn(turn, "eat", { budget: { tokens: 100 } });
        return {};
      },
      eat: function* (turn) {
        yield* look(turn);
        report(turn, 1_000, 1_000);
        return { reply: "done" };
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(endOf(driver, "r1")).toMatchObject({ outcome: "succeeded", treeTokens: 2_000 });
  });

  it("A11.1: are drawn from what its parent has left, and what the child takes is the parent's as well", () => {
    const answers: string[] = [];
    const driver = world({
      top: function* (turn) {
        yield* spawn(turn, "parent", { budget: { tokens: 100 } });
        return {};
      },
      parent: function* (turn) {
        report(turn, 30, 0);
        for (const tokens of [71, 70]) {
          const answer = yield* spawn(turn, "child", { budget: { tokens }, announce: true });
          answers.push(answer.type === "result" ? answer.text : answer.type);
        }
        yield* answerOf(turn.call("sessions_yield", {}));
        return {};
      },
      child: function* (turn) {
        report(turn, 70, 0);
        yield* look(turn);
        return { reply: "never said" };
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(answers[0]).toContain("tokens 70 to give, which is less than 71");
    // The child is out of its own; its parent, of which it took the rest, before the turn that would have heard of it.
    const outcomes = [...driver.runs.rows.values()].map(({ id, end }) => [
      id,
      end?.outcome,
      end?.code,
      end?.treeTokens,
    ]);
    expect(outcomes).toEqual(expect.arrayContaining([["r1", "failed", "budget", 100]]));
    expect(outcomes.filter(([, , code]) => code === "budget")).toHaveLength(2);
  });

  it("end the run above as well when that has none left, with all below it", () => {
    const driver = world({
      top: function* (turn) {
        yield* spawn(turn, "parent", { budget: { tokens: 50 } });
        return {};
      },
      parent: function* (turn) {
        yield* spawn(turn, "child one");
        yield* spawn(turn, "child two");
        yield* answerOf(turn.call("sessions_yield", {}));
        return {};
      },
      child: function* (turn) {
        report(turn, 25, 0);
        for (;;) yield* look(turn);
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(endOf(driver, "r1")).toMatchObject({ outcome: "failed", code: "budget", treeTokens: 50 });
    const below = [...driver.runs.rows.values()].filter(({ id }) => id !== "r1").map(({ end }) => end?.outcome);
    expect(below).toEqual(["cancelled", "cancelled"]);
  });

  it.each([
    ["a number beyond the bound", limits.usageTokensMax + 1, "0"],
    ["a text beyond the bound", 0, String(limits.usageTokensMax + 1)],
    ["no number", 1, "1e3"],
    ["a negative one", 1, "-1"],
    ["nothing", 1, ""],
  ])("are not counted from a record with %s, which is audited", (_what, input, output) => {
    const driver = world({
      top: (turn) => {
        turn.raw(up.usage, 0, 0, input, output);
        return { reply: "done" };
      },
    });
    driver.tell(main, "top");
    driver.finish();
    expect(driver.kernel.tokensOf("main")).toEqual({ input: 0, output: 0 });
    expect(driver.effects.some((effect) => effect.type === "audit" && effect.event === "forged-record")).toBe(true);
  });
});
