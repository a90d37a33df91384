import { describe, expect, test } from "vitest";
import { findFaults } from "../../../bench/report-faults.ts";
import { atLeast, type ScenarioReport } from "../../../bench/scenario.ts";

/** As the check reads it: NaN comes back as null. */
const readBack = (report: ScenarioReport): ScenarioReport => JSON.parse(JSON.stringify(report)) as ScenarioReport;

describe("a report of a scenario at its smallest", () => {
  test("is right with texts, numbers and spreads", () => {
    const row = { who: "it", "settled %": 0, ms: { median: 2, p10: 1, p90: 3 } };
    const targets = [atLeast("rate", 3, 2, "times")];
    expect(findFaults(readBack({ name: "ask", rows: [row], targets }))).toEqual([]);
  });

  test("is wrong without rows", () => {
    expect(findFaults({ name: "ask", rows: [] })).toEqual(["ask gave no rows"]);
  });

  test.each([
    ["a number that is none", { ms: Number.NaN }],
    ["a spread with a part that is none", { ms: { median: 1, p10: 1, p90: Number.POSITIVE_INFINITY } }],
    ["an empty text", { ms: "" }],
  ])("is wrong with %s", (_, row) => {
    expect(findFaults(readBack({ name: "ask", rows: [{ ms: 1 }, row] }))).toEqual(["row 2, ms: no number"]);
  });

  test("is wrong with a target that nothing was found for", () => {
    const targets = [atLeast("rate", Number.NaN, 2, "times")];
    expect(findFaults(readBack({ name: "ask", rows: [{ ms: 1 }], targets }))).toEqual(["target rate: no number"]);
  });
});
