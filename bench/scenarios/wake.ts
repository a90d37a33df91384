/**
 * How long a message to a dormant agent takes until the first line of its handler, next to how long an empty worker takes
 * until its first line, and an agent in a process next to one in a thread, in the same rounds. On the way of the message: journal, cell, bootstrap, module, begin of the turn.
 */
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";
import type { CellAssets } from "../../runtime/thread/cell-assets.ts";
import { startEmptyWorker } from "../empty-worker.ts";
import { type GatewayHere, openGatewayHere } from "../gateway-here.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 60;
const warmUpRounds = 4;
const wakeRatioMax = 2;

const config = {
  agents: {
    list: [
      { id: "shipped", module: "echo" },
      { id: "process", module: "echo", isolation: { level: "process" } },
      { id: "file", module: fileURLToPath(new URL("../inside/clock.ts", import.meta.url)) },
    ],
  },
};

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const gateway = await openGatewayHere(config, { changeAssets: withClock });
  try {
    const subjects = [
      { start: "empty worker", measure: startEmptyWorker },
      { start: "agent with a shipped module", measure: () => wake(gateway, "shipped") },
      { start: "agent with a shipped module, in a process", measure: () => wake(gateway, "process") },
      { start: "agent with a module file (.ts)", measure: () => wake(gateway, "file") },
    ].map((subject) => ({ ...subject, samplesMs: new Array<number>() }));
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      if (round % 10 === 0) progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { measure, samplesMs } of subjects) {
        const ms = await measure();
        if (round >= warmUpRounds) samplesMs.push(ms);
      }
    }
    const base = subjects[0]?.samplesMs ?? [];
    const thread = subjects[1]?.samplesMs ?? [];
    const rows = subjects.map(({ start, samplesMs }) => ({
      start,
      ms: makeSpread(samplesMs),
      "ratio to an empty worker": makeRatios(samplesMs, base),
      "ratio to an agent in a thread": makeRatios(samplesMs, thread),
    }));
    const ratio = rows[1]?.["ratio to an empty worker"].median ?? Number.NaN;
    return {
      name: "wake",
      rows,
      targets: [atMost("waking an agent, ratio to an empty worker", ratio, wakeRatioMax, "")],
    };
  } finally {
    await gateway.close();
  }
}

async function wake(gateway: GatewayHere, agentId: string): Promise<number> {
  const sentNs = process.hrtime.bigint();
  const handledNs = BigInt(await gateway.say(agentId, "wake up"));
  await gateway.passivate();
  return Number(handledNs - sentNs) / 1e6;
}

/** The shipped `echo`, but that it answers with the clock; compiled and cached as shipped modules are. */
function withClock(assets: CellAssets): CellAssets {
  const body = "exports.default = { message: (ctx) => ctx.reply(String(process.hrtime.bigint())) };";
  const source = `(function (exports, require) {${body}\n})`;
  const script = { source, cachedData: new Script(source, { filename: "cloister:echo" }).createCachedData() };
  return { ...assets, builtin: (name) => (name === "echo" ? script : assets.builtin(name)) };
}
