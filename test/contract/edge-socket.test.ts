import { Socket } from "node:net";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { GatewayEvent } from "../../runtime/edge/port.ts";
import { errorRegister, type ErrorCode, failure } from "../../runtime/kernel/errors.ts";
import {
  ask,
  type Frame,
  gatewayToken,
  openClient,
  openEdge,
  settingsWith,
  openRaw,
  operatorKey,
  tryUpgrade,
} from "./edge-kit.ts";

const isEvent = (name: string) => (frame: Frame) => frame.type === "event" && frame.event === name;
const upgradeHead =
  "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeAll(() => void process.on("unhandledRejection", note));
afterAll(() => {
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

describe("whether somebody listens", () => {
  it("is told with the first socket, before anything that it asks, and with the end of the last", async () => {
    const { port, kernel } = await openEdge();
    const heard: (readonly boolean[])[] = [];
    kernel.answers.rpc = async () => {
      heard.push([...kernel.audiences]);
      return { ok: true, payload: {} };
    };
    const [first, second] = [openClient(port), openClient(port)];
    await first.connect();
    await first.call("agents.list");
    await second.connect();
    expect(heard).toEqual([[true]]);
    first.ws.close();
    await first.closed;
    await second.call("agents.list");
    expect(heard).toEqual([[true], [true]]);
    second.ws.close();
    await second.closed;
    await expect.poll(() => kernel.audiences).toEqual([true, false]);
  });
});

describe("handshake", () => {
  it("begins with the challenge and ends with all five parts of hello-ok", async () => {
    const { port, clock } = await openEdge();
    clock.ms += 70;
    const client = openClient(port);
    const challenge = await client.next(isEvent("connect.challenge"));
    expect(challenge.payload).toEqual({ nonce: expect.stringMatching(/^[0-9a-f-]{36}$/), ts: clock.ms });
    client.frames.push(challenge);
    const hello = await client.connect({ scopes: ["operator.read", "operator.fancy"] });
    expect(hello.ok).toBe(true);
    expect(hello.payload).toEqual({
      type: "hello-ok",
      protocol: 4,
      server: { version: "0.1.0", connId: expect.stringMatching(/^[0-9a-f-]{36}$/), bootId: "boot-1" },
      features: {
        methods: [
          "health",
          "status",
          "system-presence",
          "logs.tail",
          "config.get",
          "config.schema.lookup",
          "config.check",
          "config.proposals",
          "config.proposals.show",
          "config.proposals.apply",
          "config.proposals.reject",
          "config.set",
          "config.apply",
          "config.patch",
          "agents.create",
          "agents.update",
          "agents.delete",
          "metrics.get",
          "lanes.list",
          "agents.list",
          "agents.memory",
          "agents.unpark",
          "agents.start",
          "agents.stop",
          "agents.park",
          "agents.restart",
          "gateway.status",
          "gateway.restart",
          "gateway.stop",
          "timers.list",
          "timers.remove",
          "tasks.list",
          "tasks.get",
          "tasks.cancel",
          "subagents.list",
          "subagents.cancel",
          "grants.list",
          "grants.explain",
          "grants.matrix",
          "grants.add",
          "grants.revoke",
          "grants.requests",
          "grants.approve",
          "grants.deny",
          "callers.list",
          "callers.add",
          "callers.allow",
          "callers.rotate",
          "callers.revoke",
          "device.pair.list",
          "device.pair.approve",
          "device.pair.reject",
          "device.pair.remove",
          "device.pair.rename",
          "device.token.rotate",
          "device.token.revoke",
          "device.bootstrap.issue",
          "node.list",
          "node.describe",
          "node.invoke",
          "node.pair.list",
          "node.pair.approve",
          "node.pair.reject",
          "node.pair.remove",
          "node.pair.rename",
          "node.pair.verify",
          "channels.pairing.list",
          "channels.pairing.approve",
          "channels.pairing.dismiss",
          "channels.pairing.remove",
          "channels.login",
          "channels.logout",
          "backup.start",
          "backup.status",
          "sessions.list",
          "sessions.describe",
          "sessions.preview",
          "sessions.subscribe",
          "sessions.resolve",
          "sessions.patch",
          "sessions.reset",
          "sessions.compact",
          "sessions.delete",
          "sessions.cleanup",
          "sessions.send",
          "sessions.steer",
          "sessions.abort",
          "chat.history",
          "chat.send",
          "chat.abort",
          "runs.stop",
          "agent",
          "agent.wait",
          "route.explain",
          "agent.identity.get",
          "agents.files.list",
          "agents.files.get",
          "channels.status",
          "commands.list",
          "tools.catalog",
          "tools.effective",
          "memory.status",
          "memory.index",
          "memory.search",
          "skills.status",
          "models.list",
          "mcp.list",
          "secrets.reload",
          "cron.list",
          "cron.status",
          "cron.runs",
          "cron.add",
          "cron.update",
          "cron.remove",
          "cron.run",
          "wake",
          "last-heartbeat",
          "set-heartbeats",
          "usage.status",
          "usage.cost",
          "sessions.usage",
          "sessions.usage.timeseries",
          "exec.approval.list",
          "exec.approval.resolve",
          "question.list",
          "plugin.approval.list",
          "taskSuggestions.list",
          "flow.recent",
          "audit.list",
          "audit.verify",
          "audit.who",
          "deadletters.list",
          "deadletters.show",
          "deadletters.replay",
          "deadletters.purge",
        ],
        events: [
          "connect.challenge",
          "task",
          "agent",
          "chat",
          "agents",
          "flow",
          "deadletters",
          "grants.requests",
          "device.pair.requested",
          "device.pair.resolved",
          "channels.pairing.requested",
          "channels.pairing.resolved",
          "node.event",
          "sessions.changed",
          "config.changed",
          "config.proposals",
          "exec.approvals",
          "presence",
          "tick",
          "shutdown",
        ],
      },
      snapshot: {
        presence: [
          expect.objectContaining({ mode: "gateway", reason: "self", version: "0.1.0", instanceId: "boot-1" }),
        ],
        health: { ok: true },
        stateVersion: { presence: 1, health: 1 },
        uptimeMs: 70,
        sessionDefaults: {
          ownership: "explicit",
          selectionRequired: false,
          defaultAgentId: "main",
          mainKey: "main",
          mainSessionKey: "agent:main:main",
          scope: "per-sender",
        },
      },
      auth: { role: "operator", scopes: ["operator.read"] },
      policy: { maxPayload: 26_214_400, maxBufferedBytes: 52_428_800, tickIntervalMs: 15_000 },
    });
    expect(client.ws.extensions).toBe("");
  });

  it("refuses with a typed error before the close, and logs one line that names no secret", async () => {
    const { port, logs } = await openEdge();
    const client = openClient(port, "/", { headers: { "user-agent": "evil\tagent" } });
    const refused = await client.connect({ auth: { token: "a wrong token" } });
    expect(refused).toMatchObject({
      ok: false,
      error: {
        code: "UNAUTHORIZED",
        details: { code: "AUTH_TOKEN_MISMATCH", recommendedNextStep: "update_auth_credentials" },
      },
    });
    const { code, reason } = await client.closed;
    expect(code).toBe(1008);
    expect(reason).toMatch(/^unauthorized: /);
    const lines = () => logs.filter(({ message }) => message.startsWith("[ws] closed before connect"));
    await expect.poll(lines).toHaveLength(1);
    expect(lines()[0]?.message).toMatch(
      /^\[ws\] closed before connect conn=\S+ peer=\S+->\S+ remote=127\.0\.0\.1 fwd=n\/a origin=n\/a host=127\.0\.0\.1:\d+ ua=evil\?agent client=cli code=1008 reason=unauthorized: /,
    );
    expect(JSON.stringify(logs)).not.toMatch(/a wrong token|gateway-secret-value|abababab/);
  });

  it("refuses another protocol with 1002", async () => {
    const { port } = await openEdge();
    const client = openClient(port);
    expect(await client.connect({ minProtocol: 5, maxProtocol: 6 })).toMatchObject({
      ok: false,
      error: { details: { code: "PROTOCOL_MISMATCH" } },
    });
    expect(await client.closed).toEqual({ code: 1002, reason: "protocol mismatch" });
  });

  it.each([
    ["a request before connect", { type: "req", id: "1", method: "health" }, true],
    ["connect without its parameters", { type: "req", id: "1", method: "connect", params: { minProtocol: 4 } }, true],
    ["a malformed request", { type: "req", id: "1" }, true],
    ["no request", { type: "event", event: "x" }, false],
    ["no JSON", "hello", false],
  ])("closes on %s as its first frame", async (_what, frame, told) => {
    const { port, kernel } = await openEdge();
    const client = openClient(port);
    await client.next(isEvent("connect.challenge"));
    client.send(frame);
    if (told)
      expect(await client.next((got) => got.id === "1")).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST" },
      });
    const { code, reason } = await client.closed;
    expect([code, reason.split(":")[0]]).toEqual([1008, "invalid-handshake"]);
    expect(kernel.calls).toEqual([]);
  });

  it("closes who sends nothing in time", async () => {
    const { port } = await openEdge({ bounds: { handshakeMs: 30 } });
    const silent = openClient(port);
    expect(await silent.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/^handshake timeout/) });
  });

  it("keeps who connected in time", async () => {
    const { port } = await openEdge({ bounds: { handshakeMs: 1_500, tickMs: 800 } });
    const client = openClient(port);
    await client.connect();
    for (let n = 0; n < 3; n += 1) await client.next(isEvent("tick"));
    expect((await client.call("health")).ok).toBe(true);
  });

  it("admits no second connect", async () => {
    const { port } = await openEdge();
    const client = openClient(port);
    await client.connect({ scopes: ["operator.read"] });
    expect(
      await client.call("connect", { minProtocol: 4, maxProtocol: 4, client: { id: "a", mode: "b" } }),
    ).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST", message: "unknown method: connect" } });
  });
});

describe("upgrade: path × Host × Origin", () => {
  it.each([
    ["/", "localhost", undefined, 101],
    ["/?x=1", "127.0.0.1", undefined, 101],
    ["/", "localhost:18789", "http://localhost:18789", 101],
    ["/", "localhost", "https://panel.example.org", 101],
    ["/", "panel.example.org", "https://panel.example.org", 101],
    ["/", "localhost", "https://evil.example", 403],
    ["/", "localhost", "null", 403],
    ["/", "localhost:18789", "http://localhost:3000", 403],
    ["/", "localhost", "", 403],
    ["/", "evil.example", "http://evil.example", 421],
    ["/", "evil.example", undefined, 421],
    ["/healthz", "localhost", undefined, 404],
    ["//", "localhost", undefined, 404],
  ])("%s as %s from %s → %i", async (path, host, origin, status) => {
    const { port } = await openEdge();
    const answer = await tryUpgrade(port, path, { host, ...(origin === undefined ? {} : { origin }) });
    expect(answer.status).toBe(status);
    if (status !== 101)
      expect(JSON.parse(answer.body)).toMatchObject({
        ok: false,
        error: { code: expect.stringMatching(/^CLOISTER_EDGE_/), remedy: expect.any(String) },
      });
  });

  it("is answered at the base path of the page too", async () => {
    const { port } = await openEdge({ settings: { page: { enabled: false, basePath: "/ui", assetsDir: "/nowhere" } } });
    for (const path of ["/", "/ui", "/ui/"])
      expect((await tryUpgrade(port, path, { host: "localhost" })).status, path).toBe(101);
  });

  it("is refused when as many are connected as may be, and possible again after one left", async () => {
    const { port } = await openEdge({ bounds: { connectionsMax: 1 } });
    const first = openClient(port);
    await first.connect();
    expect(await tryUpgrade(port, "/", { host: "localhost" })).toMatchObject({ status: 503 });
    first.ws.close();
    await first.closed;
    await expect.poll(async () => (await tryUpgrade(port, "/", { host: "localhost" })).status).toBe(101);
  });
});

describe("connections of one address that have not authenticated", () => {
  it("are bounded; who has authenticated does not count, and a place is free again after one left or was admitted", async () => {
    const { port, logs } = await openEdge({ bounds: { preauthSocketsPerAddressMax: 2 } });
    const admitted = openClient(port);
    await admitted.connect();
    const waiting = [openClient(port), openClient(port)];
    for (const client of waiting) client.frames.push(await client.next(isEvent("connect.challenge")));
    const refused = await tryUpgrade(port, "/", { host: "localhost" });
    expect(refused).toMatchObject({ status: 503 });
    expect(logs).toContainEqual(
      expect.objectContaining({
        message: "upgrade refused",
        fields: expect.objectContaining({ code: "CLOISTER_EDGE_BUSY" }),
      }),
    );
    await waiting[0]?.connect();
    expect((await tryUpgrade(port, "/", { host: "localhost" })).status).toBe(101);
    waiting[1]?.ws.close();
    await waiting[1]?.closed;
    await expect.poll(async () => (await tryUpgrade(port, "/", { host: "localhost" })).status).toBe(101);
    expect((await admitted.call("health", {})).ok).toBe(true);
  });

  it("of another address are not touched by it", async () => {
    const { port } = await openEdge({ bounds: { preauthSocketsPerAddressMax: 1 } });
    await openClient(port).next(isEvent("connect.challenge"));
    expect((await tryUpgrade(port, "/", { host: "localhost" })).status).toBe(503);
    const other = openClient(port, "/", { localAddress: "127.0.0.2" });
    expect((await other.connect()).ok).toBe(true);
  });
});

describe("modes and addresses", () => {
  it("mode none admits this machine with all scopes, but no foreign page and nobody behind a proxy", async () => {
    const { port, logs } = await openEdge({ settings: { auth: { mode: "none" } } });
    const client = openClient(port);
    const hello = await client.connect({ auth: {} });
    expect(hello.payload.auth.scopes).toContain("operator.admin");
    expect(logs).toContainEqual(
      expect.objectContaining({
        level: "warn",
        message: "auth mode=none explicitly configured; all gateway connections are unauthenticated.",
      }),
    );
    expect((await tryUpgrade(port, "/", { host: "localhost", origin: "https://evil.example" })).status).toBe(403);
    const proxied = openClient(port, "/", { headers: { "x-forwarded-for": "203.0.113.7" } });
    expect(await proxied.connect({ auth: {} })).toMatchObject({
      ok: false,
      error: { details: { code: "AUTH_UNAUTHORIZED" } },
    });
  });

  it("the operator key opens in every mode", async () => {
    for (const auth of [
      { mode: "none" },
      { mode: "token" },
      { mode: "token", secret: "" },
      { mode: "password", secret: "p" },
    ] as const) {
      const { port } = await openEdge({ settings: { auth } });
      expect((await openClient(port).connect({ auth: { token: operatorKey } })).ok, JSON.stringify(auth)).toBe(true);
    }
  });

  it("a blank configured secret opens nothing", async () => {
    const { port } = await openEdge({ settings: { auth: { mode: "token", secret: " " } } });
    for (const token of ["", " "])
      expect((await openClient(port).connect({ auth: { token } })).error.details.code).toBe(
        "AUTH_TOKEN_NOT_CONFIGURED",
      );
  });

  it("a page on this machine is locked out after ten wrong tokens, a program is not, and the lock ends", async () => {
    const { port, clock } = await openEdge();
    const page = { origin: "https://panel.example.org" };
    const connectAs = (options: object, token: string) => openClient(port, "/", options).connect({ auth: { token } });
    for (let n = 0; n < 10; n += 1)
      expect((await connectAs(page, "wrong")).error.details.code).toBe("AUTH_TOKEN_MISMATCH");
    expect(await connectAs(page, gatewayToken)).toMatchObject({
      error: { details: { code: "AUTH_RATE_LIMITED" }, retryAfterMs: 300_000 },
    });
    for (let n = 0; n < 12; n += 1) await connectAs({}, "wrong");
    expect((await connectAs({}, gatewayToken)).ok).toBe(true);
    clock.ms += 300_000;
    // It is judged again: a page needs a device beside the token.
    expect((await connectAs(page, gatewayToken)).error.details.code).toBe("DEVICE_IDENTITY_REQUIRED");
    expect((await connectAs(page, operatorKey)).ok).toBe(true);
  });

  it("gateway.auth.rateLimit says after how many wrong tokens, for how long, and whether programs of this machine are counted", async () => {
    const loginRule = { failuresMax: 2, windowMs: 10_000, lockoutMs: 7_000, exemptLoopback: false };
    const { edge, port, clock, assetsDir } = await openEdge({ settings: { loginRule } });
    const code = async (token: string) => (await openClient(port).connect({ auth: { token } })).error?.details.code;
    expect(await code("wrong")).toBe("AUTH_TOKEN_MISMATCH");
    clock.ms += 10_000;
    for (let n = 0; n < 2; n += 1) expect(await code("wrong")).toBe("AUTH_TOKEN_MISMATCH");
    expect(await openClient(port).connect()).toMatchObject({
      error: { details: { code: "AUTH_RATE_LIMITED" }, retryAfterMs: 7_000 },
    });
    clock.ms += 7_000;
    expect((await openClient(port).connect()).ok).toBe(true);
    await edge.configure(settingsWith(assetsDir));
    for (let n = 0; n < 12; n += 1) expect(await code("wrong")).toBe("AUTH_TOKEN_MISMATCH");
  });

  it("clients behind a proxy on this machine are counted", async () => {
    const { port } = await openEdge();
    const behind = { headers: { "x-forwarded-for": "203.0.113.7" } };
    for (let n = 0; n < 10; n += 1) await openClient(port, "/", behind).connect({ auth: { token: "wrong" } });
    expect((await openClient(port, "/", behind).connect()).error.details.code).toBe("AUTH_RATE_LIMITED");
  });
});

describe("requests", () => {
  it("reach the kernel's side with the client and the checked parameters", async () => {
    const { port, kernel } = await openEdge();
    const client = openClient(port);
    const hello = await client.connect({ scopes: ["operator.write"] });
    expect(
      await client.call("chat.send", {
        sessionKey: "agent:main:main",
        message: "hi",
        deliver: false,
        sessionId: "extra",
      }),
    ).toMatchObject({ ok: true, payload: { method: "chat.send" } });
    expect(kernel.calls).toEqual([
      {
        method: "rpc",
        args: [
          { connId: hello.payload.server.connId, clientId: "cli", mode: "cli", scopes: ["operator.write"] },
          "chat.send",
          { sessionKey: "agent:main:main", message: "hi", deliver: false },
        ],
      },
    ]);
  });

  it("answer an unknown method as clients know it, and go on", async () => {
    const { port, kernel } = await openEdge();
    const client = openClient(port);
    await client.connect();
    for (const method of ["wizard.start", "toString", "__proto__"]) {
      expect((await client.call(method, {})).error).toEqual({
        code: "INVALID_REQUEST",
        message: `unknown method: ${method}`,
      });
    }
    expect((await client.call("health")).ok).toBe(true);
    expect(kernel.calls).toHaveLength(1);
  });

  it("need the scope of their method", async () => {
    const { port, kernel } = await openEdge();
    const reader = openClient(port);
    await reader.connect({ scopes: ["operator.read"] });
    expect((await reader.call("agent", { message: "hi" })).error).toEqual({
      code: "FORBIDDEN",
      message: "missing scope: operator.write",
      details: {
        code: "MISSING_SCOPE",
        missingScope: "operator.write",
        requiredScopes: ["operator.write"],
        remedy: expect.any(String),
      },
    });
    expect((await reader.call("status")).ok).toBe(true);
    const nobody = openClient(port);
    await nobody.connect({ scopes: [] });
    expect((await nobody.call("health")).error.details.code).toBe("MISSING_SCOPE");
    const admin = openClient(port);
    await admin.connect({ scopes: ["operator.admin"] });
    expect((await admin.call("chat.send", { sessionKey: "s", message: "m" })).ok).toBe(true);
    expect(kernel.calls.map(({ args }) => args[1])).toEqual(["status", "chat.send"]);
  });

  it("name the parameter that is wrong", async () => {
    const { port, kernel } = await openEdge();
    const client = openClient(port);
    await client.connect();
    for (const params of [
      { sessionKey: "s" },
      { sessionKey: "s", message: "" },
      { sessionKey: "s", message: { $ne: 1 } },
      [],
      "text",
      7,
      null,
    ]) {
      expect(await client.call("chat.send", params), JSON.stringify(params)).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST", message: expect.stringContaining("chat.send") },
      });
    }
    expect(kernel.calls).toEqual([]);
  });

  it("hand on every refusal of the register, and faults of the kernel's side", async () => {
    const { port, kernel } = await openEdge();
    const client = openClient(port);
    await client.connect();
    for (const code of Object.keys(errorRegister) as ErrorCode[]) {
      kernel.answers.rpc = async () => ({ ok: false, refusal: { code, message: "why", remedy: "do this" } });
      expect((await client.call("status")).error).toMatchObject({
        code: expect.stringMatching(/^[A-Z_]+$/),
        message: "why",
        details: { code, remedy: "do this" },
      });
    }
    kernel.answers.rpc = () => Promise.reject(failure("CLOISTER_THREAD_LOST", "the thread ended"));
    expect((await client.call("status")).error).toMatchObject({
      code: "UNAVAILABLE",
      details: { code: "CLOISTER_THREAD_LOST" },
    });
    kernel.answers.rpc = () => {
      throw new TypeError("a fault");
    };
    expect((await client.call("status")).error).toMatchObject({
      code: "UNAVAILABLE",
      details: { code: "CLOISTER_INTERNAL" },
    });
  });

  it("are bounded in number for one connection", async () => {
    const { port, kernel } = await openEdge({ bounds: { requestsPerSocketMax: 2 } });
    const gate = Promise.withResolvers<void>();
    kernel.answers.rpc = async () => (await gate.promise, { ok: true, payload: {} });
    const client = openClient(port);
    await client.connect();
    const held = [client.call("health"), client.call("health")];
    expect(await client.call("health")).toMatchObject({ ok: false, error: { code: "UNAVAILABLE", retryable: true } });
    gate.resolve();
    for (const answer of await Promise.all(held)) expect(answer.ok).toBe(true);
    expect((await client.call("health")).ok).toBe(true);
  });
});

const second = (client: ReturnType<typeof openClient>, id: string) =>
  client.next((frame) => frame.type === "res" && frame.id === id);

describe("agent answers twice with one id", () => {
  const accepted = {
    runId: "run-7",
    sessionKey: "agent:raul:main",
    agentId: "raul",
    status: "accepted",
    acceptedAt: 1,
  };
  const open = async () => {
    const running = await openEdge();
    running.kernel.answers.rpc = async () => ({ ok: true, payload: accepted });
    const client = openClient(running.port);
    await client.connect();
    return { ...running, client };
  };

  it("first accepted, then the answer", async () => {
    const { client, kernel, clock } = await open();
    kernel.answers.waitRun = async (runId) => ((clock.ms += 1_877), { status: "ok", runId, reply: "OK-1" });
    const first = await client.call("agent", {
      message: "hi",
      agentId: "raul",
      deliver: false,
      timeout: 600,
      idempotencyKey: "k",
    });
    expect(first).toMatchObject({ ok: true, payload: accepted });
    expect((await second(client, first.id)).payload).toEqual({
      runId: "run-7",
      status: "ok",
      summary: "completed",
      result: {
        payloads: [{ text: "OK-1", mediaUrl: null }],
        meta: {
          durationMs: 1_877,
          agentMeta: { agentId: "raul", sessionKey: "agent:raul:main" },
          aborted: false,
          stopReason: "stop",
          finalAssistantVisibleText: "OK-1",
        },
      },
    });
    expect(kernel.calls.at(-1)).toEqual({ method: "waitRun", args: ["run-7", 600_000] });
  });

  it("no payload for silence, a status for time over, an error for a failure", async () => {
    const { client, kernel } = await open();
    const run = async (answer: typeof kernel.answers.waitRun) => {
      kernel.answers.waitRun = answer;
      const first = await client.call("agent", { message: "hi" });
      return second(client, first.id);
    };
    expect((await run(async (runId) => ({ status: "ok", runId, reply: null }))).payload.result.payloads).toEqual([]);
    expect((await run(async (runId) => ({ status: "timeout", runId }))).payload).toMatchObject({
      status: "timeout",
      result: { payloads: [] },
    });
    const refusal = { code: "CLOISTER_AGENT_FAILED", message: "it threw" } as const;
    expect((await run(async (runId) => ({ status: "error", runId, refusal }))).error).toMatchObject({
      code: "UNAVAILABLE",
      message: "it threw",
      details: { code: "CLOISTER_AGENT_FAILED", runId: "run-7" },
    });
    expect((await run(() => Promise.reject(failure("CLOISTER_THREAD_LOST", "gone")))).error.details.code).toBe(
      "CLOISTER_THREAD_LOST",
    );
  });

  it("only once when it was refused", async () => {
    const { client, kernel } = await open();
    kernel.answers.rpc = async () => ({
      ok: false,
      refusal: { code: "CLOISTER_AGENT_UNKNOWN", message: "no such agent" },
    });
    expect((await client.call("agent", { message: "hi", agentId: "x" })).error.code).toBe("NOT_FOUND");
    expect((await client.call("health")).ok).toBe(false);
    expect(client.frames.filter(({ type }) => type === "res")).toEqual([]);
    expect(kernel.calls.map(({ method }) => method)).toEqual(["rpc", "rpc"]);
  });
});

const changed = (n: number): GatewayEvent => ({
  event: "sessions.changed",
  payload: { sessionKey: `s${n}`, agentId: "main", reason: "r", ts: n },
});
const delta = (text: string, runId = "r", seq = 1): GatewayEvent => ({
  event: "chat",
  payload: { runId, sessionKey: "s", agentId: "main", seq, state: "delta", deltaText: text },
});

describe("events", () => {
  it("come in order, numbered per connection, to those who may read", async () => {
    const { port, edge } = await openEdge();
    const [early, late, blind] = [openClient(port), openClient(port), openClient(port)];
    await early.connect({ scopes: ["operator.read"] });
    await blind.connect({ scopes: ["operator.pairing"] });
    const outside = openClient(port);
    await outside.next(isEvent("connect.challenge"));
    await edge.publish([changed(0)]);
    await late.connect({ scopes: ["operator.write"] });
    await edge.publish([changed(1), changed(2)]);
    const got = async (client: typeof early, count: number) => {
      const seen: [number, number][] = [];
      for (let n = 0; n < count; n += 1) {
        const { seq, payload } = await client.next(isEvent("sessions.changed"));
        seen.push([seq, payload.ts]);
      }
      return seen;
    };
    expect(await got(early, 3)).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    expect(await got(late, 2)).toEqual([
      [1, 1],
      [2, 2],
    ]);
    await blind.call("connect");
    expect([...blind.frames, ...outside.frames]).toEqual([]);
  });

  it("include a tick for everybody who is connected", async () => {
    const { port } = await openEdge({ bounds: { tickMs: 20 } });
    const client = openClient(port);
    await client.connect({ scopes: [] });
    const tick = await client.next(isEvent("tick"));
    expect(tick.payload).toEqual({ ts: expect.any(Number) });
  });

  it("of streamed text hold what is new and all of it; what comes in quick succession is one", async () => {
    const { port, edge } = await openEdge({ bounds: { deltaPaceMs: 60_000 } });
    const client = openClient(port);
    await client.connect();
    const parts = Array.from({ length: 1_000 }, (_, n) => delta(`${n},`, "r", n + 1));
    const text = parts.map((_, n) => `${n},`).join("");
    const final = { runId: "r", sessionKey: "s", agentId: "main", seq: 1_001, state: "final" } as const;
    await edge.publish([...parts, delta("other", "q"), { event: "chat", payload: final }]);
    await client.next((frame) => frame.payload?.state === "final");
    const told = client.frames.filter(({ event }) => event === "chat").map(({ payload }) => payload);
    expect(told.map(({ runId, seq, deltaText, message }) => [runId, seq, deltaText, message.content[0].text])).toEqual([
      ["r", 1, "0,", "0,"],
      ["q", 1, "other", "other"],
      ["r", 1_000, text.slice(2), text],
    ]);
  });

  it("of streamed text go on after a pause, and begin anew with a turn that is handled again", async () => {
    const { port, edge } = await openEdge({ bounds: { deltaPaceMs: 1 } });
    const client = openClient(port);
    await client.connect();
    const next = async () => (await client.next(isEvent("chat"))).payload.message.content[0].text;
    await edge.publish([delta("a", "r", 1), delta("b", "r", 2)]);
    expect([await next(), await next()]).toEqual(["a", "ab"]);
    await edge.publish([delta("c", "r", 3)]);
    expect(await next()).toBe("abc");
    await edge.publish([delta("new", "r", 1)]);
    expect(await next()).toBe("new");
  });

  it("of a long text hold what is new alone, but for who came in the middle: that one waits for all of it", async () => {
    const { port, edge } = await openEdge({ bounds: { deltaPaceMs: 1, wholeTextCharsPerSecond: 1 } });
    const [early, late] = [openClient(port), openClient(port)];
    await early.connect();
    const long = "x".repeat(1_000);
    const shown = async (client: typeof early) => {
      const { message, deltaText } = (await client.next(isEvent("chat"))).payload;
      return [deltaText.length, message?.content[0].text.length];
    };
    await edge.publish([delta(long, "r", 1)]);
    expect(await shown(early)).toEqual([1_000, 1_000]);
    await late.connect();
    await edge.publish([delta("more", "r", 2)]);
    expect(await shown(early)).toEqual([4, undefined]);
    await edge.publish([delta(long, "r", 3)]);
    expect(await shown(early)).toEqual([1_000, 2_004]);
    await edge.publish([delta("end", "r", 4)]);
    expect(await shown(early)).toEqual([3, undefined]);
    expect([await shown(late), await shown(late)]).toEqual([
      [1_000, 2_004],
      [3, undefined],
    ]);
  });

  it("end with shutdown and 1012 when the edge closes", async () => {
    const { port, edge } = await openEdge();
    const client = openClient(port);
    await client.connect();
    const opening = openClient(port);
    await opening.next(isEvent("connect.challenge"));
    await edge.close("SIGTERM");
    expect((await client.next(isEvent("shutdown"))).payload).toEqual({ reason: "SIGTERM" });
    expect(await client.closed).toEqual({ code: 1012, reason: "service restart: SIGTERM" });
    expect((await opening.closed).code).toBe(1012);
  });
});

describe("frames of one moment", () => {
  it("go to the system in one call, in their order; a long one waits for none", async () => {
    const { port, edge } = await openEdge();
    const client = openClient(port);
    await client.connect();
    const write = vi.spyOn(Socket.prototype as Required<Pick<Socket, "_writev">>, "_writev");
    onTestFinished(() => write.mockRestore());
    const calls = () => write.mock.contexts.filter((socket) => (socket as Socket).localPort === port);
    await edge.publish([1, 2, 3].map(changed));
    const told = isEvent("sessions.changed");
    const three = [await client.next(told), await client.next(told), await client.next(told)];
    expect(three.map(({ payload }) => payload?.sessionKey)).toEqual(["s1", "s2", "s3"]);
    expect(calls()).toHaveLength(1);
    const long = { ...changed(4).payload, reason: "x".repeat(limits.gatheredBytesMax) } as never;
    await edge.publish([{ event: "sessions.changed", payload: long }, changed(5)]);
    const two = [await client.next(told), await client.next(told)];
    expect(two.map(({ payload }) => payload?.sessionKey)).toEqual(["s4", "s5"]);
    expect(calls()).toHaveLength(3);
  });
});

describe("slow clients", () => {
  it("that do not read are closed at the bound and hold nobody else up", async () => {
    const { port, edge, logs } = await openEdge({ bounds: { socketBufferedBytesMax: 1_000_000 } });
    const [slow, quick] = [openClient(port), openClient(port)];
    await slow.connect();
    await quick.connect();
    slow.ws.pause();
    const big = { ...changed(1).payload, reason: "x".repeat(500_000) } as never;
    await expect
      .poll(
        async () => {
          await edge.publish([{ event: "sessions.changed", payload: big }]);
          await quick.next(isEvent("sessions.changed"));
          return logs.filter(({ fields }) => (fields as { reason?: string } | undefined)?.reason === "slow consumer");
        },
        { interval: 1 },
      )
      .toEqual([
        expect.objectContaining({ message: "client disconnected", fields: expect.objectContaining({ code: 1008 }) }),
      ]);
    expect((await quick.call("health")).ok).toBe(true);
  });

  it("are cut off worst first when all of them together hold too much, each below its own bound", async () => {
    const total = 4_000_000;
    const { port, edge, logs } = await openEdge({ bounds: { socketsBufferedBytesMax: total } });
    const quick = openClient(port);
    await quick.connect();
    const slow = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = openClient(port);
        await client.connect();
        client.ws.pause();
        return client;
      }),
    );
    const cut = () =>
      logs.filter(({ fields }) => (fields as { reason?: string } | undefined)?.reason === "slow consumer");
    const bytes = 250_000;
    const big = { ...changed(1).payload, reason: "x".repeat(bytes) } as never;
    let rounds = 0;
    await expect
      .poll(
        async () => {
          rounds += 1;
          await edge.publish([{ event: "sessions.changed", payload: big }]);
          await quick.next(isEvent("sessions.changed"));
          return cut().length;
        },
        { interval: 1 },
      )
      .toBeGreaterThanOrEqual(2);
    for (const { fields } of cut()) expect(fields).toMatchObject({ code: 1008 });
    // All that each was sent is less than may wait for one.
    expect(rounds * bytes).toBeLessThan(limits.socketBufferedBytesMax);
    // What goes on being sent ends one after the other, never all at once, and whoever reads is not touched.
    expect(cut().length).toBeLessThan(slow.length);
    expect((await quick.call("health")).ok).toBe(true);
  });

  it("miss streamed text but not the final one, and their numbering has no gap", async () => {
    const { port, edge } = await openEdge({ bounds: { deltaBufferedBytesMax: 100_000 } });
    const client = openClient(port);
    await client.connect();
    client.ws.pause();
    const rounds = 60;
    for (let n = 0; n < rounds; n += 1) await edge.publish([delta("x".repeat(500_000), `r${n}`)]);
    await edge.publish([
      { event: "chat", payload: { runId: "r", sessionKey: "s", agentId: "main", seq: 2, state: "final" } },
    ]);
    client.ws.resume();
    const final = await client.next((frame) => frame.payload?.state === "final");
    const deltas = client.frames.filter(({ payload }) => payload?.state === "delta");
    expect(deltas.length).toBeGreaterThan(0);
    expect(deltas.length).toBeLessThan(rounds);
    expect([...deltas, final].map(({ seq }) => seq)).toEqual(
      Array.from({ length: deltas.length + 1 }, (_, index) => index + 1),
    );
  });
});

/** A masked text frame of the given length, as a client sends it. */
function textFrame(length: number, fill = "x"): Buffer {
  const head = Buffer.alloc(14);
  head[0] = 0x81;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.alloc(length, fill)]);
}

/** The close frame in what a server sent: its code and reason. */
function closeFrameOf(received: Buffer): { code: number; reason: string } | undefined {
  let at = received.indexOf("\r\n\r\n") + 4;
  while (at + 2 <= received.length) {
    const [op, short] = [received[at] ?? 0, received[at + 1] ?? 0];
    const length = short === 126 ? received.readUInt16BE(at + 2) : short;
    const start = at + (short === 126 ? 4 : 2);
    if (op === 0x88)
      return { code: received.readUInt16BE(start), reason: received.subarray(start + 2, start + length).toString() };
    at = start + length;
  }
  return undefined;
}

describe("before authentication", () => {
  it("64 KiB may be sent and no more: the socket closes with 1009 while the frame is still coming", async () => {
    const { port, kernel } = await openEdge({ bounds: { socketCloseGraceMs: 1_000 } });
    const raw = openRaw(port);
    raw.write(upgradeHead);
    await expect.poll(() => raw.received().toString()).toContain("connect.challenge");
    raw.write(textFrame(20 * 1024 * 1024).subarray(0, 70_000));
    expect(closeFrameOf(await raw.ended)).toEqual({ code: 1009, reason: "preauth payload too large" });
    expect(kernel.calls).toEqual([]);
    expect((await ask(port, "GET", "/healthz")).status).toBe(200);
  });

  it("many small frames count together, also fragments, and also when they come with the upgrade", async () => {
    const { port } = await openEdge();
    const raw = openRaw(port);
    raw.write(
      Buffer.concat([
        Buffer.from(upgradeHead),
        Buffer.from([0x01, 0x80 | 1, 0, 0, 0, 0, 0x78]),
        ...Array.from({ length: 12_000 }, () => Buffer.from([0x00, 0x80, 0, 0, 0, 0])),
      ]),
    );
    expect(closeFrameOf(await raw.ended)).toEqual({ code: 1009, reason: "preauth payload too large" });
  });

  it("a connect of just under the limit is read, and larger frames are after it", async () => {
    const { port } = await openEdge();
    const client = openClient(port);
    expect((await client.connect({ userAgent: "x".repeat(64_000) })).ok).toBe(true);
    expect((await client.call("chat.send", { sessionKey: "s", message: "x".repeat(900_000) })).ok).toBe(true);
  });

  it("a frame over the limit after it closes with 1009", async () => {
    const { port } = await openEdge({ bounds: { frameBytesMax: 100_000 } });
    const client = openClient(port);
    await client.connect();
    client.send("x".repeat(100_001));
    expect((await client.closed).code).toBe(1009);
  });
});

describe("whatever frames come", () => {
  it("the server answers or closes, and lives", async () => {
    const { port, logs } = await openEdge();
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({
          type: fc.constant("req"),
          id: fc.oneof(fc.string(), fc.integer()),
          method: fc.oneof(fc.string(), fc.constantFrom("agent", "connect", "chat.send")),
          params: fc.jsonValue(),
        })
        .map((frame) => JSON.stringify(frame)),
    );
    const message = fc.oneof(
      { arbitrary: text, weight: 5 },
      { arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)), weight: 1 },
    );
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(message, { minLength: 1, maxLength: 5 }), async (connected, messages) => {
        const client = openClient(port);
        if (connected) await client.connect();
        else await client.next(isEvent("connect.challenge"));
        for (const part of messages) client.ws.send(part);
        client.ws.close();
        await client.closed;
      }),
      { numRuns: 60 },
    );
    expect(logs.filter(({ level }) => level === "error")).toEqual([]);
    const after = openClient(port);
    await after.connect();
    expect((await after.call("health")).ok).toBe(true);
  });

  it("raw bytes after the upgrade end the socket and nothing else", async () => {
    const { port } = await openEdge({ bounds: { handshakeMs: 100 } });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const raw = openRaw(port);
        raw.write(Buffer.concat([Buffer.from(upgradeHead), bytes]));
        expect((await raw.ended).toString()).toMatch(/^HTTP\/1\.1 101 /);
      }),
      { numRuns: 20 },
    );
    expect((await ask(port, "GET", "/healthz")).status).toBe(200);
  });
});
