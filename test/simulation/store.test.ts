/**
 * The store's own code over a disk that forgets what was not flushed: what was answered survives every crash, nothing is there
 * by half, and what a crash leaves behind mends itself. `CLOISTER_SIM_SEEDS` and `CLOISTER_SIM_FROM` as in `worlds.ts`.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LogCode } from "../support/crashing-disk.ts";
import { runStoreWorld } from "../support/store-world.ts";
import { plant } from "../support/mutants.ts";
import { plantedInStore } from "./planted-store.ts";
import type { openStore } from "../../runtime/store/store.ts";
import kept from "./seeds.json" with { type: "json" };
import { firstSeed, seedCount, seedsFrom } from "./worlds.ts";

const share = 0.1;
const timers = { advance: (ms: number) => void vi.advanceTimersByTime(ms), clear: () => void vi.clearAllTimers() };

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("the store, simulated", () => {
  const seeds = Math.ceil(seedCount * share);
  const size = Math.ceil(seeds / 4);

  for (const { seed, found } of kept.store) {
    it(`keeps what it answered in the world ${seed}, which once failed: ${found}`, async () => {
      expect((await runStoreWorld(seed, { timers })).problems).toEqual([]);
    });
  }

  it("does the same for the same seed", async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { trace } = await runStoreWorld(seed, { timers });
      expect((await runStoreWorld(seed, { timers })).trace, `seed ${seed}`).toBe(trace);
    }
  });

  for (let begin = firstSeed; begin < firstSeed + seeds; begin += size) {
    const end = Math.min(firstSeed + seeds, begin + size) - 1;
    it(
      `keeps what it answered, wholly and once, in the worlds ${begin} to ${end}`,
      async () => {
        let crashes = 0;
        let done = 0;
        for (let seed = begin; seed <= end; seed++) {
          const report = await runStoreWorld(seed, { timers });
          expect(report.problems, `seed ${seed}; keep it in test/simulation/seeds.json`).toEqual([]);
          crashes += report.crashes;
          done += report.done;
        }
        // A world in which nothing happens proves nothing.
        expect(crashes).toBeGreaterThan(end - begin);
        expect(done).toBeGreaterThan(5 * (end - begin));
      },
      Math.max(120_000, seeds * 200),
    );
  }
});

describe("a bug in the store", () => {
  for (const { bug, seen, seeds, from, ...mutant } of plantedInStore) {
    it(`is found: ${bug}`, async () => {
      const load = await plant({ bug, ...mutant });
      const code = (await load("store/store.ts")) as { readonly openStore: typeof openStore };
      const log = {
        ...((await load("store/log.ts")) as object),
        ...((await load("store/logged-environment.ts")) as object),
      } as LogCode;
      const others = new Set<string>();
      for (const seed of seedsFrom(from, seeds)) {
        const { problems } = await runStoreWorld(seed, { timers, openStore: code.openStore, log });
        if (problems.some((problem) => seen.test(problem))) return;
        for (const problem of problems) others.add(problem);
      }
      expect.fail(`${seeds} seeds did not show it; what they showed: ${JSON.stringify([...others].slice(0, 5))}`);
    });
  }
});
