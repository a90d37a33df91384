/**
 * The kernel under seeded random load and faults. A failing seed is printed with its problems; `runWorld(<seed>)` repeats it.
 */
import { describe, expect, it } from "vitest";
import { runWorld } from "../support/kernel-world.ts";

const seeds = 2_400;
const parts = 8;

describe("the kernel, simulated", () => {
  for (let part = 0; part < parts; part++) {
    const first = (part * seeds) / parts;
    const last = first + seeds / parts - 1;
    it(`loses, repeats, reorders and leaks nothing in the worlds ${first} to ${last}`, () => {
      let accepted = 0;
      let deadLetters = 0;
      let restarts = 0;
      for (let seed = first; seed <= last; seed++) {
        const report = runWorld(seed);
        expect(report.problems, `seed ${seed}`).toEqual([]);
        accepted += report.accepted;
        deadLetters += report.deadLetters;
        restarts += report.restarts;
      }
      // A world in which nothing happens proves nothing.
      expect(accepted).toBeGreaterThan(10 * (last - first));
      expect(deadLetters).toBeGreaterThan(0);
      expect(restarts).toBeGreaterThan(0);
    });
  }

  it("does the same for the same seed, effect by effect", () => {
    for (let seed = 0; seed < 100; seed++) expect(runWorld(seed).trace, `seed ${seed}`).toBe(runWorld(seed).trace);
    const traces = new Set(Array.from({ length: 100 }, (_, seed) => runWorld(seed).trace));
    expect(traces.size).toBe(100);
  });
});
