/** The channels that this version has, beside the webhook and the web page: by their names, without their code. */
import { type DiscordSettings, manifest as discord } from "./discord/manifest.ts";
import { manifest as irc, type IrcSettings } from "./irc/manifest.ts";
import type { ChannelManifest } from "./port.ts";
import { manifest as slack, type SlackSettings } from "./slack/manifest.ts";
import { manifest as telegram, type TelegramSettings } from "./telegram/manifest.ts";
import { manifest as whatsapp, type WhatsAppSettings } from "./whatsapp/manifest.ts";

export interface SettingsByChannel {
  readonly telegram: TelegramSettings;
  readonly discord: DiscordSettings;
  readonly slack: SlackSettings;
  readonly irc: IrcSettings;
  readonly whatsapp: WhatsAppSettings;
}

export type BuiltChannel = keyof SettingsByChannel;

export const builtChannels = { telegram, discord, slack, irc, whatsapp } as const satisfies Record<
  BuiltChannel,
  ChannelManifest
>;

export const isBuiltChannel = (channel: string): channel is BuiltChannel => Object.hasOwn(builtChannels, channel);

/** Where the configuration has it: what is no channel of this version is one of the operator's own. */
export const sectionOf = (channel: string): string =>
  isBuiltChannel(channel) ? `channels.${channel}` : `channels.modules.${channel}`;

export type AccountsOf<C extends BuiltChannel> = Readonly<Record<string, SettingsByChannel[C]>>;

/** By channel: its accounts that are configured and switched on. */
export type ChannelAccounts = { readonly [C in BuiltChannel]?: AccountsOf<C> };
