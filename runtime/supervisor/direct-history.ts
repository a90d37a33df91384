/** How much of a direct chat a model is shown (`dmHistoryLimit`), as the configuration says it when the turn begins. Source: behaviour §1.8. */
import { findRules, type GroupsConfig } from "../groups/index.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { isSubagentKey, parseSessionKey } from "../routing/index.ts";

/** Undefined: the session is no direct chat, or all of it is shown. */
export function historyTurnsOf(
  groups: GroupsConfig,
  { from, sessionKey }: Pick<EnvelopeHeader, "from" | "sessionKey">,
): number | undefined {
  const place = directChat(from, sessionKey);
  return place === undefined ? undefined : findRules(groups, place.channel, place.accountId).dmHistoryLimit;
}

/** Where the message came from; a turn that nobody wrote to is of the chat that its session's key names. */
function directChat(
  from: EnvelopeHeader["from"],
  sessionKey: string,
): { readonly channel: string; readonly accountId: string } | undefined {
  if (from.type === "channel") return from.peer.startsWith("direct:") && !isSubagentKey(sessionKey) ? from : undefined;
  const parsed = parseSessionKey(sessionKey);
  if (parsed.shape !== "agent" || parsed.session.type !== "dm" || parsed.session.scope === "per-peer") return undefined;
  const { session } = parsed;
  return {
    channel: session.channel,
    accountId: session.scope === "per-account-channel-peer" ? session.accountId : "*",
  };
}
