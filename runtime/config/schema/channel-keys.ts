/** Keys that channels share, at their root and again in each account. Source: behaviour §1.8, §2.4. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { isMap } from "../is-map.ts";
import { key, later } from "./note.ts";
import { toolLists, toolsBySender } from "./tools.ts";
import { anyMap, anyValue, filledText, listOfSenders, platformId } from "./values.ts";

const seconds = () => z.number().positive().max(86_400);

export const botLoopProtection = () =>
  z.strictObject({
    enabled: key("`false` lets bots answer each other without end.", z.boolean().optional()),
    maxEventsPerWindow: key(
      "Messages of a pair in the window; 20 by default.",
      z.int().min(1).max(limits.botLoopEventsMax).optional(),
    ),
    windowSeconds: key("Length of the window; 60 by default.", seconds().optional()),
    cooldownSeconds: key("How long a pair that exceeds it is not heard; 60 by default.", seconds().optional()),
  });

export const implicitMentions = () =>
  z.strictObject({
    replyToBot: key("A reply to the agent is a mention.", z.boolean().optional()),
    quotedBot: key("A quote of the agent is a mention.", z.boolean().optional()),
    threadParticipation: key("In a thread that it is part of, the agent is meant.", z.boolean().optional()),
  });

/** What counts for those who work in a room. */
export const roomKeys = () => ({
  tools: key("Narrows the tools of turns that messages there begin.", toolLists().optional()),
  toolsBySender: toolsBySender(),
  skills: key(
    "Names of the skills that an agent's model may use there, of those that it has; `[]` = none. Default: all of them.",
    z.array(filledText()).max(limits.roomSkillsMax).optional(),
  ),
  systemPrompt: key(
    "Said to an agent's model there, beside everything else.",
    z.string().max(limits.roomPromptCharsMax).optional(),
  ),
});

export const group = () =>
  z.looseObject({
    enabled: key("`false` shuts the group out.", z.boolean().optional()),
    requireMention: key(
      "Whether the agent answers only when it is mentioned; true by default.",
      z.boolean().optional(),
    ),
    users: key("Senders that are heard in this group; instead of `groupAllowFrom`.", listOfSenders().optional()),
    ...roomKeys(),
  });

/** What every channel has, at its root and again in each account. Made once: as schemas of their own they were half of the memory of all. */
export const commonKeys = {
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
  dmHistoryLimit: key(
    "Earlier messages to the agent in a direct chat that its model is shown, each with what followed it; 0 shows none. Default: all that the session has.",
    z.int().nonnegative().optional(),
  ),
  textChunkLimit: later(
    "chunked answers",
    "Characters of one sent message; 4000 by default.",
    z.int().positive().optional(),
  ),
  streaming: later("streaming", "Answers as they are written.", anyValue()),
  responsePrefix: key(
    "What answers begin with here, as `messages.responsePrefix`, which is the default; an empty text: nothing.",
    z.string().max(limits.responsePrefixCharsMax).optional(),
  ),
  configWrites: later(
    "config writes from channels",
    "Whether the channel may change this file.",
    z.boolean().optional(),
  ),
  healthMonitor: later("channel health monitor", "Restart of silent connections.", anyMap().optional()),
  name: key("Name shown to people.", z.string().optional()),
};

export const channelKeys = {
  enabled: key("`false` keeps the channel off.", z.boolean().optional()),
  defaultAccount: key(
    "Account that is meant where none is named. Default: `default` if there is one, else the first by name.",
    filledText().optional(),
  ),
};

export const accountEnabled = { enabled: key("`false` keeps the account off.", z.boolean().optional()) };

/** Of channels that tell of reactions. */
export const reactionKeys = () => ({
  reactionNotifications: key(
    "Reactions that agents hear of, each as a message: `off` (default), `own` = those to the account's own messages, `all`, or `allowlist` = those of `reactionAllowlist`.",
    z.enum(["off", "own", "all", "allowlist"]).optional(),
  ),
  reactionAllowlist: key(
    "Whose reactions are heard with `allowlist`; `*` = everybody's. Default: those of `allowFrom`.",
    listOfSenders().optional(),
  ),
});

/** How long a message waits for the next one of its sender. */
export const inboundDebounce = () => z.int().min(0).max(limits.heldMsMax);

export const webAddress = () => z.url({ protocol: /^https?$/, error: "must be an http or https address" });

const previewModes = ["off", "partial", "block", "progress"] as const;

export const mediaMaxMb = key(
  "Largest file that the account fetches or sends, in MiB. Default: 20 MB are fetched and 100 MB sent; never more than 100 MB, or than the platform takes.",
  z.number().positive().max(100).optional(),
);

const streaming = () =>
  z.union([z.enum(previewModes), z.looseObject({ mode: z.enum(previewModes).optional() })], {
    error: `must be one of ${previewModes.join(", ")}, or { mode: … }`,
  });

export const chunkKeys = {
  textChunkLimit: key(
    "Characters of one sent message; 4000 by default, and never more than the platform takes.",
    z.int().min(100).max(limits.textChunkMax).optional(),
  ),
  streaming: later(
    "streaming in other ways",
    "Whether an answer is shown while it is written, where the channel can edit its messages: `off` (default), `partial` as it comes, `block` by paragraphs, `progress`: which tools its turn has called, and none of its words. `{ mode }` is the same.",
    streaming().optional(),
    (value) => isMap(value) && Object.keys(value).some((name) => name !== "mode"),
  ),
  blockStreaming: key(
    "Whether answers go out in pieces while they are written, each a message that stays; then none is shown by edits. Default: `agents.defaults.blockStreamingDefault`.",
    z.boolean().optional(),
  ),
};

/** The keys of a channel, which its accounts inherit, and the accounts. */
export const built = <K extends z.ZodRawShape>(own: K) =>
  z.strictObject({
    ...commonKeys,
    ...chunkKeys,
    ...own,
    ...channelKeys,
    accounts: key(
      "Logins of the channel; each inherits the channel's keys.",
      z.record(filledText(), z.strictObject({ ...commonKeys, ...chunkKeys, ...own, ...accountEnabled })).default({}),
    ),
  });

export type Streaming = z.infer<ReturnType<typeof streaming>>;

export const ackEmoji = () => z.string().max(limits.ackEmojiCharsMax);

/** Of channels that can react. */
export const ackKeys = () => ({
  ackReaction: key(
    "As `messages.ackReaction`, or with where it is used instead of `messages.ackReactionScope`: `{ emoji, direct, group }`, by default in direct chats and where a group mentions the agent.",
    z
      .union(
        [
          ackEmoji(),
          z.strictObject({
            emoji: ackEmoji().optional(),
            direct: z.boolean().optional(),
            group: z.enum(["always", "mentions", "never"]).optional(),
          }),
        ],
        { error: 'must be an emoji, or { emoji, direct, group: "always" | "mentions" | "never" }' },
      )
      .optional(),
  ),
});
