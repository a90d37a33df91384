/** What the line protocol can do, and what an account is told. */
import type { AccountSettings, ChannelManifest } from "../../channels/port.ts";

export const manifest = {
  id: "lines",
  capabilities: {
    threads: false,
    edit: false,
    reactions: false,
    deletes: false,
    buttons: false,
    typing: false,
    nativeCommands: false,
    mentions: true,
    media: false,
  },
  text: { max: 1_000, unit: "utf16" },
  /** The server knows the keys of the last hour. */
  dedupesSendsMs: 3_600_000,
  typingMs: 0,
} as const satisfies ChannelManifest;

export interface LinesSettings extends AccountSettings {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}
