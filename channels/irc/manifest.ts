/** What IRC can do through this channel, and what an account is told. Source: behaviour §8, RFC 2812. */
import type { AccountSettings, ChannelManifest } from "../port.ts";

export const manifest = {
  id: "irc",
  capabilities: {
    threads: false,
    edit: false,
    reactions: false,
    deletes: false,
    buttons: false,
    typing: false,
    nativeCommands: false,
    /** The nick, as a word of the text. */
    mentions: true,
    media: false,
  },
  /** A line is 512 bytes with its sender, command, target and line end; what is left is sure to fit (RFC 2812 §2.3). */
  text: { max: 350, unit: "utf8" },
  dedupesSendsMs: 0,
  typingMs: 0,
  /** A nick is taken by whoever comes first; services that guard it are the network's own matter. */
  sendersAreNames: true,
  offersOnce: true,
} as const satisfies ChannelManifest;

export interface IrcSettings extends AccountSettings {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly nick: string;
  readonly username: string;
  readonly realname: string;
  /** Of the server. */
  readonly password?: string;
  readonly nickserv?: { readonly service: string; readonly account?: string; readonly password: string };
  /** Joined after login, with their keys. */
  readonly channels: readonly { readonly name: string; readonly key?: string }[];
  /** Pause between lines, in milliseconds, after the first five: servers end connections that send faster. */
  readonly lineMs: number;
}
