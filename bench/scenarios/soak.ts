/**
 * What is left behind when cells are replaced again and again while other agents write: the soak of `test/chaos`, for as long as wanted. Each figure is the
 * slope of a line through its samples after the warm-up, by 1,000 replaced cells, and a book of every message is compared at the end.
 */
import { soak, type SoakReport } from "../../test/chaos/soak.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";

const secondsDefault = 60;
/** Fewer give no line. */
const recyclesMin = 60;
/** A cell has a thread, some descriptors and some maps of its own: less than one of a hundred cells leaves something. */
const leftMax = 10;

const units = { rssMb: "MB", anonymousMb: "MB", descriptors: "descriptors", maps: "maps", threads: "threads" } as const;

export async function run({
  seconds = secondsDefault,
  rounds = 1,
  progress,
}: ScenarioOptions): Promise<ScenarioReport> {
  const reports: SoakReport[] = [];
  for (let seed = 1; seed <= rounds; seed++)
    reports.push(await soak({ seed, recycles: recyclesMin, minutes: seconds / 60, progress }));
  const figures = Object.keys(units) as (keyof typeof units)[];
  const rows = reports.flatMap(({ seed, recycles, accepted, first, last, per1000, violations }) =>
    figures.map((figure) => ({
      what: figure,
      seed,
      "replaced cells": recycles,
      messages: accepted,
      "after the warm-up": first[figure],
      "at the end": last[figure],
      "by 1,000 cells": per1000[figure].slope,
      "±": per1000[figure].plusMinus,
      "wrong or lost": violations.length,
    })),
  );
  for (const violation of reports.flatMap(({ violations }) => violations)) progress(violation);
  // What is surely more than nothing: the lower end of the interval.
  const sure = (figure: keyof typeof units): number =>
    Math.max(...reports.map(({ per1000 }) => per1000[figure].slope - per1000[figure].plusMinus));
  return {
    name: "soak",
    rows,
    targets: [
      atMost(
        "soak: messages wrong, lost or twice",
        reports.reduce((sum, { violations }) => sum + violations.length, 0),
        0,
        "",
      ),
      ...(["threads", "descriptors"] as const).map((figure) =>
        atMost(`soak: ${figure} left by 1,000 replaced cells, surely`, sure(figure), leftMax, units[figure]),
      ),
    ],
  };
}
