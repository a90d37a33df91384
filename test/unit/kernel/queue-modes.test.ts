/** What becomes of what people say while a turn of their session runs. */
import { describe, expect, it } from "vitest";
import { queueDrops, queueModes, type QueuePolicy } from "../../../runtime/kernel/queues.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import { answerOf, gate, type Part, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const policy = (change: Partial<QueuePolicy> = {}): QueuePolicy => ({
  mode: "followup",
  debounceMs: 500,
  cap: 20,
  drop: "summarize",
  ...change,
});
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const bodies = (driver: Driver): readonly string[] => driver.handled.map(({ body }) => body);

/** `first` runs until "go on"; everything else is answered at once. */
function open(
  queue: QueuePolicy | undefined,
  scripts: Readonly<Record<string, Script>> = {},
  more: object = {},
): Driver {
  const driver = makeDriver({
    agents: ["main", "raul"],
    pairings: openPairings(["main", "raul"]),
    queueOf: () => queue,
    script: scripted({ first: blocked, ...scripts }),
    ...more,
  });
  driver.tell(main, "first");
  driver.settle();
  return driver;
}

function tellAll(driver: Driver, texts: readonly string[]): void {
  for (const text of texts) driver.tell(main, text);
  driver.settle();
}

function finish(driver: Driver): void {
  driver.open("go on");
  driver.finish();
  expect(leaks(driver.kernel)).toEqual([]);
  expect(driver.watch.problems).toEqual([]);
  for (const { commits } of driver.journal.done.values()) expect(commits).toBe(1);
}

describe("followup", () => {
  it("is a turn for each, in order of arrival", () => {
    const driver = open(policy());
    tellAll(driver, ["a", "b", "c"]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "a", "b", "c"]);
  });

  it("is what happens where nobody has set anything and no turn takes them; nothing is dropped", () => {
    const driver = open(undefined);
    const texts = Array.from({ length: 50 }, (_, index) => `m${index}`);
    tellAll(driver, texts);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", ...texts]);
  });
});

describe("steer", () => {
  const heard: (readonly Part[])[] = [];
  const taking: Script = function* (turn) {
    heard.length = 0;
    yield* gate("look");
    for (let round = 0; round < 2; round++) {
      const ref = turn.take();
      yield* answerOf(ref);
      heard.push(turn.takenAt(ref));
    }
    yield* gate("go on");
    return { reply: "done", state: "1" };
  };

  it("A4.5: gives the running turn what came meanwhile, and marks each done with it, once", () => {
    const driver = open(undefined, { first: taking });
    tellAll(driver, ["a", "b"]);
    driver.open("look");
    expect(heard.map((parts) => parts.map(({ body }) => body))).toEqual([["a", "b"], []]);
    expect(driver.journal.done.size).toBe(0);
    finish(driver);
    expect(bodies(driver)).toEqual(["first"]);
    expect(driver.outcomes("first")).toEqual([{ status: "ok", text: "done" }]);
    for (const body of ["a", "b"]) expect(driver.outcomes(body)).toEqual([{ status: "no_reply" }]);
    expect(driver.journal.done.size).toBe(3);
  });

  it("leaves a turn of its own to a message that chooses for itself, and takes nothing into that turn", () => {
    const driver = open(undefined, { first: taking, alone: taking });
    driver.tell(main, "alone", { choices: { elevated: "full" } });
    tellAll(driver, ["a"]);
    driver.open("look");
    // What stands behind it waits too: its order is kept.
    expect(heard).toEqual([[], []]);
    driver.open("go on");
    driver.settle();
    driver.tell(main, "b");
    expect(heard).toEqual([]);
    driver.open("look");
    expect(heard).toEqual([[], []]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "alone", "a", "b"]);
  });

  it("A4.5: leaves a turn of its own to what agents send and what is due", () => {
    const driver = open(undefined, {
      first: taking,
      go: (turn) => {
        turn.send(main, "from raul");
        return {};
      },
    });
    driver.tell("agent:raul:main", "go");
    driver.settle();
    driver.tell(main, "due", { from: { type: "timer", agentId: "main", timerId: "t" } });
    tellAll(driver, ["a"]);
    driver.open("look");
    expect(heard).toEqual([[], []]);
    finish(driver);
    expect(bodies(driver).filter((body) => body !== "go")).toEqual(["first", "from raul", "due", "a"]);
  });

  /** raul's turn: tells main by `sessions_send`, each text after what it says of it. */
  const telling = (...sends: readonly (readonly [text: string, params: object])[]): Script =>
    function* (turn) {
      for (const [text, params] of sends)
        yield* answerOf(turn.call("sessions_send", { to: main, timeoutMs: 0, ...params }, text));
      return {};
    };
  const steers = { steers: true };

  it("A9.1: gives the running turn what an agent steers it with, in order of arrival, and it is done with it", () => {
    const driver = open(undefined, { first: taking, go: telling(["from raul", steers]) });
    tellAll(driver, ["a"]);
    driver.tell("agent:raul:main", "go");
    driver.settle();
    tellAll(driver, ["b"]);
    driver.open("look");
    expect(heard.map((parts) => parts.map(({ body }) => body))).toEqual([["a", "from raul", "b"], []]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "go"]);
    expect(driver.outcomes("from raul")).toEqual([{ status: "no_reply" }]);
  });

  it("A9.1: steers a turn of whatever origin, and is a turn of its own where none takes it", () => {
    const steer = telling(["one", steers]);
    const driver = open(undefined, { first: blocked, due: taking, go: steer });
    driver.tell("agent:raul:main", "go");
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "go", "one"]);
    expect(driver.outcomes("one")).toEqual([{ status: "ok", text: "re: one" }]);
    driver.tell(main, "due", { from: { type: "timer", agentId: "main", timerId: "t" } });
    driver.tell("agent:raul:main", "go");
    driver.settle();
    driver.open("look");
    expect(heard[0]?.map(({ body }) => body)).toEqual(["one"]);
    finish(driver);
  });

  it("A9.1: does not overtake what the same session sent before, and leaves alone what is dropped or collected", () => {
    const driver = open(policy({ mode: "collect", cap: 1, drop: "old", debounceMs: 0 }), {
      first: taking,
      go: telling(["plain", {}], ["late", steers]),
    });
    tellAll(driver, ["a", "b"]);
    driver.tell("agent:raul:main", "go");
    driver.settle();
    driver.open("look");
    expect(heard).toEqual([[], []]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "go", "b", "plain", "late"]);
    expect(driver.dead("a")).toMatchObject({ fate: "dropped" });
  });

  it("A9.1: is refused when the right to it is gone before a turn takes it", () => {
    const driver = open(undefined, { first: taking, go: telling(["from raul", steers]) });
    driver.tell("agent:raul:main", "go");
    driver.settle();
    driver.kernel.revoke("raul>main", driver.nowMs);
    driver.open("look");
    expect(heard).toEqual([[], []]);
    finish(driver);
    expect(driver.dead("from raul")).toMatchObject({ fate: "refused" });
  });

  it("A9.1: is given again to the turn that is handled again", () => {
    const driver = open(undefined, { first: taking, go: telling(["from raul", steers]) });
    driver.tell("agent:raul:main", "go");
    driver.settle();
    driver.open("look");
    expect(heard[0]?.map(({ body }) => body)).toEqual(["from raul"]);
    driver.crash("main");
    driver.advance(1_000);
    driver.open("look");
    expect(heard[0]?.map(({ body }) => body)).toEqual(["from raul"]);
    finish(driver);
    expect(driver.outcomes("from raul")).toEqual([{ status: "no_reply" }]);
  });

  it("takes nothing of another chat in the same session", () => {
    const driver = open(undefined, { first: taking });
    const from: Admission["from"] = {
      type: "channel",
      channel: "webhook",
      accountId: "a",
      peer: "direct:u",
      senderId: "u",
    };
    driver.tell(main, "elsewhere", { from });
    driver.settle();
    driver.open("look");
    expect(heard).toEqual([[], []]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "elsewhere"]);
  });

  it("gives the same to the turn when its cell ends and it is handled again", () => {
    const driver = open(undefined, { first: taking });
    tellAll(driver, ["a", "b"]);
    driver.open("look");
    const before = structuredClone(heard);
    driver.crash("main");
    driver.settle();
    tellAll(driver, ["c"]);
    driver.advance(1_000);
    driver.open("look");
    expect(heard[0]).toEqual(before[0]);
    finish(driver);
    expect(driver.journal.done.size).toBe(4);
    expect(driver.outcomes("a")).toEqual([{ status: "no_reply" }]);
  });

  it("gives the same to the turn that is repeated while its agent goes out of service", () => {
    const driver = open(undefined, { first: taking });
    tellAll(driver, ["a"]);
    driver.open("look");
    driver.crash("main");
    driver.advance(1_000);
    driver.kernel.disable("main", "its module is gone", driver.nowMs);
    driver.open("look");
    expect(heard.map((parts) => parts.map(({ body }) => body))).toEqual([["a"], []]);
    finish(driver);
    expect(driver.outcomes("a")).toEqual([{ status: "no_reply" }]);
    expect(driver.kernel.state.agents.get("main")?.depth).toBe(0);
  });

  it("delivers no turn to a cell whose agent went out of service while it began", () => {
    const driver = open(undefined, { first: taking });
    tellAll(driver, ["a"]);
    driver.open("look");
    driver.crash("main");
    driver.stallStore("main", 5_000);
    driver.advance(1_000);
    driver.kernel.disable("main", "its module is gone", driver.nowMs);
    driver.advance(10_000);
    expect(bodies(driver)).toEqual(["first"]);
    driver.restartProcess();
    driver.finish();
    driver.open("look");
    expect(heard.map((parts) => parts.map(({ body }) => body))).toEqual([["a"], []]);
    finish(driver);
  });

  it("loses nothing when the process ends after it was taken", () => {
    const driver = open(undefined, { first: taking });
    tellAll(driver, ["a"]);
    driver.open("look");
    driver.restartProcess();
    driver.finish();
    driver.open("look");
    expect(heard.flat().map(({ body }) => body)).toEqual(["a"]);
    finish(driver);
    expect([...driver.journal.done.values()].map(({ commits }) => commits)).toEqual([1, 1]);
  });

  it("is handled on its own when the turn that took it fails to be handled", () => {
    const driver = open(undefined, {
      first: function* (turn) {
        yield* gate("look");
        yield* answerOf(turn.take());
        return { unhandled: "not mine" };
      },
    });
    tellAll(driver, ["a"]);
    driver.open("look");
    finish(driver);
    expect(driver.dead("first")).toMatchObject({ fate: "unhandled" });
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "re: a" }]);
  });

  it("fails with the turn that took it, and is stopped with it", () => {
    const driver = open(undefined, {
      first: function* (turn) {
        yield* gate("look");
        yield* answerOf(turn.take());
        return { error: "broken" };
      },
    });
    tellAll(driver, ["a"]);
    driver.open("look");
    finish(driver);
    expect(driver.outcomes("a")).toMatchObject([{ status: "error", code: "CLOISTER_AGENT_FAILED" }]);
    const stopped = open(undefined, { first: taking });
    tellAll(stopped, ["a"]);
    stopped.open("look");
    stopped.kernel.stop({ type: "session", sessionKey: main }, "test", stopped.nowMs);
    finish(stopped);
    expect(stopped.outcomes("a")).toMatchObject([{ status: "error", code: "CLOISTER_ASK_ABORTED" }]);
  });

  it("goes back to its place when the store cannot record it, and when the turn did not wait for it", () => {
    const driver = open(undefined, {
      first: function* (turn) {
        yield* gate("look");
        turn.take();
        return { reply: "done" };
      },
    });
    tellAll(driver, ["a", "b"]);
    driver.open("look");
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "a", "b"]);
    const answers: string[] = [];
    const failing = open(undefined, {
      first: function* (turn) {
        yield* gate("look");
        answers.push((yield* answerOf(turn.take())).type);
        return { reply: "done" };
      },
    });
    tellAll(failing, ["a", "b"]);
    failing.journal.failNext("main", 1);
    failing.open("look");
    finish(failing);
    expect(answers).toEqual(["refused"]);
    expect(bodies(failing)).toEqual(["first", "a", "b"]);
  });
});

describe("collect", () => {
  it("is one turn for all, after a quiet while; every envelope is done once", () => {
    const driver = open(policy({ mode: "collect" }));
    tellAll(driver, ["a", "b"]);
    driver.open("go on");
    driver.advance(300);
    tellAll(driver, ["c"]);
    driver.advance(400);
    expect(bodies(driver)).toEqual(["first"]);
    driver.advance(200);
    expect(bodies(driver)).toEqual(["first", "a + b + c"]);
    finish(driver);
    expect(driver.outcomes("b")).toEqual([{ status: "no_reply" }]);
    expect(driver.outcomes("c")).toEqual([{ status: "no_reply" }]);
    expect(driver.journal.done.size).toBe(4);
  });

  it("does not wait beyond the cap, nor for a session that is idle", () => {
    const driver = open(policy({ mode: "collect", cap: 3 }));
    tellAll(driver, ["a", "b", "c"]);
    driver.open("go on");
    expect(bodies(driver)).toEqual(["first", "a + b + c"]);
    tellAll(driver, ["d"]);
    expect(bodies(driver)).toEqual(["first", "a + b + c", "d"]);
  });

  it("handles each channel and thread apart, in order", () => {
    const driver = open(policy({ mode: "collect", debounceMs: 0 }));
    const thread = (threadId: string): Admission["replyRoute"] => ({
      type: "channel",
      channel: "webhook",
      accountId: "a",
      peerKind: "direct",
      peerId: "u",
      threadId,
    });
    const from: Admission["from"] = {
      type: "channel",
      channel: "webhook",
      accountId: "a",
      peer: "direct:u",
      senderId: "u",
    };
    driver.tell(main, "a", { from, replyRoute: thread("1") });
    driver.tell(main, "b", { from, replyRoute: thread("1") });
    driver.tell(main, "c", { from, replyRoute: thread("2") });
    driver.tell(main, "d");
    driver.settle();
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "a + b", "c", "d"]);
  });

  it("is the same turn again after a crash of the cell and of the process, whatever came since", () => {
    for (const crash of ["cell", "process"] as const) {
      const driver = open(policy({ mode: "collect", debounceMs: 0 }), { "a + b": blocked });
      tellAll(driver, ["a", "b"]);
      driver.open("go on");
      driver.advance(200);
      expect(bodies(driver).at(-1), crash).toBe("a + b");
      if (crash === "cell") driver.crash("main");
      else driver.restartProcess();
      driver.settle();
      tellAll(driver, ["c"]);
      driver.advance(2_000);
      driver.open("go on");
      finish(driver);
      expect(bodies(driver), crash).toEqual(["first", "a + b", "a + b", "c"]);
    }
  });

  it("sets aside the first of a turn that ends its cell each time; the others are handled after it", () => {
    const driver = open(policy({ mode: "collect", debounceMs: 0 }), {
      "a + b": (turn) => {
        turn.crash();
        return {};
      },
    });
    tellAll(driver, ["a", "b"]);
    driver.open("go on");
    driver.advance(10_000);
    finish(driver);
    expect(driver.dead("a")).toMatchObject({ fate: "poison" });
    expect(driver.outcomes("b")).toEqual([{ status: "ok", text: "re: b" }]);
  });
});

describe("interrupt", () => {
  it("stops the running turn, drops what waits, and handles the newest", () => {
    const driver = open(policy({ mode: "interrupt" }));
    tellAll(driver, ["a"]);
    tellAll(driver, ["b"]);
    finish(driver);
    expect(driver.outcomes("first")).toMatchObject([{ status: "error", code: "CLOISTER_ASK_ABORTED" }]);
    expect(driver.dead("a")).toMatchObject({ fate: "dropped", reason: expect.stringContaining("interrupt") });
    expect(bodies(driver)).toEqual(["first", "b"]);
  });

  it("leaves alone what agents asked for", () => {
    const driver = open(policy({ mode: "interrupt" }), {
      go: function* (turn) {
        const answer = yield* answerOf(turn.send("agent:raul:main", "first", { timeoutMs: 10_000 }));
        return { reply: JSON.stringify(answer) };
      },
    });
    driver.open("go on");
    driver.tell("agent:main:x", "go");
    driver.settle();
    driver.tell("agent:raul:main", "hello");
    driver.settle();
    finish(driver);
    expect(driver.outcomes("go")).toMatchObject([{ status: "ok", text: expect.stringContaining("done") }]);
    expect(driver.outcomes("hello")).toEqual([{ status: "ok", text: "re: hello" }]);
  });
});

describe("beyond the cap", () => {
  const texts = ["a", "b", "c", "d"];

  it("old: the oldest is dropped, as a dead letter", () => {
    const driver = open(policy({ cap: 2, drop: "old" }));
    tellAll(driver, texts);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "c", "d"]);
    for (const body of ["a", "b"]) {
      expect(driver.dead(body)).toMatchObject({ fate: "dropped", reason: expect.stringContaining("cap is 2") });
      expect(driver.outcomes(body)).toMatchObject([{ status: "error", code: "CLOISTER_MAILBOX_FULL" }]);
    }
  });

  it("new: the newest is dropped, as a dead letter", () => {
    const driver = open(policy({ cap: 2, drop: "new" }));
    tellAll(driver, texts);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "a", "b"]);
    expect(driver.dead("c")).toMatchObject({ fate: "dropped", reason: expect.stringContaining("drop new") });
  });

  it("summarize: the beginnings of the oldest go with the next turn, and none is lost", () => {
    const driver = open(policy({ cap: 2 }));
    const long = "x".repeat(200);
    tellAll(driver, [long, "b", "c", "d"]);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", `${"x".repeat(160)} + b + c`, "d"]);
    expect(driver.outcomes("b")).toEqual([{ status: "no_reply" }]);
    expect(driver.journal.done.size).toBe(5);
    expect(driver.journal.dead.size).toBe(0);
  });

  it("summarize and collect: one turn has them all", () => {
    const driver = open(policy({ mode: "collect", cap: 2, debounceMs: 0 }));
    tellAll(driver, texts);
    finish(driver);
    expect(bodies(driver)).toEqual(["first", "a + b + c + d"]);
    expect(driver.journal.done.size).toBe(5);
  });
});

describe("each mode with each drop policy and cap", () => {
  it.each(queueModes.flatMap((mode) => queueDrops.map((drop) => [mode, drop] as const)))(
    "%s, drop %s: all that was said is handled or dropped as the policy says, each once",
    (mode, drop) => {
      for (const cap of [1, 2, 3, 5])
        for (let count = 0; count <= 7; count++) {
          const texts = Array.from({ length: count }, (_, index) => `m${index}`);
          const driver = open(policy({ mode, drop, cap, debounceMs: 0 }));
          for (const text of texts) tellAll(driver, [text]);
          finish(driver);
          const over = Math.max(0, count - cap);
          const isInterrupt = mode === "interrupt";
          const dropped = isInterrupt
            ? texts.slice(0, -1)
            : { old: texts.slice(0, over), new: texts.slice(cap), summarize: [] }[drop];
          const kept = texts.filter((text) => !dropped.includes(text));
          // Those that wait shortened go with the first that waits whole.
          const together = mode === "collect" ? count : !isInterrupt && drop === "summarize" ? over + 1 : 1;
          const turns = [kept.slice(0, together).join(" + "), ...kept.slice(together)].filter((turn) => turn !== "");
          const what = `cap ${cap}, ${count} said`;
          expect(bodies(driver), what).toEqual(["first", ...turns]);
          for (const text of dropped) expect(driver.dead(text), what).toMatchObject({ fate: "dropped" });
          expect([driver.journal.done.size, driver.journal.dead.size], what).toEqual([1 + kept.length, dropped.length]);
        }
    },
  );
});
