/**
 * Whether every binding can ever decide something: its agent and account exist, and no earlier one takes all its messages.
 * What "takes all its messages" means follows from the routing table's own compiled form.
 */
import { normalizeAgentId } from "../../routing/ids.ts";
import { compileRoutes, type RouteTable } from "../../routing/index.ts";
import { constraintKey, type Entry, peerKey } from "../../routing/route-table.ts";
import { type ChannelSection, listChannels } from "../accounts.ts";
import { findDefaultAgentId, type NamedAgent } from "../agents.ts";
import { resolveBindings, resolveChannelDefaults } from "../bindings.ts";
import type { Draft } from "../draft.ts";
import { type ConfigIssue, formatPath, type Path } from "../issue.ts";
import { findNearest } from "../suggest.ts";
import { unknownAgent } from "./unknown-agent.ts";
import { makeIssue } from "../validate.ts";

export function checkBindings(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const known = new Set(agents.map(({ id }) => id));
  const unknown = draft.config.bindings.flatMap(({ agentId }, index) =>
    known.has(normalizeAgentId(agentId)) ? [] : [unknownAgent(["bindings", index, "agentId"], agentId, known, draft)],
  );
  return [...unknown, ...checkAccounts(draft), ...checkShadows(compileBindings(agents, draft), draft)];
}

/** The routing table of the bindings whose agents exist. */
export function compileBindings(agents: readonly NamedAgent[], draft: Draft): RouteTable {
  const known = new Set(agents.map(({ id }) => id));
  return compileRoutes({
    agents,
    defaultAgentId: findDefaultAgentId(agents),
    bindings: resolveBindings(draft.config).filter(({ agentId }) => known.has(agentId)),
    session: draft.config.session,
    channelDefaults: resolveChannelDefaults(draft.config),
  });
}

function checkAccounts(draft: Draft): ConfigIssue[] {
  const channels = new Map(listChannels(draft.config).map((channel) => [channel.channel, channel]));
  return resolveBindings(draft.config).flatMap(({ index, match: { channel, accountId }, accountFromDefault }) => {
    const section = channels.get(channel);
    if (section === undefined || accountId === undefined || accountFromDefault || hasAccount(section, accountId))
      return [];
    const near = findNearest(accountId, section.accountIds);
    const path: Path = ["bindings", index, "match", "accountId"];
    const remedy =
      near === undefined
        ? `Use one of: ${section.accountIds.join(", ")}; or add the account under ${formatPath(section.path)}.accounts.`
        : `Did you mean "${near}"?`;
    return [makeIssue(path, `names no account of ${formatPath(section.path)}`, remedy, draft.written)];
  });
}

/** A channel's own keys may describe an account `default` that its list of accounts does not name; a webhook's cannot. */
function hasAccount(section: ChannelSection, accountId: string): boolean {
  if (accountId === "*" || section.accountIds.length === 0 || section.accountIds.includes(accountId)) return true;
  return accountId === "default" && section.channel !== "webhook";
}

function checkShadows(table: RouteTable, draft: Draft): ConfigIssue[] {
  return [...table.channels.values()].flatMap(({ entries }) => {
    const seen = new Map<string, Seen>();
    return entries.flatMap((entry) => {
      const by = findCover(entry, seen);
      remember(entry, seen);
      if (by === undefined) return [];
      const { index } = entry.binding;
      return [
        makeIssue(
          ["bindings", index],
          `can never match: bindings[${by.binding.index}] comes first, decides at the same tier (${entry.tier}) and takes every message that this one would`,
          `Remove bindings[${index}], or put it before bindings[${by.binding.index}] if it is narrower.`,
          draft.written,
          "without-value",
        ),
      ];
    });
  });
}

/** Earlier bindings with the same constraints: the first without roles, and the first for each role. */
interface Seen {
  first: Entry | undefined;
  readonly byRole: Map<string, Entry>;
}

/** The earlier binding of the same tier that takes every message of `entry`; for roles, the last of those that do so together. */
function findCover(entry: Entry, seen: ReadonlyMap<string, Seen>): Entry | undefined {
  const weaker = listWeaker(entry).flatMap((key) => seen.get(key) ?? []);
  const first = weaker.find((earlier) => earlier.first !== undefined)?.first;
  if (first !== undefined || entry.roles === undefined) return first;
  const covers = entry.roles.map((role) => weaker.find(({ byRole }) => byRole.has(role))?.byRole.get(role));
  return covers.includes(undefined) ? undefined : covers.at(-1);
}

function remember(entry: Entry, seen: Map<string, Seen>): void {
  const key = keyOf(entry, entry.accountId, entry.guildId, entry.teamId);
  const own = seen.get(key) ?? { first: undefined, byRole: new Map<string, Entry>() };
  seen.set(key, own);
  if (entry.roles === undefined) own.first ??= entry;
  for (const role of entry.roles ?? []) if (!own.byRole.has(role)) own.byRole.set(role, entry);
}

/** The keys of all bindings of the tier that ask for the same or for less. */
function listWeaker(entry: Entry): string[] {
  const accounts = new Set([entry.accountId, "*"]);
  const guilds = new Set([entry.guildId, undefined]);
  const teams = new Set([entry.teamId, undefined]);
  return [...accounts].flatMap((account) =>
    [...guilds].flatMap((guild) => [...teams].map((team) => keyOf(entry, account, guild, team))),
  );
}

function keyOf(entry: Entry, account: string, guild: string | undefined, team: string | undefined): string {
  const peer = typeof entry.peer === "object" ? peerKey(entry.peer.class, entry.peer.id) : undefined;
  return `${entry.tier} ${account} ${constraintKey(peer, guild, team)}`;
}
