/** Values of options as they are typed. A wrong one is a mistake in usage and says what was wanted. */
import { InvalidArgumentError } from "commander";
import type { Peer } from "../../channels/port.ts";

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Wanted a whole number from ${min} to ${max}.`);
  };
}

export const port = wholeNumber(0, 65_535);

/** `kind:id`; the id may hold colons itself. */
export function peer(text: string): Peer {
  const { kind, id } = /^(?<kind>direct|group|channel):(?<id>.*\S.*)$/s.exec(text)?.groups ?? {};
  if (id !== undefined && (kind === "direct" || kind === "group" || kind === "channel")) return { kind, id };
  throw new InvalidArgumentError("Wanted kind:id, where kind is direct, group or channel.");
}

/** A time in ISO 8601, as milliseconds since the epoch. */
export function time(text: string): number {
  const [day = ""] = /^\d{4}-\d{2}-\d{2}/.exec(text) ?? [];
  // Of a day that its month does not have, the next month's would be taken.
  const atMs = isDay(day) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  throw new InvalidArgumentError("Wanted a time such as 2026-01-31T18:00:00Z.");
}

function isDay(text: string): boolean {
  const atMs = Date.parse(text);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString().startsWith(text);
}

/** `90s`, `30m`, `2h` or `7d`, as milliseconds. */
export function duration(text: string): number {
  const { count, unit } = /^(?<count>[1-9]\d{0,5})(?<unit>[smhd])$/.exec(text)?.groups ?? {};
  if (count === undefined) throw new InvalidArgumentError("Wanted a duration such as 90s, 30m, 2h or 7d.");
  return Number(count) * (unit === "s" ? 1_000 : unit === "m" ? 60_000 : unit === "h" ? 3_600_000 : 86_400_000);
}

/** A duration back from now, or a time; as the age of what is that old. */
export function since(nowMs: () => number): (text: string) => number {
  return (text) => (/^\d{4}-/.test(text) ? Math.max(0, nowMs() - time(text)) : duration(text));
}

/** A time that comes, or a duration from now on; as ISO 8601. */
export function comingTime(nowMs: () => number): (text: string) => string {
  return (text) => {
    if (/^\d{4}-/.test(text)) return new Date(time(text)).toISOString();
    if (!/^\d+[smhd]$/.test(text))
      throw new InvalidArgumentError(
        "Wanted a time such as 2026-01-31T18:00:00Z, or a duration such as 90s, 30m, 2h or 7d.",
      );
    return new Date(nowMs() + duration(text)).toISOString();
  };
}

/** For options that may be given several times. */
export function collect(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}

/** The parameters of a method as they are typed. */
export function jsonObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`Wanted a JSON object: ${(error as Error).message}.`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new InvalidArgumentError('Wanted a JSON object such as {"limit": 5}.');
}
