/**
 * The binding table: bindings compiled to hash maps, so that a route costs the same with ten bindings as with ten thousand.
 * Immutable; a changed config gives a new table. Source: behaviour §2.2–2.4.
 *
 * Channel → account (or `*`) → tier → key → slot. The key holds all equality constraints of a binding (peer, guild, team),
 * and a slot its roles, so whatever a look-up finds matches. Where keys are equal, the first in config order wins; across
 * the few keys that one message can have in a tier, the lowest order wins.
 */
import { failure } from "../kernel/errors.ts";
import { normalizeAccountId } from "./ids.ts";
import { defaultAccount, makePeer, normalizeChannel, type PeerClass, type QueryPeer } from "./route-query.ts";
import { mainSessionKey } from "./session-reference.ts";

type DmScope = "main" | "per-peer" | "per-channel-peer" | "per-account-channel-peer";
type GroupScope = "per-group" | "main";

/** The part of the resolved config that decides routes. */
export interface RouteConfig {
  readonly agents: readonly { readonly id: string }[];
  readonly defaultAgentId: string;
  readonly bindings: readonly RouteBinding[];
  readonly session: {
    readonly mainKey: string;
    readonly scope: "per-sender" | "global";
    readonly dmScope: DmScope;
    readonly groupScope: GroupScope;
    readonly identityLinks: Readonly<Record<string, readonly string[]>>;
  };
  /** Default account of each channel; it stands for an omitted account in facts and in bindings alike. */
  readonly channelDefaults: Readonly<Record<string, string>>;
}

export interface RouteBinding {
  /** Place in the config's `bindings`, as messages name it. */
  readonly index: number;
  readonly agentId: string;
  readonly match: {
    readonly channel: string;
    readonly accountId?: string | undefined;
    readonly peer?: { readonly kind?: string | undefined; readonly id?: string | number | undefined } | undefined;
    readonly guildId?: string | undefined;
    readonly teamId?: string | undefined;
    readonly roles?: readonly string[] | undefined;
  };
  readonly session?:
    | { readonly dmScope?: DmScope | undefined; readonly groupScope?: GroupScope | undefined }
    | undefined;
}

/** The tiers in the order in which they are tried. Inside a tier the config order decides, across tiers it never does. */
export const tiers = [
  "binding.peer",
  "binding.peer.parent",
  "binding.peer.wildcard",
  "binding.guild+roles",
  "binding.guild",
  "binding.team",
  "binding.account",
  "binding.channel",
] as const;
export type Tier = (typeof tiers)[number];

/** A compiled binding. */
export interface Entry {
  /** Place among all bindings; the lower wins inside a tier. */
  readonly order: number;
  readonly binding: RouteBinding;
  /** Main session of the binding's agent. */
  readonly mainSessionKey: string;
  /** `*` or a normalised account id. */
  readonly accountId: string;
  readonly guildId: string | undefined;
  readonly teamId: string | undefined;
  /** Any of them is enough; undefined = no constraint. */
  readonly roles: readonly string[] | undefined;
  /** `malformed` matches nothing, so that a typing error cannot widen a rule. */
  readonly peer: QueryPeer | { readonly class: PeerClass; readonly id: "*" } | "malformed" | undefined;
  /** The tier that it is filed under. One with an exact peer also answers for the parent tier. */
  readonly tier: Tier;
}

/** Entries with the same key: the first without roles, and the first for each role. */
export interface Slot {
  first: Entry | undefined;
  readonly byRole: Map<string, Entry>;
}

export type TierIndex = Readonly<Record<Tier, ReadonlyMap<string, Readonly<Slot>>>>;

interface ChannelRoutes {
  /** All bindings of the channel in config order, also those that can never match. */
  readonly entries: readonly Entry[];
  /** Those of them that depend on the sender. */
  readonly withRoles: readonly Entry[];
  readonly byAccount: ReadonlyMap<string, TierIndex>;
}

interface IdentityLink {
  readonly order: number;
  readonly name: string;
}

export interface RouteTable {
  readonly channels: ReadonlyMap<string, ChannelRoutes>;
  readonly accountDefaults: ReadonlyMap<string, string>;
  readonly defaultAgentId: string;
  readonly defaultMainSessionKey: string;
  readonly session: RouteConfig["session"];
  /** Raw peer id, or `channel:peer`, in lower case → the person behind it. */
  readonly identityLinks: ReadonlyMap<string, IdentityLink>;
}

/** Throws `CLOISTER_CONFIG_INVALID` when a binding, or the default, names an agent that is not configured. */
export function compileRoutes(config: RouteConfig): RouteTable {
  const accountDefaults = new Map(
    Object.entries(config.channelDefaults).map(([channel, id]) => [normalizeChannel(channel), normalizeAccountId(id)]),
  );
  const mainKeys = new Map(config.agents.map(({ id }) => [id, mainSessionKey(id, config.session)]));
  const defaultMainSessionKey = mainKeyOf(config.defaultAgentId, "defaultAgentId", mainKeys);
  const channels = new Map<string, ChannelBuilder>();
  for (const [order, binding] of config.bindings.entries()) {
    const mainKey = mainKeyOf(binding.agentId, `bindings[${binding.index}].agentId`, mainKeys);
    const name = normalizeChannel(binding.match.channel);
    const channel = getOrAdd(channels, name, () => ({ entries: [], withRoles: [], byAccount: new Map() }));
    const entry = makeEntry(order, binding, mainKey, defaultAccount(name, accountDefaults));
    channel.entries.push(entry);
    if (entry.roles !== undefined) channel.withRoles.push(entry);
    if (entry.peer !== "malformed") file(entry, getOrAdd(channel.byAccount, entry.accountId, makeTierIndex));
  }
  const { defaultAgentId, session } = config;
  const identityLinks = makeIdentityLinks(session.identityLinks);
  return { channels, accountDefaults, defaultAgentId, defaultMainSessionKey, session, identityLinks };
}

interface ChannelBuilder {
  readonly entries: Entry[];
  readonly withRoles: Entry[];
  readonly byAccount: Map<string, TierBuilder>;
}

type TierBuilder = Readonly<Record<Tier, Map<string, Slot>>>;

function mainKeyOf(agentId: string, path: string, agents: ReadonlyMap<string, string>): string {
  const key = agents.get(agentId);
  if (key !== undefined) return key;
  throw failure(
    "CLOISTER_CONFIG_INVALID",
    `Compiling routes: ${path} is "${agentId}", but no agent has this id. Wanted one of: ${[...agents.keys()].slice(0, 20).join(", ")}. Add the agent under agents.list, or change ${path}.`,
  );
}

function makeEntry(order: number, binding: RouteBinding, mainKey: string, omittedAccount: string): Entry {
  const { match } = binding;
  const account = match.accountId?.trim() ?? "";
  const constraints = {
    accountId: account === "*" ? "*" : account === "" ? omittedAccount : normalizeAccountId(account),
    // A blank guild or team stays a constraint, one that no message meets: like a malformed peer it must not widen a rule.
    guildId: match.guildId?.trim(),
    teamId: match.teamId?.trim(),
    roles: match.roles?.length ? match.roles.map((role) => role.trim()) : undefined,
    peer: match.peer === undefined ? undefined : makePatternPeer(match.peer),
  };
  return { order, binding, mainSessionKey: mainKey, ...constraints, tier: tierOf(constraints) };
}

function makePatternPeer(peer: NonNullable<RouteBinding["match"]["peer"]>): Exclude<Entry["peer"], undefined> {
  const made = makePeer(peer);
  if (made === undefined) return "malformed";
  return made.id === "*" ? { class: made.class, id: "*" } : made;
}

function tierOf(entry: Pick<Entry, "accountId" | "guildId" | "teamId" | "roles" | "peer">): Tier {
  if (entry.peer !== undefined) return isWildcard(entry.peer) ? "binding.peer.wildcard" : "binding.peer";
  if (entry.guildId !== undefined) return entry.roles === undefined ? "binding.guild" : "binding.guild+roles";
  if (entry.teamId !== undefined) return "binding.team";
  return entry.accountId === "*" ? "binding.channel" : "binding.account";
}

export function isWildcard(peer: Entry["peer"]): boolean {
  return typeof peer === "object" && peer.id === "*";
}

function makeTierIndex(): TierBuilder {
  return {
    "binding.peer": new Map(),
    "binding.peer.parent": new Map(),
    "binding.peer.wildcard": new Map(),
    "binding.guild+roles": new Map(),
    "binding.guild": new Map(),
    "binding.team": new Map(),
    "binding.account": new Map(),
    "binding.channel": new Map(),
  };
}

function file(entry: Entry, index: TierBuilder): void {
  const peer = typeof entry.peer === "object" ? entry.peer : undefined;
  const key = constraintKey(peer && peerKey(peer.class, peer.id), entry.guildId, entry.teamId);
  fileUnder(entry, key, index[entry.tier]);
  // The parent tier asks the same bindings about another peer.
  if (entry.tier === "binding.peer") fileUnder(entry, key, index["binding.peer.parent"]);
}

function fileUnder(entry: Entry, key: string, slots: Map<string, Slot>): void {
  const slot = getOrAdd(slots, key, () => ({ first: undefined, byRole: new Map() }));
  if (entry.roles === undefined) slot.first ??= entry;
  for (const role of entry.roles ?? []) if (!slot.byRole.has(role)) slot.byRole.set(role, entry);
}

export function peerKey(peerClass: PeerClass, id: string): string {
  return `${peerClass}:${id}`;
}

/** Lengths go before the values, so that no id can be written to look like two. */
export function constraintKey(
  peer: string | undefined,
  guildId: string | undefined,
  teamId: string | undefined,
): string {
  return measured(peer) + measured(guildId) + measured(teamId);
}

function measured(value: string | undefined): string {
  return value === undefined ? "-" : `${value.length}:${value}`;
}

function makeIdentityLinks(links: RouteConfig["session"]["identityLinks"]): Map<string, IdentityLink> {
  const made = new Map<string, IdentityLink>();
  for (const [order, [canonical, ids]] of Object.entries(links).entries()) {
    const name = canonical.trim();
    if (name === "") continue;
    for (const id of ids) getOrAdd(made, id.trim().toLowerCase(), () => ({ order, name }));
  }
  return made;
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
