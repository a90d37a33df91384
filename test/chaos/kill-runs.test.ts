/** Killed while trees of sub-agents grow and cells end in them, every run has one end, and whoever asked for it hears of it once. */
import { afterAll, expect, test } from "vitest";
import { endPrograms } from "../support/program.ts";
import { killUnderRuns } from "./kill-runs.ts";

afterAll(endPrograms);

/** One plan has so many kills on one state directory; the long run is many plans, so that each failure has a short seed. */
const killsPerPlan = 12;
const kills = Number(process.env["CLOISTER_CHAOS_RUN_KILLS"] ?? killsPerPlan);
const firstSeed = Number(process.env["CLOISTER_CHAOS_SEED"] ?? 1);
const seeds = Array.from({ length: Math.ceil(kills / killsPerPlan) }, (_, at) => firstSeed + at);

test.for(seeds)(
  "A3.1, A3.5: kills over trees of sub-agents leave no run without its end and no requester without news of it: seed %i",
  { timeout: killsPerPlan * 60_000 },
  async (seed) => {
    const report = await killUnderRuns({ seed, kills: killsPerPlan });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report.violations).toEqual([]);
    expect(report.kills).toBe(killsPerPlan);
    expect(report.told).toBeGreaterThan(killsPerPlan);
    expect(report.byMoment).toEqual({ accepted: 1, time: 1, begun: 3, ended: 1, drain: 1, boot: 1, rest: 4 });
    // One for each rest, and what the plans have beside it.
    expect(report.crashed).toBeGreaterThanOrEqual(report.byMoment.rest);
    for (const [at, interrupted] of report.interrupted.entries())
      expect(interrupted, `interrupted at depth ${at + 1}`).toBeGreaterThan(0);
  },
);
