/**
 * What channels bear: platform → agent with the module `echo` → platform, durable both ways, the program in its own process with the platform's
 * client library in the thread of the channel. The platforms are those of the tests in this process (IRC's is a real server), which answer at once. A message
 * takes from the platform's handing it out to the arrival of the answer; what it waited for a poll before that is in the rate and in `said p99`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChatStep } from "../../test/support/chat-steps.ts";
import { type Chats, openToAll, type PlatformName, platformNames, platforms } from "../../test/support/chats.ts";
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
const targetPlatform: PlatformName = "Telegram, long polling";
const perSecondMin = 200;
const answerMsMax = 30_000;
const onlinePollMs = 5;

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly saidP99Ms: number;
  readonly cpuMs: number;
}

interface Subject {
  readonly platform: PlatformName;
  readonly inFlight: number;
  readonly samples: readonly Sample[];
}

/** One platform after the other: the programs of others would take turns on the same cores. */
export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const subjects: Subject[] = [];
  for (const platform of platformNames) subjects.push(...(await measurePlatform(platform, options)));
  return {
    name: "channels",
    rows: subjects.map(({ platform, inFlight, samples }) => ({
      channel: platform,
      people: inFlight,
      "a second": of(samples, "perSecond"),
      "p50 ms": of(samples, "p50Ms"),
      "p99 ms": of(samples, "p99Ms"),
      "said p99 ms": of(samples, "saidP99Ms"),
      "CPU ms each": of(samples, "cpuMs"),
    })),
    targets: subjects
      .filter(({ platform, inFlight }) => platform === targetPlatform && inFlight === people.at(-1))
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

async function measurePlatform(
  platform: PlatformName,
  { seconds = secondsDefault, rounds = roundsDefault, progress }: ScenarioOptions,
): Promise<readonly Subject[]> {
  const book = makeBook();
  const chats = await platforms[platform](Math.max(...people), (step) => book.note(step));
  book.open(chats);
  try {
    const program = await startProgram(configFor(chats));
    chats.leadTo(`http://127.0.0.1:${program.port}`);
    const subjects = people.map((inFlight) => ({ platform, inFlight, samples: new Array<Sample>() }));
    try {
      while (!chats.isOnline()) await sleep(onlinePollMs);
      for (let round = 0; round < warmUpRounds + rounds; round++) {
        progress(`${platform}: round ${round + 1} of ${warmUpRounds + rounds}`);
        for (const { inFlight, samples } of subjects) {
          const sample = await measure(book, program.pid, inFlight, seconds);
          if (round >= warmUpRounds) samples.push(sample);
        }
      }
    } finally {
      await program.stop();
    }
    if (chats.violations.length > 0)
      throw new Error(`Talking over ${platform}: found ${chats.violations[0]}, wanted what the platform takes.`);
    return subjects;
  } finally {
    await chats.close();
  }
}

const of = (samples: readonly Sample[], figure: keyof Sample): Spread =>
  makeSpread(samples.map((sample) => sample[figure]));

async function measure(book: Book, pid: number, inFlight: number, seconds: number): Promise<Sample> {
  const before = await readCpuMs(pid);
  const { calls, elapsedMs, p99Ms } = await measureCalls({ inFlight, forMs: seconds * 1_000 }, book.say);
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
  open(chats: Chats): void;
  note(step: ChatStep): undefined;
  /** Somebody writes. Resolves with the answer, rejects with any other. */
  readonly say: (person: number) => Promise<void>;
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
  let chats: Chats | undefined;
  let timesMs: number[] = [];
  let said = 0;

  const heard = (person: number, text: string, isFirst: boolean): void => {
    const one = waiting.get(person);
    // Most platforms can read a text as soon as it comes: by its second step its person may wait for the next one.
    if (one === undefined || (!isFirst && text !== one.text)) return;
    if (one.offeredMs !== undefined) timesMs.push(performance.now() - one.offeredMs);
    waiting.delete(person);
    one.settle(text);
  };

  return {
    open: (found) => void (chats = found),
    note({ moment, places = [], text }) {
      if (moment !== "offered" && moment !== "lost" && moment !== "sent") return;
      for (const place of places) {
        const person = chats?.personAt(place) ?? -1;
        const one = waiting.get(person);
        if (moment === "offered" && one !== undefined) one.offeredMs ??= performance.now();
        if (moment !== "offered" && text !== undefined) heard(person, text, moment === "lost");
      }
    },
    say(person) {
      const text = `${++said}:`.padEnd(200, "x");
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => waiting.get(person)?.settle(undefined), answerMsMax);
        const settle = (found: string | undefined): void => {
          clearTimeout(late);
          if (found === text) resolve();
          else reject(new Error(`Talking over a channel: found ${found ?? "no answer"}, wanted ${text}.`));
        };
        waiting.set(person, { text, settle });
        chats?.say(person, text);
      });
    },
    takeTimes() {
      const taken = timesMs;
      timesMs = [];
      return taken;
    },
  };
}

const configFor = ({ channel, section }: Chats): object => ({
  gateway: { auth: { mode: "none" } },
  agents: { list: [{ id: "main", module: "echo" }] },
  session: { dmScope: "per-peer" },
  channels: { [channel]: { ...section, ...openToAll } },
  bindings: [{ agentId: "main", match: { channel } }],
});
