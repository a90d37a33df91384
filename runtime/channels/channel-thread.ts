/** Entry of a channel's thread: the adapters of its accounts, and their credentials, are here and nowhere else. */
import { setTimeout as pause } from "node:timers/promises";
import type { BuiltChannel, SettingsByChannel } from "../../channels/built.ts";
import type { AccountSettings, ChannelModule } from "../../channels/port.ts";
import type { WithReferences } from "../broker/port.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeSecretReader } from "../broker/secret-refs.ts";
import { serveAccounts } from "./accounts.ts";
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

async function start<C extends BuiltChannel>(
  { channel: name, accounts, stateDir, menu }: ChannelInit<C>,
  remote: KernelForChannel,
) {
  const { channel } = await modules[name]();
  // Variables are texts by now: the main thread has them.
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  const served = serveAccounts(
    withSecrets<SettingsByChannel[C]>(channel, secrets),
    accounts as Readonly<Record<string, WithReferences<SettingsByChannel[C]> & AccountSettings>>,
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

serveTrustedThread<ChannelInit, KernelForChannel>(start);
