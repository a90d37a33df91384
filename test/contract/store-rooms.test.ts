/** What was said in groups, in both kinds of store: each line is shown to each agent once, whatever ends in between. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { MemoryDisk } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import type { RoomRow, Store } from "../../runtime/store/port.ts";
import { envelope, placesIn } from "./store-envelopes.ts";

const row = (id: string, parts: Partial<RoomRow> = {}): RoomRow => ({
  id,
  speaker: "Ana",
  text: `text ${id}`,
  atMs: 1,
  ...parts,
});
const sight = (agentId: string, upto: number, ids: readonly string[] = []) => ({ room: "r", agentId, upto, ids });

describe.each(["memory", "lmdb"])("groups in the store: %s", (kind) => {
  let dir: string;
  let store: Store;
  let open: (options?: StoreOptions) => Promise<Store>;
  const reopen = async (options?: StoreOptions): Promise<void> => {
    await store.close();
    store = await open(options);
  };
  const unseen = async (agentId: string, limit = 50, room = "r"): Promise<readonly string[]> =>
    ((await store.room({ room, sessionKey: "s", agents: [{ agentId, limit }] })).unseen[agentId] ?? []).map(
      ({ id }) => id,
    );

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    const disk: MemoryDisk = new Map();
    open = (options) =>
      kind === "lmdb" ? openLmdbStore(placesIn(dir), options) : openMemoryStore(placesIn(dir), { ...options, disk });
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  it("shows an agent what it has not seen, but not its own, and another agent its own view", async () => {
    await store.keepRoomRow("r", row("1"), 50);
    await store.keepRoomRow("r", row("2", { agentId: "ann" }), 50);
    await store.append(envelope("e1"), undefined, sight("ann", 1));
    await store.keepRoomRow("r", row("3"), 50);
    expect([await unseen("ann"), await unseen("bob"), await unseen("bob", 2), await unseen("bob", 0)]).toEqual([
      ["3"],
      ["1", "2", "3"],
      ["2", "3"],
      [],
    ]);
    expect(await unseen("bob", 50, "other")).toEqual([]);
    await reopen();
    expect([await unseen("ann"), await unseen("bob")]).toEqual([["3"], ["1", "2", "3"]]);
  });

  it("counts as seen what an envelope shows, in its own transaction: a duplicate and a refused one show nothing", async () => {
    await store.keepRoomRow("r", row("1"), 50);
    const dedupe = { scope: "s", key: "k" };
    await store.append(envelope("e1"), dedupe, sight("ann", 0));
    expect(await store.append(envelope("e2"), dedupe, sight("ann", 1))).toMatchObject({ status: "duplicate" });
    expect(await unseen("ann")).toEqual(["1"]);
    await store.append(envelope("e3"), undefined, sight("ann", 1));
    expect(await unseen("ann")).toEqual([]);
    // What was seen never becomes less.
    await store.append(envelope("e4"), undefined, sight("ann", 0));
    expect(await unseen("ann")).toEqual([]);
  });

  it("does not show again what an agent was given ahead, whenever it comes", async () => {
    await store.keepRoomRow("r", row("1"), 50);
    await store.append(envelope("e1"), undefined, sight("ann", 1, ["reply-of-bob"]));
    await store.keepRoomRow("r", row("2"), 50);
    await store.keepRoomRow("r", row("reply-of-bob", { agentId: "bob" }), 50);
    expect([await unseen("ann"), await unseen("cay")]).toEqual([["2"], ["1", "2", "reply-of-bob"]]);
  });

  it("keeps a line once, by any of its ids, and says whose it is", async () => {
    expect(await store.keepRoomRow("r", row("e9", { agentId: "ann", otherId: "platform-9" }), 50)).toEqual({
      status: "stored",
      seq: 1,
    });
    expect(await store.keepRoomRow("r", row("e9", { agentId: "ann" }), 50)).toMatchObject({ status: "known", seq: 1 });
    expect(await store.keepRoomRow("r", row("platform-9"), 50)).toEqual({ status: "known", seq: 1, agentId: "ann" });
    expect(await store.keepRoomRow("r", row("m1"), 50)).toEqual({ status: "stored", seq: 2 });
    expect(await store.keepRoomRow("r", row("e8", { agentId: "bob", otherId: "m1" }), 50)).toEqual({
      status: "known",
      seq: 2,
    });
    expect(await unseen("cay")).toEqual(["e9", "m1"]);
    const isOwn = async (id: string) => (await store.room({ room: "r", sessionKey: "s", agents: [], id })).isOwn;
    expect([await isOwn("platform-9"), await isOwn("m1"), await isOwn("nothing")]).toEqual([true, false, false]);
  });

  it("keeps the newest lines only, and forgets the ids of the others", async () => {
    for (let n = 1; n <= 10; n++) await store.keepRoomRow("r", row(`m${n}`, { atMs: n }), 3);
    expect(await unseen("ann")).toEqual(["m8", "m9", "m10"]);
    expect(await store.keepRoomRow("r", row("m1", { atMs: 11 }), 3)).toEqual({ status: "stored", seq: 11 });
    expect(await unseen("ann")).toEqual(["m9", "m10", "m1"]);
  });

  it("forgets the room that was quiet longest, whole, when there are too many", async () => {
    await reopen({ bounds: { roomsMax: 2 } });
    await store.keepRoomRow("a", row("1", { atMs: 1 }), 50);
    await store.keepRoomRow("b", row("2", { atMs: 2 }), 50);
    await store.append(envelope("e1"), undefined, { room: "b", agentId: "ann", upto: 1, ids: ["2"] });
    await store.keepRoomRow("a", row("3", { atMs: 3 }), 50);
    await store.keepRoomRow("c", row("4", { atMs: 4 }), 50);
    expect([await unseen("ann", 50, "a"), await unseen("ann", 50, "b"), await unseen("ann", 50, "c")]).toEqual([
      ["1", "3"],
      [],
      ["4"],
    ]);
    await store.keepRoomRow("b", row("2", { atMs: 5 }), 50);
    expect([await unseen("ann", 50, "a"), await unseen("ann", 50, "b"), await unseen("ann", 50, "c")]).toEqual([
      [],
      ["2"],
      ["4"],
    ]);
  });

  it("keeps the activation of a session over a restart", async () => {
    const activation = async (sessionKey: string) =>
      (await store.room({ room: "r", sessionKey, agents: [] })).activation;
    expect(await activation("agent:a:webhook:group:g")).toBeUndefined();
    await store.setActivation("agent:a:webhook:group:g", "always");
    await store.setActivation("agent:b:webhook:group:g", "always");
    await store.setActivation("agent:b:webhook:group:g", "mention");
    await reopen();
    expect([await activation("agent:a:webhook:group:g"), await activation("agent:b:webhook:group:g")]).toEqual([
      "always",
      "mention",
    ]);
  });
});
