/** The index of sessions: what turns change is read at once, written late, and not lost meanwhile. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Environment, type Key, top } from "../../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";
import { type SessionHead, SessionIndex } from "../../../runtime/store/session-index.ts";
import { SettledRows } from "../../../runtime/store/settled-rows.ts";
import { openStore } from "../../../runtime/store/store.ts";
import { beginOf, commitOf, envelope, sessionHead as head } from "../../contract/store-envelopes.ts";

const never = 600_000;
const key = "agent:ann:main";
const all = { limit: 100, offset: 0 };
const days = { fromDay: 0, toDay: 100, limit: 100 };

const spentOn = (day: number, input: number): Pick<SessionHead, "spent"> => ({
  spent: { day, tokens: { input, output: 0 } },
});

async function openIndex() {
  const environment: Environment = await memoryEnvironments(new Map())("/registry");
  let told = 0;
  const index = new SessionIndex(environment, { scanRowsMax: 100, lateMs: never, onWritten: () => void told++ });
  const stored = () => environment.get<{ messages: number }>(["s", key])?.messages;
  return { environment, index, stored, told: () => told };
}

/** What readers of a database may see between a transaction and the word that it is on the disk. */
const views = ["what was before", "what is written"] as const;

/** The next commit waits until it is let go, or fails. */
async function openHeldIndex(view: (typeof views)[number]) {
  const opened = await openIndex();
  const { environment } = opened;
  const [write, get] = [environment.write.bind(environment), environment.get.bind(environment)];
  const begun = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  const allRows = () => Array.from(environment.entries({ start: [""], end: [top] }));
  const hold = () => {
    Object.assign(environment, {
      async write<T>(change: () => T) {
        const before = allRows();
        const result = await write(change);
        const texts = new Map(before.map(({ key: place, value }) => [JSON.stringify(place), value]));
        if (view === "what was before") environment.get = <V>(place: Key) => texts.get(JSON.stringify(place)) as V;
        Object.assign(environment, { write });
        begun.resolve();
        try {
          await commit.promise;
        } catch (error) {
          await write(() => {
            for (const { key: place } of allRows()) environment.remove(place);
            for (const { key: place, value } of before) environment.put(place, value);
          });
          throw error;
        } finally {
          environment.get = get;
        }
        return result;
      },
    });
  };
  return { ...opened, hold, begun: begun.promise, letGo: commit.resolve, fail: () => commit.reject(new Error("full")) };
}

describe("the index of sessions", () => {
  it("gives what waits as if it were written, and writes that of many turns at once", async () => {
    const { environment, index, stored, told } = await openIndex();
    await index.label(key, "mine", () => head(0));
    const before = environment.commits();
    for (const messages of [2, 4]) index.updateLater(head(messages));
    expect(index.updateLater(head(2, { key: "agent:ann:other", sessionId: "s2" }))).toMatchObject({ messages: 2 });
    expect(index.updateLater(head(2))).toMatchObject({ messages: 4, label: "mine" });
    expect(index.get(key)).toMatchObject({ messages: 4, label: "mine" });
    expect(await index.find(key)).toMatchObject({ messages: 4 });
    expect(index.withLabel("mine")).toMatchObject([{ messages: 4 }]);
    expect([stored(), environment.commits(), told()]).toEqual([0, before, 0]);
    expect([index.changes.made(), index.changes.written()]).toEqual([3, 0]);
    expect(await index.query(all)).toMatchObject({ rows: [{ messages: 4, label: "mine" }, { messages: 2 }], total: 2 });
    expect([stored(), environment.commits() - before, told()]).toEqual([4, 1, 1]);
    expect(index.changes.written()).toBe(3);
    await index.flush();
    expect(environment.commits() - before).toBe(1);
  });

  it.each([
    ["by its session id", (index: SessionIndex) => index.find("s1")],
    ["by age", (index: SessionIndex) => index.oldest(undefined, 10).then(({ rows }) => rows[0])],
    ["counted", (index: SessionIndex) => index.count(undefined, 10).then(({ counts }) => counts["ann"])],
    ["by what it took", (index: SessionIndex) => index.usage(days).then((rows) => rows[0])],
  ])("finds a session that waits %s", async (_how, find) => {
    const { index } = await openIndex();
    index.updateLater(head(2, spentOn(1, 5)));
    expect(await find(index)).toBeDefined();
  });

  it("writes what waits with whatever is written before", async () => {
    const { environment, index, stored } = await openIndex();
    index.updateLater(head(2));
    await index.pin("agent:ann:none", true);
    expect([stored(), environment.commits()]).toEqual([2, 1]);
    index.updateLater(head(4));
    expect(await index.pin(key, true)).toMatchObject({ messages: 4, pinned: true });
    expect(index.get(key)).toMatchObject({ messages: 4, pinned: true });
    await index.flush();
    expect(environment.commits()).toBe(2);
  });

  it("lets a session that begins anew stand, and keeps what it took before and on another day", async () => {
    const { index } = await openIndex();
    index.updateLater(head(2, spentOn(1, 5)));
    index.updateLater(head(4, spentOn(2, 6)));
    index.updateLater(head(6, spentOn(2, 7)));
    expect(await index.update(head(0, { sessionId: "s2" }))).toMatchObject({ sessionId: "s2", messages: 0 });
    index.updateLater(head(2, { sessionId: "s2", ...spentOn(2, 1) }));
    expect(index.get(key)).toMatchObject({ sessionId: "s2", messages: 2 });
    const rows = (await index.usage(days)).map(({ day, sessionId, tokens }) => `${day} ${sessionId} ${tokens.input}`);
    expect(new Set(rows)).toEqual(new Set(["1 s1 5", "2 s1 7", "2 s2 1"]));
  });

  describe.each(views)("while a write is on its way and readers see %s", (view) => {
    it("gives the newest turn, and the change that is written when that is answered", async () => {
      const { index, hold, begun, letGo } = await openHeldIndex(view);
      await index.label(key, "mine", () => head(0));
      index.updateLater(head(4));
      hold();
      const labelling = index.label(key, "other", () => head(0));
      await begun;
      expect(index.get(key)).toEqual({ ...head(4), label: "mine" });
      expect(index.withLabel("other")).toEqual([]);
      letGo();
      expect(await labelling).toMatchObject({ messages: 4, label: "other" });
      expect(index.get(key)).toEqual({ ...head(4), label: "other" });
      expect(index.withLabel("other")).toEqual([{ ...head(4), label: "other" }]);
    });

    it("takes a turn that ends meanwhile for newer, and keeps it for the next write", async () => {
      const { index, stored, hold, begun, letGo } = await openHeldIndex(view);
      index.updateLater(head(2));
      hold();
      const labelling = index.label(key, "mine", () => head(0));
      await begun;
      expect(index.updateLater(head(4))).toMatchObject({ messages: 4 });
      expect(index.get(key)).toMatchObject({ messages: 4 });
      letGo();
      await labelling;
      expect(index.get(key)).toEqual({ ...head(4), label: "mine" });
      expect([stored(), index.changes.made(), index.changes.written()]).toEqual([2, 2, 1]);
      await index.flush();
      expect([stored(), index.changes.written()]).toEqual([4, 2]);
    });

    it("loses nothing of what a day took when the write fails", async () => {
      const { index, hold, begun, fail } = await openHeldIndex(view);
      index.updateLater(head(2, spentOn(1, 5)));
      hold();
      const pinning = index.pin(key, true);
      await begun;
      index.updateLater(head(4, spentOn(2, 6)));
      fail();
      await expect(pinning).rejects.toThrow("full");
      expect(index.get(key)).toEqual(head(4, spentOn(2, 6)));
      const rows = (await index.usage(days)).map(({ day, tokens }) => [day, tokens.input]);
      expect(rows).toEqual([
        [2, 6],
        [1, 5],
      ]);
    });

    it("has a removed session whole until the removal is answered, and then never again, but for what it took", async () => {
      const { index, hold, begun, letGo } = await openHeldIndex(view);
      await index.label(key, "mine", () => head(0));
      index.updateLater(head(2, spentOn(1, 5)));
      hold();
      const removing = index.remove(key);
      await begun;
      // Called for meanwhile, and written behind the removal.
      const pinning = index.pin("agent:ann:other", true);
      expect(index.get(key)).toEqual({ ...head(2, spentOn(1, 5)), label: "mine" });
      letGo();
      await removing;
      expect(index.get(key)).toBeUndefined();
      await pinning;
      await index.flush();
      expect([index.get(key), await index.find("s1"), index.withLabel("mine")]).toEqual([undefined, undefined, []]);
      expect(await index.query(all)).toEqual({ rows: [], total: 0 });
      expect(await index.usage(days)).toMatchObject([{ day: 1, tokens: { input: 5 } }]);
    });

    it("has a session whose removal failed as it was, with what it took", async () => {
      const { index, hold, begun, fail } = await openHeldIndex(view);
      await index.label(key, "mine", () => head(0));
      index.updateLater(head(2, spentOn(1, 5)));
      hold();
      const removing = index.remove(key);
      await begun;
      fail();
      await expect(removing).rejects.toThrow("full");
      expect(index.get(key)).toEqual({ ...head(2, spentOn(1, 5)), label: "mine" });
      expect(await index.usage(days)).toMatchObject([{ day: 1, tokens: { input: 5 } }]);
    });

    it("gives a session that begins anew as it was until that is answered, and no later write brings the old one back", async () => {
      const { index, hold, begun, letGo } = await openHeldIndex(view);
      await index.choose(key, { model: "a/b" }, () => head(0));
      index.updateLater(head(4));
      hold();
      const beginning = index.update(head(0, { sessionId: "s2" }));
      await begun;
      const pinning = index.pin("agent:ann:other", true);
      expect(index.get(key)).toEqual({ ...head(4), choices: { model: "a/b" } });
      letGo();
      await Promise.all([beginning, pinning]);
      await index.flush();
      expect(index.get(key)).toEqual(head(0, { sessionId: "s2" }));
    });
  });

  it("writes together what is called for while a write is on its way", async () => {
    const { environment, index, hold, begun, letGo } = await openHeldIndex("what was before");
    hold();
    const first = index.pin("agent:ann:other", true);
    await begun;
    index.updateLater(head(2));
    const labelling = index.label(key, "mine", () => head(0));
    const others = [index.pin(key, true), index.archive(key, true, 5)];
    letGo();
    await Promise.all([first, labelling, ...others]);
    expect(index.get(key)).toEqual({ ...head(2), label: "mine", pinned: true, archivedAtMs: 5 });
    expect(environment.commits()).toBe(2);
  });

  it("writes nothing after its end, also not what could not be written then", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { environment, index } = await openIndex();
    const write = environment.write.bind(environment);
    let writes = 0;
    environment.write = (change) => {
      writes += 1;
      return write(() => (change(), Promise.reject(new Error("full"))) as never);
    };
    index.updateLater(head(2));
    await index.end();
    expect(writes).toBe(1);
    await vi.advanceTimersByTimeAsync(never);
    expect(writes).toBe(1);
  });

  it("keeps what could not be written for the next write, of its own session as well", async () => {
    const { environment, index, stored, told } = await openIndex();
    const write = environment.write.bind(environment);
    const refuse = { write: <T>(change: () => T) => write(() => (change(), Promise.reject<T>(new Error("full")))) };
    index.updateLater(head(2));
    Object.assign(environment, refuse);
    await expect(index.flush()).rejects.toThrow();
    await expect(index.archive(key, true, 5)).rejects.toThrow();
    expect(await index.find(key)).toMatchObject({ messages: 2 });
    expect([index.changes.written(), told(), stored()]).toEqual([0, 0, undefined]);
    Object.assign(environment, { write });
    await index.flush();
    expect([index.changes.written(), told(), stored()]).toEqual([1, 1, 2]);
  });
});

it("settled rows go when what was changed before them is written and nothing holds them, in order, so many at a time", () => {
  const counts = { made: 1, written: 0 };
  const rows = new SettledRows({ made: () => counts.made, written: () => counts.written }, 2);
  rows.add("a");
  counts.made = 2;
  rows.add("b");
  rows.add("a");
  rows.add("c");
  rows.add("d");
  expect(rows.next()).toEqual([]);
  counts.written = 1;
  expect(rows.next()).toEqual(["a"]);
  rows.delete("a");
  expect(rows.next()).toEqual([]);
  counts.written = 2;
  const releases = [rows.hold(), rows.hold()];
  for (const release of [releases[0], releases[0], releases[1]]) {
    expect(rows.next()).toEqual([]);
    release?.();
  }
  expect(rows.next()).toEqual(["b", "c"]);
  expect([rows.has("a"), rows.has("c"), rows.size]).toEqual([false, true, 3]);
});

it("an envelope stays on the disk until the index has what its turn changed", async () => {
  const opened: Environment[] = [];
  const memory = memoryEnvironments(new Map());
  const open = async (dir: string) => {
    const environment = await memory(dir);
    opened.push(environment);
    return environment;
  };
  const places = { stateDir: "/state", agents: [{ agentId: "ann", sessionsDir: "/sessions" }] };
  const store = await openStore(places, Object.assign(open, { exists: memory.exists }), {
    bounds: { indexLateMs: never },
  });
  const isThere = (id: string): boolean => opened.some((environment) => environment.get(["i", id]) !== undefined);
  const mail = envelope("a");
  await store.append(mail);
  await store.begin(beginOf(mail));
  await store.commit(commitOf(mail));
  await store.settle("a");
  await store.append(envelope("b"));
  expect(isThere("a")).toBe(true);
  expect(await store.session(mail.header.sessionKey)).toMatchObject({ messages: 2 });
  await store.sessions(all);
  await store.append(envelope("c"));
  expect(isThere("a")).toBe(false);
  await store.begin(beginOf(envelope("b")));
  await store.commit(commitOf(envelope("b")));
  const registry = opened.find((environment) => environment.get(["s", mail.header.sessionKey]) !== undefined);
  const written = () => registry?.get<{ messages: number }>(["s", mail.header.sessionKey])?.messages;
  expect(written()).toBe(2);
  await store.bury("c", "dropped", "nobody wants it");
  expect([isThere("c"), written()]).toEqual([false, 4]);
  await store.settle("b");
  await store.close();
  expect(isThere("b")).toBe(false);
});
