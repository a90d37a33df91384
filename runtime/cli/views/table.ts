/** Columns of text for people: aligned by spaces, no drawing, so that a line can be cut with the usual tools. */
import { showableText } from "../terminal.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** The header and one line per row. Cells are one line each; an empty cell shows as "-", so that columns can be counted. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const cells = rows.map((row) => columns.map((_, index) => formatCell(row[index])));
  const titles = columns.map(({ title }) => title);
  const widths = columns.map((_, index) => Math.max(...[titles, ...cells].map((row) => row[index]?.length ?? 0)));
  return [titles, ...cells].map((row) =>
    row
      .map((cell, index) =>
        columns[index]?.align === "right" ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function formatCell(text: string | undefined): string {
  return showableText(text ?? "").replaceAll(/[\n\t]+/g, " ") || "-";
}

/** `label` and text in two columns, for single facts. */
export function formatFacts(facts: readonly (readonly [label: string, text: string])[]): readonly string[] {
  const width = Math.max(...facts.map(([label]) => label.length));
  return facts.map(([label, text]) => `${label.padEnd(width)}  ${showableText(text)}`.trimEnd());
}

/** How long ago, in the largest unit that leaves a number of at least one. */
export function formatAge(atMs: number, nowMs: number): string {
  return atMs > 0 ? `${formatDuration(Math.max(0, nowMs - atMs))} ago` : "";
}

/** UTC, to the second. */
export const formatTime = (atMs: number): string =>
  atMs > 0 ? new Date(atMs).toISOString().replace("T", " ").slice(0, 19) : "";

const units = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
] as const;

export function formatDuration(durationMs: number): string {
  const [unitMs, unit] = units.find(([ms]) => durationMs >= ms) ?? units[3];
  return `${Math.floor(durationMs / unitMs)} ${unit}`;
}

/** What is left until an end, to the second unit: of two hours that were given a moment ago "1 h" would be half the truth. */
export function formatLeft(untilMs: number, nowMs: number): string {
  const leftMs = Math.max(0, Math.round((untilMs - nowMs) / 1_000) * 1_000);
  const at = units.findIndex(([ms]) => leftMs >= ms);
  const [unitMs] = units[at] ?? units[3];
  const [nextMs, next] = units[at + 1] ?? units[3];
  const rest = at === -1 ? 0 : Math.floor((leftMs % unitMs) / nextMs);
  return `${formatDuration(leftMs)}${rest === 0 ? "" : ` ${rest} ${next}`}`;
}

export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** JSON for programs: two spaces, so that people can read it too. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}

/** `12.3 MB`, in powers of ten. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1_000 ** power).toPrecision(3)} ${["B", "KB", "MB", "GB", "TB"][power] ?? ""}`;
}
