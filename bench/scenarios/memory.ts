/**
 * What agents cost while nothing happens: the process alone, a live agent more, a configured and dormant one more; memory,
 * threads, and CPU at rest. Memory is read after a stretch of rest, without forcing a collection: it is what an operator sees.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { makeConfig, sayByHook } from "../http-load.ts";
import { type MemoryFigures, readDescendantsMemory, readMemory, readThreadsCpuMs } from "../process-figures.ts";
import { type Program, startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeSpread } from "../spread.ts";

const secondsDefault = 1.5;
const roundsDefault = 3;
/** After a start with many agents V8 still collects for about two seconds; that is no rest (measured). */
const settleMs = 3_000;
const live = 20;
const many = 10_000;
const baseMbMax = 200;
const liveMbMax = 12;
const dormantKbMax = 2;

type Sample = MemoryFigures & {
  /** Share of one core. */
  readonly idlePercent: number;
};

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const alone: Sample[] = [];
  const one: Sample[] = [];
  const twenty: Sample[] = [];
  const configured: Sample[] = [];
  const processes: MemoryFigures[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}: ${live} agents`);
    await withProgram(live, async ({ pid, port }) => {
      alone.push(await measureRest(pid, seconds));
      await sayByHook(port, "a0");
      one.push(await measureRest(pid, seconds));
      for (let n = 1; n < live; n++) await sayByHook(port, `a${n}`);
      twenty.push(await measureRest(pid, seconds));
    });
    progress(`round ${round + 1} of ${rounds}: ${live} agents in processes`);
    await withProgram(
      live,
      async ({ pid, port }) => {
        for (let n = 0; n < live; n++) await sayByHook(port, `a${n}`);
        await sleep(settleMs);
        processes.push(await readDescendantsMemory(pid));
      },
      "process",
    );
    progress(`round ${round + 1} of ${rounds}: ${many} agents`);
    await withProgram(many, async ({ pid }) => {
      configured.push(await measureRest(pid, seconds));
    });
  }

  const each = (from: readonly Sample[], to: readonly Sample[], count: number) => {
    const per = (figure: keyof Sample) =>
      to.map((sample, round) => (sample[figure] - (from[round]?.[figure] ?? Number.NaN)) / count);
    return { rss: makeSpread(per("rssMb")), pss: makeSpread(per("pssMb")), idle: makeSpread(per("idlePercent")) };
  };
  const perLive = each(one, twenty, live - 1);
  const perThousand = each(alone, configured, (many - live) / 1_000);
  const row = (what: string, samples: readonly Sample[]) => ({
    what,
    "RSS MB": makeSpread(samples.map(({ rssMb }) => rssMb)),
    "PSS MB": makeSpread(samples.map(({ pssMb }) => pssMb)),
    threads: samples.at(-1)?.threads ?? 0,
    "idle CPU %": makeSpread(samples.map(({ idlePercent }) => idlePercent)),
  });
  return {
    name: "memory",
    rows: [
      row(`${live} configured, none live`, alone),
      row(`${live} configured, 1 live`, one),
      row(`${live} configured, ${live} live`, twenty),
      row(`${many} configured, none live`, configured),
      { what: "one live agent more", "RSS MB": perLive.rss, "PSS MB": perLive.pss, "idle CPU %": perLive.idle },
      {
        what: "one live agent more, in a process",
        "RSS MB": makeSpread(processes.map(({ rssMb }) => rssMb / live)),
        "PSS MB": makeSpread(processes.map(({ pssMb }) => pssMb / live)),
      },
      {
        what: "its PSS, ratio to one in a thread",
        "PSS MB": makeSpread(processes.map(({ pssMb }) => pssMb / live / perLive.pss.median)),
      },
      {
        what: "1,000 dormant agents more",
        "RSS MB": perThousand.rss,
        "PSS MB": perThousand.pss,
        "idle CPU %": perThousand.idle,
      },
    ],
    targets: [
      atMost("base process, RSS", makeSpread(alone.map(({ rssMb }) => rssMb)).median, baseMbMax, "MB"),
      atMost("a live agent, RSS", perLive.rss.median, liveMbMax, "MB"),
      // A thousandth of the megabytes of a thousand.
      atMost("a dormant agent, RSS", perThousand.rss.median * 1.024, dormantKbMax, "KB"),
    ],
  };
}

async function withProgram(
  agents: number,
  measure: (program: Program) => Promise<void>,
  level: "thread" | "process" = "thread",
): Promise<void> {
  const program = await startProgram(makeConfig(agents, 0, level));
  try {
    await measure(program);
  } finally {
    await program.stop();
  }
}

async function measureRest(pid: number, seconds: number): Promise<Sample> {
  await sleep(settleMs);
  const startedMs = performance.now();
  const cpuBeforeMs = await readThreadsCpuMs(pid);
  await sleep(seconds * 1_000);
  const cpuMs = (await readThreadsCpuMs(pid)) - cpuBeforeMs;
  const idlePercent = (100 * cpuMs) / (performance.now() - startedMs);
  return { ...(await readMemory(pid)), idlePercent };
}
