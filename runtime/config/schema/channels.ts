/** `channels.*`: where messages come from. Source: behaviour §1.8, §2.4, §8. */
import * as z from "zod";
import { key, later } from "./note.ts";
import { toolLists, toolsBySender } from "./tools.ts";
import { limits } from "../../kernel/limits.ts";
import { anyMap, anyValue, filledText, listOfSenders, platformId, secret } from "./values.ts";

const seconds = () => z.number().positive().max(86_400);

const botLoopProtection = () =>
  z.strictObject({
    enabled: key("`false` lets bots answer each other without end.", z.boolean().optional()),
    maxEventsPerWindow: key(
      "Messages of a pair in the window; 20 by default.",
      z.int().min(1).max(limits.botLoopEventsMax).optional(),
    ),
    windowSeconds: key("Length of the window; 60 by default.", seconds().optional()),
    cooldownSeconds: key("How long a pair that exceeds it is not heard; 60 by default.", seconds().optional()),
  });

const implicitMentions = () =>
  z.strictObject({
    replyToBot: key("A reply to the agent is a mention.", z.boolean().optional()),
    quotedBot: key("A quote of the agent is a mention.", z.boolean().optional()),
    threadParticipation: key("In a thread that it is part of, the agent is meant.", z.boolean().optional()),
  });

const group = () =>
  z.looseObject({
    enabled: key("`false` shuts the group out.", z.boolean().optional()),
    requireMention: key(
      "Whether the agent answers only when it is mentioned; true by default.",
      z.boolean().optional(),
    ),
    tools: key("Narrows the tools of turns that messages of this group begin.", toolLists().optional()),
    toolsBySender: toolsBySender(),
    skills: later("skills", "Skills in this group.", anyValue()),
    systemPrompt: later("model", "Prompt in this group.", z.string().optional()),
  });

/** What every channel has, at its root and again in each account. */
const commonKeys = () => ({
  dmPolicy: key(
    "Who may write directly. Default: `pairing`, which admits `allowFrom` and whom you approve (`cloister pairing`); on the webhook `open`, because the account's token admits.",
    z.enum(["pairing", "allowlist", "open", "disabled"]).optional(),
  ),
  allowFrom: key("Senders that may write directly; `*` = everybody.", listOfSenders().optional()),
  groupPolicy: key(
    "Which groups are served: those in `groups` (`allowlist`, the default), all, or none.",
    z.enum(["allowlist", "open", "disabled"]).optional(),
  ),
  groupAllowFrom: key("Senders that are heard in groups. Default: those of `allowFrom`.", listOfSenders().optional()),
  groups: key(
    "Groups that are served, with their rules; `*` = every other.",
    z.record(filledText(), group()).optional(),
  ),
  allowBots: key(
    'Whether other bots are heard: `true`, `false` (default), or `"mentions"` = when they mention the agent.',
    z.union([z.boolean(), z.literal("mentions")], { error: 'must be true, false or "mentions"' }).optional(),
  ),
  botLoopProtection: key("Ends conversations of bots that answer each other.", botLoopProtection().optional()),
  implicitMentions: key("What counts as a mention beside an @-mention.", implicitMentions().optional()),
  mentionPatterns: key(
    "Where the patterns of `groupChat.mentionPatterns` count.",
    z
      .strictObject({
        mode: key(
          "`allow` (default) = in every group but those of `denyIn`; `deny` = in those of `allowIn` alone.",
          z.enum(["allow", "deny"]).optional(),
        ),
        allowIn: key("Groups.", z.array(platformId()).optional()),
        denyIn: key("Groups.", z.array(platformId()).optional()),
      })
      .optional(),
  ),
  historyLimit: key(
    "Messages of a group kept as context; 0 keeps none. Default: `messages.groupChat.historyLimit`.",
    z.int().nonnegative().max(limits.roomHistoryMax).optional(),
  ),
  dmHistoryLimit: later(
    "channel history",
    "Messages of a direct chat kept as context.",
    z.int().nonnegative().optional(),
  ),
  textChunkLimit: later(
    "chunked answers",
    "Characters of one sent message; 4000 by default.",
    z.int().positive().optional(),
  ),
  streaming: later("streaming", "Answers as they are written.", anyValue()),
  responsePrefix: later("response prefix", "Text before each answer.", z.string().optional()),
  configWrites: later(
    "config writes from channels",
    "Whether the channel may change this file.",
    z.boolean().optional(),
  ),
  healthMonitor: later("channel health monitor", "Restart of silent connections.", anyMap().optional()),
  name: key("Name shown to people.", z.string().optional()),
});

const channelKeys = () => ({
  enabled: key("`false` keeps the channel off.", z.boolean().optional()),
  defaultAccount: key(
    "Account that is meant where none is named. Default: `default` if there is one, else the first by name.",
    filledText().optional(),
  ),
});

const accountEnabled = () => ({ enabled: key("`false` keeps the account off.", z.boolean().optional()) });

const webAddress = () => z.url({ protocol: /^https?$/, error: "must be an http or https address" });

const webhook = z.strictObject({
  ...commonKeys(),
  ...channelKeys(),
  accounts: key(
    "Callers, each with its own token.",
    z
      .record(
        filledText(),
        z.strictObject({
          ...commonKeys(),
          ...accountEnabled(),
          token: key("Credential of the caller; required.", secret().optional()),
          outboundUrl: key("Where answers go when the caller does not wait for them.", webAddress().optional()),
          outboundToken: key("Credential sent with those answers.", secret().optional()),
        }),
      )
      .default({}),
  ),
});

/** The keys of a channel, which its accounts inherit, and the accounts. */
const built = <K extends z.ZodRawShape>(own: () => K) =>
  z.strictObject({
    ...commonKeys(),
    ...chunkKeys(),
    ...own(),
    ...channelKeys(),
    accounts: key(
      "Logins of the channel; each inherits the channel's keys.",
      z
        .record(filledText(), z.strictObject({ ...commonKeys(), ...chunkKeys(), ...own(), ...accountEnabled() }))
        .default({}),
    ),
  });

const chunkKeys = () => ({
  textChunkLimit: key(
    "Characters of one sent message; 4000 by default, and never more than the platform takes.",
    z.int().min(100).max(limits.textChunkMax).optional(),
  ),
});

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
  customCommands: later("native commands of Telegram", "Commands in the menu.", anyValue()),
  replyToMode: later("reply modes", "Which answers are replies.", z.string().optional()),
  reactionNotifications: later("reactions", "Reactions that agents hear of.", anyValue()),
  reactionLevel: later("reactions", "Reactions that agents give.", anyValue()),
  linkPreview: later("link previews", "Whether links are previewed.", z.boolean().optional()),
  mediaMaxMb: later("attachments", "Size of a file.", z.number().optional()),
  actions: later("message actions", "Actions of the message tool.", anyMap().optional()),
  network: later("network of channels", "Addresses and proxies.", anyMap().optional()),
  proxy: later("network of channels", "Proxy.", z.string().optional()),
  timeoutSeconds: later("network of channels", "Time of one call.", z.number().optional()),
  retry: later("retries of one channel", "Attempts.", anyMap().optional()),
});

const ircText = () => z.string().regex(/^[^\s\p{Cc}]+$/u, "must be one word");

const ircKeys = () => ({
  host: key("Server.", filledText().optional()),
  port: key("Port; 6697 by default, without TLS 6667.", z.int().min(1).max(65_535).optional()),
  tls: key("`false` connects without TLS.", z.boolean().optional()),
  nick: key("Name of the account.", ircText().max(50).optional()),
  username: key("Name of the user; as the nick by default.", ircText().max(50).optional()),
  realname: key("What others are told of the user; as the nick by default.", filledText().max(200).optional()),
  password: key("Password of the server.", secret().optional()),
  nickserv: key(
    "Identifies the account with the network after login.",
    z
      .strictObject({
        enabled: key("`false`: it does not.", z.boolean().optional()),
        service: key("Who is told; NickServ by default.", ircText().optional()),
        account: key("Name of the registered account, where it is not the nick.", ircText().optional()),
        password: key("Its password.", secret().optional()),
      })
      .optional(),
  ),
  channels: key(
    'Rooms that are joined: "#name", or { name, password }.',
    z
      .array(
        z.union([ircRoom(), z.strictObject({ name: ircRoom(), password: secret().optional() })], {
          error: 'must be "#name" or { name: "#name", password }',
        }),
      )
      .max(limits.ircRoomsMax)
      .optional(),
  ),
  lineMs: key(
    "Milliseconds between two lines after the first five; 1000 by default. Servers end connections that write faster.",
    z.int().min(0).max(60_000).optional(),
  ),
});

const ircRoom = () => z.string().regex(/^[#&+!][^\s,\p{Cc}]{1,199}$/u, 'must be the name of a room, such as "#name"');

/** A platform's own keys (tokens, servers) belong to its channel, which is not built; what all share is checked. */
const platform = (name: string) =>
  later(
    `channel ${name}`,
    `Channel \`${name}\`.`,
    z
      .looseObject({
        ...commonKeys(),
        ...channelKeys(),
        accounts: key(
          "Logins of the channel.",
          z.record(filledText(), z.looseObject({ ...commonKeys(), ...accountEnabled() })).default({}),
        ),
      })
      .optional(),
  );

export const channels = z
  .strictObject({
    webhook: key("Messages over HTTP.", webhook.optional()),
    whatsapp: platform("whatsapp"),
    telegram: key("Bots of Telegram.", built(telegramKeys).optional()),
    discord: platform("discord"),
    slack: platform("slack"),
    signal: platform("signal"),
    imessage: platform("imessage"),
    bluebubbles: platform("bluebubbles"),
    irc: key("Networks of IRC.", built(ircKeys).optional()),
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
    modelByChannel: later("model", "Model by channel.", anyMap().optional()),
  })
  .prefault({});
