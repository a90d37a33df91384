/**
 * Durable sends per second, alone and many in flight, next to the same rows written one transaction after the other in the
 * same rounds. What group commit gives depends on what a flush costs, so all of it is measured on this machine's disk and
 * with a flush that takes longer, for both sides alike (`bench/flush-cost.ts`).
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
import { makeRatios, makeSpread } from "../spread.ts";

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
const baseKinds = ["one transaction each, synchronous", "one transaction each, awaited"] as const;
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

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const dir = await mkdtemp(join(tmpdir(), "cloister-bench-"));
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const subjects: Subject[] = [await rawFlush(dir, closers)];
    for (const flushMs of flushCostsMs) {
      const place = join(dir, `flush-${flushMs}`);
      subjects.push(
        ...(await synchronous(join(place, "synchronous"), flushMs, closers)),
        await awaited(join(place, "awaited"), flushMs, closers),
        ...(await journal(join(place, "journal"), flushMs, closers)),
        ...(await gateway(flushMs, closers)),
      );
    }
    subjects.push(...(await journalInThread(join(dir, "thread"), closers)));

    const measured = subjects.map((subject) => ({ subject, samples: new Array<Sample>() }));
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      for (const { subject, samples } of measured) {
        const sample = await takeSample(subject, seconds * 1_000);
        if (round >= warmUpRounds) samples.push(sample);
      }
    }
    const rows = measured.map(({ subject, samples }) => {
      const bases = measured.filter(
        ({ subject: { kind, flushMs } }) => flushMs === subject.flushMs && baseKinds.some((base) => base === kind),
      );
      const of = (figure: keyof Sample) => samples.map((sample) => sample[figure]);
      return {
        "flush ms": subject.flushMs === 0 ? "the disk's" : `+ ${subject.flushMs}`,
        kind: subject.kind,
        "in flight": subject.inFlight,
        "a second": makeSpread(of("perSecond")),
        "p50 ms": makeSpread(of("p50Ms")),
        "per flush": makeSpread(of("perFlush")),
        ratio: makeRatios(
          of("perSecond"),
          samples.map((_, round) => Math.max(...bases.map((base) => base.samples[round]?.perSecond ?? Number.NaN))),
        ),
      };
    });
    const targets = flushCostsMs.map((flushMs) => {
      const at = subjects.findIndex(
        (subject) => subject.kind === journalKind && subject.flushMs === flushMs && subject.inFlight === targetWidth,
      );
      const where = flushMs === 0 ? "on this disk" : `with a flush of ${flushMs} ms more`;
      const found = rows[at]?.ratio.median ?? Number.NaN;
      return atLeast(`${targetWidth} durable sends in flight to one at a time, ${where}`, found, targetRatio, "times");
    });
    return { name: "store", rows, targets };
  } finally {
    for (const close of closers.toReversed()) await close();
    await rm(dir, { recursive: true });
  }
}

async function takeSample({ measure, flushes }: Subject, forMs: number): Promise<Sample> {
  const before = (await flushes?.()) ?? 0;
  const { calls, elapsedMs, p50Ms } = await measure(forMs);
  const perFlush = flushes === undefined ? 1 : calls / ((await flushes()) - before);
  return { perSecond: (calls * 1_000) / elapsedMs, p50Ms, perFlush };
}

/** What the disk takes for a flush when nothing else is to be done. */
async function rawFlush(dir: string, closers: (() => Promise<unknown>)[]): Promise<Subject> {
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
 * The fastest that one transaction a message can be: no thread beside this one takes part. Synchronous transactions are not
 * for the store itself, because a thread that ends inside one keeps the write lock for ever. Many messages in one such transaction are the most
 * that any grouping could give: the least rows, and nothing done with them but writing.
 */
async function synchronous(dir: string, flushMs: number, closers: (() => Promise<unknown>)[]): Promise<Subject[]> {
  const database = openDatabase<unknown, (string | number)[]>({
    path: dir,
    noSubdir: false,
    encoding: "json",
    // Without it a synchronous commit may return before its flush.
    overlappingSync: false,
  });
  closers.push(() => database.close());
  const rows = makeRows();
  let transactions = 0;
  /** Resolves when all are on disk. */
  const send = async (messages: number): Promise<void> => {
    database.transactionSync(() => {
      for (let sent = 0; sent < messages; sent++) for (const [key, value] of rows()) void database.put([...key], value);
    });
    transactions++;
    if (flushMs > 0) await sleep(flushMs);
  };
  const measure = async (forMs: number, messages: number): Promise<CallFigures> => {
    const figures = await measureCalls({ inFlight: 1, forMs }, () => send(messages));
    return { ...figures, calls: figures.calls * messages };
  };
  return [
    { kind: baseKinds[0], flushMs, inFlight: 1, measure: (forMs) => measure(forMs, 1) },
    {
      kind: "the same rows together, synchronous",
      flushMs,
      inFlight: targetWidth,
      measure: (forMs) => measure(forMs, targetWidth),
      flushes: async () => transactions,
    },
  ];
}

/** One transaction a message through the same environment as the journal's. */
async function awaited(dir: string, flushMs: number, closers: (() => Promise<unknown>)[]): Promise<Subject> {
  const environment = await withFlushCost(openLmdbEnvironment, flushMs)(dir);
  closers.push(() => environment.close());
  const rows = makeRows();
  const send = (): Promise<void> =>
    environment.write(() => {
      for (const [key, value] of rows()) environment.put(key, value);
    });
  return {
    kind: baseKinds[1],
    flushMs,
    inFlight: 1,
    measure: (forMs) => measureCalls({ inFlight: 1, forMs }, send),
  };
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

async function journal(dir: string, flushMs: number, closers: (() => Promise<unknown>)[]): Promise<Subject[]> {
  const store = await openStore({ stateDir: dir, agents: [] }, withFlushCost(openLmdbEnvironment, flushMs));
  closers.push(() => store.close());
  return appends(journalKind, flushMs, store);
}

async function journalInThread(dir: string, closers: (() => Promise<unknown>)[]): Promise<Subject[]> {
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
async function gateway(flushMs: number, closers: (() => Promise<unknown>)[]): Promise<Subject[]> {
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
