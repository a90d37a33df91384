/** The table of targets in `docs/PERFORMANCE.md`, from the JSON of runs. */
import { expect, test } from "vitest";
import { atLeast, atMost, type Target } from "../../../bench/scenario.ts";
import { scenarios } from "../../../bench/scenarios.ts";
import { type MeasuredRun, updateTargets } from "../../../bench/targets.ts";
import { readText } from "../../repo/files.ts";

const spread = (p10: number, p90: number) => ({ median: 10, p10, p90 });
const runOf = (date: string, commit: string, found: Readonly<Record<string, readonly Target[]>>): MeasuredRun => ({
  date,
  machine: { node: "26.0.0", commit },
  scenarios: Object.entries(found).map(([name, targets]) => ({
    name,
    targets,
    noise: { before: spread(9.9, 10.1), after: spread(9, 11) },
    wakes: { before: { median: 0.04, p10: 0.03, p90: 0.05 }, after: { median: 0.06, p10: 0.05, p90: 0.07 } },
  })),
});

const page = `# Performance

<!-- targets: npm run bench:targets -->

| scenario | target | wanted | found | holds | commit | node | noise |
| -------- | ------ | ------ | ----- | ----- | ------ | ---- | ----- |
| route    | old    | ≤ 1 µs | 2 µs  | NO    | aaa    | 25   | 1 %   |
| wake     | kept   | ≤ 2    | 1.5   | yes   | aaa    | 25   | 1 %   |

<!-- /targets -->

After.
`;
const order = ["start-up", "wake", "route"];

test("a run replaces the rows of its scenarios, in the order of the scenarios, with commit, Node, noise and what wakes cost", () => {
  const run = runOf("2026-01-02T00:00:00Z", "bbb", {
    route: [atMost("a route", 1.567, 10, "µs"), atLeast("another", 1, 2, "times")],
    "start-up": [atMost("start", 464, 1_000, "ms")],
  });
  const after = updateTargets(page, [run], order);
  const cells = after
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) => line.split(/\s*\|\s*/).slice(1, -1));
  expect(cells).toEqual([
    ["start-up", "start", "≤ 1000 ms", "464 ms", "yes", "bbb", "26.0.0", "20 %", "50 µs"],
    ["wake", "kept", "≤ 2", "1.5", "yes", "aaa", "25", "1 %", ""],
    ["route", "a route", "≤ 10 µs", "1.57 µs", "yes", "bbb", "26.0.0", "20 %", "50 µs"],
    ["route", "another", "≥ 2 times", "1 times", "NO", "bbb", "26.0.0", "20 %", "50 µs"],
  ]);
  expect(after.startsWith("# Performance\n\n")).toBe(true);
  expect(after.endsWith("\n\nAfter.\n")).toBe(true);
  expect(updateTargets(after, [run], order)).toBe(after);
});

test("of two runs of one scenario the later counts, whatever their order", () => {
  const early = runOf("2026-01-02T00:00:00Z", "early", { wake: [atMost("waking", 1, 2, "")] });
  const late = runOf("2026-01-03T00:00:00Z", "late", { wake: [atMost("waking", 1, 2, "")] });
  const after = updateTargets(page, [late, early], order);
  expect(after).toContain("late");
  expect(after).not.toContain("early");
});

test("a page without the table and a file of another kind are refused, and say what was wanted", () => {
  expect(() => updateTargets("# Performance\n", [], order)).toThrow(/found no lines/);
  expect(() => updateTargets(page, [{} as MeasuredRun], order)).toThrow(/--json file/);
});

test("the page has such a table, of scenarios that there are, and writing no run changes nothing in it", () => {
  const text = readText("docs/PERFORMANCE.md");
  expect(updateTargets(text, [], Object.keys(scenarios))).toBe(text);
  const table = text.split("<!-- targets")[1]?.split("<!-- /targets")[0] ?? "";
  const named = [...table.matchAll(/^\| ([a-z][a-z-]*) +\|/gm)].map(([, name = ""]) => name).slice(1);
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((name) => !Object.hasOwn(scenarios, name))).toEqual([]);
});
