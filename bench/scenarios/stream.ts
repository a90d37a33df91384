/**
 * What an answer that streams costs on its way from an agent to a reader at a WebSocket, the program in its own process, against a bare worker that posts each
 * piece to its main thread by itself. Every character has to arrive. The reader sees joined pieces: `limits` and the edge's pace say how often.
 */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { makeConfig } from "../http-load.ts";
import type { PourOrder } from "../inside/pouring.ts";
import { connectOperator } from "../operator.ts";
import { readThreadsCpuMs } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import type { ScenarioOptions, ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 1;
const roundsDefault = 5;
const warmUpRounds = 1;
const bursts = [1, 64];
/** One turn of an agent; both stay below what one may stream (`limits.streamCharsMax`). */
const pieces = 5_000;
const chars = 100;

interface Poured {
  readonly elapsedMs: number;
  /** What the reader was sent for it. */
  readonly messages: number;
}

interface Subject {
  readonly who: string;
  readonly cpuMs: () => Promise<number>;
  readonly pour: (order: PourOrder) => Promise<Poured>;
  readonly close: () => Promise<void>;
}

interface Sample {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly messages: number;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const subjects: Subject[] = [];
  try {
    subjects.push(await openGateway());
    subjects.push(openRaw());
    const measured = bursts.flatMap((burst) =>
      subjects.map((subject) => ({ subject, burst, samples: new Array<Sample>() })),
    );
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { subject, burst, samples } of measured) {
        const sample = await measure(subject, burst, seconds * 1_000);
        if (round >= warmUpRounds) samples.push(sample);
      }
    }
    const rows = measured.map(({ subject: { who }, burst, samples }) => {
      const floor = measured.find((one) => one.burst === burst && one.subject !== subjects[0])?.samples ?? [];
      const of = (figure: keyof Sample, from = samples) => from.map((sample) => sample[figure]);
      return {
        who,
        "in a burst": burst,
        "pieces/s": makeSpread(of("perSecond")),
        "CPU µs/piece": makeSpread(of("cpuUs")),
        "messages to the reader for 1,000 pieces": makeSpread(of("messages")),
        "CPU ratio to raw": makeRatios(of("cpuUs"), of("cpuUs", floor)),
      };
    });
    return { name: "stream", rows };
  } finally {
    await Promise.all(subjects.map(({ close }) => close()));
  }
}

async function measure({ cpuMs, pour }: Subject, burst: number, forMs: number): Promise<Sample> {
  const beforeMs = await cpuMs();
  const order: PourOrder = { pieces, chars, burst };
  let [elapsedMs, messages, turns] = [0, 0, 0];
  while (elapsedMs < forMs) {
    const poured = await pour(order);
    elapsedMs += poured.elapsedMs;
    messages += poured.messages;
    turns++;
  }
  const told = turns * pieces;
  return {
    perSecond: (told * 1_000) / elapsedMs,
    cpuUs: (((await cpuMs()) - beforeMs) * 1_000) / told,
    messages: (messages * 1_000) / told,
  };
}

async function openGateway(): Promise<Subject> {
  const actor = fileURLToPath(new URL("../inside/pouring.ts", import.meta.url));
  const program = await startProgram(makeConfig(0, 0, "thread", [{ id: "main", default: true, module: actor }]));
  try {
    const operator = await connectOperator(program.port);
    return {
      who: "agent → kernel → edge → WebSocket",
      cpuMs: () => readThreadsCpuMs(program.pid),
      pour: (order) => readStream(operator, order),
      async close() {
        await operator.close();
        await program.stop();
      },
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

/** Ends with the last character; what the store does for the turn afterwards is waited for, and not counted in the time. */
async function readStream(operator: GatewayClient, order: PourOrder): Promise<Poured> {
  const sessionKey = "agent:main:stream";
  const events = operator.events()[Symbol.asyncIterator]();
  const wanted = order.pieces * order.chars;
  const startMs = performance.now();
  const sent = operator.request("chat.send", { sessionKey, message: JSON.stringify(order) });
  let [came, messages, elapsedMs] = [0, 0, 0];
  for (;;) {
    const next = await events.next();
    if (next.done === true) throw new Error("Reading a stream: the connection ended.");
    const { event, payload } = next.value;
    const row = payload as { readonly sessionKey?: string; readonly state?: string; readonly deltaText?: string };
    if (event !== "chat" || row.sessionKey !== sessionKey) continue;
    if (row.state === "final") break;
    if (row.state !== "delta") throw new Error(`Reading a stream: found ${JSON.stringify(payload)}, wanted text.`);
    messages++;
    came += row.deltaText?.length ?? 0;
    if (came === wanted) elapsedMs = performance.now() - startMs;
  }
  await sent;
  await events.return?.();
  if (came !== wanted) throw new Error(`Reading a stream: found ${came} characters, wanted ${wanted}.`);
  return { elapsedMs, messages };
}

/** Its CPU is that of this process, which does nothing else meanwhile. */
function openRaw(): Subject {
  const worker = new Worker(new URL("../inside/raw-pouring.ts", import.meta.url));
  const failed = once(worker, "error").then(([error]): never => {
    throw error;
  });
  failed.catch(() => undefined);
  const read = (order: PourOrder): Promise<Poured> =>
    new Promise((resolve) => {
      const startMs = performance.now();
      let came = 0;
      const hear = (piece: string): void => {
        came += piece.length;
        if (came < order.pieces * order.chars) return;
        worker.off("message", hear);
        resolve({ elapsedMs: performance.now() - startMs, messages: order.pieces });
      };
      worker.on("message", hear);
      worker.postMessage(order);
    });
  return {
    who: "a raw port, a message each",
    async cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    pour: (order) => Promise.race([read(order), failed]),
    close: async () => void (await worker.terminate()),
  };
}
