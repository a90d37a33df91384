/** A measured quantity: its median, and how far it moved between the rounds. */
import { quantile } from "./inside/measure-calls.ts";

export interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

/** Throws `RangeError` without samples: a figure of nothing must not look like one. */
export function makeSpread(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new RangeError("Summing up a measurement: found no samples, wanted at least one.");
  const sorted = samples.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), p10: quantile(sorted, 0.1), p90: quantile(sorted, 0.9) };
}

/**
 * The spread of the ratios, round by round. Two things measured side by side share the machine's moods, so the ratio of a
 * round holds where the ratio of two medians does not.
 */
export function makeRatios(samples: readonly number[], bases: readonly number[]): Spread {
  if (samples.length !== bases.length) {
    throw new RangeError(
      `Comparing side by side: found ${samples.length} samples and ${bases.length} bases, wanted one of each in every round.`,
    );
  }
  return makeSpread(samples.map((sample, round) => sample / (bases[round] ?? Number.NaN)));
}
