import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { engineFlags } from "./runtime/launcher/engine-flags.ts";

const project = (name: string, timeoutMs: number, extra: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    pool: "forks" as const,
    // Cells start and end in these processes as they do in a gateway.
    execArgv: [...engineFlags(process.versions.node)],
    setupFiles: ["test/support/property-seed.ts"],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    // What is waited for comes when it comes: machines are shared.
    expect: { poll: { timeout: timeoutMs - 5_000, interval: 20 } },
    ...extra,
  },
});

/** The simulation only computes, on a clock of its own: it takes all cores. By default vitest leaves one free, which is half of a machine with two. */
const allCores = { maxWorkers: availableParallelism(), sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    globalSetup: ["test/support/temporary-folder.ts"],
    projects: [
      project("unit", 30_000),
      project("contract", 60_000),
      project("simulation", 120_000, allCores),
      project("repo", 60_000),
      // Each file starts the real program; two at a time on two cores would only slow each other down.
      project("e2e", 120_000, { fileParallelism: false }),
      // The real program again, killed and stopped under load.
      project("chaos", 120_000, { fileParallelism: false }),
    ],
  },
});
