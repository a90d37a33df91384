/** The library of WhatsApp as the tests have it: the same copy that the channel loads, and the parts of it that a server needs. */
import { fileURLToPath } from "node:url";
import {
  type Baileys,
  type BinaryNode,
  type KeyData,
  loadLibrary,
  type MessageKey,
} from "../../channels/whatsapp/library.ts";

export const libraryDir = fileURLToPath(new URL("../whatsapp", import.meta.url));

export interface KeyPair {
  readonly public: Buffer;
  readonly private: Buffer;
}

export interface SignedKeyPair {
  readonly keyPair: KeyPair;
  readonly signature: Uint8Array;
  readonly keyId: number;
}

export interface DeviceCreds {
  readonly noiseKey: KeyPair;
  readonly signedIdentityKey: KeyPair;
  readonly signedPreKey: SignedKeyPair;
  readonly registrationId: number;
}

export interface SessionBundle {
  readonly registrationId: number;
  readonly identityKey: Uint8Array;
  readonly signedPreKey: { readonly keyId: number; readonly publicKey: Uint8Array; readonly signature: Uint8Array };
  readonly preKey?: { readonly keyId: number; readonly publicKey: Uint8Array };
}

/** What `makeSignalRepository` makes, as a person's own app has it. */
export interface Signal {
  encryptMessage(of: {
    readonly jid: string;
    readonly data: Uint8Array;
  }): Promise<{ type: string; ciphertext: Buffer }>;
  decryptMessage(of: { readonly jid: string; readonly type: string; readonly ciphertext: Uint8Array }): Promise<Buffer>;
  encryptGroupMessage(of: { readonly group: string; readonly meId: string; readonly data: Uint8Array }): Promise<{
    readonly ciphertext: Buffer;
    readonly senderKeyDistributionMessage: Uint8Array;
  }>;
  decryptGroupMessage(of: {
    readonly group: string;
    readonly authorJid: string;
    readonly msg: Uint8Array;
  }): Promise<Buffer>;
  processSenderKeyDistributionMessage(of: { readonly authorJid: string; readonly item: object }): Promise<void>;
  injectE2ESession(of: { readonly jid: string; readonly session: SessionBundle }): Promise<void>;
}

interface Codec<T = Record<string, unknown>> {
  encode(value: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface TestLibrary extends Omit<Baileys, "proto" | "initAuthCreds" | "DEFAULT_CONNECTION_CONFIG"> {
  readonly Curve: {
    generateKeyPair(): KeyPair;
    sharedKey(own: Uint8Array, other: Uint8Array): Buffer;
    sign(own: Uint8Array, bytes: Uint8Array): Uint8Array;
    verify(other: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
  };
  readonly NOISE_MODE: string;
  readonly WA_CERT_DETAILS: { PUBLIC_KEY: Buffer };
  readonly DEFAULT_CONNECTION_CONFIG: {
    makeSignalRepository(auth: object, logger: object, lids: () => Promise<readonly object[]>): Signal;
  };
  readonly hkdf: (
    bytes: Uint8Array,
    length: number,
    about: { readonly salt: Uint8Array; readonly info: string },
  ) => Uint8Array;
  readonly sha256: (bytes: Uint8Array) => Buffer;
  readonly hmacSign: (bytes: Uint8Array, key: Uint8Array) => Buffer;
  readonly aesEncryptGCM: (bytes: Uint8Array, key: Uint8Array, iv: Uint8Array, authenticated: Uint8Array) => Buffer;
  readonly aesDecryptGCM: (bytes: Uint8Array, key: Uint8Array, iv: Uint8Array, authenticated: Uint8Array) => Buffer;
  readonly encodeBinaryNode: (node: BinaryNode) => Buffer;
  readonly decodeBinaryNode: (bytes: Uint8Array) => Promise<BinaryNode>;
  readonly encodeBigEndian: (number: number, bytes?: number) => Uint8Array;
  readonly encodeWAMessage: (message: object) => Buffer;
  readonly generateSignalPubKey: (key: Uint8Array) => Buffer;
  readonly initAuthCreds: () => DeviceCreds;
  addTransactionCapability(
    store: { get(type: string, ids: readonly string[]): Promise<object>; set(data: KeyData): Promise<void> },
    logger: object,
    retries: { readonly maxCommitRetries: number; readonly delayBetweenTriesMs: number },
  ): { set(data: KeyData): Promise<void> };
  readonly proto: {
    readonly HandshakeMessage: Codec<{
      readonly clientHello?: { readonly ephemeral: Uint8Array };
      readonly clientFinish?: { readonly static: Uint8Array; readonly payload: Uint8Array };
    }>;
    readonly ClientPayload: Codec<{
      readonly username?: { toString(): string };
      readonly device?: number;
      readonly devicePairingData?: { readonly eIdent: Uint8Array };
    }>;
    readonly CertChain: Codec & { readonly NoiseCertificate: { readonly Details: Codec } };
    readonly ADVDeviceIdentity: Codec;
    readonly ADVSignedDeviceIdentity: Codec<{
      readonly details: Uint8Array;
      readonly accountSignatureKey: Uint8Array;
      readonly deviceSignature: Uint8Array;
    }>;
    readonly ADVSignedDeviceIdentityHMAC: Codec;
    readonly Message: Codec<Message>;
  };
}

export interface Message {
  readonly conversation?: string;
  readonly extendedTextMessage?: {
    readonly text?: string;
    readonly contextInfo?: { readonly stanzaId?: string; readonly participant?: string };
  };
  readonly deviceSentMessage?: { readonly destinationJid?: string; readonly message?: Message };
  readonly senderKeyDistributionMessage?: object;
  readonly imageMessage?: SentFile;
  readonly videoMessage?: SentFile;
  readonly audioMessage?: SentFile;
  readonly documentMessage?: SentFile;
  readonly reactionMessage?: { readonly key?: MessageKey; readonly text?: string };
  /** `type`: 0 takes a message back, 14 changes it. */
  readonly protocolMessage?: { readonly key?: MessageKey; readonly type?: number; readonly editedMessage?: Message };
}

export interface SentFile {
  readonly fileName?: string;
  readonly mimetype: string;
  readonly ptt?: boolean;
  readonly directPath: string;
  readonly mediaKey: Uint8Array;
  readonly fileEncSha256: Uint8Array;
}

/** Fails, with how to install it, where it is not there. */
export async function loadTestLibrary(): Promise<TestLibrary> {
  try {
    return (await loadLibrary(libraryDir)) as unknown as TestLibrary;
  } catch (error) {
    throw new Error("run: npm ci --prefix test/whatsapp --ignore-scripts --omit=peer", { cause: error });
  }
}

export const childOf = (node: BinaryNode | undefined, tag: string): BinaryNode | undefined =>
  childrenOf(node).find((child) => child.tag === tag);

export const childrenOf = (node: BinaryNode | undefined): readonly BinaryNode[] =>
  Array.isArray(node?.content) ? (node.content as readonly BinaryNode[]) : [];

export function bytesOf(node: BinaryNode | undefined): Uint8Array {
  if (node?.content instanceof Uint8Array) return node.content;
  throw new Error(`<${node?.tag ?? "nothing"}> has no bytes`);
}

export const silentLogger = {
  level: "silent",
  child: () => silentLogger,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
