/**
 * What a connected client costs while it is silent, and how many requests a second many of them get answered; with clients beside them
 * that send and never read. The same clients against a bare server of the same WebSocket package, in the same round: what the gateway
 * takes on top is for its handshake, scopes, schemas and the way to the kernel's thread and back.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { makeConfig } from "../http-load.ts";
import { type CallFigures, measureCalls } from "../inside/measure-calls.ts";
import { readMemory } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const secondsDefault = 5;
const roundsDefault = 3;
/** `CLOISTER_BENCH_CONNECTIONS` for machines that allow a process fewer descriptors. */
const idle = Number(process.env["CLOISTER_BENCH_CONNECTIONS"] ?? 10_000);
const active = Math.ceil(idle / 10);
const deaf = 10;
/** Fewer than may be unauthenticated at a time. */
const openingAtOnce = 48;
const settleMs = 3_000;
/** Beyond every queue that it measures. */
const answerMs = 60_000;
const kbPerConnectionMax = 64;

interface Sample extends CallFigures {
  readonly kbPerConnection: number;
}

interface Server {
  readonly pid: number;
  readonly port: number;
  /** A client is admitted by this before it may ask; undefined: at once. */
  readonly hello?: string;
  stop(): Promise<unknown>;
}

const request = (id: string): string => JSON.stringify({ type: "req", id, method: "lanes.list", params: {} });

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = secondsDefault, rounds = roundsDefault, progress } = options;
  const gateway: Sample[] = [];
  const bare: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}: ${idle} clients of the gateway`);
    gateway.push(await measure(await startGateway(), seconds * 1_000));
    progress(`round ${round + 1} of ${rounds}: ${idle} clients of a bare server`);
    bare.push(await measure(await startBare(), seconds * 1_000));
  }
  const row = (what: string, samples: readonly Sample[]) => ({
    what,
    "KB a silent client": makeSpread(samples.map(({ kbPerConnection }) => kbPerConnection)),
    "requests a second": makeSpread(samples.map(perSecond)),
    "p50 ms": makeSpread(samples.map(({ p50Ms }) => p50Ms)),
    "p99 ms": makeSpread(samples.map(({ p99Ms }) => p99Ms)),
  });
  const ratio = (figure: (sample: Sample) => number) => makeRatios(gateway.map(figure), bare.map(figure));
  const memory = makeSpread(gateway.map(({ kbPerConnection }) => kbPerConnection));
  return {
    name: "connections",
    rows: [
      row(`gateway: ${idle} silent, ${active} asking, ${deaf} that never read`, gateway),
      row("bare server of the same package", bare),
      {
        what: "ratio",
        "KB a silent client": ratio(({ kbPerConnection }) => kbPerConnection),
        "requests a second": ratio(perSecond),
        "p50 ms": ratio(({ p50Ms }) => p50Ms),
        "p99 ms": ratio(({ p99Ms }) => p99Ms),
      },
    ],
    targets: [atMost("a silent client, RSS", memory.median, kbPerConnectionMax, "KB")],
  };
}

const perSecond = ({ calls, elapsedMs }: CallFigures): number => (1_000 * calls) / elapsedMs;

async function measure(server: Server, forMs: number): Promise<Sample> {
  const sockets: WebSocket[] = [];
  try {
    // The first of them fill caches.
    sockets.push(...(await openAll(server, openingAtOnce)));
    await sleep(settleMs);
    const before = await readMemory(server.pid);
    sockets.push(...(await openAll(server, idle)));
    await sleep(settleMs);
    const after = await readMemory(server.pid);
    for (const socket of await openAll(server, deaf)) {
      sockets.push(socket);
      socket.pause();
      for (let n = 0; n < 1_000; n++) socket.send(request(`deaf-${n}`));
    }
    const asking = sockets.slice(0, active).map((socket) => makeAsker(socket));
    const figures = await measureCalls({ inFlight: active, forMs }, (client) => asking[client]?.() ?? Promise.reject());
    return { ...figures, kbPerConnection: ((after.rssMb - before.rssMb) * 1_024) / idle };
  } finally {
    for (const socket of sockets) socket.terminate();
    await server.stop();
  }
}

async function openAll(server: Server, count: number): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  const work = async (): Promise<void> => {
    while (sockets.length < count) {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`, { perMessageDeflate: false });
      sockets.push(socket);
      await opened(socket, server.hello);
    }
  };
  await Promise.all(Array.from({ length: Math.min(openingAtOnce, count) }, work));
  return sockets;
}

async function opened(socket: WebSocket, hello: string | undefined): Promise<void> {
  await once(socket, "open");
  if (hello === undefined) return;
  const answered = Promise.withResolvers<void>();
  // The challenge and the answer may come in one piece: each message is heard as it comes.
  const hear = (data: Buffer): void => {
    const { type, ok } = JSON.parse(data.toString("utf8")) as { type: string; ok?: boolean };
    if (type !== "res") return;
    socket.off("message", hear);
    if (ok === true) answered.resolve();
    else answered.reject(new Error(`A client was refused: ${data.toString("utf8").slice(0, 500)}`));
  };
  socket.on("message", hear);
  socket.once("close", () => answered.reject(new Error("A client was closed before it was admitted.")));
  socket.send(hello);
  await answered.promise;
}

/** Asks once and resolves with its answer. Rejects when the socket ends, or when none comes: a lost answer ends the run, and does not hold it up. */
function makeAsker(socket: WebSocket): () => Promise<void> {
  let number = 0;
  let awaited = "";
  let waiting: PromiseWithResolvers<void> | undefined;
  socket.on("message", (data: Buffer) => {
    // Events come between the answers.
    if (waiting !== undefined && data.toString("utf8", 0, 64).includes(awaited)) waiting.resolve();
  });
  socket.once("close", (code) => waiting?.reject(new Error(`A client that asks was closed (code ${code}).`)));
  return async () => {
    if (socket.readyState !== WebSocket.OPEN) throw new Error("A client that asks is not connected any more.");
    const id = `r${number++}`;
    awaited = `"id":"${id}"`;
    const asked = Promise.withResolvers<void>();
    waiting = asked;
    const late = setTimeout(() => asked.reject(new Error(`No answer to ${id} came in ${answerMs} ms.`)), answerMs);
    socket.send(request(id));
    await asked.promise.finally(() => clearTimeout(late));
  };
}

async function startGateway(): Promise<Server> {
  const program = await startProgram(makeConfig(1));
  const client = { id: "cli", version: "bench", platform: "linux", mode: "cli" };
  const params = { minProtocol: 4, maxProtocol: 4, client, role: "operator", scopes: ["operator.read"] };
  return {
    ...program,
    hello: JSON.stringify({ type: "req", id: "c", method: "connect", params }),
    stop: () => program.stop(),
  };
}

async function startBare(): Promise<Server> {
  const child = fork(new URL("../inside/bare-ws.ts", import.meta.url), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [port] = (await once(child, "message")) as [number];
  // As long as what the gateway answers.
  child.send(JSON.stringify({ ts: 0, lanes: "x".repeat(600) }));
  const ended = once(child, "exit");
  return {
    pid: child.pid ?? 0,
    port,
    stop: () => {
      child.kill();
      return ended;
    },
  };
}
