/** Turns that begin with the append of their message (ADR 0081): which do, and what becomes of them when the append comes to nothing. */
import { describe, expect, it } from "vitest";
import { gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type DriverOptions, makeDriver } from "../../support/kernel-driver.ts";
import type { TellOptions } from "../../support/driver-port.ts";
import { leaks } from "../../support/kernel-invariants.ts";
import { journalName } from "../../support/kernel-journal.ts";

const main = "agent:main:main";
const other = "agent:main:other";
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

/** With a cell that lives and has nothing to do. */
function openLive(options: Partial<DriverOptions> = {}) {
  const driver = makeDriver({ script: scripted({ hello: () => ({ reply: "hi" }), block: blocked }), ...options });
  driver.tell(main, "hello");
  driver.settle();
  return driver;
}

function block(driver: ReturnType<typeof makeDriver>): void {
  driver.tell(other, "block");
  driver.settle();
}

/** Whether the last turn began with its append. */
function isEarly(driver: ReturnType<typeof makeDriver>): boolean {
  const [append, begin] = [driver.ofType("append").at(-1), driver.ofType("begin").at(-1)];
  expect(append?.begins ?? false).toBe(begin?.isEarly ?? false);
  return begin?.isEarly === true;
}

describe("a turn that begins with the append of its message", () => {
  it("is delivered for the first time, and its first delivery is counted", () => {
    const driver = openLive();
    driver.tell(main, "block");
    expect(isEarly(driver)).toBe(true);
    expect(driver.ofType("begin")).toHaveLength(2);
    driver.settle();
    expect(driver.handled.at(-1)).toMatchObject({ body: "block", attempt: 1 });
    expect(driver.journal.pending()).toMatchObject([{ attempts: 1 }]);
    driver.restartProcess();
    driver.settle();
    expect(driver.handled.at(-1)).toMatchObject({ body: "block", attempt: 2 });
    driver.open("go on");
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is delivered when its message is stored, and not before, whoever answers first", () => {
    const driver = openLive();
    driver.tell(main, "block");
    const { agentId, turn } = driver.ofType("begin").at(-1) ?? { agentId: "", turn: 0 };
    const begun = { status: "begun", attempt: 1, sessionId: "s", body: "block", state: null } as const;
    driver.kernel.begun(agentId, turn, begun, driver.nowMs);
    expect(driver.ofType("post").filter(({ record }) => record.includes("block"))).toEqual([]);
    driver.stepUntil(() => driver.ofType("accepted").length === 2);
    expect(driver.ofType("post").filter(({ record }) => record.includes("block"))).toHaveLength(1);
  });

  const cases: readonly {
    readonly when: string;
    readonly prepare?: (driver: ReturnType<typeof makeDriver>) => void;
    readonly sessionKey: string;
    readonly options?: Partial<DriverOptions>;
    readonly how?: TellOptions;
  }[] = [
    { when: "the agent has no cell", prepare: (driver) => driver.advance(10 * 60_000), sessionKey: main },
    {
      when: "another message of the session is on its way",
      prepare: (driver) => void driver.tell(other, "hello"),
      sessionKey: other,
    },
    { when: "a turn of the session runs", prepare: block, sessionKey: other },
    { when: "no place is free", prepare: block, sessionKey: main, options: { mainLaneConcurrent: 1 } },
    {
      when: "there may be room on the disk alone",
      sessionKey: main,
      options: { spec: () => ({ mailbox: { depthMax: 10, sessionDepthMax: 10, overflow: "spill" } }) },
    },
    {
      when: "an order waits for the turns of its agent",
      prepare: (driver) => {
        block(driver);
        driver.kernel.order("main", { type: "restart" }, driver.nowMs);
      },
      sessionKey: main,
    },
    { when: "it was a dead letter, which may be gone", sessionKey: main, how: { replaces: "gone" } },
    {
      when: "it was kept with a request, which may be gone",
      sessionKey: main,
      how: { releases: { requestId: "gone", message: 1 } },
    },
    { when: "more may belong to it", sessionKey: main, how: { holdMs: 1_000 } },
  ];
  it.each(cases)("is none while $when", ({ prepare, sessionKey, options, how }) => {
    const driver = openLive(options);
    prepare?.(driver);
    driver.tell(sessionKey, "hello", how);
    expect(driver.ofType("append").at(-1)?.begins).toBeUndefined();
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("comes to nothing with a message that was stored before, and what waited for its place begins", () => {
    const driver = openLive({ mainLaneConcurrent: 1 });
    driver.tell(main, "hello", { dedupeKey: "k" });
    driver.settle();
    const again = driver.tell(main, "hello", { dedupeKey: "k" });
    driver.tell(other, "hello");
    expect(driver.ofType("begin").at(-1)?.isEarly).toBe(true);
    driver.finish();
    expect(driver.accepted(again)?.status).toBe("duplicate");
    expect(driver.handled.map(({ sessionKey }) => sessionKey)).toEqual([main, main, other]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("comes to nothing when its message is not stored, also when its cell has ended meanwhile", () => {
    const driver = openLive();
    driver.journal.failAppends(1);
    const ticket = driver.tell(main, "block");
    driver.crash("main");
    driver.finish();
    expect(driver.accepted(ticket)?.status).toBe("refused");
    expect(driver.handled).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is handed to the next cell when its own ended before it was delivered", () => {
    const driver = openLive();
    driver.stallStore(journalName, 50);
    driver.tell(main, "hello");
    driver.crash("main");
    driver.finish();
    expect(driver.handled.at(-1)).toMatchObject({ body: "hello", incarnation: 2 });
    expect(driver.outcomes("hello").at(-1)).toEqual({ status: "ok", text: "hi" });
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("ends when it is stopped before its message is stored", () => {
    const driver = openLive();
    driver.tell(main, "block");
    expect(driver.stop({ type: "all" }).active).toHaveLength(1);
    driver.finish();
    expect(driver.handled).toHaveLength(1);
    expect(driver.dead("block")?.fate).toBe("dropped");
    expect(leaks(driver.kernel)).toEqual([]);
  });
});
