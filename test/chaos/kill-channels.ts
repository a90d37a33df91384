/**
 * Kills the real program again and again on the way of a message from Telegram to its agent and back, and starts it on what it left. People
 * write over the Bot API of the tests, one message at a time each, and the agent answers with their number in its session. All choices come
 * from the seed; what the machine does between two of them does not.
 *
 *   offered      right after updates were handed out
 *   unconfirmed  when the poll that would confirm them is on its way, and is lost
 *   confirmed    when it has confirmed them, before it is answered
 *   lost         when an answer is on its way to Telegram, which never gets it
 *   sent         when Telegram has an answer, and the gateway has not heard so
 *   answered     right after the gateway could hear so
 *   time         a moment after people wrote
 *   boot         before or just after the program is ready, while people wait
 *
 * After every second kill, and after that at `sent`, the program may finish its work. The book is what Telegram got, chat by chat: every answer, in order, and
 * none again but those that a killed process had under way, which the log of the process that repeats them has to tell.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Update } from "grammy/types";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { type Fault, makeMessage, openBotApi, type Step } from "../support/bot-api.ts";
import { launchProgram, makeStateDir, type Program, repoRoot, type Starting } from "../support/program.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { until } from "./load.ts";

const stepMoments = ["offered", "unconfirmed", "confirmed", "lost", "sent", "answered"] as const;
type StepMoment = (typeof stepMoments)[number];
type Moment = StepMoment | "time" | "boot";
export const moments: readonly Moment[] = [...stepMoments, "time", "boot"];

export interface ChannelKillReport {
  readonly seed: number;
  /** In the order of the kills. */
  readonly met: readonly Moment[];
  readonly messages: number;
  /** Answers that Telegram got again… */
  readonly repeats: number;
  /** …and those that were told as possible duplicates, which may have arrived once. */
  readonly told: number;
  /** What did not hold, in words. Empty is the goal. */
  readonly violations: readonly string[];
}

const token = "7000:SECRET";
const people = 6;
/** Messages that each person writes in one life, each after the answer to the one before. */
const saidInLife = 3;
/** A bound, not a wait. */
const patienceMs = 60_000;

interface Chat {
  readonly id: number;
  said: number;
  /** Of this life still to be said. */
  left: number;
  /** As Telegram got them. */
  readonly answers: { readonly text: string; readonly life: number }[];
}

/** Meets each moment once. */
export async function killBetweenSteps(seed: number): Promise<ChannelKillReport> {
  const load = await openChannelLoad(seed);
  const { random, violations } = load;
  const met: Moment[] = [];
  try {
    for (const moment of drawOrder(random)) {
      const starting = load.launch();
      if (moment === "boot") {
        load.say();
        await Promise.race([delay(random.below(600)), starting.ready]);
        await load.kill(starting);
        await starting.ready.catch(() => undefined);
      } else {
        const program = await starting.ready;
        // What is repeated for certain is looked at for certain.
        if (met.length % 2 === 0 || met.at(-1) === "sent") await load.settle(program);
        const comes = moment === "time" ? delay(random.below(80)) : load.meet(moment, starting);
        load.say();
        await comes;
        await load.kill(starting);
      }
      met.push(moment);
      if (violations.length > 0) break;
    }
    await load.finish();
    return { seed, met, ...load.counts(), violations };
  } finally {
    await load.close();
  }
}

/** A program that is killed at its boot looks at nothing: it does not follow on what is repeated for certain. */
function drawOrder(random: Random): readonly Moment[] {
  const rest = [...moments];
  const order: Moment[] = [];
  while (rest.length > 0) order.push(...rest.splice(random.below(rest.length), 1));
  const boot = order.indexOf("boot");
  if (order[boot - 1] === "sent") order.splice(boot - 1, 2, "boot", "sent");
  return order;
}

interface ChannelLoad {
  readonly random: Random;
  readonly violations: string[];
  launch(): Starting;
  /** Everybody writes, and goes on when they are answered. */
  say(): void;
  /** Kills the program at one of the next such moments. Resolves when it has ended. */
  meet(moment: StepMoment, starting: Starting): Promise<void>;
  /** Resolves when the process has ended and Telegram has all that it had sent. */
  kill(starting: Starting): Promise<void>;
  /** Waits until everybody is answered, and everything that came again is told; then compares. */
  settle(program: Program): Promise<void>;
  /** The same in a last life; then nothing waits, the program ends in order, its store holds no rest. */
  finish(): Promise<void>;
  counts(): Pick<ChannelKillReport, "messages" | "repeats" | "told">;
  close(): Promise<void>;
}

async function openChannelLoad(seed: number): Promise<ChannelLoad> {
  const random = makeRandom(seed);
  const violations: string[] = [];
  const chats: readonly Chat[] = Array.from({ length: people }, (_, at) => ({
    id: 1_000 + at,
    said: 0,
    left: 0,
    answers: [],
  }));
  let onStep: (step: Step) => Promise<Fault | undefined> = () => Promise.resolve(undefined);
  let life = 0;
  const api = await openBotApi((step) => {
    // What is carried out has arrived, whatever becomes of the process then.
    if (step.type === "done" && step.call.method === "sendMessage") noteAnswer(step.call.params);
    return onStep(step);
  });
  api.addBot(token, "helper_bot");
  const stateDir = makeStateDir({
    gateway: { auth: { mode: "none" } },
    agents: { list: [{ id: "main", module: path.join(repoRoot, "test", "fixtures", "actors", "ledger.ts") }] },
    session: { dmScope: "per-peer" },
    channels: { telegram: { botToken: token, apiRoot: api.root, dmPolicy: "open", allowFrom: ["*"] } },
    bindings: [{ agentId: "main", match: { channel: "telegram" } }],
  });
  /** Of the log, before this life. */
  let logFrom = 0;

  const sayNext = (chat: Chat): void => {
    if (chat.left === 0) return;
    chat.left--;
    chat.said++;
    const about = { id: chat.id, first_name: "Ana" };
    api.push(token, {
      message: makeMessage({
        message_id: chat.said,
        from: { ...about, is_bot: false },
        chat: { ...about, type: "private" },
        text: `note:${chat.id}:${chat.said}`,
      }),
    });
  };

  const newest = ({ answers }: Chat): number => Math.max(0, ...answers.map(({ text }) => Number(text)));

  function noteAnswer({ chat_id: id, text }: Step["call"]["params"]): void {
    const chat = chats.find((one) => one.id === id);
    if (chat === undefined) return void violations.push(`${String(text)} was sent to ${String(id)}, who wrote nothing`);
    const number = Number(text);
    const last = newest(chat);
    const where = `chat ${chat.id}, life ${life}`;
    if (chat.answers.some((answer) => answer.text === text && answer.life === life))
      violations.push(`${where}: ${number} came twice from one process`);
    // The one before the last may still have been on its way into the store.
    else if (number !== last + 1 && !(number <= last && number >= last - 1))
      violations.push(`${where}: ${String(text)} came after ${last}`);
    chat.answers.push({ text: String(text), life });
    if (number === chat.said) sayNext(chat);
  }

  /** Of this life: session by session, how many answers were told as possible duplicates. */
  const toldTo = ({ id }: Chat): number => countTold(logFrom).filter((session) => session.endsWith(`:${id}`)).length;
  const countTold = (from: number): string[] =>
    readLog(stateDir)
      .slice(from)
      .split("\n")
      .filter((line) => line.includes("possible duplicate"))
      .map((line) => /"session":"([^"]*)"/.exec(line)?.[1] ?? "");

  const repeatsOf = ({ answers }: Chat, ofLife?: number): number =>
    answers.filter(
      ({ text, life: own }, at) =>
        (ofLife === undefined || own === ofLife) && answers.slice(0, at).some((before) => before.text === text),
    ).length;

  const load: ChannelLoad = {
    random,
    violations,
    launch() {
      life++;
      logFrom = readLog(stateDir).length;
      return launchProgram(stateDir);
    },
    say() {
      for (const chat of chats) {
        const waits = newest(chat) < chat.said;
        chat.left = saidInLife;
        if (!waits) sayNext(chat);
      }
    },
    async meet(moment, starting) {
      // Each life has so many of them for certain: everybody waits for an answer before the next message.
      const isOfSends = moment === "lost" || moment === "sent" || moment === "answered";
      let left = 1 + random.below(isOfSends ? people : 2);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const late = setTimeout(() => reject(new Error(`the moment ${moment} did not come`)), patienceMs);
      onStep = async (step) => {
        if (!isMoment[moment](step) || --left !== 0) return undefined;
        starting.process.kill("SIGKILL");
        await starting.ended;
        resolve();
        return { type: "drop" };
      };
      await promise.finally(() => clearTimeout(late));
    },
    async kill({ process: child, ended }) {
      child.kill("SIGKILL");
      await ended;
      onStep = () => Promise.resolve(undefined);
      await until(async () => (await api.connections()) === 0, patienceMs);
      // The rest of what they had to say waits for the next life.
      for (const chat of chats) chat.left = 0;
    },
    async settle(program) {
      const isSettled = (): boolean =>
        api.unconfirmed(token) === 0 &&
        chats.every((chat) => newest(chat) === chat.said && chat.left === 0 && toldTo(chat) >= repeatsOf(chat, life));
      await until(isSettled, patienceMs).catch((error: unknown) => {
        const found = chats.map((chat) => ({ ...chat, told: toldTo(chat), repeats: repeatsOf(chat, life) }));
        violations.push(`it does not settle: ${String(error)}; ${JSON.stringify(found)}\n${program.output()}`);
      });
    },
    async finish() {
      const program = await load.launch().ready;
      await load.settle(program);
      const code = await program.stop();
      if (code !== 0) violations.push(`the program ended with ${code}: ${program.output()}`);
      violations.push(...api.violations, ...(await findRests(stateDir)));
    },
    counts: () => ({
      messages: chats.reduce((sum, { said }) => sum + said, 0),
      repeats: chats.reduce((sum, chat) => sum + repeatsOf(chat), 0),
      told: countTold(0).length,
    }),
    close: () => api.close(),
  };
  return load;
}

const isMoment: Readonly<Record<StepMoment, (step: Step) => boolean>> = {
  offered: (step) => isStep(step, "answered", "getUpdates") && (step.result as readonly Update[]).length > 0,
  unconfirmed: (step) => isStep(step, "came", "getUpdates") && step.call.params["offset"] !== undefined,
  confirmed: (step) => isStep(step, "confirmed", "getUpdates"),
  lost: (step) => isStep(step, "came", "sendMessage"),
  sent: (step) => isStep(step, "done", "sendMessage"),
  answered: (step) => isStep(step, "answered", "sendMessage"),
};

const isStep = ({ type, call }: Step, wanted: Step["type"], method: string): boolean =>
  type === wanted && call.method === method;

/** Empty before the first record. */
function readLog(stateDir: string): string {
  try {
    return readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw error;
  }
}

async function findRests(stateDir: string): Promise<readonly string[]> {
  const sessionsDir = path.join(stateDir, "agents", "main", "sessions");
  const store = await openLmdbStore({ stateDir, agents: [{ agentId: "main", sessionsDir }] });
  try {
    const { total } = await store.sessions({ limit: 1, offset: 0 });
    const { envelopes, outbound } = await store.pending();
    const { rows: letters } = await store.deadLetters({ limit: 100 });
    return [
      ...(total < people ? [`the store has ${total} sessions, wanted those of ${people} people`] : []),
      ...[...envelopes, ...outbound].map((row) => `the journal holds ${JSON.stringify(row)}`),
      ...letters.map((letter) => `a dead letter: ${JSON.stringify(letter)}`),
    ];
  } finally {
    await store.close();
  }
}
