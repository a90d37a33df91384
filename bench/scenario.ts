/** What a scenario is: one question, answered by one file of `scenarios/`. */
import type { Spread } from "./spread.ts";

export interface ScenarioOptions {
  /** Length of one measurement; each scenario has its own default. */
  readonly seconds: number | undefined;
  /** Rounds that count; each measures everything that is compared once. Warm-up comes on top. */
  readonly rounds: number | undefined;
  /** What the one who asks wants of `load`; the others have loads of their own. */
  readonly load: LoadOptions;
  /** Says where the scenario is, to whoever waits. */
  readonly progress: (text: string) => void;
}

/** Each undefined: the scenario's default. */
export interface LoadOptions {
  readonly agents: number | undefined;
  /** Messages a second, at fixed times, whatever the answers do. */
  readonly rate: number | undefined;
  /** Messages under way instead, each followed by the next when it is answered. */
  readonly inFlight: number | undefined;
  /** Bytes of a message's text. */
  readonly payload: number | undefined;
  /** The folder for CPU profiles, one file for each thread of the program. */
  readonly profile: string | undefined;
}

export type Cell = string | number | Spread;

export interface ScenarioReport {
  readonly name: string;
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly targets?: readonly Target[];
  /** What changed over the run, for plots. */
  readonly series?: readonly Series[];
}

export interface Series {
  readonly name: string;
  readonly unit: string;
  /** Seconds since the beginning, and the value. */
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

/** A promise of `docs/PERFORMANCE.md`, and what came of it in this run. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly found: number;
  readonly unit: string;
  readonly holds: boolean;
}

export type Scenario = (options: ScenarioOptions) => Promise<ScenarioReport>;

export function atMost(what: string, found: number, bound: number, unit: string): Target {
  return { what, wanted: `≤ ${bound}`, found, unit, holds: found <= bound };
}

export function atLeast(what: string, found: number, bound: number, unit: string): Target {
  return { what, wanted: `≥ ${bound}`, found, unit, holds: found >= bound };
}
