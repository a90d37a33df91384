/**
 * What the neighbours of agents gone wrong notice. Fifty live agents; in every second program of a round four of them do their
 * worst for the whole measurement: one spins, one throws, one pours out 100 MB, one runs out of memory in a process, in one shape of
 * `test/fixtures/actors/flooder.ts` after the other. The others get messages at the same fixed times in both programs, and so does `/healthz`.
 */
import { Agent } from "node:http";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { shapes } from "../../test/chaos/crash-shapes.ts";
import { type AgentConfig, expectHealthy, makeConfig, postByWebhook, sayByWebhook } from "../http-load.ts";
import { loadOpen, type OpenLoopFigures } from "../open-loop.ts";
import { connectOperator } from "../operator.ts";
import { packageRoot, startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeSpread } from "../spread.ts";

const secondsDefault = 15;
const roundsDefault = 3;
const agents = 50;
const messagesPerSecond = 100;
const probesPerSecond = 50;
const pouredCharacters = 100_000_000;
/**
 * Pause between two messages to the agent that pours out. Its cell is through with 100 MB in a few milliseconds, for what it may not send stays in it: without a
 * pause the more the program contains the more messages it gets, and they would be the load.
 */
const pourEveryMs = 100;
const addedMsMax = 50;
const loopDelayMsMax = 50;
const healthMsMax = 100;
/** W-02: what a neighbour of an agent that spins waits for an answer, and `/healthz`. */
const besideSpinMsMax = { message: 100, health: 50 };

const flooder = path.join(packageRoot, "test", "fixtures", "actors", "flooder.ts");
const noisy = fileURLToPath(new URL("../inside/noisy.ts", import.meta.url));
/** All but the one that only a trusted module can do. */
const floods = shapes.filter((shape) => shape !== "native segfault");

/** They get new cells without end, so that the fault lasts; as configured by default they would be parked at their sixth crash. */
const supervision = { intensity: 1_000, backoffMaxMs: 50 };
const faulty: readonly AgentConfig[] = [
  { id: "spin", module: flooder, supervision },
  { id: "throw", module: noisy, supervision },
  { id: "pour", module: noisy, supervision },
  { id: "flood", module: flooder, isolation: { level: "process" }, supervision },
];

interface Sample {
  readonly messages: OpenLoopFigures;
  readonly health: OpenLoopFigures;
  readonly loopDelayMs: number;
  /** How many faults there were. */
  readonly happened: number;
  /** Messages and probes that got no right answer: they are counted, and the run goes on. */
  readonly failed: number;
  readonly firstFailure: string;
}

/** What is measured in each round: nothing, each fault alone, all of them. The faulty agents that have nothing to do are dormant. */
const subjects: readonly (readonly [program: string, faults: readonly string[]])[] = [
  ["no fault", []],
  ["one spins", ["spin"]],
  ["one throws", ["throw"]],
  ["one pours out 100 MB", ["pour"]],
  ["one floods its heap", ["flood"]],
  ["all four", ["spin", "throw", "pour", "flood"]],
];

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  let flooded = 0;
  const texts: Readonly<Record<string, () => string>> = {
    spin: () => "infinite loop",
    throw: () => "throw",
    pour: () => `pour ${pouredCharacters}`,
    flood: () => floods[flooded++ % floods.length] ?? "",
  };
  const measured = subjects.map(([program, faults]) => ({ program, faults, samples: new Array<Sample>() }));
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another program, so that none always has the fresh or the tired machine.
    for (let at = 0; at < measured.length; at++) {
      const { program, faults, samples } = measured[(round + at) % measured.length] ?? never();
      progress(`round ${round + 1} of ${rounds}: ${program}`);
      const sample = await measure(
        seconds,
        faults.map((id) => [id, texts[id] ?? (() => "")] as const),
      );
      samples.push(sample);
      if (sample.failed > 0) progress(`${sample.failed} failed, the first with: ${sample.firstFailure}`);
    }
  }
  /** Against the program without a fault of the same round. */
  const added = (samples: readonly Sample[], figure: (sample: Sample) => number) =>
    makeSpread(samples.map((sample, round) => figure(sample) - figure(measured[0]?.samples[round] ?? never())));
  const rows = measured.map(({ program, samples }) => ({
    program,
    "message p50 ms": makeSpread(samples.map(({ messages }) => messages.p50Ms)),
    "message p99 ms": makeSpread(samples.map(({ messages }) => messages.p99Ms)),
    "added p99 ms": added(samples, ({ messages }) => messages.p99Ms),
    "/healthz p99 ms": makeSpread(samples.map(({ health }) => health.p99Ms)),
    "added /healthz p99 ms": added(samples, ({ health }) => health.p99Ms),
    "loop delay p99 ms": makeSpread(samples.map(({ loopDelayMs }) => loopDelayMs)),
    "added loop delay ms": added(samples, ({ loopDelayMs }) => loopDelayMs),
    "client late p99 ms": makeSpread(samples.map(({ messages }) => messages.lateP99Ms)),
    faults: samples.reduce((sum, { happened }) => sum + happened, 0),
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
  }));
  const all = rows.at(-1);
  const spinning = rows.find(({ program }) => program === "one spins");
  return {
    name: "faults",
    rows,
    targets: [
      atMost("p99 that faulty agents add for the others", all?.["added p99 ms"].median ?? Number.NaN, addedMsMax, "ms"),
      atMost(
        "kernel loop delay beside them, p99",
        all?.["loop delay p99 ms"].median ?? Number.NaN,
        loopDelayMsMax,
        "ms",
      ),
      atMost("/healthz beside them, p99", all?.["/healthz p99 ms"].median ?? Number.NaN, healthMsMax, "ms"),
      atMost(
        "W-02: message beside one that spins, p99",
        spinning?.["message p99 ms"].median ?? Number.NaN,
        besideSpinMsMax.message,
        "ms",
      ),
      atMost(
        "W-02: /healthz beside one that spins, p99",
        spinning?.["/healthz p99 ms"].median ?? Number.NaN,
        besideSpinMsMax.health,
        "ms",
      ),
    ],
  };
}

function never(): never {
  throw new Error("a program or a round is missing");
}

async function measure(
  seconds: number,
  faults: readonly (readonly [id: string, text: () => string])[],
): Promise<Sample> {
  const program = await startProgram(makeConfig(agents, agents, "thread", faulty));
  const http = new Agent({ keepAlive: true });
  const { port } = program;
  const operator = await connectOperator(port);
  const over = new AbortController();
  let happened = 0;
  let failed = 0;
  let firstFailure = "";
  const count = (error: unknown): void => {
    failed++;
    firstFailure ||= String(error).slice(0, 500);
  };
  try {
    // 50 live agents in each program: a calm one less for each faulty one.
    const live = agents - faults.length;
    const say = (request: number): Promise<void> =>
      sayByWebhook(port, http, `a${request % live}`, `room-${request % 200}`);
    for (let at = 0; at < live; at++) await say(at);
    const repeat = async ([id, text]: readonly [string, () => string]): Promise<void> => {
      for (let at = 0; !over.signal.aborted; at++) {
        // An answer of any kind says that the turn ended; the last one ends with the program.
        const answer = await postByWebhook(port, http, id, `room-${at % 10}`, text()).catch(() => undefined);
        if (answer !== undefined) happened++;
        if (id === "pour") await setTimeout(pourEveryMs);
      }
    };
    const repeating = faults.map(repeat);
    const forMs = seconds * 1_000;
    const [messages, health] = await Promise.all([
      loadOpen({ perSecond: messagesPerSecond, forMs }, (request) => say(request).catch(count)),
      loadOpen({ perSecond: probesPerSecond, forMs }, () => expectHealthy(port, http).catch(count)),
    ]);
    const { loopDelayMs } = (await operator.request("health", {})) as { readonly loopDelayMs: number };
    over.abort();
    await operator.close();
    await program.stop();
    await Promise.all(repeating);
    return { messages, health, loopDelayMs, happened, failed, firstFailure };
  } finally {
    over.abort();
    http.destroy();
    await program.stop();
  }
}
