/** What Discord can do through this channel, and what an account is told. Source: behaviour §8; Discord's developer documentation. */
import type { AccountSettings, ChannelManifest } from "../port.ts";

export const manifest = {
  id: "discord",
  capabilities: {
    /** A thread of a guild's channel is a peer of its own, with the channel as its parent. */
    threads: true,
    edit: true,
    reactions: true,
    deletes: true,
    buttons: true,
    typing: true,
    nativeCommands: true,
    mentions: true,
    media: true,
  },
  /** Discord counts characters; UTF-16 code units are never fewer. */
  text: { max: 2_000, unit: "utf16" },
  /** By the nonce of a message: "in the past few minutes", of which two are counted on. */
  dedupesSendsMs: 120_000,
  /** Discord: "10 seconds". */
  typingMs: 10_000,
} as const satisfies ChannelManifest;

export interface DiscordSettings extends AccountSettings {
  readonly token: string;
  /** Discord's API, without version and slash at the end; it also tells where the gateway is. */
  readonly apiRoot: string;
  /** Where the account keeps up to where it has heard. */
  readonly heardFile: string;
}
