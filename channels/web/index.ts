/**
 * The channel `web`: the operator's page. It has no platform and no client of its own; the edge thread serves the built
 * page (`scripts/build-page.ts`), and the page speaks the gateway's WebSocket protocol like any other client.
 */
import type { ChannelCapabilities } from "../port.ts";

export const manifest = {
  id: "web",
  /** The page shows answers as they grow, hence `typing`; the rest is not in what the page and the gateway exchange. */
  capabilities: {
    threads: false,
    edit: false,
    reactions: false,
    deletes: false,
    buttons: false,
    typing: true,
    nativeCommands: false,
    mentions: false,
    media: false,
  } satisfies ChannelCapabilities,
} as const;
