/**
 * What a question to a sibling and its answer cost: durable and in memory, one and many in flight, next to a hand-written
 * exchange over raw ports in the same rounds. CPU is that of the whole process: both cells, the kernel and the store.
 */
import { fileURLToPath } from "node:url";
import { openGatewayHere } from "../gateway-here.ts";
import { inSlices } from "../in-slices.ts";
import type { SiblingOrder } from "../inside/caller.ts";
import type { CallFigures } from "../inside/measure-calls.ts";
import { openRawCalls } from "../raw-calls.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 0.8;
const roundsDefault = 7;
const warmUpRounds = 1;
const widths = [1, 64];
const text = "x".repeat(200);
const siblingMsMax = 10;

const config = {
  agents: {
    list: [
      { id: "main", module: fileURLToPath(new URL("../inside/caller.ts", import.meta.url)) },
      // As many turns at a time as there are clients; the default of 4 would be what is measured.
      { id: "raul", module: "echo", maxConcurrent: Math.max(...widths) },
    ],
  },
  tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
};

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const gateway = await openGatewayHere(config);
  const raw = openRawCalls("relay");
  try {
    const ask =
      (durability: SiblingOrder["durability"]) =>
      (inFlight: number): Promise<CallFigures> =>
        inSlices(seconds * 1_000, async (forMs) => {
          const order: SiblingOrder = { sibling: "raul", durability, text, inFlight, forMs };
          return JSON.parse(await gateway.say("main", JSON.stringify(order))) as CallFigures;
        });
    const kinds = [
      { kind: "raw ports", measure: (inFlight: number) => raw.measure({ inFlight, forMs: seconds * 1_000, text }) },
      { kind: "sibling, in memory", measure: ask("accepted") },
      { kind: "sibling, durable", measure: ask("stored") },
    ];
    const subjects = widths.flatMap((inFlight) =>
      kinds.map((kind) => ({ ...kind, inFlight, samples: new Array<Sample>() })),
    );
    // A message in memory is not kept for an agent that has yet to start.
    await gateway.say("raul", text);
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { inFlight, measure, samples } of subjects) {
        const sample = await measureWithCpu(() => measure(inFlight));
        if (round >= warmUpRounds) samples.push(sample);
      }
    }
    const rows = subjects.map(({ kind, inFlight, samples }) => {
      const base = subjects.find((subject) => subject.kind === "raw ports" && subject.inFlight === inFlight);
      const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
      return {
        kind,
        "in flight": inFlight,
        "calls/s": makeSpread(of("perSecond")),
        "p50 ms": makeSpread(of("p50Ms")),
        "p99 ms": makeSpread(of("p99Ms")),
        "CPU µs/call": makeSpread(of("cpuUs")),
        "CPU ratio to raw": makeRatios(of("cpuUs"), base?.samples.map(({ cpuUs }) => cpuUs) ?? []),
      };
    });
    const alone = rows.find(({ kind, "in flight": width }) => kind === "sibling, durable" && width === 1);
    const targets = [
      atMost("sibling request, durable, p50", alone?.["p50 ms"].median ?? Number.NaN, siblingMsMax, "ms"),
    ];
    return { name: "round-trip", rows, targets };
  } finally {
    await raw.close();
    await gateway.close();
  }
}

async function measureWithCpu(measure: () => Promise<CallFigures>): Promise<Sample> {
  const before = process.cpuUsage();
  const { calls, elapsedMs, p50Ms, p99Ms } = await measure();
  const { user, system } = process.cpuUsage(before);
  return { perSecond: (calls * 1_000) / elapsedMs, p50Ms, p99Ms, cpuUs: (user + system) / calls };
}
