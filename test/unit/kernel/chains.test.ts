/** What one message from outside may cause among agents: hops, messages, time (A9.4). */
import { describe, expect, it } from "vitest";
import { type Answer, answerOf } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const textOf = (answer: Answer): string =>
  answer.type === "refused" ? `${answer.refusal.code} ${answer.refusal.message} ${answer.refusal.remedy}` : answer.type;
const codes = (driver: Driver): (string | undefined)[] => driver.audits("chain-ended").map(({ code }) => code);

describe("A9.4: a chain of messages among agents", () => {
  it("that multiplies stops at its number of messages, and the refusal is in the audit trail", () => {
    let refused = 0;
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { chainMessagesMax: 20 },
      script: function* (turn) {
        const to = turn.header.agentId === "main" ? raul : main;
        for (const ref of [turn.send(to, "more"), turn.send(to, "more")]) {
          const answer = yield { until: "stored", ref };
          if (answer.type === "refused") refused++;
        }
        return {};
      },
    });
    driver.tell(main, "go");
    driver.finish();
    const sent = [...driver.journal.accepted.values()].filter(({ header }) => header.from.type === "agent");
    expect(sent).toHaveLength(20);
    expect(sent.map(({ header }) => header.chainStamp?.messages).toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
    expect(refused).toBe(22);
    expect(new Set(codes(driver))).toEqual(new Set(["CLOISTER_CHAIN_SPENT"]));
    expect(driver.audits("chain-ended")[0]).toMatchObject({
      decision: "refused",
      trace: driver.header("go").id,
      detail: expect.stringContaining("has caused 20 others among agents; the bound is 20"),
    });
    expect(driver.kernel.state.chains.size).toBe(0);
    // Another message from outside begins a chain of its own.
    driver.tell(main, "again");
    driver.finish();
    expect(driver.journal.accepted.size).toBe(42);
  });

  it("counts what a turn asks one after the other as one chain", () => {
    const answers: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { chainMessagesMax: 3 },
      script: function* (turn) {
        if (turn.body !== "go") return { reply: "fine" };
        for (let n = 0; n < 5; n++) {
          const answer = yield* answerOf(turn.send(raul, `ask ${n}`, { timeoutMs: 1_000 }));
          answers.push(answer.type === "refused" ? answer.refusal.code : answer.type);
        }
        return {};
      },
    });
    driver.tell(main, "go");
    driver.finish();
    expect(answers).toEqual(["result", "result", "result", "CLOISTER_CHAIN_SPENT", "CLOISTER_CHAIN_SPENT"]);
  });

  it("A11.1: bounds the tool calls of all its turns, before each call, also over a restart of the process", () => {
    const answers: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { chainCallsMax: 5 },
      script: function* (turn) {
        if (turn.body === "x") return {};
        const other = turn.header.agentId === "main" ? raul : main;
        for (let n = 0; n < 3; n++) {
          const answer = yield* answerOf(turn.call("sessions_send", { to: other, timeoutMs: 0 }, "x"));
          answers.push(answer.type === "refused" ? `${answer.refusal.code}: ${answer.refusal.message}` : answer.type);
        }
        if (turn.body === "go") yield { until: "stored", ref: turn.send(raul, "go on") };
        if (turn.body === "go on") yield { until: "stored", ref: turn.send(main, "and on") };
        return {};
      },
    });
    driver.tell(main, "go");
    driver.stepUntil(() => driver.handled.some(({ body }) => body === "go on"));
    expect(driver.header("go on").chainStamp).toMatchObject({ messages: 4, calls: 3 });
    driver.restartProcess();
    driver.finish();
    const spent = "CLOISTER_CHAIN_SPENT: the turns of this chain of messages have made 5 tool calls; the bound is 5";
    expect(answers.filter((answer) => answer === spent)).toHaveLength(4);
    expect(driver.kernel.state.chains.size).toBe(0);
    // Another message from outside has calls of its own.
    answers.length = 0;
    driver.tell(main, "again");
    driver.finish();
    expect(answers).not.toContain(spent);
    expect(answers).toHaveLength(3);
  });

  it.each([
    [{ chainTokensMax: 30 }, "took 36 tokens of models; the bound is 30", "chainTokensMax"],
    [
      { chainCostNanosMax: 9_000 },
      "cost the turns of this chain of messages 0.000009 USD; the bound is 0.000009 USD",
      "chainCostUsdMax",
    ],
  ])(
    "A11.1: bounds what all its turns take of models by %j, before each call, also over a restart",
    (loops, told, key) => {
      const answers: string[] = [];
      const driver = makeDriver({
        agents: ["main", "raul"],
        loops,
        models: () => ({ ok: true, json: "{}", used: { input: 10, output: 2, costNanos: 3_000 }, model: "p/m" }),
        script: function* (turn) {
          if (turn.body === "go") {
            answers.push(textOf(yield* answerOf(turn.model("one"))), textOf(yield* answerOf(turn.model("two"))));
            answers.push(textOf(yield { until: "stored", ref: turn.send(raul, "go on") }));
            return {};
          }
          answers.push(textOf(yield* answerOf(turn.model("three"))), textOf(yield* answerOf(turn.model("four"))));
          answers.push(textOf(yield* answerOf(turn.call("sessions_send", { to: main, timeoutMs: 0 }, "x"))));
          answers.push(textOf(yield { until: "stored", ref: turn.send(main, "x") }));
          return {};
        },
      });
      driver.tell(main, "go");
      driver.stepUntil(() => driver.handled.some(({ body }) => body === "go on"));
      expect(driver.header("go on").chainStamp).toMatchObject({ tokens: 24, costNanos: 6_000 });
      driver.restartProcess();
      driver.finish();
      // The third call passes the bound; nothing after it goes through: no model, no tool, no message.
      expect(answers.slice(0, 4)).toEqual(["result", "result", "stored", "result"]);
      expect(answers).toHaveLength(7);
      for (const refused of answers.slice(4)) {
        expect(refused).toContain(`CLOISTER_CHAIN_SPENT`);
        expect(refused).toContain(told);
        expect(refused).toContain(`tools.loopDetection.${key}`);
      }
      expect(driver.kernel.state.chains.size).toBe(0);
      // Another message from outside begins anew.
      driver.tell(main, "go");
      driver.finish();
      expect(answers.slice(7, 11)).toEqual(["result", "result", "stored", "result"]);
    },
  );

  it("goes on counting after a restart of the process, from what its messages carry", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { chainMessagesMax: 8, hopsMax: 100 },
      script: function* (turn) {
        yield { until: "stored", ref: turn.send(turn.header.agentId === "main" ? raul : main, "round") };
        return {};
      },
    });
    driver.tell(main, "round");
    driver.stepUntil(() => driver.handled.length === 4);
    driver.restartProcess();
    driver.finish();
    const sent = [...driver.journal.accepted.values()].filter(({ header }) => header.from.type === "agent");
    expect(sent).toHaveLength(8);
    expect(codes(driver).length).toBeGreaterThan(0);
  });

  it("ends with its time: nothing more is sent, and what waits becomes a dead letter", () => {
    const refusals: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { chainMsMax: 10_000 },
      script: function* (turn) {
        if (turn.body === "first") {
          yield { until: "stored", ref: turn.send(raul, "second") };
          yield { until: "stored", ref: turn.send(raul, "third") };
          return {};
        }
        if (turn.body !== "second") return {};
        yield { until: "gate", gate: "late" };
        const answer = yield { until: "stored", ref: turn.send(main, "too late") };
        if (answer.type === "refused") refusals.push(answer.refusal.code);
        return {};
      },
    });
    driver.tell(main, "first");
    driver.advance(11_000);
    driver.open("late");
    driver.finish();
    expect(refusals).toEqual(["CLOISTER_CHAIN_SPENT"]);
    expect(driver.dead("third")).toMatchObject({ fate: "expired" });
    expect(driver.header("second").chainStamp?.untilMs).toBe(driver.header("first").acceptedAtMs + 10_000);
  });

  it("that goes in a circle stops at the bound on hops, and the refusal is in the audit trail", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { hopsMax: 4 },
      script: function* (turn) {
        yield { until: "stored", ref: turn.send(turn.header.agentId === "main" ? raul : main, "round") };
        return {};
      },
    });
    driver.tell(main, "round");
    driver.finish();
    expect(driver.handled).toHaveLength(5);
    expect(codes(driver)).toEqual(["CLOISTER_MAILBOX_HOPS"]);
  });
});
