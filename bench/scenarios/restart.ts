/**
 * How long the gateway is away when it crashes: from `SIGKILL` until the launcher has another one ready, beside a start from
 * nothing in the same round. And what the launcher costs while it waits.
 */
import { makeConfig } from "../http-load.ts";
import { readMemory } from "../process-figures.ts";
import { startLaunched, startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 10;
const warmUpRounds = 1;
const many = 1_000;
const awayMsMax = 2_000;
const launcherPssMbMax = 35;

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const subjects = [
    { what: "one agent, no config file", config: undefined },
    { what: `${many} agents`, config: makeConfig(many) },
  ].map((subject) => ({ ...subject, startMs: new Array<number>(), awayMs: new Array<number>() }));
  const launcher = { rss: new Array<number>(), pss: new Array<number>() };
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
    for (const { config, startMs, awayMs } of subjects) {
      const alone = await startProgram(config);
      await alone.stop();
      const program = await startLaunched(config);
      const { awayMs: away } = await program.crash();
      const memory = await readMemory(program.pid);
      await program.stop();
      if (round < warmUpRounds) continue;
      startMs.push(alone.startMs);
      awayMs.push(away);
      launcher.rss.push(memory.rssMb);
      launcher.pss.push(memory.pssMb);
    }
  }
  const rows = subjects.map(({ what, startMs, awayMs }) => ({
    what,
    "start, ms": makeSpread(startMs),
    "away after a crash, ms": makeSpread(awayMs),
    "ratio to a start": makeRatios(awayMs, startMs),
  }));
  const cost = { what: "the launcher", "RSS, MB": makeSpread(launcher.rss), "PSS, MB": makeSpread(launcher.pss) };
  const targets = [
    ...rows.map((row) =>
      atMost(`away after a crash, ${row.what}`, row["away after a crash, ms"].median, awayMsMax, "ms"),
    ),
    atMost("the launcher, PSS", cost["PSS, MB"].median, launcherPssMbMax, "MB"),
  ];
  return { name: "restart", rows: [...rows, cost], targets };
}
