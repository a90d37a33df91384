/** `channels.*`: where messages come from. Source: behaviour §1.8, §2.4, §8. */
import * as z from "zod";
import { key, later } from "./note.ts";
import { anyMap, anyValue, filledText, listOfSenders, secret } from "./values.ts";

const admission = "channel admission rules";

/** What every channel has, at its root and again in each account. */
const commonKeys = () => ({
  dmPolicy: later(
    admission,
    "Who may write directly.",
    z.enum(["pairing", "allowlist", "open", "disabled"]).optional(),
  ),
  allowFrom: later(admission, "Senders that may write directly.", listOfSenders().optional()),
  groupPolicy: later(admission, "Which groups are served.", z.enum(["allowlist", "open", "disabled"]).optional()),
  groupAllowFrom: later(admission, "Senders that may write in groups.", listOfSenders().optional()),
  groups: later(admission, "Rules by group; `*` = every other.", z.record(z.string(), anyMap()).optional()),
  mentionPatterns: later(admission, "What counts as a mention.", anyMap().optional()),
  historyLimit: later("channel history", "Messages of a group kept as context.", z.int().nonnegative().optional()),
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
    telegram: platform("telegram"),
    discord: platform("discord"),
    slack: platform("slack"),
    signal: platform("signal"),
    imessage: platform("imessage"),
    bluebubbles: platform("bluebubbles"),
    irc: platform("irc"),
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
    defaults: later(
      "channel defaults",
      "What every channel inherits.",
      z
        .looseObject({
          groupPolicy: z.enum(["allowlist", "open", "disabled"]).optional(),
          contextVisibility: z.unknown().optional(),
          implicitMentions: anyMap().optional(),
          botLoopProtection: z.unknown().optional(),
          heartbeatVisibility: z.unknown().optional(),
        })
        .optional(),
    ),
    modelByChannel: later("model", "Model by channel.", anyMap().optional()),
  })
  .prefault({});
