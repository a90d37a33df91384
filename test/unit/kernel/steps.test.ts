/** Recorded steps: what the kernel asks to be recorded, what it answers from the record, and what it refuses. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { up } from "../../../runtime/kernel/frames.ts";
import type { ToolTable } from "../../../runtime/supervisor/tools/table.ts";
import { type Answer, answerOf, type Script, scripted, stepOf } from "../../support/fake-cell.ts";
import { type Driver, type DriverOptions, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const noParameters = z.object({});

const main = "agent:main:main";

/** A turn of `main` whose answers are kept, by delivery. */
function open(script: (hear: (answer: Answer) => void) => Script, options: Partial<DriverOptions> = {}) {
  const heard: Answer[] = [];
  const driver = makeDriver({
    agents: ["main", "raul"],
    script: scripted({ go: script((answer) => void heard.push(answer)) }),
    ...options,
  });
  driver.tell(main, "go");
  return { driver, heard };
}

const codes = (heard: readonly Answer[]): readonly string[] =>
  heard.map((answer) =>
    answer.type === "refused" ? answer.refusal.code : answer.type === "result" ? answer.text : answer.type,
  );

describe("a step", () => {
  it("begins when its start is stored, and is heard when its result is", () => {
    let runs = 0;
    const { driver } = open(
      (hear) =>
        function* (turn) {
          hear(yield* stepOf(turn, "pay", () => `run ${++runs}`));
          return { reply: "done" };
        },
    );
    driver.stepUntil(() => runs === 1);
    const id = driver.header("go").id;
    expect(driver.journal.recorded(id, 0)).toEqual({ key: 0, op: "step", name: "pay" });
    driver.settle();
    expect(driver.ofType("record").map(({ row, next }) => [row?.result, next.type])).toEqual([
      [undefined, "run"],
      [[1, "ok", '"run 1"'], "hear"],
    ]);
    expect(driver.journal.recorded(id, 0)).toBeUndefined();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("whose record the store refuses does not run, and the cell hears why", () => {
    let runs = 0;
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          driver.journal.failNext("main", 1);
          hear(yield* stepOf(turn, "pay", () => String(++runs)));
          hear(yield* stepOf(turn, "pay", () => String(++runs)));
          return {};
        },
    );
    driver.settle();
    expect(codes(heard)).toEqual(["CLOISTER_STORE_FAILED", '"1"']);
    expect(runs).toBe(1);
  });

  it("is refused beyond the steps of a turn; plain sends are not", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          for (const name of ["a", "b", "c"]) hear(yield* stepOf(turn, name, () => name));
          hear(yield* answerOf(turn.send("agent:raul:main", "ask", { timeoutMs: 1_000 })));
          hear(yield { until: "stored", ref: turn.send("agent:raul:main", "told") });
          return {};
        },
      { limits: { stepsPerTurnMax: 2 } },
    );
    driver.settle();
    expect(codes(heard)).toEqual(['"a"', '"b"', "CLOISTER_TURN_FULL", "CLOISTER_TURN_FULL", "stored"]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["go", "told"]);
  });

  it("whose result is too long for a step, or for the turn, is on record as that", () => {
    let delivery = 0;
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          delivery++;
          for (const [name, chars] of [
            ["first", 50],
            ["long", 101],
            ["second", 50],
          ] as const)
            hear(yield* stepOf(turn, name, () => "x".repeat(chars - 4)));
          if (delivery === 1) turn.crash();
          return {};
        },
      { limits: { stepCharsMax: 100, turnStepCharsMax: 340 } },
    );
    driver.finish();
    const once = [`"${"x".repeat(46)}"`, "CLOISTER_MESSAGE_TOO_LARGE", expect.any(String)];
    expect(codes(heard)).toEqual([...once, ...once]);
    expect(codes(heard)[2]).toBe(codes(heard)[5]);
  });

  it("that ends without having begun, or twice, is forged", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.endStep(7, "1")));
          hear(yield* stepOf(turn, "pay", () => "x"));
          hear(yield* answerOf(turn.endStep(0, "2")));
          return {};
        },
    );
    driver.settle();
    expect(codes(heard)).toEqual(["CLOISTER_CAPABILITY_FORGED", '"x"', "CLOISTER_CAPABILITY_FORGED"]);
    expect(driver.audits("forged-step")).toHaveLength(2);
  });

  it("of a turn in memory is forged: there is nothing to record it for", () => {
    const heard: Answer[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        *go(turn) {
          yield* answerOf(turn.send("agent:raul:main", "volatile", { inMemory: true, timeoutMs: 1_000 }));
          return {};
        },
        *volatile(turn) {
          heard.push(yield* answerOf(turn.step("pay").ref));
          return {};
        },
      }),
    });
    driver.tell("agent:raul:main", "wake");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(codes(heard)).toEqual(["CLOISTER_CAPABILITY_FORGED"]);
    expect(driver.ofType("record")).toEqual([]);
  });
});

describe("a call number", () => {
  it("is bounded, for sends, tools and steps", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.send("agent:raul:main", "x", { timeoutMs: 1, callKey: "3" })));
          turn.raw(up.call, 900, 1, 3, "sessions_send", "{}");
          hear(yield* answerOf(900));
          turn.raw(up.stepStart, 901, 0, 3, "pay");
          hear(yield* answerOf(901));
          return {};
        },
      { limits: { callsPerTurnMax: 3 } },
    );
    driver.settle();
    expect(codes(heard)).toEqual(["CLOISTER_TURN_FULL", "CLOISTER_TURN_FULL", "CLOISTER_TURN_FULL"]);
  });
});

describe("a tool", () => {
  const tools = (runs: string[], onRun: () => void): ToolTable => ({
    charge: {
      repeat: "acts",
      parameters: noParameters,
      run: async () => {
        runs.push("charge");
        onRun();
        return { status: "ok", charged: runs.length };
      },
    },
    look: {
      repeat: "reads",
      parameters: noParameters,
      run: async () => {
        runs.push("look");
        onRun();
        return { status: "ok", seen: runs.length };
      },
    },
  });
  const pairings = [
    ...openPairings(["main"]),
    {
      id: "x",
      subject: "agent:main",
      object: "gateway",
      verbs: ["tool:charge", "tool:look"],
      origin: "config",
    } as const,
  ];
  /** The cell ends in its first delivery: after the tool has run and before it hears, or after it has heard. */
  const repeated = async (
    tool: string,
    when: "before" | "after",
    runs: string[] = [],
    beforeCrash: (driver: Driver) => void = () => undefined,
  ) => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.call(tool, {})));
          if (turn.attempt === 1) turn.crash();
          return {};
        },
      {
        agents: ["main"],
        pairings,
        tools: tools(runs, () => {
          if (when === "after" || runs.length !== 1) return;
          beforeCrash(driver);
          driver.crash("main");
        }),
      },
    );
    for (let rounds = 0; rounds < 4; rounds++) {
      driver.finish();
      // The tool answers in a microtask.
      await Promise.resolve();
      await Promise.resolve();
    }
    driver.finish();
    return {
      driver,
      runs,
      heard: codes(heard).map((text) => JSON.parse(text) as { code?: string; charged?: number; seen?: number }),
    };
  };

  it("that acts is not run again when its result was not kept: outcome unknown", async () => {
    const { driver, runs, heard } = await repeated("charge", "before");
    expect(runs).toEqual(["charge"]);
    expect(heard.map(({ code }) => code)).toEqual(["outcome_unknown", ...heard.slice(1).map(() => "outcome_unknown")]);
    expect(driver.outcomes("go").at(-1)).toEqual({ status: "no_reply" });
  });

  it("that reads is run again", async () => {
    const { runs, heard } = await repeated("look", "before");
    expect(runs).toEqual(["look", "look"]);
    expect(heard.map(({ seen }) => seen)).toEqual([2]);
  });

  it("of either kind whose result was kept is answered from it, and the transcript has it once", async () => {
    for (const tool of ["charge", "look"]) {
      const { driver, runs, heard } = await repeated(tool, "after");
      expect(runs).toEqual([tool]);
      expect(heard).toEqual([heard[0], heard[0]]);
      const [commit] = driver.ofType("commit");
      expect(commit?.rows.map(({ role, toolName }) => [role, toolName])).toEqual([["toolResult", tool]]);
    }
  });

  it("that was allowed and made is heard again after its right is gone", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.call("sessions_send", { to: "agent:raul:main", timeoutMs: 1_000 }, "asked")));
          if (turn.attempt === 1) {
            driver.kernel.revoke("tools:main", driver.nowMs);
            turn.crash();
          }
          return {};
        },
    );
    driver.finish();
    expect(codes(heard)).toEqual([codes(heard)[0], codes(heard)[0]]);
    expect(JSON.parse(codes(heard)[0] ?? "")).toMatchObject({ status: "ok", reply: "re: asked" });
    expect(driver.handled.filter(({ body }) => body === "asked")).toHaveLength(1);
  });

  it("that a stop reaches on its way is refused as stopped, not as another call than the one before", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.call("sessions_send", { to: "agent:raul:main", timeoutMs: 1_000 }, "asked")));
          if (turn.attempt === 1) turn.crash();
          return {};
        },
      { jitter: 0 },
    );
    // The second delivery has made its call, and the supervisor has not come to it.
    driver.stepUntil(() => driver.ofType("call").length === 2);
    expect(heard).toHaveLength(1);
    driver.kernel.stop({ type: "agent", agentId: "main" }, "cli", driver.nowMs);
    driver.finish();
    expect(codes(heard).slice(1)).toEqual(["CLOISTER_ASK_ABORTED"]);
    expect(driver.handled.filter(({ body }) => body === "asked")).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("that acts and was begun has an outcome unknown also after its right is gone", async () => {
    const runs: string[] = [];
    const { driver, heard } = await repeated("charge", "before", runs, (running) =>
      running.kernel.revoke("x", running.nowMs),
    );
    expect(runs).toEqual(["charge"]);
    expect(heard.map(({ code }) => code)).toEqual(["outcome_unknown"]);
    expect(driver.outcomes("go").at(-1)).toEqual({ status: "no_reply" });
  });

  it("that was refused is heard as refused again, also when it is allowed by then", () => {
    const right = openPairings(["main"]).find(({ id }) => id === "tools:main");
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.call("sessions_send", { to: "agent:raul:main", timeoutMs: 0 }, "asked")));
          if (turn.attempt === 1) {
            if (right !== undefined) driver.pairings.add(right);
            turn.crash();
          }
          return {};
        },
      { pairings: openPairings(["main", "raul"]).filter(({ id }) => id !== "tools:main") },
    );
    driver.finish();
    expect(codes(heard)).toEqual(["CLOISTER_CAPABILITY_DENIED", "CLOISTER_CAPABILITY_DENIED"]);
    expect(driver.audits("refused")).toHaveLength(1);
    expect(driver.handled.map(({ body }) => body)).toEqual(["go", "go"]);
  });

  it("beyond the calls of its cell is heard as refused again, also when there is a place by then", () => {
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          const first = turn.call("sessions_send", { to: "agent:raul:main", timeoutMs: 0 }, "first");
          hear(yield* answerOf(turn.call("sessions_send", { to: "agent:raul:main", timeoutMs: 0 }, "second")));
          yield* answerOf(first);
          if (turn.attempt === 1) turn.crash();
          return {};
        },
      { limits: { callsPerCellMax: 1 } },
    );
    driver.finish();
    expect(codes(heard)).toEqual(["CLOISTER_MAILBOX_FULL", "CLOISTER_MAILBOX_FULL"]);
    expect(driver.handled.map(({ body }) => body)).not.toContain("second");
  });
});
