/** `channels.discord`. */
import * as z from "zod";
import { built, webAddress } from "./channel-keys.ts";
import { key, later } from "./note.ts";
import { anyMap, anyValue, secret } from "./values.ts";

const discordKeys = () => ({
  token: key(
    "Token of the bot. The default account may have it from DISCORD_BOT_TOKEN; the others inherit none.",
    secret().optional(),
  ),
  apiRoot: key(
    "Another server of Discord's API, without the version; https://discord.com/api by default. It says where its gateway is.",
    webAddress().optional(),
  ),
  guilds: later("rules of guilds", "Guilds that are served.", anyMap().optional()),
  slashCommand: later("ephemeral answers to commands", "How commands are answered.", anyMap().optional()),
  dm: later("older keys of Discord", "Use `dmPolicy` and `allowFrom`.", anyMap().optional()),
  replyToMode: later("reply modes", "Which answers are replies.", z.string().optional()),
  reactionNotifications: later("reactions", "Reactions that agents hear of.", anyValue()),
  ackReaction: later("reactions", "Reaction that says that a message arrived.", z.string().optional()),
  mediaMaxMb: later("attachments", "Size of a file.", z.number().optional()),
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

export const discord = () => built(discordKeys);
