import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import type { HeartbeatRule, ResolvedAgent } from "../../../runtime/config/resolved.ts";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { neverMs } from "../../../runtime/store/job-rows.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { havingWorkspace } from "../../../runtime/supervisor/agent-files.ts";
import { type HeartbeatsDeps, makeHeartbeats } from "../../../runtime/supervisor/heartbeats.ts";
import { sessionSettings } from "../../support/session-settings.ts";

const heartbeat: HeartbeatRule = {
  everyMs: 60_000,
  target: "none",
  ackCharsMax: 300,
  isLight: false,
  isIsolated: false,
  timeoutMs: 5_000,
  sparesDirect: false,
};
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What a process of the gateway makes of these agents, over the rows that the one before has left. */
function open(rows: Map<string, TimerRow>, ids: readonly string[], more: Partial<HeartbeatsDeps> = {}) {
  const store = {
    timers: async ({ id = "" }) => ({ rows: [rows.get(id)].filter((row) => row !== undefined), total: 0 }),
    schedule: async (row: TimerRow) => {
      rows.set(row.id, row);
      return { status: "set", id: row.id };
    },
    unschedule: async (id: string) => rows.delete(id),
    amendJob: async (id: string, { dueAtMs, job }: { readonly dueAtMs: number; readonly job: object }) =>
      rows.set(id, { ...rows.get(id), dueAtMs, job: { ...rows.get(id)?.job, ...job } } as TimerRow),
  } as unknown as HeartbeatsDeps["store"];
  return makeHeartbeats({
    config: {
      session: sessionSettings,
      channelDefaults: {},
      accountsOn: {},
      bindings: [],
    } as unknown as HeartbeatsDeps["config"],
    agents: new Map(ids.map((id) => [id, { id, heartbeat } as ResolvedAgent])),
    store,
    expect: () => undefined,
    note: () => undefined,
    nowMs: () => 1_000,
    log: quiet,
    ...more,
  } as unknown as HeartbeatsDeps);
}

test("heartbeats that were disabled are so for an agent that is new at the next start, whichever comes first", async () => {
  const rows = new Map<string, TimerRow>();
  const first = open(rows, ["main"]);
  await first.follow();
  expect(rows.get("h-main")).toMatchObject({ dueAtMs: 61_000, job: { enabled: true } });
  const client = { connId: "c", clientId: "op", mode: "cli", scopes: [] };
  await first.methods["set-heartbeats"]({ enabled: false }, client);
  await open(rows, ["anna", "main", "zoe"]).follow();
  for (const id of ["h-anna", "h-main", "h-zoe"])
    expect(rows.get(id), id).toMatchObject({ dueAtMs: neverMs, job: { enabled: false } });
});

test("the turn of a heartbeat has the time that its configuration says, and no other turn has", () => {
  const heartbeats = open(new Map(), ["main"]);
  const header = (timerId: string, agentId = "main") =>
    ({ agentId, from: { type: "timer", agentId, timerId } }) as EnvelopeHeader;
  expect(heartbeats.spanMsOf(header("h-main"))).toBe(5_000);
  expect(heartbeats.spanMsOf(header("j-1"))).toBeUndefined();
  expect(heartbeats.spanMsOf(header("h-gone", "gone"))).toBeUndefined();
  expect(heartbeats.spanMsOf({ ...header("h-main"), from: { type: "operator", client: "o" } })).toBeUndefined();
});

test("the start looks into a bounded number of workspaces at a time, and into none that is not there", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cloister-boot-"));
  const here = Array.from({ length: 3 * limits.bootLooksAtOnce }, (_, n) => `a${n}`);
  for (const id of here) mkdirSync(path.join(folder, id));
  for (const id of here.slice(1)) writeFileSync(path.join(folder, id, "BOOT.md"), "Say good morning.");
  let atOnce = 0;
  let most = 0;
  const asked: string[] = [];
  const agents = [...here, "gone"].map((id) => ({ id, workspace: path.join(folder, id) }));
  const failed: object[] = [];
  const heartbeats = makeHeartbeats({
    config: { session: sessionSettings },
    nowMs: () => 1_000,
    accept: async ({ agentId }: { readonly agentId: string }) => {
      most = Math.max(most, ++atOnce);
      await setImmediate();
      atOnce--;
      if (agentId === "a5") throw new Error("the store is gone");
      asked.push(agentId);
      return { status: "stored" };
    },
    log: { ...quiet, error: (fields: object) => failed.push(fields) },
  } as unknown as HeartbeatsDeps);
  await heartbeats.boot(await havingWorkspace(agents));
  rmSync(folder, { recursive: true });
  expect(asked.toSorted()).toEqual(
    here
      .slice(1)
      .filter((id) => id !== "a5")
      .toSorted(),
  );
  expect(failed).toMatchObject([{ agent: "a5", error: { message: "the store is gone" } }]);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(limits.bootLooksAtOnce);
});

test("an agent without a period of its own has another one with a sign-in at Anthropic, and tells it", async () => {
  const [half, hour] = [limits.heartbeatTurnEveryMs, limits.heartbeatTurnSignedInMs];
  const usual = { ...heartbeat, everyMs: half, isUsual: true as const };
  const cases = {
    oauth: { heartbeat: usual, every: "1h", everyMs: hour },
    token: { heartbeat: usual, every: "1h", everyMs: hour },
    api_key: { heartbeat: usual, every: "30m", everyMs: half },
    none: { heartbeat: usual, every: "30m", everyMs: half },
    broken: { heartbeat: usual, every: "30m", everyMs: half },
    written: { heartbeat, every: "1m", everyMs: heartbeat.everyMs },
    elsewhere: { heartbeat: { ...usual, model: "openai/m" }, every: "30m", everyMs: half },
  };
  const rows = new Map<string, TimerRow>();
  const heartbeats = open(rows, [], {
    agents: new Map(
      Object.entries(cases).map(([id, { heartbeat: rule }]) => [
        id,
        { id, model: "anthropic/m", heartbeat: rule } as unknown as ResolvedAgent,
      ]),
    ),
    profileType: async (agentId) => {
      if (agentId === "broken") throw new Error("auth-profiles.json is not JSON");
      return ["written", "elsewhere"].includes(agentId) ? "oauth" : agentId === "none" ? undefined : agentId;
    },
  });
  await heartbeats.follow();
  for (const [id, { every, everyMs }] of Object.entries(cases)) {
    expect(rows.get(`h-${id}`), id).toMatchObject({ everyMs, dueAtMs: 1_000 + everyMs });
    expect(heartbeats.view(id), id).toMatchObject({ enabled: true, every, everyMs });
  }
});

test("a sign-in while the gateway runs counts from the next turn on, which comes when it was due; so does its end", async () => {
  const [half, hour] = [limits.heartbeatTurnEveryMs, limits.heartbeatTurnSignedInMs];
  const rows = new Map<string, TimerRow>();
  let type: string | undefined = "api_key";
  let isBroken = false;
  const main = { id: "main", model: "anthropic/m", heartbeat: { ...heartbeat, everyMs: half, isUsual: true } };
  const heartbeats = open(rows, [], {
    agents: new Map([["main", main as unknown as ResolvedAgent]]),
    profileType: async () => {
      if (isBroken) throw new Error("auth-profiles.json is not JSON");
      return type;
    },
    kernel: () => ({ isRunning: () => false, isOpen: () => false }),
  });
  const ran = { atMs: 1, status: "ok", text: "HEARTBEAT_OK" } as const;
  const row = () => {
    const found = rows.get("h-main");
    if (found?.job === undefined) throw new Error("there is no heartbeat");
    return { ...found, job: found.job };
  };
  const due = () => heartbeats.due(row(), row().dueAtMs);
  await heartbeats.follow();
  rows.set("h-main", { ...row(), job: { ...row().job, runs: [ran] } });
  const dueAtMs = 1_000 + half;
  expect(await due()).toMatchObject({ fires: { dueAtMs, nextMs: dueAtMs + half } });

  type = "oauth";
  expect(await due()).toBeUndefined();
  expect(row()).toMatchObject({ dueAtMs, everyMs: hour, job: { runs: [ran] } });
  expect(heartbeats.view("main")).toMatchObject({ every: "1h" });
  expect(await due()).toMatchObject({ fires: { dueAtMs, nextMs: dueAtMs + hour } });

  isBroken = true;
  expect(await due()).toMatchObject({ fires: { nextMs: dueAtMs + hour } });
  isBroken = false;
  type = undefined;
  expect(await due()).toBeUndefined();
  expect(row()).toMatchObject({ dueAtMs, everyMs: half });
  expect(heartbeats.view("main")).toMatchObject({ every: "30m" });
});
