/** Warnings about groups: patterns that cannot be used, broadcasts and bindings that no message will reach. Source: behaviour §2.7, §2.8. */
import { compileMentionPattern, findRules, type GroupsConfig, isServed } from "../groups/index.ts";
import type { NamedAgent } from "./agents.ts";
import { resolveBindings } from "./bindings.ts";
import type { Draft } from "./draft.ts";
import { listBroadcasts, resolveGroups } from "./groups.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";

export function lintGroups(agents: readonly NamedAgent[], draft: Draft): ConfigWarning[] {
  const groups = resolveGroups(draft.config);
  return [...lintPatterns(agents, draft), ...lintUnservedBindings(groups, draft), ...lintBroadcasts(groups, draft)];
}

function warn(path: Path, message: string, remedy: string): ConfigWarning {
  return { path: formatPath(path), message, remedy };
}

function lintPatterns(agents: readonly NamedAgent[], { config }: Draft): ConfigWarning[] {
  const lists: readonly { readonly path: Path; readonly patterns: readonly string[] | undefined }[] = [
    { path: ["messages", "groupChat"], patterns: config.messages?.groupChat?.mentionPatterns },
    { path: ["agents", "defaults", "groupChat"], patterns: config.agents.defaults.groupChat?.mentionPatterns },
    ...agents.map(({ path, entry }) => ({
      path: [...path, "groupChat"],
      patterns: entry.groupChat?.mentionPatterns,
    })),
  ];
  return lists.flatMap(({ path, patterns = [] }) =>
    patterns.flatMap((pattern, index) => {
      const compiled = compileMentionPattern(pattern);
      if (compiled.ok) return [];
      return [
        warn(
          [...path, "mentionPatterns", index],
          `${JSON.stringify(pattern.slice(0, 80))} ${compiled.reason}; it is skipped`,
          "Write it as RE2 knows it: without look-around and back references, and short.",
        ),
      ];
    }),
  );
}

/** A binding grants nothing: a group that is not listed is dropped before bindings are looked at. */
function lintUnservedBindings(groups: GroupsConfig, { config }: Draft): ConfigWarning[] {
  return resolveBindings(config).flatMap(({ index, match: { channel, accountId, peer, guildId } }) => {
    if (peer === undefined || peer.kind === "direct" || peer.id === "*" || accountId === "*") return [];
    if (!Object.hasOwn(groups.accounts, channel)) return [];
    const rules = findRules(groups, channel, accountId ?? "default");
    if (isServed(rules, { channel, peer, ...(guildId === undefined ? {} : { guildId }) })) return [];
    // Which guild the channel is in is not written.
    if (guildId === undefined && rules.guilds !== undefined) return [];
    return [
      warn(
        ["bindings", index, "match", "peer"],
        `is the group ${JSON.stringify(peer.id)}, whose messages are dropped: ${rules.keys.groupPolicy} is ${rules.groupPolicy} and ${rules.keys.groups} does not list it`,
        `Add ${JSON.stringify(peer.id)} to ${rules.keys.groups}.`,
      ),
    ];
  });
}

function lintBroadcasts(groups: GroupsConfig, { config }: Draft): ConfigWarning[] {
  return listBroadcasts(config).flatMap(({ key, entry, channel, peerId }) => {
    if (channel === undefined)
      return [
        warn(
          ["broadcast", key],
          "names no channel, and is no id of WhatsApp: no message will match it",
          `Write "<channel>:${key}".`,
        ),
      ];
    const isUnserved =
      Object.hasOwn(groups.accounts, channel) &&
      !Object.values(groups.accounts[channel] ?? {}).some((rules) =>
        isServed(rules, { channel, peer: { kind: "group", id: peerId } }),
      );
    const unserved = isUnserved
      ? [
          warn(
            ["broadcast", key],
            `is a group that no account of ${channel} serves: its messages are dropped before`,
            `Add ${JSON.stringify(peerId)} to ${groups.accounts[channel]?.["*"]?.keys.groups ?? `channels.${channel}.groups`}.`,
          ),
        ]
      : [];
    const rounds = Array.isArray(entry) ? undefined : entry.maxRounds;
    const turns = Array.isArray(entry) ? undefined : entry.maxTurns;
    const noTurns =
      rounds !== undefined && rounds > 1 && turns === undefined
        ? [
            warn(
              ["broadcast", key, "maxRounds"],
              "allows further rounds, and maxTurns is not set: the first round uses all turns, which are as many as there are agents",
              "Set maxTurns to the turns that one message may cause.",
            ),
          ]
        : [];
    const isIdle = !Array.isArray(entry) && entry.triggers !== undefined && (rounds ?? 1) === 1;
    const idle = isIdle
      ? [
          warn(
            ["broadcast", key, "triggers"],
            "says who answers whom, and nobody does: there is one round",
            "Set maxRounds to 2 or more, and maxTurns to the turns that one message may cause.",
          ),
        ]
      : [];
    return [...unserved, ...noTurns, ...idle];
  });
}
