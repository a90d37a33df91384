import { describe, expect, test } from "vitest";
import { atLeast, atMost } from "../../../bench/scenario.ts";
import { formatNumber, formatSpread, formatTable, formatTargets } from "../../../bench/table.ts";

describe("a table", () => {
  test("has every column that a row names, texts to the left and numbers to the right", () => {
    const table = formatTable([
      { what: "empty worker", ms: { median: 10.04, p10: 9, p90: 12 } },
      { what: "agent", ms: { median: 16, p10: 15, p90: 17.25 }, ratio: 1.6 },
    ]);
    expect(table.split("\n")).toEqual([
      "| what         |           ms | ratio |",
      "| ------------ | -----------: | ----: |",
      "| empty worker |    10 (9–12) |       |",
      "| agent        | 16 (15–17.3) |   1.6 |",
    ]);
  });

  test.each([
    [0.020_24, "0.0202"],
    [9.999, "10"],
    [99.94, "99.9"],
    [123.4, "123"],
    [122_150.3, "122,150"],
    [0, "0"],
    [-1.239, "-1.24"],
    [Number.NaN, "NaN"],
  ])("writes %d as %s: three digits that count", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  test("writes a spread as the median and p10–p90", () => {
    expect(formatSpread({ median: 1.234, p10: 1, p90: 2_000 })).toBe("1.23 (1–2,000)");
  });
});

describe("targets", () => {
  test("hold at their bound and miss beyond it", () => {
    expect([atMost("a", 10, 10, "ms").holds, atMost("a", 10.01, 10, "ms").holds]).toEqual([true, false]);
    expect([atLeast("a", 300, 300, "").holds, atLeast("a", 299, 300, "").holds]).toEqual([true, false]);
  });

  test("miss when nothing was measured", () => {
    expect(atMost("a", Number.NaN, 10, "ms").holds).toBe(false);
    expect(atLeast("a", Number.NaN, 10, "ms").holds).toBe(false);
  });

  test("show what was wanted and found, with the unit", () => {
    const [, , kept, missed] = formatTargets([
      atMost("start", 433.2, 1_000, "ms"),
      atLeast("turns", 250, 300, ""),
    ]).split("\n");
    expect(kept).toBe("| start  | ≤ 1000 ms | 433 ms | yes   |");
    expect(missed).toBe("| turns  | ≥ 300     | 250    | NO    |");
  });
});
