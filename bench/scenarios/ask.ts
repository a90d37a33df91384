/**
 * What a question and its answer cost in Cloister against what people would use instead, with one and with 64 in flight. In
 * Cloister an agent asks another one through the kernel of the real program, in memory, with every check on. The libraries
 * ask from where their documentation asks, most of them from the main thread: that is one thread less on the way. "Raw
 * ports, relayed" goes the same way as Cloister.
 */
import { Agent } from "node:http";
import { fileURLToPath } from "node:url";
import { makeConfig, postByWebhook } from "../http-load.ts";
import { inSlices } from "../in-slices.ts";
import type { SiblingOrder } from "../inside/caller.ts";
import type { CallFigures } from "../inside/measure-calls.ts";
import { connectOperator } from "../operator.ts";
import { openPeerProcess } from "../peer-process.ts";
import type { MeasuredCalls } from "../peers/host.ts";
import { bringsServer, findInstalled, type PeerName, peers } from "../peers/index.ts";
import { readThreadsCpuMs } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atLeast, atMost, type ScenarioOptions, type ScenarioReport, type Target } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 0.8;
const roundsDefault = 7;
/** V8 goes on compiling what a question is made of for some seconds: the rate of the fifth round is a tenth above that of the second, the p50 alone as much below. */
const warmUpRounds = 8;
const widths = [1, 64];
const text = "x".repeat(200);
const relay = "raw ports, relayed";
const ours = "Cloister, in memory";
/** Clients are told of some questions, and of those that wait. */
const watched = "Cloister, a client connected";

/** How many times the peer's rate, and how many times less CPU, Cloister must have with 64 in flight. */
const bars: readonly (readonly [peer: PeerName, rate: number, cpu?: number])[] = [
  [relay, 1.8],
  ["comlink", 6, 8],
  ["threads.js", 8, 10],
  ["piscina", 4, 5],
  ["comedy, threaded", 3, 4],
];
/** With one in flight: p50 to that of raw ports, relayed. */
const aloneRatioMax = 1.15;

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}

interface Subject {
  readonly who: string;
  readonly between: string;
  readonly measure: (inFlight: number) => Promise<MeasuredCalls>;
  readonly close: () => Promise<void>;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const { installed, leftOut } = findInstalled(Object.keys(peers) as PeerName[]);
  if (leftOut !== undefined) progress(leftOut);
  const subjects: Subject[] = [];
  const open = async (subject: Promise<Subject>): Promise<Subject> => {
    const opened = await subject;
    subjects.push(opened);
    return opened;
  };
  try {
    const cloister = await open(openCloister(seconds));
    const together = [cloister, await open(openWatched(seconds))];
    for (const name of installed) if (!bringsServer(name)) together.push(await open(openPeer(name, seconds)));
    const measured = await measureRounds(together, rounds, progress);
    const rows = measured.map((one) => rowOf(one, measured));
    // One that brings a server takes CPU at rest too: nobody else is measured beside it.
    for (const name of installed.filter(bringsServer)) {
      const beside = await measureRounds([cloister, await open(openPeer(name, seconds))], rounds, progress);
      rows.push(...beside.filter(({ subject }) => subject !== cloister).map((one) => rowOf(one, beside)));
    }
    return { name: "ask", rows, targets: judge(measured) };
  } finally {
    await Promise.all(subjects.map(({ close }) => close()));
  }
}

interface Measured {
  readonly subject: Subject;
  readonly inFlight: number;
  readonly samples: readonly Sample[];
}

/** All in turn inside of each round. */
async function measureRounds(
  subjects: readonly Subject[],
  rounds: number,
  progress: (text: string) => void,
): Promise<readonly Measured[]> {
  const measured = widths.flatMap((inFlight) =>
    subjects.map((subject) => ({ subject, inFlight, samples: new Array<Sample>() })),
  );
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
    for (const { subject, inFlight, samples } of measured) {
      const sample = summarize(await subject.measure(inFlight));
      if (round >= warmUpRounds) samples.push(sample);
    }
  }
  return measured;
}

const samplesOf = (measured: readonly Measured[], who: string, inFlight: number): readonly Sample[] =>
  measured.find(({ subject, inFlight: width }) => subject.who === who && width === inFlight)?.samples ?? [];

/** With its ratios to Cloister's samples of the same rounds. */
function rowOf(
  { subject: { who, between }, inFlight, samples }: Measured,
  beside: readonly Measured[],
): ScenarioReport["rows"][number] {
  const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
  const own = samplesOf(beside, ours, inFlight);
  return {
    who,
    between,
    "in flight": inFlight,
    "calls/s": makeSpread(of("perSecond")),
    "p50 ms": makeSpread(of("p50Ms")),
    "p99 ms": makeSpread(of("p99Ms")),
    "CPU µs/call": makeSpread(of("cpuUs")),
    "Cloister's rate to its": makeRatios(
      own.map(({ perSecond }) => perSecond),
      of("perSecond"),
    ),
    "its CPU to Cloister's": makeRatios(
      of("cpuUs"),
      own.map(({ cpuUs }) => cpuUs),
    ),
  };
}

/** A claim holds when the bad end of its ratio passes: p10 of what must be high, p90 of what must be low. */
function judge(measured: readonly Measured[]): readonly Target[] {
  const own = samplesOf(measured, ours, 64);
  const pipelined = bars.flatMap(([peer, rate, cpu]) => {
    const samples = samplesOf(measured, peer, 64);
    if (samples.length === 0) return [];
    const rates = makeRatios(
      own.map(({ perSecond }) => perSecond),
      samples.map(({ perSecond }) => perSecond),
    );
    const cpus = makeRatios(
      samples.map(({ cpuUs }) => cpuUs),
      own.map(({ cpuUs }) => cpuUs),
    );
    return [
      atLeast(`64 asks in flight, rate to ${peer}, p10`, rates.p10, rate, "times"),
      ...(cpu === undefined ? [] : [atLeast(`64 asks in flight, CPU of ${peer} to it, p10`, cpus.p10, cpu, "times")]),
    ];
  });
  const alone = makeRatios(
    samplesOf(measured, ours, 1).map(({ p50Ms }) => p50Ms),
    samplesOf(measured, relay, 1).map(({ p50Ms }) => p50Ms),
  );
  return [...pipelined, atMost(`one ask in flight, p50 to ${relay}, p90`, alone.p90, aloneRatioMax, "times")];
}

async function openPeer(name: PeerName, seconds: number): Promise<Subject> {
  const peer = await openPeerProcess(name);
  return {
    who: name,
    between: peers[name].between,
    measure: (inFlight) => peer.measure({ inFlight, forMs: seconds * 1_000, text }),
    close: peer.close,
  };
}

/** The real program in a process of its own; the asking agent measures, as the asking side of each library does. */
async function openCloister(seconds: number): Promise<Subject & { readonly port: number }> {
  const caller = fileURLToPath(new URL("../inside/caller.ts", import.meta.url));
  const program = await startProgram({
    ...makeConfig(0, 0, "thread", [
      { id: "main", default: true, module: caller },
      { id: "raul", maxConcurrent: Math.max(...widths) },
    ]),
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
  });
  const http = new Agent({ keepAlive: true });
  const say = async (agentId: string, said: string): Promise<string> => {
    const { status, text: answer } = await postByWebhook(program.port, http, agentId, "bench", said);
    const reply = status === 200 ? (JSON.parse(answer) as { readonly reply?: string }).reply : undefined;
    if (reply === undefined) throw new Error(`Asking ${agentId}: found ${status} ${answer}, wanted 200 and a reply.`);
    return reply;
  };
  const close = async (): Promise<void> => {
    http.destroy();
    await program.stop();
  };
  try {
    // A message in memory is not kept for an agent that has yet to start.
    await say("raul", text);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    who: ours,
    port: program.port,
    between: "agent → kernel → agent",
    async measure(inFlight) {
      const beforeMs = await readThreadsCpuMs(program.pid);
      const figures = await inSlices(seconds * 1_000, async (forMs) => {
        const order: SiblingOrder = { sibling: "raul", durability: "accepted", text, inFlight, forMs };
        return JSON.parse(await say("main", JSON.stringify(order))) as CallFigures;
      });
      return { figures, cpuUs: ((await readThreadsCpuMs(program.pid)) - beforeMs) * 1_000 };
    },
    close,
  };
}

async function openWatched(seconds: number): Promise<Subject> {
  const cloister = await openCloister(seconds);
  try {
    const client = await connectOperator(cloister.port);
    const close = async (): Promise<void> => {
      await client.close();
      await cloister.close();
    };
    return { ...cloister, who: watched, close };
  } catch (error) {
    await cloister.close();
    throw error;
  }
}

function summarize({ figures: { calls, elapsedMs, p50Ms, p99Ms }, cpuUs }: MeasuredCalls): Sample {
  return { perSecond: (calls * 1_000) / elapsedMs, p50Ms, p99Ms, cpuUs: cpuUs / calls };
}
