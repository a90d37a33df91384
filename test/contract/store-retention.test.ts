/** What retention may end and remove, in both kinds of store: nothing that has work, each file only when nothing names it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import type { SessionRow, Store, TurnCommit } from "../../runtime/store/port.ts";
import { beginOf, commitOf, envelope, type EnvelopeParts, placesIn } from "./store-envelopes.ts";

const none = { transcripts: 0, messages: 0, files: [], more: false };
const long = "a long text ".repeat(200);
const bounds = { blobCharsMin: 1_000 };

describe.each(["memory", "lmdb"])("retention in the store: %s", (kind) => {
  let dir: string;
  let store: Store;
  let disk: MemoryDisk;
  const reopen = async (options: StoreOptions = { bounds }): Promise<void> => {
    await store.close();
    store = await open(options);
  };
  const open = (options: StoreOptions): Promise<Store> =>
    kind === "lmdb" ? openLmdbStore(placesIn(dir), options) : openMemoryStore(placesIn(dir), { ...options, disk });

  const environments = () => (kind === "lmdb" ? openLmdbEnvironment : memoryEnvironments(disk));

  let count = 0;
  /** One turn at a time in a session, wholly over afterwards. */
  const turn = async (
    session: string,
    atMs: number,
    parts: EnvelopeParts = {},
    commit: Partial<TurnCommit> = {},
  ): Promise<SessionRow> => {
    const mail = envelope(`e${count++}`, { session, ...parts });
    await store.append(mail);
    await store.begin(beginOf(mail));
    const { row } = await store.commit(commitOf(mail, { kind: "hook", atMs, ...commit }));
    await store.settle(mail.header.id);
    await reopen();
    return row;
  };
  const stale = async (beforeMs: number, over: Record<string, number> = {}, limit = 100): Promise<string[]> =>
    (await store.staleSessions({ beforeMs, over, limit })).rows.map(({ key }) => key.replace("agent:ann:", ""));

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    disk = new Map();
    store = await open({ bounds });
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  it("finds by age what the gateway made itself and what is archived, and never a main session or a conversation", async () => {
    await turn("hook:old", 10);
    await turn("hook:young", 50);
    await turn("main", 1, {}, { kind: "main" });
    await turn("webhook:direct:a", 2, {}, { kind: "other" });
    const { key } = await turn("webhook:direct:b", 3, {}, { kind: "other" });
    await store.archiveSession("agent:ann:main", true, 4);
    await store.archiveSession(key, true, 20);
    expect(await stale(20)).toEqual(["hook:old"]);
    expect(await stale(21)).toEqual(["webhook:direct:b", "hook:old"]);
    expect(await stale(51)).toEqual(["webhook:direct:b", "hook:old", "hook:young"]);
  });

  it("finds by number the oldest of an agent that may go, and tells how many too many stay", async () => {
    for (const at of [1, 2, 3]) await turn(`hook:${at}`, at);
    await turn("x", 1, { agentId: "bob" });
    expect(await stale(0, { ann: 2 })).toEqual(["hook:1", "hook:2"]);
    expect(await store.staleSessions({ beforeMs: 0, over: { ann: 5 }, limit: 100 })).toMatchObject({
      over: { ann: 2 },
    });
  });

  it("looks at the index in steps that together see every session once, and counts them by agent", async () => {
    for (const at of [1, 2, 3, 4, 5]) await turn(`hook:${at}`, at % 2);
    await turn("x", 1, { agentId: "bob" });
    const keys: string[] = [];
    let page = await store.staleSessions({ beforeMs: 9, over: {}, limit: 2 });
    for (;;) {
      expect(page.rows.length).toBeLessThanOrEqual(2);
      keys.push(...page.rows.map(({ key }) => key));
      if (page.next === undefined) break;
      page = await store.staleSessions({ beforeMs: 9, over: {}, after: page.next, limit: 2 });
    }
    expect(keys.toSorted()).toEqual([
      "agent:ann:hook:1",
      "agent:ann:hook:2",
      "agent:ann:hook:3",
      "agent:ann:hook:4",
      "agent:ann:hook:5",
      "agent:bob:x",
    ]);
    await reopen({ bounds: { retentionRowsMax: 4 } });
    const first = await store.countSessions();
    const second = await store.countSessions(first.next);
    expect([first.counts, second.counts, second.next]).toEqual([{ ann: 4 }, { ann: 1, bob: 1 }, undefined]);
  });

  it("leaves a session alone that has mail, a timer, a monitor or an unfinished child, or is one, also when that comes in between", async () => {
    for (const name of ["mail", "timer", "monitor", "parent", "child", "idle"]) await turn(`hook:${name}`, 1);
    const found = (await store.staleSessions({ beforeMs: 9, over: {}, limit: 100 })).rows;
    expect(found).toHaveLength(6);
    const sessionOf = (name: string) => ({
      agentId: "ann",
      sessionKey: `agent:ann:hook:${name}`,
      via: "self",
      createdAtMs: 1,
    });
    await store.append(envelope("waits", { session: "hook:mail" }));
    await store.schedule({ ...sessionOf("timer"), id: "t", name: "t", body: "", isData: false, dueAtMs: 99 });
    await store.monitor({ ...sessionOf("monitor"), id: "m", target: "bob" });
    const asking = envelope("asks", { session: "hook:asker" });
    await store.append(asking);
    await store.spawn(
      {
        id: "run",
        agentId: "ann",
        sessionKey: "agent:ann:hook:child",
        ownerAgentId: "ann",
        requesterSessionKey: "agent:ann:hook:parent",
        requesterRunId: "r",
        lineage: ["agent:ann:hook:parent"],
        replyRoute: { type: "none" },
        trace: "t",
        task: "work",
        cleanup: "keep",
        context: "isolated",
        announce: true,
        detached: false,
        archiveAfterMs: 0,
        createdAtMs: 1,
      },
      envelope("task", { agentId: "ann", session: "hook:child" }),
      { turn: "asks", call: { key: 0, op: "tool", name: "sessions_spawn" } },
      {},
    );
    expect(await stale(9)).toEqual(["hook:idle"]);
    for (const row of found)
      expect([row.key, await store.pruneSession(row, 9)]).toEqual([
        row.key,
        row.key.endsWith("idle") ? row : undefined,
      ]);
    // Its end waits for its requester's mailbox: then the requester has work, and the child has none.
    const end = { outcome: "succeeded", detail: "", endedAtMs: 5, toolCalls: 0 } as const;
    await store.settle("task");
    await store.endRun("run", { ...end, delivery: "pending" }, { tryAtMs: 6 });
    await reopen();
    expect(await stale(9_999)).toEqual(["hook:child"]);
    await store.blockRun("run");
    expect(await stale(9_999)).toEqual(["hook:child", "hook:parent"]);
  });

  it("ends a session only as it was found, and keeps its transcript", async () => {
    const found = await turn("hook:a", 1);
    const now = await turn("hook:a", 2);
    expect(await store.pruneSession(found, 9)).toBeUndefined();
    await store.archiveSession(now.key, true, 3);
    expect(await store.pruneSession(now, 9)).toBeUndefined();
    await store.archiveSession(now.key, false, 3);
    expect(await store.pruneSession(now, 9)).toEqual(now);
    expect(await store.session(now.key)).toBeUndefined();
    expect(await store.pastTranscripts("ann", now.key, 9)).toEqual([
      { sessionId: now.sessionId, messages: 4, endedAtMs: 9 },
    ]);
  });

  it("removes what ended before a time, and the oldest beyond a number, but tells it only on trial", async () => {
    const rule = { beforeMs: 20, max: 9 };
    const { key } = await turn("hook:a", 1);
    await store.resetSession(key, "ann", 10);
    await turn("hook:a", 11);
    await store.resetSession(key, "ann", 20);
    await turn("hook:b", 12);
    await store.deleteSession("agent:ann:hook:b", "ann", 19);
    await turn("hook:a", 21);
    const past = async (): Promise<number[]> =>
      (await store.pastTranscripts("ann", key, 9)).map(({ endedAtMs }) => endedAtMs);
    expect(await store.expireTranscripts("ann", rule, true)).toEqual({ ...none, transcripts: 2, messages: 4 });
    expect(await past()).toEqual([20, 10]);
    expect(await store.expireTranscripts("ann", rule, false)).toEqual({ ...none, transcripts: 2, messages: 4 });
    expect(await store.expireTranscripts("ann", rule, false)).toEqual(none);
    await reopen();
    expect(await past()).toEqual([20]);
    expect(await store.pastTranscripts("ann", "agent:ann:hook:b", 9)).toEqual([]);
    expect(await store.expireTranscripts("ann", { beforeMs: 0, max: 1 }, false)).toEqual(none);
    expect(await store.expireTranscripts("ann", { beforeMs: 0, max: 0 }, false)).toMatchObject({ transcripts: 1 });
    // What is spoken in goes on, and the next transcript that ends is counted from the beginning.
    expect((await store.history("ann", key, 9, 0)).rows).toHaveLength(2);
    await store.resetSession(key, "ann", 30);
    expect(await past()).toEqual([30]);
  });

  it("removes a long transcript over several calls, readable from its beginning meanwhile, also after a restart", async () => {
    const small = { bounds: { retentionRowsMax: 3 } };
    let row = await turn("hook:a", 1);
    for (const at of [2, 3, 4]) row = await turn("hook:a", at);
    await store.deleteSession(row.key, "ann", 5);
    await reopen(small);
    const rule = { beforeMs: 9, max: 9 };
    expect(await store.expireTranscripts("ann", rule, false)).toEqual({ ...none, messages: 3, more: true });
    const left = await store.history("ann", row.key, 9, 0, undefined, row.sessionId);
    expect([left.total, left.rows.map(({ seq }) => seq)]).toEqual([5, [0, 1, 2, 3, 4]]);
    await reopen(small);
    expect(await store.expireTranscripts("ann", rule, false)).toMatchObject({ messages: 3, more: true });
    expect(await store.expireTranscripts("ann", rule, false)).toEqual({ ...none, transcripts: 1, messages: 2 });
    expect((await store.history("ann", row.key, 9, 0, undefined, row.sessionId)).total).toBe(0);
  });

  it("an agent without an environment has none, gets none by the question, and stays closed after it", async () => {
    await turn("hook:a", 1);
    expect(await store.expireTranscripts("bob", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect((await store.counters()).agentOpens).toEqual({ ann: 2 });
  });

  it("removes the file of a long text with the last transcript that names it", async () => {
    const files = async (): Promise<number> =>
      (
        (await environments()
          .blobs?.(join(dir, "agents", "ann", "sessions"))
          .list()) ?? []
      ).length;
    const first = await turn("hook:a", 1, { body: long });
    const second = await turn("hook:b", 1, { body: long });
    await turn("hook:c", 1, { body: `other ${long}` });
    expect(await files()).toBe(2);
    await store.deleteSession(first.key, "ann", 5);
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files()).toBe(2);
    expect((await store.history("ann", second.key, 9, 0)).rows[0]?.text).toBe(long);
    await store.deleteSession(second.key, "ann", 5);
    await store.append(envelope("again", { body: long }));
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files(), "mail that waits names it").toBe(2);
    const { row } = await store.commit(commitOf(envelope("again"), { kind: "hook" }));
    await store.settle("again");
    await reopen();
    await store.deleteSession(row.key, "ann", 5);
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files()).toBe(1);
  });

  it("takes over format 2: what had ended by then is removed in its order, and a file stays while a row names it", async () => {
    const first = await turn("hook:a", 1, { body: long });
    const second = await turn("hook:b", 1, { body: long });
    await store.deleteSession(first.key, "ann", 5);
    await store.close();
    const agent = await environments()(join(dir, "agents", "ann", "sessions"));
    await agent.write(() => {
      const keys = ["e", "z"].flatMap((name) =>
        Array.from(agent.entries({ start: [name], end: [`${name}~`] }), ({ key }) => key),
      );
      for (const key of keys) {
        agent.remove(key);
        if (key[0] === "z") agent.put(key.slice(0, 2), 0);
      }
      agent.put(["format"], { name: "agent", format: 2 });
    });
    await agent.close();
    store = await open({ bounds });
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    await reopen();
    expect((await store.history("ann", second.key, 9, 0)).rows[0]?.text).toBe(long);
    await store.deleteSession(second.key, "ann", 6);
    expect(await store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({
      transcripts: 1,
      files: [expect.any(String)],
    });
  });

  it("counts the bytes of rows and files, and no longer those that were removed", async () => {
    expect(await store.storedBytes("bob")).toBe(0);
    for (let n = 0; n < 30; n++) await turn("hook:a", n, { body: "x".repeat(900) });
    const rows = await store.storedBytes("ann");
    expect(rows).toBeGreaterThan(30 * 900);
    await turn("hook:a", 31, { body: long.repeat(20) });
    expect(await store.storedBytes("ann")).toBeGreaterThanOrEqual(rows + Buffer.byteLength(long.repeat(20)));
    await store.deleteSession("agent:ann:hook:a", "ann", 40);
    expect(await store.expireTranscripts("ann", { beforeMs: 0, max: 0 }, false)).toMatchObject({ transcripts: 1 });
    expect(await store.storedBytes("ann")).toBeLessThan(rows / 2);
  });

  it("never finds a pinned session, nor ends one that was pinned meanwhile", async () => {
    const row = await turn("hook:a", 1);
    expect(await store.pinSession("agent:ann:none", true)).toBeUndefined();
    expect(await store.pinSession(row.key, true)).toEqual({ ...row, pinned: true });
    expect(await stale(1_000, { ann: 5 })).toEqual([]);
    expect(await store.pruneSession(row, 9)).toBeUndefined();
    const later = await turn("hook:a", 2);
    expect(later).toMatchObject({ pinned: true, messages: 4 });
    expect(await store.resetSession(row.key, "ann", 3)).toMatchObject({ pinned: true, messages: 0 });
    await reopen();
    expect(await store.session(row.key)).toMatchObject({ pinned: true });
    expect(await store.pinSession(row.key, false)).not.toHaveProperty("pinned");
    expect(await stale(1_000)).toEqual(["hook:a"]);
  });
});
