/**
 * What a channel bears: Telegram's long polling → agent with the module `echo` → sendMessage, durable both ways, the program in its own process
 * with grammY in the thread of its channel. The platform is the Bot API of the tests in this process, which answers at once. A message takes from
 * the server's handing out of its update to the arrival of the answer; what it waited for the poll before that is in the rate and in `said p99`.
 */
import type { Update } from "grammy/types";
import { type BotApi, makeMessage, openBotApi, type Step } from "../../test/support/bot-api.ts";
import { measureCalls, quantile } from "../inside/measure-calls.ts";
import { readCpuMs } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atLeast, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeSpread, type Spread } from "../spread.ts";

const secondsDefault = 3;
const roundsDefault = 5;
const warmUpRounds = 1;
/** People who write, each in a chat of their own, who write again when they are answered. */
const people = [1, 64];
const perSecondMin = 200;
const answerMsMax = 30_000;
const token = "7000:BENCH";

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly saidP99Ms: number;
  readonly cpuMs: number;
}

export async function run({
  seconds = secondsDefault,
  rounds = roundsDefault,
  progress,
}: ScenarioOptions): Promise<ScenarioReport> {
  const book = makeBook();
  const api = await openBotApi((step) => book.note(step));
  api.addBot(token, "bench_bot");
  const program = await startProgram(configFor(api));
  const subjects = people.map((inFlight) => ({ inFlight, samples: new Array<Sample>() }));
  try {
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { inFlight, samples } of subjects) {
        const sample = await measure(api, book, program.pid, inFlight, seconds);
        if (round >= warmUpRounds) samples.push(sample);
      }
    }
  } finally {
    await program.stop();
    await api.close();
  }
  if (api.violations.length > 0)
    throw new Error(`Talking over Telegram: found ${api.violations[0]}, wanted calls as the Bot API has them.`);
  return {
    name: "channels",
    rows: subjects.map(({ inFlight, samples }) => ({
      channel: "Telegram, long polling",
      people: inFlight,
      "a second": of(samples, "perSecond"),
      "p50 ms": of(samples, "p50Ms"),
      "p99 ms": of(samples, "p99Ms"),
      "said p99 ms": of(samples, "saidP99Ms"),
      "CPU ms each": of(samples, "cpuMs"),
    })),
    targets: subjects
      .slice(-1)
      .map(({ inFlight, samples }) =>
        atLeast(
          `messages through Telegram, ${inFlight} people`,
          of(samples, "perSecond").median,
          perSecondMin,
          "a second",
        ),
      ),
  };
}

const of = (samples: readonly Sample[], figure: keyof Sample): Spread =>
  makeSpread(samples.map((sample) => sample[figure]));

async function measure(api: BotApi, book: Book, pid: number, inFlight: number, seconds: number): Promise<Sample> {
  const before = await readCpuMs(pid);
  const { calls, elapsedMs, p99Ms } = await measureCalls({ inFlight, forMs: seconds * 1_000 }, (client) =>
    book.say(api, client),
  );
  const cpuMs = ((await readCpuMs(pid)) - before) / calls;
  const sorted = book.takeTimes().toSorted((a, b) => a - b);
  return {
    perSecond: (calls * 1_000) / elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    saidP99Ms: p99Ms,
    cpuMs,
  };
}

interface Book {
  note(step: Step): undefined;
  /** Somebody writes. Resolves with the answer, rejects with any other. */
  say(api: BotApi, client: number): Promise<void>;
  /** Milliseconds of the messages that were answered since the last time. */
  takeTimes(): readonly number[];
}

interface Waiting {
  readonly text: string;
  readonly settle: (found: string | undefined) => void;
  offeredMs?: number;
}

function makeBook(): Book {
  const waiting = new Map<number, Waiting>();
  let timesMs: number[] = [];
  let said = 0;

  const heard = (chat: number, text: string): void => {
    const one = waiting.get(chat);
    if (one === undefined)
      throw new Error(`Talking over Telegram: found ${text} for chat ${chat}, which has its answer.`);
    if (one.offeredMs !== undefined) timesMs.push(performance.now() - one.offeredMs);
    waiting.delete(chat);
    one.settle(text);
  };

  return {
    note(step) {
      const { method, params } = step.call;
      if (step.type === "came" && method === "sendMessage") heard(Number(params["chat_id"]), String(params["text"]));
      if (step.type !== "done" || method !== "getUpdates") return;
      const nowMs = performance.now();
      for (const { message } of step.result as readonly Update[]) {
        const one = message === undefined ? undefined : waiting.get(message.chat.id);
        if (one !== undefined) one.offeredMs ??= nowMs;
      }
    },
    say(api, client) {
      const id = 1_000 + client;
      const text = `${++said}:`.padEnd(200, "x");
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => waiting.get(id)?.settle(undefined), answerMsMax);
        const settle = (found: string | undefined): void => {
          clearTimeout(late);
          if (found === text) resolve();
          else reject(new Error(`Talking over Telegram: found ${found ?? "no answer"}, wanted ${text}.`));
        };
        waiting.set(id, { text, settle });
        const from = { id, is_bot: false, first_name: "Ana" };
        const chat = { id, type: "private", first_name: "Ana" } as const;
        api.push(token, { message: makeMessage({ message_id: said, from, chat, text }) });
      });
    },
    takeTimes() {
      const taken = timesMs;
      timesMs = [];
      return taken;
    },
  };
}

const configFor = ({ root }: BotApi): object => ({
  gateway: { auth: { mode: "none" } },
  agents: { list: [{ id: "main", module: "echo" }] },
  session: { dmScope: "per-peer" },
  channels: { telegram: { botToken: token, apiRoot: root, dmPolicy: "open", allowFrom: ["*"] } },
  bindings: [{ agentId: "main", match: { channel: "telegram" } }],
});
