/** Ages as the configuration writes them. */

/** A hundred years. */
export const ageDaysMax = 36_500;

const hourMs = 3_600_000;
const units: Readonly<Record<string, number>> = { h: hourMs, d: 24 * hourMs, w: 7 * 24 * hourMs };

/** Milliseconds of `"12h"`, `"30d"`, `"4w"` or a number of days; undefined for anything else, less than an hour or more than a hundred years. */
export function parseAge(value: string | number): number | undefined {
  const [, count, unit] =
    /^(\d{1,9})\s*([hdw])$/.exec(typeof value === "number" ? `${value}d` : value.trim().toLowerCase()) ?? [];
  const ms = Number(count) * (units[unit ?? ""] ?? Number.NaN);
  return ms >= hourMs && ms <= ageDaysMax * 24 * hourMs ? ms : undefined;
}
