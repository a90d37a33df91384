/**
 * Kills the real program again and again under load and starts it on what it left. All choices come from the seed; what the
 * machine does between two of them does not, so that a seed gives the same plan and not the same run.
 *
 *   accepted   right after the answer to the n-th message of this life
 *   time       a moment after the load began
 *   turn       while a turn stands in its middle: before it changed its state, after its ask was answered, or in the one asked
 *   drain      a moment after SIGTERM, while turns end
 *   boot       before or just after the program is ready
 *   rest       when all is handled
 */
import { setTimeout as delay } from "node:timers/promises";
import { launchProgram, type Program, type Starting } from "../support/program.ts";
import { type Counts, type Hold, type Load, openLoad } from "./load.ts";

const moments = ["accepted", "accepted", "time", "turn", "turn", "drain", "drain", "boot"] as const;
type Moment = (typeof moments)[number] | "rest";

export interface KillReport {
  readonly seed: number;
  readonly kills: number;
  readonly byMoment: Readonly<Record<Moment, number>>;
  readonly counts: Readonly<Counts>;
  /** From the start of the process until it is ready, after a kill. */
  readonly startMs: { readonly p50: number; readonly max: number };
  readonly violations: readonly string[];
}

/**
 * After every second life under load comes one that may finish its work: a gateway that is killed five times over the same
 * message sets that message aside (`limits.deliveriesMax`), as it should.
 */
const livesUnderLoad = 2;
const holds: readonly Hold[] = [
  ["main", "before"],
  ["main", "asked"],
  ["raul", "before"],
];

export async function killUnderLoad(options: { readonly seed: number; readonly kills: number }): Promise<KillReport> {
  const load = await openLoad(options);
  const byMoment: Record<Moment, number> = { accepted: 0, time: 0, turn: 0, drain: 0, boot: 0, rest: 0 };
  const startsMs: number[] = [];
  const start = async (): Promise<Program> => {
    const fromMs = performance.now();
    const program = await launchProgram(load.stateDir).ready;
    startsMs.push(performance.now() - fromMs);
    return program;
  };
  try {
    let kills = 0;
    let deck: Exclude<Moment, "rest">[] = [];
    /** Each moment comes as often as it is in the list, in an order of the seed's. */
    const draw = (): Exclude<Moment, "rest"> => {
      if (deck.length === 0) deck = [...moments];
      const [moment] = deck.splice(load.random.below(deck.length), 1);
      return moment ?? "time";
    };
    for (let life = 1; kills < options.kills && load.violations.length === 0; life++) {
      const moment = life % (livesUnderLoad + 1) === 0 ? "rest" : draw();
      const code = moment === "boot" ? await killAtBoot(load) : await killAt(moment, load, await start());
      await load.letGo();
      // A drain may end in order before its kill comes.
      if (code !== null) continue;
      byMoment[moment]++;
      kills++;
    }
    await load.finish(await start());
    const sorted = startsMs.toSorted((a, b) => a - b);
    return {
      seed: options.seed,
      kills,
      byMoment,
      counts: load.counts,
      startMs: { p50: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 },
      violations: load.violations,
    };
  } finally {
    load.close();
  }
}

/** Gives the exit code: null when the kill ended it. */
async function killAt(moment: Exclude<Moment, "boot">, load: Load, program: Program): Promise<number | null> {
  const { random } = load;
  if (moment === "rest") {
    await load.talk(program, random.below(3), 0.25);
    await load.check(program);
    return program.stop("SIGKILL");
  }
  const hold = moment === "turn" || (moment === "drain" && random.chance(0.5)) ? random.pick(holds) : undefined;
  if (hold !== undefined) load.hold(hold);
  const nth = 1 + random.below(60);
  let killed: Promise<number | null> | undefined;
  const talking = load.talk(program, 2 + random.below(6), hold === undefined ? 0.25 : 0.75, (accepted) => {
    if (moment === "accepted" && accepted === nth) killed = program.stop("SIGKILL");
  });
  if (moment === "accepted") await talking;
  else if (hold === undefined) await delay(random.below(120));
  else await load.held(hold);
  if (moment === "drain") {
    program.process.kill("SIGTERM");
    if (hold !== undefined && random.chance(0.5)) await load.letGo();
    await delay(random.below(60));
  }
  const code = await (killed ?? program.stop("SIGKILL"));
  await talking;
  return code;
}

async function killAtBoot(load: Load): Promise<number | null> {
  const starting: Starting = launchProgram(load.stateDir);
  const early = delay(load.random.below(400));
  await Promise.race([early, starting.ready]);
  starting.process.kill("SIGKILL");
  await starting.ready.catch(() => undefined);
  return starting.ended;
}
