/** A copy of the store, taken while it works: what is in it, whoever was first. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OpenEnvironment } from "../../runtime/store/environment.ts";
import { countRows } from "../../runtime/store/lmdb/count-rows.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { agentIds, beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";

const sessionOf = (agentId: string): string => `agent:${agentId}:main`;

describe.each(["LMDB", "memory"])("a snapshot of the store: %s", (kind) => {
  let dir: string;
  let openEnvironment: OpenEnvironment;
  let store: Store;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    openEnvironment = kind === "LMDB" ? openLmdbEnvironment : memoryEnvironments(new Map());
    store = await openStore(placesIn(join(dir, "live")), openEnvironment, { owner: { pid: process.pid } });
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  const accept = async (agentId: string, id: string): Promise<void> => {
    await store.append(envelope(id, { agentId }), { scope: "load", key: id });
  };
  const handle = async (on: Store, agentId: string, id: string): Promise<void> => {
    const mail = envelope(id, { agentId });
    if ((await on.begin(beginOf(mail))).status === "begun") await on.commit(commitOf(mail));
    await on.settle(id);
  };
  const openCopy = (): Promise<Store> => openStore(placesIn(join(dir, "copy")), openEnvironment);
  /** Envelope ids of the turns in all transcripts, one for each time. */
  const turnsIn = async (on: Store): Promise<string[]> => {
    const pages = await Promise.all(agentIds.map((id) => on.history(id, sessionOf(id), 1_000_000, 0)));
    return pages.flatMap(({ rows }) => rows.filter(({ role }) => role === "user").map((row) => row.envelopeId));
  };

  it("holds everything that was accepted before its moment exactly once, taken under load", async () => {
    const accepted: { readonly id: string; readonly atMs: number }[] = [];
    const loading = new AbortController();
    let handled = 0;
    const load = Promise.all(
      agentIds.map(async (agentId) => {
        for (let at = 0; !loading.signal.aborted; at += 1) {
          const id = `${agentId}-${at}`;
          await accept(agentId, id);
          accepted.push({ id, atMs: Date.now() });
          await handle(store, agentId, id);
          handled += 1;
          // In memory nothing waits for a disk; without this the load would leave no turn of the loop to anybody.
          if (at % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    const reach = (count: number) => expect.poll(() => handled, { interval: 1 }).toBeGreaterThanOrEqual(count);
    await reach(100);
    const before = handled;
    const { acceptedUntilMs, agentIds: copied } = await store.snapshot(join(dir, "copy"));
    await reach(before + 100);
    loading.abort();
    await load;
    expect(copied.toSorted()).toEqual([...agentIds].toSorted());

    const copy = await openCopy();
    const { envelopes } = await copy.pending();
    const done = await turnsIn(copy);
    expect(new Set(done).size, "no turn twice").toBe(done.length);
    const waiting = envelopes.map(({ header }) => header.id);
    expect(waiting.filter((id) => done.includes(id))).toEqual([]);
    for (const { header } of envelopes) await handle(copy, header.agentId, header.id);
    const turns = await turnsIn(copy);
    expect(new Set(turns).size, "and none twice after what waited was handled").toBe(turns.length);
    const due = accepted.filter(({ atMs }) => atMs < acceptedUntilMs).map(({ id }) => id);
    expect(due.length).toBeGreaterThanOrEqual(100);
    expect(due.filter((id) => !turns.includes(id))).toEqual([]);
    for (const agentId of agentIds) {
      const { total } = await copy.history(agentId, sessionOf(agentId), 0, 0);
      expect((await copy.session(sessionOf(agentId)))?.messages, "the index knows every turn").toBe(total);
    }
    await copy.close();
  });

  it("keeps the mark of a turn that was done and settled between the copies of its agent and of the journal", async () => {
    await accept("ann", "first");
    await handle(store, "ann", "first");
    await accept("bob", "waits");
    // The copying of the registry begins; the turn is committed, settled and written before the journal's turn comes.
    const snapshot = store.snapshot(join(dir, "copy"));
    await handle(store, "bob", "waits");
    await accept("ann", "later");
    await snapshot;
    const copy = await openCopy();
    const { envelopes } = await copy.pending();
    const known = [...(await turnsIn(copy)), ...envelopes.map(({ header }) => header.id)].toSorted();
    expect(known.filter((id) => id === "waits")).toEqual(["waits"]);
    expect(known.filter((id) => id === "first")).toEqual(["first"]);
    await copy.close();
  });

  it("removes afterwards what it held, in portions, and forgets the marks", async () => {
    await store.close();
    store = await openStore(placesIn(join(dir, "live")), openEnvironment, { bounds: { settledRowsPerWriteMax: 2 } });
    for (let at = 0; at < 5; at += 1) await accept("ann", `held-${at}`);
    const snapshot = store.snapshot(join(dir, "copy"));
    for (let at = 0; at < 5; at += 1) await handle(store, "ann", `held-${at}`);
    await snapshot;
    await store.close();
    store = await openStore(placesIn(join(dir, "live")), openEnvironment);
    const journal = await openEnvironment(join(dir, "live", "store", "journal"));
    expect([...journal.entries({ start: ["q"], end: ["q", "\u{10ffff}"] })]).toEqual([]);
    await journal.close();
    expect((await store.pending()).envelopes).toEqual([]);
    expect(await turnsIn(store)).toHaveLength(5);
  });

  it("makes nothing for agents without an environment, and nobody owns the copy", async () => {
    await accept("ann", "a");
    await handle(store, "ann", "a");
    expect((await store.snapshot(join(dir, "copy"))).agentIds).toEqual(["ann"]);
    expect(await openEnvironment.exists(join(dir, "live", "agents", "bob", "sessions"))).toBe(false);
    const owned = await openStore(placesIn(join(dir, "copy")), openEnvironment, { owner: { pid: process.pid } });
    expect(await turnsIn(owned)).toEqual(["a"]);
    await owned.close();
  });

  it("refuses a folder that holds a copy, and works on", async () => {
    await store.snapshot(join(dir, "copy"));
    await expect(store.snapshot(join(dir, "copy"))).rejects.toMatchObject({
      code: "CLOISTER_STORE_FAILED",
      message: expect.stringContaining("environment already"),
    });
    await accept("ann", "after");
    await handle(store, "ann", "after");
    expect(await turnsIn(store)).toEqual(["after"]);
  });
});

describe("reading an environment of a copy from end to end", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("counts its rows and leaves nothing behind; says what is missing or of another kind", async () => {
    const store = await openStore(placesIn(join(dir, "live")), openLmdbEnvironment);
    await store.append(envelope("one"));
    await store.snapshot(join(dir, "copy"));
    await store.close();
    const journal = join(dir, "copy", "store", "journal");
    // Format, header and body, place by id; in the audit trail a row and the head; how far the log was moved.
    expect(await countRows(journal, "journal")).toBe(6);
    expect(await openLmdbEnvironment.exists(journal)).toBe(true);
    await expect(countRows(join(dir, "none"), "journal")).rejects.toMatchObject({ code: "CLOISTER_BACKUP_DAMAGED" });
    await expect(countRows(journal, "registry")).rejects.toMatchObject({ code: "CLOISTER_STATE_VERSION" });
  });
});
