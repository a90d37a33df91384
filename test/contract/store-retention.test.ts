/** What retention may end and remove, in both kinds of store: nothing that has work, each file only when nothing names it. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import type { SessionRow, TurnCommit } from "../../runtime/store/port.ts";
import { beginOf, commitOf, envelope, type EnvelopeParts } from "./store-envelopes.ts";
import { eachStore, storeKinds } from "./store-kinds.ts";

const none = { transcripts: 0, messages: 0, files: [], more: false };
const long = "a long text ".repeat(200);
const bounds = { blobCharsMin: 1_000 };

describe.each(storeKinds)("retention in the store: %s", (kind) => {
  const kept = eachStore(kind, { bounds });
  const environments = () => (kind === "lmdb" ? openLmdbEnvironment : memoryEnvironments(kept.disk));

  let count = 0;
  /** One turn at a time in a session, wholly over afterwards. */
  const turn = async (
    session: string,
    atMs: number,
    parts: EnvelopeParts = {},
    commit: Partial<TurnCommit> = {},
  ): Promise<SessionRow> => {
    const mail = envelope(`e${count++}`, { session, ...parts });
    await kept.store.append(mail);
    await kept.store.begin(beginOf(mail));
    const { row } = await kept.store.commit(commitOf(mail, { kind: "hook", atMs, ...commit }));
    await kept.store.settle(mail.header.id);
    await kept.reopen();
    return row;
  };
  const stale = async (beforeMs: number, over: Record<string, number> = {}, limit = 100): Promise<string[]> =>
    (await kept.store.staleSessions({ beforeMs, over, limit })).rows.map(({ key }) => key.replace("agent:ann:", ""));

  it("finds by age what the gateway made itself and what is archived, and never a main session or a conversation", async () => {
    await turn("hook:old", 10);
    await turn("hook:young", 50);
    await turn("main", 1, {}, { kind: "main" });
    await turn("webhook:direct:a", 2, {}, { kind: "other" });
    const { key } = await turn("webhook:direct:b", 3, {}, { kind: "other" });
    await kept.store.archiveSession("agent:ann:main", true, 4);
    await kept.store.archiveSession(key, true, 20);
    expect(await stale(20)).toEqual(["hook:old"]);
    expect(await stale(21)).toEqual(["webhook:direct:b", "hook:old"]);
    expect(await stale(51)).toEqual(["webhook:direct:b", "hook:old", "hook:young"]);
  });

  it("finds by number the oldest of an agent that may go, and tells how many too many stay", async () => {
    for (const at of [1, 2, 3]) await turn(`hook:${at}`, at);
    await turn("x", 1, { agentId: "bob" });
    expect(await stale(0, { ann: 2 })).toEqual(["hook:1", "hook:2"]);
    expect(await kept.store.staleSessions({ beforeMs: 0, over: { ann: 5 }, limit: 100 })).toMatchObject({
      over: { ann: 2 },
    });
  });

  it("looks at the index in steps that together see every session once, and counts them by agent", async () => {
    for (const at of [1, 2, 3, 4, 5]) await turn(`hook:${at}`, at % 2);
    await turn("x", 1, { agentId: "bob" });
    const keys: string[] = [];
    let page = await kept.store.staleSessions({ beforeMs: 9, over: {}, limit: 2 });
    for (;;) {
      expect(page.rows.length).toBeLessThanOrEqual(2);
      keys.push(...page.rows.map(({ key }) => key));
      if (page.next === undefined) break;
      page = await kept.store.staleSessions({ beforeMs: 9, over: {}, after: page.next, limit: 2 });
    }
    expect(keys.toSorted()).toEqual([
      "agent:ann:hook:1",
      "agent:ann:hook:2",
      "agent:ann:hook:3",
      "agent:ann:hook:4",
      "agent:ann:hook:5",
      "agent:bob:x",
    ]);
    await kept.reopen({ bounds: { retentionRowsMax: 4 } });
    const first = await kept.store.countSessions();
    const second = await kept.store.countSessions(first.next);
    expect([first.counts, second.counts, second.next]).toEqual([{ ann: 4 }, { ann: 1, bob: 1 }, undefined]);
  });

  it("leaves a session alone that has mail, a timer, a monitor or an unfinished child, or is one, also when that comes in between", async () => {
    for (const name of ["mail", "timer", "monitor", "parent", "child", "idle"]) await turn(`hook:${name}`, 1);
    const found = (await kept.store.staleSessions({ beforeMs: 9, over: {}, limit: 100 })).rows;
    expect(found).toHaveLength(6);
    const sessionOf = (name: string) => ({
      agentId: "ann",
      sessionKey: `agent:ann:hook:${name}`,
      via: "self",
      createdAtMs: 1,
    });
    await kept.store.append(envelope("waits", { session: "hook:mail" }));
    await kept.store.schedule({ ...sessionOf("timer"), id: "t", name: "t", body: "", isData: false, dueAtMs: 99 });
    await kept.store.monitor({ ...sessionOf("monitor"), id: "m", target: "bob" });
    const asking = envelope("asks", { session: "hook:asker" });
    await kept.store.append(asking);
    await kept.store.spawn(
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
      expect([row.key, await kept.store.pruneSession(row, 9)]).toEqual([
        row.key,
        row.key.endsWith("idle") ? row : undefined,
      ]);
    // Its end waits for its requester's mailbox: then the requester has work, and the child has none.
    const end = { outcome: "succeeded", detail: "", endedAtMs: 5, toolCalls: 0 } as const;
    await kept.store.settle("task");
    await kept.store.endRun("run", { ...end, delivery: "pending" }, { tryAtMs: 6 });
    await kept.reopen();
    expect(await stale(9_999)).toEqual(["hook:child"]);
    await kept.store.blockRun("run");
    expect(await stale(9_999)).toEqual(["hook:child", "hook:parent"]);
  });

  it("ends a session only as it was found, and keeps its transcript", async () => {
    const found = await turn("hook:a", 1);
    const now = await turn("hook:a", 2);
    expect(await kept.store.pruneSession(found, 9)).toBeUndefined();
    await kept.store.archiveSession(now.key, true, 3);
    expect(await kept.store.pruneSession(now, 9)).toBeUndefined();
    await kept.store.archiveSession(now.key, false, 3);
    expect(await kept.store.pruneSession(now, 9)).toEqual(now);
    expect(await kept.store.session(now.key)).toBeUndefined();
    expect(await kept.store.pastTranscripts("ann", now.key, 9)).toEqual([
      { sessionId: now.sessionId, messages: 4, endedAtMs: 9 },
    ]);
  });

  it("removes what ended before a time, and the oldest beyond a number, but tells it only on trial", async () => {
    const rule = { beforeMs: 20, max: 9 };
    const { key } = await turn("hook:a", 1);
    await kept.store.resetSession(key, "ann", 10);
    await turn("hook:a", 11);
    await kept.store.resetSession(key, "ann", 20);
    await turn("hook:b", 12);
    await kept.store.deleteSession("agent:ann:hook:b", "ann", 19);
    await turn("hook:a", 21);
    const past = async (): Promise<number[]> =>
      (await kept.store.pastTranscripts("ann", key, 9)).map(({ endedAtMs }) => endedAtMs);
    expect(await kept.store.expireTranscripts("ann", rule, true)).toEqual({ ...none, transcripts: 2, messages: 4 });
    expect(await past()).toEqual([20, 10]);
    expect(await kept.store.expireTranscripts("ann", rule, false)).toEqual({ ...none, transcripts: 2, messages: 4 });
    expect(await kept.store.expireTranscripts("ann", rule, false)).toEqual(none);
    await kept.reopen();
    expect(await past()).toEqual([20]);
    expect(await kept.store.pastTranscripts("ann", "agent:ann:hook:b", 9)).toEqual([]);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 0, max: 1 }, false)).toEqual(none);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 0, max: 0 }, false)).toMatchObject({ transcripts: 1 });
    // What is spoken in goes on, and the next transcript that ends is counted from the beginning.
    expect((await kept.store.history("ann", key, 9, 0)).rows).toHaveLength(2);
    await kept.store.resetSession(key, "ann", 30);
    expect(await past()).toEqual([30]);
  });

  it("removes a long transcript over several calls, readable from its beginning meanwhile, also after a restart", async () => {
    const small = { bounds: { retentionRowsMax: 3 } };
    let row = await turn("hook:a", 1);
    for (const at of [2, 3, 4]) row = await turn("hook:a", at);
    await kept.store.deleteSession(row.key, "ann", 5);
    await kept.reopen(small);
    const rule = { beforeMs: 9, max: 9 };
    expect(await kept.store.expireTranscripts("ann", rule, false)).toEqual({ ...none, messages: 3, more: true });
    const left = await kept.store.history("ann", row.key, 9, 0, undefined, row.sessionId);
    expect([left.total, left.rows.map(({ seq }) => seq)]).toEqual([5, [0, 1, 2, 3, 4]]);
    await kept.reopen(small);
    expect(await kept.store.expireTranscripts("ann", rule, false)).toMatchObject({ messages: 3, more: true });
    expect(await kept.store.expireTranscripts("ann", rule, false)).toEqual({ ...none, transcripts: 1, messages: 2 });
    expect((await kept.store.history("ann", row.key, 9, 0, undefined, row.sessionId)).total).toBe(0);
  });

  it("an agent without an environment has none, gets none by the question, and stays closed after it", async () => {
    await turn("hook:a", 1);
    expect(await kept.store.expireTranscripts("bob", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toEqual(none);
    expect((await kept.store.counters()).agentOpens).toEqual({ ann: 2 });
  });

  it("removes the file of a long text with the last transcript that names it", async () => {
    const files = async (): Promise<number> =>
      (
        (await environments()
          .blobs?.(join(kept.dir, "agents", "ann", "sessions"))
          .list()) ?? []
      ).length;
    const first = await turn("hook:a", 1, { body: long });
    const second = await turn("hook:b", 1, { body: long });
    await turn("hook:c", 1, { body: `other ${long}` });
    expect(await files()).toBe(2);
    await kept.store.deleteSession(first.key, "ann", 5);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files()).toBe(2);
    expect((await kept.store.history("ann", second.key, 9, 0)).rows[0]?.text).toBe(long);
    await kept.store.deleteSession(second.key, "ann", 5);
    await kept.store.append(envelope("again", { body: long }));
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files(), "mail that waits names it").toBe(2);
    const { row } = await kept.store.commit(commitOf(envelope("again"), { kind: "hook" }));
    await kept.store.settle("again");
    await kept.reopen();
    await kept.store.deleteSession(row.key, "ann", 5);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    expect(await files()).toBe(1);
  });

  it("takes over format 2: what had ended by then is removed in its order, and a file stays while a row names it", async () => {
    const first = await turn("hook:a", 1, { body: long });
    const second = await turn("hook:b", 1, { body: long });
    await kept.store.deleteSession(first.key, "ann", 5);
    await kept.store.close();
    const agent = await environments()(join(kept.dir, "agents", "ann", "sessions"));
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
    await kept.open();
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({ transcripts: 1 });
    await kept.reopen();
    expect((await kept.store.history("ann", second.key, 9, 0)).rows[0]?.text).toBe(long);
    await kept.store.deleteSession(second.key, "ann", 6);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 9, max: 9 }, false)).toMatchObject({
      transcripts: 1,
      files: [expect.any(String)],
    });
  });

  it("counts the bytes of rows and files, and no longer those that were removed", async () => {
    expect(await kept.store.storedBytes("bob")).toBe(0);
    for (let n = 0; n < 30; n++) await turn("hook:a", n, { body: "x".repeat(900) });
    const rows = await kept.store.storedBytes("ann");
    expect(rows).toBeGreaterThan(30 * 900);
    await turn("hook:a", 31, { body: long.repeat(20) });
    expect(await kept.store.storedBytes("ann")).toBeGreaterThanOrEqual(rows + Buffer.byteLength(long.repeat(20)));
    await kept.store.deleteSession("agent:ann:hook:a", "ann", 40);
    expect(await kept.store.expireTranscripts("ann", { beforeMs: 0, max: 0 }, false)).toMatchObject({ transcripts: 1 });
    expect(await kept.store.storedBytes("ann")).toBeLessThan(rows / 2);
  });

  it("never finds a pinned session, nor ends one that was pinned meanwhile", async () => {
    const row = await turn("hook:a", 1);
    expect(await kept.store.pinSession("agent:ann:none", true)).toBeUndefined();
    expect(await kept.store.pinSession(row.key, true)).toEqual({ ...row, pinned: true });
    expect(await stale(1_000, { ann: 5 })).toEqual([]);
    expect(await kept.store.pruneSession(row, 9)).toBeUndefined();
    const later = await turn("hook:a", 2);
    expect(later).toMatchObject({ pinned: true, messages: 4 });
    expect(await kept.store.resetSession(row.key, "ann", 3)).toMatchObject({ pinned: true, messages: 0 });
    await kept.reopen();
    expect(await kept.store.session(row.key)).toMatchObject({ pinned: true });
    expect(await kept.store.pinSession(row.key, false)).not.toHaveProperty("pinned");
    expect(await stale(1_000)).toEqual(["hook:a"]);
  });
});
