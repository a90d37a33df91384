/** `channels.slack`. */
import * as z from "zod";
import { ackKeys, built, group, mediaMaxMb, reactionKeys, webAddress } from "./channel-keys.ts";
import { key, later } from "./note.ts";
import { anyMap, filledText, secret } from "./values.ts";

/** The command as people type it, without the slash. */
const commandName = () =>
  z.string().regex(/^[a-z0-9_-]{1,32}$/, "must be 1 to 32 of a-z, 0-9, _ and -, without the slash");

const slackKeys = () => ({
  mode: key(
    "`socket` (default): the account opens a connection, which needs `appToken`; `http`: Slack calls the gateway, which needs `signingSecret`.",
    z.enum(["socket", "http"]).optional(),
  ),
  botToken: key(
    "Token of the bot (xoxb-…). The default account may have it from SLACK_BOT_TOKEN; the others inherit none.",
    secret().optional(),
  ),
  appToken: key(
    "App-level token (xapp-…) with the scope connections:write. The default account may have it from SLACK_APP_TOKEN; the others inherit none.",
    secret().optional(),
  ),
  signingSecret: key(
    "By which calls of Slack are known. The default account may have it from SLACK_SIGNING_SECRET; the others inherit none.",
    secret().optional(),
  ),
  apiRoot: key("Another server of the Web API; https://slack.com/api by default.", webAddress().optional()),
  replyToMode: key(
    "Where an answer to a message goes that is in no thread: `off` (default) beside it, `first` = the first part of the answer below it, `all` = the conversation from then on below it, as a session of its own.",
    z.enum(["off", "first", "all"]).optional(),
  ),
  channels: key(
    "Channels that are served, with their rules, by their ids; `*` = every other. The same as `groups`, and before it.",
    z.record(filledText(), group()).optional(),
  ),
  slashCommand: key(
    "The command of the application.",
    z
      .strictObject({
        name: key(
          "Its name, without the slash; `cloister` by default. What follows it is the message.",
          commandName().optional(),
        ),
        enabled: later(
          "commands of channels",
          "Commands that an application has are always taken.",
          z.boolean().optional(),
        ),
        sessionPrefix: later("commands of channels", "A session of their own for commands.", z.string().optional()),
        ephemeral: later("commands of channels", "Answers that one person sees.", z.boolean().optional()),
      })
      .optional(),
  ),
  webhookPath: later("another path of the webhook", "Path of the webhook.", z.string().optional()),
  userToken: later("tokens of people", "Token of a person.", secret().optional()),
  userTokenReadOnly: later("tokens of people", "Whether it may write.", z.boolean().optional()),
  replyToModeByChatType: later("reply modes", "Where answers go, by the kind of conversation.", anyMap().optional()),
  thread: later("history of threads", "What a thread knows of its channel.", anyMap().optional()),
  dm: later("other names of rules", "Use dmPolicy and allowFrom.", anyMap().optional()),
  ...reactionKeys(),
  typingReaction: later("reactions", "A reaction while the agent works.", z.string().optional()),
  ...ackKeys(),
  actions: later("message actions", "Actions of the message tool.", anyMap().optional()),
  mediaMaxMb,
});

export const slack = () => built(slackKeys());
