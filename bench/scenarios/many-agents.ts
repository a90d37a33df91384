/**
 * How cost grows with agents: configured ones that do nothing, and live ones. Each program has so many configured, wakes so many of them, and gets turns by webhook in the
 * live ones, 16 in flight. A machine bounds live cells by its memory maps: how many were live at the end is told.
 */
import type { Agent } from "node:http";
import { doEach, loadHttp, makeConfig, sayByWebhook } from "../http-load.ts";
import { connectOperator } from "../operator.ts";
import { readCpuMs, readMemory } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 3;
const roundsDefault = 3;
const inFlight = 16;
/** The first is what the others are compared with. */
const sizes = [
  { configured: 10, live: 10 },
  { configured: 1_000, live: 10 },
  { configured: 10_000, live: 10 },
  { configured: 500, live: 100 },
  { configured: 500, live: 500 },
] as const;
const dormantRatioMax = 1.2;

type Size = (typeof sizes)[number];

interface Sample {
  readonly startMs: number;
  /** Of one that is woken beside others. */
  readonly wakeMs: number;
  readonly isLive: number;
  readonly rssMb: number;
  readonly threads: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const subjects = sizes.map((size) => ({ size, samples: new Array<Sample>() }));
  for (let round = 0; round < rounds; round++)
    for (const { size, samples } of subjects) {
      progress(`round ${round + 1} of ${rounds}: ${size.configured} configured, ${size.live} live`);
      samples.push(await measure(size, seconds));
    }
  const baseCpu = subjects[0]?.samples.map(({ cpuMs }) => cpuMs) ?? [];
  const rows = subjects.map(({ size, samples }) => {
    const of = (figure: keyof Sample) => makeSpread(samples.map((sample) => sample[figure]));
    return {
      configured: size.configured,
      woken: size.live,
      live: of("isLive"),
      "start ms": of("startMs"),
      "wake ms each": of("wakeMs"),
      "RSS MB": of("rssMb"),
      threads: of("threads"),
      "turns a second": of("perSecond"),
      "p50 ms": of("p50Ms"),
      "p99 ms": of("p99Ms"),
      "CPU ms each": of("cpuMs"),
      "CPU to the first": makeRatios(
        samples.map(({ cpuMs }) => cpuMs),
        baseCpu,
      ),
    };
  });
  const dormant = rows[2]?.["CPU to the first"].median ?? Number.NaN;
  return {
    name: "many-agents",
    rows,
    targets: [
      atMost("CPU of a turn, 10,000 configured agents to 10, 10 of each live", dormant, dormantRatioMax, "times"),
    ],
  };
}

async function measure({ configured, live }: Size, seconds: number): Promise<Sample> {
  const program = await startProgram(makeConfig(configured, live));
  const { pid, port, startMs } = program;
  const operator = await connectOperator(port);
  try {
    let next = 0;
    // One agent after the other, and each in another room than its last time, so that no turn waits for another one's.
    const say = (agent: Agent): Promise<void> => {
      const message = next++;
      return sayByWebhook(port, agent, `a${message % live}`, `room-${Math.floor(message / live) % inFlight}`);
    };
    const wokenMs = performance.now();
    await doEach(live, inFlight, say);
    const wakeMs = (performance.now() - wokenMs) / live;
    await loadHttp(inFlight, seconds / 3, say);
    const cpuBeforeMs = await readCpuMs(pid);
    const { calls, elapsedMs, p50Ms, p99Ms } = await loadHttp(inFlight, seconds, say);
    const cpuMs = ((await readCpuMs(pid)) - cpuBeforeMs) / calls;
    const { agents } = (await operator.request("agents.list", {})) as {
      readonly agents: readonly { readonly phase: string }[];
    };
    const { rssMb, threads } = await readMemory(pid);
    return {
      startMs,
      wakeMs,
      isLive: agents.filter(({ phase }) => phase === "live" || phase === "running").length,
      rssMb,
      threads,
      perSecond: (calls * 1_000) / elapsedMs,
      p50Ms,
      p99Ms,
      cpuMs,
    };
  } finally {
    await operator.close();
    await program.stop();
  }
}
