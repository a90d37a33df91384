/** What goes on between two sessions after a `sessions_send` (`runtime/kernel/exchange.ts`). */
import { describe, expect, it } from "vitest";
import { answerOf } from "../../support/fake-cell.ts";
import { type Driver, type DriverOptions, makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

interface Play {
  readonly turnsMax: number;
  /** What a session answers in a turn of the exchange; its text, and `error:` for a turn that fails. */
  readonly answers?: (sessionKey: string, turn: number, step: string) => string | undefined;
  readonly timeoutMs?: number;
}

function play({ turnsMax, answers, timeoutMs = 0 }: Play, options: Partial<DriverOptions> = {}): Driver {
  return makeDriver({
    agents: ["main", "raul"],
    script: (turn) => {
      const { exchange, sessionKey } = turn.header;
      if (exchange === undefined)
        return (function* () {
          yield* answerOf(turn.call("sessions_send", { to: raul, timeoutMs, turnsMax }, "hello"));
          return { reply: "sent" };
        })();
      const said = answers?.(sessionKey, exchange.turn, exchange.step) ?? `${sessionKey} ${exchange.turn}`;
      if (said.startsWith("error:")) return { error: said };
      return said === "" ? {} : { reply: said };
    },
    ...options,
  });
}

/** The turns of the exchange in the order in which they were handled: step, turn and session. */
function turnsOf(driver: Driver): string[] {
  const seen = new Set<string>();
  return driver.handled.flatMap(({ envelopeId, sessionKey }) => {
    const exchange = driver.journal.accepted.get(envelopeId)?.header.exchange;
    if (exchange === undefined || seen.has(envelopeId)) return [];
    seen.add(envelopeId);
    return [`${exchange.step} ${exchange.turn} ${sessionKey.split(":")[1]}`];
  });
}

describe("an exchange", () => {
  it("AC-01.6: with five turns goes back and forth five times, beginning with the requester, then announces", () => {
    const driver = play({ turnsMax: 5 });
    driver.tell(main, "go");
    driver.settle();
    expect(turnsOf(driver)).toEqual([
      "request 0 raul",
      "reply 1 main",
      "reply 2 raul",
      "reply 3 main",
      "reply 4 raul",
      "reply 5 main",
      "announce 6 raul",
    ]);
    const bodies = driver.handled.map(({ body }) => body);
    expect(bodies).toEqual([
      "go",
      "hello",
      `${raul} 0`,
      `${main} 1`,
      `${raul} 2`,
      `${main} 3`,
      `${raul} 4`,
      `${main} 5`,
    ]);
  });

  it("AC-01.6: with no turns is one run and one announce", () => {
    const driver = play({ turnsMax: 0 });
    driver.tell(main, "go");
    driver.settle();
    expect(turnsOf(driver)).toEqual(["request 0 raul", "announce 1 raul"]);
  });

  it.each([
    ["REPLY_SKIP, with blanks", " REPLY_SKIP\n"],
    ["an empty answer", ""],
    ["a failure", "error: it broke"],
  ])("AC-01.6: %s ends the turns at once, and the announce is told what was said last", (_name, said) => {
    const driver = play({ turnsMax: 5, answers: (_key, turn) => (turn === 2 ? said : undefined) });
    driver.tell(main, "go");
    driver.settle();
    expect(turnsOf(driver)).toEqual(["request 0 raul", "reply 1 main", "reply 2 raul", "announce 3 raul"]);
    // The turn added nothing: whoever composes the announce reads what it was told.
    expect(driver.ofType("follow-up").at(-1)?.next.text).toBeUndefined();
  });

  it.each(["", "error: it broke", "REPLY_SKIP"])("is over when the request is answered with %j", (said) => {
    const driver = play({ turnsMax: 5, answers: () => said });
    driver.tell(main, "go");
    driver.settle();
    expect(turnsOf(driver)).toEqual(["request 0 raul"]);
    expect(driver.ofType("follow-up")).toEqual([]);
  });

  it("asks nobody whose module takes no part, and says so at once", () => {
    const requesterOut = play({ turnsMax: 5 }, { takesPart: (id) => id === "raul" });
    requesterOut.tell(main, "go");
    requesterOut.settle();
    expect(turnsOf(requesterOut)).toEqual(["request 0 raul", "announce 1 raul"]);
    const targetOut = play({ turnsMax: 5 }, { takesPart: (id) => id === "main" });
    targetOut.tell(main, "go");
    targetOut.settle();
    expect(turnsOf(targetOut)).toEqual(["request 0 raul", "reply 1 main"]);
  });

  it("stamps who spoke, the right of the request, its trace and a longer chain", () => {
    const driver = play({ turnsMax: 2 });
    driver.tell(main, "go");
    driver.settle();
    const header = driver.header(`${raul} 0`);
    expect(header).toMatchObject({
      from: { type: "agent", agentId: "raul", sessionKey: raul },
      sessionKey: main,
      provenance: { kind: "inter_session", sourceSessionKey: raul, sourceTool: "sessions_send" },
      via: driver.header("hello").via,
      trace: driver.header("go").trace,
      chain: [main, raul],
    });
  });

  it("ends at the bound on hops, wherever it is then", () => {
    const driver = play({ turnsMax: 5 }, { limits: { hopsMax: 3 } });
    driver.tell(main, "go");
    driver.settle();
    expect(turnsOf(driver)).toEqual(["request 0 raul", "reply 1 main", "reply 2 raul"]);
    expect(driver.journal.exchanges()).toEqual([]);
  });

  it("tells who does not wait, or not long enough, that the answer is still to come", () => {
    const result = (driver: Driver): object =>
      JSON.parse(driver.ofType("record").find(({ row }) => row?.op === "tool")?.row?.result?.[2] ?? "{}");
    const slow = play(
      { turnsMax: 1, timeoutMs: 1_000 },
      {
        script: (turn) =>
          (function* () {
            if (turn.header.exchange === undefined)
              yield* answerOf(turn.call("sessions_send", { to: raul, timeoutMs: 1_000, turnsMax: 1 }, "hello"));
            else if (turn.header.exchange.step === "request") yield { until: "gate" as const, gate: "late" };
            return { reply: "done" };
          })(),
      },
    );
    slow.tell(main, "go");
    slow.advance(2_000);
    expect(result(slow)).toMatchObject({ status: "timeout", delivery: { status: "pending", mode: "announce" } });
    slow.open("late");
    expect(turnsOf(slow)).toEqual(["request 0 raul", "reply 1 main", "announce 2 raul"]);
  });

  it("goes on once after any crash of the process, and every turn of it is done once", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const driver = play({ turnsMax: 3, timeoutMs: seed % 2 === 0 ? 5_000 : 0 }, { seed });
      driver.tell(main, "go");
      for (let crash = 0; crash < 4; crash++) {
        for (let steps = driver.random.below(25); steps > 0 && driver.step(); steps--);
        driver.restartProcess();
      }
      driver.finish();
      const sent = [...driver.journal.accepted.values()].filter(({ header }) => header.exchange !== undefined);
      const isDone = sent.some(({ header }) => header.exchange?.step === "request");
      // Before the request was on the disk nothing had begun; from then on all of it happens, each turn by one envelope.
      const steps = sent.map(({ header: { exchange } }) => `${exchange?.step} ${exchange?.turn}`).toSorted();
      expect([seed, steps]).toEqual([seed, isDone ? ["announce 4", "reply 1", "reply 2", "reply 3", "request 0"] : []]);
      for (const { header } of sent) expect([seed, driver.journal.done.get(header.id)?.commits]).toEqual([seed, 1]);
      expect(driver.journal.exchanges()).toEqual([]);
    }
  });
});
