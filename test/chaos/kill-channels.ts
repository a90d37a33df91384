/**
 * Kills the real program again and again on the way of a message from a platform to its agent and back, and starts it on what it left. People
 * write on the platforms of the tests, one message at a time each, and the agent answers with its number in their session and its text. All choices
 * come from the seed; what the machine does between two of them does not.
 *
 *   offered … answered   as `ChatMoment` has them
 *   time                 a moment after people wrote
 *   boot                 before or just after the program is ready, while people wait
 *
 * Everybody is answered once in the first life, before its kill. After every second kill, and after that at `sent`, the program may finish its work. The book is
 * what people got, chat by chat: every answer, in order, and none again but those that a killed process had under way, which the log of the process
 * that repeats them has to tell, and which people see once where the platform knows a repeated one. Of a platform that keeps nothing, what was said
 * and not answered at all when the process ended may be lost; then it was never handled.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { ChatMoment, ChatStep, WatchChats } from "../support/chat-steps.ts";
import { openToAll, type PlatformName, platforms } from "../support/chats.ts";
import { launchProgram, makeStateDir, type Program, repoRoot, type Starting } from "../support/program.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { until } from "./load.ts";

export type Moment = ChatMoment | "time" | "boot";

export interface ChannelKillReport {
  readonly platform: PlatformName;
  readonly seed: number;
  /** In the order of the kills. */
  readonly met: readonly Moment[];
  /** All that there are on this platform. */
  readonly moments: readonly Moment[];
  readonly messages: number;
  /** Answers that the platform got again… */
  readonly repeats: number;
  /** …of which it knew so many, and people did not see them… */
  readonly known: number;
  /** …and those that were told as possible duplicates, which may have arrived once. */
  readonly told: number;
  /** What nobody had heard when the process ended, on a platform that keeps nothing. */
  readonly lost: number;
  /** What did not hold, in words. Empty is the goal. */
  readonly violations: readonly string[];
}

const people = 6;
/** Messages that each person writes in one life, each after the answer to the one before. */
const saidInLife = 3;
/** A bound, not a wait. */
const patienceMs = 60_000;

interface Chat {
  readonly person: number;
  said: number;
  /** Of this life still to be said. */
  left: number;
  /** The number of the last message that was answered. */
  newest: number;
  /** Messages that were lost before that one. */
  lost: number;
  /** Messages that may be: nothing of an answer to them was seen when the process ended. */
  readonly unsure: Set<number>;
  /** The number of the last one of which an answer, or an attempt, was seen. */
  attempted: number;
  /** As the platform got them. */
  readonly answers: { readonly number: number; readonly life: number; readonly isKnown: boolean }[];
}

/** Meets each moment once. */
export async function killBetweenSteps(platform: PlatformName, seed: number): Promise<ChannelKillReport> {
  const load = await openChannelLoad(platform, seed);
  const { random, violations, moments } = load;
  const met: Moment[] = [];
  try {
    for (const moment of drawOrder(moments, random)) {
      const starting = load.launch();
      if (moment === "boot") {
        await load.say();
        await Promise.race([delay(random.below(600)), starting.ready]);
        await load.kill(starting);
        await starting.ready.catch(() => undefined);
      } else {
        const program = await starting.ready;
        if (met.length === 0) await load.say(program);
        // What is repeated for certain is looked at for certain.
        if (met.length % 2 === 0 || met.at(-1) === "sent") await load.settle(program);
        const comes = moment === "time" ? delay(random.below(80)) : load.meet(moment, starting);
        await load.say(program);
        await comes;
        await load.kill(starting);
      }
      met.push(moment);
      if (violations.length > 0) break;
    }
    await load.finish();
    return { platform, seed, met, moments, ...load.counts(), violations };
  } finally {
    await load.close();
  }
}

/** A program that is killed at its boot looks at nothing: it is not the first, and does not follow on what is repeated for certain. */
function drawOrder(moments: readonly Moment[], random: Random): readonly Moment[] {
  const rest = moments.filter((moment) => moment !== "boot");
  const order: Moment[] = [];
  while (rest.length > 0) order.push(...rest.splice(random.below(rest.length), 1));
  const places = order.flatMap((moment, at) => (moment === "sent" ? [] : [at + 1]));
  return order.toSpliced(random.pick(places), 0, "boot");
}

interface ChannelLoad {
  readonly random: Random;
  readonly moments: readonly Moment[];
  readonly violations: string[];
  launch(): Starting;
  /** Everybody writes, and goes on when they are answered: when the account is there, of a program that is ready. */
  say(program?: Program): Promise<void>;
  /** Kills the program at one of the next such moments. Resolves when it has ended. */
  meet(moment: ChatMoment, starting: Starting): Promise<void>;
  /** Resolves when the process has ended and the platform has all that it had sent. */
  kill(starting: Starting): Promise<void>;
  /** Waits until everybody is answered, and everything that came again is told; then compares. */
  settle(program: Program): Promise<void>;
  /** The same in a last life; then nothing waits, the program ends in order, its store holds no rest. */
  finish(): Promise<void>;
  counts(): Pick<ChannelKillReport, "messages" | "repeats" | "known" | "told" | "lost">;
  close(): Promise<void>;
}

async function openChannelLoad(name: PlatformName, seed: number): Promise<ChannelLoad> {
  const random = makeRandom(seed);
  const violations: string[] = [];
  const chats: readonly Chat[] = Array.from({ length: people }, (_, person) => ({
    person,
    said: 0,
    left: 0,
    newest: 0,
    lost: 0,
    unsure: new Set(),
    attempted: 0,
    answers: [],
  }));
  let onStep: WatchChats = () => undefined;
  let life = 0;
  const platform = await platforms[name](people, (step) => {
    noteAttempt(step);
    // What is carried out has arrived, whatever becomes of the process then.
    if (step.moment === "sent" && step.text !== undefined) noteAnswer(step.places ?? [], step.text, step.isRepeated);
    return onStep(step);
  });
  const { channel } = platform;
  const stateDir = makeStateDir({
    gateway: { auth: { mode: "none" } },
    agents: { list: [{ id: "main", module: path.join(repoRoot, "test", "fixtures", "actors", "numbered.ts") }] },
    session: { dmScope: "per-peer" },
    channels: { [channel]: { ...platform.section, ...openToAll } },
    bindings: [{ agentId: "main", match: { channel } }],
  });
  /** Of the log, before this life. */
  let logFrom = 0;

  const sayNext = (chat: Chat): void => {
    if (chat.left === 0) return;
    chat.left--;
    chat.said++;
    platform.say(chat.person, `note ${chat.said}`);
  };

  const chatAt = (places: readonly string[] = []): Chat | undefined => chats[platform.personAt(places[0] ?? "")];

  function noteAttempt({ moment, places, text }: ChatStep): void {
    const number = numberIn(text);
    const chat = chatAt(places);
    if (chat !== undefined && moment !== "offered" && number > chat.attempted) chat.attempted = number;
  }

  function noteAnswer(places: readonly string[], text: string, isKnown = false): void {
    const chat = chatAt(places);
    if (chat === undefined) return void violations.push(`${text} was sent to ${places.join(", ")}, who wrote nothing`);
    const number = numberIn(text);
    const where = `person ${chat.person}, life ${life}`;
    // The one before the last may still have been on its way into the store.
    const isRepeat = number <= chat.newest && number >= chat.newest - 1;
    if (chat.answers.some((answer) => answer.number === number && answer.life === life))
      violations.push(`${where}: ${number} came twice from one process`);
    else if (isRepeat && platform.knowsRepeats && !isKnown)
      violations.push(`${where}: ${number} came twice, and the platform did not know it`);
    else if (!isRepeat) {
      for (let missing = chat.newest + 1; missing < number; missing++) {
        if (!chat.unsure.has(missing)) violations.push(`${where}: ${number} came, and ${missing} was not answered`);
        chat.lost += 1;
      }
      if (text !== `${number - chat.lost} note ${number}` || number > chat.said)
        violations.push(`${where}: "${text}" came after ${chat.newest}, of which ${chat.lost} were lost`);
      chat.newest = Math.max(chat.newest, number);
    }
    chat.answers.push({ number, life, isKnown });
    if (number === chat.said) sayNext(chat);
  }

  /** Of this life: session by session, how many answers were told as possible duplicates. */
  const toldTo = ({ person }: Chat): number =>
    countTold(logFrom).filter((session) => session.endsWith(`:${platform.peerOf(person)}`)).length;
  const countTold = (from: number): string[] =>
    readLog(stateDir)
      .slice(from)
      .split("\n")
      .filter((line) => line.includes("possible duplicate"))
      .map((line) => /"session":"([^"]*)"/.exec(line)?.[1] ?? "");

  /** Those that people see: one that the platform knows need not be told. */
  const repeatsOf = ({ answers }: Chat, ofLife?: number): number =>
    answers.filter(
      ({ number, life: own, isKnown }, at) =>
        !isKnown &&
        (ofLife === undefined || own === ofLife) &&
        answers.slice(0, at).some((before) => before.number === number),
    ).length;

  const load: ChannelLoad = {
    random,
    moments: [...platform.moments, "time", "boot"],
    violations,
    launch() {
      life++;
      logFrom = readLog(stateDir).length;
      const starting = launchProgram(stateDir);
      starting.ready.then(
        ({ url }) => platform.leadTo(url),
        () => undefined,
      );
      return starting;
    },
    async say(program) {
      if (program !== undefined) await until(platform.isOnline, patienceMs);
      for (const chat of chats) {
        const waits = chat.newest < chat.said && !chat.unsure.has(chat.said);
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
        if (step.moment !== moment || --left !== 0) return undefined;
        starting.process.kill("SIGKILL");
        await starting.ended;
        resolve();
        return "drop";
      };
      await promise.finally(() => clearTimeout(late));
    },
    async kill({ process: child, ended }) {
      child.kill("SIGKILL");
      await ended;
      onStep = () => undefined;
      await until(async () => (await platform.connections()) === 0, patienceMs);
      for (const chat of chats) {
        // The rest of what they had to say waits for the next life.
        chat.left = 0;
        if (!platform.keeps && chat.attempted < chat.said) chat.unsure.add(chat.said);
      }
    },
    async settle(program) {
      await until(platform.isOnline, patienceMs);
      for (const chat of chats)
        if (chat.newest < chat.said && chat.unsure.has(chat.said)) {
          // Its answer would come before that of the next one.
          chat.left = 1;
          sayNext(chat);
        }
      const isSettled = (): boolean =>
        platform.unconfirmed() === 0 &&
        chats.every((chat) => chat.newest === chat.said && chat.left === 0 && toldTo(chat) >= repeatsOf(chat, life));
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
      violations.push(...platform.violations, ...(await findRests(stateDir)));
    },
    counts: () => ({
      messages: chats.reduce((sum, { said }) => sum + said, 0),
      repeats: chats.reduce((sum, chat) => sum + repeatsOf(chat), 0),
      known: chats.reduce((sum, { answers }) => sum + answers.filter(({ isKnown }) => isKnown).length, 0),
      told: countTold(0).length,
      lost: chats.reduce((sum, { lost }) => sum + lost, 0),
    }),
    close: () => platform.close(),
  };
  return load;
}

/** Of an answer: the number of the message that it answers; 0: it is none. */
const numberIn = (text = ""): number => Number(/^\d+ note (\d+)$/.exec(text)?.[1] ?? 0);

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
