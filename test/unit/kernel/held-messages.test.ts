/** What one sender writes in quick succession (`messages.inbound`): it waits for what comes next, and is one turn. */
import { expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { QueuePolicy } from "../../../runtime/kernel/queues.ts";
import type { TellOptions } from "../../support/driver-port.ts";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const holdMs = 500;
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

function open(queue?: Partial<QueuePolicy>, scripts: Readonly<Record<string, Script>> = {}) {
  const policy: QueuePolicy = { mode: "followup", debounceMs: 0, cap: 20, drop: "new", ...queue };
  return makeDriver({
    agents: ["main"],
    pairings: openPairings(["main"]),
    queueOf: () => (queue === undefined ? undefined : policy),
    script: scripted({ first: blocked, ...scripts }),
  });
}

const by = (senderId: string, more: { readonly threadId?: string } = {}): TellOptions => ({
  from: { type: "channel", channel: "irc", accountId: "a", peer: "group:#r", senderId },
  replyRoute: { type: "channel", channel: "irc", accountId: "a", peerKind: "group", peerId: "#r", ...more },
});

function say(driver: Driver, text: string, senderId = "ann", more: TellOptions = { holdMs }): void {
  driver.tell(main, text, { ...by(senderId), ...more });
  driver.settle();
}

const bodies = (driver: Driver): readonly string[] => driver.handled.map(({ body }) => body);

/** Each that was said is done once. */
function finish(driver: Driver, said: number): void {
  driver.open("go on");
  driver.finish();
  expect(leaks(driver.kernel)).toEqual([]);
  expect(driver.watch.problems).toEqual([]);
  expect([...driver.journal.done.values()].map(({ commits }) => commits)).toEqual(Array(said).fill(1));
}

it("is one turn when it was quiet; before that nothing begins", () => {
  const driver = open();
  say(driver, "a");
  driver.advance(300);
  say(driver, "b");
  driver.advance(400);
  expect(bodies(driver)).toEqual([]);
  driver.advance(200);
  expect(bodies(driver)).toEqual(["a + b"]);
  expect(driver.outcomes("b")).toEqual([{ status: "no_reply" }]);
  say(driver, "c");
  finish(driver, 3);
  expect(bodies(driver)).toEqual(["a + b", "c"]);
});

it.each<[string, (driver: Driver) => void, readonly string[]]>([
  ["a file, or a command that goes on", (driver) => say(driver, "x", "ann", {}), ["a + b", "x"]],
  ["another person", (driver) => say(driver, "x", "bob", {}), ["a + b", "x"]],
  ["an operator", (driver) => driver.tell(main, "x"), ["a + b", "x"]],
  [
    "a timer",
    (driver) => driver.tell(main, "x", { from: { type: "timer", agentId: "main", timerId: "t" } }),
    ["a + b", "x"],
  ],
])("begins at once when something else comes: %s", (_, tell, turns) => {
  const driver = open();
  say(driver, "a");
  say(driver, "b");
  tell(driver);
  driver.settle();
  expect(bodies(driver)).toEqual(turns);
  finish(driver, 3);
});

it("of two people, or in two threads, is a turn for each, in order of arrival", () => {
  const driver = open();
  say(driver, "a");
  say(driver, "b", "bob");
  expect(bodies(driver)).toEqual(["a"]);
  say(driver, "c", "bob", { ...by("bob", { threadId: "t" }), holdMs });
  expect(bodies(driver)).toEqual(["a", "b"]);
  say(driver, "d");
  expect(bodies(driver)).toEqual(["a", "b", "c"]);
  finish(driver, 4);
  expect(bodies(driver)).toEqual(["a", "b", "c", "d"]);
});

it("waits no longer than its bound, however long its sender goes on", () => {
  const driver = open();
  const everyMs = 4_000;
  const count = limits.heldMsMax / everyMs;
  for (let n = 0; n < count; n++) {
    say(driver, `m${n}`, "ann", { holdMs: 5_000 });
    expect(bodies(driver)).toEqual([]);
    driver.advance(everyMs);
  }
  expect(bodies(driver).map((body) => body.split(" + ").length)).toEqual([count]);
  finish(driver, count);
});

it("is as many as one turn takes; the next one begins another", () => {
  const driver = open();
  for (let n = 0; n <= limits.takenPerTurnMax; n++) say(driver, `m${n}`);
  expect(bodies(driver).map((body) => body.split(" + ").length)).toEqual([limits.takenPerTurnMax]);
  finish(driver, limits.takenPerTurnMax + 1);
  expect(bodies(driver).at(-1)).toBe(`m${limits.takenPerTurnMax}`);
});

it("is kept when the gateway ends meanwhile", () => {
  const driver = open();
  say(driver, "a");
  say(driver, "b");
  driver.restartProcess();
  driver.settle();
  finish(driver, 2);
  expect(bodies(driver)).toEqual(["a", "b"]);
});

it("is the same turn again after a crash of its cell", () => {
  const driver = open(undefined, { "a + b": blocked });
  say(driver, "a");
  say(driver, "b");
  driver.advance(600);
  driver.crash("main");
  driver.settle();
  driver.advance(5_000);
  finish(driver, 2);
  expect(bodies(driver)).toEqual(["a + b", "a + b"]);
});

it("behind a turn that runs is one message for the queue: of followup, and what was said later is another", () => {
  const driver = open({ mode: "followup" });
  say(driver, "first", "ann", {});
  say(driver, "a");
  say(driver, "b");
  driver.advance(600);
  say(driver, "c");
  driver.advance(600);
  driver.open("go on");
  expect(bodies(driver)).toEqual(["first", "a + b", "c"]);
  finish(driver, 4);
});

it("does not go with what it shortened before it is whole, when the store could not begin that at first", () => {
  const driver = open({ cap: 1, drop: "summarize" });
  driver.journal.failNext("main", 1);
  say(driver, "early", "ann", {});
  say(driver, "a");
  say(driver, "b");
  driver.advance(400);
  expect(bodies(driver)).toEqual(["early"]);
  finish(driver, 3);
  expect(bodies(driver)).toEqual(["early", "a + b"]);
});

it("is steered when it is whole, and not before", () => {
  const heard: string[][] = [];
  const driver = open(undefined, {
    first: function* (turn) {
      for (const name of ["early", "late"]) {
        yield* gate(name);
        const ref = turn.take();
        yield* answerOf(ref);
        heard.push(turn.takenAt(ref).map(({ body }) => body));
      }
      return { reply: "done" };
    },
  });
  say(driver, "first", "ann", {});
  say(driver, "a");
  say(driver, "b");
  driver.open("early");
  expect(heard).toEqual([[]]);
  driver.advance(600);
  driver.open("late");
  expect(heard).toEqual([[], ["a", "b"]]);
  finish(driver, 3);
});

it("interrupts once, and loses nothing of itself", () => {
  const driver = open({ mode: "interrupt" });
  say(driver, "first", "ann", {});
  say(driver, "a");
  say(driver, "b");
  driver.advance(600);
  expect(bodies(driver)).toEqual(["first", "a + b"]);
  expect([...driver.journal.dead.values()].map(({ envelope }) => envelope.body)).toEqual(["first"]);
  finish(driver, 2);
});

it("is one message for the cap, and lets go of what waits when another is dropped", () => {
  const driver = open({ cap: 1 });
  say(driver, "a");
  say(driver, "b");
  expect(driver.journal.dead.size).toBe(0);
  driver.advance(600);
  expect(bodies(driver)).toEqual(["a + b"]);
  say(driver, "first", "ann", {});
  say(driver, "c");
  say(driver, "d", "bob", {});
  expect(driver.dead("d")).toMatchObject({ fate: "dropped", reason: expect.stringContaining("cap is 1") });
  driver.open("go on");
  expect(bodies(driver)).toEqual(["a + b", "first", "c"]);
  finish(driver, 4);
});
