import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makePresence, type Presence } from "../../../runtime/edge/presence.ts";
import type { AgentPresence, Client } from "../../../runtime/edge/port.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

function open(): { presence: Presence; told: () => number } {
  let told = 0;
  const presence = makePresence({
    version: "1.0",
    bootId: "boot",
    paceMs: 100,
    now: Date.now,
    tell: () => void told++,
  });
  return { presence, told: () => told };
}

const client = (connId: string, mode = "ui"): Client => ({ connId, clientId: "tui", mode, scopes: ["operator.read"] });
const introduction = {
  id: "tui",
  mode: "ui",
  displayName: "ev\u001b[2Jil",
  version: "9",
  platform: "linux",
  instanceId: "i-1",
};
const agent = (agentId: string, workerState: AgentPresence["workerState"]): AgentPresence => ({
  agentId,
  name: agentId,
  workerState,
  activeRuns: workerState === "running" ? 1 : 0,
  queueDepth: 2,
  lastActivityAt: 5,
});

describe("presence", () => {
  test("lists the gateway, clients with what they say of themselves, and agents with what they do", () => {
    const { presence } = open();
    presence.join(client("c1"), introduction, "192.0.2.7");
    const rows = presence.rows([agent("raul", "running")]);
    expect(rows).toEqual([
      expect.objectContaining({ mode: "gateway", reason: "self", version: "1.0", instanceId: "boot" }),
      expect.objectContaining({
        clientId: "tui",
        host: "ev?[2Jil",
        ip: "192.0.2.7",
        instanceId: "i-1",
        mode: "ui",
        reason: "connect",
        roles: ["operator"],
        scopes: ["operator.read"],
        ts: 1_000_000,
      }),
      expect.objectContaining({
        agentId: "raul",
        workerState: "running",
        activeRuns: 1,
        queueDepth: 2,
        lastActivityAt: 5,
      }),
    ]);
    for (const { text } of rows) expect(text).not.toBe("");
  });

  test("says of a node that it is one", () => {
    const { presence } = open();
    presence.join({ ...client("n1"), role: "node", scopes: [] }, introduction, undefined);
    expect(presence.rows([]).at(-1)).toMatchObject({ roles: ["node"], scopes: [] });
  });

  test("leaves out what comes and goes with each call", () => {
    const { presence, told } = open();
    for (const mode of ["cli", "backend", "probe"]) presence.join(client(mode, mode), introduction, undefined);
    vi.advanceTimersByTime(1_000);
    expect([presence.rows([]).length, told(), presence.version]).toEqual([1, 0, 1]);
  });

  test("keeps a client that left for five minutes, and then forgets it", () => {
    const { presence } = open();
    presence.join(client("c1"), introduction, undefined);
    presence.leave("c1");
    presence.leave("c1");
    expect(presence.rows([]).at(-1)).toMatchObject({ reason: "disconnect", ts: 1_000_000 });
    vi.advanceTimersByTime(limits.presenceGoneMs);
    expect(presence.rows([])).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(presence.rows([])).toHaveLength(1);
  });

  test("tells changes that come together once, with a version that grows", () => {
    const { presence, told } = open();
    const before = presence.version;
    for (let n = 0; n < 50; n++) presence.join(client(`c${n}`), introduction, undefined);
    presence.changed();
    expect(told()).toBe(0);
    vi.advanceTimersByTime(100);
    expect([told(), presence.version > before]).toEqual([1, true]);
    vi.advanceTimersByTime(10_000);
    expect(told()).toBe(1);
  });

  test("is bounded: those that left make room, then the rest is cut", () => {
    const { presence } = open();
    for (let n = 0; n < 3 * limits.presenceRowsMax; n++) {
      presence.join(client(`c${n}`), introduction, undefined);
      if (n % 3 > 0) presence.leave(`c${n}`);
    }
    const rows = presence.rows([agent("raul", "idle")]);
    expect(rows).toHaveLength(limits.presenceRowsMax);
    expect(rows.filter(({ reason }) => reason === "disconnect")).toEqual([]);
  });
});
