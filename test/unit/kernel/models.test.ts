/** Calls of models: what the kernel lets through, what it books, and what a repeated turn hears. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ModelCall, ModelEnd } from "../../../runtime/kernel/model-call.ts";
import { up } from "../../../runtime/kernel/frames.ts";
import type { Tokens } from "../../../runtime/kernel/run-rows.ts";
import { type Answer, answerOf, type Script, scripted } from "../../support/fake-cell.ts";
import { openPairings, spawningPairing } from "../../support/driver-port.ts";
import { type DriverOptions, makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const used: Tokens = { input: 10, output: 2, costNanos: 3_000 };
const says = (text: string): ModelEnd => ({ ok: true, json: JSON.stringify({ text }), used, model: "p/m" });

function open(script: (hear: (answer: Answer) => void) => Script, options: Partial<DriverOptions> = {}) {
  const heard: Answer[] = [];
  const asked: ModelCall[] = [];
  const driver = makeDriver({
    script: scripted({ go: script((answer) => void heard.push(answer)) }),
    models: (call) => {
      asked.push(call);
      return says(`to ${call.request}`);
    },
    ...options,
  });
  driver.tell(main, "go");
  return { driver, heard, asked };
}

const codeOf = (answer: Answer | undefined): string =>
  answer?.type === "refused" ? answer.refusal.code : answer?.type === "result" ? answer.text : "none";

describe("a call of a model", () => {
  it("goes to the broker as the cell wrote it; the commit of the turn holds what came of its answer, and no record does", () => {
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.model("[1]", { model: "p/m" })));
          return { reply: "done" };
        },
    );
    driver.settle();
    expect(asked).toMatchObject([
      { type: "model", agentId: "main", model: "p/m", request: "[1]", wantsText: false, key: 0 },
    ]);
    expect(heard).toEqual([{ type: "result", status: "ok", text: '{"text":"to [1]"}' }]);
    expect(driver.ofType("record")).toEqual([]);
    expect(driver.ofType("commit")).toMatchObject([{ tokens: used }]);
  });

  it("leaves how full the conversation is with the turn: by the last one, also in a repeated turn, and not by one before a summary", () => {
    const counted = used.input + used.output;
    for (const [summaryBefore, expected] of [
      [undefined, counted],
      [1, counted],
      [2, undefined],
    ] as const)
      for (const crashes of [false, true]) {
        const { driver } = open(
          (hear) =>
            function* (turn) {
              for (const call of [0, 1]) {
                if (call === summaryBefore) turn.raw(up.compacted, 0, 0, call, "what was before");
                hear(yield* answerOf(turn.model(`${call}`)));
              }
              if (summaryBefore === 2) turn.raw(up.compacted, 0, 0, 2, "what was before");
              if (crashes && turn.attempt === 1) turn.crash();
              return { reply: "done" };
            },
        );
        driver.finish();
        expect(driver.ofType("commit").at(-1)?.contextUsed).toBe(expected);
      }
  });

  it("may have its tools beside it, which count for its length", () => {
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.model("[1]", { wantsText: true, tools: '["a", "b"]' })));
          hear(yield* answerOf(turn.model("[2]", { tools: "" })));
          hear(yield* answerOf(turn.model("[3]", { tools: "x".repeat(30) })));
          return {};
        },
      { limits: { modelRequestCharsMax: 30 } },
    );
    driver.settle();
    expect(asked.map(({ request, tools, wantsText }) => [request, tools, wantsText])).toEqual([
      ["[1]", '["a", "b"]', true],
      ["[2]", "", false],
    ]);
    expect(heard.map(codeOf).at(-1)).toBe("CLOISTER_MESSAGE_TOO_LARGE");
    expect(driver.kernel.state.modelChars).toBe(0);
  });

  it("is answered from the record when the turn is repeated, and asked for again when its answer was not kept", () => {
    let delivery = 0;
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          delivery++;
          hear(yield* answerOf(turn.model("first")));
          const ref = turn.model("second");
          if (delivery === 1) turn.crash();
          hear(yield* answerOf(ref));
          return { reply: "done" };
        },
    );
    driver.finish();
    expect(asked.map(({ request }) => request).filter((request) => request === "first")).toHaveLength(1);
    expect(heard.map(codeOf)).toEqual(["to first", "to first", "to second"].map((text) => JSON.stringify({ text })));
    // Both calls of the turn that was committed, and no third.
    expect(driver.ofType("commit").at(-1)).toMatchObject({ tokens: { input: 20, output: 4, costNanos: 6_000 } });
  });

  it("goes to the model that was chosen for its session unless it names one; the record keeps what the actor named", () => {
    let chosen = "p/first";
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.model("usual")));
          hear(yield* answerOf(turn.model("named", { model: "p/m" })));
          // Another model is chosen before the turn is handled again.
          if (turn.attempt === 1) {
            chosen = "p/second";
            turn.crash();
          }
          hear(yield* answerOf(turn.model("later")));
          return { reply: "done" };
        },
      { choicesOf: (key) => (key === main ? { model: chosen, authProfile: "work" } : undefined) },
    );
    driver.finish();
    expect(asked.map(({ request, named, model, authProfile }) => [request, named, model, authProfile])).toEqual([
      ["usual", "", "p/first", "work"],
      ["named", "p/m", "p/m", undefined],
      ["later", "", "p/second", "work"],
    ]);
    expect(heard.map(codeOf)).toEqual(
      ["to usual", "to named", "to usual", "to named", "to later"].map((text) => JSON.stringify({ text })),
    );
    expect(driver.ofType("record").map(({ late }) => late.map(({ name }) => name))).toEqual([[""], ["p/m"]]);
  });

  it("that a fallback answers counts for the tools of the turn, also when the turn is repeated and nobody is asked again", () => {
    const judged: (readonly string[] | undefined)[] = [];
    const { driver, asked } = open(
      () =>
        function* (turn) {
          yield* answerOf(turn.model("[1]"));
          if (turn.attempt === 1) turn.crash();
          turn.call("look", {});
          return { reply: "done" };
        },
      {
        pairings: [...openPairings(["main"]), spawningPairing(["tool:look"])],
        tools: { look: { repeat: "reads", parameters: z.object({}), run: async () => ({ status: "ok" }) } },
        models: (call) => {
          asked.push(call);
          return { ...says("x"), model: "other/fallback" } as ModelEnd;
        },
        whyNotTool: ({ answered }) => {
          judged.push(answered);
          return undefined;
        },
      },
    );
    driver.finish();
    expect(judged).toEqual([["other/fallback"]]);
    expect(asked).toHaveLength(1);
  });

  it("that is another one in the repeated turn is refused", () => {
    let delivery = 0;
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          delivery++;
          hear(yield* answerOf(turn.model("x", { model: delivery === 1 ? "p/a" : "p/b" })));
          if (delivery === 1) turn.crash();
          return {};
        },
    );
    driver.finish();
    expect(heard.map(codeOf)).toEqual(['{"text":"to x"}', "CLOISTER_TURN_DIVERGED"]);
  });

  it("hears pieces of its answer when it wants them, and none when it does not", () => {
    const pieces: (readonly string[])[] = [];
    const { driver } = open(
      () =>
        function* (turn) {
          for (const wantsText of [true, false]) {
            const ref = turn.model("x", { wantsText });
            yield* answerOf(ref);
            pieces.push(turn.heardAt(ref));
          }
          return {};
        },
    );
    driver.settle();
    expect(pieces).toEqual([["an ", "answer"], []]);
  });

  it("needs the right: a cell that names no slot of its own is refused and audited, and nobody is asked", () => {
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          turn.raw(up.model, 900, 0, 0, "p/m", "", "[]");
          hear(yield* answerOf(900));
          return {};
        },
    );
    driver.settle();
    expect(heard.map(codeOf)).toEqual(["CLOISTER_CAPABILITY_DENIED"]);
    expect(asked).toEqual([]);
    expect(driver.audits("refused")).toMatchObject([{ verb: "model", code: "CLOISTER_CAPABILITY_DENIED" }]);
  });

  it("is refused beyond its bounds, by name", () => {
    const { driver, heard, asked } = open(
      (hear) =>
        function* (turn) {
          hear(yield* answerOf(turn.model("x".repeat(11))));
          hear(yield* answerOf(turn.model("x", { model: "p/long" })));
          turn.raw(up.model, 900, 1, 3, "", "", "x");
          hear(yield* answerOf(900));
          return {};
        },
      { limits: { modelRequestCharsMax: 10, modelNameCharsMax: 5, callsPerTurnMax: 3 } },
    );
    driver.settle();
    expect(heard.map(codeOf)).toEqual(["CLOISTER_MESSAGE_TOO_LARGE", "CLOISTER_REQUEST_INVALID", "CLOISTER_TURN_FULL"]);
    expect(asked).toEqual([]);
  });

  it.each(["modelRequestsPerCellCharsMax", "modelRequestsCharsMax"] as const)(
    "is refused beyond %s while others wait for their answers, and may be made later",
    (bound) => {
      const { driver, heard, asked } = open(
        (hear) =>
          function* (turn) {
            const first = turn.model("123456");
            const second = turn.model("12345");
            const third = turn.model("1234");
            for (const ref of [first, second, third]) hear(yield* answerOf(ref));
            hear(yield* answerOf(turn.model("1234567890")));
            return {};
          },
        { limits: { [bound]: 10 } },
      );
      driver.settle();
      expect(heard.map(codeOf)).toEqual([
        '{"text":"to 123456"}',
        "CLOISTER_MAILBOX_FULL",
        '{"text":"to 1234"}',
        '{"text":"to 1234567890"}',
      ]);
      expect(asked.map(({ request }) => request)).toEqual(["123456", "1234", "1234567890"]);
      expect(driver.kernel.state.modelChars).toBe(0);
      expect(driver.kernel.state.agents.get("main")?.modelChars).toBe(0);
    },
  );

  it("that fails is heard as that, again by a repeated turn, and what it took is counted", () => {
    let delivery = 0;
    const refusal = { code: "CLOISTER_MODEL_FAILED", message: "no luck" } as const;
    const { driver, heard } = open(
      (hear) =>
        function* (turn) {
          delivery++;
          hear(yield* answerOf(turn.model("x")));
          if (delivery === 1) turn.crash();
          return {};
        },
      { models: () => ({ ok: false, refusal, used }) },
    );
    driver.finish();
    expect(heard.map(codeOf)).toEqual(["CLOISTER_MODEL_FAILED", "CLOISTER_MODEL_FAILED"]);
    expect(driver.kernel.tokensOf("main")).toEqual(used);
  });

  it("that fails gives its code to a turn that fails by it, also a repeated one, and to no turn that fails by itself", () => {
    const refusal = { code: "CLOISTER_MODEL_RATE_LIMITED", message: "p/m wants a pause" } as const;
    const endOf = (error: string, crashes: boolean, answers: readonly ModelEnd[]): unknown => {
      let delivery = 0;
      let asked = 0;
      const { driver } = open(
        (hear) =>
          function* (turn) {
            delivery++;
            for (const _ of answers) hear(yield* answerOf(turn.model("x")));
            if (crashes && delivery === 1) turn.crash();
            return { error };
          },
        { models: () => answers[asked++] ?? says("x") },
      );
      driver.finish();
      return driver.outcomes("go").at(-1);
    };
    const failed: ModelEnd = { ok: false, refusal };
    for (const crashes of [false, true]) {
      const code = (error: string, ...answers: ModelEnd[]) => endOf(error, crashes, answers);
      expect(code("p/m wants a pause → ask less", failed)).toMatchObject({ code: "CLOISTER_MODEL_RATE_LIMITED" });
      expect(code("a fault of its own", failed)).toMatchObject({ code: "CLOISTER_AGENT_FAILED" });
      expect(code("p/m wants a pause", failed, says("x"))).toMatchObject({ code: "CLOISTER_AGENT_FAILED" });
      expect(code("p/m wants a pause")).toMatchObject({ code: "CLOISTER_AGENT_FAILED" });
    }
  });

  it("of a turn in memory is not recorded", () => {
    const heard: Answer[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        *go(turn) {
          yield* answerOf(turn.send("agent:raul:main", "volatile", { inMemory: true, timeoutMs: 1_000 }));
          return {};
        },
        *volatile(turn) {
          heard.push(yield* answerOf(turn.model("x")));
          return {};
        },
      }),
    });
    driver.tell("agent:raul:main", "wake");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(heard.map(codeOf)).toEqual(['{"text":"x"}']);
    expect(driver.ofType("record").filter(({ agentId }) => agentId === "raul")).toEqual([]);
  });

  it("whose turn is over when its answer comes is paid for by its agent, and by no session", () => {
    const { driver } = open(() => (turn) => {
      turn.model("unheard");
      return { reply: "done" };
    });
    driver.settle();
    expect(driver.kernel.tokensOf("main")).toEqual(used);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
  });
});
