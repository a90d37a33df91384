/** Which sessions tell their agent's main session that they were made, and which turns hear of it. Source: behaviour §1.5. */
import type { ResolvedConfig } from "../config/resolved.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { mainSessionKey, sessionChannel, sessionKind } from "../routing/index.ts";
import type { TurnBegin } from "../store/port.ts";

/**
 * Sessions that people and programs begin are told of; jobs, hooks, nodes and sub-agents make theirs by themselves. What the gateway
 * itself tells a main session carries no notices, nor do signals and turns between agents: they wait for a turn in which somebody has spoken.
 */
export function noticesFor(
  session: Pick<ResolvedConfig["session"], "notifyOnCreate" | "mainKey" | "scope">,
  {
    sessionKey,
    provenance,
    signal,
    exchange,
  }: Pick<EnvelopeHeader, "sessionKey" | "provenance" | "signal" | "exchange">,
): Pick<TurnBegin, "notify" | "wantNotices"> {
  const agentId = agentOfKey(sessionKey);
  if (!session.notifyOnCreate || agentId === undefined) return {};
  const main = mainSessionKey(agentId, session);
  if (sessionKey === main) {
    const isSaid = provenance.kind !== "internal_system" && signal === undefined && exchange === undefined;
    return isSaid ? { wantNotices: true } : {};
  }
  const kind = sessionKind(sessionKey, session.mainKey);
  const isTold = provenance.kind === "external_user" && (kind === "group" || kind === "other");
  return isTold ? { notify: { to: main, channel: sessionChannel(sessionKey, provenance.sourceChannel) } } : {};
}
