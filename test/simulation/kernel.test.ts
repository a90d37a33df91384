/** The kernel under seeded random load and faults: the seeds that once failed, the first half of the others, and the trace. */
import { describe, expect, it } from "vitest";
import { runWorld } from "../support/kernel-world.ts";
import kept from "./seeds.json" with { type: "json" };
import { failureText, simulateWorlds } from "./worlds.ts";

describe("a world that once failed", () => {
  for (const { seed, found } of kept.kernel) {
    it(`does not any more: ${seed}, ${found}`, () => {
      const { problems } = runWorld(seed);
      if (problems.length > 0) expect.fail(failureText(seed, problems));
    });
  }
});

describe("a world", () => {
  it("does the same for the same seed, effect by effect", () => {
    const traces = new Set<string | undefined>();
    for (let seed = 0; seed < 100; seed++) {
      const { trace } = runWorld(seed, { keepTrace: true });
      expect(runWorld(seed, { keepTrace: true }).trace, `seed ${seed}`).toBe(trace);
      traces.add(trace);
    }
    expect(traces.size).toBe(100);
  });
});

simulateWorlds(0, 2);
