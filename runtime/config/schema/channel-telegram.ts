/** `channels.telegram`. */
import * as z from "zod";
import { ackKeys, built, mediaMaxMb, reactionKeys, webAddress } from "./channel-keys.ts";
import { key, later } from "./note.ts";
import { anyMap, anyValue, secret } from "./values.ts";

const telegramKeys = () => ({
  botToken: key(
    "Token of the bot, from @BotFather. The default account may have it from TELEGRAM_BOT_TOKEN; the others inherit none.",
    secret().optional(),
  ),
  apiRoot: key("Another server of the Bot API; https://api.telegram.org by default.", webAddress().optional()),
  webhookUrl: key(
    "Where Telegram finds the gateway's `/channels/telegram/<account>` from outside. Without it the bot asks for its messages.",
    webAddress().optional(),
  ),
  webhookSecret: key(
    "What Telegram shows with each call: 1 to 256 letters, digits, `_` and `-`. Needed with `webhookUrl`.",
    secret().optional(),
  ),
  tokenFile: later("secrets in files", "File with the token.", z.string().optional()),
  webhookPath: later("another path of the webhook", "Path of the webhook.", z.string().optional()),
  customCommands: later("entries of one's own in Telegram's menu", "Further commands in the menu.", anyValue()),
  replyToMode: later("reply modes", "Which answers are replies.", z.string().optional()),
  ...reactionKeys(),
  ...ackKeys(),
  reactionLevel: later("reactions", "Reactions that agents give.", anyValue()),
  linkPreview: later("link previews", "Whether links are previewed.", z.boolean().optional()),
  mediaMaxMb,
  actions: later("message actions", "Actions of the message tool.", anyMap().optional()),
  network: later("network of channels", "Addresses and proxies.", anyMap().optional()),
  proxy: later("network of channels", "Proxy.", z.string().optional()),
  timeoutSeconds: later("network of channels", "Time of one call.", z.number().optional()),
  retry: later("retries of one channel", "Attempts.", anyMap().optional()),
});

export const telegram = () => built(telegramKeys());
