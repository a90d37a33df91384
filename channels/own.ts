/**
 * Channels that are no part of this version: a folder of the operator with a module, and a `channel.json` beside it that says what the channel can
 * do, so that nothing of its code has to run before that is known (docs/guides/write-a-channel.md).
 */
import type { AccountSettings, ChannelAdapter, ChannelHost, ChannelManifest } from "./port.ts";

/**
 * The version of what a channel's module and its `channel.json` may rely on. It grows with what would break a module that was written before;
 * what is merely added changes nothing.
 */
export const channelApi = 1;

/** The default export of a channel's module. */
export interface ChannelDefinition<Settings extends AccountSettings> {
  /** As `ChannelModule.open`. */
  readonly open: (settings: Settings, host: ChannelHost) => ChannelAdapter;
}

/** A channel of `channels.modules`. */
export interface OwnChannel {
  /** The file of its module, absolute. */
  readonly module: string;
  readonly manifest: ChannelManifest;
}
