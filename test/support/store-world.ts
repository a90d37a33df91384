/**
 * A random world for the store: envelopes that live as the kernel lets them live (append, begin, ask, commit, settle or deliver,
 * or a dead letter), several at a time, over a disk that flushes late, fills up and loses what a crash takes. The store's code is
 * the real one. What each call answered is remembered, and held against what the store has after every crash.
 */
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import type { Pending, Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { beginOf, commitOf, envelope, placesIn, webhookRoute } from "../contract/store-envelopes.ts";
import { type CrashingDisk, type LogCode, makeCrashingDisk } from "./crashing-disk.ts";
import { makeRandom, type Random } from "./random.ts";
import { checkStore, commitsOf } from "./store-world-checks.ts";

/** `maybe`: the call was made, and the process ended before its answer. */
export type Known = "no" | "maybe" | "yes";

export interface Mail {
  readonly envelope: Envelope;
  readonly dedupeKey: string | undefined;
  /** The dead letter that it was. */
  readonly replays: Mail | undefined;
  /** What its turn asks of another session. */
  readonly ask: Mail | undefined;
  appended: Known;
  /** Deliveries that were counted for sure, and that were tried. */
  attempts: number;
  tries: number;
  committed: Known;
  buried: Known;
  /** It is a dead letter no more. */
  replayed: Known;
  /** Its answer has left, or its row was settled. */
  left: Known;
  /** Resolves when it is done or buried in this process. */
  ended: Promise<void>;
  end: () => void;
}

export interface StoreWorld {
  readonly random: Random;
  readonly disk: CrashingDisk;
  readonly mails: Set<Mail>;
  /** By session: what was committed, in order. */
  readonly committed: Map<string, Mail[]>;
  readonly sessionIds: Map<string, string>;
  readonly labels: Map<string, { text: string; known: Known; before: string | undefined }>;
  readonly problems: string[];
  /** Envelope ids in the order in which they were to be accepted. */
  readonly order: string[];
  store: Store;
  /** Counts the processes. */
  epoch: number;
  nextId: number;
}

export interface StoreWorldOptions {
  /** A store with a planted bug. */
  readonly openStore?: typeof openStore;
  /** Likewise, of its log. */
  readonly log?: LogCode;
  /** The clock of the store's timers, which the caller has replaced. */
  readonly timers: { advance(ms: number): void; clear(): void };
}

const agents = ["ann", "bob"];
const sessionNames = ["a", "b", "c"];
const sessions = agents.flatMap((agentId) => sessionNames.map((name) => ({ agentId, name })));

const yearMs = 365 * 86_400_000;

/** Everything that only waits for promises has run after this. */
const rest = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export interface StoreWorldReport {
  readonly problems: readonly string[];
  readonly crashes: number;
  /** Turns that were committed. */
  readonly done: number;
  /** What was called and what became of it, in order; the same for the same seed. */
  readonly trace: string;
}

export async function runStoreWorld(seed: number, options: StoreWorldOptions): Promise<StoreWorldReport> {
  const random = makeRandom(seed);
  const disk = makeCrashingDisk(random, options.log);
  /** Runs a call while the disk works. */
  const finish = async <T>(call: Promise<T>): Promise<T> => {
    const state = { isOver: false };
    const over = (): void => void (state.isOver = true);
    call.then(over, over);
    for (let idle = 0; !state.isOver; ) {
      await rest();
      if (state.isOver || (await disk.step())) continue;
      if (++idle > 50) throw new Error("a call of the store never settles");
      options.timers.advance(50);
    }
    return call;
  };
  // Of their own, so that a world stays the same whatever its clocks do: the time of day is set ahead and back, by up to a year with
  // each start, and each process counts from anywhere. As long as one runs no time passes, so that nothing is ever too old.
  const clock = makeRandom(seed + 1_000_000_007);
  let nowMs = 1_000;
  const open = (epoch: number): Promise<Store> => {
    let ids = 0;
    nowMs = Math.max(1_000, nowMs + clock.below(2 * yearMs) - yearMs);
    const elapsedMs = clock.below(yearMs);
    return finish(
      (options.openStore ?? openStore)(placesIn("/world"), disk.open, {
        now: () => nowMs,
        elapsedMs: () => elapsedMs,
        newId: () => `s${seed}-${epoch}-${ids++}`,
        bounds: {
          openAgentStoresMax: 1 + random.below(2),
          settledRowsPerWriteMax: 1 + random.below(3),
          storeLogBytes: 1 + random.below(6_000),
          storeLogBytesMax: 4_000 + random.below(8_000),
        },
      }),
    );
  };
  const world: StoreWorld = {
    random,
    disk,
    mails: new Set(),
    committed: new Map(),
    sessionIds: new Map(),
    labels: new Map(),
    problems: [],
    order: [],
    store: await open(0),
    epoch: 0,
    nextId: 1,
  };
  let crashes = 0;
  const restart = async (): Promise<void> => {
    crashes++;
    world.epoch++;
    options.timers.clear();
    disk.crash();
    world.store = await open(world.epoch);
    const pending = await finish(readPending(world));
    await finish(checkStore(world, pending));
    resume(
      world,
      pending.envelopes.map(({ header }) => header.id),
    );
    for (const row of pending.outbound) deliverAgain(world, row.envelopeId);
  };

  for (let left = 6 + random.below(14); left > 0; left--) begin(world, newMail(world, random));
  for (let events = 10 + random.below(20), idle = 0; events > 0 || idle < 3; ) {
    const isBusy = await disk.step();
    await rest();
    if (world.problems.length > 0) break;
    idle = isBusy ? 0 : idle + 1;
    if (!isBusy) options.timers.advance(50);
    if (events === 0 || (isBusy && !random.chance(0.08))) continue;
    events--;
    const what = random.below(100);
    if (what < 40) begin(world, newMail(world, random));
    else if (what < 55) await restart();
    else if (what < 65) disk.failNext(1 + random.below(3));
    else if (what < 75) options.timers.advance(50);
    else if (what < 85) release(world);
    else if (what < 92) label(world);
    else replay(world);
  }
  if (world.problems.length === 0) {
    await restart();
    for (let idle = 0; idle < 3; ) {
      const isBusy = await disk.step();
      await rest();
      idle = isBusy ? 0 : idle + 1;
      if (!isBusy) options.timers.advance(50);
    }
    await checkNothingIsLeft(world, finish);
  }
  options.timers.clear();
  const done = [...world.committed.values()].reduce((sum, mails) => sum + mails.length, 0);
  const ends = [...world.mails].map(({ envelope: { header }, attempts, tries, committed, buried }) =>
    [header.id, attempts, tries, committed, buried].join(" "),
  );
  return {
    problems: world.problems,
    crashes,
    done,
    trace: JSON.stringify([world.order, ends, disk.dirs.map((dir) => disk.keys(dir))]),
  };
}

function newMail(world: StoreWorld, random: Random, replays?: Mail, asker?: { id: string; rank: number }): Mail {
  const id = `e${String(world.nextId++).padStart(4, "0")}`;
  // Only sessions further down are asked, so that no two wait for each other.
  const rank = asker === undefined ? random.below(sessions.length) : asker.rank + 1;
  const { agentId, name } = sessions[Math.min(rank, sessions.length - 1)] ?? { agentId: "ann", name: "a" };
  const made = envelope(id, {
    agentId,
    session: name,
    ...(random.chance(0.2) ? { replyRoute: webhookRoute } : {}),
  });
  const { askedIn: _, ...letter } = replays?.envelope.header ?? made.header;
  const header = { ...letter, id, ...(asker === undefined ? {} : { askedIn: asker.id }) };
  const mail: Mail = {
    envelope: { ...made, header },
    dedupeKey: dedupeKeyOf(random, replays, asker?.id),
    replays,
    ask:
      replays === undefined && rank < sessions.length - 1 && random.chance(0.3)
        ? newMail(world, random, undefined, { id, rank })
        : undefined,
    appended: "no",
    attempts: 0,
    tries: 0,
    committed: "no",
    buried: "no",
    replayed: "no",
    left: "no",
    ended: Promise.resolve(),
    end: () => undefined,
  };
  world.mails.add(mail);
  return mail;
}

function dedupeKeyOf(random: Random, replays: Mail | undefined, asker: string | undefined): string | undefined {
  if (replays !== undefined) return undefined;
  if (asker !== undefined) return `ask of ${asker}`;
  return random.chance(0.2) ? `k${random.below(4)}` : undefined;
}

/** Last turn of each session; the next waits for it, as the kernel's lanes do. */
const tails = new WeakMap<Store, Map<string, Promise<void>>>();

/** A life from its beginning: appended, then handled. */
function begin(world: StoreWorld, mail: Mail): void {
  // Some turns begin with the append, which counts their first delivery.
  const counts = mail.replays === undefined && world.random.chance(0.3);
  void append(world, mail, counts).then((isStored) => {
    if (isStored) handle(world, mail, counts);
  });
}

async function append(world: StoreWorld, mail: Mail, counts = false): Promise<boolean> {
  const { id } = mail.envelope.header;
  const before = mail.appended;
  if (before === "no") {
    mail.appended = "maybe";
    world.order.push(id);
  }
  if (mail.replays !== undefined) mail.replays.replayed = "maybe";
  if (counts) mail.tries++;
  const key = mail.dedupeKey;
  const call =
    mail.replays === undefined
      ? world.store.append(mail.envelope, key === undefined ? undefined : { scope: "test", key }, undefined, counts)
      : world.store.replay(mail.replays.envelope.header.id, mail.envelope).then(() => ({ status: "stored" as const }));
  const answer = await call.catch(() => undefined);
  if (answer === undefined) {
    mail.appended = before;
    if (mail.replays !== undefined) mail.replays.replayed = "no";
    return false;
  }
  const others = [...world.mails].filter((other) => other !== mail && key !== undefined && other.dedupeKey === key);
  if (answer.status === "duplicate") {
    const first = others.find((other) => other.envelope.header.id === answer.envelopeId);
    if ((first === undefined || first.appended === "no") && answer.envelopeId !== id)
      world.problems.push(`${id} is a duplicate of ${answer.envelopeId}, which was never stored`);
    mail.appended = answer.envelopeId === id ? "yes" : before;
    return false;
  }
  if (others.some((other) => other.appended === "yes"))
    world.problems.push(`${id} was stored under ${key ?? ""}, which is taken`);
  mail.appended = "yes";
  if (counts) mail.attempts = 1;
  if (mail.replays !== undefined) mail.replays.replayed = "yes";
  return true;
}

/** Handles it behind what its session has to do before. */
function handle(world: StoreWorld, mail: Mail, isCounted = false): void {
  const of = tails.get(world.store) ?? new Map<string, Promise<void>>();
  tails.set(world.store, of);
  const { sessionKey } = mail.envelope.header;
  mail.ended = new Promise((resolve) => (mail.end = resolve));
  const failed = (error: unknown): void =>
    void world.problems.push(`the turn of ${mail.envelope.header.id} failed: ${String(error)}`);
  const turn = (of.get(sessionKey) ?? Promise.resolve())
    .then(() => turnOf(world, mail, isCounted))
    .catch(failed)
    .then(() => mail.end());
  of.set(sessionKey, turn);
}

async function turnOf(world: StoreWorld, mail: Mail, isCounted: boolean): Promise<void> {
  const { store, random } = world;
  const { id, sessionKey } = mail.envelope.header;
  const counted = { isCounted };
  if (!isCounted) mail.tries++;
  const begun = await again(
    () => store.begin({ ...beginOf(mail.envelope), ...counted }),
    () => {
      counted.isCounted = false;
      mail.tries++;
    },
  );
  if (begun.status === "done") {
    world.problems.push(`${id} is done before its turn`);
    return;
  }
  if (begun.attempt < mail.attempts + (counted.isCounted ? 0 : 1) || begun.attempt > mail.tries)
    world.problems.push(
      `${id} has the attempt ${begun.attempt} after ${mail.attempts} that were counted and ${mail.tries} that were tried`,
    );
  mail.attempts = begun.attempt;
  if (begun.body !== mail.envelope.body) world.problems.push(`${id} has the body ${begun.body}`);
  checkSession(world, sessionKey, begun.sessionId, begun.state);
  if (random.chance(0.1)) {
    mail.buried = "maybe";
    await again(() => store.bury(id, "poison", "test"));
    mail.buried = "yes";
    return;
  }
  if (mail.ask !== undefined) await askFor(world, mail.ask);
  mail.committed = "maybe";
  const outbound =
    mail.envelope.header.replyRoute.type === "channel" ? { outbound: mail.envelope.header.replyRoute } : {};
  const state = JSON.stringify([...idsOf(world, sessionKey), id]);
  await again(() => store.commit(commitOf(mail.envelope, { state, ...outbound })));
  mail.committed = "yes";
  commitsOf(world, sessionKey).push(mail);
  void leave(world, mail);
}

/** The turn asks, as the kernel does: a repeated ask finds what the first one sent, and its outcome. */
async function askFor(world: StoreWorld, ask: Mail): Promise<void> {
  const { store } = world;
  const { id, agentId } = ask.envelope.header;
  const wasStored = ask.appended === "yes";
  const isStored = await append(world, ask);
  if (isStored && wasStored) world.problems.push(`the ask ${id} was sent twice`);
  if (isStored) handle(world, ask);
  // The disk was full: the turn goes on without.
  if (!isStored && !wasStored) return;
  if (ask.buried !== "yes" && ask.committed !== "yes") await ask.ended;
  if (ask.committed !== "yes") return;
  const outcome = await store.outcome(agentId, id);
  if (outcome.status !== "done" || outcome.outcomeText !== `answer to ${id}`)
    world.problems.push(`the outcome of the ask ${id} is ${JSON.stringify(outcome)} and was known before`);
}

async function leave(world: StoreWorld, mail: Mail): Promise<void> {
  const { id, agentId, replyRoute } = mail.envelope.header;
  mail.left = "maybe";
  await again(() => (replyRoute.type === "channel" ? world.store.delivered(agentId, id) : world.store.settle(id)));
  mail.left = "yes";
}

/** Everything that is pending: what is given at once, and behind it the backlogs, read in portions. */
async function readPending({ store, random, problems }: StoreWorld): Promise<Pending> {
  const windows = Object.fromEntries(agents.map((agentId) => [agentId, 1 + random.below(8)]));
  const { envelopes, backlogs, outbound } = await store.pending(windows);
  const all = [...envelopes];
  for (const { agentId, after, until, count } of backlogs) {
    const rows = [];
    for (let from = after; ; ) {
      const portion = await store.queued({ agentId, after: from, until }, 3);
      rows.push(...portion);
      from = portion.at(-1)?.seq ?? until;
      if (portion.length < 3) break;
    }
    if (rows.length !== count)
      problems.push(`the backlog of ${agentId} has ${rows.length} envelopes and says ${count}`);
    all.push(...rows);
  }
  return { envelopes: all.toSorted((a, b) => a.seq - b.seq), backlogs: [], outbound, exchanges: [] };
}

/** After a crash: what was pending is handled, in the store's order. */
function resume(world: StoreWorld, ids: readonly string[]): void {
  const byId = new Map([...world.mails].map((mail) => [mail.envelope.header.id, mail]));
  for (const id of ids) {
    const mail = byId.get(id);
    if (mail !== undefined) handle(world, mail);
  }
}

function deliverAgain(world: StoreWorld, id: string): void {
  for (const mail of world.mails) if (mail.envelope.header.id === id) void leave(world, mail);
}

function release(world: StoreWorld): void {
  world.store.release(world.random.pick(agents)).catch(() => undefined);
}

function label(world: StoreWorld): void {
  const { agentId, name } = world.random.pick(sessions);
  const key = `agent:${agentId}:${name}`;
  const text = `label ${world.random.below(100)}`;
  const before = world.labels.get(key);
  // One at a time, so that what a crash may leave is one of two.
  if (before?.known === "maybe") return;
  const entry = { text, known: "maybe" as Known, before: before?.text };
  world.labels.set(key, entry);
  world.store.labelSession(key, agentId, text, 500).then(
    () => (entry.known = "yes"),
    () => {
      if (before === undefined) world.labels.delete(key);
      else world.labels.set(key, before);
    },
  );
}

function replay(world: StoreWorld): void {
  const letters = [...world.mails].filter(({ buried, replayed }) => buried === "yes" && replayed === "no");
  if (letters.length > 0) begin(world, newMail(world, world.random, world.random.pick(letters)));
}

/** A call that fails because the disk is full is made again, as the kernel does. */
async function again<T>(call: () => Promise<T>, before: () => void = () => undefined): Promise<T> {
  for (let times = 1; ; times++) {
    try {
      return await call();
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (times > 20 || typeof code !== "string" || !code.startsWith("CLOISTER_STORE_")) throw error;
      before();
    }
  }
}

function checkSession(world: StoreWorld, sessionKey: string, sessionId: string, state: string | null): void {
  const expected = JSON.stringify(idsOf(world, sessionKey));
  if ((state ?? "[]") !== expected)
    world.problems.push(`${sessionKey} has the state ${state ?? ""}, its commits are ${expected}`);
  const known = world.sessionIds.get(sessionKey);
  if (known !== undefined && known !== sessionId)
    world.problems.push(`${sessionKey} had the session id ${known} and has ${sessionId}`);
  world.sessionIds.set(sessionKey, sessionId);
}

function idsOf(world: StoreWorld, sessionKey: string): readonly string[] {
  return commitsOf(world, sessionKey).map((mail) => mail.envelope.header.id);
}

/** With all mail ended, no row of an envelope and no marker stays, in any environment. */
async function checkNothingIsLeft(world: StoreWorld, finish: <T>(call: Promise<T>) => Promise<T>): Promise<void> {
  const pending = await finish(readPending(world));
  for (const { header } of pending.envelopes) world.problems.push(`${header.id} is pending at the end`);
  for (const { envelopeId } of pending.outbound) world.problems.push(`the answer of ${envelopeId} has not left`);
  await finish(checkStore(world, pending));
  for (const agentId of agents) await finish(world.store.history(agentId, `agent:${agentId}:a`, 1, 0));
  await finish(world.store.close());
  for (const dir of world.disk.dirs) {
    const kinds = dir.endsWith("journal") ? ["m", "q", "i", "n"] : dir.endsWith("sessions") ? ["d", "o"] : [];
    const left = world.disk.keys(dir).filter(([kind]) => kinds.includes(String(kind)));
    if (left.length > 0) world.problems.push(`left in ${dir}: ${JSON.stringify(left.slice(0, 5))}`);
  }
}
