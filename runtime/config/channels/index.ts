/** Accounts of the channels that this version has, as their threads are told of them. A channel adds its reader to `readers`. */
import type { BuiltChannel, ChannelAccounts, SettingsByChannel } from "../../../channels/built.ts";
import type { WithReferences } from "../../broker/port.ts";
import type { AccountResults } from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import type { ConfigWarning } from "../resolved.ts";
import { readDiscord } from "./discord.ts";
import { readIrc } from "./irc.ts";
import { lintOwnChannels } from "./own.ts";
import { readSlack } from "./slack.ts";
import { readTelegram } from "./telegram.ts";
import { readWhatsApp } from "./whatsapp.ts";

const readers: {
  readonly [C in BuiltChannel]: (draft: Draft) => AccountResults<WithReferences<SettingsByChannel[C]>>;
} = {
  telegram: readTelegram,
  discord: readDiscord,
  slack: readSlack,
  irc: readIrc,
  whatsapp: readWhatsApp,
};

export function resolveChannels(draft: Draft): WithReferences<ChannelAccounts> {
  const found = Object.entries(readers).map(([channel, read]) => [channel, usableOf(read(draft))] as const);
  return Object.fromEntries(found.filter(([, accounts]) => Object.keys(accounts).length > 0));
}

/** What is configured and cannot be used. */
export function lintChannels(draft: Draft): ConfigWarning[] {
  return [
    ...Object.values(readers).flatMap((read) =>
      read(draft).flatMap(([, found]) => ("warning" in found ? [found.warning] : [])),
    ),
    ...lintOwnChannels(draft),
  ];
}

function usableOf(found: AccountResults<object>): Readonly<Record<string, object>> {
  return Object.fromEntries(found.flatMap(([id, one]) => ("settings" in one ? [[id, one.settings] as const] : [])));
}
