/**
 * A client of the gateway's WebSocket protocol, for the command line.
 *
 *     connecting ── connect.challenge ──► greeting ── hello-ok ──► open ── close, error or silence ──► ended
 *                                            └── refusal ──► ended
 *
 * It never reconnects: a command either gets its answer or says why not. Every request settles: with the answer, with the
 * gateway's refusal, after its timeout, or when the connection ends. Source: protocol.md.
 */
import { WebSocket } from "ws";
import type { Scope } from "../../auth/scopes.ts";
import { type CodedError, failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { type EventQueue, makeEventQueue } from "../thread/event-queue.ts";
import type { ConnectParams } from "../edge/frames.ts";
import type { DeviceIdentity } from "./device-identity.ts";
import { makePendingRequests, type RequestOptions } from "./pending-requests.ts";
import { openLocalSocket } from "./local-socket.ts";
import { fieldsOf } from "./wire-failure.ts";

export type ClientScope = Scope;

export interface GatewayTarget {
  /** `ws://host:port/` or `wss://…`. */
  readonly url: string;
  /** The local operator's socket, which is tried first; a token is not sent there. */
  readonly socketPath?: string;
  /** Operator key, token or password. */
  readonly token?: string;
  /** Who the command line is on a gateway of another machine. */
  readonly device?: DeviceIdentity;
  /** What to do when nothing answers there. */
  readonly remedy: string;
}

export interface ClientIdentity {
  readonly version: string;
  readonly platform: string;
  /** What the command needs and no more. */
  readonly scopes: readonly ClientScope[];
  /** `probe` for one who only looks. */
  readonly mode?: "cli" | "probe";
}

/** The part of `hello-ok` that the command line uses. */
export interface Hello {
  readonly version: string;
  /** What the gateway granted, which may be less than was asked for. */
  readonly role: string;
  readonly scopes: readonly string[];
  readonly uptimeMs: number;
  readonly tickMs: number;
}

interface ClientEvent {
  readonly event: string;
  readonly payload: unknown;
}

export interface GatewayClient {
  readonly url: string;
  /** By the local operator's socket. */
  readonly local: boolean;
  readonly hello: Hello;
  readonly request: (method: string, params: object, options?: RequestOptions) => Promise<unknown>;
  /** Events from now on, for one reader. Ends when this side closes; throws when the connection is lost. */
  events(): AsyncIterable<ClientEvent>;
  close(): Promise<void>;
}

/** Rejects with `CLOISTER_GATEWAY_UNREACHABLE`, or with the gateway's refusal of this client. `signal` ends the handshake. */
export async function connectGateway(
  target: GatewayTarget,
  identity: ClientIdentity,
  { timeoutMs = limits.handshakeMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<GatewayClient> {
  const { url } = target;
  const local = target.socketPath === undefined ? undefined : await openLocalSocket(target.socketPath);
  const socket = new WebSocket(local === undefined ? url : "ws://localhost/", {
    perMessageDeflate: false,
    maxPayload: limits.frameBytesMax,
    ...(local === undefined ? {} : { createConnection: () => local }),
  });
  const requests = makePendingRequests(url, (text) => socket.send(text));
  const queues = new Set<EventQueue<ClientEvent>>();
  const challenged = Promise.withResolvers<Challenge>();
  const closed = Promise.withResolvers<void>();
  let ended: CodedError | undefined;
  let closing = false;
  let hello: Hello | undefined;
  let lastFrameMs = performance.now();

  const end = (reason: string): void => {
    if (ended !== undefined) return;
    ended = failure("CLOISTER_GATEWAY_UNREACHABLE", `Talking to the gateway at ${url}: ${reason}.`, target.remedy);
    requests.fail(ended);
    challenged.reject(ended);
    for (const queue of queues) queue.end(closing ? undefined : ended);
    socket.terminate();
  };

  socket.on("message", (data, isBinary) => {
    lastFrameMs = performance.now();
    const frame = !isBinary && Buffer.isBuffer(data) ? parseFrame(data.toString("utf8")) : {};
    if (frame["type"] === "res") {
      if (hello === undefined) hearLikeness(target.device, frame);
      requests.settle(frame);
    } else if (frame["type"] !== "event") end("it sent something that is no frame of the protocol");
    else if (frame["event"] === "connect.challenge") challenged.resolve(parseChallenge(frame["payload"]));
    else for (const queue of queues) queue.push({ event: String(frame["event"]), payload: frame["payload"] });
  });
  socket.on("error", (error) => end(describeError(error)));
  socket.on("close", (code, reason) => {
    end(`the connection was closed (${[code, String(reason)].join(" ").trim()})`);
    closed.resolve();
  });

  const giveUp = (): void => end("the command was stopped");
  signal?.addEventListener("abort", giveUp);
  const timer = setTimeout(() => end(`it did not greet within ${timeoutMs / 1_000} s`), timeoutMs);
  let admitted: Hello;
  try {
    const challenge = await challenged.promise;
    const params =
      local === undefined
        ? proveDevice(connectParams(credentialOf(target), identity), challenge, target)
        : connectParams({}, identity);
    const payload = await requests.request("connect", params, { timeoutMs });
    hello = admitted = parseHello(payload);
    const deviceToken = fieldsOf(fieldsOf(payload)["auth"])["deviceToken"];
    if (typeof deviceToken === "string") await target.device?.keepToken(url, deviceToken);
  } catch (error) {
    end("the handshake failed");
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
  const watchdog = setInterval(() => {
    const silentMs = performance.now() - lastFrameMs;
    if (silentMs > 2 * admitted.tickMs)
      end(`it was silent for ${Math.round(silentMs)} ms, longer than two of its ticks`);
  }, admitted.tickMs);
  void closed.promise.then(() => clearInterval(watchdog));

  return {
    url,
    local: local !== undefined,
    hello: admitted,
    request: requests.request,
    events: () => {
      const queue = makeEventQueue<ClientEvent>();
      queues.add(queue);
      if (ended !== undefined) queue.end(closing ? undefined : ended);
      return queue;
    },
    close: async () => {
      closing = true;
      socket.close(1000);
      const cut = setTimeout(() => socket.terminate(), limits.socketCloseGraceMs);
      await closed.promise;
      clearTimeout(cut);
    },
  };
}

interface Challenge {
  readonly nonce: string;
  readonly ts: number;
}

/** One that proves nothing is answered as it stands: the gateway says what is wrong with it. */
function parseChallenge(payload: unknown): Challenge {
  const { nonce, ts } = fieldsOf(payload);
  return { nonce: typeof nonce === "string" ? nonce : "", ts: typeof ts === "number" ? ts : 0 };
}

/** A secret that was given goes before the device's own token. */
function credentialOf({ url, token, device }: GatewayTarget): NonNullable<ConnectParams["auth"]> {
  const deviceToken = device?.tokenFor(url);
  if (token !== undefined) return { token };
  return deviceToken === undefined ? {} : { deviceToken };
}

function connectParams(
  auth: NonNullable<ConnectParams["auth"]>,
  { version, platform, scopes, mode = "cli" }: ClientIdentity,
): ConnectParams & { readonly caps: readonly string[] } {
  return {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "cli", version, platform, mode },
    role: "operator",
    scopes: [...scopes],
    caps: [],
    ...(Object.keys(auth).length === 0 ? {} : { auth }),
  };
}

const proveDevice = (params: ConnectParams, challenge: Challenge, { device }: GatewayTarget): ConnectParams =>
  device === undefined ? params : { ...params, device: device.prove(params, challenge) };

/** Told with the admission, or with the refusal that says who has to approve. */
function hearLikeness(device: DeviceIdentity | undefined, { payload, error }: Readonly<Record<string, unknown>>): void {
  const told = { ...fieldsOf(fieldsOf(error)["details"]), ...fieldsOf(fieldsOf(payload)["auth"]) };
  const { looksLike } = told;
  if (typeof looksLike === "string" && /^[0-9a-f]{64}$/.test(looksLike)) device?.noteLikeness(looksLike);
}

/** Lenient: a gateway of another version may leave fields out. */
function parseHello(payload: unknown): Hello {
  const { server, snapshot, policy, auth } = fieldsOf(payload);
  const { version } = fieldsOf(server);
  const { role, scopes } = fieldsOf(auth);
  return {
    version: typeof version === "string" ? version : "unknown",
    role: typeof role === "string" ? role : "unknown",
    scopes: Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === "string") : [],
    uptimeMs: countOf(fieldsOf(snapshot)["uptimeMs"], 0),
    tickMs: countOf(fieldsOf(policy)["tickIntervalMs"], limits.tickMs),
  };
}

const countOf = (value: unknown, otherwise: number): number =>
  typeof value === "number" && value > 0 ? value : otherwise;

function parseFrame(text: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return {};
  }
}

function describeError(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "nothing listens there";
  // A host with several addresses fails with all of their errors and no text of its own.
  return error.message === "" ? (error.code ?? "the connection failed") : error.message;
}
