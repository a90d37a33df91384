/**
 * Kills the real program while trees of sub-agents grow in it, and starts it on what it left. All choices come from the seed; what
 * the machine does between two of them does not.
 *
 *   accepted   right after the answer to the n-th plan of this life
 *   time       a moment after the first plan
 *   begun      when the n-th run of this life begins, at a depth of 1 to 3
 *   ended      when the n-th run of this life is about to end: around the moment that its end is stored
 *   drain      a moment after SIGTERM, while runs work
 *   boot       before or just after the program is ready, while the runs of the last life are ended
 *   rest       when everybody has heard of everything
 */
import { setTimeout as delay } from "node:timers/promises";
import { launchProgram, type Program } from "../support/program.ts";
import { until } from "./load.ts";
import { openTreeLoad, treeDepth, type TreeLoad } from "./tree-load.ts";

const moments = ["accepted", "time", "begun", "begun", "ended", "ended", "drain", "boot"] as const;
type Moment = (typeof moments)[number] | "rest";

export interface RunKillReport {
  readonly seed: number;
  readonly kills: number;
  readonly byMoment: Readonly<Record<Moment, number>>;
  readonly runs: number;
  /** Runs that ended with a process, by depth from 1. */
  readonly interrupted: readonly number[];
  /** Completions and results that were heard. */
  readonly told: number;
  readonly violations: readonly string[];
}

/** How long a run of a chosen depth is waited for. */
const markMs = 10_000;
/** As in `kill.ts`: a message that is killed over five times is set aside, and rightly. */
const livesUnderLoad = 2;

export async function killUnderRuns(options: {
  readonly seed: number;
  readonly kills: number;
}): Promise<RunKillReport> {
  const load = openTreeLoad(options.seed);
  const byMoment: Record<Moment, number> = { accepted: 0, time: 0, begun: 0, ended: 0, drain: 0, boot: 0, rest: 0 };
  const start = async (): Promise<Program> => {
    const fromMs = Date.now();
    const program = await launchProgram(load.stateDir).ready;
    await load.checkLeft(fromMs);
    return program;
  };
  let deck: Exclude<Moment, "rest">[] = [];
  let kills = 0;
  for (let life = 1; kills < options.kills && load.violations.length === 0; life++) {
    if (deck.length === 0) deck = [...moments];
    const isRest = life % (livesUnderLoad + 1) === 0;
    const moment = isRest ? "rest" : (deck.splice(load.random.below(deck.length), 1)[0] ?? "time");
    const code = moment === "boot" ? await killAtBoot(load) : await killAt(moment, load, await start());
    // A drain may end in order before its kill comes.
    if (code !== null) continue;
    byMoment[moment]++;
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
    told,
    violations: load.violations,
  };
}

/** Gives the exit code: null when the kill ended it. */
async function killAt(moment: Exclude<Moment, "boot">, load: TreeLoad, program: Program): Promise<number | null> {
  const { random } = load;
  if (moment === "rest") {
    await load.plant(program, random.below(2));
    await load.rest(program);
    return program.stop("SIGKILL");
  }
  await load.clearMarks();
  const nth = 1 + random.below(load.peers);
  const depth = 1 + random.below(treeDepth);
  let accepted = 0;
  let killed: Promise<number | null> | undefined;
  const planting = load.plant(program, 2, () => {
    if (moment === "accepted" && ++accepted === nth) killed = program.stop("SIGKILL");
  });
  if (moment === "accepted") await planting;
  else if (moment === "begun" || moment === "ended") {
    // The plans of this life may have fewer of them: then it is killed all the same.
    await until(async () => (await load.marked(moment, depth)) >= Math.ceil(nth / 2), markMs).catch(() => undefined);
    await delay(random.below(20));
  } else await delay(random.below(400));
  if (moment === "drain") {
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
