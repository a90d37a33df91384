/** `hooks` as the gateway reads it: where webhooks are taken, what makes messages of them, and which sessions they may choose. Source: behaviour §5.9. */
import { hookDelivery } from "../edge/hook-delivery.ts";
import { parseSessionKey } from "../routing/index.ts";
import { normalizeAgentId } from "../routing/ids.ts";
import { readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import type { ResolvedConfig } from "./resolved.ts";
import { normalizeUrlPath } from "./listen.ts";

export function resolveHooks(draft: Draft): ResolvedConfig["hooks"] {
  const { enabled, token, path: place, allowedAgentIds, mappings, allowRequestSessionKey, ...of } = draft.config.hooks;
  const credential = readCredential(["hooks", "token"], token, draft);
  const isLimited = allowedAgentIds !== undefined && !allowedAgentIds.some((id) => id.trim() === "*");
  const { defaultSessionKey, allowedSessionKeyPrefixes: sessionKeyPrefixes, maxBodyBytes: bodyBytesMax } = of;
  return {
    enabled,
    path: normalizeUrlPath(place),
    allowRequestSessionKey,
    ...(sessionKeyPrefixes === undefined ? {} : { sessionKeyPrefixes }),
    ...(defaultSessionKey === undefined ? {} : { defaultSessionKey }),
    ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }),
    mappings: mappings.map(resolveMapping),
    ...(credential.status === "set" ? { token: credential.value } : {}),
    ...(isLimited ? { allowedAgentIds: allowedAgentIds.map(normalizeAgentId) } : {}),
  };
}

function resolveMapping({
  match,
  action,
  agentId,
  messageTemplate,
  textTemplate,
  wakeMode,
  ...of
}: Draft["config"]["hooks"]["mappings"][number]): ResolvedConfig["hooks"]["mappings"][number] {
  const template = action === "wake" ? (textTemplate ?? messageTemplate) : (messageTemplate ?? textTemplate);
  const { name, sessionKey, model, thinking, timeoutSeconds } = of;
  const delivery = hookDelivery(of);
  const turnMsMax = timeoutSeconds === undefined ? undefined : timeoutSeconds * 1_000;
  const asked = { name, sessionKey, template, delivery, model, thinking, turnMsMax };
  const facts = { path: match.path, source: match.source, ...asked };
  return {
    action,
    ...(agentId === undefined ? {} : { agentId: normalizeAgentId(agentId) }),
    ...(wakeMode === "next-heartbeat" ? { atHeartbeat: true as const } : {}),
    ...Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)),
  };
}

/** Of a key with its agent, the prefix is of the whole or of what follows the agent. */
export function hasPrefix(sessionKey: string, prefixes: readonly string[]): boolean {
  const key = sessionKey.trim().toLowerCase();
  const own = withoutAgent(key);
  return prefixes
    .map((prefix) => prefix.trim().toLowerCase())
    .some((prefix) => key.startsWith(prefix) || own.startsWith(prefix));
}

export function withoutAgent(sessionKey: string): string {
  const parsed = parseSessionKey(sessionKey);
  return parsed.shape === "agent" ? parsed.key.slice(`agent:${parsed.agentId}:`.length) : sessionKey;
}
