/**
 * One WebSocket, from its upgrade to its close.
 *
 *     opened ── connect ok ──► admitted ── requests, events ──► closed
 *        └── refused, too large, no connect in time ──────────► closed
 *
 * Before `connect` is accepted the socket may send `preauthFrameBytesMax` bytes in all: they are counted as they arrive, so
 * that a large frame is cut off and not collected. What a client sends never throws out of here.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { EdgeBounds } from "./bounds.ts";
import {
  closeReason,
  type ConnectParams,
  connectParams,
  formatError,
  formatEvent,
  formatPayload,
  parseFrame,
  type RequestFrame,
  type StateVersion,
} from "./frames.ts";
import { type Admission, admissionOfDevice, type Caller, type Door, decideAdmission, printable } from "./handshake.ts";
import type { Attempts } from "./attempts.ts";
import type { Hello } from "./hello.ts";
import { formatIssues } from "./issues.ts";
import type { Log } from "./log.ts";
import type { Client, DeviceAnswer, DeviceAttempt, DoorRefusal } from "./port.ts";
import { holdsScope } from "../../auth/scopes.ts";
import { eventScope } from "./methods.ts";
import type { Reader, SendBudget } from "./send-budget.ts";
import type { StreamPart } from "./streams.ts";
import type { WireError } from "./wire-error.ts";

export interface ConnectionDeps {
  readonly bounds: EdgeBounds;
  /** Of now: its secret may change. */
  readonly door: () => Door;
  readonly attempts: Attempts;
  readonly log: Log;
  readonly now: () => number;
  /** Facts of the other end that the upgrade found; the nonce and the time are added here. */
  readonly caller: Pick<Caller, "local" | "operator" | "attemptsKey" | "remoteIp" | "browser" | "proxy">;
  readonly hello: Pick<Hello, "greet" | "left">;
  /** What a device may do that has proved its key. */
  device(attempt: DeviceAttempt): Promise<DeviceAnswer>;
  deviceGone(connId: string): void;
  noteRefusal(refusal: DoorRefusal): void;
  /** Answers a request of an admitted client with `respond`, once or twice. */
  request(client: Client, frame: RequestFrame, respond: (text: string) => void): Promise<void>;
  closed(connection: Connection): void;
  /** Over all connections. */
  readonly budget: SendBudget;
}

export interface Connection extends Reader {
  /** Undefined until `connect` was accepted. */
  readonly client: Client | undefined;
  /** The device that this connection is, or is about to be, admitted as. */
  readonly deviceId: string | undefined;
  /** It was admitted for the shared token or password alone. */
  readonly isShared: boolean;
  /**
   * To an admitted client with the event's scope (`operator.read` unless it says otherwise); numbered in the order of the calls. Of a stream a
   * slow client misses what does not end it, and from there on, as one that came later, what does not hold all text so far.
   */
  sendEvent(event: string, payloadJson: string, part?: StreamPart, state?: StateVersion): void;
  readonly connId: string;
  /** To this client alone, whatever its scopes; what comes before its hello follows on that. False: it is not admitted, or is leaving. */
  tell(event: string, payloadJson: string): boolean;
  /** The keep-alive, to every admitted client. */
  sendTick(payloadJson: string): void;
  close(code: number, reason: string): void;
}

const slowConsumer = "slow consumer";

type Settled = Exclude<Admission, { type: "device" }>;

export function openConnection(ws: WebSocket, request: IncomingMessage, deps: ConnectionDeps): Connection {
  const { bounds, log } = deps;
  const connId = randomUUID();
  const nonce = randomUUID();
  let client: Client | undefined;
  let eventSeq = 0;
  let answering = 0;
  let deviceId: string | undefined;
  let isShared = false;
  let clientId: string | undefined;
  let admitting = false;
  /** Requests of a client that is admitted and has no hello yet: they are answered after it. */
  let greeting: RequestFrame[] | undefined;
  /** What it is told before its hello, likewise. The kernel's side may know that it is admitted before this does. */
  const untold: [event: string, payloadJson: string][] = [];
  /** Runs of which it has all text so far: no more than there are that stream. */
  const followed = new Set<string>();
  let closing: { code: number; reason: string } | undefined;
  let isGathering = false;

  /** What one event of the loop sends goes to the system in one call: each wakes the reader, and costs more than most frames. */
  const gather = (): void => {
    if (isGathering) return;
    isGathering = true;
    request.socket.cork();
    process.nextTick(leave);
  };

  const leave = (): void => {
    if (!isGathering) return;
    isGathering = false;
    request.socket.uncork();
  };

  const send = (text: string): void => {
    if (closing !== undefined || ws.readyState !== ws.OPEN) return;
    if (ws.bufferedAmount > bounds.socketBufferedBytesMax) return close(1008, slowConsumer);
    const before = ws.bufferedAmount;
    gather();
    ws.send(text);
    if (ws.bufferedAmount > bounds.gatheredBytesMax) leave();
    deps.budget.grew(ws.bufferedAmount - before);
  };

  /** Whether it gets this part of a stream. */
  const follow = ({ runId, is }: StreamPart): boolean => {
    const isLeftOut = is !== "end" && ws.bufferedAmount > bounds.deltaBufferedBytesMax;
    if (is === "end" || isLeftOut) followed.delete(runId);
    else if (is === "whole") followed.add(runId);
    return is === "end" || followed.has(runId);
  };

  const close = (code: number, reason: string): void => {
    if (closing !== undefined) return;
    closing = { code, reason: closeReason(reason) };
    clearTimeout(handshakeTimer);
    ws.close(code, closing.reason);
    if (client === undefined) discardInput(request.socket);
    const cut = setTimeout(() => ws.terminate(), bounds.socketCloseGraceMs);
    ws.once("close", () => clearTimeout(cut));
  };

  const handshakeTimer = setTimeout(
    () => close(1008, "handshake timeout: no connect request came"),
    bounds.handshakeMs,
  );

  const refuse = (frameId: string, error: WireError, code: number, reason: string): void => {
    const named = error.details?.["code"];
    const detailCode = typeof named === "string" ? named : error.code;
    log("warn", "gateway connect refused", { connId, code: detailCode, reason });
    if (error.code === "UNAUTHORIZED" || error.code === "NOT_PAIRED")
      deps.noteRefusal({
        type: error.code === "UNAUTHORIZED" ? "auth_failed" : "access_denied",
        subject: `client:${shown(clientId)}`,
        object: "gateway",
        code: detailCode,
        // As in the line of the close.
        detail: `conn=${connId} ip=${deps.caller.remoteIp ?? "unknown-ip"} reason=${shown(closeReason(reason))}`,
      });
    send(formatError(frameId, error));
    close(code, reason);
  };

  const admit = (frame: RequestFrame): void => {
    if (admitting) return close(1008, "invalid-handshake: wait for the answer to connect");
    if (frame.method !== "connect") {
      const message = `invalid-handshake: the first request is ${JSON.stringify(frame.method)}; wanted connect`;
      return refuse(frame.id, { code: "INVALID_REQUEST", message }, 1008, "invalid-handshake");
    }
    const parsed = connectParams.safeParse(frame.params);
    if (!parsed.success) {
      const message = `invalid-handshake: the parameters of connect are not valid: ${formatIssues(parsed.error)}`;
      return refuse(frame.id, { code: "INVALID_REQUEST", message }, 1008, "invalid-handshake");
    }
    clientId = parsed.data.client.id;
    const caller: Caller = { ...deps.caller, connId, nonce, nowMs: deps.now(), deviceSkewMs: bounds.deviceSkewMs };
    const admission = decideAdmission(parsed.data, caller, deps.door(), deps.attempts);
    if (admission.type !== "device") return settle(parsed.data, frame.id, admission);
    admitting = true;
    ({ deviceId } = admission.attempt);
    deps
      .device(admission.attempt)
      .then(
        (answer) => admissionOfDevice(answer, admission, caller, deps.attempts),
        (error: unknown) => notJudged(log, connId, error),
      )
      .then((decided) => settle(parsed.data, frame.id, decided))
      .catch((error: unknown) => close(1011, String(error)));
  };

  const settle = (params: ConnectParams, frameId: string, decided: Settled): void => {
    admitting = false;
    // It left, or its device was taken out, while it was judged.
    if (closing !== undefined || ws.readyState !== ws.OPEN) return deps.deviceGone(connId);
    if (decided.type === "refused") return refuse(frameId, decided.error, decided.close.code, decided.close.reason);
    clearTimeout(handshakeTimer);
    request.socket.off("data", countBytes);
    // What it says of itself is from here on in logs, audit rows and other clients' lists.
    const id = printable(params.client.id);
    const mode = printable(params.client.mode);
    const { scopes, by, role, told = {} } = decided;
    isShared = by === "shared-secret";
    const admitted: Client = {
      connId,
      clientId: id,
      mode,
      scopes,
      ...(decided.role === "node" ? { role: decided.role } : {}),
      ...(decided.deviceId === undefined ? {} : { deviceId: decided.deviceId }),
      ...(decided.upgradeRequestId === undefined ? {} : { upgradeRequestId: decided.upgradeRequestId }),
    };
    log("info", "client connected", {
      connId,
      clientId: id,
      mode,
      by,
      scopes: scopes.join(","),
      ...(decided.user === undefined ? {} : { user: shown(decided.user) }),
      ...(decided.deviceId === undefined ? {} : { deviceId: decided.deviceId }),
    });
    greeting = [];
    deps.hello
      .greet(admitted, params.client, { role, ...told, scopes }, deps.caller.remoteIp)
      .then((hello) => {
        const early = greeting ?? [];
        greeting = undefined;
        // It left, or its device was taken out, meanwhile.
        if (closing !== undefined || ws.readyState !== ws.OPEN) return deps.deviceGone(connId);
        client = admitted;
        send(formatPayload(frameId, hello));
        for (const [event, payloadJson] of untold.splice(0)) connection.tell(event, payloadJson);
        for (const frame of early) serve(admitted, frame);
      })
      .catch((error: unknown) => close(1011, String(error)));
  };

  const serve = (admitted: Client, frame: RequestFrame): void => {
    if (answering >= bounds.requestsPerSocketMax) {
      const message = `${answering} requests of this connection are being answered, which is the most; wait for one of them`;
      return send(formatError(frame.id, { code: "UNAVAILABLE", message, retryable: true, retryAfterMs: 100 }));
    }
    answering += 1;
    deps
      .request(admitted, frame, send)
      .catch((error: unknown) =>
        log("error", "a request could not be answered", { connId, method: frame.method, error: String(error) }),
      )
      .finally(() => (answering -= 1));
  };

  const receive = (data: RawData, isBinary: boolean): void => {
    if (closing !== undefined) return;
    // `ws` gives one Buffer, since its binary type is left at "nodebuffer".
    const isText = !isBinary && Buffer.isBuffer(data);
    const parsed = isText ? parseFrame(data.toString("utf8")) : { type: "not-a-frame" as const };
    if (parsed.type === "not-a-frame") {
      return close(1008, `${client === undefined ? "invalid-handshake" : "invalid frame"}: not a request in JSON text`);
    }
    if (parsed.type === "malformed") {
      send(
        formatError(parsed.id, {
          code: "INVALID_REQUEST",
          message: `the frame is not valid: ${formatIssues(parsed.issues)}`,
        }),
      );
      return client === undefined ? close(1008, "invalid-handshake") : undefined;
    }
    if (greeting !== undefined) {
      if (greeting.push(parsed.frame) > bounds.requestsPerSocketMax) close(1008, "too many requests before hello-ok");
    } else if (client === undefined) admit(parsed.frame);
    else serve(client, parsed.frame);
  };

  let preauthBytes = 0;
  const countBytes = (chunk: Buffer): void => {
    preauthBytes += chunk.length;
    if (preauthBytes > bounds.preauthFrameBytesMax) close(1009, "preauth payload too large");
  };

  // Counted before the frames in the same chunk are parsed, so that a frame over the limit is never answered.
  request.socket.prependListener("data", countBytes);
  ws.on("message", receive);
  ws.on("error", (error) => log("debug", "socket error", { connId, error: error.message }));
  ws.on("close", (code, reason) => {
    clearTimeout(handshakeTimer);
    deps.hello.left(connId);
    const ended = closing ?? { code, reason: reason.toString("utf8") };
    if (client === undefined) log("warn", closedBeforeConnect(connId, clientId, request, ended));
    else {
      if (client.deviceId !== undefined) deps.deviceGone(connId);
      log("info", "client disconnected", { connId, clientId: client.clientId, ...ended });
    }
    deps.closed(connection);
  });

  const connection: Connection = {
    get client() {
      return client;
    },
    get deviceId() {
      return deviceId;
    },
    get isShared() {
      return isShared;
    },
    sendEvent: (event, payloadJson, part, state) => {
      if (client === undefined || !holdsScope(client.scopes, eventScope(event))) return;
      if (part !== undefined && !follow(part)) return;
      send(formatEvent(event, payloadJson, (eventSeq += 1), state));
    },
    connId,
    tell: (event, payloadJson) => {
      if (closing !== undefined || ws.readyState !== ws.OPEN) return false;
      if (client !== undefined) send(formatEvent(event, payloadJson, (eventSeq += 1)));
      else if (admitting || greeting !== undefined) untold.push([event, payloadJson]);
      else return false;
      // Too slow to take it is as good as gone.
      return closing === undefined;
    },
    sendTick: (payloadJson) => {
      if (client !== undefined) send(formatEvent("tick", payloadJson));
    },
    close,
    get buffered() {
      return ws.bufferedAmount;
    },
    cutOff: () => {
      // A close frame would come behind all that it does not read.
      closing ??= { code: 1008, reason: slowConsumer };
      ws.terminate();
    },
  };
  send(formatEvent("connect.challenge", JSON.stringify({ nonce, ts: deps.now() })));
  return connection;
}

/** Only the operator's key does not depend on it. */
function notJudged(log: Log, connId: string, error: unknown): Settled {
  log("error", "a device could not be judged", { connId, error: String(error) });
  const message = "the gateway could not look up the device; try again, or connect with the operator's key";
  return {
    type: "refused",
    error: { code: "UNAVAILABLE", message, retryable: true, retryAfterMs: 1_000 },
    close: { code: 1013, reason: "try again later" },
  };
}

/**
 * Reads on, so that the other end can finish writing and see the close frame, but looks at nothing any more: who was not
 * admitted must not make us collect a frame of the size that admitted clients may send.
 */
function discardInput(socket: Duplex): void {
  socket.removeAllListeners("data");
  socket.resume();
  socket.end();
}

/** One physical line; operators search their logs for this form. Source: behaviour §4.7. */
function closedBeforeConnect(
  connId: string,
  clientId: string | undefined,
  { headers, socket }: IncomingMessage,
  { code, reason }: { code: number; reason: string },
): string {
  const peer = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? "?"}->${socket.localAddress ?? "?"}:${socket.localPort ?? "?"}`;
  const facts = [
    `conn=${connId}`,
    `peer=${peer}`,
    `remote=${socket.remoteAddress ?? "?"}`,
    `fwd=${shown(headers["x-forwarded-for"])}`,
    `origin=${shown(headers.origin)}`,
    `host=${shown(headers.host)}`,
    `ua=${shown(headers["user-agent"])}`,
    ...(clientId === undefined ? [] : [`client=${shown(clientId)}`]),
    `code=${code}`,
    `reason=${shown(reason)}`,
  ];
  return `[ws] closed before connect ${facts.join(" ")}`;
}

/** What a client sent, safe to stand in a line of the log. */
function shown(value: unknown): string {
  return typeof value === "string" && value !== "" ? printable(value).slice(0, 200) : "n/a";
}
