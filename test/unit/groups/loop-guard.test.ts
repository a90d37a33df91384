/** Pairs of bots and their budget, on a clock of the test. */
import { describe, expect, it } from "vitest";
import { makeLoopGuard, pairName } from "../../../runtime/groups/index.ts";

const budget = { enabled: true, events: 20, windowMs: 60_000, cooldownMs: 60_000 };

describe("a pair of bots", () => {
  it("is heard 20 times in a minute, then not for a minute, then again", () => {
    const guard = makeLoopGuard(10);
    const heard = (atMs: number) => guard.hears("p", budget, atMs);
    expect(Array.from({ length: 20 }, (_, n) => heard(n * 100)).every(Boolean)).toBe(true);
    expect([heard(2_000), heard(30_000), heard(61_999)]).toEqual([false, false, false]);
    expect(heard(62_000)).toBe(true);
  });

  it("that keeps below the budget is heard for ever: the window slides", () => {
    const guard = makeLoopGuard(10);
    for (let n = 0; n < 1_000; n++) expect(guard.hears("p", budget, n * 3_000)).toBe(true);
  });

  it("does not keep another from being heard, nor the same two in another room", () => {
    const guard = makeLoopGuard(10);
    const one = pairName("room", "x", "y");
    for (let n = 0; n < 21; n++) guard.hears(one, budget, n);
    expect(guard.hears(one, budget, 30)).toBe(false);
    expect(guard.hears(pairName("room", "y", "x"), budget, 30)).toBe(false);
    expect(guard.hears(pairName("room", "x", "z"), budget, 30)).toBe(true);
    expect(guard.hears(pairName("other", "x", "y"), budget, 30)).toBe(true);
  });

  it("is always heard where the guard is off", () => {
    const guard = makeLoopGuard(10);
    for (let n = 0; n < 100; n++) expect(guard.hears("p", { ...budget, enabled: false }, n)).toBe(true);
  });

  it("is forgotten when it was quiet longest and there are too many; what is remembered stays bounded", () => {
    const guard = makeLoopGuard(3);
    for (let n = 0; n < 21; n++) guard.hears("loud", budget, n);
    for (let n = 0; n < 100; n++) {
      guard.hears(`p${n}`, budget, 100 + n);
      expect(guard.hears("loud", budget, 100 + n)).toBe(false);
    }
    expect(guard.size).toBe(3);
  });
});
