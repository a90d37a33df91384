/** Which of an account's rules are about a room: by its id, the room that its thread hangs from, its guild, or for every room. Source: behaviour §1.8, §8. */
import type { GroupTools } from "../../auth/tool-policy.ts";
import type { InboundEvent } from "../../channels/port.ts";
import type { ToldRoom } from "../kernel/session-choices.ts";
import { roomIds } from "./conversation-ids.ts";
import type { AccountRules, GroupRule, GuildChannelRule, RoomRule } from "./rules.ts";

export type PlaceFacts = Pick<InboundEvent, "channel" | "peer" | "parentPeer" | "guildId">;

export interface Found<Rule> {
  readonly list: "groups" | "guilds";
  readonly key: string;
  readonly at: string;
  readonly rule: Rule;
  /** Who is heard, where it is written beside the rule. */
  readonly senders?: { readonly at: string; readonly users: readonly string[]; readonly roles: readonly string[] };
}

/** What is written for the guild, then what is written for groups. */
export const findGroup = (rules: AccountRules, facts: PlaceFacts): Found<GroupRule> | undefined =>
  findInGuild(rules, facts) ?? findListed(rules, facts);

/** The group itself, the room that its topic is in, the room that its thread hangs from, then every group. */
function findListed(
  rules: AccountRules,
  { channel, peer, parentPeer }: Omit<PlaceFacts, "guildId">,
): Found<GroupRule> | undefined {
  for (const key of [...roomIds(channel, peer), ...roomIds(channel, parentPeer), "*"]) {
    const rule = Object.hasOwn(rules.groups, key) ? rules.groups[key] : undefined;
    if (rule !== undefined) return { list: "groups", key, at: `${rules.keys.groups}[${JSON.stringify(key)}]`, rule };
  }
  return undefined;
}

/** A channel of a guild: by its own id, that of the channel that its thread hangs from, or every channel of the guild. */
function findInGuild(
  { guilds, keys }: AccountRules,
  { channel, peer, parentPeer, guildId }: PlaceFacts,
): Found<GuildChannelRule> | undefined {
  const guildKey = [guildId, "*"].find((key) => key !== undefined && Object.hasOwn(guilds ?? {}, key));
  const guild = guildId === undefined || guildKey === undefined ? undefined : guilds?.[guildKey];
  if (guildKey === undefined || guild === undefined) return undefined;
  const inGuild = `${keys.guilds}[${JSON.stringify(guildKey)}]`;
  const { channels, ...all } = guild;
  if (channels === undefined)
    return {
      list: "guilds",
      key: guildKey,
      at: inGuild,
      rule: { enabled: true, ...all },
      ...sendersOf([inGuild, all]),
    };
  const key = [...roomIds(channel, peer), ...roomIds(channel, parentPeer), "*"].find((id) =>
    Object.hasOwn(channels, id),
  );
  const own = key === undefined ? undefined : channels[key];
  if (key === undefined || own === undefined) return undefined;
  const at = `${inGuild}.channels[${JSON.stringify(key)}]`;
  const requireMention = own.requireMention ?? guild.requireMention;
  const rule = { enabled: own.enabled, ...(requireMention === undefined ? {} : { requireMention }) };
  return { list: "guilds", key, at, rule, ...sendersOf([at, own], [inGuild, all]) };
}

/** The first of them that says who is heard. */
function sendersOf(
  ...written: readonly (readonly [string, Pick<GuildChannelRule, "users" | "roles">])[]
): Pick<Found<GroupRule>, "senders"> {
  for (const [at, { users, roles }] of written)
    if (users !== undefined || roles !== undefined) return { senders: { at, users: users ?? [], roles: roles ?? [] } };
  return {};
}

/** What the account says that messages of a room may make an agent do, with the config key; undefined: nothing. */
export function findGroupTools(rules: AccountRules, facts: PlaceFacts): GroupTools | undefined {
  const found = roomRules(rules, facts).find(
    ({ rule }) => rule.tools !== undefined || rule.toolsBySender !== undefined,
  );
  if (found === undefined) return undefined;
  const { tools, toolsBySender } = found.rule;
  return {
    key: found.at,
    ...(tools === undefined ? {} : { tools }),
    ...(toolsBySender === undefined ? {} : { toolsBySender }),
  };
}

/** What a model is told in a room; undefined: nothing is written. */
export const findToldRoom = (rules: AccountRules, facts: PlaceFacts): ToldRoom | undefined =>
  roomRules(rules, facts).find(({ rule }) => rule.told !== undefined)?.rule.told;

interface Written {
  readonly at: string;
  readonly rule: RoomRule;
}

/** The most specific first: the channel in its guild, the room in `groups`, every channel of the guild, the guild itself, every room. */
function roomRules(rules: AccountRules, facts: PlaceFacts): readonly Written[] {
  const guild = guildOf(rules, facts);
  const listed = findListed(rules, facts);
  const ofRoom = listed === undefined ? [] : [listed];
  if (guild === undefined) return ofRoom;
  const { at, rule } = guild;
  const channels = rule.channels ?? {};
  const inGuild = (key: string): readonly Written[] => {
    const own = Object.hasOwn(channels, key) ? channels[key] : undefined;
    return own === undefined ? [] : [{ at: `${at}.channels[${JSON.stringify(key)}]`, rule: own }];
  };
  const ofGuild = [...inGuild("*"), { at, rule }];
  return [
    ...idsOf(facts).flatMap(inGuild),
    ...(listed?.key === "*" ? [...ofGuild, ...ofRoom] : [...ofRoom, ...ofGuild]),
  ];
}

const idsOf = ({ channel, peer, parentPeer }: PlaceFacts): readonly string[] => [
  ...roomIds(channel, peer),
  ...roomIds(channel, parentPeer),
];

/**
 * By its id. A turn that nobody wrote there may have the channel alone: then the guild that names the channel, else the only one that there is, else what is
 * written for every other.
 */
function guildOf({ guilds = {}, keys }: AccountRules, facts: PlaceFacts) {
  const { guildId, peer } = facts;
  const names = Object.keys(guilds);
  const naming = (): string | undefined =>
    names.find((name) => idsOf(facts).some((id) => Object.hasOwn(guilds[name]?.channels ?? {}, id)));
  const guessed = (): string | undefined =>
    naming() ?? (peer.kind === "channel" ? (names.length === 1 ? names[0] : "*") : undefined);
  const name = guildId === undefined ? guessed() : [guildId, "*"].find((one) => Object.hasOwn(guilds, one));
  const rule = name === undefined || !Object.hasOwn(guilds, name) ? undefined : guilds[name];
  return rule === undefined ? undefined : { at: `${keys.guilds}[${JSON.stringify(name)}]`, rule };
}
