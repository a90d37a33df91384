/** Bindings in their final form. Source: behaviour §1.4, §2.3, §2.4. */
import { normalizeAccountId, normalizeAgentId } from "../routing/ids.ts";
import { normalizeChannel } from "../routing/route-query.ts";
import { findDefaultAccount, listChannels } from "./accounts.ts";
import type { ResolvedBinding } from "./resolved.ts";
import type { Config } from "./schema.ts";

type Written = Config["bindings"][number];

/** In the order of the file. Bindings of external agents (`type: "acp"`) are left out: nothing here runs them. */
export function resolveBindings(config: Config): readonly ResolvedBinding[] {
  const configured = new Map(listChannels(config).map((channel) => [channel.channel, channel.defaultAccount]));
  return config.bindings.flatMap((binding, index) =>
    binding.type === "acp"
      ? []
      : [resolveBinding(binding, index, configured.get(normalizeChannel(binding.match.channel)))],
  );
}

function resolveBinding(binding: Written, index: number, channelAccount: string | undefined): ResolvedBinding {
  const { match, session, comment } = binding;
  const account = match.accountId?.trim() ?? "";
  const accountId = account === "*" ? "*" : account === "" ? channelAccount : normalizeAccountId(account);
  const fromDefault = account === "" && channelAccount !== undefined;
  return {
    index,
    agentId: normalizeAgentId(binding.agentId),
    match: {
      channel: normalizeChannel(binding.match.channel),
      ...(accountId === undefined ? {} : { accountId }),
      ...(match.peer === undefined ? {} : { peer: { kind: match.peer.kind, id: match.peer.id.trim() } }),
      ...(match.guildId === undefined ? {} : { guildId: match.guildId.trim() }),
      ...(match.teamId === undefined ? {} : { teamId: match.teamId.trim() }),
      ...(match.roles === undefined || match.roles.length === 0
        ? {}
        : { roles: match.roles.map((role) => role.trim()) }),
    },
    ...(fromDefault ? { accountFromDefault: true } : {}),
    ...(session === undefined ? {} : { session: dropUndefined(session) }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function dropUndefined({
  dmScope,
  groupScope,
}: NonNullable<Written["session"]>): NonNullable<ResolvedBinding["session"]> {
  return { ...(dmScope === undefined ? {} : { dmScope }), ...(groupScope === undefined ? {} : { groupScope }) };
}

/** By channel, those that are not switched off. */
export function resolveAccountsOn(config: Config): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    listChannels(config).map((channel) => {
      const named = Object.entries<{ readonly enabled?: boolean | undefined }>(channel.section.accounts);
      const on = named.filter(([, { enabled }]) => enabled !== false).map(([id]) => normalizeAccountId(id));
      return [channel.channel, named.length === 0 ? [findDefaultAccount(channel)] : on];
    }),
  );
}

export function resolveChannelDefaults(config: Config): Readonly<Record<string, string>> {
  return Object.fromEntries(listChannels(config).map((channel) => [channel.channel, findDefaultAccount(channel)]));
}
