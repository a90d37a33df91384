/** Entry of a channel's thread: the adapters of its accounts, and their credentials, are here and nowhere else. */
import { setTimeout as pause } from "node:timers/promises";
import { type BuiltChannel, isBuiltChannel, type SettingsByChannel } from "../../channels/built.ts";
import type { AccountSettings, ChannelModule } from "../../channels/port.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeSecretReader } from "../broker/secret-refs.ts";
import { serveAccounts } from "./accounts.ts";
import { loadOwn } from "./load-own.ts";
import type { ChannelInit, KernelForChannel } from "./port.ts";
import { withSecrets } from "./with-secrets.ts";

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

async function start({ channel: name, own, accounts, stateDir, menu }: ChannelInit, remote: KernelForChannel) {
  const channel = own === undefined ? await loadBuilt(name) : await loadOwn(own);
  // Variables are texts by now: the main thread has them.
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  const served = serveAccounts(
    withSecrets(channel, secrets),
    accounts,
    remote,
    {
      nowMs: () => Date.now(),
      random: () => Math.random(),
      pause: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
    },
    menu,
  );
  return {
    ...served,
    readSecrets() {
      // Once for all accounts: several may ask the same program.
      secrets.forget();
      return served.readSecrets();
    },
  };
}

/** Settings are what the configuration made for this channel. */
async function loadBuilt(name: string): Promise<ChannelModule<AccountSettings>> {
  if (!isBuiltChannel(name)) throw new TypeError(`there is no channel ${JSON.stringify(name)}`);
  return (await modules[name]()).channel as ChannelModule<AccountSettings>;
}

serveTrustedThread<ChannelInit, KernelForChannel>(start);
