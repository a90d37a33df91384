import { describe, expect, it } from "vitest";
import { down } from "../../../runtime/kernel/frames.ts";
import type { Pairing } from "../../../runtime/kernel/pairings.ts";
import { answerOf, gate, type Script, scripted, storedOf } from "../../support/fake-cell.ts";
import { type Driver, makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

const right = (id: string, over: Partial<Pairing> = {}): Pairing => ({
  id,
  subject: "agent:main",
  object: "agent:raul",
  verbs: ["send", "request"],
  origin: "operator",
  ...over,
});

/** Sends at every opening of the gate, and keeps how each was answered. */
function sender(answers: string[]): Script {
  return function* (turn) {
    for (let index = 0; index < 4; index++) {
      yield* gate("next");
      answers.push((yield* storedOf(turn.send(raul, `m${index}`))).type);
    }
    return { reply: "finished" };
  };
}

const slotRecords = (driver: Driver): readonly unknown[] =>
  driver
    .ofType("post")
    .filter(({ record }) => record[0] === down.slot)
    .map(({ record: [, , , slot, object, verbs] }) => [slot, object, verbs]);

describe("a right that is granted while the gateway runs", () => {
  it("works in a live cell, ends at once when it is revoked, and a later one has a number of its own", () => {
    const answers: string[] = [];
    const driver = makeDriver({ agents: ["main", "raul"], pairings: [], script: scripted({ go: sender(answers) }) });
    driver.tell(main, "go");
    driver.settle();
    driver.open("next");
    driver.kernel.grant(right("g1"), driver.nowMs);
    driver.settle();
    driver.open("next");
    expect(driver.kernel.revoke("g1", driver.nowMs)).toEqual(["g1"]);
    driver.settle();
    driver.open("next");
    driver.kernel.grant(right("g2"), driver.nowMs);
    driver.settle();
    driver.open("next");
    expect(answers).toEqual(["refused", "stored", "refused", "stored"]);
    expect(driver.kernel.view("main")?.incarnation).toBe(1);
    expect(slotRecords(driver)).toEqual([
      [1, "agent:raul", '["send","request"]'],
      [1, "", "[]"],
      [2, "agent:raul", '["send","request"]'],
    ]);
  });

  it("is told to a cell that is about to start, and also that it is gone again", () => {
    const answers: string[] = [];
    const driver = makeDriver({ agents: ["main", "raul"], pairings: [], script: scripted({ go: sender(answers) }) });
    driver.tell(main, "go");
    while (driver.kernel.view("main")?.phase !== "starting") driver.step();
    driver.kernel.grant(right("g1", { verbs: ["list"] }), driver.nowMs);
    driver.kernel.grant(right("g2"), driver.nowMs);
    driver.kernel.revoke("g1", driver.nowMs);
    expect(slotRecords(driver)).toEqual([]);
    driver.settle();
    driver.open("next");
    expect(answers).toEqual(["stored"]);
    expect(slotRecords(driver).map((record) => (record as unknown[])[0])).toEqual([1, 2, 1]);
  });

  it("ends at its time, before the next thing that happens then", () => {
    const answers: string[] = [];
    const driver = makeDriver({ agents: ["main", "raul"], pairings: [], script: scripted({ go: sender(answers) }) });
    driver.kernel.grant(right("g1", { untilMs: driver.nowMs + 1_000 }), driver.nowMs);
    driver.tell(main, "go");
    driver.settle();
    driver.open("next");
    driver.advance(999 - (driver.nowMs - 1_000_000));
    driver.open("next");
    driver.advance(1);
    driver.open("next");
    expect(answers).toEqual(["stored", "stored", "refused"]);
    expect(driver.audits("right-expired")).toEqual([
      expect.objectContaining({ subject: "agent:main", object: "agent:raul", decision: "noted", detail: "g1" }),
    ]);
  });

  it("ends with the one that it was derived from, and the trail tells of that one", () => {
    const untilMs = 1_000_500;
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [
        { ...right("root", { untilMs }), subject: "agent:kim", delegable: ["send", "request"] },
        { ...right("g1", { untilMs }), parent: "root" },
      ],
      script: () => ({}),
    });
    driver.advance(500);
    expect(driver.pairings.of("agent:main")).toEqual([]);
    expect(driver.audits("right-expired").map(({ detail }) => detail)).toEqual(["root"]);
  });
});

describe("who waits for what was sent under a right that ends", () => {
  const busy: Script = function* () {
    yield* gate("go on");
    return { reply: "done" };
  };
  const ask = (inMemory: boolean): Script =>
    function* (turn) {
      const answer = yield* answerOf(turn.send(raul, "asked", { timeoutMs: 60_000, inMemory }));
      return { reply: answer.type === "refused" ? answer.refusal.code : answer.type };
    };
  const withAsk = (inMemory = false): Driver => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [right("g1"), right("g2", { subject: "agent:raul", object: "agent:main" })],
      script: scripted({ busy, asked: busy, go: ask(inMemory) }),
    });
    if (inMemory) driver.tell(raul, "warm");
    driver.settle();
    driver.tell(main, "go");
    driver.settle();
    return driver;
  };

  it("hears it at once, while the work in hand goes on", () => {
    const driver = withAsk();
    expect(driver.outcomes("go")).toEqual([]);
    driver.kernel.revoke("g2", driver.nowMs);
    driver.settle();
    expect(driver.outcomes("go")).toEqual([]);
    driver.kernel.revoke("g1", driver.nowMs);
    driver.settle();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "CLOISTER_CAPABILITY_REVOKED" }]);
    driver.open("go on");
    expect(driver.outcomes("asked")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("hears it of a message in memory as well", () => {
    const driver = withAsk(true);
    driver.kernel.revoke("g1", driver.nowMs);
    driver.settle();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "CLOISTER_CAPABILITY_REVOKED" }]);
  });

  it("hears it when the right that it was derived from ends", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [
        { ...right("root"), subject: "agent:kim", delegable: ["send", "request"] },
        { ...right("g1"), parent: "root" },
      ],
      script: scripted({ asked: busy, go: ask(false) }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(driver.kernel.revoke("root", driver.nowMs)).toEqual(["root", "g1"]);
    driver.settle();
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "CLOISTER_CAPABILITY_REVOKED" }]);
  });
});
