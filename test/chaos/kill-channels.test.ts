/** Killed at each step between a platform's receipt and its getting the answer, every message has its answer, and one that may be doubled is told. */
import { afterAll, expect, test } from "vitest";
import { endPrograms } from "../support/program.ts";
import { killBetweenSteps, moments } from "./kill-channels.ts";

afterAll(endPrograms);

/** One plan kills at each moment once, on one state directory; the long run is many plans, so that each failure has a short seed. */
const kills = Number(process.env["CLOISTER_CHAOS_CHANNEL_KILLS"] ?? moments.length);
const firstSeed = Number(process.env["CLOISTER_CHAOS_SEED"] ?? 1);
const seeds = Array.from({ length: Math.ceil(kills / moments.length) }, (_, at) => firstSeed + at);

test.for(seeds)(
  "kills between each two steps from Telegram and back lose no message and double none but what is told: seed %i",
  { timeout: moments.length * 60_000 },
  async (seed) => {
    const report = await killBetweenSteps(seed);
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report.violations).toEqual([]);
    expect(report.met.toSorted()).toEqual(moments.toSorted());
    expect(report.messages).toBeGreaterThan(moments.length);
    expect(report.repeats, "an answer that Telegram had, and of which the gateway did not hear").toBeGreaterThan(0);
    expect(report.told).toBeGreaterThan(0);
  },
);
