/** Timers and monitors in both kinds of store: what is due, what fires, what a restart finds. */
import { describe, expect, it } from "vitest";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import type { MonitorRow, TimerRow } from "../../runtime/store/port.ts";
import { envelope } from "./store-envelopes.ts";
import { eachStore, storeKinds } from "./store-kinds.ts";

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

describe.each(storeKinds)("timers and monitors in the store: %s", (kind) => {
  const kept = eachStore(kind);
  const ids = async (nowMs: number): Promise<readonly string[]> =>
    (await kept.store.due(nowMs, 100)).rows.map((row) =>
      row.type === "timer" ? row.timer.id : row.type === "run" ? row.run.id : row.monitor.id,
    );

  it("gives what is due by time and in portions, and when the next will be", async () => {
    for (const [id, dueAtMs] of [
      ["c", 30],
      ["a", 10],
      ["b", 20],
      ["d", 40],
    ] as const)
      await kept.store.schedule(timer(id, { dueAtMs }));
    expect(await ids(5)).toEqual([]);
    expect((await kept.store.due(5, 10)).nextMs).toBe(10);
    expect(await kept.store.due(30, 2)).toMatchObject({
      rows: [{ timer: { id: "a" } }, { timer: { id: "b" } }],
      nextMs: 30,
    });
    expect((await kept.store.due(30, 3)).nextMs).toBe(40);
    expect(await kept.store.due(40, 4)).toMatchObject({ rows: { length: 4 }, nextMs: undefined });
    await kept.reopen();
    expect(await ids(40)).toEqual(["a", "b", "c", "d"]);
  });

  it("sets a message of a hook that waits once for its key, which later messages have as well", async () => {
    const nowMs = 1_000;
    await kept.reopen({ now: () => nowMs });
    const key = { scope: "hook:ann", key: "k" };
    const waiting = (id: string) => timer(id, { hook: { runId: `run of ${id}`, replyRoute: { type: "none" } } });
    const known = { id: "a", runId: "run of a" };
    expect(await kept.store.schedule(waiting("a"), key)).toEqual({ status: "set", id: "a" });
    expect(await kept.store.schedule(waiting("b"), key)).toEqual({ status: "known", ...known });
    expect(await kept.store.append(envelope("e1"), key)).toMatchObject({ status: "duplicate", runId: known.runId });
    await kept.store.fire({ id: "a", dueAtMs: 1_000, nextMs: undefined }, envelope("e2"));
    await kept.reopen({ now: () => nowMs });
    expect(await kept.store.schedule(waiting("c"), key)).toEqual({ status: "known", ...known });
    expect(await kept.store.append(envelope("e3"), { ...key, key: "other" })).toMatchObject({ status: "stored" });
    expect(await kept.store.schedule(waiting("d"), { ...key, key: "other" })).toMatchObject({
      status: "known",
      id: "e3",
    });
    expect(await kept.store.schedule(timer("t"))).toMatchObject({ status: "set" });
    expect(await kept.store.schedule(waiting("e"), { ...key, key: "third" })).toMatchObject({ status: "set" });
    const { rows, total } = await kept.store.timers({ agentId: "ann", isHook: true, limit: 5 });
    expect([rows.map(({ id }) => id), total]).toEqual([["e"], 1]);
  });

  it("sets a timer and a monitor once for a call of an open turn, however long that takes, and tells the turn which", async () => {
    let nowMs = 1_000;
    const now = (): number => nowMs;
    await kept.reopen({ now });
    const by = (key: number, name: string) => ({ turn: "e0", call: { key, op: "signal", name } as const });
    await kept.store.append(envelope("e0"));
    expect(await kept.store.schedule(timer("a"), by(0, "schedule"))).toEqual({ status: "set", id: "a" });
    expect(await kept.store.monitor(monitor("m"), by(1, "monitor"))).toEqual({ status: "set", id: "m" });
    await kept.store.fire({ id: "a", dueAtMs: 1_000, nextMs: undefined }, envelope("e1"));
    nowMs += 24 * 60 * 60_000;
    await kept.reopen({ now });
    expect(await kept.store.schedule(timer("b"), by(0, "schedule"))).toEqual({ status: "known", id: "a" });
    expect(await kept.store.monitor(monitor("n"), by(1, "monitor"))).toEqual({ status: "known", id: "m" });
    expect(await ids(9_999)).toEqual([]);
    const turn = { envelopeId: "e0", agentId: "ann", sessionKey: "agent:ann:main", wantState: false };
    await kept.store.begin(turn);
    expect(await kept.store.begin(turn)).toMatchObject({
      steps: [
        { key: 0, op: "signal", name: "schedule", result: [1, "ok", '"a"'] },
        { key: 1, op: "signal", name: "monitor", result: [1, "ok", '"m"'] },
      ],
    });
  });

  it("bounds the timers and the monitors of one agent, and gives the room back", async () => {
    await kept.reopen({ bounds: { timersPerAgentMax: 2, monitorsPerAgentMax: 1 } });
    for (const id of ["a", "b"]) await kept.store.schedule(timer(id));
    expect(await kept.store.schedule(timer("c"))).toEqual({ status: "full" });
    expect(await kept.store.schedule(timer("o", { agentId: "bob" }))).toEqual({ status: "set", id: "o" });
    expect(await kept.store.unschedule("a", {})).toMatchObject({ id: "a" });
    expect(await kept.store.schedule(timer("c"))).toEqual({ status: "set", id: "c" });
    await kept.store.fire({ id: "b", dueAtMs: 1_000, nextMs: undefined }, envelope("e1"));
    expect(await kept.store.schedule(timer("d"))).toEqual({ status: "set", id: "d" });
    expect(await kept.store.monitor(monitor("m"))).toEqual({ status: "set", id: "m" });
    expect(await kept.store.monitor(monitor("n"))).toEqual({ status: "full" });
    // A down that is due still counts.
    await kept.store.down({ target: "bob", ...crash });
    expect(await kept.store.monitor(monitor("n"))).toEqual({ status: "full" });
    await kept.store.fire({ id: "m", dueAtMs: 5_000, nextMs: undefined }, envelope("e2"));
    expect(await kept.store.monitor(monitor("n"))).toEqual({ status: "set", id: "n" });
  });

  it("journals the envelope and moves the timer in one step: each time fires once", async () => {
    await kept.store.schedule(timer("a", { everyMs: 500 }));
    const fires = { id: "a", dueAtMs: 1_000, nextMs: 1_500 };
    const results = await Promise.allSettled([
      kept.store.fire(fires, envelope("e1")),
      kept.store.fire(fires, envelope("e2")),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(results[1]).toMatchObject({ reason: { code: "CLOISTER_SIGNAL_UNKNOWN" } });
    await kept.reopen();
    expect((await kept.store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["e1"]);
    expect(await kept.store.due(1_500, 10)).toMatchObject({
      rows: [{ type: "timer", timer: { dueAtMs: 1_500, lastEnvelopeId: "e1" }, triedAtMs: 1_500 }],
    });
    await expect(kept.store.fire(fires, envelope("e3"))).rejects.toMatchObject({ code: "CLOISTER_SIGNAL_UNKNOWN" });
    await kept.store.fire({ id: "a", dueAtMs: 1_500, nextMs: undefined }, envelope("e4"));
    expect(await kept.store.timers({ limit: 10 })).toEqual({ rows: [], total: 0 });
  });

  it("keeps what it stands for when it is tried again later; what is gone is left alone", async () => {
    await kept.store.schedule(timer("a"));
    await kept.store.monitor(monitor("m"));
    await kept.store.down({ target: "bob", ...crash });
    for (const id of ["a", "m", "none"]) await kept.store.postpone(id, 7_000);
    expect(await ids(6_999)).toEqual([]);
    expect((await kept.store.due(7_000, 10)).rows).toMatchObject([
      { timer: { id: "a", dueAtMs: 1_000 }, triedAtMs: 7_000 },
      { monitor: { id: "m" }, dueAtMs: 5_000, triedAtMs: 7_000 },
    ]);
    expect(await kept.store.unschedule("a", {})).toMatchObject({ id: "a" });
    expect(await kept.store.demonitor("m", "ann")).toBe(true);
    expect(await ids(9_999)).toEqual([]);
  });

  it("keeps the end of a task until it is told, once and with what it was at that time", async () => {
    const task = { replyRoute: { type: "none" } } as const;
    await kept.store.schedule(timer("a", { dueAtMs: 9_000, task }));
    await kept.store.schedule(timer("b"));
    const end = { status: "done", body: "it is so", atMs: 2_000 } as const;
    expect(await Promise.all(["a", "b", "none"].map((id) => kept.store.endTaskLater(id, end)))).toEqual([
      true,
      false,
      false,
    ]);
    // The first end stays.
    expect(await kept.store.endTaskLater("a", { status: "failed", body: "no", atMs: 1_500 })).toBe(false);
    await kept.reopen();
    expect((await kept.store.due(2_000, 10)).rows).toMatchObject([
      { timer: { id: "b" } },
      { timer: { id: "a", body: "it is so", dueAtMs: 2_000, task: { ...task, ended: "done" } } },
    ]);
    await expect(kept.store.fire({ id: "a", dueAtMs: 9_000, nextMs: undefined }, envelope("e1"))).rejects.toMatchObject(
      { code: "CLOISTER_SIGNAL_UNKNOWN" },
    );
    await kept.store.fire({ id: "a", dueAtMs: 2_000, nextMs: undefined }, envelope("e2"));
    expect(await ids(9_999)).toEqual(["b"]);
  });

  it("lists and removes the timers of an agent or a session, soonest first", async () => {
    await kept.store.schedule(timer("late", { dueAtMs: 9 }));
    await kept.store.schedule(timer("soon", { dueAtMs: 1, sessionKey: "agent:ann:jobs" }));
    await kept.store.schedule(timer("other", { dueAtMs: 5, agentId: "bob", sessionKey: "agent:bob:main" }));
    const listed = async (query: object) => {
      const { rows, total } = await kept.store.timers({ limit: 10, ...query });
      return [rows.map(({ id }) => id), total];
    };
    expect(await listed({})).toEqual([["soon", "other", "late"], 3]);
    expect(await listed({ agentId: "ann" })).toEqual([["soon", "late"], 2]);
    expect(await listed({ agentId: "ann", sessionKey: "agent:ann:jobs" })).toEqual([["soon"], 1]);
    expect(await listed({ limit: 1, offset: 1 })).toEqual([["other"], 3]);
    expect(await kept.store.unschedule("other", { agentId: "ann" })).toBeUndefined();
    expect(await kept.store.unschedule("late", { agentId: "ann", sessionKey: "agent:ann:jobs" })).toBeUndefined();
    expect(await kept.store.unschedule("late", { agentId: "ann" })).toMatchObject({ id: "late" });
    expect(await listed({})).toEqual([["soon", "other"], 2]);
  });

  it("makes every monitor on an agent due as a down, once, in portions; the others wait for theirs", async () => {
    await kept.reopen({ bounds: { downsPerWriteMax: 2 } });
    for (const id of ["m1", "m2", "m3", "m4", "m5"]) await kept.store.monitor(monitor(id));
    await kept.store.monitor(monitor("other", "cid"));
    expect(await kept.store.down({ target: "bob", ...crash })).toBe(5);
    expect(await kept.store.down({ target: "bob", ...crash, reason: "killed" })).toBe(0);
    await kept.reopen();
    expect((await kept.store.due(5_000, 10)).rows).toMatchObject(
      ["m1", "m2", "m3", "m4", "m5"].map((id) => ({
        type: "down",
        monitor: { id, target: "bob", agentId: "ann" },
        reason: "crash",
        detail: "it threw",
        dueAtMs: 5_000,
      })),
    );
    const told: Envelope = envelope("e1");
    await kept.store.fire({ id: "m1", dueAtMs: 5_000, nextMs: undefined }, told);
    await expect(
      kept.store.fire({ id: "m1", dueAtMs: 5_000, nextMs: undefined }, envelope("e2")),
    ).rejects.toMatchObject({
      code: "CLOISTER_SIGNAL_UNKNOWN",
    });
    expect(await kept.store.demonitor("m1", "ann")).toBe(false);
    expect(await kept.store.demonitor("other", "bob")).toBe(false);
    expect(await kept.store.down({ ...crash, reason: "killed" })).toBe(1);
    expect(await ids(5_000)).toEqual(["m2", "m3", "m4", "m5", "other"]);
  });

  it("sees a watch that was written in the same moment as the end", async () => {
    const [set, told] = await Promise.all([
      kept.store.monitor(monitor("m")),
      kept.store.down({ target: "bob", ...crash }),
    ]);
    expect([set.status, told]).toEqual(["set", 1]);
  });
});
