import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../runtime/kernel/envelope.ts";
import { type Answer, answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const attempts = (driver: Driver, body: string): readonly number[] =>
  driver.handled.filter((each) => each.body === body).map(({ attempt }) => attempt);
/** The answer that a turn replied with. */
const answerIn = (outcome: Outcome | undefined): Answer => {
  if (outcome?.status !== "ok") throw new Error(`the turn ended with ${JSON.stringify(outcome)}`);
  return JSON.parse(outcome.text);
};
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const killer: Script = (turn) => {
  turn.crash();
  return {};
};
/** Crashes when the test says so, in its first `times` deliveries. */
const killerAtGate = (times: number): Script =>
  function* (turn) {
    yield* gate("crash");
    if (turn.attempt <= times) turn.crash();
    return { reply: "survived" };
  };

describe("a cell that ends in the middle of a turn", () => {
  it("gets the message again, with the attempt counted, and before what came later", () => {
    const driver = makeDriver({ script: scripted({ a: killerAtGate(1) }) });
    driver.tell(main, "a");
    driver.tell(main, "b");
    driver.settle();
    driver.open("crash");
    driver.finish();
    driver.open("crash");
    expect(driver.handled.map(({ body, attempt }) => [body, attempt])).toEqual([
      ["a", 1],
      ["a", 2],
      ["b", 1],
    ]);
    expect(driver.outcomes("a")).toEqual([{ status: "ok", text: "survived" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("settles at once who asked for that turn, and keeps the message (W-01)", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.send(raul, "work", { timeoutMs: 60_000 }))) };
        },
        work: killerAtGate(1),
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    const before = driver.nowMs;
    driver.open("crash");
    expect(driver.nowMs).toBe(before);
    expect(answerIn(driver.outcomes("go")[0])).toMatchObject({
      type: "refused",
      refusal: {
        code: "CLOISTER_AGENT_CRASHED",
        message: expect.stringContaining("will be delivered again"),
      },
    });
    driver.finish();
    driver.open("crash");
    expect(driver.outcomes("work")).toEqual([{ status: "ok", text: "survived" }]);
  });

  it("no longer waits for anybody, and its waits are seen to end", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          if (turn.attempt > 1) return {};
          yield* answerOf(turn.send(raul, "slow", { timeoutMs: 60_000 }));
          return {};
        },
        slow: blocked,
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.crash("main");
    driver.settle();
    expect(driver.kernel.state.asks.size).toBe(0);
    expect(driver.ofType("flow").map(({ state }) => state)).toEqual(["open", "error"]);
    driver.open("go on");
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("whatever is under way in the store: the turn neither vanishes nor runs twice", () => {
    for (let seed = 0; seed < 60; seed++) {
      for (const stage of ["beginning", "committing"]) {
        const driver = makeDriver({ seed, script: scripted({}) });
        driver.tell(main, "a");
        const staged = (): boolean =>
          [...(driver.kernel.state.agents.get("main")?.turns.values() ?? [])].some((turn) => turn.stage === stage);
        driver.stepUntil(staged);
        driver.crash("main");
        driver.finish();
        expect(driver.outcomes("a"), `${stage}, seed ${seed}`).toEqual([{ status: "ok", text: "re: a" }]);
        expect([...driver.journal.done.values()]).toEqual([{ outcomeText: "re: a", commits: 1 }]);
        expect(leaks(driver.kernel)).toEqual([]);
      }
    }
  });

  it("does not touch the other agents (W-01)", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ bad: killer, fine: blocked }) });
    driver.tell(raul, "fine");
    driver.settle();
    driver.tell(main, "bad");
    driver.finish();
    driver.open("go on");
    expect(attempts(driver, "fine")).toEqual([1]);
    expect(driver.kernel.view("raul")).toMatchObject({ restarts: 0, phase: "live" });
  });

  it("drops answers and acknowledgements of sends that it had under way, without leaving anything behind", () => {
    for (let seed = 0; seed < 60; seed++) {
      const driver = makeDriver({
        seed,
        agents: ["main", "raul"],
        script: scripted({
          go: function* (turn) {
            const refs = [1, 2, 3].map((index) => turn.send(raul, `m${index}`, { timeoutMs: 5_000 }));
            for (const ref of refs) yield* answerOf(ref);
            return {};
          },
        }),
      });
      driver.tell(main, "go");
      driver.stepUntil(() => driver.kernel.state.agents.get("main")?.unacked !== 0);
      driver.crash("main");
      driver.finish();
      expect(leaks(driver.kernel), `seed ${seed}`).toEqual([]);
      expect(driver.wrongAnswers, `seed ${seed}`).toEqual([]);
      expect(driver.handled.filter(({ agentId }) => agentId === "raul")).toHaveLength(3);
    }
  });
});

describe("a message that ends its cell", () => {
  it("is a dead letter after two deliveries, and what waits behind it goes on", () => {
    const driver = makeDriver({ script: scripted({ bad: killer }) });
    driver.tell(main, "bad");
    driver.tell(main, "good");
    driver.finish();
    expect(attempts(driver, "bad")).toEqual([1, 2]);
    expect(driver.dead("bad")).toMatchObject({ fate: "poison", reason: "it was delivered 2 times and ended its cell" });
    expect(driver.outcomes("bad")).toEqual([
      { status: "error", code: "CLOISTER_MAILBOX_POISON", message: expect.stringContaining("dead letter") },
    ]);
    expect(driver.outcomes("good")).toEqual([{ status: "ok", text: "re: good" }]);
  });

  it("is told apart from the mail that was in the cell with it: that is delivered alone and lives", () => {
    for (let seed = 0; seed < 40; seed++) {
      const driver = makeDriver({
        seed,
        mainLaneConcurrent: 10,
        spec: () => ({ maxConcurrent: 10 }),
        script: scripted({ bad: killerAtGate(99), a: blocked, b: blocked, c: blocked }),
      });
      for (const [rest, body] of [
        ["1", "a"],
        ["2", "bad"],
        ["3", "b"],
        ["4", "c"],
      ] as const)
        driver.tell(`agent:main:${rest}`, body);
      driver.settle();
      expect(driver.handled).toHaveLength(4);
      driver.open("crash");
      for (let rounds = 0; rounds < 12; rounds++) {
        driver.finish();
        // In quarantine no two turns are in the cell together.
        if ((driver.kernel.state.agents.get("main")?.suspects ?? 0) > 0)
          expect(driver.kernel.state.agents.get("main")?.turns.size).toBeLessThanOrEqual(1);
        driver.open("go on");
        driver.open("crash");
      }
      for (const body of ["a", "b", "c"])
        expect(driver.outcomes(body), `${body}, seed ${seed}`).toEqual([{ status: "ok", text: "done" }]);
      expect(driver.dead("bad")?.fate).toBe("poison");
      expect(driver.journal.dead.size).toBe(1);
    }
  });

  it("is not blamed on mail that was never alone with a crash, however often that is delivered", () => {
    const driver = makeDriver({
      mainLaneConcurrent: 10,
      jitter: 0,
      script: scripted({ innocent: blocked, bad: killerAtGate(99) }),
    });
    driver.tell("agent:main:1", "innocent");
    driver.settle();
    driver.tell("agent:main:2", "bad");
    driver.settle();
    driver.open("crash");
    driver.finish();
    expect(driver.kernel.view("main")?.activeRuns).toBe(1);
    for (let rounds = 0; rounds < 6 && attempts(driver, "innocent").length < 3; rounds++) {
      driver.open("crash");
      driver.finish();
      if (attempts(driver, "innocent").length < 3) driver.crash("main", "shutdown");
      driver.finish();
    }
    expect(attempts(driver, "innocent")).toEqual([1, 2, 3]);
    driver.open("go on");
    expect(driver.outcomes("innocent")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("does not take with it what the store was about to deliver beside it", () => {
    // Each killer crashes while the innocent one is only being begun, so that its deliveries are counted and never happen.
    for (let seed = 0; seed < 40; seed++) {
      const driver = makeDriver({
        seed,
        mainLaneConcurrent: 10,
        spec: () => ({ maxConcurrent: 10 }),
        script: scripted({ bad1: killer, bad2: killer, bad3: killer }),
        limits: { restartIntensity: 100 },
      });
      for (const body of ["bad1", "bad2", "bad3", "innocent", "also innocent"]) driver.tell(`agent:main:${body}`, body);
      driver.finish();
      expect([...driver.journal.dead.values()].map(({ envelope }) => envelope.body).toSorted(), `seed ${seed}`).toEqual(
        ["bad1", "bad2", "bad3"],
      );
      expect(driver.outcomes("innocent")).toEqual([{ status: "ok", text: "re: innocent" }]);
    }
  });

  it("is found out also when it asks its own agent and does not wait for the answer", () => {
    const driver = makeDriver({
      limits: { restartIntensity: 100 },
      script: scripted({
        bad: function* (turn) {
          turn.send("agent:main:x", "innocent", { timeoutMs: 60_000 });
          yield* gate("crash");
          turn.crash();
          return {};
        },
      }),
    });
    driver.tell(main, "bad");
    for (let rounds = 0; rounds < 6; rounds++) {
      driver.settle();
      driver.open("crash");
      driver.advance(1_000);
    }
    driver.finish();
    expect(driver.dead("bad")?.fate).toBe("poison");
    expect(driver.outcomes("innocent")).toEqual([{ status: "ok", text: "re: innocent" }]);
  });

  it("is not delivered without end when the whole process goes down with it", () => {
    const driver = makeDriver({ script: scripted({ bad: blocked }), limits: { deliveriesMax: 3 } });
    driver.tell(main, "bad");
    for (let rounds = 0; rounds < 5; rounds++) {
      driver.settle();
      driver.restartProcess();
    }
    driver.finish();
    expect(attempts(driver, "bad")).toEqual([1, 2, 3]);
    expect(driver.dead("bad")).toMatchObject({
      fate: "poison",
      reason: "it was delivered 3 times and its cell or the gateway ended each time",
    });
  });

  it("does not hold up an ask that would have to wait for it: that is refused at once", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        outer: function* (turn) {
          if (turn.attempt === 1) {
            yield* gate("crash");
            turn.crash();
          }
          const answer = yield* answerOf(turn.send("agent:main:x", "inner", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
      }),
    });
    driver.tell(main, "outer");
    driver.settle();
    driver.open("crash");
    // In quarantine the inner message starts after the outer one.
    const before = driver.nowMs;
    driver.finish();
    expect(driver.nowMs - before).toBeLessThan(1_000);
    expect(driver.outcomes("outer")).toEqual([{ status: "ok", text: "CLOISTER_ASK_DEADLOCK" }]);
    expect(driver.outcomes("inner")).toEqual([{ status: "ok", text: "re: inner" }]);
  });
});

const crashUntilParked = (driver: Driver, crashes: number): void => {
  for (let index = 0; index < crashes; index++) {
    driver.finish();
    driver.crash("main");
  }
  driver.settle();
};

describe("restarts", () => {
  it("come later and later, with jitter, and never beyond the ceiling", () => {
    const driver = makeDriver({
      jitter: 0.999,
      limits: {
        restartIntensity: 100,
        restartBackoffMs: 100,
        restartBackoffMsMax: 1_000,
        deliveriesMax: 100,
        deliveryAttemptsMax: 100,
      },
      script: blocked,
    });
    driver.tell(main, "a");
    const waits: number[] = [];
    for (let index = 0; index < 6; index++) {
      driver.finish();
      driver.crash("main");
      driver.settle();
      waits.push((driver.kernel.state.agents.get("main")?.notBeforeMs ?? 0) - driver.nowMs);
      expect(driver.kernel.view("main")?.phase).toBe("dormant");
    }
    expect(waits).toEqual([99, 199, 399, 799, 999, 999]);
  });

  it("beyond the intensity park the agent with its reason; its mail waits and goes on after `unpark`", () => {
    const driver = makeDriver({
      limits: { restartIntensity: 2, deliveriesMax: 100, deliveryAttemptsMax: 100 },
      jitter: 0,
      script: blocked,
    });
    driver.tell(main, "a");
    crashUntilParked(driver, 3);
    expect(driver.kernel.view("main")).toMatchObject({
      phase: "parked",
      reason: "3 crashes within 60 s, the last: crash: test crash",
      restarts: 3,
    });
    const later = driver.tell(main, "b");
    driver.settle();
    expect(driver.accepted(later)).toMatchObject({ status: "stored" });
    expect(driver.handled).toHaveLength(3);
    expect(driver.kernel.unpark("main", driver.nowMs)).toBe(true);
    expect(driver.kernel.unpark("main", driver.nowMs)).toBe(false);
    driver.settle();
    driver.open("go on");
    driver.open("go on");
    expect(driver.outcomes("a")).toHaveLength(1);
    expect(driver.outcomes("b")).toHaveLength(1);
  });

  it("that are far enough apart do not add up", () => {
    const driver = makeDriver({
      limits: { restartIntensity: 2, restartPeriodMs: 1_000, deliveriesMax: 100, deliveryAttemptsMax: 100 },
      jitter: 0,
      script: blocked,
    });
    driver.tell(main, "a");
    for (let index = 0; index < 10; index++) {
      driver.advance(600);
      driver.crash("main");
      driver.settle();
    }
    expect(driver.kernel.view("main")?.phase).not.toBe("parked");
    expect(driver.kernel.view("main")?.restarts).toBe(10);
  });

  it("after an orderly end cost nothing: no back-off, no suspicion", () => {
    const driver = makeDriver({ jitter: 0.999, script: blocked });
    driver.tell(main, "a");
    driver.settle();
    driver.crash("main", "shutdown");
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "running", restarts: 0, incarnation: 2 });
    expect(driver.kernel.state.agents.get("main")?.suspects).toBe(0);
  });

  it("that stop for good tell every asker at once, those who come later too", () => {
    const driver = makeDriver({
      agents: ["raul", "main"],
      limits: { restartIntensity: 0 },
      script: scripted({
        bad: killerAtGate(99),
        ask: function* (turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.send(main, "work", { timeoutMs: 60_000 }))) };
        },
      }),
    });
    driver.tell("agent:main:other", "bad");
    driver.settle();
    driver.tell(main, "bad");
    driver.tell("agent:raul:x", "ask");
    driver.settle();
    const before = driver.nowMs;
    driver.open("crash");
    driver.tell(raul, "ask");
    driver.settle();
    expect(driver.nowMs).toBe(before);
    const answers = driver.outcomes("ask").map(answerIn);
    expect(answers).toHaveLength(2);
    for (const answer of answers)
      expect(answer).toMatchObject({
        type: "refused",
        refusal: { code: "CLOISTER_AGENT_PARKED", message: expect.stringContaining("the message is kept") },
      });
  });
});

describe("a process that dies", () => {
  it("goes on with everything that was stored, once each, in order", () => {
    for (let seed = 0; seed < 100; seed++) {
      const driver = makeDriver({
        seed,
        agents: ["main", "raul"],
        script: scripted({
          go: function* (turn) {
            yield* answerOf(turn.send(raul, "one", { timeoutMs: 5_000 }));
            yield* answerOf(turn.send(raul, "two", { timeoutMs: 5_000 }));
            return { reply: "both", state: "[]" };
          },
        }),
      });
      driver.tell(main, "go");
      driver.stepUntil(() => [...driver.journal.accepted.keys()].some((id) => driver.journal.isStored(id)));
      for (let steps = driver.random.below(30); steps > 0; steps--) driver.step();
      driver.restartProcess();
      driver.finish();
      const done = driver.journal.committedOrder.get(raul)?.map((id) => driver.journal.accepted.get(id)?.body);
      expect(done, `seed ${seed}`).toEqual(["one", "two"]);
      expect(driver.journal.committedOrder.get(main)).toHaveLength(1);
      for (const { commits } of driver.journal.done.values()) expect(commits).toBe(1);
      expect(leaks(driver.kernel)).toEqual([]);
    }
  });

  it("finds the mail of an agent that is gone undeliverable, and says so", () => {
    const driver = makeDriver({ script: blocked });
    driver.tell(main, "a");
    driver.settle();
    const envelope = [...driver.journal.accepted.values()][0];
    if (envelope === undefined) throw new Error("nothing was accepted");
    driver.kernel.restore({ ...envelope, header: { ...envelope.header, agentId: "gone" } }, 0, driver.nowMs);
    expect(driver.ofType("bury").at(-1)).toMatchObject({
      fate: "undeliverable",
      reason: "the agent gone is no longer configured",
    });
  });

  it("hands an answer to its channel also when it died between the commit and that", () => {
    const replyRoute = {
      type: "channel",
      channel: "webhook",
      accountId: "biz",
      peerKind: "direct",
      peerId: "p",
    } as const;
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a", { replyRoute });
    driver.settle();
    expect(driver.ofType("outbound")).toEqual([expect.objectContaining({ route: replyRoute, text: "re: a" })]);
    // The store answers `done` for an envelope that is in the journal still.
    const envelope = [...driver.journal.accepted.values()][0];
    if (envelope === undefined) throw new Error("nothing was accepted");
    driver.kernel.restore(envelope, 1, driver.nowMs);
    driver.settle();
    expect(driver.ofType("outbound")).toHaveLength(2);
    expect(driver.handled).toHaveLength(1);
  });
});
