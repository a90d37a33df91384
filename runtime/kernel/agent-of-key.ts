/** `agent:<id>:<rest>` → id. The kernel's only look into a session key; the grammar has its owner in `runtime/routing`. */
export function agentOfKey(sessionKey: string): string | undefined {
  if (!sessionKey.startsWith("agent:")) return undefined;
  const end = sessionKey.indexOf(":", 6);
  return end <= 6 || end === sessionKey.length - 1 ? undefined : sessionKey.slice(6, end);
}
