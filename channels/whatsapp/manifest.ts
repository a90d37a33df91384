/** What WhatsApp can do through this channel, and what an account is told. Source: behaviour §8. */
import type { AccountSettings, ChannelManifest } from "../port.ts";

export const manifest = {
  id: "whatsapp",
  capabilities: {
    threads: false,
    /** The apps show a changed text when it comes within some fifteen minutes, and take a message away within two days. */
    edit: true,
    reactions: true,
    deletes: true,
    buttons: false,
    typing: true,
    nativeCommands: false,
    mentions: true,
    media: true,
  },
  /** The apps cut a text above it. */
  text: { max: 65_536, unit: "utf16" },
  /** A repeated text has the id of the first one, by which the apps know it; but WhatsApp promises nothing. */
  dedupesSendsMs: 0,
  /** The apps show it for some 25 seconds. */
  typingMs: 10_000,
  linksByCode: true,
} as const satisfies ChannelManifest;

/** The library is not a part of Cloister (ADR on WhatsApp): the operator installs it, in the version that was tested. */
export const library = { name: "baileys", version: "7.0.0-rc14" } as const;

export interface WhatsAppSettings extends AccountSettings {
  /** Folder of the login of the account. Absolute. */
  readonly authDir: string;
  /** Where the library was installed: the folder that has its `node_modules`. Absolute. */
  readonly libraryDir: string;
  /** Whether people see that their messages were read, once an agent is at work on them. */
  readonly readReceipts: boolean;
  /** Where WhatsApp is; the library's own address when it is absent. */
  readonly socketUrl?: string;
}
