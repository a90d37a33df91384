/** People with the app: each has keys of his own, and sessions with those he writes to, as the Signal protocol has them. */
import type { KeyData } from "../../channels/whatsapp/library.ts";
import type { ChannelAction } from "../../channels/port.ts";
import type { FileType } from "./whatsapp-files.ts";
import {
  type DeviceCreds,
  type Message,
  type SentFile,
  type SessionBundle,
  type Signal,
  silentLogger,
  type TestLibrary,
} from "./whatsapp-library.ts";

export type ChannelChange = Pick<ChannelAction, "messageId" | "change">;

export interface Person {
  readonly number: string;
  readonly name: string;
  /** By number, and by LID. */
  readonly jid: string;
  readonly lid: string;
  readonly creds: DeviceCreds;
  readonly signal: Signal;
  /** Devices and groups that he has a session with, or the key of. */
  readonly known: Set<string>;
  /** What others begin a session with; each has a key that is used once. */
  newBundle(): Promise<SessionBundle>;
}

export function makePerson(library: TestLibrary, number: string, lid: string, name: string): Person {
  const creds = library.initAuthCreds();
  const kept = new Map<string, unknown>();
  const store = {
    get: async (type: string, ids: readonly string[]) =>
      Object.fromEntries(ids.map((id) => [id, kept.get(`${type} ${id}`)])),
    set: async (data: KeyData) => {
      for (const [type, values] of Object.entries(data))
        for (const [id, value] of Object.entries(values)) kept.set(`${type} ${id}`, value ?? undefined);
    },
  };
  const keys = library.addTransactionCapability(store, silentLogger, { maxCommitRetries: 1, delayBetweenTriesMs: 0 });
  const signal = library.DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds, keys }, silentLogger, async () => []);
  let lastKey = 0;
  return {
    number,
    name,
    jid: `${number}@s.whatsapp.net`,
    lid: `${lid}@lid`,
    creds,
    signal,
    known: new Set(),
    async newBundle() {
      const id = ++lastKey;
      const pair = library.Curve.generateKeyPair();
      await keys.set({ "pre-key": { [String(id)]: pair } });
      const { keyPair, keyId, signature } = creds.signedPreKey;
      return {
        registrationId: creds.registrationId,
        identityKey: creds.signedIdentityKey.public,
        signedPreKey: { keyId, publicKey: keyPair.public, signature },
        preKey: { keyId: id, publicKey: pair.public },
      };
    },
  };
}

/** The file of a message, and by which kind it is sealed. */
export function readFile(message: Message): { readonly type: FileType; readonly file: SentFile } | undefined {
  const { imageMessage: image, videoMessage: video, audioMessage: audio, documentMessage: document } = message;
  if (image) return { type: "image", file: image };
  if (video) return { type: "video", file: video };
  if (audio) return { type: "audio", file: audio };
  return document ? { type: "document", file: document } : undefined;
}

/** What a message does to another one, as the app of `reader` understands it; undefined: nothing. */
export function readChange(message: Message): ChannelChange | undefined {
  const { reactionMessage: reaction, protocolMessage: protocol } = message;
  if (reaction) return { messageId: reaction.key?.id ?? "", change: { type: "react", emoji: reaction.text ?? "" } };
  if (!protocol) return undefined;
  const messageId = protocol.key?.id ?? "";
  if (protocol.type === 14)
    return { messageId, change: { type: "edit", text: readText(protocol.editedMessage ?? {})?.text ?? "" } };
  return protocol.type === 0 ? { messageId, change: { type: "remove" } } : undefined;
}

/** The text of a message, and what it quotes. */
export function readText(message: Message): { readonly text: string; readonly quotes?: string } | undefined {
  const { conversation, extendedTextMessage: extended } = message;
  const text = conversation || extended?.text;
  if (text === undefined || text === "") return undefined;
  const quotes = extended?.contextInfo?.stanzaId;
  return { text, ...(typeof quotes === "string" && quotes !== "" ? { quotes } : {}) };
}
