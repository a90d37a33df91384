/** The command line: `npm run bench -- [scenario…] [--seconds S] [--rounds N] [--json file]`. */
import { parseArgs } from "node:util";

export interface BenchArguments {
  /** In the order of the program, whatever the order of the command line. */
  readonly scenarios: readonly string[];
  readonly seconds: number | undefined;
  readonly rounds: number | undefined;
  readonly json: string | undefined;
}

/** Throws `TypeError` with a message for the person who typed it. Without names, all scenarios run. */
export function parseArguments(args: readonly string[], known: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { seconds: { type: "string" }, rounds: { type: "string" }, json: { type: "string" } },
  });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new TypeError(
      `Choosing scenarios: found ${unknown.join(", ")}; wanted some of ${known.join(", ")}, or none for all of them.`,
    );
  }
  return {
    scenarios: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    seconds: parsePositive("--seconds", values.seconds, "a number above 0, such as 2.5", () => true),
    rounds: parsePositive("--rounds", values.rounds, "a whole number above 0, such as 5", Number.isInteger),
    json: values.json,
  };
}

function parsePositive(
  option: string,
  text: string | undefined,
  wanted: string,
  fits: (value: number) => boolean,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0 && fits(value)) return value;
  throw new TypeError(`${option}: found ${JSON.stringify(text)}, wanted ${wanted}.`);
}
