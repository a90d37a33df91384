/** What is wrong with a report: a scenario that runs without a figure would look like one that works. */
import type { Cell, ScenarioReport } from "./scenario.ts";

/** Of the report as it was read back from JSON, in which NaN and infinity are null. */
export function findFaults({ name, rows, targets = [] }: ScenarioReport): readonly string[] {
  if (rows.length === 0) return [`${name} gave no rows`];
  const cells = rows.flatMap((row, at) =>
    Object.entries(row).flatMap(([column, cell]) => (isFigure(cell) ? [] : [`row ${at + 1}, ${column}: no number`])),
  );
  const found = targets.flatMap(({ what, found: figure }) => (isNumber(figure) ? [] : [`target ${what}: no number`]));
  return [...cells, ...found];
}

function isFigure(cell: Cell | null): boolean {
  if (cell === null) return false;
  if (typeof cell === "string") return cell !== "";
  return typeof cell === "number" ? isNumber(cell) : [cell.median, cell.p10, cell.p90].every(isNumber);
}

const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
