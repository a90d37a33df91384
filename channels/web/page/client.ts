/**
 * The connection to the gateway: handshake, requests, events, and coming back after a loss.
 *
 *   stopped ─start─► connecting ─hello-ok─► ready
 *                        │  ▲                 │ socket lost, silence of two ticks
 *              refused ◄─┤  └──── waiting ◄───┘   (1 s, 2 s, … 30 s, each shortened by up to a half at random)
 *         (credentials)  └─ socket lost ─►┘
 *
 * `refused` waits for a person: the gateway said no, and asking again would get the same answer. Every request settles,
 * at the latest when the socket goes. No UI and no browser object in here: socket, clock and randomness come from outside.
 */
import { clientId, fieldsOf, type Incoming, parseFrame, type WireError } from "./wire.ts";

/** The part of a WebSocket that the client uses. */
export interface PageSocket {
  send(data: string): void;
  close(code: number, reason: string): void;
}

export interface SocketHandlers {
  readonly message: (data: string) => void;
  readonly closed: (code: number, reason: string) => void;
}

export interface Timers {
  /** Runs `job` once after `ms`; the result cancels it. */
  after(ms: number, job: () => void): () => void;
  nowMs(): number;
}

export type ConnectionStatus =
  | { readonly type: "stopped" }
  | { readonly type: "connecting"; readonly attempt: number }
  /** `isAdmin` and `mayWrite`: what it asks for as `operator.admin` and as `operator.write` is carried out. */
  | {
      readonly type: "ready";
      readonly serverVersion: string;
      readonly isAdmin: boolean;
      readonly mayWrite: boolean;
    }
  | { readonly type: "waiting"; readonly attempt: number; readonly retryAtMs: number; readonly reason: string }
  | { readonly type: "refused"; readonly error: WireError };

export type Reply =
  | { readonly ok: true; readonly payload: unknown }
  | { readonly ok: false; readonly error: WireError };

/** Signs the text that is made for the device's id; undefined: there is no device here. */
export type ProveDevice = (
  textFor: (deviceId: string) => string,
) => Promise<{ readonly id: string; readonly publicKey: string; readonly signature: string } | undefined>;

export interface ClientSettings {
  /** Opens a socket to the page's own gateway. The address is the caller's; the client never sees it. */
  readonly openSocket: (handlers: SocketHandlers) => PageSocket;
  /** The operator's key or the gateway's token, read again at each attempt. */
  readonly key: () => string | undefined;
  /** The device's own token, for when there is no key. */
  readonly deviceToken?: () => string | undefined;
  /** The gateway has issued it: from now on it is enough. */
  readonly keepDeviceToken?: (token: string) => void;
  /** Absent: the page is no device. It is none either without a credential, which `auth.mode: "none"` and some proxies admit. */
  readonly proveDevice?: ProveDevice;
  readonly version: string;
  readonly timers: Timers;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly newId: () => string;
  readonly onStatus: (status: ConnectionStatus) => void;
  readonly onEvent: (event: string, payload: unknown) => void;
  /** Events were missed on this connection; what they said must be read again. */
  readonly onGap: () => void;
}

export interface Client {
  /** Connects, unless it already does; also after a refusal, when there is a new key. */
  readonly start: () => void;
  readonly stop: () => void;
  /** Ends a wait between two attempts: the network came back, or somebody looks at the page. */
  readonly wake: () => void;
  /** Never rejects. Not connected gives the code `DISCONNECTED`, no answer in time `TIMEOUT`. */
  readonly request: (method: string, params: object) => Promise<Reply>;
  /** The gateway's clock minus this one's, from the last handshake. */
  readonly clockOffsetMs: () => number;
}

const backoffFirstMs = 1_000;
const backoffMaxMs = 30_000;
/** As long as the gateway itself grants a handshake (`limits.handshakeMs`). */
const handshakeMs = 10_000;
const requestMs = 30_000;
const tickMsDefault = 15_000;

interface Link {
  socket: PageSocket | undefined;
  readonly connectId: string;
  readonly pending: Map<string, { readonly settle: (reply: Reply) => void; readonly cancel: () => void }>;
  ready: boolean;
  seq: number | undefined;
  tickMs: number;
  cancelWatch: () => void;
}

export function makeClient(settings: ClientSettings): Client {
  const { timers } = settings;
  let link: Link | undefined;
  let attempt = 0;
  let offsetMs = 0;
  let cancelRetry = noJob;
  let status: ConnectionStatus = { type: "stopped" };

  const show = (next: ConnectionStatus): void => {
    status = next;
    settings.onStatus(next);
  };

  const connect = (): void => {
    cancelRetry();
    show({ type: "connecting", attempt });
    const mine: Link = {
      socket: undefined,
      connectId: settings.newId(),
      pending: new Map(),
      ready: false,
      seq: undefined,
      tickMs: tickMsDefault,
      cancelWatch: timers.after(handshakeMs, () => lose(mine, "the gateway did not answer the handshake", 4000)),
    };
    link = mine;
    mine.socket = settings.openSocket({
      message: (data) => {
        if (link === mine) receive(mine, data);
      },
      closed: (code, reason) => {
        if (link === mine) closed(mine, code, reason);
      },
    });
  };

  const receive = (mine: Link, data: string): void => {
    const frame = parseFrame(data);
    if (frame === undefined) return;
    if (mine.ready) watchTicks(mine);
    if (frame.type === "event") return receiveEvent(mine, frame);
    if (frame.id === mine.connectId) return frame.ok ? accepted(mine, frame.payload) : refused(mine, frame.error);
    const waiting = mine.pending.get(frame.id);
    if (waiting === undefined) return;
    mine.pending.delete(frame.id);
    waiting.cancel();
    waiting.settle(frame.ok ? { ok: true, payload: frame.payload } : { ok: false, error: frame.error });
  };

  const receiveEvent = (mine: Link, frame: Extract<Incoming, { type: "event" }>): void => {
    if (frame.event === "connect.challenge") return answerChallenge(mine, frame.payload);
    if (!mine.ready) return;
    const missed = frame.seq !== undefined && mine.seq !== undefined && frame.seq > mine.seq + 1;
    if (frame.seq !== undefined) mine.seq = frame.seq;
    if (frame.event !== "tick") settings.onEvent(frame.event, frame.payload);
    if (missed) settings.onGap();
  };

  const answerChallenge = (mine: Link, payload: unknown): void => {
    const { ts: signedAt, nonce } = fieldsOf(payload);
    if (typeof signedAt === "number") offsetMs = signedAt - timers.nowMs();
    const key = settings.key();
    const deviceToken = key === undefined ? settings.deviceToken?.() : undefined;
    const token = key ?? deviceToken;
    const params = {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: clientId, version: settings.version, platform: "web", mode: "webchat" },
      role: "operator",
      // `operator.admin` for dead letters, rights, runs and timers; who was not granted it gets the others alone.
      scopes: ["operator.read", "operator.write", "operator.admin"],
      caps: [],
      ...(key === undefined ? {} : { auth: { token: key } }),
      ...(deviceToken === undefined ? {} : { auth: { deviceToken } }),
    };
    const connectWith = (more: object): void => {
      if (link !== mine) return;
      mine.socket?.send(
        JSON.stringify({ type: "req", id: mine.connectId, method: "connect", params: { ...params, ...more } }),
      );
    };
    if (token === undefined || settings.proveDevice === undefined || typeof nonce !== "string") return connectWith({});
    const { client, role, scopes } = params;
    const textFor = (id: string): string =>
      ["v3", id, client.id, client.mode, role, scopes.join(","), signedAt, token, nonce, client.platform, ""].join("|");
    settings.proveDevice(textFor).then(
      (device) => connectWith(device === undefined ? {} : { device: { ...device, signedAt, nonce } }),
      () => connectWith({}),
    );
  };

  const accepted = (mine: Link, payload: unknown): void => {
    const tickMs = fieldsOf(fieldsOf(payload)["policy"])["tickIntervalMs"];
    if (typeof tickMs === "number" && tickMs > 0) mine.tickMs = tickMs;
    mine.ready = true;
    attempt = 0;
    watchTicks(mine);
    const { version } = fieldsOf(fieldsOf(payload)["server"]);
    const { scopes, deviceToken } = fieldsOf(fieldsOf(payload)["auth"]);
    if (typeof deviceToken === "string") settings.keepDeviceToken?.(deviceToken);
    const held: ReadonlySet<unknown> = new Set(Array.isArray(scopes) ? scopes : []);
    const isAdmin = held.has("operator.admin");
    const mayWrite = isAdmin || held.has("operator.write");
    show({ type: "ready", serverVersion: typeof version === "string" ? version : "", isAdmin, mayWrite });
  };

  const refused = (mine: Link, error: WireError): void => {
    // A credential does not become right by waiting, even where the gateway counts it as a passing fault.
    const isCredential = error.detailCode?.startsWith("AUTH_") === true;
    if (error.retryable === true && !isCredential) {
      lose(mine, error.message, 1000, error.retryAfterMs);
      return;
    }
    drop(mine, error.message);
    mine.socket?.close(1000, "refused");
    show({ type: "refused", error });
  };

  /** A gateway that sends nothing for two ticks is gone, whatever the socket says. */
  const watchTicks = (mine: Link): void => {
    mine.cancelWatch();
    mine.cancelWatch = timers.after(2 * mine.tickMs, () => lose(mine, "the gateway fell silent", 4000));
  };

  const closed = (mine: Link, code: number, reason: string): void => {
    if (!mine.ready && code === 1008) {
      drop(mine, reason);
      show({ type: "refused", error: { code: "REFUSED", message: reason || "The gateway refused the connection." } });
      return;
    }
    lose(mine, reason || (mine.ready ? "the connection was lost" : "the gateway cannot be reached"));
  };

  const lose = (mine: Link, reason: string, closeCode?: number, afterMs?: number): void => {
    drop(mine, reason);
    if (closeCode !== undefined) mine.socket?.close(closeCode, "");
    const ceilingMs = Math.min(backoffMaxMs, backoffFirstMs * 2 ** attempt);
    const waitMs = Math.round(afterMs ?? ceilingMs * (1 - settings.random() / 2));
    attempt += 1;
    show({ type: "waiting", attempt, retryAtMs: timers.nowMs() + waitMs, reason });
    cancelRetry = timers.after(waitMs, connect);
  };

  /** Forgets the link and settles what waits on it; its late events are ignored from here on. */
  const drop = (mine: Link, reason: string): void => {
    link = undefined;
    mine.cancelWatch();
    const pending = [...mine.pending.values()];
    mine.pending.clear();
    for (const { settle, cancel } of pending) {
      cancel();
      settle({ ok: false, error: disconnected(reason) });
    }
  };

  const startAnew = (): void => {
    attempt = 0;
    connect();
  };

  return {
    start: () => {
      if (link === undefined) startAnew();
    },
    stop: () => {
      cancelRetry();
      const last = link;
      if (last !== undefined) {
        drop(last, "the page closed the connection");
        last.socket?.close(1000, "");
      }
      show({ type: "stopped" });
    },
    wake: () => {
      if (status.type === "waiting") startAnew();
    },
    request: (method, params) =>
      new Promise((settle) => {
        const mine = link;
        if (mine === undefined || !mine.ready) {
          settle({ ok: false, error: disconnected("there is no connection to the gateway") });
          return;
        }
        const id = settings.newId();
        const cancel = timers.after(requestMs, () => {
          mine.pending.delete(id);
          const message = `The gateway did not answer ${method} within ${requestMs / 1_000} s.`;
          settle({ ok: false, error: { code: "TIMEOUT", message, retryable: true } });
        });
        mine.pending.set(id, { settle, cancel });
        mine.socket?.send(JSON.stringify({ type: "req", id, method, params }));
      }),
    clockOffsetMs: () => offsetMs,
  };
}

export const noJob = (): void => undefined;

const disconnected = (reason: string): WireError => ({
  code: "DISCONNECTED",
  message: `Not confirmed: ${reason}.`,
  retryable: true,
});
