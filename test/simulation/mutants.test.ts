/**
 * Bugs planted in copies of the kernel's files: the simulation finds each within a bounded number of seeds, and says what it
 * is. One that it did not find would be one that it cannot find in the kernel either.
 */
import { describe, expect, it } from "vitest";
import type { KernelModule } from "../support/driver-port.ts";
import { runWorld } from "../support/kernel-world.ts";
import { plant } from "../support/mutants.ts";
import { plantedInKernel } from "./planted-kernel.ts";
import { seedsFrom } from "./worlds.ts";

describe("a bug in the kernel", () => {
  for (const { bug, seen, seeds, from, ...mutant } of plantedInKernel) {
    it(`is found: ${bug}`, async () => {
      const load = await plant({ bug, ...mutant });
      const [{ makeKernel }, { makePairingRegistry }] = (await Promise.all([
        load("kernel/kernel.ts"),
        load("kernel/pairings.ts"),
      ])) as [Pick<KernelModule, "makeKernel">, Pick<KernelModule, "makePairingRegistry">];
      const kernel = { makeKernel, makePairingRegistry };
      const others = new Set<string>();
      for (const seed of seedsFrom(from, seeds)) {
        // Without the bug the same worlds have no problem: they are among those of `kernel.test.ts`.
        const { problems } = runWorld(seed, { kernel });
        if (problems.some((problem) => seen.test(problem))) return;
        for (const problem of problems) others.add(problem.split("\n")[0] ?? "");
      }
      expect.fail(`${seeds} seeds did not show it; what they showed: ${JSON.stringify([...others].slice(0, 5))}`);
    });
  }
});
