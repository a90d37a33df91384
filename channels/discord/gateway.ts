/**
 * One connection to Discord's gateway, over the client of discord.js. It begins a session, or resumes one; it is not tried again here.
 *
 * What Discord is told as received, in heartbeats and when a session is resumed, is what is done with: an event whose message was not stored
 * is sent again with all that came behind it.
 */
import {
  Encoding,
  type IContextFetchingStrategy,
  type SessionInfo,
  WebSocketShard,
  WebSocketShardDestroyRecovery,
  type WebSocketShardDestroyOptions,
  WebSocketShardEvents,
} from "@discordjs/ws";
import {
  type APIGatewayBotInfo,
  GatewayCloseCodes,
  type GatewayDispatchPayload,
  type GatewayIntentBits,
} from "discord-api-types/v10";
import { limits } from "../../runtime/kernel/limits.ts";

export interface ConnectionOptions {
  readonly token: string;
  /** Bits of `GatewayIntentBits`. */
  readonly intents: number;
  readonly gateway: APIGatewayBotInfo;
  /** Of an earlier connection. */
  readonly session?: SessionInfo;
  /** Resolves when the event is done with. */
  readonly hear: (payload: GatewayDispatchPayload) => Promise<void> | undefined;
  /** Discord knows the account from now on; `resumed`: with all that it missed. */
  readonly onOnline: (resumed: boolean) => void;
  /** Before the account logs in. Rejects when `signal` aborts. */
  readonly mayIdentify: (signal: AbortSignal) => Promise<void>;
}

/** How a connection ended. */
export interface Ended {
  /** Discord's number of the reason, or that of the WebSocket. */
  readonly code: number;
  readonly reason: string;
  /** What the next connection may resume; absent: it begins anew. */
  readonly session?: SessionInfo;
  /** What was heard could not be kept. */
  readonly error?: unknown;
}

export interface Connection {
  readonly ended: Promise<Ended>;
  /** Ends the session with it. */
  close(): void;
}

/** Which events of a session are done with, when several are at work at once. */
function makeBook(from: number) {
  const open = new Set<number>();
  let last = from;
  return {
    begin(sequence: number): void {
      open.add(sequence);
      last = Math.max(last, sequence);
    },
    done: (sequence: number): void => void open.delete(sequence),
    /** The last one before which all are done with. Events begin in their order, so that the first is the oldest. */
    get sequence(): number {
      const { value: oldest } = open.values().next();
      return oldest === undefined ? last : oldest - 1;
    },
  };
}

export function connect(options: ConnectionOptions): Connection {
  const { token, intents, gateway, hear, onOnline, mayIdentify } = options;
  const bits: unknown = intents;
  const ended = Promise.withResolvers<Ended>();
  let session = options.session;
  let book = makeBook(session?.sequence ?? 0);
  let fault: { readonly error: unknown } | undefined;
  let socketFault: string | undefined;
  let isOpen = false;

  const current = (): SessionInfo | undefined =>
    session === undefined ? undefined : { ...session, sequence: book.sequence };

  const strategy: IContextFetchingStrategy = {
    options: {
      token,
      intents: bits as GatewayIntentBits,
      gatewayInformation: gateway,
      shardCount: 1,
      version: "10",
      encoding: Encoding.JSON,
      compression: null,
      useIdentifyCompression: false,
      identifyProperties: { os: "cloister", browser: "cloister", device: "cloister" },
      initialPresence: null,
      largeThreshold: null,
      handshakeTimeout: limits.discordHandshakeMs,
      helloTimeout: limits.discordHandshakeMs,
      readyTimeout: limits.discordReadyMs,
    },
    retrieveSessionInfo: () => current() ?? null,
    updateSessionInfo(_, told) {
      if (told === null || told.sessionId === session?.sessionId) return;
      session = told;
      book = makeBook(told.sequence);
    },
    waitForIdentify: (_, signal) => mayIdentify(signal),
  };

  /** The client's own ways to come back are left out: an end is an end. */
  class OneConnection extends WebSocketShard {
    #closing: Promise<void> | undefined;

    override destroy({ recover, code, reason }: WebSocketShardDestroyOptions = {}): Promise<void> {
      if (this.#closing !== undefined) return this.#closing;
      const resumable = recover === WebSocketShardDestroyRecovery.Resume || code === lostSocket;
      const kept = resumable ? current() : undefined;
      const closeCode = code ?? (resumable ? 4_200 : 1_000);
      clearTimeout(patience);
      this.#closing = super.destroy({ code: closeCode, ...(reason === undefined ? {} : { reason }) });
      ended.resolve({
        code: closeCode,
        reason: socketFault ?? reason ?? describeCode(closeCode),
        ...(kept === undefined ? {} : { session: kept }),
        ...fault,
      });
      return this.#closing;
    }
  }

  const shard = new OneConnection(strategy, 0);
  const lose = (error: unknown): void => {
    fault ??= { error };
    void shard.destroy({ recover: WebSocketShardDestroyRecovery.Resume, reason: "an event was not taken" });
  };

  // The client waits without end for a session that is resumed.
  const patience = setTimeout(
    () => void shard.destroy({ recover: WebSocketShardDestroyRecovery.Reconnect, reason: "no answer to the login" }),
    limits.discordLoginMs,
  );
  const beOnline = (resumed: boolean): void => {
    clearTimeout(patience);
    onOnline(resumed);
  };
  shard.on(WebSocketShardEvents.Hello, () => {
    isOpen = true;
  });
  shard.on(WebSocketShardEvents.Ready, () => beOnline(false));
  shard.on(WebSocketShardEvents.Resumed, () => beOnline(true));
  shard.on(WebSocketShardEvents.SocketError, (error) => {
    socketFault = nameOf(error);
  });
  // Told with the close code that follows.
  shard.on(WebSocketShardEvents.Error, () => undefined);
  shard.on(WebSocketShardEvents.Closed, (code) => {
    // The client ends the connection itself, but for the code by which it says that it resumes.
    queueMicrotask(() => void shard.destroy({ code, recover: WebSocketShardDestroyRecovery.Resume }));
  });
  shard.on(WebSocketShardEvents.Dispatch, (payload) => {
    const own = book;
    own.begin(payload.s);
    const done = hear(payload);
    if (done === undefined) own.done(payload.s);
    else done.then(() => own.done(payload.s), lose);
  });
  shard.connect().catch(() => undefined);

  return {
    ended: ended.promise,
    close() {
      const end = (): void => void shard.destroy({ code: 1_000, reason: "the gateway stops" });
      // A connection that is not open yet cannot be closed in order.
      if (isOpen) end();
      else shard.once(WebSocketShardEvents.Hello, end);
    },
  };
}

/** RFC 6455: no close frame came. */
const lostSocket = 1_006;

function describeCode(code: number): string {
  const name = GatewayCloseCodes[code];
  return name === undefined ? `closed with code ${code}` : `closed with code ${code}, ${name}`;
}

function nameOf(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : "the connection failed";
}
