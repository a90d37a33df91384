/** Entry of a channel's thread: the adapters of its accounts, and their credentials, are here and nowhere else. */
import { setTimeout as pause } from "node:timers/promises";
import type { BuiltChannel, SettingsByChannel } from "../../channels/built.ts";
import type { ChannelModule } from "../../channels/port.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { serveAccounts } from "./accounts.ts";
import type { ChannelInit, KernelForChannel } from "./port.ts";

/** Loaded in the thread of the channel that is configured, so that no other costs anything. */
const modules: {
  readonly [C in BuiltChannel]: () => Promise<{ readonly channel: ChannelModule<SettingsByChannel[C]> }>;
} = {
  telegram: () => import("../../channels/telegram/index.ts"),
  discord: () => import("../../channels/discord/index.ts"),
  slack: () => import("../../channels/slack/index.ts"),
  irc: () => import("../../channels/irc/index.ts"),
  whatsapp: () => import("../../channels/whatsapp/index.ts"),
};

async function start<C extends BuiltChannel>(
  { channel: name, accounts, menu }: ChannelInit<C>,
  remote: KernelForChannel,
) {
  const { channel } = await modules[name]();
  return serveAccounts(
    channel,
    accounts,
    remote,
    {
      nowMs: () => Date.now(),
      random: () => Math.random(),
      pause: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
    },
    menu,
  );
}

serveTrustedThread<ChannelInit, KernelForChannel>(start);
