import { defineConfig } from "vitest/config";

/** Not among the projects of the default run: the client is installed by `npm run client-suite` alone. */
export default defineConfig({
  test: {
    name: "client",
    dir: import.meta.dirname,
    include: ["**/*.test.ts"],
    pool: "forks",
    globalSetup: ["test/support/temporary-folder.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000, interval: 50 } },
  },
});
