/** Changes of the session index that share a write, on every kind of environment. */
import { beforeEach, describe, expect, it } from "vitest";
import { type SessionHead, SessionIndex } from "../../runtime/store/session-index.ts";
import { sessionHead } from "./store-envelopes.ts";
import { eachEnvironment, storeKinds, watchWrites } from "./store-kinds.ts";

const never = 600_000;
const all = { limit: 100, offset: 0 };

const head = (name: string, messages = 0): SessionHead =>
  sessionHead(messages, { key: `agent:ann:${name}`, sessionId: `id-${name}` });

describe.each(storeKinds)("changes of the session index that share a write: %s", (kind) => {
  const opened = eachEnvironment(kind);
  let index: SessionIndex;
  beforeEach(() => {
    const options = { scanRowsMax: 100, lateMs: never, onWritten: () => undefined };
    index = new SessionIndex(opened.environment, options);
  });

  /** The calls behind it share a write, which begins when this one has settled. */
  const busy = () => index.add(head("first"));
  const label = (name: string, makeHead: () => SessionHead = () => head(name)) =>
    index.label(`agent:ann:${name}`, "mine", makeHead);
  const names = async () => (await index.query(all)).rows.map(({ sessionId }) => sessionId).toSorted();

  it("succeed without those of them that throw, whose callers alone hear of it", async () => {
    const before = busy();
    index.updateLater(head("turn", 2));
    const results = await Promise.allSettled([
      before,
      label("a"),
      label("b", () => {
        throw new RangeError("no head");
      }),
      // Throws when it has written a part of its rows.
      label("c", () => Object.assign(head("c"), { lastPreview: 1n })),
      label("d"),
      index.pin("agent:ann:a", true),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(String((results[2] as PromiseRejectedResult).reason)).toContain("no head");
    expect(String((results[3] as PromiseRejectedResult).reason)).toContain("BigInt");
    expect(results[5]).toMatchObject({ value: { label: "mine", pinned: true } });
    expect(await index.query(all)).toMatchObject({ total: 4 });
    expect(await names()).toEqual(["id-a", "id-d", "id-first", "id-turn"]);
    expect([index.changes.made(), index.changes.written()]).toEqual([1, 1]);
    expect(index.withLabel("mine").map(({ sessionId }) => sessionId)).toEqual(["id-a", "id-d"]);
  });

  it("are made in their order, also behind one that throws, and before what is called for meanwhile", async () => {
    const before = busy();
    let later: Promise<unknown> | undefined;
    const first = label("a");
    const throwing = label("b", () => {
      later ??= index.label("agent:ann:a", null, () => head("a"));
      throw new RangeError("no head");
    });
    const second = index.label("agent:ann:a", "second", () => head("a"));
    await expect(throwing).rejects.toThrow("no head");
    expect([await first, await second]).toMatchObject([{ label: "mine" }, { label: "second" }]);
    await Promise.all([before, later]);
    expect(index.get("agent:ann:a")).not.toHaveProperty("label");
  });

  it("keep what waited when all of them throw", async () => {
    index.updateLater(head("turn", 2));
    const throwing = label("a", () => {
      throw new RangeError("no head");
    });
    await expect(throwing).rejects.toThrow("no head");
    expect(index.get("agent:ann:turn")).toMatchObject({ messages: 2 });
    expect(await names()).toEqual(["id-turn"]);
    expect(index.changes.written()).toBe(1);
  });
});

describe.each(storeKinds)("a flush of the session index: %s", (kind) => {
  const opened = eachEnvironment(kind);
  let index: SessionIndex;
  let writes: ReturnType<typeof watchWrites>;
  beforeEach(() => {
    writes = watchWrites(opened.environment);
    const options = { scanRowsMax: 100, lateMs: never, onWritten: () => undefined };
    index = new SessionIndex(opened.environment, options);
    index.updateLater(head("turn", 2));
  });

  const stored = (name: string) => opened.environment.get<SessionHead>(["s", `agent:ann:${name}`])?.messages;
  /** Calls it inside the transaction of a write. */
  const during = async <T>(call: () => Promise<T>): Promise<T> => {
    let called: Promise<T> | undefined;
    const add = index.label("agent:ann:a", "mine", () => {
      called ??= call();
      return head("a");
    });
    await Promise.allSettled([add]);
    return await (called as Promise<T>);
  };

  it("that is called while a write takes all makes no transaction, and waits for that one", async () => {
    await during(() => index.flush());
    expect([stored("turn"), writes.transactions]).toEqual([2, 1]);
  });

  it.each([
    ["a question in the order of the disk", () => index.query(all).then(({ total }) => total), 2],
    ["a session's update to what waits", () => index.update(head("turn", 2)).then(({ messages }) => messages), 2],
    ["work for when all is written", () => index.whenWritten(async () => stored("turn")), 2],
  ])("as part of %s makes none either", async (_what, call, result) => {
    expect(await during(call)).toBe(result);
    expect([stored("turn"), writes.transactions]).toEqual([2, 1]);
  });

  it("writes what came too late for the write before", async () => {
    await during(async () => {
      index.updateLater(head("late", 2));
      await index.flush();
      expect(stored("late")).toBe(2);
    });
    expect(writes.transactions).toBe(2);
  });

  it("writes what the write before could not, and rejects when it cannot either", async () => {
    writes.failing = 1;
    await during(() => index.flush());
    expect([stored("turn"), writes.transactions]).toEqual([2, 2]);
    writes.failing = 2;
    index.updateLater(head("turn", 4));
    await expect(during(() => index.flush())).rejects.toMatchObject({ code: "CLOISTER_STORE_FAILED" });
    expect([stored("turn"), index.get("agent:ann:turn")?.messages, writes.transactions]).toEqual([2, 4, 4]);
  });
});
