/** An edge on a free port with a kernel's side that records what it was asked, and clients to talk to it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect as tcpConnect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { WebSocket } from "ws";
import type { OutboundMessage } from "../../channels/port.ts";
import type { EdgeBounds } from "../../runtime/edge/bounds.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import type {
  DoorRefusal,
  EdgeForKernel,
  HookResult,
  InboundResult,
  KernelForEdge,
  RpcResult,
  RunResult,
} from "../../runtime/edge/port.ts";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";

export const operatorKey = "ab".repeat(32);
export const gatewayToken = "gateway-secret-value";
export const hookToken = "hook-secret-value";
export const bizToken = "biz-secret-value";
export const homeToken = "home-secret-value";

interface LogRecord {
  readonly level: string;
  readonly message: string;
  readonly fields: unknown;
}

export interface FakeKernel extends KernelForEdge {
  /** What it was told of whether a socket is open. */
  readonly audiences: readonly boolean[];
  /** What it was told of refusals at the door. */
  readonly refusals: readonly DoorRefusal[];
  readonly calls: { method: string; args: readonly unknown[] }[];
  answers: {
    rpc: (client: Parameters<KernelForEdge["rpc"]>[0], method: string, params: unknown) => Promise<RpcResult>;
    inbound: () => Promise<InboundResult>;
    platformCalled: KernelForEdge["platformCalled"];
    call: KernelForEdge["call"];
    callable: KernelForEdge["callable"];
    waitRun: (runId: string, timeoutMs: number) => Promise<RunResult>;
    connectDevice: KernelForEdge["connectDevice"];
    snapshot: KernelForEdge["snapshot"];
    ready: () => Promise<{ failing: readonly string[] }>;
  };
}

export function makeFakeKernel(): FakeKernel {
  const calls: FakeKernel["calls"] = [];
  const answers: FakeKernel["answers"] = {
    rpc: async (_client, method) => ({ ok: true, payload: { method } }),
    inbound: async () => ({
      status: "accepted",
      runId: "run-1",
      agentId: "main",
      sessionKey: "agent:main:main",
      matchedBy: "default",
    }),
    platformCalled: async () => undefined,
    call: async ({ runId, agentId = "main" }) => ({
      status: "accepted",
      runId,
      envelopeId: "e-1",
      agentId,
      sessionKey: `agent:${agentId}:hook:http:x`,
    }),
    callable: async () => [{ agentId: "main", name: "Main", isDefault: true }],
    waitRun: async (runId) => ({ status: "ok", runId, reply: "the answer" }),
    connectDevice: async ({ scopes = [] }) => ({ type: "admitted", scopes }),
    snapshot: async () => ({ health: { ok: true }, agents: [] }),
    ready: async () => ({ failing: [] }),
  };
  const record = (method: string, args: readonly unknown[]): void => void calls.push({ method, args });
  const audiences: boolean[] = [];
  const refusals: DoorRefusal[] = [];
  return {
    calls,
    audiences,
    refusals,
    answers,
    rpc: async (...args) => (record("rpc", args), answers.rpc(...args)),
    inbound: async (...args) => (record("inbound", args), answers.inbound()),
    call: async (...args) => (record("call", args), answers.call(...args)),
    callable: async (...args) => (record("callable", args), answers.callable(...args)),
    reach: async (program, agentId) => (await answers.callable(program)).find((agent) => agent.agentId === agentId),
    programTask: async () => undefined,
    programTasks: async () => [],
    stopCall: async (...args) => record("stopCall", args),
    platformCalled: async (...args) => (record("platformCalled", args), answers.platformCalled(...args)),
    hook: async (...args) => (record("hook", args), answers.inbound() as Promise<HookResult>),
    waitRun: async (...args) => (record("waitRun", args), answers.waitRun(...args)),
    connectDevice: async (...args) => (record("connectDevice", args), answers.connectDevice(...args)),
    deviceGone: async (...args) => record("deviceGone", args),
    refusedAtDoor: async (refusal) => void refusals.push(refusal),
    audience: async (isThere) => void audiences.push(isThere),
    snapshot: async () => answers.snapshot(),
    ready: async () => answers.ready(),
  };
}

export interface Running {
  readonly edge: EdgeForKernel;
  readonly kernel: FakeKernel;
  readonly port: number;
  readonly logs: LogRecord[];
  readonly assetsDir: string;
  /** The clock of the edge; tests move it. */
  readonly clock: { ms: number };
}

const endings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

export interface EdgeChanges {
  readonly settings?: Partial<EdgeSettings>;
  readonly bounds?: Partial<EdgeBounds>;
}

export async function openEdge(changes: EdgeChanges = {}): Promise<Running> {
  const assetsDir = await mkdtemp(join(tmpdir(), "edge-page-"));
  endings.push(() => rm(assetsDir, { recursive: true, force: true }));
  await writeFile(join(assetsDir, "index.html"), '<!doctype html><script src="page.js"></script>');
  await writeFile(join(assetsDir, "page.js"), "export {};");
  await writeFile(join(assetsDir, "secret.key"), "not a kind that is served");

  const kernel = makeFakeKernel();
  const logs: LogRecord[] = [];
  const clock = { ms: 1_800_000_000_000 };
  const edge = makeEdge(kernel, (level, message, fields) => void logs.push({ level, message, fields }), {
    now: () => clock.ms,
    bounds: { socketCloseGraceMs: 2_000, ...changes.bounds },
  });
  endings.push(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(assetsDir), ...changes.settings });
  return { edge, kernel, port, logs, assetsDir, clock };
}

export function settingsWith(assetsDir: string): EdgeSettings {
  return {
    host: "127.0.0.1",
    port: 0,
    version: "0.1.0",
    bootId: "boot-1",
    auth: { mode: "token", secret: gatewayToken },
    trustedProxies: [],
    operatorKey,
    metrics: {},
    allowedOrigins: ["https://panel.example.org"],
    page: { enabled: true, basePath: "/", assetsDir },
    hooks: { enabled: true, token: hookToken, path: "/hooks", mappings: [] },
    programs: { chatCompletions: true, responses: true, mcp: true, a2a: true },
    callers: [],
    webhook: { accounts: { biz: { token: bizToken }, home: { token: homeToken } }, defaultAccount: "biz" },
    platforms: [],
    snapshot: { defaultAgentId: "main", mainKey: "main", mainSessionKey: "agent:main:main", scope: "per-sender" },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape of an answer is what the tests are about
  readonly json: any;
}

/** `node:http` and not `fetch`, so that a test may send any Host header and any path. */
export function ask(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = (response.headers["content-type"] ?? "").includes("json");
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson && text !== "" ? JSON.parse(text) : undefined,
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

export const postJson = (port: number, path: string, headers: Record<string, string>, body: unknown): Promise<Answer> =>
  ask(port, "POST", path, { "content-type": "application/json", ...headers }, JSON.stringify(body));

// oxlint-disable-next-line typescript/no-explicit-any -- frames are what the tests are about
export type Frame = any;

export interface WireClient {
  readonly ws: WebSocket;
  readonly frames: Frame[];
  /** The first frame, old or new, that fits; each frame is given once. */
  next(fits: (frame: Frame) => boolean): Promise<Frame>;
  send(frame: unknown): void;
  /** Sends a request and gives its first response. */
  call(method: string, params?: unknown): Promise<Frame>;
  connect(params?: Record<string, unknown>): Promise<Frame>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

/** A text instead of a port is the path of a unix socket. */
export function openClient(
  port: number | string,
  path = "/",
  options: { origin?: string; headers?: Record<string, string>; localAddress?: string } = {},
): WireClient {
  const ws = new WebSocket(
    typeof port === "string" ? `ws+unix:${port}:${path}` : `ws://127.0.0.1:${port}${path}`,
    options,
  );
  endings.push(async () => ws.terminate());
  const frames: Frame[] = [];
  const waiting: {
    fits: (frame: Frame) => boolean;
    resolve: (frame: Frame) => void;
    reject: (error: Error) => void;
  }[] = [];
  let nextId = 1;
  ws.on("error", () => undefined);
  ws.on("message", (data: Buffer) => {
    const frame: Frame = JSON.parse(data.toString("utf8"));
    const index = waiting.findIndex(({ fits }) => fits(frame));
    if (index === -1) frames.push(frame);
    else waiting.splice(index, 1)[0]?.resolve(frame);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on("close", (code, reason) => {
      for (const { reject } of waiting.splice(0))
        reject(new Error(`the socket closed with ${code} ${reason.toString()} before the frame came`));
      resolve({ code, reason: reason.toString("utf8") });
    });
  });
  const next: WireClient["next"] = (fits) => {
    const index = frames.findIndex(fits);
    if (index !== -1) return Promise.resolve(frames.splice(index, 1)[0]);
    const found = Promise.withResolvers<Frame>();
    waiting.push({ fits, ...found });
    return found.promise;
  };
  const send = (frame: unknown): void => ws.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  const call: WireClient["call"] = (method, params) => {
    const id = `${nextId++}:test`;
    send({ type: "req", id, method, ...(params === undefined ? {} : { params }) });
    return next((frame) => frame.type === "res" && frame.id === id);
  };
  const connect: WireClient["connect"] = async (params = {}) => {
    await next((frame) => frame.event === "connect.challenge");
    const client = { id: "cli", version: "2026.9.6", platform: "linux", mode: "cli" };
    return call("connect", {
      minProtocol: 4,
      maxProtocol: 4,
      client,
      role: "operator",
      auth: { token: gatewayToken },
      ...params,
    });
  };
  return { ws, frames, next, send, call, connect, closed };
}

/** Resolves with the HTTP status of an upgrade that was refused, or 101. */
export function tryUpgrade(
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const upgrade = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const request = httpRequest({ host: "127.0.0.1", port, path, headers: { ...upgrade, ...headers }, agent: false });
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, body: "" });
    });
    request.on("response", (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on("error", reject);
    request.end();
  });
}

/** A bare TCP connection that collects what comes until the other end closes. */
export function openRaw(port: number): {
  write(bytes: string | Buffer): void;
  readonly received: () => Buffer;
  readonly ended: Promise<Buffer>;
} {
  const socket = tcpConnect(port, "127.0.0.1");
  endings.push(async () => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<Buffer>((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Buffer.concat(chunks)));
  });
  return { write: (bytes) => void socket.write(bytes), received: () => Buffer.concat(chunks), ended };
}

export const outbound = (changes: Partial<OutboundMessage> = {}): OutboundMessage => ({
  idempotencyKey: "key-1",
  channel: "webhook",
  accountId: "biz",
  peer: { kind: "direct", id: "u1" },
  agentId: "main",
  sessionKey: "agent:main:main",
  text: "hello",
  ...changes,
});
