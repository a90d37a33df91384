/**
 * What a start takes up: the work that is not done, and what it says of it. What it reads of the store follows from that work and
 * not from what was ever done; rows are counted, not time.
 */
import { expect, test } from "vitest";
import type { Environment, Entry, Key, OpenEnvironment, Range } from "../../runtime/store/environment.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { openStore } from "../../runtime/store/store.ts";
import { openGateway } from "../support/gateway.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";

/** Counts the rows that are read, found or not. */
function counting(disk: MemoryDisk): { readonly open: OpenEnvironment; readonly count: () => number } {
  let rows = 0;
  const inner = memoryEnvironments(disk);
  const wrap = (environment: Environment): Environment => ({
    get: <T>(key: Key) => {
      rows += 1;
      return environment.get<T>(key);
    },
    *entries<T>(range: Range): Iterable<Entry<T>> {
      for (const entry of environment.entries<T>(range)) {
        rows += 1;
        yield entry;
      }
    },
    *keys(range: Range): Iterable<Key> {
      for (const key of environment.keys(range)) {
        rows += 1;
        yield key;
      }
    },
    put: (key, value) => environment.put(key, value),
    remove: (key) => environment.remove(key),
    write: (change) => environment.write(change),
    settled: () => environment.settled(),
    checkRoom: (moreBytes) => environment.checkRoom(moreBytes),
    usedBytes: () => environment.usedBytes(),
    writeRows: (written) => environment.writeRows(written),
    commits: () => environment.commits(),
    copyTo: (dir) => environment.copyTo(dir),
    close: () => environment.close(),
  });
  return {
    open: Object.assign(async (dir: string) => wrap(await inner(dir)), { exists: inner.exists }),
    count: () => rows,
  };
}

/** A store with so many finished turns and so many that the last process left, and what a start then reads. */
async function bootAfter(finished: number, unfinished: number) {
  const disk: MemoryDisk = new Map();
  const places = placesIn("/memory");
  const before = await openMemoryStore(places, { disk });
  const mails = Array.from({ length: finished + unfinished }, (_, at) =>
    envelope(`e${at}`, { agentId: at % 2 === 0 ? "ann" : "bob", session: `s${at % 7}` }),
  );
  await Promise.all(
    mails.map((mail, at) =>
      before.append(mail, { scope: "webhook:biz", key: `k${at}` }).then(() => before.begin(beginOf(mail))),
    ),
  );
  for (const mail of mails.slice(0, finished)) {
    await before.commit(commitOf(mail, { state: "{}" }));
    await before.settle(mail.header.id);
  }
  await before.close();

  const { open, count } = counting(disk);
  const store = await openStore(places, open);
  await store.orders();
  await store.deadLetterCounts();
  const pending = await store.pending();
  const rows = count();
  const history = (await store.history("ann", "agent:ann:s0", 10_000, 0)).total;
  await store.close();
  return { rows, envelopes: pending.envelopes.length, history };
}

test("a start after thousands of finished turns reads as many rows as one after ten", async () => {
  const few = await bootAfter(10, 20);
  const many = await bootAfter(3_000, 20);
  expect([few.envelopes, many.envelopes]).toEqual([20, 20]);
  // The finished ones are there.
  expect(many.history).toBeGreaterThan(100 * few.history);
  expect(many.rows).toBe(few.rows);
});

test("and as many more as there is more work that is not done", async () => {
  const [none, some, more] = [await bootAfter(100, 0), await bootAfter(100, 100), await bootAfter(100, 200)];
  expect(none.rows).toBeLessThan(30);
  expect(some.rows).toBeGreaterThan(none.rows + 100);
  expect(more.rows - some.rows).toBeLessThan(1.1 * (some.rows - none.rows));
});

test("what was in hand when the last process ended is handled again, and the audit trail says so; what only waited is not", async () => {
  const agents = [{ id: "ann", module: "echo" }];
  const first = await openGateway(agents);
  const { store, config } = first;
  await first.drain(0);
  const accepted = (id: string, body: string) => {
    const { header } = envelope(id);
    return { header: { ...header, via: "door:test", acceptedAtMs: Date.now() }, body };
  };
  const [lost, waiting] = [accepted("lost", "one"), accepted("waiting", "two")];
  await store.append(lost);
  await store.append(waiting);
  await store.begin(beginOf(lost));
  const gateway = await openGateway(agents, {}, { store, config });
  expect(await gateway.reply("ann", "three")).toBe("three");
  const told = (await store.audits(50)).filter(({ type }) => type === "redelivered");
  expect(told).toMatchObject([
    {
      envelopeId: "lost",
      object: "agent:ann:main",
      decision: "noted",
      detail: "its run was lost when the last process ended, after delivery 1; it is handled again",
    },
  ]);
  const { rows } = await store.history("ann", "agent:ann:main", 10, 0);
  expect(rows.filter(({ role }) => role === "assistant").map(({ text }) => text)).toEqual(["one", "two", "three"]);
});
