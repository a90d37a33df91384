/** Two commits measured in turn: each figure of one beside that of the other, and their ratio round by round. */
import type { Cell, ScenarioReport } from "./scenario.ts";
import { makeRatios, makeSpread } from "./spread.ts";

/** What both found in one round. */
export interface Pair {
  readonly base: readonly ScenarioReport[];
  readonly head: readonly ScenarioReport[];
}

/**
 * A row for each figure that both have in all rounds. A row of a report is known by its texts, or its place where it has none. Without a ratio where the base is zero in
 * a round, for which there is none.
 */
export function compareRounds(rounds: readonly Pair[]): readonly Readonly<Record<string, Cell>>[] {
  const bases = rounds.map(({ base }) => figuresOf(base));
  const heads = rounds.map(({ head }) => figuresOf(head));
  const keys = [...(bases[0]?.keys() ?? [])].filter((key) => [...bases, ...heads].every((round) => round.has(key)));
  return keys.map((key) => {
    const [scenario = "", row = "", figure = ""] = JSON.parse(key) as string[];
    const base = bases.map((round) => round.get(key) ?? Number.NaN);
    const head = heads.map((round) => round.get(key) ?? Number.NaN);
    const ratio = base.includes(0) ? {} : { "head to base": makeRatios(head, base) };
    return { scenario, row, figure, base: makeSpread(base), head: makeSpread(head), ...ratio };
  });
}

/** Numbers and medians, by scenario, texts of the row and column. */
function figuresOf(reports: readonly ScenarioReport[]): ReadonlyMap<string, number> {
  const figures = new Map<string, number>();
  for (const { name, rows } of reports)
    for (const [at, row] of rows.entries()) {
      const texts = Object.values(row).filter((cell) => typeof cell === "string");
      const called = texts.join(", ") || `row ${at + 1}`;
      for (const [column, cell] of Object.entries(row))
        if (typeof cell !== "string")
          figures.set(JSON.stringify([name, called, column]), typeof cell === "number" ? cell : cell.median);
    }
  return figures;
}
