/**
 * What an operator says about who may write to an account, and in which groups: complete, every default filled in. The config
 * writes it (`runtime/config/groups.ts`), `admission.ts` and `mentions.ts` read it. Source: behaviour §1.8, §2.7.
 */

import type { ToolLists } from "../../auth/tool-policy.ts";
import type { ToldRoom } from "../kernel/session-choices.ts";

export type DmPolicy = "pairing" | "allowlist" | "open" | "disabled";
export type GroupPolicy = "allowlist" | "open" | "disabled";

/** Where each rule is written, or would be: what a refusal names. */
export type RuleName =
  | "dmPolicy"
  | "allowFrom"
  | "groupPolicy"
  | "groupAllowFrom"
  | "groups"
  | "guilds"
  | "allowBots"
  | "botLoopProtection"
  | "implicitMentions"
  | "mentionPatterns"
  | "historyLimit";

/** What is written about a room for those who work there. */
export interface RoomRule {
  /** Narrow what its messages may make an agent do (`auth/tool-policy.ts`). */
  readonly tools?: ToolLists;
  readonly toolsBySender?: Readonly<Record<string, ToolLists>>;
  /** What a model is told there; absent: nothing is written. */
  readonly told?: ToldRoom;
}

export interface GroupRule extends RoomRule {
  readonly enabled: boolean;
  /** Normalised senders that are heard in it, instead of those of `groupAllowFrom`; `*` is everybody. */
  readonly users?: readonly string[];
  /** Absent: that of `*`, else true. */
  readonly requireMention?: boolean;
}

/** Who is heard in a guild, or in one of its channels: whoever is in one of both lists. Absent: `groupAllowFrom` and what follows it. */
interface GuildSenders {
  /** Normalised. */
  readonly users?: readonly string[];
  readonly roles?: readonly string[];
}

export interface GuildChannelRule extends GuildSenders, RoomRule {
  readonly enabled: boolean;
  readonly requireMention?: boolean;
}

export interface GuildRule extends GuildSenders, RoomRule {
  readonly requireMention?: boolean;
  /** By id, and `*`. Absent: every channel. */
  readonly channels?: Readonly<Record<string, GuildChannelRule>>;
}

export interface BotBudget {
  readonly enabled: boolean;
  readonly events: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
}

export interface AccountRules {
  readonly dmPolicy: DmPolicy;
  /** Normalised senders; `*` is everybody. Absent: not written. */
  readonly allowFrom?: readonly string[];
  readonly groupPolicy: GroupPolicy;
  readonly groupAllowFrom?: readonly string[];
  /** By room id in its compared form, and `*`. */
  readonly groups: Readonly<Record<string, GroupRule>>;
  /** By id of the guild, and `*`; of platforms that have guilds. */
  readonly guilds?: Readonly<Record<string, GuildRule>>;
  readonly allowBots: boolean | "mentions";
  readonly botBudget: BotBudget;
  readonly implicitMentions: {
    readonly replyToBot: boolean;
    readonly quotedBot: boolean;
    readonly threadParticipation: boolean;
  };
  /** Where patterns count: `allow` = everywhere but in `denyIn`, `deny` = only in `allowIn`. */
  readonly patternScope: {
    readonly mode: "allow" | "deny";
    readonly allowIn: readonly string[];
    readonly denyIn: readonly string[];
  };
  readonly historyLimit: number;
  /** Earlier messages of a direct chat that a model is shown; absent: all that its session has. */
  readonly dmHistoryLimit?: number;
  /** So long a message waits for the next one of its sender; 0: not at all. */
  readonly debounceMs: number;
  readonly keys: Readonly<Record<RuleName, string>>;
}

/** One conversation whose messages go to several agents. Source: behaviour §2.8. */
export interface BroadcastEntry {
  /** As the config names it. */
  readonly key: string;
  readonly channel: string;
  /** Compared form. */
  readonly peerId: string;
  readonly agents: readonly string[];
  /** Whether an explicit mention of some agents leaves the others out. */
  readonly mentionGating: boolean;
  readonly maxRounds: number;
  readonly maxTurns: number;
  readonly strategy: "parallel" | "sequential";
  /** Whose replies have whom answer in a later round. An agent that is no key here: everybody. */
  readonly triggers: Readonly<Record<string, readonly string[]>>;
}

export interface GroupsConfig {
  /** Channel → account → rules; the account `*` has those of accounts that are not named. */
  readonly accounts: Readonly<Record<string, Readonly<Record<string, AccountRules>>>>;
  /** Of a channel without a section. */
  readonly fallback: AccountRules;
  readonly broadcast: { readonly entries: readonly BroadcastEntry[] };
  /** `messages.groupChat.mentionPatterns`; absent: each agent's are derived from its identity. */
  readonly mentionPatterns?: readonly string[];
}

/** What one agent says about groups. */
export interface AgentGroupChat {
  readonly mentionPatterns?: readonly string[];
  /** Messages of a group that it is given at the most. */
  readonly historyLimit?: number;
  /** What patterns are derived from. */
  readonly identity?: { readonly name?: string; readonly emoji?: string };
}

export function findRules(config: GroupsConfig, channel: string, accountId: string): AccountRules {
  const accounts = Object.hasOwn(config.accounts, channel) ? config.accounts[channel] : undefined;
  if (accounts === undefined) return config.fallback;
  return (Object.hasOwn(accounts, accountId) ? accounts[accountId] : accounts["*"]) ?? config.fallback;
}

/** Platforms that write ids with another prefix than the channel's name. Source: behaviour §8. */
const prefixes: Readonly<Record<string, readonly string[]>> = { telegram: ["tg"] };

/** A sender as lists name it: trimmed, in lower case, without the channel's prefix. */
export function normalizeSender(channel: string, id: string): string {
  const text = id.trim().toLowerCase();
  for (const prefix of [channel, ...(prefixes[channel] ?? [])])
    if (text.startsWith(`${prefix}:`)) return text.slice(prefix.length + 1).trim();
  return text;
}
