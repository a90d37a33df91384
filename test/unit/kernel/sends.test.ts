import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type Answer, answerOf, gate, type Script, scripted, storedOf } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const bodies = (driver: Driver): readonly string[] => driver.handled.map(({ body }) => body);

/** A turn that carries out one call and replies with its answer. */
const telling = (call: (turn: Parameters<Script>[0]) => number): Script =>
  function* (turn) {
    return { reply: JSON.stringify(yield* answerOf(call(turn))) };
  };
const told = (driver: Driver, body: string): Answer => {
  const [outcome] = driver.outcomes(body);
  if (outcome?.status !== "ok") throw new Error(`${body} ended with ${JSON.stringify(outcome)}`);
  return JSON.parse(outcome.text);
};
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

describe("a send", () => {
  it("with timeout 0 is answered when it is stored, however busy the target is (W-09)", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        busy: blocked,
        go: function* (turn) {
          const stored = yield* storedOf(turn.send(raul, "later"));
          return { reply: JSON.stringify(stored) };
        },
      }),
    });
    driver.tell(raul, "busy");
    driver.settle();
    const before = driver.nowMs;
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toEqual({ type: "stored", envelopeId: expect.any(String) });
    expect(driver.nowMs).toBe(before);
    expect(bodies(driver)).not.toContain("later");
    driver.open("go on");
    expect(bodies(driver)).toContain("later");
  });

  it("that says how long it is worth waiting expires when its turn has not begun by then, and not before", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        busy: blocked,
        go: function* (turn) {
          yield* storedOf(turn.send(raul, "short", { ttlMs: 1_000 }));
          yield* storedOf(turn.send(raul, "long", { ttlMs: 60_000 }));
          return {};
        },
      }),
    });
    driver.tell(raul, "busy");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    driver.advance(2_000);
    driver.open("go on");
    driver.finish();
    expect(bodies(driver)).toEqual(["busy", "go", "long"]);
    expect(driver.outcomes("short")).toMatchObject([{ status: "error", code: "CLOISTER_MAILBOX_EXPIRED" }]);
    expect(driver.ofType("bury")).toMatchObject([{ fate: "expired" }]);
  });

  it.each(["0", "-1", "1.5", "x", "", "1 1", String(limits.envelopeAgeMsMax + 1)])(
    "whose time is %j is refused",
    (ttl) => {
      const driver = makeDriver({
        agents: ["main", "raul"],
        script: scripted({ go: telling((turn) => turn.send(raul, "x", { callKey: `0 ${ttl}` })) }),
      });
      driver.tell(main, "go");
      driver.settle();
      expect(told(driver, "go")).toMatchObject({
        type: "refused",
        refusal: { code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining(JSON.stringify(ttl)) },
      });
      expect(bodies(driver)).toEqual(["go"]);
    },
  );

  it("that a redelivered turn repeats is not sent twice", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          yield* storedOf(turn.send(raul, "once"));
          if (turn.attempt === 1) turn.crash();
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.finish();
    expect(bodies(driver)).toEqual(["go", "once", "go"]);
    expect(driver.journal.accepted.size).toBe(2);
  });

  it("is answered with the recorded outcome when its first envelope is done already", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          const answer = yield* answerOf(turn.send(raul, "asked", { timeoutMs: 5_000 }));
          if (turn.attempt === 1) turn.crash();
          return { reply: JSON.stringify(answer) };
        },
      }),
    });
    driver.tell(main, "go");
    driver.finish();
    expect(driver.ofType("recall")).toHaveLength(1);
    expect(told(driver, "go")).toEqual({ type: "result", status: "ok", text: "re: asked" });
    expect(bodies(driver).filter((body) => body === "asked")).toHaveLength(1);
  });

  it("that the journal refuses is a typed refusal, and the credit is back", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({ go: telling((turn) => turn.send(raul, "x")) }),
    });
    driver.tell(main, "go");
    driver.stepUntil(() => bodies(driver).length > 0);
    driver.journal.failAppends(1);
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ type: "refused", refusal: { code: "CLOISTER_STORE_FAILED" } });
    expect(driver.kernel.state.agents.get("main")?.unacked).toBe(0);
    expect(driver.kernel.state.agents.get("raul")?.depth).toBe(0);
  });

  it("beyond the credits of its cell is refused as busy, and the credits come back", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { sendCreditsPerCell: 2 },
      script: scripted({
        go: function* (turn) {
          const refs = ["a", "b", "c"].map((body) => turn.send(raul, body));
          const third = yield* storedOf(refs[2] ?? 0);
          yield* storedOf(refs[1] ?? 0);
          const again = yield* storedOf(turn.send(raul, "d"));
          return { reply: JSON.stringify([third, again]) };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject([
      { type: "refused", refusal: { code: "CLOISTER_MAILBOX_FULL", retryAfterMs: 100 } },
      { type: "stored" },
    ]);
    expect(bodies(driver)).toEqual(["go", "a", "b", "d"]);
  });

  it("to what is no session key is refused", () => {
    for (const to of [
      "raul",
      "agent:",
      "agent::main",
      "agent:raul",
      "agent:raul:",
      "agent:raul:Main",
      `agent:raul:${"x".repeat(600)}`,
    ]) {
      const driver = makeDriver({
        agents: ["main", "raul"],
        script: scripted({ go: telling((turn) => turn.send(to, "x", { slot: 2 })) }),
      });
      driver.tell(main, "go");
      driver.settle();
      expect(told(driver, "go"), to).toMatchObject({ type: "refused", refusal: { code: "CLOISTER_REQUEST_INVALID" } });
    }
  });

  it("whose call key is not the number of a call is refused", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({ go: telling((turn) => turn.send(raul, "x", { callKey: "k".repeat(257) })) }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ type: "refused", refusal: { code: "CLOISTER_REQUEST_INVALID" } });
  });
});

describe("tool calls", () => {
  it("beyond their bound are refused as busy, and an answer makes room", () => {
    const driver = makeDriver({
      agents: ["main"],
      limits: { callsPerCellMax: 0 },
      script: scripted({
        go: telling((turn) => turn.call("sessions_send", { to: main, timeoutMs: 0 }, "x")),
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ type: "refused", refusal: { code: "CLOISTER_MAILBOX_FULL" } });
  });
});

describe("an ask", () => {
  it("is answered with the reply, with none, and with the failure of the other side", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        silent: () => {
          return {};
        },
        fails: () => {
          return { error: "it broke" };
        },
        ...Object.fromEntries(
          ["answers", "silent", "fails"].map((body) => [
            `ask ${body}`,
            telling((turn) => turn.send(raul, body, { timeoutMs: 1_000 })),
          ]),
        ),
      }),
    });
    for (const body of ["answers", "silent", "fails"]) driver.tell(main, `ask ${body}`);
    driver.settle();
    expect(told(driver, "ask answers")).toEqual({ type: "result", status: "ok", text: "re: answers" });
    expect(told(driver, "ask silent")).toEqual({ type: "result", status: "no_reply", text: "" });
    expect(told(driver, "ask fails")).toEqual({
      type: "refused",
      refusal: { code: "CLOISTER_AGENT_FAILED", message: "it broke" },
    });
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("ends at its deadline; the work that it asked for goes on and its late answer is dropped", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({ go: telling((turn) => turn.send(raul, "slow", { timeoutMs: 1_500 })), slow: blocked }),
    });
    driver.tell(main, "go");
    driver.advance(1_400);
    expect(driver.outcomes("go")).toEqual([]);
    driver.advance(100);
    expect(told(driver, "go")).toMatchObject({
      type: "refused",
      refusal: { code: "CLOISTER_ASK_TIMEOUT", message: `no answer from ${raul} within 1.5 s; its run goes on` },
    });
    driver.open("go on");
    expect(driver.outcomes("slow")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.ofType("flow").map(({ state }) => state)).toEqual(["open", "timeout"]);
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("waits no longer than the longest wait", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { askTimeoutMsMax: 1_000 },
      script: scripted({ go: telling((turn) => turn.send(raul, "slow", { timeoutMs: 10 ** 12 })), slow: blocked }),
    });
    driver.tell(main, "go");
    driver.advance(1_000);
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_ASK_TIMEOUT" } });
  });

  it("that would close a cycle is refused at once, and its message is handled all the same (W-06)", () => {
    const agents = ["a", "b", "c"];
    const next = (id: string): string => `agent:${agents[(agents.indexOf(id) + 1) % 3] ?? ""}:main`;
    const driver = makeDriver({
      agents,
      script: function* (turn) {
        if (turn.header.chain.length === 3) return { reply: "last" };
        const answer = yield* answerOf(
          turn.send(next(turn.header.agentId), `hop ${turn.header.chain.length + 1}`, { timeoutMs: 10_000 }),
        );
        return { reply: JSON.stringify(answer) };
      },
    });
    const before = driver.nowMs;
    driver.tell("agent:a:main", "start");
    driver.settle();
    expect(driver.nowMs).toBe(before);
    expect(driver.outcomes("hop 2")[0]).toMatchObject({
      status: "ok",
      text: expect.stringContaining("CLOISTER_ASK_DEADLOCK"),
    });
    expect(driver.outcomes("hop 3")).toEqual([{ status: "ok", text: "last" }]);
    expect(driver.outcomes("start")).toHaveLength(1);
  });

  it("to one's own session is refused at once", () => {
    const driver = makeDriver({
      script: scripted({ go: telling((turn) => turn.send(main, "self", { timeoutMs: 10_000 })) }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_ASK_DEADLOCK" } });
    expect(driver.outcomes("self")).toEqual([{ status: "ok", text: "re: self" }]);
  });

  it("and its counterpart, both under way at once, do not wait for each other", () => {
    for (let seed = 0; seed < 30; seed++) {
      const other = (session: string): string => (session === main ? raul : main);
      const driver = makeDriver({
        seed,
        agents: ["main", "raul"],
        script: function* (turn) {
          if (turn.body === "inner") return { reply: "ok" };
          const answer = yield* answerOf(turn.send(other(turn.header.sessionKey), "inner", { timeoutMs: 60_000 }));
          return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
        },
      });
      driver.tell(main, "m");
      driver.tell(raul, "r");
      const before = driver.nowMs;
      driver.settle();
      const answers = [...driver.outcomes("m"), ...driver.outcomes("r")];
      expect(answers, `seed ${seed}`).toHaveLength(2);
      expect(answers, `seed ${seed}`).toContainEqual({ status: "ok", text: "result" });
      expect(driver.nowMs).toBe(before);
    }
  });

  it("of a turn that ends without waiting for it holds nobody up", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: (turn) => {
          turn.send(raul, "asks back", { timeoutMs: 60_000 });
          return { reply: "not waiting" };
        },
        "asks back": function* (turn) {
          yield* gate("go on");
          return { reply: JSON.stringify(yield* answerOf(turn.send(main, "back", { timeoutMs: 1_000 }))) };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.open("go on");
    expect(told(driver, "asks back")).toEqual({ type: "result", status: "ok", text: "re: back" });
    expect(driver.kernel.state.asks.size).toBe(0);
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("that a cell repeats under the same call key is answered each time", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          const refs = [1, 2].map(() => turn.send(raul, "slow", { timeoutMs: 5_000, callKey: "7" }));
          const answers = [yield* answerOf(refs[0] ?? 0), yield* answerOf(refs[1] ?? 0)];
          return { reply: JSON.stringify(answers) };
        },
        slow: blocked,
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.open("go on");
    expect(told(driver, "go")).toEqual([1, 2].map(() => ({ type: "result", status: "ok", text: "done" })));
    expect(bodies(driver).filter((body) => body === "slow")).toHaveLength(1);
    expect(driver.kernel.state.asks.size).toBe(0);
  });

  it("is refused beyond the number of asks that wait, and a send is not", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { asksMax: 1 },
      script: scripted({
        first: telling((turn) => turn.send(raul, "slow", { timeoutMs: 5_000 })),
        slow: blocked,
        second: telling((turn) => turn.send(raul, "x", { timeoutMs: 5_000 })),
        third: function* (turn) {
          return { reply: JSON.stringify(yield* storedOf(turn.send(raul, "y"))) };
        },
      }),
    });
    driver.tell(main, "first");
    driver.settle();
    driver.tell("agent:main:b", "second");
    driver.tell("agent:main:c", "third");
    driver.settle();
    expect(told(driver, "second")).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_FULL" } });
    expect(told(driver, "third")).toMatchObject({ type: "stored" });
  });
});

describe("asks that are on their way together", () => {
  it("keep the bound as well: those that find it reached when they are stored do not wait, and are handled", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { asksMax: 1 },
      mainLaneConcurrent: 2,
      script: scripted({
        one: telling((turn) => turn.send(raul, "first", { timeoutMs: 5_000 })),
        two: telling((turn) => turn.send("agent:raul:b", "second", { timeoutMs: 5_000 })),
      }),
    });
    driver.tell(main, "one");
    driver.tell("agent:main:b", "two");
    driver.stepUntil(() => driver.ofType("append").length === 4);
    driver.settle();
    const answers = ["one", "two"].map((body) => told(driver, body));
    expect(answers).toContainEqual(expect.objectContaining({ type: "result", status: "ok" }));
    expect(answers).toContainEqual(
      expect.objectContaining({
        refusal: {
          code: "CLOISTER_MAILBOX_FULL",
          message:
            "1 asks wait in the whole gateway; the bound is reached, so nobody waits for this answer; the message is queued and will be handled",
          remedy: "send with timeoutSeconds 0 and let the answer come as a message",
        },
      }),
    );
    expect(bodies(driver)).toEqual(expect.arrayContaining(["first", "second"]));
  });
});

const inMemory = (to: string, body: string): Script =>
  telling((turn) => turn.send(to, body, { inMemory: true, timeoutMs: 1_000 }));

describe("a message in memory", () => {
  it("is answered without journal, lane or transcript", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({ go: inMemory(raul, "quick"), busy: blocked }),
    });
    driver.tell(raul, "busy");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toEqual({ type: "result", status: "ok", text: "re: quick" });
    expect([...driver.journal.accepted.values()].map(({ body }) => body)).toEqual(["busy", "go"]);
    expect(driver.handled.find(({ body }) => body === "quick")?.attempt).toBe(0);
  });

  it("is refused when the target has no cell, and needs the right to ask", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [{ id: "p", subject: "agent:main", object: "agent:*", verbs: ["send"], origin: "config" }],
      script: scripted({
        go: inMemory(raul, "x"),
        sneaky: telling((turn) => turn.send(raul, "x", { inMemory: true, timeoutMs: 0, slot: 1 })),
      }),
    });
    driver.tell(main, "go");
    driver.tell(main, "sneaky");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_CAPABILITY_DENIED" } });
    expect(told(driver, "sneaky")).toMatchObject({ refusal: { code: "CLOISTER_CAPABILITY_DENIED" } });
    const open = makeDriver({ agents: ["main", "raul"], script: scripted({ go: inMemory(raul, "x") }) });
    open.tell(main, "go");
    open.settle();
    expect(told(open, "go")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_CRASHED", remedy: "send it durably" } });
  });

  it("does not make the kernel believe that the cell has the session's state", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { sessionsPerCellMax: 1 },
      script: scripted({
        "set state": () => {
          return { state: "7" };
        },
        "another session": () => {
          return { state: "1" };
        },
        go: inMemory(raul, "quick"),
        "read state": (turn) => {
          return { reply: turn.state ?? "none" };
        },
      }),
    });
    // The second session pushes the first one's state out of the cell.
    driver.tell(raul, "set state");
    driver.settle();
    driver.tell("agent:raul:other", "another session");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ text: "re: quick" });
    driver.tell(raul, "read state");
    driver.settle();
    expect(driver.outcomes("read state")).toEqual([{ status: "ok", text: "7" }]);
  });

  it("dies with the cell, and who asked hears it", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({ go: inMemory(raul, "slow"), slow: blocked, warm: blocked }),
    });
    driver.tell(raul, "warm");
    driver.settle();
    driver.open("go on");
    driver.tell(main, "go");
    driver.settle();
    driver.crash("raul");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_CRASHED" } });
    driver.finish();
    expect(bodies(driver).filter((body) => body === "slow")).toHaveLength(1);
    expect(driver.kernel.state.agents.get("raul")?.depth).toBe(0);
  });

  it("takes a place in the mailbox", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { mailboxDepthMax: 2 },
      script: scripted({
        warm: blocked,
        go: function* (turn) {
          const refs = ["a", "b"].map((body) => turn.send(raul, body, { inMemory: true, timeoutMs: 1_000 }));
          return { reply: JSON.stringify(yield* answerOf(refs[1] ?? 0)) };
        },
        a: blocked,
      }),
    });
    driver.tell(raul, "warm");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    expect(told(driver, "go")).toMatchObject({ refusal: { code: "CLOISTER_MAILBOX_FULL" } });
  });
});

const send = (to: string, timeoutMs: number, body = "x"): Script =>
  telling((turn) => turn.call("sessions_send", { to, timeoutMs }, body));

const resultOf = (driver: Driver, body: string): unknown => {
  const answer = told(driver, body);
  return answer.type === "result" ? JSON.parse(answer.text) : answer;
};

describe("the result of the tool sessions_send", () => {
  it("says what became of the message", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        ok: send(raul, 1_000),
        none: send(raul, 1_000, "silent"),
        accepted: send(raul, 0),
        self: send(main, 1_000),
        ghost: send("agent:ghost:main", 1_000),
        failed: send(raul, 1_000, "fails"),
        silent: () => {
          return {};
        },
        fails: () => {
          return { error: "it broke" };
        },
      }),
    });
    for (const body of ["ok", "none", "accepted", "self", "ghost", "failed"]) driver.tell(main, body);
    driver.settle();
    const run = { runId: expect.any(String), sessionKey: raul };
    expect(resultOf(driver, "ok")).toEqual({ ...run, status: "ok", reply: "re: x" });
    expect(resultOf(driver, "none")).toEqual({ ...run, status: "no_reply" });
    expect(resultOf(driver, "accepted")).toEqual({
      ...run,
      status: "accepted",
      delivery: { status: "skipped", mode: "none" },
    });
    expect(resultOf(driver, "self")).toMatchObject({ sessionKey: main, status: "error", code: "would_deadlock" });
    expect(resultOf(driver, "ghost")).toMatchObject({
      status: "error",
      code: "not_found",
      operatorHint: "cloister agents list",
    });
    expect(resultOf(driver, "failed")).toMatchObject({
      ...run,
      status: "error",
      code: "worker_unavailable",
      error: "it broke",
    });
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("says timeout when the wait is over, and busy when the mailbox is full", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { sessionDepthMax: 1 },
      script: scripted({ late: send(raul, 1_000, "slow"), busy: send(raul, 1_000), slow: blocked }),
    });
    driver.tell(main, "late");
    driver.settle();
    driver.tell("agent:main:x", "busy");
    driver.settle();
    expect(resultOf(driver, "busy")).toMatchObject({ status: "error", code: "busy", retryAfterMs: 1_000 });
    driver.advance(1_000);
    expect(resultOf(driver, "late")).toMatchObject({ status: "timeout", code: "timeout", sessionKey: raul });
  });

  it("is part of the transcript", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: scripted({ ok: send(raul, 1_000) }) });
    driver.tell(main, "ok");
    driver.settle();
    const commit = driver.ofType("commit").find(({ header }) => header.sessionKey === main);
    expect(commit?.rows).toEqual([
      { role: "toolResult", toolName: "sessions_send", text: expect.stringContaining('"reply":"re: x"') },
      { role: "assistant", text: expect.any(String) },
    ]);
  });
});
