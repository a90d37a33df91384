/** What Slack can do through this channel, and what an account is told. Source: behaviour §8; Slack's documentation of its Web API. */
import type { AccountSettings, ChannelManifest } from "../port.ts";

export const manifest = {
  id: "slack",
  capabilities: {
    threads: true,
    edit: true,
    reactions: true,
    deletes: true,
    buttons: true,
    /** Slack has it for its own assistants' view alone. */
    typing: false,
    nativeCommands: true,
    mentions: true,
    media: true,
  },
  /** What Slack advises. It cuts at 40,000, which a text reaches in no escaped form: `&` becomes five characters. */
  text: { max: 4_000, unit: "utf16" },
  dedupesSendsMs: 0,
  typingMs: 0,
} as const satisfies ChannelManifest;

export interface SlackSettings extends AccountSettings {
  readonly botToken: string;
  /** The Web API, without a slash at the end. */
  readonly apiRoot: string;
  /** How messages come: over a socket that the account opens, or by calls to the gateway's `/channels/slack/<account>`. */
  readonly transport:
    | { readonly type: "socket"; readonly appToken: string }
    | { readonly type: "http"; readonly signingSecret: string };
  /** Where an answer to a message of a channel goes that is in no thread: `off` beside it, `first` its first part, `all` the conversation from then on below it. */
  readonly replyToMode: "off" | "first" | "all";
  /** The command whose text is a message as it stands, without the slash. */
  readonly commandName: string;
}
