/** Who may write to which account, and which groups have several agents, with every default filled in. Source: behaviour §1.8, §2.7, §2.8. */
import type {
  AccountRules,
  AgentGroupChat,
  BroadcastEntry,
  GroupRule,
  GuildRule,
  GroupsConfig,
  RoomRule,
  RuleName,
} from "../groups/index.ts";
import { normalizeSender } from "../groups/index.ts";
import { limits } from "../kernel/limits.ts";
import { normalizeAccountId, normalizeAgentId } from "../routing/ids.ts";
import { roomCase } from "../routing/session-key.ts";
import { type ChannelSection, listChannels } from "./accounts.ts";
import { formatPath } from "./issue.ts";
import type { Config } from "./schema.ts";
import type { AgentEntry } from "./schema/agents.ts";
import { channels as channelsSchema } from "./schema/channels.ts";
import { resolveSenderTools, resolveToolLists } from "./tool-rules.ts";
import { findShape, unwrap } from "./schema/note.ts";

/** Stands for the name of a channel without a section, as messages write it. */
const anyChannel = "<channel>";

/** The channel whose accounts are opened by a token of their own: who has it says who the sender is. */
const tokenChannel = "webhook";

type Section = Config["channels"]["webhook"] & object;
type WrittenGuilds = NonNullable<NonNullable<Config["channels"]["discord"]>["guilds"]>;
/** What the rules are made from; an account's own keys come before its channel's. */
type RuleKeys = Pick<Section, Exclude<RuleName, "guilds"> | "dmHistoryLimit"> & {
  readonly debounceMs?: number | undefined;
  readonly guilds?: WrittenGuilds | undefined;
};

/** As Slack calls its rooms, and its configuration with it. */
const roomKey = "channels";

type NamedRooms = RuleKeys & { readonly [roomKey]: NonNullable<RuleKeys["groups"]> };

const namesRooms = (channel: string, keys: RuleKeys): keys is NamedRooms =>
  channel === "slack" && Reflect.get(keys, roomKey) !== undefined;

/** Under both names of the key; the platform's own comes first. */
const roomsOf = (channel: string, keys: RuleKeys): RuleKeys["groups"] =>
  namesRooms(channel, keys) ? { ...keys.groups, ...keys[roomKey] } : keys.groups;

export function resolveGroups(config: Config): GroupsConfig {
  const accounts: Record<string, Record<string, AccountRules>> = {};
  for (const at of listChannels(config)) {
    const { channel, section } = at;
    const rules: Record<string, AccountRules> = { "*": resolveRules(config, at, section, undefined) };
    for (const [name, own] of Object.entries<RuleKeys>(section.accounts))
      rules[normalizeAccountId(name)] = resolveRules(config, at, section, { name, own });
    accounts[channel] = rules;
  }
  const patterns = config.messages?.groupChat?.mentionPatterns;
  return {
    accounts,
    fallback: resolveRules(config, { channel: anyChannel, path: ["channels", anyChannel] }, {}, undefined),
    broadcast: {
      entries: listBroadcasts(config).flatMap(({ key, entry, channel, peerId }) =>
        channel === undefined
          ? []
          : [resolveBroadcast(key, entry, channel, peerId, config.broadcast?.strategy ?? "parallel")],
      ),
    },
    ...(patterns === undefined ? {} : { mentionPatterns: patterns }),
  };
}

function resolveRules(
  config: Config,
  { channel, path: at }: Pick<ChannelSection, "channel" | "path">,
  section: RuleKeys,
  account: { readonly name: string; readonly own: RuleKeys } | undefined,
): AccountRules {
  const defaults = config.channels.defaults ?? {};
  const own: RuleKeys = account?.own ?? {};
  // Other platforms have no guilds, and what their sections hold under this name was not checked.
  const guilds = channel === "discord" ? (own.guilds ?? section.guilds) : undefined;
  const keyOf = (name: string): string =>
    channel === anyChannel
      ? `channels.${anyChannel}.${name}`
      : formatPath(
          account !== undefined && Reflect.get(own, name) !== undefined
            ? [...at, "accounts", account.name, name]
            : [...at, name],
        );
  const bots = { ...defaults.botLoopProtection, ...section.botLoopProtection, ...own.botLoopProtection };
  const implicit = { ...defaults.implicitMentions, ...section.implicitMentions, ...own.implicitMentions };
  const scope = { ...section.mentionPatterns, ...own.mentionPatterns };
  const allowFrom = own.allowFrom ?? section.allowFrom;
  const groupAllowFrom = own.groupAllowFrom ?? section.groupAllowFrom;
  const dmHistoryLimit = own.dmHistoryLimit ?? section.dmHistoryLimit;
  const senders = (ids: readonly string[]) => ids.map((id) => normalizeSender(channel, id));
  const rooms = (ids: readonly string[] = []) => ids.map((id) => roomCase(channel, id));
  return {
    dmPolicy: own.dmPolicy ?? section.dmPolicy ?? (channel === tokenChannel ? "open" : "pairing"),
    ...(allowFrom === undefined ? {} : { allowFrom: senders(allowFrom) }),
    groupPolicy: own.groupPolicy ?? section.groupPolicy ?? defaults.groupPolicy ?? "allowlist",
    ...(groupAllowFrom === undefined ? {} : { groupAllowFrom: senders(groupAllowFrom) }),
    groups: resolveGroupRules(channel, roomsOf(channel, own) ?? roomsOf(channel, section) ?? {}),
    ...(guilds === undefined ? {} : { guilds: resolveGuildRules(channel, guilds) }),
    allowBots: own.allowBots ?? section.allowBots ?? false,
    botBudget: {
      enabled: bots.enabled ?? true,
      events: bots.maxEventsPerWindow ?? limits.botLoopEvents,
      windowMs: bots.windowSeconds === undefined ? limits.botLoopWindowMs : bots.windowSeconds * 1000,
      cooldownMs: bots.cooldownSeconds === undefined ? limits.botLoopCooldownMs : bots.cooldownSeconds * 1000,
    },
    implicitMentions: {
      replyToBot: implicit.replyToBot ?? true,
      quotedBot: implicit.quotedBot ?? true,
      threadParticipation: implicit.threadParticipation ?? true,
    },
    patternScope: { mode: scope.mode ?? "allow", allowIn: rooms(scope.allowIn), denyIn: rooms(scope.denyIn) },
    historyLimit:
      own.historyLimit ?? section.historyLimit ?? config.messages?.groupChat?.historyLimit ?? limits.roomHistoryDefault,
    ...(dmHistoryLimit === undefined ? {} : { dmHistoryLimit }),
    debounceMs: resolveDebounce(config, channel, own, section),
    keys: {
      dmPolicy: keyOf("dmPolicy"),
      allowFrom: keyOf("allowFrom"),
      groupPolicy: keyOf("groupPolicy"),
      groupAllowFrom: keyOf("groupAllowFrom"),
      groups: keyOf([own, section].some((keys) => namesRooms(channel, keys)) ? roomKey : "groups"),
      guilds: keyOf("guilds"),
      allowBots: keyOf("allowBots"),
      botLoopProtection: keyOf("botLoopProtection"),
      implicitMentions: keyOf("implicitMentions"),
      mentionPatterns: keyOf("mentionPatterns"),
      historyLimit: keyOf("historyLimit"),
    },
  };
}

function resolveDebounce({ messages }: Config, channel: string, own: RuleKeys, section: RuleKeys): number {
  const { debounceMs = 0, byChannel = {} } = messages?.inbound ?? {};
  const named = Object.entries(byChannel).find(([name]) => name.trim().toLowerCase() === channel);
  // Other platforms have no such key, and what their sections hold under this name was not checked.
  const written = channel === "whatsapp" ? (own.debounceMs ?? section.debounceMs) : undefined;
  return written ?? named?.[1] ?? debounceMs;
}

function resolveGroupRules(channel: string, groups: NonNullable<RuleKeys["groups"]>): Record<string, GroupRule> {
  return Object.fromEntries(
    Object.entries(groups).map(
      ([id, { enabled, requireMention, users, tools, toolsBySender, systemPrompt, skills }]) => [
        id.trim() === "*" ? "*" : roomCase(channel, id),
        {
          enabled: enabled ?? true,
          ...(users === undefined ? {} : { users: users.map((sender) => normalizeSender(channel, sender)) }),
          ...(requireMention === undefined ? {} : { requireMention }),
          ...roomRuleOf({ tools, toolsBySender, systemPrompt, skills }),
        },
      ],
    ),
  );
}

type WrittenRoom = Pick<NonNullable<RuleKeys["groups"]>[string], "tools" | "toolsBySender" | "systemPrompt" | "skills">;

function roomRuleOf({ tools, toolsBySender, systemPrompt, skills }: WrittenRoom): RoomRule {
  const prompt = systemPrompt?.trim() ?? "";
  return {
    ...(tools === undefined ? {} : { tools: resolveToolLists(tools) }),
    ...(toolsBySender === undefined ? {} : { toolsBySender: resolveSenderTools(toolsBySender) ?? {} }),
    ...(prompt === "" && skills === undefined
      ? {}
      : { told: { ...(prompt === "" ? {} : { systemPrompt: prompt }), ...(skills === undefined ? {} : { skills }) } }),
  };
}

function resolveGuildRules(channel: string, guilds: WrittenGuilds): Record<string, GuildRule> {
  const sendersOf = ({ users, roles }: Pick<WrittenGuilds[string], "users" | "roles">) => ({
    ...(users === undefined ? {} : { users: users.map((id) => normalizeSender(channel, id)) }),
    ...(roles === undefined ? {} : { roles }),
  });
  const mentionOf = ({ requireMention }: Pick<WrittenGuilds[string], "requireMention">) =>
    requireMention === undefined ? {} : { requireMention };
  return Object.fromEntries(
    Object.entries(guilds).map(([id, guild]) => [
      id.trim(),
      {
        ...mentionOf(guild),
        ...sendersOf(guild),
        ...roomRuleOf(guild),
        ...(guild.channels === undefined
          ? {}
          : {
              channels: Object.fromEntries(
                Object.entries(guild.channels).map(([key, own]) => [
                  key.trim(),
                  {
                    enabled: own.enabled ?? own.allow ?? true,
                    ...mentionOf(own),
                    ...sendersOf(own),
                    ...roomRuleOf(own),
                  },
                ]),
              ),
            }),
      },
    ]),
  );
}

export function resolveGroupChat(
  { groupChat, identity }: Pick<AgentEntry, "groupChat" | "identity">,
  { agents: { defaults } }: Config,
): AgentGroupChat | undefined {
  const mentionPatterns = groupChat?.mentionPatterns ?? defaults.groupChat?.mentionPatterns;
  const historyLimit = groupChat?.historyLimit ?? defaults.groupChat?.historyLimit;
  const name = identity?.name?.trim();
  const emoji = identity?.emoji?.trim();
  const known = { ...(name ? { name } : {}), ...(emoji ? { emoji } : {}) };
  const found: AgentGroupChat = {
    ...(mentionPatterns === undefined ? {} : { mentionPatterns }),
    ...(historyLimit === undefined ? {} : { historyLimit }),
    ...(Object.keys(known).length === 0 ? {} : { identity: known }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}

type BroadcastValue = Exclude<NonNullable<Config["broadcast"]>[string], string>;

export interface ListedBroadcast {
  readonly key: string;
  readonly entry: BroadcastValue;
  /** Undefined: the key names no channel and is no id of the one that such keys are of. */
  readonly channel: string | undefined;
  readonly peerId: string;
}

const knownChannels = Object.keys(findShape(unwrap(channelsSchema).schema) ?? {});

/** Keys without a channel are older than those with one: they are ids of WhatsApp, a group's or a phone number. */
const whatsappId = /^(?:[^\s:]+@[a-z.]+|\+\d{5,15})$/i;

export function listBroadcasts(config: Config): readonly ListedBroadcast[] {
  const { strategy: _, ...entries } = config.broadcast ?? { strategy: "parallel" };
  return Object.entries(entries).map(([key, entry]) => {
    const colon = key.indexOf(":");
    const prefix = key.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (knownChannels.includes(prefix) || Object.hasOwn(config.channels.modules ?? {}, prefix))
      return { key, entry, channel: prefix, peerId: key.slice(colon + 1).trim() };
    return { key, entry, channel: whatsappId.test(key.trim()) ? "whatsapp" : undefined, peerId: key.trim() };
  });
}

function resolveBroadcast(
  key: string,
  entry: BroadcastValue,
  channel: string,
  peerId: string,
  strategy: BroadcastEntry["strategy"],
): BroadcastEntry {
  const written: Exclude<BroadcastValue, unknown[]> = Array.isArray(entry) ? { agents: entry } : entry;
  const agents = [...new Set(written.agents.map(normalizeAgentId))];
  // The older form is one pass over all agents, whomever a message names.
  const isLegacy = Array.isArray(entry) && !key.trim().toLowerCase().startsWith(`${channel}:`);
  return {
    key,
    channel,
    peerId: roomCase(channel, peerId),
    agents,
    mentionGating: isLegacy ? false : (written.mentionGating ?? true),
    maxRounds: isLegacy ? 1 : (written.maxRounds ?? 1),
    maxTurns: isLegacy ? agents.length : (written.maxTurns ?? agents.length),
    strategy: written.strategy ?? strategy,
    triggers: Object.fromEntries(
      Object.entries(written.triggers ?? {}).map(([by, ids]) => [normalizeAgentId(by), ids.map(normalizeAgentId)]),
    ),
  };
}
