/**
 * The gateway that people would use instead, and Cloister, in turn in each round: the same configuration, the same requests over the same
 * HTTP interface, the same model that answers at once. What agents do with each other is timed by the model: it sees when it is asked.
 */
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { loadHttp, send } from "../http-load.ts";
import { isInstalled, startIncumbent } from "../incumbent.ts";
import { readCpuMs, readMemory } from "../process-figures.ts";
import { type Program, startProgram } from "../program.ts";
import { atLeast, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread, type Spread } from "../spread.ts";
import { openToolModel, resultOf, type ToolModel } from "../tool-model.ts";

const secondsDefault = 5;
const roundsDefault = 3;
const agents = 20;
const inFlight = 16;
/** Of each kind in a round. */
const exchanges = 5;
/** V8 still collects for so long (measured for `memory`). */
const settleMs = 3_000;
const turnsRatioMin = 100;
const siblingRatioMin = 50;
const token = "bench-gateway-token-0123456789";

const figures = [
  ["start to ready, ms", "startMs"],
  ["RSS with 20 agents that have answered, MB", "rssMb"],
  ["a turn, 1 in flight, p50 ms", "turnMs"],
  ["turns a second, 16 in flight", "perSecond"],
  ["CPU of a turn, 16 in flight, ms", "cpuMs"],
  ["a question to a sibling and its answer, p50 ms", "siblingMs"],
  ["a sub-agent is accepted, p50 ms", "acceptedMs"],
  ["a sub-agent's last step to the announce, p50 ms", "announceMs"],
] as const;

type Sample = Readonly<Record<(typeof figures)[number][1], number>>;

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  if (!isInstalled()) {
    const missing = "not installed: npm run bench:incumbent";
    progress(`the incumbent is ${missing}`);
    return { name: "incumbent", rows: [{ what: "openclaw", cloister: missing, incumbent: missing, ratio: missing }] };
  }
  const model = await openToolModel();
  try {
    const config = configFor(model);
    const subjects = [
      { name: "cloister", start: () => startProgram(config), samples: new Array<Sample>() },
      { name: "incumbent", start: () => startIncumbent(config), samples: new Array<Sample>() },
    ];
    for (let round = 0; round < rounds; round++) {
      for (const { name, start, samples } of round % 2 === 0 ? subjects : subjects.toReversed()) {
        progress(`round ${round + 1} of ${rounds}: ${name}`);
        const program = await start();
        try {
          samples.push(await measure(program, model, seconds));
        } finally {
          await program.stop();
        }
      }
    }
    const [ours = [], theirs = []] = subjects.map(({ samples }) => samples);
    const ratio = (figure: keyof Sample): Spread =>
      makeRatios(
        theirs.map((sample) => sample[figure]),
        ours.map((sample) => sample[figure]),
      );
    return {
      name: "incumbent",
      rows: figures.map(([what, figure]) => ({
        what,
        cloister: makeSpread(ours.map((sample) => sample[figure])),
        incumbent: makeSpread(theirs.map((sample) => sample[figure])),
        "incumbent to cloister": ratio(figure),
      })),
      targets: [
        atLeast("turns, rate to the incumbent's, p10", 1 / ratio("perSecond").p90, turnsRatioMin, "times"),
        atLeast("sibling, faster than the incumbent, p10", ratio("siblingMs").p10, siblingRatioMin, "times"),
      ],
    };
  } finally {
    await model.close();
  }
}

async function measure(program: Program, model: ToolModel, seconds: number): Promise<Sample> {
  const { pid, port, startMs } = program;
  const agent = new Agent({ keepAlive: true });
  try {
    for (let at = 0; at < agents; at++) await say(port, agent, at, "first", "What is the answer?");
    await sleep(settleMs);
    const { rssMb } = await readMemory(pid);
    let turns = 0;
    const turn = (from: Agent, client: number): Promise<void> =>
      say(port, from, client % agents, `turn-${turns++}`, "What is the answer?");
    const one = await loadHttp(1, seconds, turn);
    const beforeMs = await readCpuMs(pid);
    const many = await loadHttp(inFlight, seconds, turn);
    const cpuMs = ((await readCpuMs(pid)) - beforeMs) / many.calls;
    const siblings: number[] = [];
    const accepted: number[] = [];
    const announced: number[] = [];
    for (let at = 0; at < exchanges; at++) {
      siblings.push(await askSibling(port, agent, model, at));
      const spawned = await spawn(port, agent, model, at);
      accepted.push(spawned.acceptedMs);
      announced.push(spawned.announceMs);
    }
    return {
      startMs,
      rssMb,
      turnMs: one.p50Ms,
      perSecond: (many.calls * 1_000) / many.elapsedMs,
      cpuMs,
      siblingMs: makeSpread(siblings).median,
      acceptedMs: makeSpread(accepted).median,
      announceMs: makeSpread(announced).median,
    };
  } finally {
    agent.destroy();
  }
}

/** From the model's call of `sessions_send` until it is told what came of it; the sibling's own turn is in it. */
async function askSibling(port: number, agent: Agent, model: ToolModel, at: number): Promise<number> {
  const from = model.count();
  await say(port, agent, 0, "sends", `send m${1 + (at % (agents - 1))} mark-${at}`);
  const call = await model.waitFor("the call of sessions_send", from, ({ called }) => called === "sessions_send");
  const told = await model.waitFor("the result of sessions_send", from, ({ role }) => role === "tool");
  if (!told.text.includes('"ok"'))
    throw new Error(`Asking a sibling: found ${told.text.slice(0, 500)}, wanted its answer.`);
  return told.askedMs - call.answeredMs;
}

interface Spawned {
  /** From the model's call of `sessions_spawn` until it is told that the sub-agent was accepted. */
  readonly acceptedMs: number;
  /** From the answer to the sub-agent's last step until its requester is asked what it makes of the result. */
  readonly announceMs: number;
}

async function spawn(port: number, agent: Agent, model: ToolModel, at: number): Promise<Spawned> {
  const from = model.count();
  const mark = `mark-${1_000 + at}`;
  await say(port, agent, 0, `spawns-${at}`, `spawn ${mark}`);
  const call = await model.waitFor("the call of sessions_spawn", from, ({ called }) => called === "sessions_spawn");
  const told = await model.waitFor("the result of sessions_spawn", from, ({ role }) => role === "tool");
  if (!told.text.includes("accepted"))
    throw new Error(`Spawning: found ${told.text.slice(0, 500)}, wanted it accepted.`);
  const last = await model.waitFor("the sub-agent's task", from, ({ text }) => text.includes(`task ${mark}`));
  const announce = await model.waitFor("the announce", from, ({ text }) => text.includes(resultOf(mark)));
  return { acceptedMs: told.askedMs - call.answeredMs, announceMs: announce.askedMs - last.answeredMs };
}

/** A message in the conversation of that name; waits for the answer. */
async function say(port: number, agent: Agent, at: number, user: string, content: string): Promise<void> {
  const body = { model: `openclaw/m${at}`, user, messages: [{ role: "user", content }] };
  const { status, text } = await send({ port, agent, path: "/v1/chat/completions", token, body });
  if (status !== 200) throw new Error(`Saying ${content}: found ${status} ${text.slice(0, 500)}, wanted an answer.`);
}

/** What both programs take. */
function configFor({ baseUrl }: ToolModel) {
  const models = [{ id: "m", name: "m", contextWindow: 128_000, maxTokens: 4_096, input: ["text"] }];
  const ids = Array.from({ length: agents }, (_, at) => `m${at}`);
  return {
    gateway: { auth: { mode: "token", token }, http: { endpoints: { chatCompletions: { enabled: true } } } },
    models: {
      mode: "replace",
      providers: { local: { api: "openai-completions", baseUrl, apiKey: "none", models } },
    },
    agents: {
      defaults: { model: { primary: "local/m" } },
      list: ids.map((id, at) => ({ id, ...(at === 0 ? { default: true } : {}) })),
    },
    tools: { agentToAgent: { enabled: true, allow: ids }, sessions: { visibility: "all" } },
    session: { agentToAgent: { maxPingPongTurns: 0 } },
  };
}
