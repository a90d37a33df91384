/** Two commits side by side: ratios of rounds, not of medians. */
import { expect, test } from "vitest";
import type { ScenarioReport } from "../../../bench/scenario.ts";
import { compareRounds } from "../../../bench/side-by-side.ts";

const report = (ms: number, more: Readonly<Record<string, number>> = {}): readonly ScenarioReport[] => [
  { name: "wake", rows: [{ what: "dormant", level: "thread", "p50 ms": { median: ms, p10: 0, p90: 99 }, ...more }] },
];

test("takes the ratio of each round, so that a machine that slows down changes nothing", () => {
  const rows = compareRounds([
    { base: report(10), head: report(20) },
    { base: report(100), head: report(200) },
    { base: report(1_000), head: report(2_000) },
  ]);
  expect(rows).toEqual([
    {
      scenario: "wake",
      row: "dormant, thread",
      figure: "p50 ms",
      base: { median: 100, p10: 28, p90: 820 },
      head: { median: 200, p10: 56, p90: 1_640 },
      "head to base": { median: 2, p10: 2, p90: 2 },
    },
  ]);
});

test("gives no ratio to nothing, and leaves out what one of them does not have", () => {
  const rows = compareRounds([
    { base: report(10, { failed: 0, old: 1 }), head: report(10, { failed: 3, new: 1 }) },
    { base: report(10, { failed: 1, old: 1 }), head: report(10, { failed: 3, new: 1 }) },
  ]);
  expect(rows.map(({ figure }) => figure)).toEqual(["p50 ms", "failed"]);
  expect(rows[1]).not.toHaveProperty("head to base");
});

test("tells rows without a text by their place", () => {
  const route = (ns: number): readonly ScenarioReport[] => [{ name: "route", rows: [{ ns }, { ns: 10 * ns }] }];
  const rows = compareRounds([{ base: route(1), head: route(2) }]);
  expect(rows.map(({ row, head }) => [row, head])).toEqual([
    ["row 1", { median: 2, p10: 2, p90: 2 }],
    ["row 2", { median: 20, p10: 20, p90: 20 }],
  ]);
});
