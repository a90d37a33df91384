import { describe, expect, it } from "vitest";
import { up } from "../../../runtime/kernel/frames.ts";
import type { Pairing } from "../../../runtime/kernel/pairings.ts";
import { answerOf, type Answer, type FakeTurn, scripted } from "../../support/fake-cell.ts";
import { makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const agents = ["main", "raul"];

/** What the calls of one turn of `main` are answered. */
function answersOf(
  call: (turn: FakeTurn) => number,
  options: Partial<Parameters<typeof makeDriver>[0]> = {},
): { readonly answers: readonly Answer[]; readonly driver: ReturnType<typeof makeDriver> } {
  const answers: Answer[] = [];
  const driver = makeDriver({
    agents,
    ...options,
    script: scripted({
      *go(turn) {
        answers.push(yield* answerOf(call(turn)));
        return { reply: "done" };
      },
    }),
  });
  driver.tell(main, "go");
  driver.settle();
  return { answers, driver };
}

const refused = (code: string, message: RegExp) => [
  { type: "refused", refusal: expect.objectContaining({ code, message: expect.stringMatching(message) }) },
];

describe("a timer", () => {
  it("is an envelope from the timer under the right that set it, and wakes a dormant agent", () => {
    const { answers, driver } = answersOf((turn) => turn.schedule({ inMs: 5_000 }, "later"));
    expect(answers).toEqual([{ type: "result", status: "ok", text: '"s1"' }]);
    driver.crash("main", "normal");
    driver.advance(4_900);
    expect(driver.handled.map(({ body }) => body)).toEqual(["go"]);
    driver.advance(200);
    expect(driver.outcomes("later")).toEqual([{ status: "ok", text: "re: later" }]);
    expect(driver.header("later")).toMatchObject({
      from: { type: "timer", agentId: "main", timerId: "s1" },
      via: "schedule:main",
      provenance: { kind: "internal_system", sourceTool: "schedule" },
      signal: { type: "timer", id: "s1", missed: 0 },
      chain: [],
    });
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it.each([
    ["that was set", (turn: FakeTurn) => turn.schedule({ inMs: 5_000 }, "later"), "s1"],
    ["that was refused", (turn: FakeTurn) => turn.schedule({ inMs: 1 }, "x", "agent:raul:main"), "REQUEST_INVALID"],
  ])(
    "%s is answered from the record when the turn is repeated, and another call in its place is refused",
    (_what, call, first) => {
      const heard: Answer[] = [];
      const driver = makeDriver({
        agents,
        script: scripted({
          *go(turn) {
            heard.push(yield* answerOf(turn.attempt < 3 ? call(turn) : turn.monitor("agent:raul:main")));
            if (turn.attempt < 3) turn.crash();
            return {};
          },
        }),
        limits: { deliveryAttemptsMax: 4 },
      });
      driver.tell(main, "go");
      driver.finish();
      const [before, again, other] = heard;
      expect(JSON.stringify(before)).toContain(first);
      expect(again).toEqual(before);
      expect(other).toMatchObject({ refusal: { code: "CLOISTER_TURN_DIVERGED" } });
      expect(driver.ofType("signal-call")).toHaveLength(first === "s1" ? 1 : 0);
    },
  );

  it("leaves no tool result in the transcript", () => {
    const { driver } = answersOf((turn) => turn.schedule({ inMs: 5_000 }, "later"));
    expect(driver.ofType("commit")[0]?.rows).toEqual([{ role: "assistant", text: "done" }]);
  });

  it("whose right is revoked before it is due does not come", () => {
    const { driver } = answersOf((turn) => turn.schedule({ inMs: 5_000 }, "later"));
    driver.kernel.revoke("schedule:main", driver.nowMs);
    driver.advance(10_000);
    expect(driver.handled.map(({ body }) => body)).toEqual(["go"]);
  });

  it.each([
    ["another agent's session", (turn: FakeTurn) => turn.schedule({ inMs: 1 }, "x", "agent:raul:main"), /own agent/],
    ["a key that is none", (turn: FakeTurn) => turn.schedule({ inMs: 1 }, "x", "main"), /own agent/],
    ["a key in capitals", (turn: FakeTurn) => turn.schedule({ inMs: 1 }, "x", "agent:main:MAIN"), /own agent/],
    [
      "a long key",
      (turn: FakeTurn) => turn.schedule({ inMs: 1 }, "x", `agent:main:${"x".repeat(600)}`),
      /512 characters/,
    ],
  ])("for %s is refused", (_what, call, message) => {
    expect(answersOf(call).answers).toEqual(refused("CLOISTER_REQUEST_INVALID", message));
  });

  it("without the right, or by another slot, is refused and audited", () => {
    const without = openPairings(agents).filter(({ verbs }) => !verbs.includes("schedule"));
    const none = answersOf((turn) => turn.schedule({ inMs: 1 }, "x"), { pairings: without });
    expect(none.answers).toEqual(refused("CLOISTER_CAPABILITY_DENIED", /no capability to schedule/));
    const other = answersOf((turn) => {
      turn.raw(up.schedule, 1, 1, 0, main, "{}", "x");
      return 1;
    });
    expect(other.answers).toEqual(refused("CLOISTER_CAPABILITY_DENIED", /slot 1 does not allow it/));
    expect(other.driver.audits("refused")).toHaveLength(1);
  });

  it("of a clamped session is for that session only, and it sees and removes its own only", () => {
    const spec = () => ({ clamp: "all" as const });
    const foreign = answersOf((turn) => turn.schedule({ inMs: 1 }, "x", "agent:main:x"), { spec });
    expect(foreign.answers).toEqual(refused("CLOISTER_CAPABILITY_DENIED", /not visible/));
    expect(answersOf((turn) => turn.schedule({ inMs: 1 }, "x"), { spec }).answers).toMatchObject([{ type: "result" }]);
    const watching = answersOf((turn) => turn.monitor("agent:raul:main"), { spec });
    expect(watching.answers).toEqual(refused("CLOISTER_CAPABILITY_DENIED", /not visible/));
  });

  it("that is larger than its bounds is refused", () => {
    const long = answersOf((turn) => turn.schedule({ inMs: 1 }, "xxx"), { limits: { timerTextCharsMax: 2 } });
    expect(long.answers).toEqual(refused("CLOISTER_MESSAGE_TOO_LARGE", /may have 2 characters, found 3/));
    const busy = answersOf((turn) => turn.schedule({ inMs: 1 }, "x"), { limits: { callsPerCellMax: 0 } });
    expect(busy.answers).toEqual(refused("CLOISTER_MAILBOX_FULL", /wait for their answers/));
  });

  it("is not set by a message in memory", () => {
    const answers: Answer[] = [];
    const driver = makeDriver({
      agents,
      script: scripted({
        *ask(turn) {
          yield* answerOf(turn.send("agent:raul:main", "memory", { inMemory: true, timeoutMs: 1_000 }));
          return {};
        },
        *memory(turn) {
          answers.push(yield* answerOf(turn.schedule({ inMs: 1 }, "x", "agent:raul:main")));
          return {};
        },
      }),
    });
    driver.tell("agent:raul:main", "wake");
    driver.settle();
    driver.tell(main, "ask");
    driver.settle();
    expect(answers).toEqual(refused("CLOISTER_REQUEST_INVALID", /in memory/));
  });
});

describe("a monitor", () => {
  const watched = () => answersOf((turn) => turn.monitor("agent:raul:main")).driver;
  const downs = (driver: ReturnType<typeof makeDriver>) =>
    [...driver.journal.accepted.values()].flatMap(({ header: { signal } }) =>
      signal?.type === "down" ? [`${signal.agentId} ${signal.reason}`] : [],
    );
  const wake = (driver: ReturnType<typeof makeDriver>) => {
    driver.tell("agent:raul:main", "hello");
    driver.settle();
  };

  it.each(["crash", "hung", "out_of_memory", "killed", "shutdown"] as const)("tells one end by %s", (reason) => {
    const driver = watched();
    for (const _ of [1, 2]) {
      wake(driver);
      driver.crash("raul", reason);
      driver.advance(20_000);
    }
    expect(downs(driver)).toEqual([`raul ${reason}`]);
  });

  it("tells nothing when the agent is passivated", () => {
    const driver = watched();
    wake(driver);
    driver.advance(700_000);
    expect(driver.kernel.view("raul")?.phase).toBe("dormant");
    expect(downs(driver)).toEqual([]);
  });

  it("tells that the agent was parked, with a cell and without, and that its module cannot be loaded", () => {
    for (const isLive of [true, false]) {
      const driver = watched();
      if (isLive) wake(driver);
      driver.kernel.order("raul", { type: "park", reason: "holiday" }, driver.nowMs);
      driver.advance(1_000);
      expect(downs(driver)).toEqual(["raul parked"]);
    }
    const disabled = watched();
    disabled.kernel.disable("raul", "no module", disabled.nowMs);
    disabled.advance(1_000);
    expect(downs(disabled)).toEqual(["raul disabled"]);
  });

  it("tells the end once when the process dies, at whatever step", () => {
    for (let steps = 0; steps < 12; steps++) {
      const driver = watched();
      wake(driver);
      driver.crash("raul");
      for (let left = steps; left > 0; left--) driver.step();
      driver.restartProcess();
      driver.advance(5_000);
      expect(downs(driver), `${steps} steps`).toHaveLength(1);
    }
  });

  it("waits for a watcher whose mailbox is full, until its down is stored", () => {
    const driver = makeDriver({
      agents,
      limits: { mailboxDepthMax: 1 },
      script: scripted({
        *go(turn) {
          yield* answerOf(turn.monitor("agent:raul:main"));
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.order("main", { type: "park", reason: "test" }, driver.nowMs);
    driver.settle();
    driver.tell(main, "fills it");
    wake(driver);
    driver.crash("raul");
    driver.advance(5_000);
    expect(downs(driver)).toEqual([]);
    driver.kernel.unpark("main", driver.nowMs);
    driver.advance(5_000);
    expect(downs(driver)).toEqual(["raul crash"]);
  });

  it("needs the right to send or to ask, of its slot; an unknown agent and oneself cannot be watched", () => {
    const only = (verbs: Pairing["verbs"]): readonly Pairing[] => [
      { id: "p", subject: "agent:main", object: "agent:raul", verbs, origin: "config" },
    ];
    const monitor = (turn: FakeTurn): number => {
      turn.raw(up.monitor, 1, 1, 0, "agent:raul:main");
      return 1;
    };
    expect(answersOf(monitor, { pairings: only(["request"]) }).driver.ofType("signal-call")).toHaveLength(1);
    expect(answersOf(monitor, { pairings: only(["history"]) }).answers).toEqual(
      refused("CLOISTER_CAPABILITY_DENIED", /neither to send/),
    );
    expect(answersOf((turn) => turn.monitor("agent:raul:main"), { pairings: [] }).answers).toEqual(
      refused("CLOISTER_CAPABILITY_DENIED", /may not send/),
    );
    expect(answersOf((turn) => turn.monitor("agent:nobody:main")).answers).toEqual(
      refused("CLOISTER_AGENT_UNKNOWN", /nobody/),
    );
    expect(answersOf((turn) => turn.monitor("agent:main:x")).answers).toEqual(
      refused("CLOISTER_REQUEST_INVALID", /does not watch itself/),
    );
  });
});
