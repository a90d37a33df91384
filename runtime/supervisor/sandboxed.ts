/** Whether a session counts as sandboxed. Source: behaviour §7.1. */
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { mainSessionKey } from "../routing/index.ts";

/** `non-main` compares the session's key with the main one: groups, threads and sub-agents of the agent are other sessions. */
export function isSandboxed(
  agent: Pick<ResolvedAgent, "id" | "sandboxMode"> | undefined,
  sessionKey: string,
  session: ResolvedConfig["session"],
): boolean {
  if (agent === undefined || agent.sandboxMode === "off") return false;
  return agent.sandboxMode === "all" || sessionKey !== mainSessionKey(agent.id, session);
}
