/**
 * Discord's gateway for tests, over a WebSocket as the real one, and strict: a frame, a field or an order that the real one does not take is a
 * violation, which fails the test. It keeps the events of a session as the real one does, and sends those again that come behind the number from
 * which the session is resumed. Source: Discord's documentation of the gateway.
 */
import type { Server } from "node:http";
import { type RawData, WebSocket, WebSocketServer } from "ws";

export interface GatewayBot {
  readonly token: string;
  readonly id: string;
  readonly username: string;
  /** Of its application. */
  readonly flags: number;
}

interface Session {
  readonly id: string;
  readonly bot: GatewayBot;
  readonly intents: number;
  readonly events: { readonly s: number; readonly t: string; readonly d: object }[];
  sequence: number;
  /** The last event that the client says it has. */
  confirmed: number;
  socket: WebSocket | undefined;
}

export interface DiscordGateway {
  /** Frames of clients, in order. */
  readonly frames: { readonly op: number; readonly d: unknown }[];
  /** Something happened to the bot. Sent now, or when the session is resumed. */
  dispatch(token: string, t: string, d: object): void;
  /** Events of this name that the bot does not say it has. It is asked with each call. */
  unconfirmed(token: string, t: string): number;
  sessions(token: string): number;
  /** Ends connections: without a word, or with a code. */
  drop(token: string, code?: number): void;
  /** Sends a frame as it is: 7 = reconnect, 9 = the session is invalid, 1 = a heartbeat is wanted. */
  tell(token: string, frame: object): void;
  /** Forgets sessions: none can be resumed. */
  forget(token: string): void;
  /** The next connection wants heartbeats often, and answers none. */
  silenceNext(): void;
  /** The next connection wants heartbeats at this pace; that none comes for `silenceMsMax` is a violation, and ends it. */
  paceNext(everyMs: number, silenceMsMax: number): void;
  /** The next connection, or login on one, is answered then: it sees nothing of the gateway before. */
  slowNext(step: "connection" | "login", until: Promise<void>): void;
  /** Logins are ended with this code. */
  refuseLogins(code: number): void;
  close(): void;
}

export interface GatewayDeps {
  readonly server: Server;
  readonly bots: ReadonlyMap<string, GatewayBot>;
  /** Events that follow READY. */
  readonly welcome: (bot: GatewayBot) => readonly { readonly t: string; readonly d: object }[];
  readonly url: () => string;
  readonly violations: string[];
  readonly changed: () => void;
  /** Something happened, whether or not somebody hears it. */
  readonly happened: (t: string, d: object) => void;
  /** An event is handed to the operating system. */
  readonly sent: (t: string, d: object) => void;
}

/** So long that no test depends on it; heartbeats are asked for. */
const slowPace = { everyMs: 600_000, silenceMsMax: 1_200_000 };
const silentHeartbeatMs = 20;

/** Intents that an event needs; 0: none. */
const intentOf = (t: string, d: object): number => {
  if (t.startsWith("MESSAGE_REACTION_")) return "guild_id" in d ? 1 << 10 : 1 << 13;
  if (t === "MESSAGE_CREATE") return "guild_id" in d ? 1 << 9 : 1 << 12;
  return /^(GUILD|CHANNEL|THREAD)_/.test(t) ? 1 : 0;
};
const contentIntent = 1 << 15;
const knownIntents = (1 << 17) - 1;
const contentFlags = (1 << 18) | (1 << 19);

export function openDiscordGateway({
  server,
  bots,
  welcome,
  url,
  violations,
  changed,
  happened,
  sent,
}: GatewayDeps): DiscordGateway {
  const sockets = new WebSocketServer({ noServer: true });
  const sessions = new Map<string, Session>();
  const frames: DiscordGateway["frames"] = [];
  const silent = new Set<WebSocket>();
  let nextIsSilent = false;
  let nextPace = slowPace;
  let refusal: number | undefined;
  const slow = new Map<"connection" | "login", Promise<void>>();
  const takeSlow = (step: "connection" | "login"): Promise<void> | undefined => {
    const until = slow.get(step);
    slow.delete(step);
    return until;
  };
  let count = 0;

  server.on("upgrade", (request, socket, head) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://local");
    const asked = Object.fromEntries(searchParams);
    if (pathname !== "/gateway" || asked["v"] !== "10" || asked["encoding"] !== "json")
      violations.push(`gateway: connected to ${request.url}`);
    const late = takeSlow("connection");
    sockets.handleUpgrade(request, socket, head, (open) => void (late ?? Promise.resolve()).then(() => serve(open)));
  });

  const send = (socket: WebSocket, frame: object): void => socket.send(JSON.stringify(frame));
  const breakOff = (socket: WebSocket, code: number, why: string): void => {
    violations.push(`gateway: ${why}`);
    socket.close(code);
  };

  function serve(socket: WebSocket): void {
    let session: Session | undefined;
    const { everyMs, silenceMsMax } = nextPace;
    const missing = setTimeout(
      () => breakOff(socket, 4_009, `no heartbeat for ${silenceMsMax} ms, and one was wanted every ${everyMs}`),
      silenceMsMax,
    );
    socket.once("close", () => clearTimeout(missing));
    if (nextIsSilent) silent.add(socket);
    send(socket, { op: 10, d: { heartbeat_interval: nextIsSilent ? silentHeartbeatMs : everyMs }, s: null, t: null });
    nextIsSilent = false;
    nextPace = slowPace;
    socket.on("message", (data: RawData) => {
      const frame = JSON.parse((data as Buffer).toString("utf8")) as { op: number; d: unknown };
      frames.push(frame);
      const extra = Object.keys(frame).filter((key) => !["op", "d"].includes(key));
      if (extra.length > 0) violations.push(`gateway: a frame has ${extra.join()}`);
      switch (frame.op) {
        case 1:
          missing.refresh();
          beat(socket, session, frame.d);
          break;
        case 2:
        case 6: {
          const answer = (): void => {
            if (session !== undefined) breakOff(socket, 4_005, "a second login");
            else session = frame.op === 2 ? identify(socket, frame.d as Identify) : resume(socket, frame.d as Resume);
          };
          const late = takeSlow("login");
          if (late === undefined) answer();
          else void late.then(() => (socket.readyState === WebSocket.OPEN ? answer() : undefined));
          break;
        }
        default:
          breakOff(socket, 4_001, `there is no frame ${frame.op} of a client`);
      }
      changed();
    });
    socket.on("close", (code) => {
      if (session?.socket === socket) session.socket = undefined;
      // Discord ends a session whose client says goodbye.
      if (session !== undefined && (code === 1_000 || code === 1_001)) sessions.delete(session.id);
      changed();
    });
  }

  function beat(socket: WebSocket, session: Session | undefined, d: unknown): void {
    if (d !== null && !Number.isSafeInteger(d)) violations.push(`gateway: a heartbeat of ${JSON.stringify(d)}`);
    if (session !== undefined && typeof d === "number") confirm(session, d);
    if (!silent.has(socket)) send(socket, { op: 11, d: null, s: null, t: null });
  }

  function confirm(session: Session, sequence: number): void {
    if (sequence > session.sequence) violations.push(`gateway: event ${sequence} was never sent`);
    if (sequence < session.confirmed) violations.push(`gateway: event ${sequence} was confirmed before`);
    session.confirmed = Math.max(session.confirmed, sequence);
  }

  interface Identify {
    readonly token: string;
    readonly intents: number;
    readonly shard: unknown;
    readonly properties: Readonly<Record<string, unknown>>;
  }

  function identify(socket: WebSocket, d: Identify): Session | undefined {
    const unknown = Object.keys(d).filter(
      (key) => !["token", "intents", "shard", "properties", "compress"].includes(key),
    );
    if (unknown.length > 0) violations.push(`gateway: IDENTIFY has ${unknown.join()}`);
    for (const key of ["os", "browser", "device"])
      if (typeof d.properties[key] !== "string") violations.push(`gateway: IDENTIFY without properties.${key}`);
    if (JSON.stringify(d.shard) !== "[0,1]") violations.push("gateway: IDENTIFY of another shard");
    const bot = bots.get(d.token);
    if ((d.intents & ~knownIntents) !== 0) violations.push("gateway: unknown intents");
    const mayRead = (d.intents & contentIntent) === 0 || ((bot?.flags ?? 0) & contentFlags) !== 0;
    const refused = refusal ?? (bot === undefined ? 4_004 : mayRead ? undefined : 4_014);
    if (bot === undefined || refused !== undefined) {
      socket.close(refused);
      return undefined;
    }
    count += 1;
    const id = `session-${count}`;
    const session: Session = { id, bot, intents: d.intents, events: [], sequence: 0, confirmed: 0, socket };
    sessions.set(id, session);
    const { id: userId, username } = bot;
    push(session, "READY", {
      v: 10,
      user: { id: userId, username, discriminator: "0", avatar: null, bot: true },
      guilds: [],
      session_id: id,
      resume_gateway_url: url(),
      shard: [0, 1],
      application: { id: userId, flags: bot.flags },
    });
    for (const { t, d: told } of welcome(bot)) push(session, t, told);
    return session;
  }

  interface Resume {
    readonly token: string;
    readonly session_id: string;
    readonly seq: number;
  }

  function resume(socket: WebSocket, d: Resume): Session | undefined {
    const session = sessions.get(d.session_id);
    if (session === undefined || session.bot.token !== d.token) {
      send(socket, { op: 9, d: false, s: null, t: null });
      return undefined;
    }
    confirm(session, d.seq);
    session.socket = socket;
    for (const event of session.events.filter(({ s }) => s > d.seq)) sendEvent(socket, event);
    push(session, "RESUMED", {});
    return session;
  }

  function push(session: Session, t: string, d: object): void {
    const intent = intentOf(t, d);
    if (intent !== 0 && (session.intents & intent) === 0) return;
    session.sequence += 1;
    const event = { s: session.sequence, t, d };
    session.events.push(event);
    if (session.socket?.readyState === WebSocket.OPEN) sendEvent(session.socket, event);
  }

  const sendEvent = (socket: WebSocket, event: Session["events"][number]): void =>
    socket.send(JSON.stringify({ op: 0, ...event }), () => sent(event.t, event.d));

  const of = (token: string): Session[] => [...sessions.values()].filter(({ bot }) => bot.token === token);
  const socketsOf = (token: string): WebSocket[] =>
    of(token).flatMap(({ socket }) => (socket === undefined ? [] : [socket]));

  return {
    frames,
    dispatch(token, t, d) {
      happened(t, d);
      for (const session of of(token)) push(session, t, d);
    },
    unconfirmed(token, t) {
      for (const socket of socketsOf(token)) send(socket, { op: 1, d: null, s: null, t: null });
      return of(token).flatMap(({ events, confirmed }) =>
        events.filter((event) => event.t === t && event.s > confirmed),
      ).length;
    },
    sessions: (token) => of(token).length,
    drop(token, code) {
      for (const socket of socketsOf(token)) {
        if (code === undefined) socket.terminate();
        else socket.close(code);
      }
    },
    tell(token, frame) {
      for (const socket of socketsOf(token)) send(socket, frame);
    },
    forget(token) {
      for (const { id } of of(token)) sessions.delete(id);
    },
    silenceNext() {
      nextIsSilent = true;
    },
    paceNext(everyMs, silenceMsMax) {
      nextPace = { everyMs, silenceMsMax };
    },
    slowNext: (step, until) => void slow.set(step, until),
    refuseLogins(code) {
      refusal = code;
    },
    close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    },
  };
}
