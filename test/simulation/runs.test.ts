/** Sub-agents under random ends of their cells, their requesters and the process: A3.1, A3.2, A3.4. */
import { describe, expect, it } from "vitest";
import type { KernelModule } from "../support/driver-port.ts";
import { plant } from "../support/mutants.ts";
import { runRunWorld } from "../support/run-world.ts";
import { plantedInRuns } from "./planted-runs.ts";

const seeds = 1_500;

describe("sub-agents in random worlds", () => {
  it("every run ends once, its requester hears it once, no right is beyond its parent's (A3.1)", () => {
    const reached = new Set<string>();
    let runs = 0;
    for (let seed = 0; seed < seeds; seed++) {
      const world = runRunWorld(seed);
      expect(world.problems, `seed ${seed}`).toEqual([]);
      for (const what of world.reached) reached.add(what);
      runs += world.runs;
    }
    expect(runs).toBeGreaterThan(seeds);
    for (const outcome of ["succeeded", "failed", "cancelled", "timed_out"])
      expect(reached, outcome).toContain(`run:${outcome}`);
    for (const delivery of ["delivered", "pending", "quiet", "suppressed"])
      expect(reached, delivery).toContain(`run-delivery:${delivery}`);
  });

  it.each(plantedInRuns)("finds $bug", async ({ seen, ...mutant }) => {
    const load = await plant(mutant);
    const [{ makeKernel }, { makePairingRegistry }] = (await Promise.all([
      load("kernel/kernel.ts"),
      load("kernel/pairings.ts"),
    ])) as [Pick<KernelModule, "makeKernel">, Pick<KernelModule, "makePairingRegistry">];
    const kernel = { makeKernel, makePairingRegistry };
    let found: string | undefined;
    for (let seed = 0; seed < seeds && found === undefined; seed++)
      found = runRunWorld(seed, kernel).problems.find((problem) => seen.test(problem));
    expect(found).toBeDefined();
  });
});
