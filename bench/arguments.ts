/** The command line of `run.ts`. */
import { parseArgs } from "node:util";
import type { LoadOptions } from "./scenario.ts";

export interface BenchArguments {
  /** In the order of the program, whatever the order of the command line. */
  readonly scenarios: readonly string[];
  readonly seconds: number | undefined;
  readonly rounds: number | undefined;
  readonly load: LoadOptions;
  readonly json: string | undefined;
  readonly html: string | undefined;
}

/** The one scenario whose load is chosen on the command line. */
const loadScenario = "load";
const loadOptions = ["agents", "rate", "in-flight", "payload", "profile"] as const;

/** Throws `TypeError` with a message for the person who typed it. Without names, all scenarios run. */
export function parseArguments(args: readonly string[], known: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: { type: "string" },
      duration: { type: "string" },
      rounds: { type: "string" },
      agents: { type: "string" },
      rate: { type: "string" },
      "in-flight": { type: "string" },
      payload: { type: "string" },
      profile: { type: "string" },
      json: { type: "string" },
      html: { type: "string" },
    },
  });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new TypeError(
      `Choosing scenarios: found ${unknown.join(", ")}; wanted some of ${known.join(", ")}, or none for all of them.`,
    );
  }
  const chosen = loadOptions.find((option) => values[option] !== undefined);
  if (chosen !== undefined && (positionals.length !== 1 || positionals[0] !== loadScenario))
    throw new TypeError(
      `--${chosen}: found it with ${positionals.join(", ") || "all scenarios"}; it is for \`${loadScenario}\` alone, the others have loads of their own.`,
    );
  if (values.rate !== undefined && values["in-flight"] !== undefined)
    throw new TypeError(
      `--rate and --in-flight: found both; wanted --rate for messages at fixed times, or --in-flight for each after the answer to the one before.`,
    );
  if (values.seconds !== undefined && values.duration !== undefined)
    throw new TypeError("--seconds and --duration: found both, which mean the same; wanted one.");
  const isDuration = values.duration !== undefined;
  return {
    scenarios: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    seconds: parsePositive(
      isDuration ? "--duration" : "--seconds",
      values.duration ?? values.seconds,
      "a number above 0, such as 2.5",
      () => true,
    ),
    rounds: parseWhole("--rounds", values.rounds),
    load: {
      agents: parseWhole("--agents", values.agents),
      rate: parsePositive("--rate", values.rate, "messages a second, above 0, such as 200", () => true),
      inFlight: parseWhole("--in-flight", values["in-flight"]),
      payload: parseWhole("--payload", values.payload),
      profile: values.profile,
    },
    json: values.json,
    html: values.html,
  };
}

const parseWhole = (option: string, text: string | undefined): number | undefined =>
  parsePositive(option, text, "a whole number above 0, such as 5", Number.isInteger);

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
