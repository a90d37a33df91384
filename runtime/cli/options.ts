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

/** For options that may be given several times. */
export function collect(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}
