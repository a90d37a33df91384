/** What was said in groups, in both kinds of store: each line is shown to each agent once, whatever ends in between. */
import { describe, expect, it } from "vitest";
import type { RoomRow } from "../../runtime/store/port.ts";
import { envelope } from "./store-envelopes.ts";
import { eachStore, storeKinds } from "./store-kinds.ts";

const row = (id: string, parts: Partial<RoomRow> = {}): RoomRow => ({
  id,
  speaker: "Ana",
  text: `text ${id}`,
  atMs: 1,
  ...parts,
});
const sight = (agentId: string, upto: number, ids: readonly string[] = []) => ({ room: "r", agentId, upto, ids });

describe.each(storeKinds)("groups in the store: %s", (kind) => {
  const kept = eachStore(kind);
  const unseen = async (agentId: string, limit = 50, room = "r"): Promise<readonly string[]> =>
    ((await kept.store.room({ room, sessionKey: "s", agents: [{ agentId, limit }] })).unseen[agentId] ?? []).map(
      ({ id }) => id,
    );

  it("shows an agent what it has not seen, but not its own, and another agent its own view", async () => {
    await kept.store.keepRoomRow("r", row("1"), 50);
    await kept.store.keepRoomRow("r", row("2", { agentId: "ann" }), 50);
    await kept.store.append(envelope("e1"), undefined, sight("ann", 1));
    await kept.store.keepRoomRow("r", row("3"), 50);
    expect([await unseen("ann"), await unseen("bob"), await unseen("bob", 2), await unseen("bob", 0)]).toEqual([
      ["3"],
      ["1", "2", "3"],
      ["2", "3"],
      [],
    ]);
    expect(await unseen("bob", 50, "other")).toEqual([]);
    await kept.reopen();
    expect([await unseen("ann"), await unseen("bob")]).toEqual([["3"], ["1", "2", "3"]]);
  });

  it("counts as seen what an envelope shows, in its own transaction: a duplicate and a refused one show nothing", async () => {
    await kept.store.keepRoomRow("r", row("1"), 50);
    const dedupe = { scope: "s", key: "k" };
    await kept.store.append(envelope("e1"), dedupe, sight("ann", 0));
    expect(await kept.store.append(envelope("e2"), dedupe, sight("ann", 1))).toMatchObject({ status: "duplicate" });
    expect(await unseen("ann")).toEqual(["1"]);
    await kept.store.append(envelope("e3"), undefined, sight("ann", 1));
    expect(await unseen("ann")).toEqual([]);
    // What was seen never becomes less.
    await kept.store.append(envelope("e4"), undefined, sight("ann", 0));
    expect(await unseen("ann")).toEqual([]);
  });

  it("does not show again what an agent was given ahead, whenever it comes", async () => {
    await kept.store.keepRoomRow("r", row("1"), 50);
    await kept.store.append(envelope("e1"), undefined, sight("ann", 1, ["reply-of-bob"]));
    await kept.store.keepRoomRow("r", row("2"), 50);
    await kept.store.keepRoomRow("r", row("reply-of-bob", { agentId: "bob" }), 50);
    expect([await unseen("ann"), await unseen("cay")]).toEqual([["2"], ["1", "2", "reply-of-bob"]]);
  });

  it("keeps a line once, by any of its ids, and says whose it is", async () => {
    expect(await kept.store.keepRoomRow("r", row("e9", { agentId: "ann", otherId: "platform-9" }), 50)).toEqual({
      status: "stored",
      seq: 1,
    });
    expect(await kept.store.keepRoomRow("r", row("e9", { agentId: "ann" }), 50)).toMatchObject({
      status: "known",
      seq: 1,
    });
    expect(await kept.store.keepRoomRow("r", row("platform-9"), 50)).toEqual({
      status: "known",
      seq: 1,
      agentId: "ann",
    });
    expect(await kept.store.keepRoomRow("r", row("m1"), 50)).toEqual({ status: "stored", seq: 2 });
    expect(await kept.store.keepRoomRow("r", row("e8", { agentId: "bob", otherId: "m1" }), 50)).toEqual({
      status: "known",
      seq: 2,
    });
    expect(await unseen("cay")).toEqual(["e9", "m1"]);
    const isOwn = async (id: string) => (await kept.store.room({ room: "r", sessionKey: "s", agents: [], id })).isOwn;
    expect([await isOwn("platform-9"), await isOwn("m1"), await isOwn("nothing")]).toEqual([true, false, false]);
  });

  it("keeps the newest lines only, and forgets the ids of the others", async () => {
    for (let n = 1; n <= 10; n++) await kept.store.keepRoomRow("r", row(`m${n}`, { atMs: n }), 3);
    expect(await unseen("ann")).toEqual(["m8", "m9", "m10"]);
    expect(await kept.store.keepRoomRow("r", row("m1", { atMs: 11 }), 3)).toEqual({ status: "stored", seq: 11 });
    expect(await unseen("ann")).toEqual(["m9", "m10", "m1"]);
  });

  it("forgets the room that was quiet longest, whole, when there are too many", async () => {
    await kept.reopen({ bounds: { roomsMax: 2 } });
    await kept.store.keepRoomRow("a", row("1", { atMs: 1 }), 50);
    await kept.store.keepRoomRow("b", row("2", { atMs: 2 }), 50);
    await kept.store.append(envelope("e1"), undefined, { room: "b", agentId: "ann", upto: 1, ids: ["2"] });
    await kept.store.keepRoomRow("a", row("3", { atMs: 3 }), 50);
    await kept.store.keepRoomRow("c", row("4", { atMs: 4 }), 50);
    expect([await unseen("ann", 50, "a"), await unseen("ann", 50, "b"), await unseen("ann", 50, "c")]).toEqual([
      ["1", "3"],
      [],
      ["4"],
    ]);
    await kept.store.keepRoomRow("b", row("2", { atMs: 5 }), 50);
    expect([await unseen("ann", 50, "a"), await unseen("ann", 50, "b"), await unseen("ann", 50, "c")]).toEqual([
      [],
      ["2"],
      ["4"],
    ]);
  });

  it("keeps the activation of a session over a restart", async () => {
    const activation = async (sessionKey: string) =>
      (await kept.store.room({ room: "r", sessionKey, agents: [] })).activation;
    expect(await activation("agent:a:webhook:group:g")).toBeUndefined();
    await kept.store.setActivation("agent:a:webhook:group:g", "always");
    await kept.store.setActivation("agent:b:webhook:group:g", "always");
    await kept.store.setActivation("agent:b:webhook:group:g", "mention");
    await kept.reopen();
    expect([await activation("agent:a:webhook:group:g"), await activation("agent:b:webhook:group:g")]).toEqual([
      "always",
      "mention",
    ]);
  });
});
