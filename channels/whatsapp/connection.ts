/** One connection of an account to WhatsApp, over the library. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { AccountIdentity, ChannelHost } from "../port.ts";
import { parseMessage, type WhatsAppEvent } from "./inbound.ts";
import { lidOf, numberOf } from "./jid.ts";
import {
  type Baileys,
  type BinaryNode,
  endInTime,
  keepBeforeSending,
  makeLibraryLogger,
  type MessageContent,
  type MessageKey,
  type SentContent,
  type SignalRepository,
  type TargetKey,
  type TransactionalKeys,
  type WhatsAppSocket,
} from "./library.ts";
import { inboxRow, type Login, readMark } from "./login.ts";
import type { WhatsAppSettings } from "./manifest.ts";
import { makeRecent, type Recent } from "../recent.ts";

export interface Ending {
  /** As HTTP has them, for the most part. */
  readonly code: number;
  readonly reason: string;
}

type Answer =
  | { readonly type: "taken" }
  /** There is nobody with this number. */
  | { readonly type: "unknown" }
  | { readonly type: "refused"; readonly code: number }
  | { readonly type: "silent"; readonly reason: string; readonly wasWritten: boolean };

export interface Connection {
  /** Resolves when WhatsApp has let the account in; never, where it does not. */
  readonly opened: Promise<void>;
  readonly ended: Promise<Ending>;
  send(target: string, content: SentContent, id: string, inReplyTo?: string): Promise<Answer>;
  /** Of a message that was heard or sent on this connection, or an earlier one of this start; undefined: it is not known whose it is. */
  findKey(target: string, id: string): TargetKey | undefined;
  /** Whether it was sent here, and not on the owner's phone, whose messages are the account's as well. */
  wasSent(id: string): boolean;
  /** The server that files are fetched from. */
  fileHost(): Promise<string>;
  /** Shows that somebody writes there, and that what came from there was read. */
  atWork(target: string): Promise<void>;
  probe(signal: AbortSignal): Promise<AccountIdentity>;
  /** Ends the link with the phone, and the connection. */
  logOut(): Promise<void>;
}

export interface ConnectionDeps {
  readonly library: Baileys;
  readonly login: Login;
  readonly settings: WhatsAppSettings;
  readonly host: ChannelHost;
  readonly memory: Memory;
  /** A code to be scanned, and how long it is good for. */
  readonly onCode: (text: string, livesMs: number) => void;
  readonly signal: AbortSignal;
}

interface Heard {
  readonly key: MessageKey;
  readonly message: MessageContent;
}

/** What is known of messages from one connection to the next. */
export interface Memory {
  /** What answers may quote and react to, by id. */
  readonly heard: Recent<Heard>;
  /** Ids of the account's own. */
  readonly sent: Recent<true>;
  /** Messages of the login that were handed on, by their row and id, with what becomes of each; none that was not taken. */
  readonly handed: Recent<Promise<unknown>>;
}

export const makeMemory = (): Memory => ({
  heard: makeRecent(limits.whatsappKeptMax),
  sent: makeRecent(limits.whatsappKeptMax),
  handed: makeRecent(limits.channelIntakeMax),
});

export function connect({ library, login, settings, host, memory, onCode, signal }: ConnectionDeps): Connection {
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<Ending>();
  /** Of the encrypted parts that are being read: the node that each came in. */
  const stanzas = new WeakMap<Uint8Array, BinaryNode>();
  const { heard, sent } = memory;
  const unread = makeRecent<MessageKey[]>(limits.whatsappKeptMax);
  const groups = makeRecent<{ readonly id: string }>(limits.whatsappKeptMax);
  const numbers = makeRecent<true>(limits.whatsappKeptMax);
  let repository: SignalRepository | undefined;
  /** The library's transactions go along with whatever they await; the gateway's work is no part of them. */
  const outside = AsyncLocalStorage.snapshot();

  let lastRow = 0;
  /** By chat: its messages that wait to be taken. */
  const holding = new Map<string, number>();

  /** Rejects when it was not taken: then it stays, and without a connection it is not acknowledged. */
  async function hand(id: string, event: WhatsAppEvent): Promise<void> {
    try {
      await handOnce(`${id} ${event.messageId}`, event);
      login.taken(id);
    } catch (error) {
      host.log("warn", "a message of WhatsApp was not taken; it is offered again", {
        peer: `${event.peer.kind}:${event.peer.id}`,
      });
      void socket.end(failure("CLOISTER_CHANNEL_OFFLINE", "a message was not taken"));
      throw error;
    }
  }

  /** One that an earlier connection has handed on may still wait for its agent, or be stored with a login that was closed by then. */
  function handOnce(key: string, event: WhatsAppEvent): Promise<unknown> {
    const earlier = memory.handed.get(key);
    if (earlier !== undefined) return earlier;
    const taken = outside(() => host.receive(event));
    memory.handed.set(key, taken);
    taken.catch(() => memory.handed.delete(key));
    return taken;
  }

  /**
   * The library reads no further message while one is not taken. What waits longer than a store takes is in the login by then: it is acknowledged, so
   * that one whose agent has no room holds up no other chat. What comes behind it in its chat waits there as well.
   */
  async function heldAtMost(chat: string, taken: Promise<void>): Promise<void> {
    const waits = (holding.get(chat) ?? 0) + 1;
    holding.set(chat, waits);
    const over = new AbortController();
    const done = taken.finally(() => {
      over.abort();
      const left = (holding.get(chat) ?? 1) - 1;
      if (left === 0) holding.delete(chat);
      else holding.set(chat, left);
    });
    done.catch(() => undefined);
    const heldMs = waits > 1 ? 0 : limits.whatsappHeldMs;
    await Promise.race([done, host.pause(heldMs, AbortSignal.any([signal, over.signal]))]);
    // Ended by its signal: what is not taken is not acknowledged either.
    if (signal.aborted) await done;
  }

  /** In order, also over restarts of the clock's millisecond. */
  function nextRow(): string {
    lastRow = Math.max(lastRow + 1, host.nowMs() * 1000);
    return String(lastRow).padStart(20, "0");
  }

  /** Reads it, and keeps it with the keys that moved on by that. Returns it when it is stored, which lets the library acknowledge it. */
  async function take(
    keys: TransactionalKeys,
    key: string,
    ciphertext: Uint8Array,
    decrypt: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const mark = createHash("sha256").update(ciphertext).digest("base64");
    // WhatsApp did not hear that it came. It is in the inbox, or stored; whoever wrote it need not send it again.
    if (login.wasRead(mark)) return nothing;
    const id = nextRow();
    const [plaintext, read] = await keys.transaction(async () => {
      const bytes = await decrypt();
      const message = await readMessage(ciphertext, bytes).catch((error: unknown) => {
        host.log("error", "a message of WhatsApp cannot be read and is left out", {
          error: error instanceof Error ? error.message : "unknown fault",
        });
        return undefined;
      });
      await keys.set({ ...readMark(mark, id), ...(message === undefined ? {} : inboxRow(id, message.event)) });
      return [bytes, message] as const;
    }, key);
    if (read === undefined) return plaintext;
    const { event, heard: said } = read;
    if (event.messageId !== undefined) heard.set(event.messageId, said);
    if (event.peer.kind === "direct") numbers.set(event.peer.id, true);
    if (said.key.fromMe !== true) noteUnread(event.peer.id, said.key);
    await heldAtMost(`${event.peer.kind}:${event.peer.id}`, hand(id, event));
    return plaintext;
  }

  async function readMessage(
    ciphertext: Uint8Array,
    plaintext: Uint8Array,
  ): Promise<{ readonly event: WhatsAppEvent; readonly heard: Heard } | undefined> {
    const stanza = stanzas.get(ciphertext);
    const { me } = login.creds;
    if (stanza === undefined || me === undefined) return undefined;
    const { key, messageTimestamp, pushName } = library.decodeMessageNode(stanza, me.id, me.lid ?? "").fullMessage;
    const whole = library.proto.Message.decode(library.unpadRandomMax16(plaintext));
    const message = whole.deviceSentMessage?.message ?? whole;
    const content = library.normalizeMessageContent(message);
    if (content === undefined) return undefined;
    const lid = lidOf(key.participant ?? key.remoteJid ?? "");
    const known = lid === undefined ? undefined : await repository?.lidMapping.getPNForLID(lid);
    const event = parseMessage(
      {
        key,
        content,
        ...(pushName === undefined ? {} : { name: pushName }),
        atMs: messageTimestamp * 1000,
        numberOfLid: () => numberOf(known ?? ""),
      },
      me,
    );
    return event === undefined ? undefined : { event, heard: { key, message } };
  }

  function noteUnread(peer: string, key: MessageKey): void {
    const keys = unread.get(peer) ?? [];
    if (keys.length < limits.whatsappKeptMax) keys.push(key);
    unread.set(peer, keys);
  }

  const socket: WhatsAppSocket = library.makeWASocket({
    auth: login,
    logger: makeLibraryLogger((words) => host.log("debug", "the library of WhatsApp tells of a fault", { words })),
    ...(settings.socketUrl === undefined ? {} : { waWebSocketUrl: settings.socketUrl }),
    keepAliveIntervalMs: limits.whatsappPingMs,
    // What this account sends itself is known; the phone goes on to ring; nothing of before is wanted.
    emitOwnEvents: false,
    markOnlineOnConnect: false,
    syncFullHistory: false,
    shouldSyncHistoryMessage: ({ syncType }) => syncType !== history.full && syncType !== history.recent,
    shouldIgnoreJid: (jid) => jid.endsWith("@broadcast") || jid.endsWith("@newsletter"),
    cachedGroupMetadata: async (jid) => {
      const known = groups.get(jid);
      if (known !== undefined) return known;
      const fresh = await socket.groupMetadata(jid);
      groups.set(jid, fresh);
      return fresh;
    },
    makeSignalRepository: (auth, ...rest) => {
      const made = library.DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, ...rest);
      repository = made;
      const { keys } = auth;
      return {
        ...keepBeforeSending(made, outside),
        decryptMessage: (of) => take(keys, of.jid, of.ciphertext, () => made.decryptMessage(of)),
        decryptGroupMessage: (of) => take(keys, of.group, of.msg, () => made.decryptGroupMessage(of)),
      };
    },
  });

  endInTime(socket, (isClosed) => host.pause(limits.whatsappCloseMs, isClosed));

  // Before what comes now, what an earlier connection could not hand on. Each chat has its own order.
  for (const { id, event } of login.inbox()) hand(id, event).catch(() => undefined);

  socket.ws.prependListener("CB:message", (stanza) => {
    if (!Array.isArray(stanza.content)) return;
    for (const { tag, content } of stanza.content as readonly BinaryNode[])
      if (tag === "enc" && content instanceof Uint8Array) stanzas.set(content, stanza);
  });
  let codes = 0;
  socket.ev.on("connection.update", ({ connection, qr, lastDisconnect }) => {
    if (qr !== undefined) onCode(qr, codes++ === 0 ? firstCodeMs : laterCodeMs);
    if (connection === "open") opened.resolve();
    if (connection === "close") ended.resolve(endingOf(lastDisconnect?.error));
  });
  socket.ev.on("creds.update", () => login.saveCreds());
  socket.ev.on("groups.update", (changed) => {
    for (const { id } of changed) if (id !== undefined) groups.delete(id);
  });
  socket.ev.on("group-participants.update", ({ id }) => groups.delete(id));
  const stop = (): void => void socket.end(undefined);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  void ended.promise.then(() => signal.removeEventListener("abort", stop));

  /** Whether there is such a number: to others a text would only vanish. */
  async function exists(target: string): Promise<boolean> {
    const number = numberOf(target);
    if (number === undefined || numbers.get(number) === true) return true;
    const found = await socket.onWhatsApp(target);
    if (found === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "WhatsApp does not say who has this number");
    if (!found.some(({ exists: isThere }) => isThere === true)) return false;
    numbers.set(number, true);
    return true;
  }

  /** The library goes on waiting for answers on a connection that has ended. */
  const untilEnded = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([
      work,
      ended.promise.then(({ reason }): never => {
        throw failure("CLOISTER_CHANNEL_OFFLINE", `the connection ended: ${reason}`);
      }),
    ]);

  return {
    opened: opened.promise,
    ended: ended.promise,

    async send(target, content, id, inReplyTo) {
      const quoted = inReplyTo === undefined ? undefined : heard.get(inReplyTo);
      let wasWritten = false;
      try {
        if (!(await untilEnded(exists(target)))) return { type: "unknown" };
        // A file is brought to its server before the message is written.
        const uploadMs = isFile(content) ? limits.channelMediaMs : 0;
        const answered = socket.waitForMessage(id, uploadMs + limits.whatsappAnswerMs);
        // It is looked at below; until then its end is nobody's fault.
        answered.catch(() => undefined);
        const options = {
          messageId: id,
          mediaUploadTimeoutMs: limits.channelMediaMs,
          ...(quoted === undefined ? {} : { quoted }),
        };
        sent.set(id, true);
        const written = socket.sendMessage(target, content, options).then(() => (wasWritten = true));
        await untilEnded(written);
        const node = await untilEnded(answered);
        if (node === undefined) return { type: "silent", reason: "no answer in time", wasWritten };
        const code = node.tag === "ack" ? node.attrs["error"] : undefined;
        return code === undefined ? { type: "taken" } : { type: "refused", code: Number(code) };
      } catch (error) {
        const code = refusalOf(error);
        if (!wasWritten && code !== undefined) return { type: "refused", code };
        return { type: "silent", reason: endingOf(error).reason, wasWritten };
      }
    },

    findKey(target, id) {
      if (sent.get(id) === true) return { remoteJid: target, fromMe: true, id };
      const { remoteJid, fromMe, participant } = heard.get(id)?.key ?? {};
      if (typeof remoteJid !== "string") return undefined;
      return { remoteJid, fromMe: fromMe === true, id, ...(typeof participant === "string" ? { participant } : {}) };
    },

    wasSent: (id) => sent.get(id) === true,

    async fileHost() {
      const { hosts } = await untilEnded(socket.refreshMediaConn(false));
      const [first] = hosts;
      if (first === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "WhatsApp names no server for files");
      return first.hostname;
    },

    async atWork(target) {
      const peer = numberOf(target) ?? target;
      const keys = unread.get(peer) ?? [];
      unread.delete(peer);
      if (settings.readReceipts && keys.length > 0) await untilEnded(socket.readMessages(keys));
      await untilEnded(socket.sendPresenceUpdate("composing", target));
    },

    async probe() {
      const ping: BinaryNode = {
        tag: "iq",
        attrs: { to: "@s.whatsapp.net", type: "get", xmlns: "w:p" },
        content: [{ tag: "ping", attrs: {} }],
      };
      const answer = await untilEnded(socket.query(ping, limits.channelProbeMs)).catch(() => undefined);
      if (answer === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "WhatsApp does not answer at the moment");
      return identityOf(login);
    },

    logOut: () => socket.logout(),
  };
}

/** A message without content, as it is before it is encrypted: with its filling. */
const nothing = Uint8Array.of(1);

/** Kinds of history that are only old messages; the first one tells who is behind which LID, which is needed. Source: `HistorySyncType`. */
const history = { full: 2, recent: 3 } as const;

const isFile = (content: SentContent): boolean => "mimetype" in content;

/** How long the library shows the first code, and each further one. */
const [firstCodeMs, laterCodeMs] = [60_000, 20_000];

/** The library's faults have a status; those of the network a name. */
function endingOf(error: unknown): Ending {
  const output: unknown = property(error, "output");
  const status = property(output, "statusCode");
  const cause = property(error, "data");
  const name = property(cause, "code");
  const reason = typeof name === "string" ? name : error instanceof Error ? error.message : "it was closed";
  return { code: typeof status === "number" ? status : 0, reason };
}

/** The number with which WhatsApp refused what had to be asked before the text, such as who is in the group. */
function refusalOf(error: unknown): number | undefined {
  const code = property(error, "data");
  return typeof code === "number" && code > 0 ? code : undefined;
}

const property = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;

export function identityOf({ creds: { me } }: Login): AccountIdentity {
  const id = numberOf(me?.id ?? "") ?? "";
  return { id, name: me?.name === undefined || me.name === "" || me.name === "~" ? id : `${me.name} (${id})` };
}
