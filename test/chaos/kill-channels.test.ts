/** Killed at each step between a platform's receipt and its getting the answer, every message has its answer, and one that may be doubled is told. */
import { afterAll, describe, expect, test } from "vitest";
import { platformNames } from "../support/chats.ts";
import { endPrograms } from "../support/program.ts";
import { killBetweenSteps } from "./kill-channels.ts";

afterAll(endPrograms);

/** One plan kills at each moment once, on one state directory; the long run is many plans for each platform, so that each failure has a short seed. */
const plans = Number(process.env["CLOISTER_CHAOS_CHANNEL_PLANS"] ?? 1);
const firstSeed = Number(process.env["CLOISTER_CHAOS_SEED"] ?? 1);
const seeds = Array.from({ length: plans }, (_, at) => firstSeed + at);

describe.for(platformNames)("%s", (platform) => {
  test.for(seeds)(
    "kills between each two steps to an agent and back lose no message that the platform keeps, and double none but what is told: seed %i",
    { timeout: 600_000 },
    async (seed) => {
      const report = await killBetweenSteps(platform, seed);
      process.stdout.write(`${JSON.stringify(report)}\n`);
      expect(report.violations).toEqual([]);
      expect(report.met.toSorted()).toEqual(report.moments.toSorted());
      expect(report.messages).toBeGreaterThan(report.moments.length);
      const knows = platform === "Discord" || platform === "WhatsApp";
      expect(
        report[knows ? "known" : "repeats"],
        "an answer that it had, and of which the gateway did not hear",
      ).toBeGreaterThan(0);
      expect(report[knows ? "repeats" : "known"], "answers that people see twice, or that are known").toBe(0);
      if (!knows) expect(report.told).toBeGreaterThan(0);
      if (platform !== "IRC") expect(report.lost).toBe(0);
    },
  );
});
