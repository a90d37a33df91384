/**
 * A run as one HTML file that needs nothing beside itself: the machine, the tables, the targets, bars of what the rows compare, and
 * lines of what changed over time. Made of the JSON that `run.ts` writes.
 */
import type { Cell, ScenarioReport, Series, Target } from "./scenario.ts";
import type { Spread } from "./spread.ts";
import { columnsOf, formatNumber, formatSpread } from "./table.ts";

export interface Run {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly scenarios: readonly (ScenarioReport & { readonly question: string; readonly seconds: number })[];
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2330; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #d5dae3; padding: .3rem .7rem; text-align: left; white-space: nowrap; }
td.figure { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.bar { fill: #3465a4; } .spread { stroke: #1c2330; stroke-width: 1.5; } .line { fill: none; stroke: #3465a4; stroke-width: 2; }
.axis { stroke: #8a94a6; stroke-width: 1; } .missed { color: #b3261e; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { color: #e4e8ef; background: #14181f; } th, td { border-color: #39414e; } .bar { fill: #7aa5dd; } .line { stroke: #7aa5dd; } .spread { stroke: #e4e8ef; } .missed { color: #ff8a80; } }
`;

export function formatHtml({ date, machine, scenarios }: Run): string {
  const facts = Object.entries<string | number>({ date, ...machine }).map(([fact, value]) => ({
    fact,
    value: String(value),
  }));
  const targets = scenarios.flatMap((scenario) => scenario.targets ?? []);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Cloister: benchmarks of ${escapeHtml(date)}</title>
<style>${style}</style>
<h1>Benchmarks</h1>
${formatRows(facts)}
${targets.length === 0 ? "" : `<h2>Targets</h2>\n${formatTargets(targets)}`}
${scenarios.map(formatScenario).join("\n")}
</html>
`;
}

function formatScenario({ name, question, seconds, rows, series = [] }: Run["scenarios"][number]): string {
  return `<section id="${escapeHtml(name)}">
<h2>${escapeHtml(name)}</h2>
<p>${escapeHtml(question)} (${formatNumber(seconds)} s)</p>
${formatRows(rows)}
${figuresOf(rows).map(formatBars).join("\n")}
${series
  .filter(({ points }) => points.length > 1)
  .map(formatLine)
  .join("\n")}
</section>`;
}

type Row = Readonly<Record<string, Cell>>;

function formatRows(rows: readonly Row[]): string {
  const columns = columnsOf(rows);
  const head = columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join("");
  const body = rows.map((row) => `<tr>${columns.map((column) => formatCell(row[column])).join("")}</tr>`);
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

function formatCell(cell: Cell | undefined): string {
  if (cell === undefined) return "<td></td>";
  if (typeof cell === "string") return `<td>${escapeHtml(cell)}</td>`;
  return `<td class="figure">${typeof cell === "number" ? formatNumber(cell) : formatSpread(cell)}</td>`;
}

function formatTargets(targets: readonly Target[]): string {
  const rows = targets.map(
    ({ what, wanted, found, unit, holds }) =>
      `<tr><td>${escapeHtml(what)}</td><td>${escapeHtml(`${wanted} ${unit}`)}</td><td class="figure">${formatNumber(found)}</td>` +
      `<td${holds ? ">yes" : ' class="missed">NO'}</td></tr>`,
  );
  return `<table><thead><tr><th>target</th><th>wanted</th><th>found</th><th>holds</th></tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

interface Bars {
  readonly column: string;
  readonly bars: readonly { readonly name: string; readonly value: Spread }[];
}

/** One figure for each column of numbers that at least two rows have; a row is called by its texts. */
function figuresOf(rows: readonly Row[]): readonly Bars[] {
  return columnsOf(rows).flatMap((column) => {
    const bars = rows.flatMap((row) => {
      const cell = row[column];
      if (cell === undefined || typeof cell === "string") return [];
      const name = Object.values(row).filter((other) => typeof other === "string");
      return [
        { name: name.join(", "), value: typeof cell === "number" ? { median: cell, p10: cell, p90: cell } : cell },
      ];
    });
    return bars.length < 2 ? [] : [{ column, bars }];
  });
}

const plot = { width: 900, label: 330, row: 24, height: 180, margin: 45 } as const;

function formatBars({ column, bars }: Bars): string {
  const most = Math.max(...bars.map(({ value }) => value.p90), 0) || 1;
  const room = plot.width - plot.label - 110;
  const x = (value: number): number => plot.label + (Math.max(0, value) / most) * room;
  const drawn = bars.map(({ name, value }, at) => {
    const y = at * plot.row + 4;
    const middle = y + 8;
    return (
      `<text x="${plot.label - 8}" y="${middle + 4}" text-anchor="end">${escapeHtml(cut(name))}</text>` +
      `<rect class="bar" x="${plot.label}" y="${y}" width="${rounded(x(value.median) - plot.label)}" height="16"/>` +
      `<line class="spread" x1="${rounded(x(value.p10))}" x2="${rounded(x(value.p90))}" y1="${middle}" y2="${middle}"/>` +
      `<text x="${rounded(x(value.p90) + 6)}" y="${middle + 4}">${formatNumber(value.median)}</text>`
    );
  });
  return formatFigure(column, plot.width, bars.length * plot.row + 8, drawn.join("\n"));
}

function formatLine({ name, unit, points }: Series): string {
  const seconds = points.map(([at]) => at);
  const first = Math.min(...seconds);
  const span = Math.max(...seconds) - first || 1;
  const most = Math.max(...points.map(([, value]) => value), 0) || 1;
  const bottom = plot.height - plot.margin / 2;
  const x = (at: number): number => plot.margin + ((at - first) / span) * (plot.width - 2 * plot.margin);
  const y = (value: number): number => bottom - (Math.max(0, value) / most) * (bottom - 12);
  const path = points.map(([at, value]) => `${rounded(x(at))},${rounded(y(value))}`).join(" ");
  return formatFigure(
    `${name}, ${unit}`,
    plot.width,
    plot.height,
    `<line class="axis" x1="${plot.margin}" x2="${plot.width - plot.margin}" y1="${bottom}" y2="${bottom}"/>` +
      `<text x="${plot.margin - 6}" y="16" text-anchor="end">${formatNumber(most)}</text>` +
      `<text x="${plot.margin - 6}" y="${bottom + 4}" text-anchor="end">0</text>` +
      `<text x="${plot.width - plot.margin}" y="${bottom + 16}" text-anchor="end">${formatNumber(first + span)} s</text>` +
      `<polyline class="line" points="${path}"/>`,
  );
}

const formatFigure = (caption: string, width: number, height: number, drawn: string): string =>
  `<figure><figcaption>${escapeHtml(caption)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(caption)}">${drawn}</svg></figure>`;

const rounded = (value: number): number => Math.round(value * 10) / 10;

const cut = (text: string): string => (text.length > 46 ? `${text.slice(0, 45)}…` : text);

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
