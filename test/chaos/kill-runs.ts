/**
 * Kills the real program while trees of sub-agents grow in it, some of which end their cells, and starts it on what it left. All choices
 * come from the seed; what the machine does between two of them does not.
 *
 *   accepted   right after the answer to the n-th plan of this life
 *   time       a moment after the first plan
 *   begun      when a run begins that would work on: once each at the depths 1, 2 and 3
 *   ended      when a run is about to end: around the moment that its end is stored
 *   drain      a moment after SIGTERM, while runs work
 *   boot       before or just after the program is ready, while the runs of the last life are ended
 *   rest       when everybody has heard of everything, also of a run that ended its cell
 *
 * A moment that does not come fails the test; a drain that ends in order is tried again.
 */
import { setTimeout as delay } from "node:timers/promises";
import { launchProgram, type Program } from "../support/program.ts";
import type { Random } from "../support/random.ts";
import { until } from "./load.ts";
import { openTreeLoad, treeDepth, type TreeLoad } from "./tree-load.ts";

type Moment =
  | { readonly name: "accepted" | "time" | "drain" | "boot" | "rest" }
  | { readonly name: "begun" | "ended"; readonly depth: number };
type Name = Moment["name"];

/** Between them is a rest after each two. */
const deckOf = (random: Random): Moment[] => [
  { name: "accepted" },
  { name: "time" },
  ...Array.from({ length: treeDepth }, (_, at) => ({ name: "begun", depth: at + 1 }) as const),
  { name: "ended", depth: 1 + random.below(treeDepth) },
  { name: "drain" },
  { name: "boot" },
];

export interface RunKillReport {
  readonly seed: number;
  readonly kills: number;
  readonly byMoment: Readonly<Record<Name, number>>;
  readonly runs: number;
  /** Runs that ended with a process, by depth from 1. */
  readonly interrupted: readonly number[];
  /** Runs that ended with their cell. */
  readonly crashed: number;
  /** Completions and results that were heard. */
  readonly told: number;
  readonly violations: readonly string[];
}

/** A bound, not a wait: the run of a chosen depth has its turn behind some dozens, on a machine that is busy with other tests. */
const markMs = 120_000;
/** Drains that ended before their kill. */
const spareLives = 20;
/** As in `kill.ts`: a message that is killed over five times is set aside, and rightly. */
const livesUnderLoad = 2;

export async function killUnderRuns(options: {
  readonly seed: number;
  readonly kills: number;
}): Promise<RunKillReport> {
  const load = openTreeLoad(options.seed);
  const byMoment: Record<Name, number> = { accepted: 0, time: 0, begun: 0, ended: 0, drain: 0, boot: 0, rest: 0 };
  const start = async (): Promise<Program> => {
    const fromMs = Date.now();
    const program = await launchProgram(load.stateDir).ready;
    await load.checkLeft(fromMs);
    return program;
  };
  let deck: Moment[] = [];
  let kills = 0;
  for (let life = 1; kills < options.kills && load.violations.length === 0; life++) {
    if (life > options.kills + spareLives) throw new Error(`${life} lives had ${kills} kills`);
    if (deck.length === 0) deck = deckOf(load.random);
    const isRest = kills % (livesUnderLoad + 1) === livesUnderLoad;
    const [moment = { name: "rest" }] = isRest ? [] : deck.splice(load.random.below(deck.length), 1);
    const code = moment.name === "boot" ? await killAtBoot(load) : await killAt(moment, load, await start());
    if (code !== null) {
      deck.push(moment);
      continue;
    }
    byMoment[moment.name]++;
    kills++;
  }
  const { rows, told } = await load.finish(await start());
  return {
    seed: options.seed,
    kills,
    byMoment,
    runs: rows.length,
    interrupted: Array.from(
      { length: treeDepth },
      (_, at) => rows.filter(({ lineage, end }) => lineage.length === at + 1 && end?.code === "interrupted").length,
    ),
    crashed: rows.filter(({ end }) => end?.code === "CLOISTER_AGENT_CRASHED").length,
    told,
    violations: load.violations,
  };
}

/** Gives the exit code: null when the kill ended it. */
async function killAt(moment: Moment, load: TreeLoad, program: Program): Promise<number | null> {
  const { random } = load;
  if (moment.name === "rest") {
    await load.plant(program, random.below(2));
    await load.plantChain(program, 1 + random.below(treeDepth), "exit");
    await load.rest(program);
    return program.stop("SIGKILL");
  }
  const label =
    "depth" in moment ? await load.plantChain(program, moment.depth, moment.name === "begun" ? "hold" : "answer") : "";
  const nth = 1 + random.below(load.peers);
  let accepted = 0;
  let killed: Promise<number | null> | undefined;
  const planting = load.plant(program, 2, () => {
    if (moment.name === "accepted" && ++accepted === nth) killed = program.stop("SIGKILL");
  });
  if (moment.name === "accepted") {
    await planting;
    if (killed === undefined) throw new Error(`${accepted} of ${nth} plans were accepted: ${program.output()}`);
  } else if ("depth" in moment) {
    await until(() => load.isMarked(moment.name, moment.depth, label), markMs).catch((error: unknown) => {
      throw new Error(`${label} never ${moment.name} at depth ${moment.depth}: ${program.output()}`, { cause: error });
    });
    await delay(random.below(20));
  } else await delay(random.below(400));
  if (moment.name === "drain") {
    program.process.kill("SIGTERM");
    await delay(random.below(120));
  }
  const code = await (killed ?? program.stop("SIGKILL"));
  await planting;
  return code;
}

async function killAtBoot(load: TreeLoad): Promise<number | null> {
  const starting = launchProgram(load.stateDir);
  await Promise.race([delay(load.random.below(600)), starting.ready]);
  starting.process.kill("SIGKILL");
  await starting.ready.catch(() => undefined);
  return starting.ended;
}
