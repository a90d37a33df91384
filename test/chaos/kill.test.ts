/** Killed at random points under load, nothing that was accepted is lost, doubled or overtaken. */
import { afterAll, expect, test } from "vitest";
import { endPrograms } from "../support/program.ts";
import { killUnderLoad } from "./kill.ts";

afterAll(endPrograms);

/** One plan has so many kills on one state directory; the long run is many plans, so that each failure has a short seed. */
const killsPerPlan = 50;
const kills = Number(process.env["CLOISTER_CHAOS_KILLS"] ?? killsPerPlan);
const firstSeed = Number(process.env["CLOISTER_CHAOS_SEED"] ?? 1);
const seeds = Array.from({ length: Math.ceil(kills / killsPerPlan) }, (_, at) => firstSeed + at);

test.for(seeds)(
  `${killsPerPlan} kills under load from 20 peers lose, double and reorder nothing: seed %i`,
  { timeout: killsPerPlan * 10_000 },
  async (seed) => {
    const report = await killUnderLoad({ seed, kills: killsPerPlan });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report.violations).toEqual([]);
    expect(report.kills).toBe(killsPerPlan);
    expect(report.counts.accepted).toBeGreaterThan(10 * killsPerPlan);
    expect(report.counts.repeated, "messages came again after a kill").toBeGreaterThan(0);
    expect(report.counts.asks).toBeGreaterThan(killsPerPlan);
    for (const [moment, count] of Object.entries(report.byMoment)) expect(count, moment).toBeGreaterThan(0);
  },
);
