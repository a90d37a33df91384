/** Sub-agent runs in both kinds of store: begun with their task, ended once with their completion, and what a restart finds. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RunEnd, RunRow } from "../../runtime/kernel/run-rows.ts";
import type { Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { commitOf, envelope, placesIn, runRow as run } from "./store-envelopes.ts";
import { failInMemory, makePlace } from "./store-failures.ts";
import { eachStore, environmentsOf, storeKinds } from "./store-kinds.ts";

const end = (parts: Partial<RunEnd> = {}): RunEnd => ({
  outcome: "succeeded",
  detail: "",
  result: "done",
  endedAtMs: 2_000,
  toolCalls: 0,
  delivery: "delivered",
  ...parts,
});
/** The call of a turn, of which each has a key of its own. */
const by = (key: number) => ({ turn: "turn-1", call: { key, op: "tool", name: "sessions_spawn" } }) as const;

describe.each(storeKinds)("sub-agent runs in the store: %s", (kind) => {
  const kept = eachStore(kind);
  const spawn = (id: string, parts: Partial<RunRow> = {}) =>
    kept.store.spawn(run(id, parts), envelope(`task-${id}`, { session: `subagent:${id}` }), by(Number(id.slice(1))), {
      runId: id,
    });
  const dueIds = async (nowMs: number): Promise<readonly string[]> =>
    (await kept.store.due(nowMs, 100)).rows.flatMap((row) => (row.type === "run" ? [row.run.id] : []));
  const idsOf = async (query: Parameters<Store["runs"]>[0]): Promise<readonly string[]> =>
    (await kept.store.runs(query)).map(({ id }) => id);

  it("begins a run with its task and its session, and knows the call when its turn is handled again", async () => {
    // A call is known as long as the message of its turn is in the journal.
    await kept.store.append(envelope("turn-1"));
    expect(await spawn("r1")).toMatchObject({ status: "set" });
    expect(
      await kept.store.spawn(run("r2"), envelope("task-r2", { session: "subagent:r2" }), by(1), { runId: "r2" }),
    ).toMatchObject({ status: "known" });
    await kept.reopen();
    expect(await kept.store.run("r1")).toEqual(run("r1"));
    expect(await kept.store.run("r2")).toBeUndefined();
    expect(await kept.store.session("agent:ann:subagent:r1")).toMatchObject({
      spawnedBy: "agent:ann:main",
      lineage: ["agent:ann:main"],
    });
    expect(await kept.store.session("agent:ann:subagent:r2")).toBeUndefined();
  });

  it("ends a run once: the first end stays, and only its completion is journaled", async () => {
    await spawn("r1");
    expect(await kept.store.endRun("r1", end(), { completion: envelope("done-1") })).toEqual({
      seq: expect.any(Number) as number,
    });
    const late = end({ outcome: "cancelled", endedAtMs: 3_000 });
    expect(await kept.store.endRun("r1", late, { completion: envelope("done-2") })).toBeUndefined();
    expect(await kept.store.endRun("nobody", end(), { completion: envelope("done-3") })).toBeUndefined();
    await kept.reopen();
    expect((await kept.store.run("r1"))?.end).toEqual(end());
    const { envelopes } = await kept.store.pending();
    expect(envelopes.map(({ header }) => header.id)).toEqual(["task-r1", "done-1"]);
  });

  it("lists the newest first, those of a session, and those that are open", async () => {
    await spawn("r1");
    await spawn("r2", { requesterSessionKey: "agent:ann:subagent:r1" });
    await spawn("r3");
    await kept.store.endRun("r3", end(), {});
    expect(await idsOf({ limit: 10 })).toEqual(["r3", "r2", "r1"]);
    expect(await idsOf({ limit: 2 })).toEqual(["r3", "r2"]);
    expect(await idsOf({ requesterSessionKey: "agent:ann:main", limit: 10 })).toEqual(["r3", "r1"]);
    expect(await idsOf({ isOpen: true, limit: 10 })).toEqual(["r2", "r1"]);
    expect(await idsOf({ requesterSessionKey: "agent:ann:main", isOpen: true, limit: 10 })).toEqual(["r1"]);
  });

  it("a completion that waits is due, moves, fires once, and then the session is archived when that is due", async () => {
    await spawn("r1", { archiveAfterMs: 500 });
    await kept.store.endRun("r1", end({ delivery: "pending" }), { tryAtMs: 2_100 });
    expect(await dueIds(2_099)).toEqual([]);
    expect(await dueIds(2_100)).toEqual(["r1"]);
    await kept.store.postpone("r1", 2_200);
    await kept.reopen();
    expect(await dueIds(2_199)).toEqual([]);
    expect(await dueIds(2_200)).toEqual(["r1"]);
    const fires = { id: "r1", dueAtMs: 2_000, nextMs: undefined };
    await kept.store.fire(fires, envelope("done-1"));
    await expect(kept.store.fire(fires, envelope("done-2"))).rejects.toMatchObject({ code: "CLOISTER_SIGNAL_UNKNOWN" });
    expect((await kept.store.run("r1"))?.end?.delivery).toBe("delivered");
    expect(await dueIds(2_499)).toEqual([]);
    expect(await dueIds(2_500)).toEqual(["r1"]);
    await kept.store.archiveRun("r1", 2_500);
    expect(await dueIds(9_999)).toEqual([]);
    expect((await kept.store.session("agent:ann:subagent:r1"))?.archivedAtMs).toBe(2_500);
  });

  it("a completion that is given up is due no more, and its session goes at once with cleanup delete", async () => {
    await spawn("r1", { cleanup: "delete" });
    await kept.store.endRun("r1", end({ delivery: "pending" }), { tryAtMs: 2_100 });
    await kept.store.blockRun("r1");
    expect((await kept.store.run("r1"))?.end?.delivery).toBe("blocked");
    expect(await dueIds(2_000)).toEqual(["r1"]);
    await kept.store.blockRun("nobody");
    await kept.store.archiveRun("nobody", 1);
  });
});

it.each(storeKinds)(
  "a run whose task is stored has begun, also when its session can be written nowhere yet: %s",
  async (kind) => {
    const dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    const place = makePlace(dir, environmentsOf(kind), failInMemory);
    const store = await openStore(placesIn(dir), place.open);
    await store.append(envelope("turn-1"));
    await store.history("ann", "agent:ann:main", 1, 0);
    place.failNext("registry", 1);
    place.failNext("sessions", 1);
    const task = envelope("task-r1", { session: "subagent:r1" });
    expect(await store.spawn(run("r1"), task, by(1), { runId: "r1" })).toMatchObject({ status: "set" });
    expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["turn-1", "task-r1"]);
    const spawned = { spawnedBy: "agent:ann:main", lineage: ["agent:ann:main"] };
    expect(await store.session(task.header.sessionKey)).toMatchObject(spawned);
    expect(await store.commit(commitOf(task))).toMatchObject({ status: "done", row: { ...spawned, messages: 2 } });
    await store.close();
    await rm(dir, { recursive: true });
  },
);
