/** `channels.*`: where messages come from. Source: behaviour §1.8, §2.4, §8. */
import * as z from "zod";
import { discord } from "./channel-discord.ts";
import { irc } from "./channel-irc.ts";
import {
  accountEnabled,
  botLoopProtection,
  channelKeys,
  commonKeys,
  implicitMentions,
  webAddress,
} from "./channel-keys.ts";
import { ownChannels } from "./channel-own.ts";
import { slack } from "./channel-slack.ts";
import { telegram } from "./channel-telegram.ts";
import { whatsapp } from "./channel-whatsapp.ts";
import { key, later } from "./note.ts";
import { anyValue, filledText, secret } from "./values.ts";

const webhook = z.strictObject({
  ...commonKeys,
  ...channelKeys,
  accounts: key(
    "Callers, each with its own token.",
    z
      .record(
        filledText(),
        z.strictObject({
          ...commonKeys,
          ...accountEnabled,
          token: key("Credential of the caller; required.", secret().optional()),
          outboundUrl: key("Where answers go when the caller does not wait for them.", webAddress().optional()),
          outboundToken: key("Credential sent with those answers.", secret().optional()),
        }),
      )
      .default({}),
  ),
});

/** A platform's own keys (tokens, servers) belong to its channel, which is not built; what all share is checked. */
const platform = (name: string) =>
  later(
    `channel ${name}`,
    `Channel \`${name}\`.`,
    z
      .looseObject({
        ...commonKeys,
        ...channelKeys,
        accounts: key(
          "Logins of the channel.",
          z.record(filledText(), z.looseObject({ ...commonKeys, ...accountEnabled })).default({}),
        ),
      })
      .optional(),
  );

export const channels = z
  .strictObject({
    webhook: key("Messages over HTTP.", webhook.optional()),
    whatsapp: key("Phones of WhatsApp.", whatsapp().optional()),
    telegram: key("Bots of Telegram.", telegram().optional()),
    discord: key("Bots of Discord.", discord().optional()),
    slack: key("Applications of Slack.", slack().optional()),
    signal: platform("signal"),
    imessage: platform("imessage"),
    bluebubbles: platform("bluebubbles"),
    irc: key("Networks of IRC.", irc().optional()),
    line: platform("line"),
    googlechat: platform("googlechat"),
    mattermost: platform("mattermost"),
    matrix: platform("matrix"),
    "nextcloud-talk": platform("nextcloud-talk"),
    zalo: platform("zalo"),
    zalouser: platform("zalouser"),
    nostr: platform("nostr"),
    feishu: platform("feishu"),
    webchat: platform("webchat"),
    modules: key(
      "Channels of your own, by their names: modules that run in threads of their own (docs/guides/write-a-channel.md). What `channel.json` names under `settings` stands beside the keys that every channel has.",
      ownChannels().optional(),
    ),
    defaults: key(
      "What every channel inherits.",
      z
        .looseObject({
          groupPolicy: key("See a channel's own.", z.enum(["allowlist", "open", "disabled"]).optional()),
          implicitMentions: key("See a channel's own.", implicitMentions().optional()),
          botLoopProtection: key("See a channel's own.", botLoopProtection().optional()),
          contextVisibility: later("channel defaults", "Which quoted texts an agent sees.", anyValue()),
          heartbeatVisibility: later("heartbeat", "Whether heartbeats are shown.", anyValue()),
        })
        .optional(),
    ),
    modelByChannel: key(
      "Which model answers where, as channel → id of a room, a topic or a person, or `*` for the rest → `provider/model` or its alias. It takes the place of the agent's, whose fallbacks stay; what was chosen for the session goes before it.",
      z.record(filledText(), z.record(filledText(), filledText())).optional(),
    ),
  })
  .prefault({});
