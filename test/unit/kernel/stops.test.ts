import { describe, expect, it } from "vitest";
import { doneBits, up } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const stopped = { status: "error", code: "CLOISTER_ASK_ABORTED", message: "the run was stopped" };
const blocked: Script = function* (turn) {
  yield* gate("go on");
  return { reply: turn.cancelled() ? "noticed" : "done", state: "1" };
};

describe("stopping a session", () => {
  it("cancels what runs and drops what waits; each is told once, and the state stays as it was", () => {
    const driver = makeDriver({ script: blocked });
    driver.tell(main, "a", { runId: "ra" });
    driver.tell(main, "b", { runId: "rb" });
    driver.settle();
    expect(driver.abort(main)).toEqual(["ra", "rb"]);
    driver.settle();
    driver.open("go on");
    expect(driver.outcomes("a")).toEqual([stopped]);
    expect(driver.outcomes("b")).toEqual([stopped]);
    expect(driver.dead("b")).toMatchObject({ fate: "dropped", reason: "the operator stopped it" });
    expect(driver.journal.states.size).toBe(0);
    expect(driver.ofType("ended").map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("reaches one run when one is named", () => {
    const driver = makeDriver({ script: blocked });
    for (const run of ["a", "b", "c"]) driver.tell(main, run, { runId: run });
    driver.settle();
    expect(driver.abort(main, "b")).toEqual(["b"]);
    expect(driver.abort(main, "nothing")).toEqual([]);
    driver.settle();
    driver.open("go on");
    driver.open("go on");
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.outcomes("c")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["a", "c"]);
  });

  it("stops a turn that has not reached its cell yet, and one whose cell dies, for good", () => {
    const started = makeDriver({ script: blocked });
    started.tell(main, "a");
    started.stepUntil(() => started.ofType("begin").length > 0);
    expect(started.abort(main)).toHaveLength(1);
    started.finish();
    expect(started.handled).toEqual([]);
    expect(started.outcomes("a")).toEqual([stopped]);

    const crashed = makeDriver({ script: blocked });
    crashed.tell(main, "a");
    crashed.settle();
    crashed.abort(main);
    crashed.crash("main");
    crashed.finish();
    expect(crashed.handled).toHaveLength(1);
    expect(crashed.outcomes("a")).toEqual([stopped]);
    expect(crashed.dead("a")?.fate).toBe("dropped");
    expect(leaks(crashed.kernel)).toEqual([]);
  });

  it("comes too late for what is being committed", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a");
    driver.stepUntil(() => driver.ofType("commit").length > 0);
    expect(driver.abort(main)).toEqual([]);
    driver.settle();
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "re: a" }]);
  });

  it("reaches what the turn that is being committed had asked for, and did not wait for", () => {
    const driver = makeDriver({
      script: scripted({
        first: function* (turn) {
          yield* gate("look");
          turn.take();
          return { reply: "done" };
        },
      }),
    });
    driver.tell(main, "first");
    driver.settle();
    driver.tell(main, "second", { runId: "second" });
    driver.settle();
    driver.stallStore("main", 1_000);
    driver.open("look");
    expect(driver.ofType("commit")).toHaveLength(1);
    expect(driver.abort(main)).toEqual(["second"]);
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["first"]);
    expect(driver.outcomes("first")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.dead("second")?.fate).toBe("dropped");
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("settles who waits for it", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send("agent:raul:main", "queued", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
        busy: blocked,
      }),
    });
    driver.tell("agent:raul:main", "busy");
    driver.settle();
    driver.tell(main, "ask");
    driver.settle();
    driver.abort("agent:raul:main");
    driver.settle();
    expect(driver.outcomes("ask")).toEqual([{ status: "ok", text: "CLOISTER_ASK_ABORTED" }]);
  });

  it("lets the next message wait for the place that it needs, not for that of the one before", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      mainLaneConcurrent: 1,
      script: scripted({
        sends: (turn) => {
          turn.send("agent:main:x", "from raul");
          return {};
        },
        busy: blocked,
      }),
    });
    driver.tell(main, "busy");
    driver.settle();
    driver.tell("agent:main:x", "from outside", { runId: "r" });
    driver.settle();
    driver.tell("agent:raul:main", "sends");
    driver.settle();
    // The lane of x waits for a place in main with the message from outside at its head.
    driver.abort("agent:main:x", "r");
    driver.open("go on");
    expect(driver.outcomes("from raul")).toEqual([{ status: "ok", text: "re: from raul" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

const streaming =
  (...chunks: readonly string[]): Script =>
  (turn) => {
    for (const chunk of chunks) turn.stream(chunk);
    return { reply: "end" };
  };

const streamed = (driver: Driver): readonly (readonly [number, string])[] =>
  driver.ofType("streamed").map(({ seq, text }) => [seq, text]);

describe("streamed text", () => {
  const { streamHeldCharsMax } = limits;
  it("is passed on in order, and the end has the next number", () => {
    const driver = makeDriver({ script: scripted({ go: streaming("a", "b", "c") }) });
    driver.tell(main, "go");
    driver.settle();
    expect(streamed(driver)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    expect(driver.ofType("ended")[0]?.seq).toBe(4);
  });

  it.each([
    ["an answer that says nothing", ["NO", "_REPLY", "\n"], []],
    ["in small letters and with blanks around", [" \n", "no_re", "ply "], []],
    [
      "one that goes on behind it",
      ["NO_", "REPLY", " is what I would say", "."],
      ["NO_REPLY is what I would say", "."],
    ],
    ["one that begins like it", ["N", "o", ", I do not."], ["No, I do not."]],
    ["one that has it later", ["Yes. ", "NO_REPLY"], ["Yes. ", "NO_REPLY"]],
    [
      "no more blanks than its bound",
      [" ".repeat(streamHeldCharsMax), " ", " ", "NO"],
      [" ".repeat(streamHeldCharsMax + 1), " ", "NO"],
    ],
  ])("is held back as long as it may be an answer that says nothing: %s", (_what, chunks, told) => {
    const driver = makeDriver({ script: scripted({ go: streaming(...chunks) }) });
    driver.tell(main, "go");
    driver.settle();
    expect(streamed(driver)).toEqual(told.map((text, at) => [at + 1, text]));
    expect(driver.ofType("ended")[0]?.seq).toBe(told.length + 1);
  });

  it("falls silent at its bound, to the character", () => {
    const driver = makeDriver({
      limits: { streamCharsMax: 5 },
      script: scripted({ go: streaming("abc", "defgh", "i", "") }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(streamed(driver)).toEqual([
      [1, "abc"],
      [2, "de"],
    ]);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "end" }]);
  });

  it("of a stopped turn is not passed on", () => {
    const driver = makeDriver({
      script: scripted({
        go: function* (turn) {
          yield* gate("go on");
          turn.stream("too late");
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.abort(main);
    driver.open("go on");
    expect(streamed(driver)).toEqual([]);
  });
});

describe("what a cell says", () => {
  it("is bounded: answers, failures and log records", () => {
    const driver = makeDriver({
      limits: { replyCharsMax: 10, failureCharsMax: 5, logCharsMax: 4 },
      script: scripted({
        long: () => {
          return { reply: "x".repeat(11) };
        },
        fails: (turn) => {
          turn.raw(6, 0, 0, 30, "logging");
          return { error: "a long story" };
        },
      }),
    });
    driver.tell(main, "long");
    driver.tell(main, "fails");
    driver.settle();
    expect(driver.outcomes("long")).toEqual([
      { status: "error", code: "CLOISTER_MESSAGE_TOO_LARGE", message: "the answer has 11 characters; the bound is 10" },
    ]);
    expect(driver.outcomes("fails")).toEqual([{ status: "error", code: "CLOISTER_AGENT_FAILED", message: "a lon" }]);
    expect(driver.ofType("cell-log")).toEqual([{ type: "cell-log", agentId: "main", level: 30, message: "logg" }]);
  });
});

describe("what a cell kept back because it is too long", () => {
  it.each([
    { bits: doneBits.tooLong | doneBits.reply, length: "33", said: "the answer has 33 characters; the bound is 10" },
    { bits: doneBits.tooLong, length: "44", said: `the state of ${main} has 44 characters; the bound is 9` },
    {
      bits: doneBits.tooLong,
      length: "-1 ".repeat(9),
      said: `the state of ${main} has too many characters; the bound is 9`,
    },
  ])("fails the turn: $said", ({ bits, length, said }) => {
    const driver = makeDriver({ limits: { replyCharsMax: 10, stateCharsMax: 9 }, script: scripted({ go: blocked }) });
    driver.tell(main, "go");
    driver.settle();
    const agent = driver.kernel.state.agents.get("main");
    const [turn] = agent?.turns.keys() ?? [];
    driver.frame("main", [1, (agent?.lastSeq ?? 0) + 1, up.done, 0, turn, 0, bits, length, '{"kept":"back"}', ""]);
    driver.settle();
    expect(driver.outcomes("go")).toEqual([{ status: "error", code: "CLOISTER_MESSAGE_TOO_LARGE", message: said }]);
    expect(driver.ofType("commit").at(-1)?.state).toBeUndefined();
  });
});

describe("a store that fails", () => {
  it("at the begin: the message is tried again and nothing overtakes it", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.journal.failNext("main", 3);
    driver.tell(main, "a");
    driver.tell(main, "b");
    driver.settle();
    expect(driver.kernel.view("main")?.reason).toMatch(
      /^its store failed 1 times in a row: the store could not commit/,
    );
    expect(driver.outcomes("b")).toEqual([]);
    driver.finish();
    expect(driver.handled.map(({ body, attempt }) => [body, attempt])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
    expect(driver.kernel.view("main")?.reason).toBeUndefined();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("at the commit: the turn is not run again, its place is free, and the session waits", () => {
    const driver = makeDriver({ agents: ["main", "raul"], mainLaneConcurrent: 1, script: scripted({}) });
    driver.tell(main, "a");
    driver.stepUntil(() => driver.ofType("commit").length > 0);
    driver.journal.failNext("main", 2);
    driver.tell(main, "b");
    driver.tell("agent:raul:main", "c");
    driver.settle();
    expect(driver.outcomes("a")).toEqual([]);
    expect(driver.outcomes("c")).toHaveLength(1);
    driver.finish();
    expect(driver.handled.filter(({ body }) => body === "a")).toHaveLength(1);
    expect(driver.journal.committedOrder.get(main)?.map((id) => driver.journal.accepted.get(id)?.body)).toEqual([
      "a",
      "b",
    ]);
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "re: a" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is told to who waits, at once", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send("agent:raul:main", "x", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.message : answer.type };
        },
      }),
    });
    driver.journal.failNext("raul", 1);
    driver.tell(main, "ask");
    const before = driver.nowMs;
    driver.settle();
    expect(driver.nowMs).toBe(before);
    expect(driver.outcomes("ask")).toEqual([
      {
        status: "ok",
        text: "the store could not commit: the disk is full; the message is kept and will be tried again",
      },
    ]);
    driver.finish();
    expect(driver.outcomes("x")).toHaveLength(1);
  });

  it("in a cell that crashes meanwhile does not run the turn again either", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a");
    driver.stepUntil(() => driver.ofType("commit").length > 0);
    driver.journal.failNext("main", 1);
    driver.settle();
    driver.crash("main");
    driver.finish();
    expect(driver.handled).toHaveLength(1);
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "re: a" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});
