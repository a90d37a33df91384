/**
 * Baileys, the client of WhatsApp Web that the operator installed: the part of it that the channel uses, and how it is loaded. It is no
 * dependency of Cloister, because its own dependency libsignal is under the GPL.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { failure } from "../../runtime/kernel/errors.ts";
import { library } from "./manifest.ts";

export interface BinaryNode {
  readonly tag: string;
  readonly attrs: Readonly<Record<string, string>>;
  readonly content?: readonly BinaryNode[] | string | Uint8Array;
}

type Maybe<T> = T | null | undefined;

export interface MessageKey {
  readonly remoteJid?: Maybe<string>;
  /** The other address of the same person: the number of one who is known by a LID, or the other way round. */
  readonly remoteJidAlt?: Maybe<string>;
  readonly participant?: Maybe<string>;
  readonly participantAlt?: Maybe<string>;
  readonly fromMe?: Maybe<boolean>;
  readonly id?: Maybe<string>;
}

export interface ContextInfo {
  readonly mentionedJid?: Maybe<readonly string[]>;
  /** Id of the quoted message, and who wrote that. */
  readonly stanzaId?: Maybe<string>;
  readonly participant?: Maybe<string>;
}

/** Where a file lies, and how it is opened. */
export interface FilePart {
  readonly fileName?: Maybe<string>;
  readonly mimetype?: Maybe<string>;
  /** A number of 64 bits, as the codec has those. */
  readonly fileLength?: Maybe<number | { toString(): string }>;
  readonly mediaKey?: Maybe<Uint8Array>;
  readonly directPath?: Maybe<string>;
  readonly fileEncSha256?: Maybe<Uint8Array>;
}

interface Part extends FilePart {
  readonly text?: Maybe<string>;
  readonly caption?: Maybe<string>;
  readonly title?: Maybe<string>;
  readonly seconds?: Maybe<number>;
  readonly ptt?: Maybe<boolean>;
  readonly displayName?: Maybe<string>;
  readonly name?: Maybe<string>;
  readonly degreesLatitude?: Maybe<number>;
  readonly degreesLongitude?: Maybe<number>;
  readonly contextInfo?: Maybe<ContextInfo>;
}

/** `proto.Message`: one of its parts is there. */
export interface MessageContent {
  readonly conversation?: Maybe<string>;
  readonly extendedTextMessage?: Maybe<Part>;
  readonly imageMessage?: Maybe<Part>;
  readonly videoMessage?: Maybe<Part>;
  readonly ptvMessage?: Maybe<Part>;
  readonly audioMessage?: Maybe<Part>;
  readonly documentMessage?: Maybe<Part>;
  readonly stickerMessage?: Maybe<Part>;
  readonly locationMessage?: Maybe<Part>;
  readonly liveLocationMessage?: Maybe<Part>;
  readonly contactMessage?: Maybe<Part>;
  readonly contactsArrayMessage?: Maybe<Part>;
  readonly pollCreationMessage?: Maybe<Part>;
  readonly pollCreationMessageV3?: Maybe<Part>;
  /** What the person wrote on another device of his. */
  readonly deviceSentMessage?: Maybe<{ readonly message?: Maybe<MessageContent> }>;
}

export interface Creds {
  readonly me?: { readonly id: string; readonly lid?: string; readonly name?: string };
}

export type KeyData = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface KeyStore {
  get(type: string, ids: readonly string[]): Promise<Record<string, unknown>>;
  set(data: KeyData): Promise<void>;
}

/** The key store as the library hands it on: what one transaction sets is kept at its end, at once. */
export interface TransactionalKeys extends KeyStore {
  transaction<T>(work: () => Promise<T>, key: string): Promise<T>;
}

export interface SignalRepository {
  encryptMessage(of: object): Promise<unknown>;
  encryptGroupMessage(of: object): Promise<unknown>;
  getSenderKeyDistributionMessage(of: object): Promise<unknown>;
  injectE2ESession(of: object): Promise<unknown>;
  decryptMessage(of: {
    readonly jid: string;
    readonly type: string;
    readonly ciphertext: Uint8Array;
  }): Promise<Uint8Array>;
  decryptGroupMessage(of: {
    readonly group: string;
    readonly authorJid: string;
    readonly msg: Uint8Array;
  }): Promise<Uint8Array>;
  readonly lidMapping: { getPNForLID(lid: string): Promise<string | null | undefined> };
}

type MakeSignalRepository = (
  auth: { readonly creds: Creds; readonly keys: TransactionalKeys },
  ...rest: readonly unknown[]
) => SignalRepository;

export interface ConnectionUpdate {
  readonly connection?: "connecting" | "open" | "close";
  readonly qr?: string;
  readonly lastDisconnect?: { readonly error?: Error };
}

interface GroupMetadata {
  readonly id: string;
}

interface SocketEvents {
  "connection.update": ConnectionUpdate;
  "creds.update": unknown;
  "groups.update": readonly { readonly id?: string }[];
  "group-participants.update": { readonly id: string };
}

/** Of a message that stands in a chat. */
export interface TargetKey {
  readonly remoteJid: string;
  readonly fromMe: boolean;
  readonly id: string;
  /** In a group, who wrote it. */
  readonly participant?: string;
}

export type SentContent =
  | { readonly text: string; readonly edit?: TargetKey }
  | { readonly react: { readonly text: string; readonly key: TargetKey } }
  | { readonly delete: TargetKey }
  | { readonly image: Buffer; readonly mimetype: string }
  | { readonly video: Buffer; readonly mimetype: string; readonly jpegThumbnail: null }
  | { readonly audio: Buffer; readonly mimetype: string; readonly ptt?: boolean }
  | { readonly document: Buffer; readonly mimetype: string; readonly fileName: string };

export interface WhatsAppSocket {
  readonly ev: { on<E extends keyof SocketEvents>(event: E, listener: (about: SocketEvents[E]) => void): void };
  readonly ws: {
    prependListener(event: string, listener: (node: BinaryNode) => void): void;
    close(): Promise<void>;
    /** The socket itself, until it is closed. */
    readonly socket: { terminate(): void } | null;
  };
  readonly user?: Creds["me"];
  sendMessage(
    jid: string,
    content: SentContent,
    options: {
      readonly messageId: string;
      /** How long the server of files may be silent. */
      readonly mediaUploadTimeoutMs: number;
      readonly quoted?: { readonly key: MessageKey; readonly message: MessageContent };
    },
  ): Promise<unknown>;
  /** The next node with this id; undefined when none came in time. */
  waitForMessage(id: string, timeoutMs: number): Promise<BinaryNode | undefined>;
  query(node: BinaryNode, timeoutMs: number): Promise<BinaryNode | undefined>;
  /** The servers that files lie on. */
  refreshMediaConn(force: boolean): Promise<{ readonly hosts: readonly { readonly hostname: string }[] }>;
  onWhatsApp(jid: string): Promise<readonly { readonly jid: string; readonly exists: unknown }[] | undefined>;
  groupMetadata(jid: string): Promise<GroupMetadata>;
  readMessages(keys: readonly MessageKey[]): Promise<void>;
  sendPresenceUpdate(type: "composing", jid: string): Promise<void>;
  logout(): Promise<void>;
  end(error: Error | undefined): Promise<void>;
}

interface LibraryLogger {
  level: string;
  child(): LibraryLogger;
  trace(...said: readonly unknown[]): void;
  debug(...said: readonly unknown[]): void;
  info(...said: readonly unknown[]): void;
  warn(...said: readonly unknown[]): void;
  error(...said: readonly unknown[]): void;
}

export interface Baileys {
  makeWASocket(config: {
    readonly auth: { readonly creds: Creds; readonly keys: KeyStore };
    readonly logger: LibraryLogger;
    readonly makeSignalRepository: MakeSignalRepository;
    readonly waWebSocketUrl?: string;
    readonly keepAliveIntervalMs: number;
    readonly emitOwnEvents: boolean;
    readonly markOnlineOnConnect: boolean;
    readonly syncFullHistory: boolean;
    readonly shouldSyncHistoryMessage: (about: { readonly syncType?: Maybe<number> }) => boolean;
    readonly shouldIgnoreJid: (jid: string) => boolean;
    readonly cachedGroupMetadata: (jid: string) => Promise<GroupMetadata | undefined>;
  }): WhatsAppSocket;
  readonly initAuthCreds: () => Creds;
  decodeMessageNode(
    stanza: BinaryNode,
    meId: string,
    meLid: string,
  ): {
    readonly fullMessage: { readonly key: MessageKey; readonly messageTimestamp: number; readonly pushName?: string };
  };
  unpadRandomMax16(padded: Uint8Array): Uint8Array;
  /** Without the envelopes of disappearing messages and those that are seen once. */
  normalizeMessageContent(content: MessageContent): MessageContent | undefined;
  getMediaKeys(
    key: Uint8Array,
    type: string,
  ): Promise<{ readonly iv: Uint8Array; readonly cipherKey: Uint8Array; readonly macKey: Uint8Array }>;
  readonly BufferJSON: {
    readonly replacer: (key: string, value: unknown) => unknown;
    readonly reviver: (key: string, value: unknown) => unknown;
  };
  readonly proto: {
    readonly Message: {
      decode(bytes: Uint8Array): MessageContent;
      readonly AppStateSyncKeyData: { fromObject(value: object): unknown };
    };
  };
  readonly DEFAULT_CONNECTION_CONFIG: { readonly makeSignalRepository: MakeSignalRepository };
}

/** One load for a process: a second copy would have another state of its own. */
const loaded = new Map<string, Promise<Baileys>>();

/** @throws CLOISTER_CHANNEL_CREDENTIAL when it is not there, or is another version than the one that was tested. */
export async function loadLibrary(folder: string): Promise<Baileys> {
  const found = loaded.get(folder);
  if (found !== undefined) return found;
  const loading = load(folder);
  loaded.set(folder, loading);
  // One that failed is tried again: the operator installs it meanwhile.
  loading.catch(() => loaded.delete(folder));
  return loading;
}

/** What an operator types to install it there. */
export const installCommand = (folder: string): string =>
  `npm install --prefix ${JSON.stringify(folder)} --save-exact --ignore-scripts --omit=peer ${library.name}@${library.version}`;

async function load(folder: string): Promise<Baileys> {
  const place = path.join(folder, "node_modules", library.name);
  const found = await readVersion(path.join(place, "package.json"));
  if (found !== library.version)
    throw failure(
      "CLOISTER_CHANNEL_CREDENTIAL",
      found === undefined
        ? `WhatsApp needs the library ${library.name}, which is not a part of Cloister and is not installed in ${folder}`
        : `${folder} has ${library.name} ${found}; this version of Cloister is made for ${library.version}`,
      `${installCommand(folder)}, then cloister channels login --channel whatsapp (docs/guides/whatsapp.md)`,
    );
  silenceConsole();
  checkSignatures(place);
  keepSessions(place);
  return import(pathToFileURL(path.join(place, "lib", "index.js")).href);
}

async function readVersion(file: string): Promise<string | undefined> {
  try {
    const { version } = JSON.parse(await readFile(file, "utf8"));
    return String(version);
  } catch {
    return undefined;
  }
}

/**
 * libsignal says whether a signature holds, and Baileys waits for it to throw: so certificates of the server, and the phone's word for a
 * device, were taken unseen. It is to throw, before Baileys is loaded. Source: `Utils/crypto.js` of Baileys 7.0.0-rc14.
 */
function checkSignatures(place: string): void {
  const curve: { verifySignature: (...of: readonly unknown[]) => unknown } = createRequire(
    path.join(place, "package.json"),
  )("libsignal/src/curve.js");
  const holds = curve.verifySignature;
  curve.verifySignature = (...of) => {
    if (holds(...of) !== true) throw new Error("a signature does not hold");
    return true;
  };
}

/** A session of libsignal, which its class reads from what it writes. */
interface Session {
  serialize(): object;
  readonly constructor: { deserialize(written: object): Session };
}

type Attempt = (this: unknown, bytes: Buffer, session: Session) => Promise<Buffer>;

/**
 * libsignal tries a message with each session that it has with a person, the newest first, and the attempt that fails has moved the keys of its session on
 * by then: nobody could read what is sent by that one later. Baileys begins sessions often, so what is on its way is often of an earlier one. A session with
 * which a message cannot be read stays as it was. Source: `session_cipher.js` of libsignal 6.0.0.
 */
function keepSessions(place: string): void {
  const { prototype }: { readonly prototype: { doDecryptWhisperMessage: Attempt } } = createRequire(
    path.join(place, "package.json"),
  )("libsignal/src/session_cipher.js");
  const attempt = prototype.doDecryptWhisperMessage;
  prototype.doDecryptWhisperMessage = async function decrypt(bytes, session) {
    const before = session.serialize();
    try {
      return await attempt.call(this, bytes, session);
    } catch (error) {
      Object.assign(session, session.constructor.deserialize(before));
      throw error;
    }
  };
}

/**
 * The library ends a connection when the other side has agreed to that, and waits half a minute for it: so long one that was lost was not made again, and
 * an account did not end. Here it is ended anyway, once `late` resolves. Source: `Socket/Client/websocket.js` of Baileys 7.0.0-rc14.
 */
export function endInTime({ ws }: WhatsAppSocket, late: (ended: AbortSignal) => Promise<void>): void {
  const close = ws.close.bind(ws);
  ws.close = async () => {
    const ended = new AbortController();
    const { socket } = ws;
    void late(ended.signal).then(() => socket?.terminate());
    await close().finally(() => ended.abort());
  };
}

/**
 * The library seals a message, sends it, and keeps the keys that it moved on by that afterwards, all in one transaction: after a crash in between nobody
 * could read the answer to that message. So each step that moves keys on is a transaction by itself, `outside` of the one that sends, and is kept before
 * anything leaves. Source: `relayMessage` of Baileys 7.0.0-rc14.
 */
export function keepBeforeSending(
  made: SignalRepository,
  outside: <T>(work: () => Promise<T>) => Promise<T>,
): SignalRepository {
  return {
    ...made,
    encryptMessage: (of) => outside(() => made.encryptMessage(of)),
    encryptGroupMessage: (of) => outside(() => made.encryptGroupMessage(of)),
    getSenderKeyDistributionMessage: (of) => outside(() => made.getSenderKeyDistributionMessage(of)),
    injectE2ESession: (of) => outside(() => made.injectE2ESession(of)),
  };
}

/** libsignal writes whole sessions, with their keys, to the console when one begins or ends. Nothing else in the thread writes to it. */
function silenceConsole(): void {
  for (const name of ["log", "info", "warn", "error", "debug"] as const) console[name] = silent;
}

const silent = (): void => undefined;

/** What the library says beside its results may hold what people wrote: of it only the fixed words of a fault are passed on. */
export function makeLibraryLogger(tell: (words: string) => void): LibraryLogger {
  const fault = (...said: readonly unknown[]): void => {
    const words = said.find((one) => typeof one === "string");
    if (words !== undefined) tell(words);
  };
  const logger: LibraryLogger = {
    level: "error",
    child: () => logger,
    trace: silent,
    debug: silent,
    info: silent,
    warn: silent,
    error: fault,
  };
  return logger;
}
