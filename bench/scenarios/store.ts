/**
 * Durable appends per second through the journal, by how many are in flight, next to the same rows written one transaction
 * after the other in the same run. What group commit gives is the ratio; absolute rates are the disk's.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import type { ScenarioOptions, ScenarioReport } from "../scenario.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { startStoreThread } from "../../runtime/store/thread.ts";

const secondsDefault = 1;
const inFlight = [1, 16, 64, 256];

export async function run({ seconds = secondsDefault }: ScenarioOptions): Promise<ScenarioReport> {
  const dir = await mkdtemp(join(tmpdir(), "cloister-bench-"));
  try {
    const alone = await oneByOne(join(dir, "alone"), seconds);
    const rows: Array<Record<string, string | number>> = [
      { store: "one transaction a message", inFlight: 1, ...alone, ratio: 1 },
    ];
    const places = (name: string) => ({ stateDir: join(dir, name), agents: [] });
    const stores = {
      "journal, in this thread": await openLmdbStore(places("here")),
      "journal, in its thread": await startStoreThread({
        places: places("thread"),
        options: {},
        onLost: (reason) => {
          throw new Error(reason);
        },
      }),
    };
    for (const [name, store] of Object.entries(stores)) {
      let next = 0;
      for (const width of inFlight) {
        const before = (await store.counters()).journalCommits;
        const append = (): Promise<unknown> => {
          const id = `${width}-${next++}`;
          return store.append(envelope(id), { scope: "bench", key: id });
        };
        const { perSecond, p50Ms, count } = await measure(width, seconds, append);
        const flushes = (await store.counters()).journalCommits - before;
        rows.push({
          store: name,
          inFlight: width,
          perSecond,
          p50Ms,
          appendsPerFlush: round(count / flushes),
          ratio: round(perSecond / alone.perSecond),
        });
      }
      await store.close();
    }
    return { name: "store", rows };
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** The floor: each row in a transaction and a flush of its own. */
async function oneByOne(
  dir: string,
  seconds: number,
): Promise<{ perSecond: number; p50Ms: number; appendsPerFlush: number }> {
  const environment = await openLmdbEnvironment(dir);
  let next = 0;
  const { perSecond, p50Ms } = await measure(1, seconds, () => {
    const id = `alone-${next++}`;
    return environment.write(() => environment.put(["e", id], envelope(id)));
  });
  await environment.close();
  return { perSecond, p50Ms, appendsPerFlush: 1 };
}

async function measure(
  width: number,
  seconds: number,
  append: () => Promise<unknown>,
): Promise<{ perSecond: number; p50Ms: number; count: number }> {
  const start = performance.now();
  const times: number[] = [];
  const client = async (): Promise<void> => {
    for (;;) {
      const before = performance.now();
      if (before - start > seconds * 1_000) return;
      await append();
      times.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: width }, client));
  const elapsedSeconds = (performance.now() - start) / 1_000;
  const p50Ms = times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
  return { perSecond: Math.round(times.length / elapsedSeconds), p50Ms: round(p50Ms), count: times.length };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
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
    body: "x".repeat(200),
  };
}
