import { describe, expect, it } from "vitest";
import { answerOf, gate, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

describe("a message that its actor does not handle", () => {
  const make = () =>
    makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        bad: () => ({ unhandled: "it is no order", state: "spoiled" }),
        *ask(turn) {
          return { reply: JSON.stringify(yield* answerOf(turn.send(raul, "bad", { timeoutMs: 5_000 }))) };
        },
      }),
    });

  it("is a dead letter with that fate and reason; nothing of the turn is kept, and the session goes on", () => {
    const driver = make();
    driver.tell(main, "bad");
    driver.tell(main, "next");
    driver.finish();
    expect(driver.dead("bad")).toMatchObject({
      fate: "unhandled",
      reason: "the actor does not handle it: it is no order",
    });
    expect(driver.outcomes("bad")).toEqual([
      {
        status: "error",
        code: "CLOISTER_MESSAGE_UNHANDLED",
        message: "the agent does not handle this message: it is no order",
      },
    ]);
    expect(driver.outcomes("next")).toEqual([{ status: "ok", text: "re: next" }]);
    expect(driver.handled.at(-1)).toMatchObject({ body: "next", state: undefined });
    expect(driver.journal.committedOrder.get(main)).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("settles who asked with the code at once", () => {
    const driver = make();
    driver.tell(main, "ask");
    driver.settle();
    expect(driver.outcomes("ask")).toMatchObject([{ text: expect.stringContaining("CLOISTER_MESSAGE_UNHANDLED") }]);
  });
});

describe("a message with a time to live", () => {
  const make = () =>
    makeDriver({
      script: scripted({
        *hold() {
          yield* gate("go");
          return {};
        },
      }),
    });

  it("is expired when its turn comes later, with both times, also after a restart; the others are handled", () => {
    const driver = make();
    driver.tell(main, "hold");
    driver.tell(main, "short", { ttlMs: 5_000 });
    driver.tell(main, "long", { ttlMs: 60_000 });
    driver.settle();
    driver.restartProcess();
    driver.advance(5_200);
    driver.open("go");
    driver.finish();
    expect(driver.dead("short")).toMatchObject({
      fate: "expired",
      reason: expect.stringMatching(/^it waited for [5-9] s before its turn came; the bound is 5 s$/),
    });
    expect(driver.outcomes("short")).toMatchObject([{ code: "CLOISTER_MAILBOX_EXPIRED" }]);
    expect(driver.outcomes("long")).toMatchObject([{ status: "ok" }]);
  });

  it("is handled when its turn comes in time, however long that takes then", () => {
    const driver = make();
    driver.tell(main, "hold", { ttlMs: 1_000 });
    driver.advance(30_000);
    driver.open("go");
    driver.finish();
    expect(driver.outcomes("hold")).toEqual([{ status: "no_reply" }]);
  });
});
