/**
 * What a message from outside costs from the socket to the committed answer: webhook over HTTP, durable, the program in its
 * own process with its usual settings. Next to it, in the same rounds, a request that ends at the HTTP server (`/healthz`).
 */
import type { Agent } from "node:http";
import { expectHealthy, loadHttp, makeConfig, sayByWebhook } from "../http-load.ts";
import { readCpuMs } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atLeast, atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 2.5;
const roundsDefault = 5;
const warmUpRounds = 1;
const inFlight = 16;
const agents = 4;
const turnCpuMsMax = 3;
const turnsPerSecondMin = 300;

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const program = await startProgram(makeConfig(agents, agents));
  const { pid, port } = program;
  try {
    const say = (account: number, agent: Agent, client: number): Promise<void> =>
      sayByWebhook(port, agent, `a${account}`, `room-${client}`);
    const subjects = [
      { request: "GET /healthz", call: (agent: Agent) => expectHealthy(port, agent) },
      { request: "turn: 1 agent, 16 sessions", call: (agent: Agent, client: number) => say(0, agent, client) },
      {
        request: "turn: 4 agents, 4 sessions each",
        call: (agent: Agent, client: number) => say(client % agents, agent, client),
      },
    ].map((subject) => ({ ...subject, samples: new Array<Sample>() }));
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { call, samples } of subjects) {
        const cpuBeforeMs = await readCpuMs(pid);
        const { calls, elapsedMs, p50Ms, p99Ms } = await loadHttp(inFlight, seconds, call);
        const cpuMs = ((await readCpuMs(pid)) - cpuBeforeMs) / calls;
        if (round >= warmUpRounds) samples.push({ perSecond: (calls * 1_000) / elapsedMs, p50Ms, p99Ms, cpuMs });
      }
    }
    const base = subjects[0]?.samples.map(({ cpuMs }) => cpuMs) ?? [];
    const rows = subjects.map(({ request, samples }) => {
      const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
      return {
        request,
        "in flight": inFlight,
        "a second": makeSpread(of("perSecond")),
        "p50 ms": makeSpread(of("p50Ms")),
        "p99 ms": makeSpread(of("p99Ms")),
        "CPU ms each": makeSpread(of("cpuMs")),
        "CPU ratio to /healthz": makeRatios(of("cpuMs"), base),
      };
    });
    const turn = rows[1];
    const targets = [
      atMost("CPU of a turn by webhook", turn?.["CPU ms each"].median ?? Number.NaN, turnCpuMsMax, "ms"),
      atLeast("turns by webhook, 16 in flight", turn?.["a second"].median ?? Number.NaN, turnsPerSecondMin, "a second"),
    ];
    return { name: "turns", rows, targets };
  } finally {
    await program.stop();
  }
}

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}
