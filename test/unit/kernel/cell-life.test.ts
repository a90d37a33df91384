import { describe, expect, it } from "vitest";
import { answerOf, gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const phase = (driver: Driver, id = "main"): string | undefined => driver.kernel.view(id)?.phase;
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

describe("a cell", () => {
  it("is started by mail and not before", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({}) });
    driver.advance(1_000);
    expect(driver.ofType("start-cell")).toEqual([]);
    driver.tell(main, "a");
    driver.settle();
    expect(driver.ofType("start-cell").map(({ agentId }) => agentId)).toEqual(["main"]);
    expect(phase(driver, "raul")).toBe("dormant");
  });

  it("is told what it may do, slot by slot", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({}) });
    driver.tell(main, "a");
    driver.settle();
    expect(driver.ofType("start-cell")[0]?.slots).toEqual([
      { slot: 1, object: "agent:main", verbs: ["send", "request", "steer"] },
      { slot: 2, object: "agent:raul", verbs: ["send", "request", "steer"] },
      { slot: 3, object: "gateway", verbs: ["model", "tool:sessions_send"] },
      { slot: 4, object: "agent:main", verbs: ["schedule"] },
    ]);
  });

  it("that is idle ends after its time, and the next message starts another one", () => {
    const driver = makeDriver({ limits: { passivateAfterMs: 1_000 }, script: scripted({}) });
    driver.tell(main, "a");
    driver.settle();
    driver.advance(900);
    expect(phase(driver)).toBe("live");
    driver.advance(200);
    expect(phase(driver)).toBe("dormant");
    expect(driver.kernel.state.liveCells).toBe(0);
    // From the next tick on it costs nothing as time goes by.
    driver.advance(100);
    expect(driver.kernel.state.astir.size).toBe(0);
    driver.tell(main, "b");
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 2, restarts: 0 });
    expect(driver.outcomes("b")).toHaveLength(1);
  });

  it("with a turn is not idle, however long it takes", () => {
    const driver = makeDriver({ limits: { passivateAfterMs: 100 }, script: blocked });
    driver.tell(main, "a");
    driver.advance(5_000);
    expect(phase(driver)).toBe("running");
  });

  it("that is about to end when mail comes ends, and the mail is handled by the next one", () => {
    for (let seed = 0; seed < 20; seed++) {
      const driver = makeDriver({ seed, limits: { passivateAfterMs: 100 }, script: scripted({}) });
      driver.tell(main, "a");
      driver.settle();
      driver.kernel.tick(driver.nowMs + 100);
      expect(phase(driver)).toBe("stopping");
      driver.tell(main, "b");
      driver.settle();
      expect(driver.outcomes("b"), `seed ${seed}`).toEqual([{ status: "ok", text: "re: b" }]);
    }
  });

  it("that does not get ready in time is ended once, and that counts as a crash", () => {
    const driver = makeDriver({ limits: { cellStartMs: 1_000 }, script: scripted({}), jitter: 0 });
    driver.tell(main, "a");
    driver.stepUntil(() => driver.ofType("start-cell").length > 0);
    // Nothing is carried out any more: the start hangs.
    for (const ms of [500, 1_000, 1_200]) driver.kernel.tick(driver.nowMs + ms);
    expect(driver.ofType("stop-cell")).toEqual([
      { type: "stop-cell", agentId: "main", incarnation: 1, reason: "hung" },
    ]);
    driver.kernel.cellReady("main", 1, driver.nowMs);
    expect(phase(driver)).toBe("stopping");
    driver.kernel.cellExit("main", 1, "hung", "it was not ready", driver.nowMs);
    expect(driver.kernel.view("main")).toMatchObject({ restarts: 1 });
  });

  it("that has ended cannot end again", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a");
    driver.settle();
    driver.crash("main");
    driver.settle();
    driver.kernel.cellExit("main", 1, "crash", "again", driver.nowMs);
    expect(driver.kernel.view("main")?.restarts).toBe(1);
    expect(driver.kernel.state.liveCells).toBe(0);
  });
});

const counting: Script = (turn) => {
  const count = Number(turn.state ?? "0") + 1;
  return turn.body === "fail" ? { error: "no", state: "999" } : { reply: String(count), state: String(count) };
};

const replies = (driver: Driver): readonly string[] =>
  driver.ofType("ended").map(({ outcome }) => (outcome.status === "ok" ? outcome.text : outcome.status));

describe("the state of a session", () => {
  it("is read when the cell does not have it, and only then", () => {
    const driver = makeDriver({ script: counting });
    for (let index = 0; index < 3; index++) {
      driver.tell(main, "count");
      driver.settle();
    }
    expect(replies(driver)).toEqual(["1", "2", "3"]);
    expect(driver.ofType("begin").map(({ wantState }) => wantState)).toEqual([true, false, false]);
  });

  it("comes back after the cell has ended, however it ended", () => {
    const driver = makeDriver({ script: counting });
    for (const reason of ["normal", "crash", "hung"] as const) {
      driver.tell(main, "count");
      driver.finish();
      driver.crash("main", reason);
    }
    driver.tell(main, "count");
    driver.finish();
    expect(replies(driver)).toEqual(["1", "2", "3", "4"]);
  });

  it("is what it was before, after a turn that failed", () => {
    const driver = makeDriver({ script: counting });
    for (const body of ["count", "fail", "count"]) {
      driver.tell(main, body);
      driver.settle();
    }
    expect(replies(driver)).toEqual(["1", "error", "2"]);
  });

  it("that the cell used longest ago is dropped when it has too many, and read again", () => {
    const driver = makeDriver({ script: counting, limits: { sessionsPerCellMax: 2 } });
    for (const rest of ["a", "b", "c", "a", "c"]) {
      driver.tell(`agent:main:${rest}`, "count");
      driver.settle();
    }
    expect(replies(driver)).toEqual(["1", "1", "1", "2", "2"]);
    expect(driver.ofType("begin").map(({ wantState }) => wantState)).toEqual([true, true, true, true, false]);
  });

  it("that no turn needs any more goes when the next turn begins, also when many ran at once", () => {
    const driver = makeDriver({ script: scripted({ wait: blocked }), limits: { sessionsPerCellMax: 1 } });
    for (const rest of ["a", "b", "c"]) driver.tell(`agent:main:${rest}`, "wait");
    driver.settle();
    const kept = driver.kernel.state.agents.get("main")?.loaded ?? new Set();
    expect([...kept]).toHaveLength(3);
    driver.open("go on");
    driver.tell("agent:main:a", "next");
    driver.settle();
    expect([...kept]).toEqual(["agent:main:a"]);
  });

  it("beyond its bound is not kept, and the sender is told", () => {
    const driver = makeDriver({
      limits: { stateCharsMax: 3 },
      script: (turn) => {
        return { reply: turn.state ?? "none", state: turn.body };
      },
    });
    for (const body of ["123", "1234", "1"]) {
      driver.tell(main, body);
      driver.settle();
    }
    expect(replies(driver)).toEqual(["none", "error", "123"]);
    expect(driver.outcomes("1234")[0]).toMatchObject({
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the state of ${main} has 4 characters; the bound is 3`,
    });
  });
});

describe("the budget of live cells", () => {
  it("is kept: the cell that was idle for longest makes room", () => {
    const agents = ["a", "b", "c"];
    const driver = makeDriver({ agents, liveCellsMax: 2, script: scripted({}) });
    for (const id of ["a", "b"]) {
      driver.tell(`agent:${id}:main`, id);
      driver.finish();
      driver.advance(100);
    }
    driver.tell("agent:c:main", "c");
    driver.finish();
    expect(driver.outcomes("c")).toHaveLength(1);
    expect(agents.map((id) => phase(driver, id))).toEqual(["dormant", "live", "live"]);
    expect(driver.ofType("stop-cell")).toHaveLength(1);
  });

  it("gives the place of a cell that ends to the next agent without waiting for a tick", () => {
    const driver = makeDriver({ agents: ["a", "b"], liveCellsMax: 1, jitter: 0.999, script: blocked });
    driver.tell("agent:a:main", "a");
    driver.settle();
    driver.tell("agent:b:main", "b");
    driver.settle();
    driver.crash("a");
    driver.settle();
    expect(driver.handled.map(({ body }) => body)).toEqual(["a", "b"]);
  });

  it("ends no more cells than are wanted, however long they take to end", () => {
    const agents = ["a", "b", "c", "d"];
    const driver = makeDriver({ agents, liveCellsMax: 3, script: scripted({}) });
    for (const id of ["a", "b", "c"]) {
      driver.tell(`agent:${id}:main`, id);
      driver.settle();
    }
    driver.tell("agent:d:main", "d");
    driver.stepUntil(() => driver.ofType("stop-cell").length > 0);
    for (let ticks = 1; ticks < 5; ticks++) driver.kernel.tick(driver.nowMs + ticks);
    expect(driver.ofType("stop-cell")).toHaveLength(1);
  });

  it("makes agents wait in turn while every cell works", () => {
    const agents = ["a", "b", "c"];
    const driver = makeDriver({ agents, liveCellsMax: 1, script: blocked });
    for (const id of agents) {
      driver.tell(`agent:${id}:main`, id);
      driver.settle();
    }
    for (const id of agents) {
      driver.advance(300);
      expect(driver.handled.at(-1)?.body).toBe(id);
      driver.open("go on");
    }
    expect(driver.ofType("stop-cell").map(({ agentId }) => agentId)).toEqual(["a", "b"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

describe("a disabled agent", () => {
  it("tells who waits, keeps the mail in the journal, and starts nothing", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send(raul, "work", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
        first: blocked,
      }),
    });
    driver.tell(raul, "first");
    driver.tell(raul, "second");
    driver.settle();
    driver.tell(main, "ask");
    driver.settle();
    driver.kernel.disable("raul", "actor.ts: syntax error", driver.nowMs);
    driver.settle();
    expect(driver.outcomes("ask")).toEqual([{ status: "ok", text: "CLOISTER_AGENT_DISABLED" }]);
    expect(driver.outcomes("second")).toEqual([
      {
        status: "error",
        code: "CLOISTER_AGENT_DISABLED",
        message: "the agent raul is disabled: actor.ts: syntax error",
      },
    ]);
    expect(phase(driver, "raul")).toBe("disabled");
    // The turn in its cell ends with the cell; its mail stays as well.
    driver.crash("raul");
    driver.finish();
    expect(driver.handled.filter(({ agentId }) => agentId === "raul")).toHaveLength(1);
    expect(driver.journal.pending().map(({ envelope }) => envelope.body)).toEqual(["first", "second", "work"]);
    expect(driver.journal.dead.size).toBe(0);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("comes back with its mail in order, in front of what came afterwards, once nothing of it is under way", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ first: blocked }) });
    driver.tell(raul, "first");
    driver.tell(raul, "second");
    driver.settle();
    driver.kernel.disable("raul", "actor.ts: syntax error", driver.nowMs);
    driver.settle();
    // Its cell has not ended, and what that has in hand is not back in the journal's hands.
    expect(driver.bringBack("raul")).toBe(false);
    driver.crash("raul");
    driver.finish();
    expect(driver.bringBack("main")).toBe(false);
    expect(driver.bringBack("raul")).toBe(true);
    expect(driver.bringBack("raul")).toBe(false);
    driver.tell(raul, "third");
    driver.settle();
    driver.open("go on");
    driver.finish();
    const handled = driver.handled.filter(({ agentId }) => agentId === "raul").map(({ body }) => body);
    expect(handled).toEqual(["first", "first", "second", "third"]);
    expect(driver.journal.pending()).toEqual([]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("without mail comes back without a look at the disk, and takes what comes at once", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({}) });
    driver.kernel.disable("raul", "broken", driver.nowMs);
    expect(driver.bringBack("raul")).toBe(true);
    driver.tell(raul, "mail");
    driver.settle();
    expect(driver.ofType("refill")).toEqual([]);
    expect(driver.ofType("spilled")).toEqual([]);
    expect(driver.outcomes("mail")).toHaveLength(1);
  });

  it("that is still broken is disabled again, and loses nothing", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({}) });
    driver.kernel.disable("raul", "broken", driver.nowMs);
    for (let times = 0; times < 3; times++) {
      expect(driver.bringBack("raul")).toBe(true);
      driver.tell(raul, `mail ${times}`);
      driver.kernel.disable("raul", "broken still", driver.nowMs);
      driver.finish();
      expect(driver.kernel.view("raul")).toMatchObject({ phase: "disabled", reason: "broken still" });
    }
    expect(driver.bringBack("raul")).toBe(true);
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["mail 0", "mail 1", "mail 2"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("that an operator stops comes back parked, and works when it is started", () => {
    const park = { type: "park", reason: "stopped by the operator" } as const;
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ first: blocked }) });
    driver.tell(raul, "first");
    driver.settle();
    driver.kernel.disable("raul", "broken", driver.nowMs);
    // Its cell is still ending: the order waits for that.
    expect(driver.kernel.order("raul", park, driver.nowMs)).toBe(true);
    driver.crash("raul");
    driver.finish();
    expect(driver.kernel.order("raul", { type: "restart" }, driver.nowMs)).toBe(false);
    expect(driver.kernel.view("raul")).toMatchObject({
      phase: "disabled",
      reason: "broken; when it is repaired it stays parked: stopped by the operator",
    });
    expect(driver.bringBack("raul")).toBe(true);
    driver.finish();
    expect(driver.kernel.view("raul")).toMatchObject({ phase: "parked", reason: park.reason, queueDepth: 1 });
    expect(driver.kernel.unpark("raul", driver.nowMs)).toBe(true);
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["first", "first"]);
    // The other way round: started while it is disabled, it is as if it had never been stopped.
    driver.kernel.disable("raul", "broken", driver.nowMs);
    driver.crash("raul");
    driver.finish();
    expect(driver.kernel.order("raul", park, driver.nowMs)).toBe(true);
    expect(driver.kernel.unpark("raul", driver.nowMs)).toBe(false);
    expect(driver.bringBack("raul")).toBe(true);
    expect(phase(driver, "raul")).toBe("dormant");
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("does not start for mail whose append was under way", () => {
    for (let seed = 0; seed < 20; seed++) {
      const driver = makeDriver({ seed, script: scripted({}) });
      const ticket = driver.tell(main, "a");
      driver.kernel.disable("main", "gone", driver.nowMs);
      driver.finish();
      expect(driver.accepted(ticket)).toMatchObject({ status: "stored" });
      expect(driver.ofType("start-cell")).toEqual([]);
      expect(driver.outcomes("a")).toMatchObject([{ code: "CLOISTER_AGENT_DISABLED" }]);
      expect(leaks(driver.kernel)).toEqual([]);
    }
  });

  it("finds its mail in the journal untouched after a restart", () => {
    const driver = makeDriver({ spec: () => ({ disabled: "broken" }), script: scripted({}) });
    driver.kernel.restore({ header: { ...headerOf("e1"), agentId: "main" } }, 0, driver.nowMs);
    driver.finish();
    expect(driver.effects).toEqual([]);
  });
});

describe("a drain", () => {
  it("starts no queued message and lets turns in flight end, with what they wait for", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          const ref = turn.send(raul, "awaited", { timeoutMs: 60_000 });
          turn.send("agent:raul:x", "nobody waits");
          yield* gate("go on");
          const answer = yield* answerOf(ref);
          return { reply: answer.type === "result" ? answer.text : answer.type };
        },
        block: blocked,
      }),
    });
    driver.tell(raul, "block");
    driver.tell("agent:raul:x", "block");
    driver.settle();
    driver.tell(main, "go");
    driver.tell(main, "queued");
    driver.settle();
    driver.kernel.drain();
    expect(driver.kernel.turnsInFlight()).toBe(3);
    driver.open("go on");
    driver.finish();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "re: awaited" }]);
    expect(driver.kernel.turnsInFlight()).toBe(0);
    expect(driver.handled.map(({ body }) => body)).not.toContain("queued");
    expect(driver.handled.map(({ body }) => body)).not.toContain("nobody waits");
    expect(
      driver.journal
        .pending()
        .map(({ envelope }) => envelope.body)
        .toSorted(),
    ).toEqual(["nobody waits", "queued"]);
  });

  it("takes what turns in flight still send: refused, it would fail a message that was accepted", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          yield* gate("go on");
          turn.send(raul, "kept for the next start");
          const answer = yield* answerOf(turn.send("agent:raul:x", "asked", { timeoutMs: 60_000 }));
          return { reply: answer.type === "result" ? answer.text : answer.type };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.drain();
    driver.open("go on");
    driver.finish();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "re: asked" }]);
    expect(driver.header("asked").askedIn).toBe(driver.header("go").id);
    const [kept, ...others] = driver.journal.pending();
    expect(kept?.envelope.body).toBe("kept for the next start");
    expect(kept?.envelope.header.askedIn).toBeUndefined();
    expect(others).toEqual([]);
  });

  it("wakes no agent for mail that nobody waits for", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a");
    driver.kernel.drain();
    driver.finish();
    driver.advance(1_000);
    expect(driver.ofType("start-cell")).toEqual([]);
    expect(driver.journal.pending()).toHaveLength(1);
  });
});

const headerOf = (id: string) =>
  ({
    id,
    from: { type: "operator", client: "test" },
    agentId: "main",
    sessionKey: main,
    verb: "send",
    via: "door:operator",
    chain: [],
    trace: id,
    runId: id,
    acceptedAtMs: 0,
    provenance: { kind: "external_user", sourceChannel: "internal" },
    replyRoute: { type: "none" },
  }) as const;
