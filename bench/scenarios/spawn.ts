/**
 * A sub-agent from `sessions_spawn` to its completion: until the call is accepted, until the first line of the sub-agent, and from
 * there, which is also its last step, to the first line of the requester's turn that hears of it; alone and eight at once. Next to
 * as many empty workers until their first lines, in the same rounds. Each sub-agent has a confined worker of its own and a durable
 * task, and its module is a file; its requester is awake.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startEmptyWorker } from "../empty-worker.ts";
import { type GatewayHere, openGatewayHere } from "../gateway-here.ts";
import type { SpawnTimes } from "../inside/spawner.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 40;
const warmUpRounds = 3;
const widths = [1, 8] as const;
const acceptedMsMax = 10;
const announceMsMax = 50;
/** Asking whether all is over is a turn of the requester, too: seldom, so that it stands in no completion's way. */
const askMs = 60;

const config = {
  agents: {
    defaults: { subagents: { maxChildrenPerAgent: Math.max(...widths) } },
    list: [{ id: "main", module: fileURLToPath(new URL("../inside/spawner.ts", import.meta.url)) }],
  },
};

/** Of a round: the slowest of those that were started at once. */
interface Sample {
  readonly acceptedMs: number;
  readonly firstLineMs: number;
  readonly announceMs: number;
  readonly emptyMs: number;
}

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const gateway = await openGatewayHere(config);
  try {
    const measured = widths.map((width) => ({ width, samples: new Array<Sample>() }));
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      if (round % 10 === 0) progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { width, samples } of measured) {
        const empty = await Promise.all(Array.from({ length: width }, startEmptyWorker));
        const sample = { ...(await spawn(gateway, width)), emptyMs: Math.max(...empty) };
        if (round >= warmUpRounds) samples.push(sample);
      }
    }
    const rows = measured.flatMap(({ width, samples }) => {
      const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
      const row = (what: string, figure: keyof Sample) => ({
        "at once": width,
        what,
        ms: makeSpread(of(figure)),
        "ratio to empty workers": makeRatios(of(figure), of("emptyMs")),
      });
      return [
        row("empty worker: to its first line", "emptyMs"),
        row("sub-agent: accepted", "acceptedMs"),
        row("sub-agent: asked for, to its first line", "firstLineMs"),
        row("sub-agent: last step, to its requester's turn", "announceMs"),
      ];
    });
    const alone = measured[0]?.samples ?? [];
    const medianOf = (figure: keyof Sample): number => makeSpread(alone.map((sample) => sample[figure])).median;
    return {
      name: "spawn",
      rows,
      targets: [
        atMost("a spawn is accepted, p50", medianOf("acceptedMs"), acceptedMsMax, "ms"),
        atMost("announce after the last step, p50", medianOf("announceMs"), announceMsMax, "ms"),
      ],
    };
  } finally {
    await gateway.close();
  }
}

async function spawn(gateway: GatewayHere, width: number): Promise<Omit<Sample, "emptyMs">> {
  await gateway.say("main", String(width));
  for (;;) {
    await sleep(askMs);
    const runs = JSON.parse(await gateway.say("main", "report")) as readonly SpawnTimes[];
    const heard = runs.flatMap(({ askedNs, acceptedNs, firstLineNs, heardNs }) =>
      firstLineNs === undefined || heardNs === undefined
        ? []
        : [
            {
              acceptedMs: msBetween(askedNs, acceptedNs),
              firstLineMs: msBetween(askedNs, firstLineNs),
              announceMs: msBetween(firstLineNs, heardNs),
            },
          ],
    );
    if (heard.length < width) continue;
    const slowest = (figure: "acceptedMs" | "firstLineMs" | "announceMs"): number =>
      Math.max(...heard.map((times) => times[figure]));
    return {
      acceptedMs: slowest("acceptedMs"),
      firstLineMs: slowest("firstLineMs"),
      announceMs: slowest("announceMs"),
    };
  }
}

const msBetween = (fromNs: string, toNs: string): number => Number(BigInt(toNs) - BigInt(fromNs)) / 1e6;
