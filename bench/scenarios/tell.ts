/**
 * What the mailbox of a cell gains by sending what belongs together as one frame: messages without an answer through it, checked on the other side as the kernel checks a
 * frame, against a `postMessage` for each, which nothing checks. One worker and the main thread; CPU is that of both.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { parseUpFrame } from "../../runtime/kernel/frames.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { Told, TellOrder } from "../inside/teller.ts";
import { atLeast, type ScenarioOptions, type ScenarioReport, type Target } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 0.5;
const roundsDefault = 10;
const warmUpRounds = 2;
const bursts = [1, 8, limits.frameRecordsMax];
const text = "x".repeat(200);
const rateMin = 2;
const cpuMin = 1.7;

interface Sample {
  readonly perSecond: number;
  readonly cpuUs: number;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const worker = new Worker(new URL("../inside/teller.ts", import.meta.url));
  const subjects = bursts.map((burst) => ({ burst, batched: new Array<Sample>(), single: new Array<Sample>() }));
  const failed = once(worker, "error").then(([error]): never => {
    throw error;
  });
  try {
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { burst, ...samples } of subjects)
        for (const how of ["batched", "single"] as const) {
          const sample = await measure(worker, failed, { how, burst, text, forMs: seconds * 1_000 });
          if (round >= warmUpRounds) samples[how].push(sample);
        }
    }
  } finally {
    await worker.terminate();
  }
  const compared = subjects.map(({ burst, batched, single }) => ({
    burst,
    batched,
    single,
    rate: makeRatios(batched.map(perSecondOf), single.map(perSecondOf)),
    cpu: makeRatios(single.map(cpuOf), batched.map(cpuOf)),
  }));
  return {
    name: "tell",
    rows: compared.flatMap(({ burst, batched, single, rate, cpu }) => [
      rowOf("mailbox of a cell", burst, batched, { "rate to single": rate, "CPU of single to it": cpu }),
      rowOf("a postMessage each", burst, single, {}),
    ]),
    targets: compared.slice(-1).map(({ rate, cpu }) => judge(rate.p10, cpu.p10)),
  };
}

/** One of the two is enough: where a core is free, the rate is the slower side's. */
function judge(rate: number, cpu: number): Target {
  return rate >= rateMin
    ? atLeast("batched tells, rate to single messages, p10", rate, rateMin, "times")
    : atLeast("batched tells, CPU of single messages to it, p10", cpu, cpuMin, "times");
}

const perSecondOf = ({ perSecond }: Sample): number => perSecond;
const cpuOf = ({ cpuUs }: Sample): number => cpuUs;

const rowOf = (how: string, burst: number, samples: readonly Sample[], ratios: object) => ({
  how,
  "in a burst": burst,
  "messages/s": makeSpread(samples.map(perSecondOf)),
  "CPU µs/message": makeSpread(samples.map(cpuOf)),
  ...ratios,
});

async function measure(worker: Worker, failed: Promise<never>, order: TellOrder): Promise<Sample> {
  let came = 0;
  const hear = (said: unknown): void => {
    if (!Array.isArray(said)) return;
    came += order.how === "single" ? 1 : countRecords(said);
    if (came < order.burst) return;
    came = 0;
    worker.postMessage(null);
  };
  worker.on("message", hear);
  const ended = new Promise<Told>((resolve) => {
    const end = (said: unknown): void => {
      if (Array.isArray(said)) return;
      worker.off("message", end);
      resolve(said as Told);
    };
    worker.on("message", end);
  });
  const before = process.cpuUsage();
  worker.postMessage(order);
  const { messages, elapsedMs } = await Promise.race([ended, failed]);
  const { user, system } = process.cpuUsage(before);
  worker.off("message", hear);
  return { perSecond: (messages * 1_000) / elapsedMs, cpuUs: (user + system) / messages };
}

function countRecords(frame: readonly unknown[]): number {
  const parsed = parseUpFrame(frame, limits.frameRecordsMax);
  if (!parsed.ok) throw new Error(`Reading a frame: ${parsed.reason}.`);
  return parsed.records.length;
}
