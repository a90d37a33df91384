import { describe, expect, test } from "vitest";
import { quantile } from "../../../bench/inside/measure-calls.ts";
import { makeRatios, makeSpread } from "../../../bench/spread.ts";

describe("a spread", () => {
  test("is the median with p10 and p90, whatever the order of the samples", () => {
    const samples = Array.from({ length: 101 }, (_, value) => (value * 37) % 101);
    expect(makeSpread(samples)).toEqual({ median: 50, p10: 10, p90: 90 });
  });

  test("lies between two neighbours when no sample is at the share", () => {
    expect(makeSpread([1, 2])).toEqual({ median: 1.5, p10: 1.1, p90: 1.9 });
  });

  test("of one sample is that sample", () => {
    expect(makeSpread([7])).toEqual({ median: 7, p10: 7, p90: 7 });
  });

  test("of no samples is refused and is no figure", () => {
    expect(() => makeSpread([])).toThrow("found no samples, wanted at least one");
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe("ratios", () => {
  test("are taken round by round: a slow moment that touches both sides changes nothing", () => {
    expect(makeRatios([2, 20, 200], [1, 10, 100])).toEqual({ median: 2, p10: 2, p90: 2 });
  });

  test("need both sides in every round", () => {
    expect(() => makeRatios([1, 2], [1])).toThrow("found 2 samples and 1 bases");
  });
});
