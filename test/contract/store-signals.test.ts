/** Timers and monitors in both kinds of store: what is due, what fires, what a restart finds. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { MemoryDisk } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { MonitorRow, Store, TimerRow } from "../../runtime/store/port.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import { envelope, placesIn } from "./store-envelopes.ts";

const timer = (id: string, parts: Partial<TimerRow> = {}): TimerRow => ({
  id,
  agentId: "ann",
  sessionKey: "agent:ann:main",
  name: `name of ${id}`,
  via: "config:schedule:ann",
  body: "hello",
  isData: false,
  dueAtMs: 1_000,
  createdAtMs: 1,
  ...parts,
});
const monitor = (id: string, target = "bob", agentId = "ann"): MonitorRow => ({
  id,
  agentId,
  sessionKey: `agent:${agentId}:main`,
  target,
  via: "config:a2a:ann>*",
  createdAtMs: 1,
});
const crash = { reason: "crash" as const, detail: "it threw", atMs: 5_000 };

describe.each(["memory", "lmdb"])("timers and monitors in the store: %s", (kind) => {
  let dir: string;
  let store: Store;
  let open: (options?: StoreOptions) => Promise<Store>;
  const reopen = async (options?: StoreOptions): Promise<void> => {
    await store.close();
    store = await open(options);
  };
  const ids = async (nowMs: number): Promise<readonly string[]> =>
    (await store.due(nowMs, 100)).rows.map((row) =>
      row.type === "timer" ? row.timer.id : row.type === "run" ? row.run.id : row.monitor.id,
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

  it("gives what is due by time and in portions, and when the next will be", async () => {
    for (const [id, dueAtMs] of [
      ["c", 30],
      ["a", 10],
      ["b", 20],
      ["d", 40],
    ] as const)
      await store.schedule(timer(id, { dueAtMs }));
    expect(await ids(5)).toEqual([]);
    expect((await store.due(5, 10)).nextMs).toBe(10);
    expect(await store.due(30, 2)).toMatchObject({
      rows: [{ timer: { id: "a" } }, { timer: { id: "b" } }],
      nextMs: 30,
    });
    expect((await store.due(30, 3)).nextMs).toBe(40);
    expect(await store.due(40, 4)).toMatchObject({ rows: { length: 4 }, nextMs: undefined });
    await reopen();
    expect(await ids(40)).toEqual(["a", "b", "c", "d"]);
  });

  it("sets a timer and a monitor once for a call of an open turn, however long that takes, and tells the turn which", async () => {
    let nowMs = 1_000;
    const now = (): number => nowMs;
    await reopen({ now });
    const by = (key: number, name: string) => ({ turn: "e0", call: { key, op: "signal", name } as const });
    await store.append(envelope("e0"));
    expect(await store.schedule(timer("a"), by(0, "schedule"))).toEqual({ status: "set", id: "a" });
    expect(await store.monitor(monitor("m"), by(1, "monitor"))).toEqual({ status: "set", id: "m" });
    await store.fire({ id: "a", dueAtMs: 1_000, nextMs: undefined }, envelope("e1"));
    nowMs += 24 * 60 * 60_000;
    await reopen({ now });
    expect(await store.schedule(timer("b"), by(0, "schedule"))).toEqual({ status: "known", id: "a" });
    expect(await store.monitor(monitor("n"), by(1, "monitor"))).toEqual({ status: "known", id: "m" });
    expect(await ids(9_999)).toEqual([]);
    const turn = { envelopeId: "e0", agentId: "ann", sessionKey: "agent:ann:main", wantState: false };
    await store.begin(turn);
    expect(await store.begin(turn)).toMatchObject({
      steps: [
        { key: 0, op: "signal", name: "schedule", result: [1, "ok", '"a"'] },
        { key: 1, op: "signal", name: "monitor", result: [1, "ok", '"m"'] },
      ],
    });
  });

  it("bounds the timers and the monitors of one agent, and gives the room back", async () => {
    await reopen({ bounds: { timersPerAgentMax: 2, monitorsPerAgentMax: 1 } });
    for (const id of ["a", "b"]) await store.schedule(timer(id));
    expect(await store.schedule(timer("c"))).toEqual({ status: "full" });
    expect(await store.schedule(timer("o", { agentId: "bob" }))).toEqual({ status: "set", id: "o" });
    expect(await store.unschedule("a", {})).toMatchObject({ id: "a" });
    expect(await store.schedule(timer("c"))).toEqual({ status: "set", id: "c" });
    await store.fire({ id: "b", dueAtMs: 1_000, nextMs: undefined }, envelope("e1"));
    expect(await store.schedule(timer("d"))).toEqual({ status: "set", id: "d" });
    expect(await store.monitor(monitor("m"))).toEqual({ status: "set", id: "m" });
    expect(await store.monitor(monitor("n"))).toEqual({ status: "full" });
    // A down that is due still counts.
    await store.down({ target: "bob", ...crash });
    expect(await store.monitor(monitor("n"))).toEqual({ status: "full" });
    await store.fire({ id: "m", dueAtMs: 5_000, nextMs: undefined }, envelope("e2"));
    expect(await store.monitor(monitor("n"))).toEqual({ status: "set", id: "n" });
  });

  it("journals the envelope and moves the timer in one step: each time fires once", async () => {
    await store.schedule(timer("a", { everyMs: 500 }));
    const fires = { id: "a", dueAtMs: 1_000, nextMs: 1_500 };
    const results = await Promise.allSettled([store.fire(fires, envelope("e1")), store.fire(fires, envelope("e2"))]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(results[1]).toMatchObject({ reason: { code: "CLOISTER_SIGNAL_UNKNOWN" } });
    await reopen();
    expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["e1"]);
    expect(await store.due(1_500, 10)).toMatchObject({
      rows: [{ type: "timer", timer: { dueAtMs: 1_500, lastEnvelopeId: "e1" }, triedAtMs: 1_500 }],
    });
    await expect(store.fire(fires, envelope("e3"))).rejects.toMatchObject({ code: "CLOISTER_SIGNAL_UNKNOWN" });
    await store.fire({ id: "a", dueAtMs: 1_500, nextMs: undefined }, envelope("e4"));
    expect(await store.timers({ limit: 10 })).toEqual({ rows: [], total: 0 });
  });

  it("keeps what it stands for when it is tried again later; what is gone is left alone", async () => {
    await store.schedule(timer("a"));
    await store.monitor(monitor("m"));
    await store.down({ target: "bob", ...crash });
    for (const id of ["a", "m", "none"]) await store.postpone(id, 7_000);
    expect(await ids(6_999)).toEqual([]);
    expect((await store.due(7_000, 10)).rows).toMatchObject([
      { timer: { id: "a", dueAtMs: 1_000 }, triedAtMs: 7_000 },
      { monitor: { id: "m" }, dueAtMs: 5_000, triedAtMs: 7_000 },
    ]);
    expect(await store.unschedule("a", {})).toMatchObject({ id: "a" });
    expect(await store.demonitor("m", "ann")).toBe(true);
    expect(await ids(9_999)).toEqual([]);
  });

  it("lists and removes the timers of an agent or a session, soonest first", async () => {
    await store.schedule(timer("late", { dueAtMs: 9 }));
    await store.schedule(timer("soon", { dueAtMs: 1, sessionKey: "agent:ann:jobs" }));
    await store.schedule(timer("other", { dueAtMs: 5, agentId: "bob", sessionKey: "agent:bob:main" }));
    const listed = async (query: object) => {
      const { rows, total } = await store.timers({ limit: 10, ...query });
      return [rows.map(({ id }) => id), total];
    };
    expect(await listed({})).toEqual([["soon", "other", "late"], 3]);
    expect(await listed({ agentId: "ann" })).toEqual([["soon", "late"], 2]);
    expect(await listed({ agentId: "ann", sessionKey: "agent:ann:jobs" })).toEqual([["soon"], 1]);
    expect(await listed({ limit: 1, offset: 1 })).toEqual([["other"], 3]);
    expect(await store.unschedule("other", { agentId: "ann" })).toBeUndefined();
    expect(await store.unschedule("late", { agentId: "ann", sessionKey: "agent:ann:jobs" })).toBeUndefined();
    expect(await store.unschedule("late", { agentId: "ann" })).toMatchObject({ id: "late" });
    expect(await listed({})).toEqual([["soon", "other"], 2]);
  });

  it("makes every monitor on an agent due as a down, once, in portions; the others wait for theirs", async () => {
    await reopen({ bounds: { downsPerWriteMax: 2 } });
    for (const id of ["m1", "m2", "m3", "m4", "m5"]) await store.monitor(monitor(id));
    await store.monitor(monitor("other", "cid"));
    expect(await store.down({ target: "bob", ...crash })).toBe(5);
    expect(await store.down({ target: "bob", ...crash, reason: "killed" })).toBe(0);
    await reopen();
    expect((await store.due(5_000, 10)).rows).toMatchObject(
      ["m1", "m2", "m3", "m4", "m5"].map((id) => ({
        type: "down",
        monitor: { id, target: "bob", agentId: "ann" },
        reason: "crash",
        detail: "it threw",
        dueAtMs: 5_000,
      })),
    );
    const told: Envelope = envelope("e1");
    await store.fire({ id: "m1", dueAtMs: 5_000, nextMs: undefined }, told);
    await expect(store.fire({ id: "m1", dueAtMs: 5_000, nextMs: undefined }, envelope("e2"))).rejects.toMatchObject({
      code: "CLOISTER_SIGNAL_UNKNOWN",
    });
    expect(await store.demonitor("m1", "ann")).toBe(false);
    expect(await store.demonitor("other", "bob")).toBe(false);
    expect(await store.down({ ...crash, reason: "killed" })).toBe(1);
    expect(await ids(5_000)).toEqual(["m2", "m3", "m4", "m5", "other"]);
  });

  it("sees a watch that was written in the same moment as the end", async () => {
    const [set, told] = await Promise.all([store.monitor(monitor("m")), store.down({ target: "bob", ...crash })]);
    expect([set.status, told]).toEqual(["set", 1]);
  });
});
