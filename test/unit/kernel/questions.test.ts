/** Questions in memory: what is judged once, what makes a turn and a wait of them, and what of it anybody is told. */
import { describe, expect, it, test } from "vitest";
import { down, up } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Effect } from "../../../runtime/kernel/state.ts";
import { type Answer, answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

/** A turn of `main` that asks all of these at once and keeps what it hears. */
function open(
  asked: readonly (readonly [to: string, body: string])[],
  scripts: Readonly<Record<string, Script>> = {},
  options: Partial<Parameters<typeof makeDriver>[0]> = {},
  isWatched = false,
) {
  const heard: Answer[] = [];
  const driver = makeDriver({
    agents: ["main", "raul", "kim"],
    script: scripted({
      go: function* (turn) {
        const refs = asked.map(([to, body]) => turn.send(to, body, { inMemory: true, timeoutMs: 1_000 }));
        for (const ref of refs) heard.push(yield* answerOf(ref));
        return {};
      },
      ...scripts,
    }),
    ...options,
  });
  for (const agent of ["raul", "kim"]) driver.tell(`agent:${agent}:warm`, "be live");
  driver.settle();
  driver.kernel.watch(isWatched);
  driver.tell(main, "go");
  driver.settle();
  return { driver, heard };
}

const said = (heard: readonly Answer[]): readonly string[] =>
  heard.map((answer) =>
    answer.type === "refused" ? answer.refusal.code : answer.type === "result" ? answer.text : answer.type,
  );
const questions = (driver: Driver): number => driver.kernel.state.questions.count;
const turnsOf = (driver: Driver, agentId: string): number => driver.kernel.state.agents.get(agentId)?.turns.size ?? 0;
const flows = (driver: Driver): readonly string[] => driver.ofType("flow").map(({ state }) => state);

const delivered = (driver: Driver): readonly Extract<Effect, { type: "post" }>["record"][] =>
  driver
    .ofType("post")
    .map(({ record }) => record)
    .filter(([op]) => op === down.question);

describe("questions of one turn", () => {
  it("are no turns as long as nothing but their answers comes of them", () => {
    const { driver, heard } = open(
      ["a", "b", "c"].map((body) => [raul, body] as const),
      { a: blocked, b: blocked, c: blocked },
    );
    expect([questions(driver), turnsOf(driver, "raul")]).toEqual([3, 0]);
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "running", activeRuns: 3 });
    driver.open("go on");
    driver.settle();
    expect(said(heard)).toEqual(["done", "done", "done"]);
    expect([questions(driver), leaks(driver.kernel)]).toEqual([0, []]);
  });

  it("to one session tell its cell their header once, and each its own id and time", () => {
    const { driver } = open([
      [raul, "a"],
      [raul, "b"],
      ["agent:raul:x", "c"],
      [raul, "d"],
    ]);
    expect(delivered(driver).map(([, place, , , , body, header]) => [place, body, header === ""])).toEqual([
      [0, "a", false],
      [0, "b", true],
      [1, "c", false],
      [0, "d", true],
    ]);
    const ids = driver.handled.slice(-4).map(({ envelopeId }) => envelopeId);
    expect(new Set(ids).size).toBe(4);
    expect(ids).toEqual(driver.ofType("asked").map(({ envelopeId }) => envelopeId));
    expect(driver.handled.slice(-4).map(({ sessionKey }) => sessionKey)).toEqual([raul, raul, "agent:raul:x", raul]);
  });

  it("tell a header again where another one has its number meanwhile, and to the next cell", () => {
    const turns = [
      [raul, "a"],
      ["agent:raul:x", "b"],
      [raul, "c"],
    ] as const;
    const { driver, heard } = open(turns, {}, { limits: { routesPerCell: 1 } });
    expect(delivered(driver).map(([, place, , , , , header]) => [place, header === ""])).toEqual([
      [0, false],
      [0, false],
      [0, false],
    ]);
    expect(said(heard)).toEqual(["re: a", "re: b", "re: c"]);
  });

  it("are all told of, with one object for what they have in common", () => {
    const { driver } = open([
      [raul, "ü"],
      [raul, "b"],
    ]);
    const [first, second] = driver.ofType("asked");
    expect(first).toMatchObject({ bytes: 2, facts: { subject: main, object: raul, verb: "request" } });
    expect(second?.facts).toBe(first?.facts);
  });

  it("beyond what the table holds are turns at once, and are answered all the same", () => {
    const { driver, heard } = open(
      ["a", "b", "c"].map((body) => [raul, body] as const),
      { a: blocked, b: blocked, c: blocked },
      { limits: { questionsInTable: 1 } },
    );
    expect([questions(driver), turnsOf(driver, "raul")]).toEqual([1, 2]);
    driver.open("go on");
    driver.settle();
    expect(said(heard)).toEqual(["done", "done", "done"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

describe("what was judged for one question", () => {
  /** Asks, and once more when the gate opens. */
  const twice = (hear: (answer: Answer) => void): Script =>
    function* (turn) {
      for (const body of ["a", "b"]) {
        hear(yield* answerOf(turn.send(raul, body, { inMemory: true, timeoutMs: 1_000 })));
        if (body === "a") yield* gate("again");
      }
      return {};
    };
  const again = (meanwhile: (driver: Driver) => void, options: Partial<Parameters<typeof makeDriver>[0]> = {}) => {
    const heard: Answer[] = [];
    const { driver } = open([], { go: twice((answer) => void heard.push(answer)) }, options);
    meanwhile(driver);
    driver.open("again");
    driver.settle();
    return said(heard);
  };

  test.each<readonly [string, (driver: Driver) => void, string]>([
    [
      "its right was revoked",
      (driver) => {
        for (const { id, subject } of driver.kernel.state.pairings.of("agent:main"))
          if (subject === "agent:main") driver.kernel.revoke(id, driver.nowMs);
      },
      "CLOISTER_CAPABILITY_DENIED",
    ],
    [
      "the target is about to end",
      (driver) => void driver.kernel.order("raul", { type: "restart" }, driver.nowMs),
      "CLOISTER_AGENT_CRASHED",
    ],
    [
      "the target has no cell any more",
      (driver) => {
        driver.crash("raul");
        driver.settle();
      },
      "CLOISTER_AGENT_CRASHED",
    ],
    [
      "its session is clamped",
      (driver) => {
        const spec = driver.kernel.state.agents.get("main")?.spec;
        if (spec !== undefined) driver.kernel.changeAgent({ ...spec, clamp: "all" }, false, driver.nowMs);
      },
      "CLOISTER_CAPABILITY_DENIED",
    ],
    [
      "the target's mailbox takes none",
      (driver) => {
        const spec = driver.kernel.state.agents.get("raul")?.spec;
        if (spec !== undefined) driver.kernel.changeAgent({ ...spec, mailbox: { depthMax: 0 } }, false, driver.nowMs);
      },
      "CLOISTER_MAILBOX_FULL",
    ],
  ])("does not hold for the next when %s", (_what, meanwhile, code) => {
    expect(again(meanwhile)).toEqual(["re: a", code]);
  });

  it("does not hold beyond the bounds of its chain", () => {
    expect(again(() => undefined, { limits: { chainMessagesMax: 1 } })).toEqual(["re: a", "CLOISTER_CHAIN_SPENT"]);
    expect(again((driver) => driver.advance(5_000), { limits: { chainMsMax: 4_000 } })).toEqual([
      "re: a",
      "CLOISTER_CHAIN_SPENT",
    ]);
  });

  it("is kept for so many sessions; those beyond are judged each time", () => {
    const asked = [raul, "agent:raul:x", raul, "agent:raul:x"].map((to, at) => [to, String(at)] as const);
    const { driver, heard } = open(asked, {}, { limits: { routesPerTurnMax: 1 } });
    expect(said(heard)).toEqual(["re: 0", "re: 1", "re: 2", "re: 3"]);
    const [a, b, c, d] = driver.ofType("asked").map(({ facts }) => facts);
    expect([a === c, b === d]).toEqual([true, false]);
  });
});

describe("a question becomes a turn and a wait", () => {
  test.each<readonly [string, Script, string]>([
    ["when its turn fails", () => ({ error: "it broke" }), "CLOISTER_AGENT_FAILED"],
    ["when its actor does not handle it", () => ({ unhandled: "what?" }), "CLOISTER_MESSAGE_UNHANDLED"],
    [
      "when its answer is too long",
      () => ({ reply: "x".repeat(limits.replyCharsMax + 1) }),
      "CLOISTER_MESSAGE_TOO_LARGE",
    ],
    [
      "when it asks another one",
      function* (turn) {
        return { reply: said([yield* answerOf(turn.send("agent:kim:main", "deep", { timeoutMs: 500 }))]).join() };
      },
      "re: deep",
    ],
    [
      "when it says what it streams",
      (turn) => {
        turn.stream("piece");
        return { reply: "whole" };
      },
      "whole",
    ],
    ["and not when it says nothing", () => ({}), ""],
  ])("%s, and who asked hears it", (_what, script, expected) => {
    const { driver, heard } = open([[raul, "a"]], { a: script });
    expect(said(heard)).toEqual([expected]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  test.each<readonly [string, (driver: Driver) => void, string]>([
    ["its cell ends", (driver) => driver.crash("raul"), "CLOISTER_AGENT_CRASHED"],
    ["the end of its cell is decided", (driver) => driver.endLater("raul"), "CLOISTER_AGENT_CRASHED"],
    ["its time is over", (driver) => driver.advance(1_100), "CLOISTER_ASK_TIMEOUT"],
    [
      "its session is stopped",
      (driver) => {
        driver.abort(raul);
        driver.open("go on");
      },
      "CLOISTER_ASK_ABORTED",
    ],
    [
      "its right is revoked",
      (driver) => {
        for (const { id } of driver.kernel.state.pairings.of("agent:main")) driver.kernel.revoke(id, driver.nowMs);
      },
      "CLOISTER_CAPABILITY_REVOKED",
    ],
    [
      "its agent is disabled",
      (driver) => driver.kernel.disable("raul", "gone", driver.nowMs),
      "CLOISTER_AGENT_DISABLED",
    ],
  ])("when %s, and who asked hears it once", (_what, happen, code) => {
    const { driver, heard } = open([[raul, "a"]], { a: blocked });
    happen(driver);
    driver.settle();
    expect(said(heard)).toEqual([code]);
    expect([questions(driver), turnsOf(driver, "main")]).toEqual([0, 0]);
  });

  it("when the turn that asks is over: it goes on, and nobody hears it", () => {
    const ends: Script = (turn) => {
      turn.send(raul, "a", { inMemory: true, timeoutMs: 1_000 });
      return { reply: "I do not wait" };
    };
    const { driver } = open([], { go: ends, a: blocked });
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "I do not wait" }]);
    expect([questions(driver), turnsOf(driver, "raul")]).toEqual([0, 1]);
    driver.open("go on");
    driver.settle();
    expect(driver.wrongAnswers).toEqual([]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("when somebody asks what its cell has in hand", () => {
    const { driver } = open([[raul, "a"]], { a: blocked });
    expect(driver.kernel.inHand("raul")).toMatchObject([{ sessionKey: raul, verb: "request", chain: [main] }]);
    expect([questions(driver), turnsOf(driver, "raul")]).toEqual([0, 1]);
  });

  it("with what the cell does not hold it cannot be ended", () => {
    const { driver } = open([[raul, "a"]], {
      a: (turn) => {
        turn.raw(up.done, 0, 0, 64);
        return { reply: "really" };
      },
    });
    expect(driver.audits("forged-record")).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

describe("whoever watches", () => {
  it("is told of each question and each end, and of those that are open when he comes", () => {
    const { driver, heard } = open([[raul, "a"]], { a: blocked, b: blocked });
    expect([flows(driver), driver.ofType("ended").filter(({ inMemory }) => inMemory)]).toEqual([[], []]);
    driver.kernel.watch(true);
    expect(flows(driver)).toEqual(["open"]);
    driver.open("go on");
    driver.settle();
    expect(said(heard)).toEqual(["done"]);
    expect(flows(driver)).toEqual(["open", "ok"]);
    expect(driver.ofType("ended").filter(({ inMemory }) => inMemory)).toMatchObject([
      { header: { sessionKey: raul, verb: "request" }, outcome: { status: "ok", text: "done" }, aborted: false },
    ]);
  });

  describe("while more is asked than he can follow", () => {
    const bodies = ["a", "b", "c", "d", "e"];
    const ask = (scripts: Readonly<Record<string, Script>>, count = bodies.length) =>
      open(
        bodies.slice(0, count).map((body) => [raul, body]),
        scripts,
        { limits: { toldQuestionsMax: 2 } },
        true,
      );
    const told = (driver: Driver, state: "open" | "ok"): number =>
      flows(driver).filter((found) => found === state).length;
    const ends = (driver: Driver): number => driver.ofType("ended").filter(({ inMemory }) => inMemory).length;

    it("is told of so many, with their ends", () => {
      const { driver } = ask({});
      expect([told(driver, "open"), ends(driver), told(driver, "ok")]).toEqual([2, 2, 2]);
      expect(leaks(driver.kernel)).toEqual([]);
    });

    it("is told of as many again a moment later", () => {
      const { driver } = ask({}, 2);
      driver.tell(main, "go");
      driver.settle();
      expect(told(driver, "open")).toBe(2);
      driver.advance(limits.toldQuestionsMs);
      driver.tell(main, "go");
      driver.settle();
      expect([told(driver, "open"), ends(driver)]).toEqual([4, 4]);
    });

    it("is told of those that wait for longer, once, and how busy their agent is", () => {
      const { driver } = ask(Object.fromEntries(bodies.map((body) => [body, blocked])));
      expect(told(driver, "open")).toBe(2);
      driver.advance(limits.toldQuestionsMs - 1);
      expect(told(driver, "open")).toBe(2);
      const changes = driver.ofType("agent-changed").length;
      driver.advance(1);
      driver.advance(1);
      expect(told(driver, "open")).toBe(5);
      expect(driver.ofType("agent-changed").length - changes).toBe(3);
      driver.open("go on");
      driver.settle();
      expect([ends(driver), told(driver, "ok")]).toEqual([5, 5]);
    });

    it("is told of one of which more comes than its answer", () => {
      const asks: Script = function* (turn) {
        yield* answerOf(turn.send("agent:kim:main", "f", { inMemory: true, timeoutMs: 500 }));
        return { reply: "asked kim" };
      };
      const { driver, heard } = ask({ e: asks });
      expect(said(heard).at(-1)).toBe("asked kim");
      expect(told(driver, "open")).toBe(3);
      expect(ends(driver)).toBe(3);
    });
  });

  it("is told of the last answers although nobody watched, and not of more than he could have followed", () => {
    const { driver } = open(
      ["a", "b", "c"].map((body) => [raul, body]),
      {},
      { limits: { toldQuestionsMax: 2 } },
    );
    expect(flows(driver)).toEqual(["ok", "ok"]);
  });
});

it("gives the place of the turn that waits to another turn, and takes it again", () => {
  const { driver, heard } = open(
    [[raul, "a"]],
    { a: blocked, other: () => ({ reply: "meanwhile" }) },
    { mainLaneConcurrent: 1, spec: () => ({ maxConcurrent: 1 }) },
  );
  driver.tell("agent:main:other", "other");
  driver.settle();
  expect(driver.outcomes("other")).toEqual([{ status: "ok", text: "meanwhile" }]);
  driver.open("go on");
  driver.settle();
  expect(said(heard)).toEqual(["done"]);
  expect(leaks(driver.kernel)).toEqual([]);
});

it("keeps the counts of sessions that have none only until the next look at their agent", () => {
  const { driver } = open([[raul, "a"]]);
  const agent = driver.kernel.state.agents.get("raul");
  expect([agent?.sessionDepth.get(raul), agent?.asked.emptySessions]).toEqual([0, 1]);
  driver.advance(100);
  expect([agent?.sessionDepth.size, agent?.asked.emptySessions]).toEqual([0, 0]);
});
