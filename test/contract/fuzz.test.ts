/**
 * Inputs that nobody meant, on real sockets: mutations of frames that a client was recorded with, and of HTTP requests to every
 * route. Whatever comes in: nothing of it is let in that has no credential, nothing fails inside, memory does not grow with the
 * number of inputs, and the next client is served. Seeded; `CLOISTER_FUZZ_INPUTS=100000` makes the long run, `CLOISTER_FUZZ_SEED` another one.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, test } from "vitest";
import { holdsScope } from "../../auth/scopes.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import { findMethod } from "../../runtime/edge/methods.ts";
import recorded from "../fixtures/client-frames.json" with { type: "json" };
import { frameOf, mutateBytes, mutateValue } from "../support/mutate.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { ask, bizToken, type FakeKernel, gatewayToken, hookToken, makeFakeKernel, settingsWith } from "./edge-kit.ts";

const inputs = Number(process.env["CLOISTER_FUZZ_INPUTS"] ?? 3_000);
const seed = Number(process.env["CLOISTER_FUZZ_SEED"] ?? 20_261_121);
const atOnce = 32;
const timeoutMs = Math.max(60_000, inputs * 20);

interface Target {
  readonly port: number;
  readonly kernel: FakeKernel;
  /** What was logged as a fault. */
  readonly faults: string[];
}

const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

async function open(): Promise<Target> {
  const kernel = makeFakeKernel();
  const faults: string[] = [];
  const edge = makeEdge(
    kernel,
    (level, message, fields) => void (level === "error" && faults.push(`${message} ${JSON.stringify(fields)}`)),
    {
      bounds: {
        webhookAuthFailuresPerMinute: 1e9,
        authFailuresPerMinute: 1e9,
        socketCloseGraceMs: 500,
        httpBodyMs: 2_000,
        httpHeadMs: 2_000,
      },
    },
  );
  closings.push(() => edge.close("end of the test"));
  const settings = settingsWith("/nowhere");
  const mappings = [
    { path: "mapped", action: "agent" as const, template: "{{a.b[0].c}} {{__proto__.x}}" },
    { path: "plain", action: "wake" as const },
  ];
  const { port } = await edge.listen({ ...settings, hooks: { ...settings.hooks, mappings } });
  return { port, kernel, faults };
}

/**
 * Sends the bytes and nothing more, those of `then` when `sign` has come; gives everything that came back until the other end
 * closed.
 */
async function send(
  port: number,
  bytes: Buffer,
  then?: { readonly sign: string; readonly bytes: Buffer },
): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  const received = (): string => Buffer.concat(chunks).toString("latin1");
  let rest = then;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    if (rest === undefined || !received().includes(rest.sign)) return;
    socket.end(rest.bytes);
    rest = undefined;
  });
  // A reset is an answer too.
  socket.on("error", () => undefined);
  if (then === undefined) socket.end(bytes);
  else socket.write(bytes);
  await once(socket, "close");
  return received();
}

/** `count` inputs, some at a time; the order in which they are made is that of the seed. */
async function forEachInput(count: number, run: (random: Random, index: number) => Promise<void>): Promise<void> {
  const random = makeRandom(seed);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await run(makeRandom(random.below(2 ** 31)), next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}

/** Runs the inputs and holds what every part of this suite holds. */
async function attack(
  target: Target,
  count: number,
  run: (random: Random, index: number) => Promise<void>,
): Promise<void> {
  // The first of them fill caches that are bounded.
  await forEachInput(Math.min(500, count), run);
  const before = heapBytes();
  await forEachInput(count, run);
  expect(target.faults).toEqual([]);
  expect((heapBytes() - before) / 1e6).toBeLessThan(16);
  expect((await ask(target.port, "GET", "/healthz")).json).toEqual({ ok: true, status: "live" });
}

const deep = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

const upgrade = Buffer.from(
  "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: l84uUH+aAR1fGBmdKviLDw==\r\n\r\n",
);

test("no mutation of a recorded frame gets in without a credential, as text or as bytes of a frame", {
  timeout: timeoutMs,
}, async () => {
  const target = await open();
  await attack(target, Math.floor(inputs / 3), async (random) => {
    const frames = Array.from({ length: 1 + random.below(3) }, () => {
      const text = JSON.stringify(mutateValue(random.pick(recorded), recorded, random)) ?? "";
      if (random.chance(0.3)) return mutateBytes(frameOf(text, random), random);
      return frameOf(
        random.chance(0.2) ? mutateBytes(Buffer.from(text), random) : text,
        random,
        random.chance(0.1) ? random.below(16) : 1,
      );
    });
    const head = random.chance(0.1) ? mutateBytes(upgrade, random) : upgrade;
    const answer = await send(target.port, Buffer.concat([head, ...frames]));
    expect(answer).not.toContain('"ok":true');
    expect(answer).not.toContain("hello-ok");
  });
  expect(target.kernel.calls).toEqual([]);
});

test("a client that may read gets nothing else, whatever it sends", { timeout: timeoutMs }, async () => {
  const target = await open();
  const scopes = ["operator.read"];
  const connected = recorded.find(({ method }) => method === "connect");
  if (connected === undefined) throw new Error("the fixture has no connect");
  const { device: _unsigned, ...params } = connected.params as Record<string, unknown>;
  const hello = JSON.stringify({ ...connected, params: { ...params, scopes, auth: { token: gatewayToken } } });
  const requests = recorded.filter(({ method }) => method !== "connect");
  let reached = 0;
  await attack(target, Math.floor(inputs / 3), async (random) => {
    const frames = Array.from({ length: 1 + random.below(8) }, () => {
      if (random.chance(0.01))
        return frameOf(`{"type":"req","id":"1","method":"health","params":{"a":${deep(10_000)}}}`, random);
      return frameOf(JSON.stringify(mutateValue(random.pick(requests), recorded, random)) ?? "", random);
    });
    const greeting = Buffer.concat([upgrade, frameOf(hello, random)]);
    const answer = await send(target.port, greeting, { sign: "hello-ok", bytes: Buffer.concat(frames) });
    expect(answer).toContain("hello-ok");
    for (const { method, args } of target.kernel.calls.splice(0)) {
      if (method !== "rpc") continue;
      const [client, name, given] = args as [{ scopes: readonly string[] }, string, unknown];
      const row = findMethod(name);
      expect(client.scopes).toEqual(scopes);
      expect(row !== undefined && holdsScope(scopes, row.scope), name).toBe(true);
      expect(row?.params.safeParse(given).success, name).toBe(true);
      reached++;
    }
  });
  expect(reached, "requests that came through to the kernel's side").toBeGreaterThan(0);
});

const json = "content-type: application/json\r\n";
const post = (path: string, token: string, body: unknown): { head: string; body: unknown } => ({
  head: `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n${json}`,
  body,
});

const chat = {
  model: "agent/main",
  stream: true,
  user: "ana",
  messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
};
const answer = {
  model: "agent/main",
  input: [{ role: "user", content: "hello" }],
  instructions: "x",
  previous_response_id: "resp_0_0",
};
const bodies: readonly { readonly path: string; readonly token: string; readonly body: unknown }[] = [
  {
    path: "/hooks/agent",
    token: hookToken,
    body: { message: "hello", agentId: "main", waitForCompletion: true, timeoutSeconds: 2 },
  },
  { path: "/hooks/wake", token: hookToken, body: { text: "hello", mode: "now", agentId: "main" } },
  { path: "/hooks/mapped", token: hookToken, body: { a: { b: [{ c: "x" }] }, source: "x" } },
  { path: "/hooks/plain", token: hookToken, body: { a: [1, { b: null }] } },
  {
    path: "/channels/webhook/biz",
    token: bizToken,
    body: { text: "hello", peer: { kind: "direct", id: "u1" }, sender: { id: "u1" }, wait: true },
  },
  { path: "/v1/chat/completions", token: gatewayToken, body: chat },
  { path: "/v1/responses", token: gatewayToken, body: answer },
];

function requestOf({ head, body }: { head: string; body: unknown }, random: Random): Buffer {
  const text = JSON.stringify(mutateValue(body, bodies, random)) ?? "";
  const bytes = random.chance(0.2) ? mutateBytes(Buffer.from(text), random) : Buffer.from(text);
  return Buffer.concat([Buffer.from(`${head}content-length: ${bytes.length}\r\nconnection: close\r\n\r\n`), bytes]);
}

test("no mutation of a request reaches an agent without a credential, as fields or as bytes", {
  timeout: timeoutMs,
}, async () => {
  const target = await open();
  const plain = [
    "GET / HTTP/1.1",
    "GET /v1/models HTTP/1.1",
    "HEAD /readyz HTTP/1.1",
    "GET /v1/models/agent%2Fmain HTTP/1.1",
  ];
  await attack(target, Math.floor(inputs / 3), async (random) => {
    const whole = random.chance(0.3)
      ? Buffer.from(`${random.pick(plain)}\r\nHost: 127.0.0.1\r\nauthorization: Bearer not-the-token\r\n\r\n`)
      : requestOf(post(random.pick(bodies).path, "not-the-token", random.pick(bodies).body), random);
    const bytes = random.chance(0.8) ? mutateBytes(whole, random) : whole;
    expect(await send(target.port, bytes)).not.toMatch(/^HTTP\/1\.1 500/m);
  });
  expect(target.kernel.calls.filter(({ method }) => method !== "ready")).toEqual([]);
});

test("no body that a program sends with its credential fails inside", { timeout: timeoutMs }, async () => {
  const target = await open();
  let reached = 0;
  await attack(target, Math.floor(inputs / 3), async (random, index) => {
    const { path, token, body } = random.pick(bodies);
    const request = post(path, token, body);
    const bytes =
      index % 97 === 0
        ? Buffer.from(`${request.head}content-length: 400000\r\nconnection: close\r\n\r\n${deep(200_000)}`)
        : requestOf(request, random);
    expect(await send(target.port, bytes)).not.toMatch(/^HTTP\/1\.1 500/m);
    reached += target.kernel.calls.splice(0).length;
  });
  expect(reached, "bodies that came through to the kernel's side").toBeGreaterThan(0);
});
