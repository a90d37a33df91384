/** The public door for authors of channels: `import { defineChannel } from "cloister/channels"`. */
import { type ChannelDefinition } from "./own.ts";
import type { AccountSettings } from "./port.ts";

export { channelApi, type ChannelDefinition } from "./own.ts";
export type {
  AccountIdentity,
  AccountSettings,
  Button,
  ChannelAction,
  ChannelAdapter,
  ChannelCapabilities,
  ChannelHost,
  ChannelModule,
  InboundEvent,
  InboundMedia,
  InboundReaction,
  MediaKind,
  MenuCommand,
  OutboundFile,
  OutboundMessage,
  OutboundPart,
  Peer,
  PeerKind,
  Received,
  SendResult,
} from "./port.ts";

/**
 * Defines a channel. The default export of a channel's module is what this returns.
 *
 * ```ts
 * import { defineChannel } from "cloister/channels";
 * export default defineChannel<Settings>({ open: (settings, host) => connectTo(settings, host) });
 * ```
 *
 * @throws {TypeError} with `CLOISTER_MODULE_INVALID` in the message when the definition has no `open` function.
 */
export function defineChannel<Settings extends AccountSettings = AccountSettings>(
  definition: ChannelDefinition<Settings>,
): ChannelDefinition<Settings> {
  if (typeof definition?.open !== "function")
    throw new TypeError(
      "CLOISTER_MODULE_INVALID: defineChannel expects an object with a function `open(settings, host)`",
    );
  return definition;
}

/** What an adapter rejects with: `credential` is not tried again before the configuration is another one, `offline` is. */
export type ChannelErrorKind = "credential" | "offline";

/**
 * Why a connection did not come about, or was lost. Never put a credential into it: operators are shown it.
 *
 * @param remedy what somebody can do about it
 */
export class ChannelError extends Error {
  readonly code: "CLOISTER_CHANNEL_CREDENTIAL" | "CLOISTER_CHANNEL_OFFLINE";
  readonly remedy: string | undefined;

  constructor(kind: ChannelErrorKind, message: string, remedy?: string) {
    super(message);
    this.name = "ChannelError";
    this.code = kind === "credential" ? "CLOISTER_CHANNEL_CREDENTIAL" : "CLOISTER_CHANNEL_OFFLINE";
    this.remedy = remedy;
  }
}
