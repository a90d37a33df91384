import { describe, expect, it } from "vitest";
import { doneBits, up } from "../../../runtime/kernel/frames.ts";
import { type Answer, answerOf, gate, type Script, scripted, storedOf } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

/** An agent `main` with a turn in its cell, and what its port was told since. */
function withLiveTurn(): {
  readonly driver: Driver;
  readonly turn: number;
  readonly incarnation: number;
  readonly seq: () => number;
} {
  const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ go: blocked }) });
  driver.tell(main, "go");
  driver.settle();
  const agent = driver.kernel.state.agents.get("main");
  const turn = [...(agent?.turns.keys() ?? [])][0] ?? 0;
  return { driver, turn, incarnation: agent?.incarnation ?? 0, seq: () => agent?.lastSeq ?? 0 };
}

const send = (turn: number, slot: number): readonly unknown[] => [up.send, 9, turn, slot, 0, raul, "k", "forged"];

describe("a forged frame is refused, audited and without effect (AC-06.3)", () => {
  const cases: readonly (readonly [name: string, event: string, frame: (seq: number, turn: number) => unknown])[] = [
    ["that is no array", "forged-frame", () => ({ incarnation: 1 })],
    [
      "with an object inside",
      "forged-frame",
      (seq, turn) => [1, seq + 1, up.send, 9, turn, 2, 0, raul, "k", { body: "forged" }],
    ],
    ["of another incarnation", "forged-incarnation", (seq, turn) => [2, seq + 1, ...send(turn, 2)]],
    ["that repeats a number", "forged-sequence", (seq, turn) => [1, seq, ...send(turn, 2)]],
    ["that skips a number", "forged-sequence", (seq, turn) => [1, seq + 2, ...send(turn, 2)]],
    ["for a turn that nobody holds", "forged-turn", (seq) => [1, seq + 1, ...send(999, 2)]],
    ["with an unknown operation", "forged-record", (seq, turn) => [1, seq + 1, 77, 9, turn, 2, 0, raul, "k", "forged"]],
    [
      "that ends a turn with unknown bits",
      "forged-record",
      (seq, turn) => [1, seq + 1, up.done, 0, turn, 0, 32, "", "", ""],
    ],
  ];
  for (const [name, event, frame] of cases) {
    it(name, () => {
      const { driver, turn, seq } = withLiveTurn();
      const accepted = driver.journal.accepted.size;
      driver.frame("main", frame(seq(), turn));
      driver.settle();
      expect(driver.audits(event)).toEqual([
        expect.objectContaining({ subject: "agent:main", decision: "refused", code: "CLOISTER_CAPABILITY_FORGED" }),
      ]);
      expect(driver.journal.accepted.size).toBe(accepted);
      expect(driver.kernel.state.agents.get("main")?.turns.size).toBe(1);
      // What comes after it in the right form still counts.
      driver.frame("main", [1, seq() + 1, up.done, 0, turn, 0, doneBits.reply, "done", "", ""]);
      driver.settle();
      expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
    });
  }

  it("for a turn of another cell", () => {
    const { driver, turn } = withLiveTurn();
    driver.tell(raul, "warm");
    driver.settle();
    driver.frame("raul", [
      1,
      (driver.kernel.state.agents.get("raul")?.lastSeq ?? 0) + 1,
      up.done,
      0,
      turn,
      0,
      1,
      "stolen",
      "",
      "",
    ]);
    expect(driver.audits("forged-turn")).toHaveLength(1);
    driver.open("go on");
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("for a turn that is over, and a call in it is answered", () => {
    const { driver, turn, seq } = withLiveTurn();
    driver.open("go on");
    driver.frame("main", [1, seq() + 1, ...send(turn, 2)]);
    expect(driver.audits("forged-turn")).toHaveLength(1);
    const last = driver.ofType("post").at(-1);
    expect(last?.record.slice(0, 4)).toEqual([3, 9, 0, 0]);
    expect(last?.record[4]).toContain("CLOISTER_CAPABILITY_FORGED");
  });

  it("for a turn that the cell has ended already: it is committed once", () => {
    const { driver, turn, seq } = withLiveTurn();
    const done = (text: string): readonly unknown[] => [up.done, 0, turn, 0, doneBits.reply, text, "", ""];
    driver.frame("main", [1, seq() + 1, ...done("first"), ...done("second"), ...send(turn, 2)]);
    driver.settle();
    expect(driver.ofType("commit").map(({ outcomeText }) => outcomeText)).toEqual(["first"]);
    expect(driver.audits("forged-turn")).toHaveLength(2);
    expect(driver.journal.accepted.size).toBe(1);
  });

  it("from the port of a cell that has ended", () => {
    const { driver, turn, incarnation } = withLiveTurn();
    driver.crash("main", "normal");
    driver.settle();
    expect(driver.kernel.view("main")?.incarnation).toBe(incarnation + 1);
    driver.frame("main", [incarnation, 1, ...send(turn, 2)], incarnation);
    expect(driver.audits("forged-incarnation")).toHaveLength(1);
    expect(driver.journal.accepted.size).toBe(1);
  });

  it("and its neighbours in the same frame are not lost with a bad record", () => {
    const { driver, turn, seq } = withLiveTurn();
    driver.frame("main", [1, seq() + 1, 77, 0, turn, 0, 0, "", "", "", up.stream, 0, turn, 0, 0, "text", "", ""]);
    expect(driver.ofType("streamed").map(({ text }) => text)).toEqual(["text"]);
  });
});

const told = (driver: Driver, body: string): Answer => {
  const [outcome] = driver.outcomes(body);
  if (outcome?.status !== "ok") throw new Error(`${body} ended with ${JSON.stringify(outcome)}`);
  return JSON.parse(outcome.text);
};

const sendVia = (slot: number, timeoutMs = 0): Script =>
  function* (turn) {
    return { reply: JSON.stringify(yield* answerOf(turn.send(raul, "x", { slot, timeoutMs }))) };
  };

describe("a slot", () => {
  const pairings = [
    { id: "p1", subject: "agent:main", object: "agent:ana", verbs: ["send", "request"], origin: "config" },
    { id: "p2", subject: "agent:main", object: "agent:raul", verbs: ["send"], origin: "config" },
  ] as const;

  it("that the cell does not hold gives nothing but the line that would grant it", () => {
    const driver = makeDriver({ agents: ["main", "raul", "ana"], pairings, script: scripted({ go: sendVia(9) }) });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({
      refusal: {
        code: "CLOISTER_CAPABILITY_DENIED",
        message: "agent:main may not send agent:raul",
        remedy: 'tools.agentToAgent.allow: ["agent:raul"]',
      },
    });
    expect(driver.audits("refused")).toEqual([
      expect.objectContaining({ subject: main, object: raul, decision: "refused", code: "CLOISTER_CAPABILITY_DENIED" }),
    ]);
    expect(driver.journal.accepted.size).toBe(1);
  });

  it("acts for itself alone: a right that the cell holds through another one does not help it", () => {
    const driver = makeDriver({ agents: ["main", "raul", "ana"], pairings, script: scripted({ go: sendVia(1) }) });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({
      refusal: { code: "CLOISTER_CAPABILITY_DENIED", message: expect.stringContaining("slot 1") },
    });
  });

  it("to send does not allow to ask", () => {
    const driver = makeDriver({
      agents: ["main", "raul", "ana"],
      pairings,
      script: scripted({ go: sendVia(2, 1_000) }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_CAPABILITY_DENIED" } });
  });

  it("of another agent means nothing in this cell", () => {
    // raul holds one pairing, main two: main's second slot is none of raul's.
    const driver = makeDriver({
      agents: ["main", "raul", "ana"],
      pairings: [
        ...pairings,
        { id: "p3", subject: "agent:raul", object: "agent:ana", verbs: ["send"], origin: "config" },
      ],
      script: scripted({ go: sendVia(2) }),
    });
    driver.tell(raul, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_CAPABILITY_DENIED" } });
  });

  it("without the tool's name does not open the gateway's tools", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.call("gateway_shutdown", {}))) };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_CAPABILITY_DENIED" } });
    expect(driver.ofType("call")).toEqual([]);
  });

  it("does not carry a call that is larger than its bound", () => {
    const driver = makeDriver({
      limits: { callParamsCharsMax: 50 },
      script: scripted({
        go: function* (turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.call("sessions_send", { to: "x".repeat(60) }))) };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_MESSAGE_TOO_LARGE" } });
  });
});

describe("a revoked right", () => {
  it("counts for the next send (W-07)", () => {
    const answers: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          for (let index = 0; index < 2; index++) {
            answers.push((yield* storedOf(turn.send(raul, `m${index}`))).type);
            yield* gate("go on");
          }
          return { reply: "finished" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.revoke("main>raul", driver.nowMs);
    driver.open("go on");
    driver.open("go on");
    expect(answers).toEqual(["stored", "refused"]);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "finished" }]);
  });

  it("also stops what is stored and not delivered: a dead letter, and the asker is told", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        busy: blocked,
        go: function* (turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.send(raul, "late", { timeoutMs: 5_000 }))) };
        },
      }),
    });
    driver.tell(raul, "busy");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.revoke("main>raul", driver.nowMs);
    driver.open("go on");
    expect(driver.dead("late")).toMatchObject({
      fate: "refused",
      reason: "the pairing main>raul was revoked before delivery",
    });
    expect(driver.outcomes("go")[0]).toMatchObject({
      status: "ok",
      text: expect.stringContaining("CLOISTER_CAPABILITY_REVOKED"),
    });
    expect(driver.handled.map(({ body }) => body)).not.toContain("late");
    expect(driver.audits("revoked")).toEqual([
      expect.objectContaining({ subject: main, object: raul, code: "CLOISTER_CAPABILITY_REVOKED" }),
    ]);
  });

  it("does not stop what came from outside", () => {
    const driver = makeDriver({ pairings: [], script: scripted({}) });
    driver.tell(main, "hello", { via: "door:webhook" });
    driver.settle();
    expect(driver.outcomes("hello")).toHaveLength(1);
  });
});

const go: Script = function* (turn) {
  const answer = yield* answerOf(turn.send(raul, "x", { timeoutMs: 1_000 }));
  return { reply: answer.type === "refused" ? answer.refusal.message : answer.type };
};

const run = (clamp: "none" | "non-main" | "all", session: string): unknown => {
  const driver = makeDriver({
    agents: ["main", "raul"],
    spec: () => ({ clamp }),
    pairings: openPairings(["main", "raul"]),
    script: scripted({ go }),
  });
  driver.tell(session, "go");
  driver.settle();
  return driver.outcomes("go")[0];
};

describe("a clamped session", () => {
  const refused = { status: "ok", text: "Session not visible from this sandboxed agent session." };
  const answered = { status: "ok", text: "result" };

  it("reaches nobody, whatever its agent may do", () => {
    expect(run("all", main)).toEqual(refused);
    expect(run("non-main", "agent:main:x")).toEqual(refused);
  });
  it("is not the main one under non-main, and none without a clamp", () => {
    expect(run("non-main", main)).toEqual(answered);
    expect(run("none", "agent:main:x")).toEqual(answered);
  });
});
