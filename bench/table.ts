/** Reports as text for a terminal and for `docs/PERFORMANCE.md`: Markdown tables with aligned columns. */
import type { Cell, Target } from "./scenario.ts";
import type { Spread } from "./spread.ts";

type Row = Readonly<Record<string, Cell>>;

/** In the order in which the rows first name them. */
export const columnsOf = (rows: readonly object[]): readonly string[] => [
  ...new Set(rows.flatMap((row) => Object.keys(row))),
];

/** What a row does not have stays empty. */
export function formatTable(rows: readonly Row[]): string {
  const columns = columnsOf(rows);
  const lines = [columns, ...rows.map((row) => columns.map((column) => formatCell(row[column])))];
  const widths = columns.map((_, at) => Math.max(3, ...lines.map((line) => (line[at] ?? "").length)));
  const isNumeric = columns.map((column) => rows.every((row) => typeof row[column] !== "string"));
  const formatted = lines.map((line) =>
    line.map((text, at) => (isNumeric[at] === true ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0))),
  );
  const rule = widths.map((width, at) => (isNumeric[at] === true ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [formatted[0] ?? [], rule, ...formatted.slice(1)].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

export function formatTargets(targets: readonly Target[]): string {
  return formatTable(
    targets.map(({ what, wanted, found, unit, holds }) => ({
      target: what,
      wanted: `${wanted} ${unit}`.trim(),
      found: `${formatNumber(found)} ${unit}`.trim(),
      holds: holds ? "yes" : "NO",
    })),
  );
}

function formatCell(cell: Cell | undefined): string {
  if (cell === undefined) return "";
  if (typeof cell === "string") return cell;
  return typeof cell === "number" ? formatNumber(cell) : formatSpread(cell);
}

/** Median, and p10–p90 in brackets. */
export function formatSpread({ median, p10, p90 }: Spread): string {
  return `${formatNumber(median)} (${formatNumber(p10)}–${formatNumber(p90)})`;
}

/** Three digits that count: more would say more than was measured. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
