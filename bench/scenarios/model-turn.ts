/**
 * What the gateway adds to one turn of a model: client → agent → model that answers at once → reply, durable, the program in its own process
 * with its usual settings and the module `assistant`. Next to it, in the same rounds, the same model asked without a gateway.
 */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { loadHttp, makeConfig, postByWebhook } from "../http-load.ts";
import { quantile } from "../inside/measure-calls.ts";
import { openQuickModel, type QuickModel, quickAnswer } from "../model-server.ts";
import { connectOperator } from "../operator.ts";
import { readCpuMs, readMemory } from "../process-figures.ts";
import { type Program, startProgram } from "../program.ts";
import { atLeast, atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeSpread, type Spread } from "../spread.ts";

const secondsDefault = 2.5;
const roundsDefault = 5;
/** Each of the cells has a heap and compiled code of its own, and sees a twentieth of the turns. */
const warmUpRounds = 3;
const agents = 20;
/** Then a client begins another session: conversations stay as short as a question to an assistant. */
const turnsOfSession = 8;
/** V8 still collects for so long (measured for `memory`). */
const settleMs = 3_000;
const firstPieces = 50;
const turnCpuMsMax = 3;
const turnsPerSecondMin = 300;
const firstPieceMsMax = 2;
const liveMbMax = 350;

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the gateway; of the model without one: nothing. */
  readonly cpuMs: number;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const model = await openQuickModel();
  try {
    const program = await startProgram(configFor(model));
    const operator = await connectOperator(program.port);
    try {
      return await measure({ model, program, operator, seconds, rounds, progress });
    } finally {
      await operator.close();
      await program.stop();
    }
  } finally {
    await model.close();
  }
}

const of = (samples: readonly Sample[], figure: keyof Sample): Spread =>
  makeSpread(samples.map((sample) => sample[figure]));

interface Bench {
  readonly model: QuickModel;
  readonly program: Program;
  readonly operator: GatewayClient;
  readonly seconds: number;
  readonly rounds: number;
  readonly progress: (text: string) => void;
}

async function measure({ model, program, operator, seconds, rounds, progress }: Bench): Promise<ScenarioReport> {
  const { pid, port } = program;
  let turns = 0;
  const say = async (agent: Agent, client: number, spread: number): Promise<void> => {
    const room = `r${client}-${Math.floor(turns++ / (turnsOfSession * spread))}`;
    await askAssistant(port, agent, client % agents, room);
  };
  const subjects = [
    { what: "the model alone", inFlight: 1, call: (agent: Agent) => askModel(model, agent) },
    { what: "a turn", inFlight: 1, call: (agent: Agent, client: number) => say(agent, client, 1) },
    { what: "a turn", inFlight: 16, call: (agent: Agent, client: number) => say(agent, client, 16) },
  ].map((subject) => ({ ...subject, samples: new Array<Sample>() }));
  const whole: number[] = [];
  const back: number[] = [];
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
    const counts = round >= warmUpRounds;
    for (const { inFlight, call, samples } of subjects) {
      const before = await readCpuMs(pid);
      const { calls, elapsedMs, p50Ms, p99Ms } = await loadHttp(inFlight, seconds, call);
      const cpuMs = ((await readCpuMs(pid)) - before) / calls;
      if (counts) samples.push({ perSecond: (calls * 1_000) / elapsedMs, p50Ms, p99Ms, cpuMs });
    }
    const pieces = await measureFirstPieces(model, operator, round);
    if (counts) {
      whole.push(pieces.whole);
      back.push(pieces.back);
    }
  }
  progress(`${agents} live agents at rest`);
  const rssMb = await measureLive(model);
  const rows = subjects.map(({ what, inFlight, samples }) => ({
    what,
    "in flight": inFlight,
    "a second": of(samples, "perSecond"),
    "p50 ms": of(samples, "p50Ms"),
    "p99 ms": of(samples, "p99Ms"),
    "CPU ms each": what === "a turn" ? of(samples, "cpuMs") : "",
  }));
  const busy = subjects[2]?.samples ?? [];
  const aloneMs = of(subjects[0]?.samples ?? [], "p50Ms").median;
  const [wholeMs, backMs] = [makeSpread(whole), makeSpread(back)];
  return {
    name: "model-turn",
    rows: [
      ...rows,
      {
        what: "first piece, from the client's message on",
        "in flight": 1,
        "a second": "",
        "p50 ms": wholeMs,
        "p99 ms": "",
        "CPU ms each": "",
      },
      {
        what: "first piece, from the model's writing it on",
        "in flight": 1,
        "a second": "",
        "p50 ms": backMs,
        "p99 ms": "",
        "CPU ms each": "",
      },
    ],
    targets: [
      atMost("CPU of a turn with a model, 16 in flight", of(busy, "cpuMs").median, turnCpuMsMax, "ms"),
      atLeast("turns with a model, 16 in flight", of(busy, "perSecond").median, turnsPerSecondMin, "a second"),
      atMost(
        "first piece of an answer: added by the way there and back",
        wholeMs.median - aloneMs,
        firstPieceMsMax,
        "ms",
      ),
      atMost("first piece of an answer: added by the way back", backMs.median, firstPieceMsMax, "ms"),
      atMost(`${agents} live agents with models, RSS`, rssMb, liveMbMax, "MB"),
    ],
  };
}

async function askAssistant(port: number, agent: Agent, at: number, room: string): Promise<void> {
  const { status, text } = await postByWebhook(port, agent, `m${at}`, room, "What is the answer?");
  if (status !== 200 || (JSON.parse(text) as { readonly reply?: string }).reply !== quickAnswer)
    throw new Error(`Asking an assistant: found ${status} ${text.slice(0, 300)}, wanted the model's answer.`);
}

/** A program whose agents have all asked their model once, after a rest. */
async function measureLive(model: QuickModel): Promise<number> {
  const program = await startProgram(configFor(model));
  const { pid, port } = program;
  const agent = new Agent({ keepAlive: true });
  try {
    for (let at = 0; at < agents; at++) await askAssistant(port, agent, at, "r");
    await sleep(settleMs);
    return (await readMemory(pid)).rssMb;
  } finally {
    agent.destroy();
    await program.stop();
  }
}

/** Medians of one stretch: from the message's leaving to its first piece, and from the model's first piece to its arrival. */
async function measureFirstPieces(
  model: QuickModel,
  operator: GatewayClient,
  round: number,
): Promise<{ readonly whole: number; readonly back: number }> {
  const events = operator.events()[Symbol.asyncIterator]();
  const whole: number[] = [];
  const back: number[] = [];
  for (let at = 0; at < firstPieces; at++) {
    const sessionKey = `agent:m0:first-${round}-${Math.floor(at / turnsOfSession)}`;
    const startMs = performance.now();
    const sent = operator.request("chat.send", { sessionKey, message: "What is the answer?" });
    let heardMs: number | undefined;
    for (;;) {
      const next = await events.next();
      if (next.done === true) throw new Error("Waiting for a piece of an answer: the connection ended.");
      const { event, payload } = next.value;
      const row = payload as { readonly sessionKey?: string; readonly state?: string };
      if (event !== "chat" || row.sessionKey !== sessionKey) continue;
      if (row.state === "delta") heardMs ??= performance.now();
      else if (row.state !== "final")
        throw new Error(`Asking an assistant: found ${JSON.stringify(payload)}, wanted an answer.`);
      else break;
    }
    await sent;
    if (heardMs === undefined)
      throw new Error("Asking an assistant: found an answer without pieces, wanted its first one.");
    whole.push(heardMs - startMs);
    back.push(heardMs - model.lastPieceMs());
  }
  await events.return?.();
  return { whole: median(whole), back: median(back) };
}

const median = (samples: readonly number[]): number =>
  quantile(
    samples.toSorted((a, b) => a - b),
    0.5,
  );

function configFor({ baseUrl }: QuickModel): object {
  const assistants = Array.from({ length: agents }, (_, at) => ({
    id: `m${at}`,
    module: "assistant",
    model: "local/m",
  }));
  return {
    ...makeConfig(0, 0, "thread", assistants),
    models: { providers: { local: { api: "openai-completions", baseUrl, models: [{ id: "m" }] } } },
  };
}

/** As the gateway asks it, without one. */
function askModel({ port }: QuickModel, agent: Agent): Promise<void> {
  const body = JSON.stringify({
    model: "m",
    stream: true,
    messages: [{ role: "user", content: "What is the answer?" }],
  });
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const asked = request({ host: "127.0.0.1", port, path: "/v1/chat/completions", method: "POST", agent, headers });
    asked.on("response", (incoming) => incoming.on("error", reject).on("end", resolve).resume());
    asked.on("error", reject);
    asked.end(body);
  });
}
