/**
 * The webhook channel: programs post messages to `/channels/webhook/<account>` and get the answer in the response, or at
 * the account's `outboundUrl`. This is its door; nothing else of the folder is imported from outside.
 */
import type { ChannelCapabilities } from "../port.ts";

export const manifest = {
  id: "webhook",
  /** Where messages come in; the account follows. */
  inboundPath: "/channels/webhook/",
  capabilities: {
    threads: true,
    edit: false,
    reactions: false,
    deletes: false,
    buttons: false,
    typing: false,
    nativeCommands: false,
    /** The caller tells, if it knows. */
    mentions: true,
    media: false,
  } satisfies ChannelCapabilities,
} as const;

export { type ClientTools, makeWebhookClient, type WebhookAccountTarget, type WebhookClient } from "./client.ts";
export { parseInbound } from "./inbound.ts";
export { formatOutbound } from "./outbound.ts";
