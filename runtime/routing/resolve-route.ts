/**
 * Which agent and which session a message belongs to: a pure function of the binding table and the facts of the message.
 * It runs after admission; a binding grants nothing. Source: behaviour §2.2, §2.3, §2.5.
 */
import type { RouteFacts } from "../../channels/port.ts";
import { makeRouteQuery, type QueryPeer, type RouteQuery } from "./route-query.ts";
import {
  constraintKey,
  type Entry,
  isWildcard,
  peerKey,
  type RouteTable,
  type Slot,
  type Tier,
  type TierIndex,
  tiers,
} from "./route-table.ts";
import { mainSessionKey as mainKeyOf } from "./session-reference.ts";
import { formatSessionKey, type Session, splitTopic } from "./session-key.ts";

export interface Route {
  readonly agentId: string;
  readonly channel: string;
  readonly accountId: string;
  readonly sessionKey: string;
  readonly mainSessionKey: string;
  /** Which session's row keeps "last seen at" of this message. */
  readonly lastRoutePolicy: "main" | "session";
  /** The tier that decided. */
  /** `thread`: the conversation belongs to a sub-agent's session for now, whatever the configuration says. */
  readonly matchedBy: Tier | "default" | "broadcast" | "thread";
  /** Place of the deciding binding in the config; absent when the default agent answers. */
  readonly bindingIndex?: number;
}

export function resolveRoute(table: RouteTable, facts: RouteFacts): Route {
  const query = makeRouteQuery(facts, table.accountDefaults);
  return makeRoute(table, query, selectBinding(table, query));
}

/** The same conversation as another agent has it: its own session, whatever the bindings say. */
export function routeToAgent(table: RouteTable, facts: RouteFacts, agentId: string): Route {
  const query = makeRouteQuery(facts, table.accountDefaults);
  const { channel, accountId } = query;
  const main = mainKeyOf(agentId, table.session);
  const sessionKey = sessionKeyOf(table, query, agentId, undefined) ?? main;
  return {
    agentId,
    channel,
    accountId,
    sessionKey,
    mainSessionKey: main,
    lastRoutePolicy: sessionKey === main ? "main" : "session",
    matchedBy: "broadcast",
  };
}

/**
 * Every agent that some sender's message in the same conversation could go to: the roles of a sender are the one fact that differs
 * within a room. Guild and team are not looked at, so that it may name one too many.
 */
export function agentsOfRoom(table: RouteTable, facts: RouteFacts): readonly string[] {
  const query = makeRouteQuery(facts, table.accountDefaults);
  const agents = new Set([makeRoute(table, query, selectBinding(table, query)).agentId]);
  for (const entry of table.channels.get(query.channel)?.withRoles ?? []) {
    const { accountId, peer } = entry;
    if (accountId !== "*" && accountId !== query.accountId) continue;
    if (peer === "malformed" || (peer !== undefined && !isOfRoom(peer, query))) continue;
    agents.add(entry.binding.agentId);
  }
  return [...agents];
}

type PatternPeer = Exclude<Entry["peer"], "malformed" | undefined>;

function isOfRoom(pattern: PatternPeer, { peer, parentPeer }: RouteQuery): boolean {
  if (isWildcard(pattern)) return pattern.class === peer?.class;
  return [peer, parentPeer].some((one) => one?.class === pattern.class && one.id === pattern.id);
}

export interface Selection {
  readonly tier: Tier;
  readonly entry: Entry;
}

/** The one place where a binding is chosen; explaining and routing both come here. Undefined = the default agent. */
export function selectBinding(table: RouteTable, query: RouteQuery): Selection | undefined {
  const byAccount = table.channels.get(query.channel)?.byAccount;
  if (byAccount === undefined) return undefined;
  // A message has one account, never `*`: normalising an id leaves no such character.
  const indexes = [byAccount.get(query.accountId), byAccount.get("*")].filter((index) => index !== undefined);
  for (const tier of tiers) {
    const entry = firstInTier(tier, indexes, query);
    if (entry !== undefined) return { tier, entry };
  }
  return undefined;
}

function firstInTier(tier: Tier, indexes: readonly TierIndex[], query: RouteQuery): Entry | undefined {
  let best: Entry | undefined;
  let keys: readonly string[] | undefined;
  for (const index of indexes) {
    const slots = index[tier];
    if (slots.size === 0) continue;
    keys ??= tierKeys[tier](query);
    for (const key of keys) {
      const slot = slots.get(key);
      if (slot !== undefined) best = firstInSlot(slot, query.roles, best);
    }
  }
  return best;
}

function firstInSlot(slot: Readonly<Slot>, roles: readonly string[], best: Entry | undefined): Entry | undefined {
  let first = earlier(slot.first, best);
  if (slot.byRole.size > 0) for (const role of roles) first = earlier(slot.byRole.get(role), first);
  return first;
}

function earlier(one: Entry | undefined, other: Entry | undefined): Entry | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.order < other.order ? one : other;
}

/** All keys under which a binding that matches the message can be filed in a tier. */
const tierKeys: Readonly<Record<Tier, (query: RouteQuery) => readonly string[]>> = {
  "binding.peer": (query) => peerKeys(query.peer && peerKey(query.peer.class, query.peer.id), query),
  "binding.peer.parent": (query) =>
    peerKeys(query.parentPeer && peerKey(query.parentPeer.class, query.parentPeer.id), query),
  "binding.peer.wildcard": (query) => peerKeys(query.peer && peerKey(query.peer.class, "*"), query),
  "binding.guild+roles": guildKeys,
  "binding.guild": guildKeys,
  "binding.team": ({ teamId }) => (teamId === undefined ? [] : [constraintKey(undefined, undefined, teamId)]),
  "binding.account": () => unconstrained,
  "binding.channel": () => unconstrained,
};

const unconstrained: readonly string[] = [constraintKey(undefined, undefined, undefined)];

function guildKeys(query: RouteQuery): readonly string[] {
  return query.guildId === undefined ? [] : withTeam(undefined, query.guildId, query);
}

function peerKeys(peer: string | undefined, query: RouteQuery): readonly string[] {
  if (peer === undefined) return [];
  const open = withTeam(peer, undefined, query);
  return query.guildId === undefined ? open : [...open, ...withTeam(peer, query.guildId, query)];
}

function withTeam(peer: string | undefined, guildId: string | undefined, query: RouteQuery): readonly string[] {
  const open = constraintKey(peer, guildId, undefined);
  return query.teamId === undefined ? [open] : [open, constraintKey(peer, guildId, query.teamId)];
}

/** The route of a message whose binding was chosen. */
export function makeRoute(table: RouteTable, query: RouteQuery, selection: Selection | undefined): Route {
  const binding = selection?.entry.binding;
  const agentId = binding?.agentId ?? table.defaultAgentId;
  const mainSessionKey = selection?.entry.mainSessionKey ?? table.defaultMainSessionKey;
  const sessionKey = sessionKeyOf(table, query, agentId, binding?.session) ?? mainSessionKey;
  return {
    agentId,
    channel: query.channel,
    accountId: query.accountId,
    sessionKey,
    mainSessionKey,
    lastRoutePolicy: sessionKey === mainSessionKey ? "main" : "session",
    matchedBy: selection?.tier ?? "default",
    ...(binding !== undefined && { bindingIndex: binding.index }),
  };
}

type Scopes = Entry["binding"]["session"];

/** Undefined = the main session. */
function sessionKeyOf(table: RouteTable, query: RouteQuery, agentId: string, scopes: Scopes): string | undefined {
  if (table.session.scope === "global") return undefined;
  const base = query.peer && sessionOfPeer(table, query, query.peer, scopes);
  const threadId = isTopicOf(base, query.threadId) ? undefined : query.threadId;
  if (base === undefined && threadId === undefined) return undefined;
  const session = base ?? { type: "main", mainKey: table.session.mainKey };
  return formatSessionKey(agentId, threadId === undefined ? session : { ...session, threadId });
}

type PeerSession = Extract<Session, { type: "dm" | "room" }>;

/** Undefined = the peer's messages belong to the main session. */
function sessionOfPeer(table: RouteTable, query: RouteQuery, peer: QueryPeer, scopes: Scopes): PeerSession | undefined {
  const { channel, accountId } = query;
  if (peer.kind !== "direct") {
    if ((scopes?.groupScope ?? table.session.groupScope) === "main") return undefined;
    return { type: "room", channel, kind: peer.kind, ...splitTopic(peer.id) };
  }
  const scope = scopes?.dmScope ?? table.session.dmScope;
  if (scope === "main") return undefined;
  const peerId = personOf(table, channel, peer.id);
  if (scope === "per-peer") return { type: "dm", scope, peerId };
  if (scope === "per-channel-peer") return { type: "dm", scope, channel, peerId };
  return { type: "dm", scope, channel, accountId, peerId };
}

/** The name that `session.identityLinks` gives to the peer; the first entry that lists it decides. */
function personOf(table: RouteTable, channel: string, peerId: string): string {
  const id = peerId.toLowerCase();
  const links = [table.identityLinks.get(id), table.identityLinks.get(`${channel}:${id}`)];
  const [first] = links.filter((link) => link !== undefined).toSorted((a, b) => a.order - b.order);
  return first?.name ?? peerId;
}

/** A Telegram topic is part of the peer id; an adapter may name it as the thread as well, and it must not count twice. */
function isTopicOf(session: PeerSession | undefined, threadId: string | undefined): boolean {
  return session?.type === "room" && session.topicId !== undefined && session.topicId === threadId;
}
