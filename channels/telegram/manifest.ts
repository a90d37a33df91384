/** What Telegram can do through this channel, and what an account is told. Source: behaviour §8; the Bot API's documentation. */
import type { AccountSettings, ChannelManifest } from "../port.ts";

export const manifest = {
  id: "telegram",
  capabilities: {
    /** Topics of forums are peers of their own; topics of direct chats are threads. */
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
  text: { max: 4_096, unit: "utf16" },
  dedupesSendsMs: 0,
  /** The Bot API: "5 seconds or less". */
  typingMs: 5_000,
} as const satisfies ChannelManifest;

export interface TelegramSettings extends AccountSettings {
  readonly botToken: string;
  /** Another server of the Bot API, without a slash at the end. */
  readonly apiRoot: string;
  /** Absent: the account asks for its messages (long polling). */
  readonly webhook?: {
    /** Where Telegram finds the gateway's `/channels/telegram/<account>`. */
    readonly url: string;
    readonly secret: string;
  };
}
