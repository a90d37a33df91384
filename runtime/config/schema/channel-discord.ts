/** `channels.discord`. */
import * as z from "zod";
import { ackKeys, built, mediaMaxMb, reactionKeys, roomKeys, webAddress } from "./channel-keys.ts";
import { key, later } from "./note.ts";
import { anyMap, listOfSenders, platformId, secret } from "./values.ts";

/** Names change, and whoever may rename a channel would then decide who is served. */
const guildId = () =>
  z.string().regex(/^\s*(?:\*|\d{1,20})\s*$/, "must be the number that Discord shows with Copy ID, or *");

const heard = () => ({
  requireMention: key("Whether the agent answers only when it is mentioned; true by default.", z.boolean().optional()),
  users: key(
    "Senders that are heard, beside members with one of `roles`. Neither of both: those of `groupAllowFrom`.",
    listOfSenders().optional(),
  ),
  roles: key("Roles whose members are heard.", z.array(platformId()).optional()),
  ...roomKeys(),
});

const guild = () =>
  z.strictObject({
    ...heard(),
    slug: key("Name for people; nothing is found by it.", z.string().optional()),
    channels: key(
      "Channels that are served, by id; `*` = every other. Without it all of them are.",
      z
        .record(
          guildId(),
          z.strictObject({
            ...heard(),
            enabled: key("`false` shuts the channel out.", z.boolean().optional()),
            allow: key("As `enabled`, in older files.", z.boolean().optional()),
          }),
        )
        .optional(),
    ),
  });

const discordKeys = () => ({
  token: key(
    "Token of the bot. The default account may have it from DISCORD_BOT_TOKEN; the others inherit none.",
    secret().optional(),
  ),
  apiRoot: key(
    "Another server of Discord's API, without the version; https://discord.com/api by default. It says where its gateway is.",
    webAddress().optional(),
  ),
  guilds: key(
    "Guilds that are served, by id, with their rules; `*` = every other.",
    z.record(guildId(), guild()).optional(),
  ),
  slashCommand: later("ephemeral answers to commands", "How commands are answered.", anyMap().optional()),
  dm: later("older keys of Discord", "Use `dmPolicy` and `allowFrom`.", anyMap().optional()),
  replyToMode: later("reply modes", "Which answers are replies.", z.string().optional()),
  ...reactionKeys(),
  ...ackKeys(),
  mediaMaxMb,
  maxLinesPerMessage: later("lines of one message", "Lines of one sent message.", z.number().optional()),
  actions: later("message actions", "Actions of the message tool.", anyMap().optional()),
  proxy: later("network of channels", "Proxy.", z.string().optional()),
  retry: later("retries of one channel", "Attempts.", anyMap().optional()),
  intents: later("other intents of Discord", "What else the bot hears of.", anyMap().optional()),
  threadBindings: later("threads made for sub-agents", "Threads of sub-agents.", anyMap().optional()),
  execApprovals: later("approvals in Discord", "Who approves commands there.", anyMap().optional()),
  pluralkit: later("PluralKit", "Senders behind a proxy.", anyMap().optional()),
  status: later("presence of the bot", "What the bot is shown to do.", z.string().optional()),
  activity: later("presence of the bot", "What the bot is shown to do.", z.string().optional()),
  voice: later("voice of Discord", "Voice channels.", anyMap().optional()),
});

export const discord = () => built(discordKeys());
