import { describe, expect, it } from "vitest";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const bodies = (driver: Driver): readonly string[] => driver.handled.map(({ body }) => body);
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

describe("a session's lane", () => {
  it("runs one turn at a time, first in, first out", () => {
    const driver = makeDriver({ script: blocked });
    for (const body of ["a", "b", "c"]) driver.tell(main, body);
    driver.settle();
    expect(bodies(driver)).toEqual(["a"]);
    driver.open("go on");
    expect(bodies(driver)).toEqual(["a", "b"]);
    driver.open("go on");
    driver.open("go on");
    expect(bodies(driver)).toEqual(["a", "b", "c"]);
    expect(driver.outcomes("c")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("does not hold up another session of the same agent", () => {
    const driver = makeDriver({ script: blocked });
    driver.tell(main, "a");
    driver.tell("agent:main:x", "b");
    driver.settle();
    expect(bodies(driver).toSorted()).toEqual(["a", "b"]);
  });

  it("keeps what one session sends to another in order, whatever else goes on (W-05)", () => {
    for (let seed = 0; seed < 20; seed++) {
      const driver = makeDriver({
        seed,
        agents: ["main", "raul"],
        script: scripted({
          burst: (turn) => {
            for (let index = 0; index < 20; index++) turn.send("agent:raul:main", `${turn.header.sessionKey} ${index}`);
            return {};
          },
        }),
      });
      const sessions = [main, "agent:main:x", "agent:main:y"];
      for (const session of sessions) driver.tell(session, "burst");
      driver.settle();
      for (const session of sessions) {
        const from = bodies(driver).filter((body) => body.startsWith(`${session} `));
        expect(from, `seed ${seed}`).toEqual(Array.from({ length: 20 }, (_, index) => `${session} ${index}`));
      }
    }
  });
});

describe("lane main", () => {
  it("runs as many turns as it has places, over all agents", () => {
    const driver = makeDriver({ agents: ["main", "raul"], mainLaneConcurrent: 3, script: blocked });
    for (const rest of ["a", "b", "c"]) {
      driver.tell(`agent:main:${rest}`, rest);
      driver.tell(`agent:raul:${rest}`, rest);
    }
    driver.settle();
    expect(driver.handled).toHaveLength(3);
    expect(driver.kernel.state.lanes.get("main")?.running).toBe(3);
    driver.open("go on");
    expect(driver.handled).toHaveLength(6);
  });

  it("does not count what agents send each other", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      mainLaneConcurrent: 1,
      script: scripted({
        go: function* (turn) {
          turn.send("agent:raul:a", "nested a");
          turn.send("agent:raul:b", "nested b");
          yield* gate("end");
          return {};
        },
        "nested a": blocked,
        "nested b": blocked,
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(bodies(driver).toSorted()).toEqual(["go", "nested a", "nested b"]);
    expect(driver.kernel.state.lanes.get("main")?.running).toBe(1);
  });

  it("gets a place back from a turn that waits, at once (AC-05.3)", () => {
    const driver = makeDriver({
      agents: ["main", "raul", "ana"],
      mainLaneConcurrent: 1,
      script: scripted({
        asks: function* (turn) {
          const answer = yield* answerOf(turn.send("agent:raul:main", "slow", { timeoutMs: 60_000 }));
          yield* gate("asked");
          return { reply: JSON.stringify(answer) };
        },
        slow: blocked,
        other: blocked,
      }),
    });
    driver.tell(main, "asks");
    driver.settle();
    driver.tell("agent:ana:main", "other");
    driver.settle();
    expect(bodies(driver)).toEqual(["asks", "slow", "other"]);
    driver.open("go on");
    // Both answers are there: the first turn goes on although its place was given away meanwhile.
    driver.open("asked");
    expect(driver.outcomes("asks")).toEqual([
      { status: "ok", text: JSON.stringify({ type: "result", status: "ok", text: "done" }) },
    ]);
    expect(driver.kernel.state.lanes.get("main")?.running).toBe(0);
  });

  it("starts mail that waited before, the moment that a turn begins to wait", () => {
    const driver = makeDriver({
      agents: ["main", "raul", "ana"],
      mainLaneConcurrent: 1,
      script: scripted({
        asks: function* (turn) {
          yield* gate("ask now");
          yield* answerOf(turn.send("agent:raul:main", "slow", { timeoutMs: 60_000 }));
          return {};
        },
        slow: blocked,
      }),
    });
    driver.tell(main, "asks");
    driver.settle();
    driver.tell("agent:ana:main", "waits for a place");
    driver.settle();
    expect(bodies(driver)).toEqual(["asks"]);
    driver.open("ask now");
    expect(driver.outcomes("waits for a place")).toHaveLength(1);
    expect(driver.outcomes("asks")).toEqual([]);
  });

  const chain = scripted({
    first: function* (turn) {
      const answer = yield* answerOf(turn.send("agent:raul:main", "second", { timeoutMs: 5_000 }));
      return { reply: answer.type === "result" ? answer.text : answer.type };
    },
    second: function* (turn) {
      const answer = yield* answerOf(turn.send("agent:main:other", "third", { timeoutMs: 5_000 }));
      return { reply: `2 ${answer.type === "result" ? answer.text : answer.type}` };
    },
    third: () => {
      return { reply: "3" };
    },
  });

  it("of one place carries a chain of asks that comes back to the first agent", () => {
    const driver = makeDriver({ agents: ["main", "raul"], mainLaneConcurrent: 1, script: chain });
    driver.tell(main, "first");
    driver.settle();
    expect(driver.outcomes("first")).toEqual([{ status: "ok", text: "2 3" }]);
  });

  it("is not the only thing: an agent of one turn at a time carries the same chain", () => {
    const driver = makeDriver({ agents: ["main", "raul"], spec: () => ({ maxConcurrent: 1 }), script: chain });
    driver.tell(main, "first");
    driver.settle();
    expect(driver.outcomes("first")).toEqual([{ status: "ok", text: "2 3" }]);
  });
});

describe("an agent", () => {
  it("runs as many turns at a time as it is allowed", () => {
    const driver = makeDriver({ spec: () => ({ maxConcurrent: 2 }), mainLaneConcurrent: 10, script: blocked });
    for (const rest of ["a", "b", "c"]) driver.tell(`agent:main:${rest}`, rest);
    driver.settle();
    expect(driver.handled).toHaveLength(2);
    driver.open("go on");
    expect(driver.handled).toHaveLength(3);
  });

  it("does not get more turns into its cell than a cell handles", () => {
    const driver = makeDriver({
      spec: () => ({ maxConcurrent: 100 }),
      mainLaneConcurrent: 100,
      limits: { turnsPerCellMax: 3 },
      script: blocked,
    });
    for (let index = 0; index < 10; index++) driver.tell(`agent:main:s${index}`, `b${index}`);
    driver.settle();
    expect(driver.handled).toHaveLength(3);
  });

  it("whose cell is full of turns that wait still gets the mail that they wait for", () => {
    const driver = makeDriver({
      limits: { turnsPerCellMax: 2 },
      mainLaneConcurrent: 100,
      script: function* (turn) {
        if (turn.body === "inner") return { reply: "ok" };
        const answer = yield* answerOf(turn.send(`${turn.header.sessionKey}-inner`, "inner", { timeoutMs: 5_000 }));
        return { reply: answer.type };
      },
    });
    for (let index = 0; index < 6; index++) driver.tell(`agent:main:s${index}`, `b${index}`);
    driver.settle();
    for (let index = 0; index < 6; index++)
      expect(driver.outcomes(`b${index}`)).toEqual([{ status: "ok", text: "result" }]);
  });
});

describe("fairness between agents", () => {
  it("puts the first message of one at most a round behind a thousand of another", () => {
    const driver = makeDriver({
      agents: ["busy", "quiet"],
      spec: () => ({ maxConcurrent: 100 }),
      mainLaneConcurrent: 2,
      script: blocked,
    });
    for (let index = 0; index < 1_000; index++) driver.tell(`agent:busy:s${index}`, `b${index}`);
    driver.tell("agent:quiet:first", "warm");
    driver.settle();
    for (let rounds = 0; driver.outcomes("warm").length === 0 && rounds < 10; rounds++) driver.open("go on");
    // Both cells are live and the lane is full of the busy agent's mail.
    const before = driver.handled.length;
    driver.tell("agent:quiet:second", "urgent");
    driver.settle();
    driver.open("go on");
    expect(bodies(driver).slice(before, before + 2)).toContain("urgent");
  });

  it("gives places in turn, also when every agent wants more than one", () => {
    const agents = ["a", "b", "c"];
    const driver = makeDriver({ agents, spec: () => ({ maxConcurrent: 100 }), mainLaneConcurrent: 1, script: blocked });
    for (let index = 0; index < 50; index++)
      for (const id of agents) driver.tell(`agent:${id}:s${index}`, `${id}${index}`);
    driver.settle();
    for (let rounds = 0; rounds < 29; rounds++) driver.open("go on");
    const counts = agents.map((id) => driver.handled.filter(({ agentId }) => agentId === id).length);
    expect(driver.handled).toHaveLength(30);
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(9);
  });
});

describe("places of a lane", () => {
  /** How many turns of others begin between the acceptance of the one agent's mail and its turn, message by message. */
  function waitsOf(flood: number): readonly number[] {
    const driver = makeDriver({
      agents: ["busy", "quiet"],
      spec: () => ({ maxConcurrent: 100 }),
      mainLaneConcurrent: 2,
      script: blocked,
    });
    for (let index = 0; index < flood; index++) driver.tell(`agent:busy:s${index}`, `b${index}`);
    driver.tell("agent:quiet:first", "warm");
    driver.settle();
    while (driver.outcomes("warm").length === 0) driver.open("go on");
    return Array.from({ length: 20 }, (_, index) => {
      const before = driver.handled.length;
      driver.tell(`agent:quiet:q${index}`, `q${index}`);
      driver.settle();
      while (!bodies(driver).includes(`q${index}`)) driver.open("go on");
      const waited = bodies(driver).indexOf(`q${index}`) - before;
      while (driver.outcomes(`q${index}`).length === 0) driver.open("go on");
      return waited;
    });
  }

  it("A4.3: an agent waits for no more turns behind a flood of 1,000 messages than behind one of 100", () => {
    const longest = [100, 1_000].map((flood) => Math.max(...waitsOf(flood)));
    expect(longest).toEqual([1, 1]);
  });

  it("A4.3: go to agents by their weights", () => {
    const agents = ["light", "heavy", "middle"];
    const weights: Readonly<Record<string, number>> = { light: 1, heavy: 3, middle: 2 };
    const driver = makeDriver({
      agents,
      spec: (id) => ({ maxConcurrent: 100, weight: weights[id] ?? 1 }),
      mainLaneConcurrent: 1,
      script: blocked,
    });
    for (let index = 0; index < 40; index++)
      for (const id of agents) driver.tell(`agent:${id}:s${index}`, `${id}${index}`);
    driver.settle();
    for (let rounds = 0; rounds < 60; rounds++) driver.open("go on");
    const order = driver.handled.map(({ agentId }) => agentId);
    const begin = order.indexOf("heavy");
    const counts = agents.map((id) => order.slice(begin, begin + 48).filter((agentId) => agentId === id).length);
    expect(counts).toEqual([8, 24, 16]);
    for (const id of agents) expect(order.slice(begin, begin + 6), "in each round").toContain(id);
  });

  it("A4.3: an agent that has its own bound leaves the rest to the others", () => {
    const driver = makeDriver({
      agents: ["busy", "quiet"],
      spec: (id) => ({ maxConcurrent: id === "busy" ? 2 : 4 }),
      mainLaneConcurrent: 3,
      script: blocked,
    });
    for (let index = 0; index < 1_000; index++) driver.tell(`agent:busy:s${index}`, `b${index}`);
    driver.settle();
    driver.tell("agent:quiet:main", "urgent");
    driver.settle();
    expect(bodies(driver)).toEqual(["b0", "b1", "urgent"]);
  });

  it("of timers are few, and leave those of people alone", () => {
    const driver = makeDriver({
      agents: ["main"],
      spec: () => ({ maxConcurrent: 100 }),
      mainLaneConcurrent: 1,
      lanes: { cron: 2 },
      script: blocked,
    });
    const from = { type: "timer", agentId: "main", timerId: "t" } as const;
    for (let index = 0; index < 5; index++) driver.tell(`agent:main:t${index}`, `due${index}`, { from });
    driver.settle();
    driver.tell(main, "hello");
    driver.settle();
    expect(bodies(driver)).toEqual(["due0", "due1", "hello"]);
    expect(driver.kernel.lanes().find(({ lane }) => lane === "cron")).toMatchObject({ running: 2, waiting: 3 });
  });

  it("are one in a lane that is not in the table", () => {
    const driver = makeDriver({ spec: () => ({ maxConcurrent: 100 }), mainLaneConcurrent: 100, script: blocked });
    for (const rest of ["a", "b", "c"]) driver.tell(`agent:main:${rest}`, rest, { lane: "odd" });
    driver.settle();
    expect(bodies(driver)).toEqual(["a"]);
    driver.open("go on");
    driver.open("go on");
    driver.open("go on");
    expect(bodies(driver)).toEqual(["a", "b", "c"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are waited for: after two seconds the wait is told", () => {
    const driver = makeDriver({ mainLaneConcurrent: 1, script: blocked });
    for (const rest of ["a", "b", "c"]) driver.tell(`agent:main:${rest}`, rest);
    driver.settle();
    driver.advance(1_900);
    driver.open("go on");
    expect(driver.ofType("waited")).toEqual([]);
    driver.advance(200);
    driver.open("go on");
    expect(driver.ofType("waited")).toMatchObject([
      { lane: "main", waitedMs: 2_100, header: { id: driver.header("c").id } },
    ]);
  });
});

describe("a session that stands still", () => {
  it("A4.1: a store that stands still holds up its own agent alone", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({}) });
    driver.stallStore("main", 5_000);
    driver.tell(main, "stalled");
    driver.tell("agent:raul:main", "hello");
    driver.settle();
    expect(driver.outcomes("hello")).toEqual([{ status: "ok", text: "re: hello" }]);
    expect(driver.outcomes("stalled")).toEqual([]);
    driver.finish();
    expect(driver.outcomes("stalled")).toEqual([{ status: "ok", text: "re: stalled" }]);
  });
});
