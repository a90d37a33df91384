/**
 * Runs worlds by their seeds, and says what to do about one that fails.
 *
 *   CLOISTER_SIM_SEEDS  how many seeds in all; 10,000 when it is not set
 *   CLOISTER_SIM_FROM   the first one; 0 when it is not set
 */
import { describe, expect, it } from "vitest";
import { runWorld, type WorldOptions } from "../support/kernel-world.ts";
import { faults } from "../support/world-faults.ts";
import { expectReached } from "./reached.ts";

export const seedCount = numberFrom("CLOISTER_SIM_SEEDS", 10_000);
export const firstSeed = numberFrom("CLOISTER_SIM_FROM", 0);
/** Tests of one file, so that a failure says roughly where and the others go on. */
const testsPerFile = 6;
const timeoutMs = Math.max(120_000, seedCount * 100);

/** One file's share of the seeds; vitest runs files at the same time. */
export function simulateWorlds(file: number, files: number): void {
  const first = firstSeed + Math.floor((file * seedCount) / files);
  const last = firstSeed + Math.floor(((file + 1) * seedCount) / files) - 1;
  const size = Math.ceil((last - first + 1) / testsPerFile);
  const reached = new Set<string>();

  describe("the kernel, simulated", () => {
    for (let begin = first; begin <= last; begin += size) {
      const end = Math.min(last, begin + size - 1);
      it(
        `loses, repeats, reorders and leaks nothing in the worlds ${begin} to ${end}`,
        () => {
          for (let seed = begin; seed <= end; seed++) {
            const report = runWorld(seed);
            if (report.problems.length > 0) expect.fail(failureText(seed, report.problems));
            for (const each of report.reached) reached.add(each);
          }
        },
        timeoutMs,
      );
    }

    it("reaches everything that may happen, so that it is not blind", () => {
      // Fewer seeds need not come everywhere.
      if (last - first >= 1_000) expectReached(reached);
    });
  });
}

/** The worlds below `count`, each once: from `from` on, and then those before it. */
export function* seedsFrom(from: number | undefined, count: number): Generator<number> {
  for (let each = 0; each < count; each++) yield ((from ?? 0) + each) % count;
}

/** What was found, the smallest world that still shows it, and how to keep the seed. */
export function failureText(seed: number, problems: readonly string[]): string {
  const options = shrink(seed);
  return [
    `the world ${seed} has ${problems.length} problems:`,
    ...problems.map((problem) => `  ${problem}`),
    `smallest world that fails: runWorld(${seed}, ${JSON.stringify(options)}) in test/support/kernel-world.ts`,
    `keep it: add ${JSON.stringify({ seed, found: problems[0]?.split("\n")[0], commit: "<commit>" })} to test/simulation/seeds.json`,
  ].join("\n");
}

/** Leaves out faults, by kind and then from the end, as long as the world still fails. */
function shrink(seed: number): WorldOptions {
  const fails = (options: WorldOptions): boolean => runWorld(seed, options).problems.length > 0;
  let without: readonly string[] = [];
  for (const { name } of faults) {
    const fewer = [...without, name];
    if (fails({ without: fewer })) without = fewer;
  }
  let faultsMax = runWorld(seed, { without }).faults;
  while (faultsMax > 0 && fails({ without, faultsMax: faultsMax - 1 })) faultsMax--;
  return { without, faultsMax };
}

function numberFrom(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new TypeError(`${name} must be a whole number of at least 0, found ${JSON.stringify(text)}`);
  return number;
}
