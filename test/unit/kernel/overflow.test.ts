import { describe, expect, it } from "vitest";
import type { Limits } from "../../../runtime/kernel/limits.ts";
import type { MailboxPolicy } from "../../../runtime/kernel/state.ts";
import { answerOf, gate, scripted, storedOf } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

/** `raul` holds its first message until the gate opens; `main` sends or asks as its own message says. */
function make(mailbox: Partial<MailboxPolicy>, limits: Partial<Limits> = {}, agents = ["main", "raul"]) {
  return makeDriver({
    agents,
    limits,
    spec: (id) => (id === "raul" ? { mailbox, maxConcurrent: 1 } : {}),
    script: scripted({
      *hold() {
        yield* gate("go");
        return { reply: "held" };
      },
      *send(turn) {
        const answers = [];
        for (const body of ["s1", "s2"]) answers.push(yield* storedOf(turn.send(raul, body)));
        return {
          reply: JSON.stringify(answers.map((answer) => (answer.type === "refused" ? answer.refusal : "stored"))),
        };
      },
      *"send when told"(turn) {
        yield* gate("told");
        const answer = yield* storedOf(turn.send(raul, "s1"));
        return { reply: JSON.stringify(answer) };
      },
      *ask(turn) {
        const answer = yield* answerOf(turn.send(raul, "asked", { timeoutMs: 60_000 }));
        return { reply: JSON.stringify(answer) };
      },
      *"ask back"(turn) {
        const answer = yield* answerOf(turn.send(main, "never", { timeoutMs: 60_000 }));
        return { reply: JSON.stringify(answer) };
      },
    }),
  });
}

/** raul's mailbox is full, and what `main` asks of it waits on the disk behind another message. */
function askBehind() {
  const driver = make({ overflow: "spill", depthMax: 1 });
  for (const body of ["hold", "before"]) driver.tell(raul, body);
  driver.tell(main, "ask");
  driver.settle();
  return driver;
}

type Driver = ReturnType<typeof make>;
const bodies = (driver: Driver, sessionKey = raul): readonly string[] =>
  driver.handled.filter((each) => each.sessionKey === sessionKey).map(({ body }) => body);
const refusalOf = (driver: Driver, ticket: number): unknown => {
  const result = driver.accepted(ticket);
  return result?.status === "refused" ? result.refusal : result;
};
const entry = (driver: Driver) => {
  const agent = driver.kernel.state.agents.get("raul");
  if (agent === undefined) throw new Error("no raul");
  return agent;
};
const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${at}`);

describe("a mailbox that spills", () => {
  it("takes what is beyond its bound, holds no more than that in memory, and hands all of it over in order", () => {
    const driver = make({ overflow: "spill", depthMax: 4, sessionDepthMax: 1 });
    const tickets = ["hold", ...numbered(500)].map((body) => driver.tell(raul, body));
    driver.settle();
    for (const ticket of tickets) expect(driver.accepted(ticket)).toMatchObject({ status: "stored" });
    expect(entry(driver)).toMatchObject({ depth: 4, spill: { count: 497 } });
    expect(driver.kernel.state.mail.size).toBe(4);
    expect(driver.kernel.view("raul")).toMatchObject({ queueDepth: 500 });
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", ...numbered(500)]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("keeps new mail behind the backlog, and one agent's backlog does not slow another", () => {
    const driver = make({ overflow: "spill", depthMax: 2 });
    for (const body of ["hold", "a", "b", "c"]) driver.tell(raul, body);
    driver.tell(main, "other");
    driver.settle();
    expect(driver.outcomes("other")).toHaveLength(1);
    driver.tell(raul, "late");
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "a", "b", "c", "late"]);
  });

  it("is refused beyond the bound of the disk, with both numbers, and beyond the appends in flight", () => {
    const driver = make({ overflow: "spill", depthMax: 2 }, { spillDepthMax: 3, appendsInFlightMax: 6 });
    const burst = ["hold", ...numbered(6)].map((body) => driver.tell(raul, body));
    driver.settle();
    expect(burst.map((ticket) => driver.accepted(ticket)?.status)).toEqual([
      ...Array.from({ length: 5 }, () => "stored"),
      "refused",
      "refused",
    ]);
    expect(refusalOf(driver, burst[6] ?? 0)).toMatchObject({
      code: "CLOISTER_MAILBOX_FULL",
      message: expect.stringContaining("5 of 5 wait for the agent"),
      retryAfterMs: 1_000,
    });
    const crowd = make({ overflow: "spill", depthMax: 1 }, { appendsInFlightMax: 2 });
    const tickets = numbered(3).map((body) => crowd.tell(raul, body));
    expect(refusalOf(crowd, tickets[2] ?? 0)).toMatchObject({ message: expect.stringContaining("2 messages are on") });
    crowd.finish();
    expect(bodies(crowd)).toEqual(["m0", "m1"]);
  });

  it("goes on after a restart of the process with as little in memory, in order, whatever its policy is then", () => {
    const driver = make({ overflow: "spill", depthMax: 3 });
    for (const body of ["hold", ...numbered(40)]) driver.tell(raul, body);
    driver.settle();
    driver.restartProcess();
    expect(driver.kernel.state.mail.size).toBe(3);
    expect(entry(driver)).toMatchObject({ depth: 3, spill: { count: 38 } });
    driver.tell(raul, "new");
    driver.settle();
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "hold", ...numbered(40), "new"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("reads again when the reading failed, and loses nothing", () => {
    const driver = make({ overflow: "spill", depthMax: 1 });
    for (const body of ["hold", "a", "b"]) driver.tell(raul, body);
    driver.settle();
    driver.open("go");
    driver.journal.failNext("raul", 2);
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "a", "b"]);
  });

  it("answers an ask that waited on the disk, and one that is repeated while it does", () => {
    const driver = askBehind();
    expect(entry(driver).spill?.count).toBe(2);
    // The asking turn is handled again, and finds its envelope on the disk.
    driver.crash("main");
    driver.advance(2_000);
    expect(driver.kernel.state.asks.size).toBe(1);
    driver.open("go");
    driver.finish();
    expect(driver.outcomes("ask").at(-1)).toMatchObject({ status: "ok", text: expect.stringContaining("re: asked") });
    expect(bodies(driver)).toEqual(["hold", "before", "asked"]);
  });

  it("drops what an operator stopped there, that session and that run alone, and not what comes after", () => {
    const driver = make({ overflow: "spill", depthMax: 1 });
    driver.tell(raul, "hold");
    driver.tell("agent:raul:x", "x1");
    driver.tell("agent:raul:y", "y1", { runId: "r1" });
    driver.tell("agent:raul:y", "y2", { runId: "r2" });
    driver.settle();
    driver.abort("agent:raul:x");
    driver.abort("agent:raul:y", "r2");
    driver.tell("agent:raul:x", "x2");
    driver.settle();
    driver.open("go");
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold", "y1", "x2"]);
    for (const body of ["x1", "y2"]) expect(driver.dead(body)).toMatchObject({ fate: "dropped" });
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("drops what was stopped there also when the process ends before it is read, in memory by then or not", () => {
    for (const depthMax of [1, 4]) {
      const driver = make({ overflow: "spill", depthMax });
      driver.tell(raul, "hold");
      for (let n = 0; n < depthMax; n++) driver.tell("agent:raul:z", `z${n}`);
      for (const n of [1, 2, 3]) driver.tell("agent:raul:x", `x${n}`);
      driver.tell("agent:raul:y", "y1", { runId: "r1" });
      driver.tell("agent:raul:y", "y2", { runId: "r2" });
      driver.settle();
      expect(entry(driver).spill?.count).toBeGreaterThanOrEqual(5);
      driver.abort("agent:raul:x");
      driver.abort("agent:raul:y", "r2");
      driver.tell("agent:raul:x", "later");
      driver.settle();
      driver.restartProcess();
      driver.settle();
      driver.open("go");
      driver.finish();
      const handled = driver.handled.map(({ body }) => body);
      expect(handled.filter((body) => /^[xy]|later/.test(body))).toEqual(["y1", "later"]);
      for (const body of ["x1", "x2", "x3", "y2"]) expect(driver.dead(body)).toMatchObject({ fate: "dropped" });
      expect(leaks(driver.kernel)).toEqual([]);
    }
  });

  it("of a disabled agent stays on the disk, and who asked hears why", () => {
    const driver = askBehind();
    driver.kernel.disable("raul", "broken", driver.nowMs);
    driver.finish();
    expect(driver.outcomes("ask")).toMatchObject([{ text: expect.stringContaining("CLOISTER_AGENT_DISABLED") }]);
    expect(driver.journal.pending().map(({ envelope }) => envelope.body)).toContain("asked");
  });

  it("takes no message in memory beyond its bound: that cannot wait on the disk", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      spec: (id) => (id === "raul" ? { mailbox: { overflow: "spill", depthMax: 1 } } : {}),
      script: scripted({
        *hold() {
          yield* gate("go");
          return {};
        },
        *memory(turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.send(raul, "x", { inMemory: true, timeoutMs: 100 }))) };
        },
      }),
    });
    driver.tell(raul, "hold");
    driver.settle();
    driver.tell(main, "memory");
    driver.settle();
    expect(driver.outcomes("memory")).toMatchObject([{ text: expect.stringContaining("CLOISTER_MAILBOX_FULL") }]);
  });
});

describe("a mailbox that parks", () => {
  it("lets a message from outside wait for a place, in order, and the next one behind it", () => {
    const driver = make({ overflow: "park", depthMax: 2 });
    const tickets = ["hold", "a", "b", "c"].map((body) => driver.tell(raul, body));
    driver.settle();
    expect(tickets.map((ticket) => driver.accepted(ticket)?.status)).toEqual([
      "stored",
      "stored",
      undefined,
      undefined,
    ]);
    driver.open("go");
    driver.finish();
    expect(tickets.map((ticket) => driver.accepted(ticket)?.status)).toEqual(tickets.map(() => "stored"));
    expect(bodies(driver)).toEqual(["hold", "a", "b", "c"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("refuses it as busy when there is none in time, and stores nothing of it", () => {
    const driver = make({ overflow: "park", depthMax: 1 }, { parkedIngressMs: 5_000 });
    driver.tell(raul, "hold");
    const ticket = driver.tell(raul, "late");
    driver.advance(4_900);
    expect(driver.accepted(ticket)).toBeUndefined();
    driver.advance(200);
    expect(refusalOf(driver, ticket)).toEqual({
      code: "CLOISTER_MAILBOX_FULL",
      message: "the mailbox of agent:raul:main is full: no place in it became free within 5 s",
      retryAfterMs: 1_000,
    });
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("gives the place of a message that could not be stored to who waits, at once", () => {
    const driver = make({ overflow: "park", depthMax: 1 });
    driver.journal.failAppends(1);
    const [failed, waiting] = ["hold", "a"].map((body) => driver.tell(raul, body));
    driver.settle();
    expect(driver.accepted(failed ?? 0)?.status).toBe("refused");
    expect(driver.accepted(waiting ?? 0)?.status).toBe("stored");
    expect(bodies(driver)).toEqual(["a"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("lets an agent's send wait, which gives its place in lane main to others meanwhile", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      mainLaneConcurrent: 2,
      spec: (id) => (id === "raul" ? { mailbox: { overflow: "park", depthMax: 1 } } : {}),
      script: scripted({
        *hold() {
          yield* gate("go");
          return {};
        },
        *send(turn) {
          yield* storedOf(turn.send(raul, "s1"));
          yield* storedOf(turn.send(raul, "s2"));
          return { reply: "sent" };
        },
      }),
    });
    driver.tell(raul, "hold");
    driver.settle();
    driver.tell(main, "send");
    driver.settle();
    expect(driver.outcomes("send")).toEqual([]);
    driver.tell("agent:main:other", "between");
    driver.settle();
    expect(driver.outcomes("between")).toHaveLength(1);
    driver.open("go");
    driver.finish();
    expect(driver.outcomes("send")).toEqual([{ status: "ok", text: "sent" }]);
    expect(bodies(driver)).toEqual(["hold", "s1", "s2"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("refuses an agent's send as busy at its deadline, and the turn goes on", () => {
    const driver = make({ overflow: "park", depthMax: 1 }, { parkedSendMs: 1_000 });
    driver.tell(raul, "hold");
    driver.settle();
    driver.tell(main, "send");
    driver.advance(2_200);
    expect(driver.outcomes("send")).toMatchObject([
      { status: "ok", text: expect.stringContaining("no place in it became free within 1 s") },
    ]);
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold"]);
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("forgets the wait of a turn that ends or crashes", () => {
    const driver = make({ overflow: "park", depthMax: 1 });
    driver.tell(raul, "hold");
    driver.settle();
    driver.tell(main, "send");
    driver.settle();
    expect(entry(driver).crowd).toHaveLength(1);
    driver.crash("main");
    driver.settle();
    expect(entry(driver).crowd).toBeUndefined();
    expect(driver.kernel.state.heldChars).toBe(0);
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "s1", "s2"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("refuses at once what would wait for itself: the target's session waits for the sender's", () => {
    const driver = make({ overflow: "park", depthMax: 1 });
    driver.tell(main, "send when told");
    driver.settle();
    driver.tell(raul, "ask back");
    driver.settle();
    // raul waits for main's session, whose turn now wants to send to raul's full mailbox.
    driver.open("told");
    const [first] = driver.outcomes("send when told");
    expect(first).toMatchObject({ text: expect.stringContaining("a wait for a place in it would not end") });
    driver.finish();
    expect(driver.outcomes("ask back")).toMatchObject([{ text: expect.stringContaining("re: never") }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("lets as many wait as its bound says, and refuses the next", () => {
    const driver = make({ overflow: "park", depthMax: 1 }, { parkedSendersMax: 2 });
    const tickets = ["hold", "a", "b", "c"].map((body) => driver.tell(raul, body));
    driver.settle();
    expect(refusalOf(driver, tickets[3] ?? 0)).toMatchObject({
      code: "CLOISTER_MAILBOX_FULL",
      message: expect.stringContaining("2 senders wait for a place already"),
    });
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "a", "b"]);
  });

  it("gives a session with room its place although another session is full", () => {
    const driver = make({ overflow: "park", depthMax: 10, sessionDepthMax: 1 });
    const full = ["hold", "a"].map((body) => driver.tell(raul, body));
    const other = driver.tell("agent:raul:x", "x");
    driver.settle();
    expect(driver.accepted(full[1] ?? 0)).toBeUndefined();
    expect(driver.accepted(other)).toMatchObject({ status: "stored" });
    driver.open("go");
    driver.finish();
    expect(bodies(driver)).toEqual(["hold", "a"]);
  });

  it("gives the place of mail that an operator stops to who waits for it, at once", () => {
    const driver = make({ overflow: "park", depthMax: 2 });
    for (const body of ["hold", "a"]) driver.tell(raul, body, { runId: `run ${body}` });
    const waiting = driver.tell("agent:raul:x", "x");
    driver.settle();
    expect(driver.accepted(waiting)).toBeUndefined();
    expect(driver.abort(raul, "run a")).toEqual(["run a"]);
    driver.settle();
    expect(driver.accepted(waiting)).toMatchObject({ status: "stored" });
  });

  it("tells everybody who waits when its agent is disabled", () => {
    const driver = make({ overflow: "park", depthMax: 1 });
    driver.tell(raul, "hold");
    const ticket = driver.tell(raul, "a");
    driver.tell(main, "send");
    driver.settle();
    driver.kernel.disable("raul", "broken", driver.nowMs);
    driver.settle();
    expect(refusalOf(driver, ticket)).toMatchObject({ code: "CLOISTER_AGENT_DISABLED" });
    expect(driver.outcomes("send")).toMatchObject([{ text: expect.stringContaining("CLOISTER_AGENT_DISABLED") }]);
  });
});

describe("bodies in memory", () => {
  it("are bounded over all mailboxes: a message beyond the bound is refused as busy, and room comes back", () => {
    const driver = make({}, { heldCharsMax: 10 });
    const [first, second] = [driver.tell(raul, "12345678"), driver.tell(main, "123")];
    expect(refusalOf(driver, second)).toMatchObject({
      code: "CLOISTER_MAILBOX_FULL",
      message: expect.stringContaining("holds 8 characters"),
    });
    driver.finish();
    expect(driver.accepted(first)).toMatchObject({ status: "stored" });
    const again = driver.tell(main, "123");
    driver.finish();
    expect(driver.accepted(again)).toMatchObject({ status: "stored" });
  });

  it("of stored mail are not kept: the kernel holds headers", () => {
    const driver = make({});
    for (const body of ["hold", "x".repeat(10_000)]) driver.tell(raul, body);
    driver.settle();
    expect(JSON.stringify([...driver.kernel.state.mail.values()])).not.toContain("xxx");
  });
});
