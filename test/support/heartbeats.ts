/** A gateway whose clock the tests set, with agents that have heartbeats, over restarts. */
import { expect } from "vitest";
import type { HeartbeatRule, ResolvedConfig } from "../../runtime/config/resolved.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { makeConfig, openGateway, type TestAgent, type TestGateway } from "./gateway.ts";

export const minutes = 60_000;
export const startMs = Date.UTC(2026, 0, 1, 12);
export const rule = (more: Partial<HeartbeatRule> = {}): HeartbeatRule => ({
  everyMs: 30 * minutes,
  target: "none",
  ackCharsMax: 300,
  isLight: false,
  isIsolated: false,
  sparesDirect: false,
  ...more,
});

// oxlint-disable-next-line typescript/no-explicit-any -- an answer, looked into by the tests
export async function call(gateway: TestGateway, method: string, params: object = {}): Promise<any> {
  const client = { connId: "o", clientId: "op", mode: "cli", scopes: ["operator.admin"] };
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload;
}

/** A gateway whose clock stands still; `at` ends it and starts it again at another time. */
export async function world(agents: readonly TestAgent[], changes: Partial<ResolvedConfig> = {}) {
  const config = makeConfig(agents, changes);
  const store = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const start = (atMs: number, next = config) => openGateway([], {}, { store, config: next, nowMs: () => atMs });
  let gateway = await start(startMs);
  return {
    config,
    store,
    first: gateway,
    at: async (afterMs: number, next?: ResolvedConfig) => {
      await gateway.drain(0);
      gateway = await start(startMs + afterMs, next);
      return gateway;
    },
  };
}

export const row = async (gateway: TestGateway, id = "h-main") =>
  (await gateway.store.timers({ id, limit: 1 })).rows[0];
export const told = async (gateway: TestGateway, agentId = "main") =>
  (await gateway.store.history(agentId, `agent:${agentId}:main`, 50, 0)).rows.filter(({ role }) => role === "user");
export const ended = (gateway: TestGateway, count = 1) =>
  expect.poll(async () => (await row(gateway))?.job?.runs.length).toBe(count);
