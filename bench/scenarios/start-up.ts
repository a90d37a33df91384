/**
 * How long from starting the process until the gateway is ready, and what a thousand and ten thousand configured agents add. The program is
 * the compiled one, its state directory new each time; beside it, in the same rounds, what Node alone needs to start and end.
 */
import { makeConfig } from "../http-load.ts";
import { startProgram, timeProcess } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 10;
const warmUpRounds = 1;

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const nodeMs: number[] = [];
  const subjects = [
    { what: "one agent, no config file", config: undefined, msMax: 1_000 },
    { what: "1000 agents", config: makeConfig(1_000), msMax: 2_000 },
    { what: "10000 agents", config: makeConfig(10_000), msMax: 5_000 },
  ].map((subject) => ({ ...subject, startMs: new Array<number>(), cpuMs: new Array<number>() }));
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
    const bareMs = await timeProcess(["-e", "0"]);
    if (round >= warmUpRounds) nodeMs.push(bareMs);
    for (const { config, startMs, cpuMs } of subjects) {
      const program = await startProgram(config);
      await program.stop();
      if (round < warmUpRounds) continue;
      startMs.push(program.startMs);
      cpuMs.push(program.startCpuMs);
    }
  }
  const bare = { start: "node -e 0", ms: makeSpread(nodeMs) };
  const rows = subjects.map(({ what, startMs, cpuMs }) => ({
    start: what,
    ms: makeSpread(startMs),
    "CPU ms": makeSpread(cpuMs),
    "ratio to node -e 0": makeRatios(startMs, nodeMs),
  }));
  const targets = subjects.map(({ what, startMs, msMax }) =>
    atMost(`start, ${what}`, makeSpread(startMs).median, msMax, "ms"),
  );
  return { name: "start-up", rows: [bare, ...rows], targets };
}
