/** Runs that go in a circle end (A11.3), and so do chains that come to one session again and again (A9.4). */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answerOf, type FakeTurn, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const noParameters = z.object({});

const main = "agent:main:main";
const loops = { sameFailuresMax: 3, sameSessionMax: 2 };
const down = JSON.stringify({ code: "CLOISTER_STEP_FAILED", message: "it is down" });
const failing = {
  sessions_send: {
    repeat: "reads" as const,
    parameters: noParameters,
    run: () => Promise.resolve({ status: "error", code: "invalid", error: "no such thing" }),
  },
};

/** Goes on for as long as it is let, and counts what it did. */
const again = (call: (turn: FakeTurn, n: number) => number, done: string[]): Script =>
  function* (turn) {
    for (let n = 0; n < 20; n++) {
      const answer = yield* answerOf(call(turn, n));
      done.push(answer.type === "refused" ? answer.refusal.code : answer.type);
    }
    return { reply: "came to an end" };
  };

describe("a run that repeats what fails", () => {
  it("ends as failed: loop at the bound, and whoever asked hears it; log and audit have it", async () => {
    const done: string[] = [];
    const driver = makeDriver({
      loops,
      agents: ["main", "raul"],
      script: scripted({
        go: again((turn) => turn.send("agent:nobody:main", "same"), done),
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send(main, "go", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
      }),
    });
    driver.tell("agent:raul:main", "ask");
    driver.finish();
    // The third failure is the last that is heard as such.
    expect(done.filter((code) => code !== "CLOISTER_ASK_ABORTED")).toHaveLength(3);
    expect(driver.outcomes("go")).toEqual([
      {
        status: "error",
        code: "CLOISTER_RUN_LOOP",
        message: expect.stringMatching(
          /^failed: loop: the call send agent:nobody:main failed 3 times in the same way: /,
        ),
      },
    ]);
    expect(driver.outcomes("ask")).toEqual([{ status: "ok", text: "CLOISTER_RUN_LOOP" }]);
    expect(driver.audits("loop")).toEqual([
      expect.objectContaining({ subject: main, decision: "refused", code: "CLOISTER_RUN_LOOP" }),
    ]);
    expect(driver.ofType("ended").every(({ aborted }) => !aborted)).toBe(true);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("loses its cell when it does not notice", () => {
    const driver = makeDriver({
      loops,
      script: scripted({
        go: function* (turn) {
          for (let n = 0; n < 3; n++) yield* answerOf(turn.send("agent:nobody:main", "same"));
          yield* gate("never");
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.advance(2_000);
    expect(driver.outcomes("go")).toMatchObject([{ code: "CLOISTER_RUN_LOOP" }]);
    expect(driver.dead("go")?.reason).toContain("failed: loop");
    expect(driver.kernel.view("main")?.restarts).toBe(0);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it.each([
    ["other parameters", (turn: FakeTurn, n: number) => turn.send("agent:nobody:main", `text ${n}`)],
    ["another target", (turn: FakeTurn, n: number) => turn.send(`agent:nobody${n}:main`, "same")],
    ["what passes by itself", (turn: FakeTurn) => turn.send("agent:raul:full", "same")],
  ])("goes on when it is no circle: %s", (_name, call) => {
    const done: string[] = [];
    const driver = makeDriver({
      loops,
      agents: ["main", "raul"],
      spec: (id) => (id === "raul" ? { mailbox: { sessionDepthMax: 1, depthMax: 1, overflow: "reject" } } : {}),
      script: scripted({
        go: again(call, done),
        block: function* () {
          yield* gate("never");
          return {};
        },
      }),
    });
    driver.tell("agent:raul:full", "block");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(done).toHaveLength(20);
    expect(new Set(done).size).toBe(1);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "came to an end" }]);
  });

  it("counts steps, and goes on counting in the next delivery", async () => {
    let runs = 0;
    const driver = makeDriver({
      loops,
      script: scripted({
        step: function* (turn) {
          for (let n = 0; n < 20; n++) {
            const { ref, number } = turn.step("fetch");
            const begun = yield* answerOf(ref);
            if (begun.type === "result" && begun.status === "run") {
              runs++;
              turn.raw(8, turn.calls() + 1_000, 0, number, down);
              yield* gate("next");
            } else if (begun.type !== "refused") continue;
            if (turn.attempt === 1 && n === 1) turn.crash();
          }
          return { reply: "came to an end" };
        },
      }),
    });
    driver.tell(main, "step");
    for (let n = 0; n < 12; n++) {
      driver.settle();
      driver.open("next");
      driver.advance(500);
    }
    expect(runs).toBe(3);
    expect(driver.outcomes("step")).toMatchObject([{ code: "CLOISTER_RUN_LOOP" }]);
  });

  it("of a tool that fails", async () => {
    const done: string[] = [];
    const driver = makeDriver({
      loops,
      tools: failing,
      script: scripted({ go: again((turn) => turn.call("sessions_send", { a: 1 }), done) }),
    });
    driver.tell(main, "go");
    for (let n = 0; n < 30; n++) {
      driver.settle();
      await Promise.resolve();
      await Promise.resolve();
    }
    driver.finish();
    expect(driver.outcomes("go")).toMatchObject([
      {
        code: "CLOISTER_RUN_LOOP",
        message: expect.stringContaining("tool sessions_send failed 3 times in the same way: invalid no such thing"),
      },
    ]);
  });
});

describe("A → B → A", () => {
  it("A9.4: stops where a session was visited as often as it may be, and says so in the audit trail", () => {
    const driver = makeDriver({
      loops,
      agents: ["main", "raul"],
      script: (turn) => {
        turn.send(turn.header.agentId === "main" ? "agent:raul:main" : main, "on");
        return {};
      },
    });
    driver.tell(main, "begin");
    driver.finish();
    // main, raul, main, raul: each came twice, and the fifth message is refused.
    expect(driver.handled.map(({ agentId }) => agentId)).toEqual(["main", "raul", "main", "raul"]);
    expect(driver.audits("chain-ended")).toEqual([
      expect.objectContaining({ subject: "agent:raul:main", object: main, code: "CLOISTER_RUN_LOOP" }),
    ]);
  });
});
