/**
 * Durable sends per second, alone and many in flight, next to the same rows written one transaction after the other in the
 * same rounds. What group commit gives depends on what a flush costs, so all of it is measured on this machine's disk and
 * with a flush that takes longer, for both sides alike (`bench/flush-cost.ts`).
 * Stores are measured before there is a gateway in the process: in a real one the store has a thread, and its compiled code and heap, for itself.
 */
import { mkdtemp, open as openFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { open as openDatabase } from "lmdb";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { startStoreThread } from "../../runtime/store/thread.ts";
import { withFlushCost } from "../flush-cost.ts";
import { openGatewayHere } from "../gateway-here.ts";
import { type CallFigures, measureCalls } from "../inside/measure-calls.ts";
import type { SendOrder } from "../inside/sender.ts";
import { atLeast, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread, type Spread } from "../spread.ts";

const secondsDefault = 0.4;
const roundsDefault = 5;
const warmUpRounds = 1;
const widths = [1, 64, 256];
const gatewayWidths = [1, 64];
/** Added to what this machine's disk takes. */
const flushCostsMs = [0, 1, 5];
const targetWidth = 64;
const targetRatio = 20;
const pageBytes = 4_096;
const text = "x".repeat(200);

/** What everything else of the same flush cost is compared with: in each round, the faster of the two. */
const baseKinds = ["one transaction each, synchronous", "one transaction each, asynchronous"] as const;
const journalKind = "journal";

interface Subject {
  readonly kind: string;
  readonly flushMs: number;
  readonly inFlight: number;
  readonly measure: (forMs: number) => Promise<CallFigures>;
  /** Flushes of the journal so far; absent where each send has its own. */
  readonly flushes?: () => Promise<number>;
}

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly perFlush: number;
}

interface Row {
  readonly subject: Subject;
  readonly ratio: Spread;
  readonly shown: ScenarioReport["rows"][number];
}

type Closers = (() => Promise<unknown>)[];

export async function run({
  seconds = secondsDefault,
  rounds = roundsDefault,
  progress,
}: ScenarioOptions): Promise<ScenarioReport> {
  const dir = await mkdtemp(join(tmpdir(), "cloister-bench-"));
  /** `alone`: with the rows of what is compared with. */
  const stage = async (
    name: string,
    flushMs: number,
    { alone, open }: { readonly alone: boolean; readonly open: (dir: string, closers: Closers) => Promise<Subject[]> },
  ): Promise<Row[]> => {
    const place = join(dir, `${name}-${flushMs}`);
    const closers: Closers = [];
    try {
      const bases = await aloneOnes(place, flushMs, closers);
      const subjects = [...bases, ...(await open(place, closers))];
      const told = (round: string): void => progress(`${name}, ${flushMs} ms more a flush: ${round}`);
      const measured = await measureRounds(subjects, rounds, seconds * 1_000, told);
      return measured.slice(alone ? 0 : bases.length);
    } finally {
      for (const close of closers.toReversed()) await close();
    }
  };
  try {
    const found: Row[] = [];
    for (const flushMs of flushCostsMs) {
      const open = async (place: string, closers: Closers): Promise<Subject[]> => [
        ...(flushMs === 0 ? [await rawFlush(place, closers)] : []),
        ...(await journal(join(place, "journal"), flushMs, closers)),
      ];
      found.push(...(await stage("stores", flushMs, { alone: true, open })));
    }
    for (const flushMs of flushCostsMs) {
      const open = async (place: string, closers: Closers): Promise<Subject[]> => [
        ...(await gateway(flushMs, closers)),
        ...(flushMs === 0 ? await journalInThread(join(place, "thread"), closers) : []),
      ];
      found.push(...(await stage("gateways", flushMs, { alone: false, open })));
    }
    const targets = flushCostsMs.map((flushMs) => {
      const journalRow = found.find(
        ({ subject }) =>
          subject.kind === journalKind && subject.flushMs === flushMs && subject.inFlight === targetWidth,
      );
      const where = flushMs === 0 ? "on this disk" : `with a flush of ${flushMs} ms more`;
      return atLeast(
        `${targetWidth} durable sends in flight to one at a time, ${where}`,
        journalRow?.ratio.median ?? Number.NaN,
        targetRatio,
        "times",
      );
    });
    return { name: "store", rows: found.map(({ shown }) => shown), targets };
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** All in turn inside of each round. */
async function measureRounds(
  subjects: readonly Subject[],
  rounds: number,
  forMs: number,
  progress: (round: string) => void,
): Promise<Row[]> {
  const measured = subjects.map((subject) => ({ subject, samples: new Array<Sample>() }));
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
    for (const { subject, samples } of measured) {
      const sample = await takeSample(subject, forMs);
      if (round >= warmUpRounds) samples.push(sample);
    }
  }
  const bases = measured.filter(({ subject }) => baseKinds.some((kind) => kind === subject.kind));
  const baseOf = (round: number): number =>
    Math.max(...bases.map(({ samples }) => samples[round]?.perSecond ?? Number.NaN));
  return measured.map(({ subject, samples }) => {
    const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
    const ratio = makeRatios(
      of("perSecond"),
      samples.map((_, round) => baseOf(round)),
    );
    const shown = {
      "flush ms": subject.flushMs === 0 ? "the disk's" : `+ ${subject.flushMs}`,
      kind: subject.kind,
      "in flight": subject.inFlight,
      "a second": makeSpread(of("perSecond")),
      "p50 ms": makeSpread(of("p50Ms")),
      "per flush": makeSpread(of("perFlush")),
      ratio,
    };
    return { subject, ratio, shown };
  });
}

async function takeSample({ measure, flushes }: Subject, forMs: number): Promise<Sample> {
  const before = (await flushes?.()) ?? 0;
  const { calls, elapsedMs, p50Ms } = await measure(forMs);
  const perFlush = flushes === undefined ? 1 : calls / ((await flushes()) - before);
  return { perSecond: (calls * 1_000) / elapsedMs, p50Ms, perFlush };
}

/** What the disk takes for a flush when nothing else is to be done. */
async function rawFlush(dir: string, closers: Closers): Promise<Subject> {
  const file = await openFile(join(dir, "raw"), "w");
  closers.push(() => file.close());
  const page = Buffer.alloc(pageBytes);
  const write = async (): Promise<void> => {
    await file.write(page, 0, pageBytes, 0);
    await file.datasync();
  };
  return {
    kind: "4 KB and fdatasync",
    flushMs: 0,
    inFlight: 1,
    measure: (forMs) => measureCalls({ inFlight: 1, forMs }, write),
  };
}

/**
 * One transaction a message in a database of its own, with nothing around it: as a store may do it, and as quick as it can be, where no thread beside this
 * one takes part. Synchronous transactions are not for a store, because a thread that ends inside one keeps the write lock for ever. Many messages in one
 * such transaction are the most that any grouping could give: the least rows, and nothing done with them but writing.
 */
async function aloneOnes(dir: string, flushMs: number, closers: Closers): Promise<Subject[]> {
  const openIn = (name: string, options: object) => {
    const database = openDatabase<unknown, (string | number)[]>({
      path: join(dir, name),
      noSubdir: false,
      encoding: "json",
      ...options,
    });
    closers.push(() => database.close());
    return database;
  };
  const flushed = async (): Promise<void> => {
    if (flushMs > 0) await sleep(flushMs);
  };
  const asynchronous = openIn("asynchronous", {});
  const asynchronousRows = makeRows();
  const sendOne = async (): Promise<void> => {
    await asynchronous.batch(() => {
      for (const [key, value] of asynchronousRows()) void asynchronous.put([...key], value);
    });
    await flushed();
  };
  // Without it a synchronous commit may return before its flush.
  const synchronous = openIn("synchronous", { overlappingSync: false });
  const synchronousRows = makeRows();
  let transactions = 0;
  const sendTogether = async (messages: number): Promise<void> => {
    synchronous.transactionSync(() => {
      for (let sent = 0; sent < messages; sent++)
        for (const [key, value] of synchronousRows()) void synchronous.put([...key], value);
    });
    transactions++;
    await flushed();
  };
  const measureTogether = async (forMs: number, messages: number): Promise<CallFigures> => {
    const figures = await measureCalls({ inFlight: 1, forMs }, () => sendTogether(messages));
    return { ...figures, calls: figures.calls * messages };
  };
  return [
    {
      kind: baseKinds[1],
      flushMs,
      inFlight: 1,
      measure: (forMs) => measureCalls({ inFlight: 1, forMs }, sendOne),
    },
    { kind: baseKinds[0], flushMs, inFlight: 1, measure: (forMs) => measureTogether(forMs, 1) },
    {
      kind: "the same rows together, synchronous",
      flushMs,
      inFlight: targetWidth,
      measure: (forMs) => measureTogether(forMs, targetWidth),
      flushes: async () => transactions,
    },
  ];
}

/** Envelope and idempotency key: the least that a durable send which is recognised when it is repeated has to write. */
function makeRows(): () => (readonly [key: readonly (string | number)[], value: unknown])[] {
  let next = 0;
  return () => {
    const seq = next++;
    const id = `alone-${seq}`;
    return [
      [["e", seq], envelope(id)],
      [
        ["d", "bench", id],
        [seq, 0, id, id],
      ],
    ];
  };
}

async function journal(dir: string, flushMs: number, closers: Closers): Promise<Subject[]> {
  const store = await openStore({ stateDir: dir, agents: [] }, withFlushCost(openLmdbEnvironment, flushMs));
  closers.push(() => store.close());
  return appends(journalKind, flushMs, store);
}

async function journalInThread(dir: string, closers: Closers): Promise<Subject[]> {
  const store = await startStoreThread({
    places: { stateDir: dir, agents: [] },
    options: {},
    onLost: (reason) => {
      throw new Error(reason);
    },
  });
  closers.push(() => store.close());
  return appends("journal in the store's thread", 0, store);
}

function appends(kind: string, flushMs: number, store: Store): Subject[] {
  let next = 0;
  const send = async (): Promise<void> => {
    const id = `e${next++}`;
    await store.append(envelope(id), { scope: "bench", key: id });
  };
  const flushes = async (): Promise<number> => (await store.counters()).journalCommits;
  return widths.map((inFlight) => ({
    kind,
    flushMs,
    inFlight,
    measure: (forMs) => measureCalls({ inFlight, forMs }, send),
    flushes,
  }));
}

/** From one agent to another, whose turns and transcripts are committed meanwhile; a send ends when it is on disk. */
async function gateway(flushMs: number, closers: Closers): Promise<Subject[]> {
  const here = await openGatewayHere(
    {
      agents: {
        list: [
          { id: "main", module: fileURLToPath(new URL("../inside/sender.ts", import.meta.url)) },
          { id: "raul", module: "echo", maxConcurrent: Math.max(...gatewayWidths) },
        ],
      },
      tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
    },
    { openStore: (places) => openStore(places, withFlushCost(openLmdbEnvironment, flushMs)) },
  );
  closers.push(() => here.close());
  return gatewayWidths.map((inFlight) => ({
    kind: "agent to agent, with the turns",
    flushMs,
    inFlight,
    measure: async (forMs) => {
      const order: SendOrder = { sibling: "raul", text, inFlight, forMs };
      return JSON.parse(await here.say("main", JSON.stringify(order))) as CallFigures;
    },
    flushes: async () => (await here.counters()).journalCommits,
  }));
}

/** A message of about the size of a chat line, 200 characters. */
function envelope(id: string): Envelope {
  return {
    header: {
      id,
      from: { type: "operator", client: "bench" },
      agentId: "bench",
      sessionKey: "agent:bench:main",
      verb: "send",
      via: "operator",
      chain: [],
      trace: id,
      runId: id,
      acceptedAtMs: 0,
      provenance: { kind: "external_user", sourceChannel: "bench" },
      replyRoute: { type: "none" },
    },
    body: text,
  };
}
