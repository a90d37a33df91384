/**
 * The table of targets in `docs/PERFORMANCE.md`, brought up to date from runs: each run replaces the rows of the scenarios that it measured and leaves
 * the others, whose rows say on what they were measured.
 */
import type { Around } from "./noise.ts";
import type { Target } from "./scenario.ts";
import type { Spread } from "./spread.ts";
import { formatTable, formatTargets } from "./table.ts";

/** What is read of the JSON that `run.ts` writes. */
export interface MeasuredRun {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: { readonly node: string; readonly commit: string };
  readonly scenarios: readonly {
    readonly name: string;
    readonly targets?: readonly Target[];
    readonly noise: Around;
    readonly wakes: Around;
  }[];
}

const columns = ["scenario", "target", "wanted", "found", "holds", "commit", "node", "noise", "two wakes"] as const;
type Row = Readonly<Record<(typeof columns)[number], string>>;

/** What stands between these lines is written by `npm run bench:targets`. */
const begins = "<!-- targets: npm run bench:targets -->";
const ends = "<!-- /targets -->";

/** `order`: names of the scenarios as the table has them. @throws TypeError when the page has no table, or a run is of another kind. */
export function updateTargets(page: string, runs: readonly MeasuredRun[], order: readonly string[]): string {
  const from = page.indexOf(begins);
  const to = page.indexOf(ends);
  if (from === -1 || to < from)
    throw new TypeError(`The page: found no lines ${begins} and ${ends}, wanted the table between them.`);
  let rows = readRows(page.slice(from + begins.length, to));
  for (const run of runs.toSorted((a, b) => a.date.localeCompare(b.date))) {
    const measured = rowsOf(run);
    const names = new Set(measured.map(({ scenario }) => scenario));
    rows = [...rows.filter(({ scenario }) => !names.has(scenario)), ...measured];
  }
  const place = new Map(order.map((name, at) => [name, at]));
  const placeOf = ({ scenario }: Row): number => place.get(scenario) ?? order.length;
  const sorted = rows.toSorted((a, b) => placeOf(a) - placeOf(b));
  return `${page.slice(0, from)}${begins}\n\n${formatTable(sorted)}\n\n${page.slice(to)}`;
}

function rowsOf({ date, machine, scenarios }: MeasuredRun): readonly Row[] {
  if (!Array.isArray(scenarios) || Number.isNaN(Date.parse(date)))
    throw new TypeError("A run: found no date or no scenarios, wanted what `npm run bench -- --json file` writes.");
  return scenarios.flatMap(({ name, targets = [], noise, wakes }) =>
    readRows(formatTargets(targets)).map((row) => ({
      ...row,
      scenario: name,
      commit: machine.commit,
      node: machine.node,
      noise: `${Math.round(100 * Math.max(widthOf(noise.before), widthOf(noise.after)))} %`,
      "two wakes": `${Math.round(500 * (wakes.before.median + wakes.after.median))} µs`,
    })),
  );
}

/** p10–p90 of the fixed loop over its median. */
const widthOf = ({ median, p10, p90 }: Spread): number => (p90 - p10) / median;

function readRows(table: string): readonly Row[] {
  const lines = table.split("\n").filter((line) => line.startsWith("|"));
  const [head = [], , ...rest] = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const found = rest.map((cells) => Object.fromEntries(head.map((name, at) => [name, cells[at] ?? ""])));
  return found.map((row) => Object.fromEntries(columns.map((name) => [name, row[name] ?? ""])) as Row);
}
