import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { AgentSpec } from "../../../runtime/kernel/state.ts";
import { type AgentGroup, defaultSupervision, type Supervision } from "../../../runtime/kernel/supervision.ts";
import { gate, type Script, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const crash: Script = (turn) => {
  if (turn.attempt === 1) turn.crash();
  return { reply: "done" };
};
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const usual = defaultSupervision(limits);
const spec = (supervision: Partial<Supervision>, group?: AgentGroup): Partial<AgentSpec> => ({
  supervision: { ...usual, ...supervision },
  ...(group === undefined ? {} : { group }),
});

describe("a permanent agent", () => {
  const permanent = () => spec({ restart: "permanent" });

  it("has a cell from the start, is never passivated, and gets the next one after every end", () => {
    const driver = makeDriver({ spec: permanent, script: scripted({ boom: crash }), jitter: 0 });
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 1 });
    driver.advance(2 * limits.passivateAfterMs);
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 1 });
    driver.crash("main");
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 2, restarts: 1 });
    driver.kernel.order("main", { type: "restart" }, driver.nowMs);
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 3 });
  });

  it("waits for its back-off without mail, stays parked when parked, and comes back with the next start", () => {
    const driver = makeDriver({ spec: permanent, script: scripted({}), jitter: 0.99 });
    driver.settle();
    for (const _ of [1, 2, 3]) {
      driver.crash("main");
      driver.settle();
      expect(driver.kernel.view("main")?.phase).toBe("dormant");
      driver.advance(1_000);
      expect(driver.kernel.view("main")?.phase).toBe("live");
    }
    driver.kernel.order("main", { type: "park", reason: "test" }, driver.nowMs);
    driver.advance(60_000);
    expect(driver.kernel.view("main")?.phase).toBe("parked");
    driver.kernel.unpark("main", driver.nowMs);
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("live");
    driver.restartProcess();
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("live");
  });

  it("does not give its cell up for another one, and starts nothing while the gateway drains", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      spec: (id) => (id === "main" ? permanent() : {}),
      liveCellsMax: 1,
      script: scripted({}),
      jitter: 0,
    });
    driver.tell("agent:raul:main", "a");
    driver.advance(5_000);
    expect(driver.kernel.view("main")?.phase).toBe("live");
    expect(driver.kernel.view("raul")?.phase).toBe("dormant");
    driver.kernel.drain();
    driver.crash("main");
    driver.advance(5_000);
    expect(driver.kernel.view("main")?.phase).toBe("dormant");
  });
});

it("a transient agent gets a cell when it has mail, and none for a crash alone", () => {
  const driver = makeDriver({ script: scripted({}), jitter: 0 });
  driver.settle();
  expect(driver.kernel.view("main")?.phase).toBe("dormant");
  driver.tell(main, "a");
  driver.settle();
  driver.crash("main");
  driver.advance(1_000);
  expect(driver.kernel.view("main")).toMatchObject({ phase: "dormant", incarnation: 1 });
  driver.tell(main, "b");
  driver.settle();
  expect(driver.kernel.view("main")).toMatchObject({ phase: "live", incarnation: 2 });
});

describe("a temporary agent", () => {
  it("is not started again after a crash until an operator says so; its mail waits", () => {
    const driver = makeDriver({ spec: () => spec({ restart: "temporary" }), script: scripted({ boom: crash }) });
    driver.tell(main, "boom");
    driver.advance(60_000);
    expect(driver.kernel.view("main")).toMatchObject({ phase: "parked", queueDepth: 1 });
    expect(driver.kernel.view("main")?.reason).toMatch(/^it is temporary and ended: crash/);
    expect(driver.ofType("escalated")).toEqual([]);
    driver.kernel.unpark("main", driver.nowMs);
    driver.finish();
    expect(driver.outcomes("boom")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("starts again after an orderly end, and with the next start of the gateway", () => {
    const driver = makeDriver({ spec: () => spec({ restart: "temporary" }), script: scripted({ boom: crash }) });
    driver.tell(main, "a");
    driver.advance(limits.passivateAfterMs + 1_000);
    driver.tell(main, "boom");
    driver.settle();
    expect(driver.kernel.view("main")).toMatchObject({ phase: "parked", incarnation: 2 });
    driver.restartProcess();
    driver.finish();
    expect(driver.outcomes("boom")).toEqual([{ status: "ok", text: "done" }]);
  });
});

describe("restart intensity", () => {
  const crashes = (driver: ReturnType<typeof makeDriver>, times: number, everyMs: number) => {
    for (let at = 0; at < times; at++) {
      driver.tell(main, `m${at}`);
      driver.advance(500);
      driver.crash("main");
      driver.advance(everyMs - 500);
    }
  };

  it("parks at one more crash within the period than it allows, and not with the same number over a longer time", () => {
    const make = () =>
      makeDriver({ spec: () => spec({ intensity: 2, periodMs: 10_000 }), script: scripted({}), jitter: 0 });
    const fast = make();
    crashes(fast, 2, 1_000);
    expect(fast.kernel.view("main")?.phase).toBe("dormant");
    crashes(fast, 1, 1_000);
    expect(fast.kernel.view("main")).toMatchObject({ phase: "parked" });
    expect(fast.kernel.view("main")?.reason).toMatch(/^3 crashes within 10 s/);
    const slow = make();
    crashes(slow, 6, 6_000);
    expect(slow.kernel.view("main")).toMatchObject({ phase: "dormant", restarts: 6 });
  });

  it("of 0 parks at the first crash", () => {
    const driver = makeDriver({ spec: () => spec({ intensity: 0 }), script: scripted({}) });
    crashes(driver, 1, 1_000);
    expect(driver.kernel.view("main")?.phase).toBe("parked");
  });

  it("back-off doubles from the shortest to the longest, and begins anew after a stable time", () => {
    const driver = makeDriver({
      spec: () => spec({ intensity: 100, backoffMinMs: 100, backoffMaxMs: 350, stableMs: 20_000 }),
      script: scripted({}),
      jitter: 0.5,
    });
    const waits: number[] = [];
    const crashOnce = () => {
      crashes(driver, 1, 500);
      waits.push((driver.kernel.state.agents.get("main")?.notBeforeMs ?? 0) - driver.nowMs);
      driver.advance(1_000);
    };
    for (const _ of [1, 2, 3, 4]) crashOnce();
    driver.advance(20_000);
    crashOnce();
    expect(waits).toEqual([50, 100, 175, 175, 50]);
  });

  it("shutdownMs is how long the turns of a stopped agent may take", () => {
    const driver = makeDriver({ spec: () => spec({ shutdownMs: 300 }), script: blocked });
    driver.tell(main, "a");
    driver.settle();
    driver.kernel.order("main", { type: "park", reason: "test" }, driver.nowMs);
    driver.advance(200);
    expect(driver.kernel.view("main")?.phase).toBe("running");
    driver.advance(200);
    expect(driver.kernel.view("main")?.phase).toBe("parked");
  });
});

describe("a group", () => {
  const agents = ["a", "b", "c", "d"];
  /** `d` is in no group. */
  const grouped = (strategy: AgentGroup["strategy"], supervision: Partial<Supervision> = {}) =>
    makeDriver({
      agents,
      spec: (id) => spec(supervision, id === "d" ? undefined : { name: "g", strategy }),
      script: scripted({ wait: blocked }),
      jitter: 0,
    });
  const wake = (driver: ReturnType<typeof makeDriver>) => {
    for (const id of agents) driver.tell(`agent:${id}:main`, "hello");
    driver.advance(200);
  };
  const live = (driver: ReturnType<typeof makeDriver>) =>
    agents.filter((id) => driver.kernel.view(id)?.phase === "live").join("");

  it.each([
    ["one_for_one", "acd"],
    ["one_for_all", "d"],
    ["rest_for_one", "ad"],
  ] as const)("%s: the crash of the second of three leaves %s live", (strategy, left) => {
    const driver = grouped(strategy);
    wake(driver);
    expect(live(driver)).toBe("abcd");
    driver.crash("b");
    driver.settle();
    expect(live(driver)).toBe(left);
    // The others did not crash, and the next mail starts them again.
    wake(driver);
    expect(live(driver)).toBe("abcd");
    expect(agents.map((id) => driver.kernel.view(id)?.restarts)).toEqual([0, 1, 0, 0]);
  });

  it("one_for_all lets the others' turns end, and ends with none of their messages lost", () => {
    const driver = grouped("one_for_all");
    wake(driver);
    driver.tell("agent:a:main", "wait");
    driver.settle();
    driver.crash("b");
    driver.settle();
    expect(driver.kernel.view("a")?.phase).toBe("running");
    driver.open("go on");
    expect(driver.outcomes("wait")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.kernel.view("a")?.phase).toBe("dormant");
  });

  it("one_for_all takes nobody back into service who was parked while its restart waited for its turns", () => {
    const driver = grouped("one_for_all", { intensity: 1 });
    wake(driver);
    driver.crash("a");
    wake(driver);
    driver.tell("agent:a:main", "wait");
    driver.settle();
    driver.crash("b");
    driver.settle();
    expect(driver.kernel.view("a")?.phase).toBe("running");
    driver.crash("a");
    driver.settle();
    expect(driver.kernel.view("a")).toMatchObject({ phase: "parked", restarts: 2, incarnation: 2 });
    driver.kernel.unpark("a", driver.nowMs);
    driver.settle();
    expect(driver.kernel.view("a")?.phase).toBe("running");
  });

  it("stop-group parks every member when one crashes too often; a stopped member's own orders stay", () => {
    const driver = grouped("one_for_one", { intensity: 0, escalate: "stop-group" });
    wake(driver);
    driver.kernel.order("a", { type: "park", reason: "by hand" }, driver.nowMs);
    driver.settle();
    driver.crash("b");
    driver.settle();
    const views = agents.map((id) => driver.kernel.view(id));
    expect(views.map((view) => view?.phase)).toEqual(["parked", "parked", "parked", "live"]);
    expect(views[0]?.reason).toBe("by hand");
    expect(views[2]?.reason).toMatch(/^its group g was stopped, because b was parked: 1 crashes within 60 s/);
    expect(driver.audits("escalated")).toMatchObject([{ subject: "agent:b", object: "group:g" }]);
    expect(driver.audits("order").at(-1)).toMatchObject({ subject: "group:g", object: "agent:c" });
  });

  it("stop-group parks members as well that never had mail", () => {
    const driver = grouped("one_for_one", { intensity: 0, escalate: "stop-group" });
    driver.tell("agent:b:main", "hello");
    driver.advance(200);
    driver.crash("b");
    driver.settle();
    expect(agents.map((id) => driver.kernel.view(id)?.phase)).toEqual(["parked", "parked", "parked", "dormant"]);
  });

  it("rest_for_one goes by the order of the configuration, whoever had mail first", () => {
    const driver = grouped("rest_for_one");
    for (const id of agents.toReversed()) driver.tell(`agent:${id}:main`, "hello");
    driver.advance(200);
    driver.crash("b");
    driver.settle();
    expect(live(driver)).toBe("ad");
  });

  it("gateway tells the driver, once", () => {
    const driver = grouped("one_for_one", { intensity: 0, escalate: "gateway" });
    wake(driver);
    driver.crash("b");
    driver.settle();
    expect(driver.ofType("escalated")).toMatchObject([{ agentId: "b", to: "gateway", group: "g" }]);
    expect(live(driver)).toBe("acd");
  });
});

describe("a cell after a crash", () => {
  it("is suspect until its agent has been stable or an operator restarts it", () => {
    const driver = makeDriver({
      limits: { passivateAfterMs: 1_000 },
      spec: () => spec({ stableMs: 10_000 }),
      script: scripted({}),
      jitter: 0,
    });
    /** Of the cell that the message starts. */
    const isSuspect = (text: string): boolean | undefined => {
      driver.tell(main, text);
      driver.settle();
      return driver.ofType("start-cell").at(-1)?.isSuspect;
    };
    expect(isSuspect("a")).toBe(false);
    driver.crash("main");
    expect(isSuspect("b")).toBe(true);
    driver.advance(5_000);
    expect(isSuspect("after a rest")).toBe(true);
    driver.advance(10_000);
    expect(isSuspect("after a long rest")).toBe(false);
    driver.crash("main");
    driver.kernel.order("main", { type: "restart" }, driver.nowMs);
    expect(isSuspect("after an order")).toBe(false);
    expect(driver.ofType("start-cell")).toHaveLength(5);
  });
});
