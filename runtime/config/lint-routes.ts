/** Warnings about which messages reach which agent. Source: behaviour D2, K-08, needs A7.2. */
import type { RouteTable } from "../routing/index.ts";
import { type ChannelSection, findDefaultAccount, listChannels } from "./accounts.ts";
import { findDefaultAgentId, type NamedAgent } from "./agents.ts";
import { resolveBindings } from "./bindings.ts";
import { compileBindings } from "./check/bindings.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import { channels as channelsSchema } from "./schema/channels.ts";
import { findShape, unwrap } from "./schema/note.ts";
import { findNearest } from "./suggest.ts";

const knownChannels = Object.keys(findShape(unwrap(channelsSchema).schema) ?? {});

export function lintRoutes(agents: readonly NamedAgent[], draft: Draft): ConfigWarning[] {
  const channels = listChannels(draft.config);
  const table = compileBindings(agents, draft);
  return [
    ...lintChannelNames(draft),
    ...channels.flatMap((channel) => lintUnbound(channel, table, agents)),
    ...lintOmittedAccounts(channels, draft),
    ...lintEmptyWebhook(channels),
  ];
}

function warn(path: Path, message: string, remedy: string): ConfigWarning {
  return { path: formatPath(path), message, remedy };
}

/** A channel may come from elsewhere, so that an unknown name is no error; but a misspelt one never gets a message. */
function lintChannelNames({ config }: Draft): ConfigWarning[] {
  const known = [...knownChannels, ...Object.keys(config.channels.modules ?? {})];
  return resolveBindings(config).flatMap(({ index, match: { channel } }) => {
    if (known.includes(channel)) return [];
    const near = findNearest(channel, known);
    return [
      warn(
        ["bindings", index, "match", "channel"],
        `is "${channel}", a channel that is not known; no message will come from it`,
        near === undefined ? "Correct the name." : `Did you mean "${near}"?`,
      ),
    ];
  });
}

/** D2: with one agent everything is meant for it; with several, somebody should have said who answers. */
function lintUnbound(channel: ChannelSection, table: RouteTable, agents: readonly NamedAgent[]): ConfigWarning[] {
  if (agents.length < 2) return [];
  const bound = new Set(
    (table.channels.get(channel.channel)?.entries ?? [])
      .filter(({ tier, roles }) => (tier === "binding.account" || tier === "binding.channel") && roles === undefined)
      .map(({ accountId }) => accountId),
  );
  if (bound.has("*")) return [];
  const accounts = channel.accountIds.length > 0 ? channel.accountIds : [findDefaultAccount(channel)];
  return accounts
    .filter((account) => !bound.has(account))
    .map((account) =>
      warn(
        channel.accountIds.length > 0 ? [...channel.path, "accounts", account] : channel.path,
        `has no binding for the whole account: what no narrower binding claims goes to the default agent "${findDefaultAgentId(agents)}"`,
        `Add { agentId: "…", match: { channel: "${channel.channel}", accountId: "${account}" } } to bindings.`,
      ),
    );
}

/** K-08: "the channel" is not what a binding without an account says. */
function lintOmittedAccounts(channels: readonly ChannelSection[], { config }: Draft): ConfigWarning[] {
  const byName = new Map(channels.map((channel) => [channel.channel, channel]));
  return resolveBindings(config).flatMap(({ index, match, accountFromDefault }) => {
    const channel = byName.get(match.channel);
    if (channel === undefined || channel.accountIds.length < 2) return [];
    if (match.accountId !== undefined && accountFromDefault === undefined) return [];
    return [
      warn(
        ["bindings", index, "match"],
        `names no account and so holds for the account "${findDefaultAccount(channel)}" only, not for all ${channel.accountIds.length} accounts of ${match.channel}`,
        'Add accountId: "*" for every account, or name the one that is meant.',
      ),
    ];
  });
}

function lintEmptyWebhook(channels: readonly ChannelSection[]): ConfigWarning[] {
  return channels
    .filter(({ channel, accountIds }) => channel === "webhook" && accountIds.length === 0)
    .map(() =>
      warn(
        ["channels", "webhook", "accounts"],
        "is empty: nobody can send",
        'Add an account: accounts: { default: { token: "…" } }.',
      ),
    );
}
