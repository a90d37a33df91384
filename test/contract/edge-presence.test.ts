import { describe, expect, it } from "vitest";
import type { AgentPresence } from "../../runtime/edge/port.ts";
import { failure } from "../../runtime/kernel/errors.ts";
import { type Frame, openClient, openEdge } from "./edge-kit.ts";

const isPresence = (frame: Frame): boolean => frame.event === "presence";
const ui = { client: { id: "tui", mode: "ui", displayName: "my terminal", version: "9", platform: "linux" } };
const agent: AgentPresence = { agentId: "raul", name: "Raul", workerState: "running", activeRuns: 1, queueDepth: 3 };

describe("snapshot and presence", () => {
  it("a client that may read is told of health, clients and agents with hello-ok, and of changes together", async () => {
    const { port, kernel, edge } = await openEdge({ bounds: { presencePaceMs: 30 } });
    kernel.answers.snapshot = async () => ({ health: { ok: true, agents: [] }, agents: [agent] });
    const first = openClient(port);
    const { snapshot } = (await first.connect({ ...ui, scopes: ["operator.read"] })).payload;
    expect(snapshot.health).toEqual({ ok: true, agents: [] });
    expect(snapshot.presence).toEqual([
      expect.objectContaining({ mode: "gateway", reason: "self" }),
      expect.objectContaining({ mode: "ui", host: "my terminal", reason: "connect", ip: "127.0.0.1" }),
      expect.objectContaining({ mode: "agent", ...agent }),
    ]);

    const second = openClient(port);
    const greeted = (await second.connect({ ...ui, scopes: ["operator.read"] })).payload;
    expect(greeted.snapshot.stateVersion.presence).toBeGreaterThan(snapshot.stateVersion.presence);
    const event = await first.next((frame) => isPresence(frame) && frame.payload.presence.length === 4);
    expect(event).toMatchObject({ seq: expect.any(Number), stateVersion: { health: 1 } });
    expect(event.stateVersion.presence).toBeGreaterThanOrEqual(greeted.snapshot.stateVersion.presence);

    second.ws.close();
    await second.closed;
    const left = await first.next(
      (frame) => isPresence(frame) && frame.payload.presence.at(-1).reason === "disconnect",
    );
    expect(left.payload.presence.at(-1)).toMatchObject({ mode: "ui", host: "my terminal" });
    expect(left.stateVersion.presence).toBeGreaterThan(event.stateVersion.presence);

    kernel.answers.snapshot = async () => ({ health: {}, agents: [{ ...agent, workerState: "idle", activeRuns: 0 }] });
    await edge.publish([{ event: "agents", payload: { agents: [] } }]);
    const isIdle = (row: Frame): boolean => row.agentId === "raul" && row.workerState === "idle";
    const rested = await first.next((frame) => isPresence(frame) && frame.payload.presence.some(isIdle));
    expect((await first.call("system-presence")).payload).toEqual(rested.payload.presence);
  });

  it("a client that may not read is told of neither, not by hello-ok and not by events", async () => {
    const { port, kernel } = await openEdge({ bounds: { presencePaceMs: 1 } });
    const reader = openClient(port);
    await reader.connect({ scopes: ["operator.read"] });
    const client = openClient(port);
    const { snapshot } = (await client.connect({ ...ui, scopes: ["operator.pairing"] })).payload;
    expect([snapshot.presence, snapshot.health]).toEqual([[], {}]);
    await reader.next(isPresence);
    expect((await client.call("system-presence")).error).toMatchObject({
      code: "FORBIDDEN",
      details: { code: "MISSING_SCOPE", missingScope: "operator.read" },
    });
    expect(client.frames.filter(isPresence)).toEqual([]);
    expect(kernel.calls.filter(({ method }) => method === "rpc")).toEqual([]);
  });

  it("a kernel's side that cannot be asked leaves its part empty and keeps nobody out", async () => {
    const { port, kernel, logs } = await openEdge();
    kernel.answers.snapshot = () => Promise.reject(failure("CLOISTER_THREAD_LOST", "gone"));
    const client = openClient(port);
    const hello = await client.connect({ ...ui, scopes: ["operator.read"] });
    expect(hello).toMatchObject({
      ok: true,
      payload: { snapshot: { health: {}, presence: [{ reason: "self" }, { mode: "ui" }] } },
    });
    expect(logs).toContainEqual(expect.objectContaining({ level: "warn", message: expect.stringContaining("state") }));
  });

  it("what a client sends before its hello-ok is answered after it, in order", async () => {
    const { port, kernel } = await openEdge();
    let release: (() => void) | undefined;
    kernel.answers.snapshot = () => new Promise((resolve) => (release = () => resolve({ health: {}, agents: [] })));
    const client = openClient(port);
    const hello = client.connect({ scopes: ["operator.read"] });
    await expect.poll(() => release).toBeDefined();
    const answers = [client.call("health"), client.call("status")];
    client.ws.ping();
    // The requests are before the ping, and its answer comes when they were read.
    await new Promise((resolve) => client.ws.once("pong", resolve));
    expect(kernel.calls.filter(({ method }) => method === "rpc")).toEqual([]);
    release?.();
    expect((await hello).payload.type).toBe("hello-ok");
    expect((await Promise.all(answers)).map(({ payload }) => payload)).toEqual([
      { method: "health" },
      { method: "status" },
    ]);
  });

  it("no more of them than a connection may have unanswered", async () => {
    const { port, kernel } = await openEdge({ bounds: { requestsPerSocketMax: 2 } });
    let asked = 0;
    kernel.answers.snapshot = () => new Promise(() => (asked += 1));
    const client = openClient(port);
    const refused = expect(client.connect({ scopes: ["operator.read"] })).rejects.toThrow("closed with 1008");
    await expect.poll(() => asked).toBe(1);
    for (let n = 0; n < 3; n++) client.send({ type: "req", id: `${n}`, method: "health" });
    expect(await client.closed).toMatchObject({ code: 1008, reason: "too many requests before hello-ok" });
    await refused;
  });
});
