/**
 * Why a message goes where it goes: the production choice itself, plus the reason for which each other binding of the
 * channel lost. The operator's view is `cloister route explain`. Source: needs A7.1.
 */
import type { RouteFacts } from "../../channels/port.ts";
import { limits } from "../kernel/limits.ts";
import { makeRoute, type Route, type Selection, selectBinding } from "./resolve-route.ts";
import { makeRouteQuery, type QueryPeer, type RouteQuery } from "./route-query.ts";
import { type Entry, isWildcard, type RouteTable, type Tier, tiers } from "./route-table.ts";

/** The first constraint that failed, in the order account, peer, guild, team, roles; or what was better. */
export type LossReason =
  | "malformed peer"
  | "account"
  | "peer differs"
  | "guild"
  | "team"
  | "roles"
  | "lower tier than the winner"
  | "same tier, later in order";

export interface Loss {
  readonly bindingIndex: number;
  readonly agentId: string;
  /** The binding's constraints, as text. */
  readonly match: string;
  readonly reason: LossReason;
}

/**
 * What became of a tier: it decided; none of its bindings fits; the channel has none there; the message lacks what it looks at; or
 * an earlier one had decided, and it was not looked at.
 */
export type TierOutcome = "matched" | "none fits" | "no binding" | "nothing to match" | "not reached";

export interface TierLook {
  readonly tier: Tier;
  readonly outcome: TierOutcome;
  /** Bindings of the channel that stand in it, of any account. */
  readonly bindings: number;
}

export interface Explanation {
  readonly route: Route;
  /** What was asked, after normalising, as text. */
  readonly asked: string;
  /** The winning binding's constraints, as text; absent when the default agent answers. */
  readonly winner?: string;
  /** All tiers in the order in which they are tried. */
  readonly tiers: readonly TierLook[];
  /** All other bindings of the channel in config order. */
  readonly losses: readonly Loss[];
}

/** Costs one pass over the channel's bindings: for people, not for the message path. */
export function explainRoute(table: RouteTable, facts: RouteFacts): Explanation {
  const query = makeRouteQuery(facts, table.accountDefaults);
  const selection = selectBinding(table, query);
  const losses: Loss[] = [];
  for (const entry of table.channels.get(query.channel)?.entries ?? []) {
    if (entry === selection?.entry) continue;
    const { index: bindingIndex, agentId } = entry.binding;
    losses.push({ bindingIndex, agentId, match: describeEntry(entry), reason: lossReason(entry, query, selection) });
  }
  const looked = lookAtTiers(table.channels.get(query.channel)?.entries ?? [], query, selection);
  const explained = { route: makeRoute(table, query, selection), asked: describeQuery(query), tiers: looked, losses };
  return selection === undefined ? explained : { ...explained, winner: describeEntry(selection.entry) };
}

function lookAtTiers(
  entries: readonly Entry[],
  query: RouteQuery,
  selection: Selection | undefined,
): readonly TierLook[] {
  const decided = selection === undefined ? tiers.length : tiers.indexOf(selection.tier);
  return tiers.map((tier, place) => {
    const bindings = entries.filter((entry) => standsIn(entry, tier)).length;
    const outcome: TierOutcome =
      place === decided
        ? "matched"
        : place > decided
          ? "not reached"
          : bindings === 0
            ? "no binding"
            : hasFact[tier](query)
              ? "none fits"
              : "nothing to match";
    return { tier, outcome, bindings };
  });
}

/** A binding with an exact peer answers for that peer's threads as well. */
function standsIn({ tier, peer }: Entry, wanted: Tier): boolean {
  return tier === wanted || (wanted === "binding.peer.parent" && tier === "binding.peer" && peer !== "malformed");
}

/** What a tier looks at in a message. */
const hasFact: Readonly<Record<Tier, (query: RouteQuery) => boolean>> = {
  "binding.peer": ({ peer }) => peer !== undefined,
  "binding.peer.parent": ({ parentPeer }) => parentPeer !== undefined,
  "binding.peer.wildcard": ({ peer }) => peer !== undefined,
  "binding.guild+roles": ({ guildId }) => guildId !== undefined,
  "binding.guild": ({ guildId }) => guildId !== undefined,
  "binding.team": ({ teamId }) => teamId !== undefined,
  "binding.account": () => true,
  "binding.channel": () => true,
};

function lossReason(entry: Entry, query: RouteQuery, selection: Selection | undefined): LossReason {
  const { peer, guildId, teamId, roles } = entry;
  if (peer === "malformed") return "malformed peer";
  if (entry.accountId !== "*" && entry.accountId !== query.accountId) return "account";
  const tier = peer === undefined ? entry.tier : peerTier(peer, query);
  if (tier === undefined) return "peer differs";
  if (guildId !== undefined && guildId !== query.guildId) return "guild";
  if (teamId !== undefined && teamId !== query.teamId) return "team";
  if (roles !== undefined && !roles.some((role) => query.roles.includes(role))) return "roles";
  return tier === selection?.tier ? "same tier, later in order" : "lower tier than the winner";
}

type PatternPeer = Exclude<Entry["peer"], "malformed" | undefined>;

function peerTier(pattern: PatternPeer, query: RouteQuery): Tier | undefined {
  if (isWildcard(pattern)) return query.peer?.class === pattern.class ? "binding.peer.wildcard" : undefined;
  if (isSamePeer(pattern, query.peer)) return "binding.peer";
  return isSamePeer(pattern, query.parentPeer) ? "binding.peer.parent" : undefined;
}

function isSamePeer(pattern: PatternPeer, peer: QueryPeer | undefined): boolean {
  return peer?.class === pattern.class && peer.id === pattern.id;
}

/** The explanation as lines for a terminal. At most `lossesMax` losers are listed; the count is always told. */
export function formatExplanation(explanation: Explanation, lossesMax: number = limits.explainLossesMax): string {
  const { route, asked, winner, losses } = explanation;
  const by = winner === undefined ? "no binding matches" : `bindings[${route.bindingIndex}] (${winner})`;
  const lines = [
    `asked    ${asked}`,
    `agent    ${route.agentId}`,
    `matched  ${route.matchedBy}: ${by}`,
    `session  ${route.sessionKey}`,
    `tiers    ${describeTiers(explanation.tiers)}`,
    `lost     ${losses.length} other ${losses.length === 1 ? "binding" : "bindings"} of channel ${route.channel}`,
  ];
  for (const loss of losses.slice(0, lossesMax)) {
    lines.push(`  bindings[${loss.bindingIndex}] → ${loss.agentId} (${loss.match}): ${loss.reason}`);
  }
  if (losses.length > lossesMax) lines.push(`  … and ${losses.length - lossesMax} more`);
  return lines.join("\n");
}

/** Those that the channel has bindings in, as text. */
function describeTiers(looked: readonly TierLook[]): string {
  const told = looked.filter(({ bindings }) => bindings > 0).map(({ tier, outcome }) => `${tier}: ${outcome}`);
  return told.length === 0 ? "none has a binding" : told.join("; ");
}

function describeEntry(entry: Entry): string {
  const { match } = entry.binding;
  const parts = [`account ${entry.accountId === "*" ? "any" : entry.accountId}`];
  if (!match.accountId?.trim()) parts[0] += " (omitted: the channel's default)";
  if (entry.peer === "malformed") parts.push("peer malformed");
  else if (entry.peer !== undefined) parts.push(`peer ${describePeer(entry.peer)}`);
  if (entry.guildId !== undefined) parts.push(`guild ${entry.guildId}`);
  if (entry.teamId !== undefined) parts.push(`team ${entry.teamId}`);
  if (entry.roles !== undefined) parts.push(`roles any of ${entry.roles.join("|")}`);
  return parts.join(", ");
}

function describeQuery(query: RouteQuery): string {
  const parts = [`channel ${query.channel}`, `account ${query.accountId}`];
  if (query.peer !== undefined) parts.push(`peer ${describePeer(query.peer)}`);
  if (query.parentPeer !== undefined) parts.push(`parent ${describePeer(query.parentPeer)}`);
  if (query.guildId !== undefined) parts.push(`guild ${query.guildId}`);
  if (query.teamId !== undefined) parts.push(`team ${query.teamId}`);
  if (query.roles.length > 0) parts.push(`roles ${query.roles.join(",")}`);
  if (query.threadId !== undefined) parts.push(`thread ${query.threadId}`);
  return parts.join(", ");
}

function describePeer(peer: QueryPeer | PatternPeer): string {
  return `${"kind" in peer ? peer.kind : peer.class} ${peer.id}`;
}
