/**
 * All WebSockets of the gateway: the upgrade with its rules (path, Host, Origin, number), and what goes to all of them.
 *
 * An upgrade is judged before the protocol is switched, so a foreign web page gets a plain 403 and never a socket.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { type Refusal, toRefusal } from "../kernel/errors.ts";
import { refusalBody } from "./answer.ts";
import { addressKey } from "./attempts.ts";
import { type Connection, type ConnectionDeps, openConnection } from "./connection.ts";
import { arrivalOf, drainingRefusal, hostRefusal, originRefusal } from "./http.ts";
import { isForwarded, isLoopback, type OriginRules } from "./origin.ts";
import { pageBase } from "./page.ts";
import type { GatewayEvent, KernelForEdge } from "./port.ts";
import type { ProxyRule } from "./settings.ts";
import { noSuchPath } from "./route.ts";
import type { StateVersion } from "./frames.ts";
import type { Hello } from "./hello.ts";
import { makeRunEvents } from "./run-events.ts";
import { makeSendBudget } from "./send-budget.ts";
import { makeStreams, type StreamPart } from "./streams.ts";
import { clientAddress, identify, type Proxies } from "./trusted-proxy.ts";
import { httpStatus } from "./wire-error.ts";

export interface SocketDeps extends Omit<ConnectionDeps, "caller" | "closed" | "hello" | "budget"> {
  /** Whether programs of this machine may try as often as they like. */
  readonly exemptsLoopback: () => boolean;
  readonly hello: Pick<Hello, "greet" | "left" | "agentsChanged" | "close">;
  readonly rules: OriginRules;
  readonly proxies: Proxies;
  /** Present in mode `trusted-proxy`. */
  readonly proxyRule?: ProxyRule;
  readonly basePath: string;
  readonly kernel: Pick<KernelForEdge, "audience">;
  closing(): string | undefined;
}

/** Through which of the gateway's doors a client came: the network's, or the local operator's own. */
export type Entrance = "network" | "operator";

export interface Sockets {
  /** To every client that may have the event. */
  tell(event: string, payload: object, state: StateVersion): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, entrance: Entrance): void;
  publish(events: readonly GatewayEvent[]): void;
  /** False: nobody is there under this id who could be told. */
  tellOne(connId: string, event: string, payload: object): boolean;
  closeDevice(deviceId: string, reason: string, exceptConnId: string | undefined): void;
  /** Ends the connections that the shared token or password alone admitted. */
  closeShared(reason: string): void;
  /** Tells every client and closes with 1012; resolves when all sockets have ended. */
  close(reason: string): Promise<void>;
}

export function makeSockets(deps: SocketDeps): Sockets {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: deps.bounds.frameBytesMax,
  });
  /** With the key of the other end's address. */
  const connections = new Map<Connection, string>();
  const base = pageBase(deps.basePath);
  const paths = new Set(["/", base, base.slice(0, -1)]);
  let emptied: (() => void) | undefined;
  const budget = makeSendBudget(deps.bounds.socketsBufferedBytesMax, () => connections.keys());

  const tellAudience = (): void =>
    void deps.kernel
      .audience(connections.size > 0)
      .catch((error: unknown) => deps.log("warn", "clients could not be announced", { error: toRefusal(error) }));

  const tick = setInterval(() => {
    const payload = JSON.stringify({ ts: deps.now() });
    for (const connection of connections.keys()) connection.sendTick(payload);
  }, deps.bounds.tickMs);

  const tell = (event: string, payload: object, part?: StreamPart, state?: StateVersion): void => {
    if (connections.size === 0) return;
    const payloadJson = JSON.stringify(payload);
    for (const connection of connections.keys()) connection.sendEvent(event, payloadJson, part, state);
  };
  const runEvents = makeRunEvents(deps.now, tell);
  const streams = makeStreams(deps.bounds, deps.now, (payload, part) => runEvents.chat(payload, part));
  const publish = (events: readonly GatewayEvent[]): void => {
    for (const { event, payload } of events) {
      if (event === "agents") deps.hello.agentsChanged();
      if (event === "chat") streams.take(payload);
      else if (event === "run") runEvents.began(payload);
      else tell(event, payload);
    }
  };

  return {
    tell: (event, payload, state) => tell(event, payload, undefined, state),
    upgrade: (request, socket, head, entrance) => {
      // Until `ws` takes over, nobody else listens for the other end's reset.
      const onError = (): void => void socket.destroy();
      socket.on("error", onError);
      const refusal = judgeUpgrade(request, deps, paths, connections, entrance);
      if (refusal !== undefined) {
        deps.log("warn", "upgrade refused", {
          code: refusal.code,
          origin: request.headers.origin ?? "n/a",
          host: request.headers.host ?? "n/a",
        });
        return refuseUpgrade(socket, refusal);
      }
      server.handleUpgrade(request, socket, head, (ws) => {
        socket.off("error", onError);
        const closed = (connection: Connection): void => {
          connections.delete(connection);
          if (connections.size > 0) return;
          tellAudience();
          emptied?.();
        };
        const connection = openConnection(ws, request, {
          ...deps,
          budget,
          caller: callerOf(request, entrance, deps),
          closed,
        });
        connections.set(connection, addressKey(clientAddress(request, deps.proxies)));
        if (connections.size === 1) tellAudience();
      });
    },
    publish,
    tellOne: (connId, event, payload) => {
      for (const connection of connections.keys())
        if (connection.connId === connId) return connection.tell(event, JSON.stringify(payload));
      return false;
    },
    closeDevice: (deviceId, reason, exceptConnId) => {
      for (const connection of connections.keys())
        if (connection.deviceId === deviceId && connection.client?.connId !== exceptConnId)
          connection.close(4001, reason);
    },
    closeShared: (reason) => {
      for (const connection of connections.keys()) if (connection.isShared) connection.close(4001, reason);
    },
    close: async (reason) => {
      clearInterval(tick);
      deps.hello.close();
      streams.close();
      publish([{ event: "shutdown", payload: { reason } }]);
      for (const connection of connections.keys()) connection.close(1012, `service restart: ${reason}`);
      if (connections.size > 0) await new Promise<void>((resolve) => (emptied = resolve));
      server.close();
    },
  };
}

function judgeUpgrade(
  request: IncomingMessage,
  deps: SocketDeps,
  paths: ReadonlySet<string>,
  connections: ReadonlyMap<Connection, string>,
  entrance: Entrance,
): Refusal | undefined {
  const closing = deps.closing();
  if (closing !== undefined) return drainingRefusal(closing);
  const arrival = arrivalOf(request);
  if (!deps.rules.hostAllowed(arrival)) return hostRefusal(arrival.host);
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  if (!paths.has(path)) return noSuchPath(path, "no WebSocket is answered here", "Connect to /.");
  // Behind the operator's socket stands a program of this machine and nothing that speaks for others.
  if (entrance === "operator" && (arrival.origin !== undefined || isForwarded(request.headers)))
    return {
      code: "CLOISTER_EDGE_FORBIDDEN",
      message: "the operator's socket takes no browser and no proxy",
      remedy: "Point the proxy at the gateway's port.",
    };
  if (deps.rules.judgeOrigin(arrival) === "foreign") {
    return originRefusal(arrival.origin);
  }
  // However many others have taken what there is, the operator still comes in.
  if (entrance === "operator") return undefined;
  const open = connections.size;
  if (open >= deps.bounds.connectionsMax) {
    const message = `${open} clients are connected, which is the most; close one`;
    return { code: "CLOISTER_EDGE_BUSY", message, retryAfterMs: 5_000 };
  }
  const address = addressKey(clientAddress(request, deps.proxies));
  let waiting = 0;
  for (const [connection, from] of connections) if (from === address && connection.client === undefined) waiting += 1;
  if (waiting >= deps.bounds.preauthSocketsPerAddressMax) {
    return {
      code: "CLOISTER_EDGE_BUSY",
      message: `${waiting} connections of this address have not authenticated yet, which is the most; authenticate or close one`,
      retryAfterMs: deps.bounds.handshakeMs,
    };
  }
  return undefined;
}

/**
 * A browser on this machine is counted by its page, since any page may try; a program on this machine is not counted, since
 * it could as well read the key file, unless the operator wants that. Source: behaviour §4.10.
 */
function callerOf(
  request: IncomingMessage,
  entrance: Entrance,
  { proxies, proxyRule, exemptsLoopback }: Pick<SocketDeps, "proxies" | "proxyRule" | "exemptsLoopback">,
): ConnectionDeps["caller"] {
  const { headers, socket } = request;
  if (entrance === "operator")
    return { operator: true, local: true, browser: false, remoteIp: undefined, attemptsKey: undefined };
  const browser = headers.origin !== undefined;
  const remoteIp = clientAddress(request, proxies);
  const proxy = proxyRule === undefined ? undefined : identify(request, proxyRule, proxies);
  // Whom a proxy speaks for is somewhere else, also when the proxy is here and adds no header of its own.
  const local = isLoopback(socket.remoteAddress) && !isForwarded(headers) && proxy?.type !== "user";
  const facts = { operator: false, local, browser, remoteIp, ...(proxy === undefined ? {} : { proxy }) };
  if (!local) return { ...facts, attemptsKey: addressKey(remoteIp) };
  if (browser) return { ...facts, attemptsKey: `origin ${headers.origin}` };
  return { ...facts, attemptsKey: exemptsLoopback() ? undefined : addressKey(remoteIp) };
}

function refuseUpgrade(socket: Duplex, refusal: Refusal): void {
  const body = `${JSON.stringify(refusalBody(refusal))}\n`;
  const status = httpStatus(refusal.code);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "x-content-type-options: nosniff",
    "connection: close",
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
