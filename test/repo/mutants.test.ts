/** Each planted bug of the simulation has its place in the code of today: who moves the code learns it before the simulation runs. */
import { describe, expect, it } from "vitest";
import { plantedInKernel } from "../simulation/planted-kernel.ts";
import { plantedInRuns } from "../simulation/planted-runs.ts";
import { plantedInStore } from "../simulation/planted-store.ts";
import { type Mutant, plant, whyStale } from "../support/mutants.ts";
import { readText } from "./files.ts";

const planted: readonly Mutant[] = [...plantedInKernel, ...plantedInRuns, ...plantedInStore];

describe("planted bugs", () => {
  it("stand in the code exactly once", () => {
    const stale = planted.map((mutant) => whyStale(mutant, readText(`runtime/${mutant.file}`)));
    expect(stale.filter((why) => why !== undefined)).toEqual([]);
  });

  it("are planted in a copy that has all that it imports", async () => {
    const text = "export async function openStore(";
    const load = await plant({ bug: "none", file: "store/store.ts", text, instead: text });
    await expect(load("store/store.ts")).resolves.toHaveProperty("openStore");
    await expect(load("kernel/kernel.ts")).resolves.toHaveProperty("makeKernel");
  });
});
