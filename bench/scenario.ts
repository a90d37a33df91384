/** What a scenario is: one question, answered by one file of `scenarios/`. */
import type { Spread } from "./spread.ts";

export interface ScenarioOptions {
  /** Length of one measurement; each scenario has its own default. */
  readonly seconds: number | undefined;
  /** Rounds that count; each measures everything that is compared once. Warm-up comes on top. */
  readonly rounds: number | undefined;
  /** Says where the scenario is, to whoever waits. */
  readonly progress: (text: string) => void;
}

export type Cell = string | number | Spread;

export interface ScenarioReport {
  readonly name: string;
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly targets?: readonly Target[];
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
