import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { engineFlags } from "./runtime/launcher/engine-flags.ts";
import { builtThreads } from "./test/support/built-threads.ts";

const project = (name: string, timeoutMs: number, extra: object = {}) => ({
  plugins: [builtThreads],
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
    provide: { patienceMs: timeoutMs - 5_000 },
    // All cores: by default vitest leaves one free, which is half of a machine with two.
    maxWorkers: availableParallelism(),
    ...extra,
  },
});

/** Each of these files starts the real program, which has threads of its own; and they begin when nothing else runs. */
const whole = { maxWorkers: 2, sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    globalSetup: ["test/support/temporary-folder.ts", "test/support/build.ts"],
    projects: [
      project("unit", 30_000),
      project("contract", 60_000),
      project("simulation", 120_000),
      project("repo", 60_000),
      project("e2e", 120_000, whole),
      // The real program again, killed and stopped under load.
      project("chaos", 120_000, whole),
    ],
  },
});
