/** What is stopped while it lies on the disk alone: it ends there and then, for good, and once, whatever is read at the same time. */
import { describe, expect, it } from "vitest";
import type { Limits } from "../../../runtime/kernel/limits.ts";
import { answerOf, gate, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const [x, y] = ["agent:raul:x", "agent:raul:y"];

/** `raul` holds one message in memory, until the gate opens; all else waits on the disk. */
function make(
  { limits = {}, seed = 1 }: { readonly limits?: Partial<Limits>; readonly seed?: number } = {},
  holds = true,
) {
  const driver = makeDriver({
    agents: ["main", "raul"],
    seed,
    limits,
    spec: (id) => (id === "raul" ? { mailbox: { overflow: "spill", depthMax: 1 }, maxConcurrent: 1 } : {}),
    script: scripted({
      *hold() {
        yield* gate("go");
        return {};
      },
      *ask(turn) {
        return { reply: JSON.stringify(yield* answerOf(turn.send(x, "asked", { timeoutMs: 60_000 }))) };
      },
    }),
  });
  if (holds) driver.tell("agent:raul:main", "hold");
  driver.settle();
  return driver;
}

type Driver = ReturnType<typeof make>;
const backlog = (driver: Driver): number => driver.kernel.state.agents.get("raul")?.spill?.count ?? 0;
const endsOf = (driver: Driver, runId: string): number =>
  driver.ofType("ended").filter(({ header }) => header.runId === runId).length;

describe("a stop of what waits on the disk", () => {
  it("ends it while the agent is still busy with what came before, and frees its places", () => {
    const driver = make();
    for (const body of ["x1", "x2"]) driver.tell(x, body, { runId: body });
    for (const body of ["y1", "y2"]) driver.tell(y, body, { runId: body });
    driver.settle();
    expect(backlog(driver)).toBe(4);
    driver.abort(x);
    driver.abort(y, "y2");
    driver.settle();
    expect(backlog(driver)).toBe(1);
    for (const body of ["x1", "x2", "y2"]) {
      expect(driver.dead(body)).toMatchObject({ fate: "dropped", reason: "the operator stopped it" });
      expect(endsOf(driver, body)).toBe(1);
    }
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold"]);
    driver.open("go");
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold", "y1"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("outlives the process: what was told as ended does not come back", () => {
    const driver = make();
    for (const body of ["x1", "y1", "x2"]) driver.tell(body.startsWith("x") ? x : y, body);
    driver.settle();
    driver.abort(x);
    driver.settle();
    driver.restartProcess();
    driver.settle();
    driver.open("go");
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold", "hold", "y1"]);
  });

  it("goes through a long backlog in portions, and spares what comes after the stop", () => {
    const driver = make({ limits: { dropRowsMax: 3 } });
    for (let at = 0; at < 20; at++) driver.tell(at % 2 === 0 ? x : y, `m${at}`);
    driver.settle();
    driver.abort(x);
    driver.tell(x, "after");
    driver.settle();
    expect(backlog(driver)).toBe(11);
    expect(driver.ofType("drop-queued").length).toBeGreaterThan(5);
    driver.open("go");
    driver.finish();
    const odd = Array.from({ length: 10 }, (_, at) => `m${2 * at + 1}`);
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold", ...odd, "after"]);
  });

  it("tells who asked, at once", () => {
    const driver = make();
    driver.tell("agent:main:main", "ask");
    driver.settle();
    expect(backlog(driver)).toBe(1);
    driver.abort(x);
    driver.settle();
    expect(driver.outcomes("ask")).toMatchObject([{ text: expect.stringContaining("CLOISTER_ASK_ABORTED") }]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold", "ask"]);
  });

  it("ends what it could not remove when that is read", () => {
    const driver = make();
    driver.tell(x, "x1", { runId: "x1" });
    driver.settle();
    driver.journal.failNext("raul", 1);
    driver.abort(x);
    driver.settle();
    expect(driver.dead("x1")).toBeUndefined();
    driver.open("go");
    driver.finish();
    expect([endsOf(driver, "x1"), driver.dead("x1")?.fate]).toEqual([1, "dropped"]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["hold"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("holds for what came since an earlier stop too, when that one is carried out and it fails itself", () => {
    let met = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const driver = make({ seed, limits: { dropRowsMax: 1 } });
      const { drops } = driver.kernel.state;
      for (const body of ["x1", "x2"]) driver.tell(x, body);
      driver.settle();
      driver.abort(x);
      driver.tell(x, "x3", { runId: "x3" });
      driver.stepUntil(() => backlog(driver) > 0 && driver.dead("x1") !== undefined);
      driver.stepUntil(() => driver.ofType("spilled").some(({ header }) => header.runId === "x3"));
      if (drops.size === 0) continue;
      driver.abort(x);
      driver.stepUntil(() => drops.size === 1);
      driver.journal.failNext("raul", 1);
      driver.settle();
      if (driver.dead("x3") !== undefined) continue;
      met++;
      driver.open("go");
      driver.finish();
      expect(
        driver.handled.map(({ body }) => body),
        `seed ${seed}`,
      ).toEqual(["hold"]);
      expect(endsOf(driver, "x3"), `seed ${seed}`).toBe(1);
      expect(leaks(driver.kernel), `seed ${seed}`).toEqual([]);
    }
    expect(met).toBeGreaterThan(5);
  });

  it("leaves no backlog when the reading of it fails meanwhile: what comes next waits in memory", () => {
    let met = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const driver = make({ seed }, false);
      for (let at = 0; at < 4; at++) driver.tell(x, `m${at}`);
      driver.stepUntil(() => driver.kernel.state.agents.get("raul")?.spill?.isReading === true);
      driver.journal.failNext("raul", 1);
      driver.abort(x);
      driver.settle();
      if (driver.ofType("drop-queued").length > 0) met++;
      expect(backlog(driver), `seed ${seed}`).toBe(0);
      expect(driver.kernel.state.agents.get("raul")?.spill, `seed ${seed}`).toBeUndefined();
    }
    expect(met).toBeGreaterThan(0);
  });

  it("ends each message once when the backlog is read at the same time, in any order of the answers", () => {
    const seen = new Set<string>();
    let met = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const driver = make({ seed, limits: { dropRowsMax: 2 } }, false);
      for (let at = 0; at < 6; at++) driver.tell(at % 2 === 0 ? x : y, `m${at}`, { runId: `m${at}` });
      for (let step = 0; step < 10 + (seed % 60); step++) driver.step();
      if (driver.kernel.state.agents.get("raul")?.spill?.isReading === true) met++;
      driver.abort(x);
      driver.finish();
      const handled = driver.handled.map(({ body }) => body);
      for (const body of ["m0", "m2", "m4"]) {
        expect(endsOf(driver, body), `seed ${seed}: ends of ${body}`).toBe(1);
      }
      expect(handled.filter((body) => ["m1", "m3", "m5"].includes(body))).toEqual(["m1", "m3", "m5"]);
      if (!handled.includes("m4")) expect(driver.dead("m4"), `seed ${seed}`).toMatchObject({ fate: "dropped" });
      expect(leaks(driver.kernel), `seed ${seed}`).toEqual([]);
      seen.add(handled.join());
    }
    expect(seen.size).toBeGreaterThan(5);
    expect(met).toBeGreaterThan(20);
  });
});
