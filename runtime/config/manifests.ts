/** What each channel can do: those of this version, and the operator's own. */
import { builtChannels, isBuiltChannel } from "../../channels/built.ts";
import type { ChannelManifest } from "../../channels/port.ts";
import type { ResolvedConfig } from "./resolved.ts";

export type WithOwnChannels = Pick<ResolvedConfig, "ownChannels">;

/** Undefined: there is no such channel, or it has no thread (webhook, web). Names come from outside as well: `constructor` is none. */
export function findManifest({ ownChannels }: WithOwnChannels, channel: string): ChannelManifest | undefined {
  if (isBuiltChannel(channel)) return builtChannels[channel];
  return Object.hasOwn(ownChannels, channel) ? ownChannels[channel]?.manifest : undefined;
}
