/** What clients name in their requests: agents and sessions. Throws the coded errors that are their answers. */
import type { ResolvedConfig } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { mainSessionKey, resolveSessionReference } from "../routing/index.ts";

export interface SessionTarget {
  readonly agentId: string;
  readonly sessionKey: string;
}

export interface Targets {
  /** By key, `main`, or an agent's id. @throws CLOISTER_REQUEST_INVALID, CLOISTER_AGENT_UNKNOWN */
  session(reference: string): SessionTarget;
  /** The main session of an agent. @throws CLOISTER_AGENT_UNKNOWN */
  main(agentId: string): SessionTarget;
  /** The id of an agent; absent: the default one. @throws CLOISTER_AGENT_UNKNOWN */
  agent(reference?: string): string;
}

export function makeTargets(
  config: Pick<ResolvedConfig, "defaultAgentId" | "session">,
  isAgent: (agentId: string) => boolean,
): Targets {
  const agent = (reference = config.defaultAgentId): string => {
    const agentId = reference.toLowerCase();
    if (!isAgent(agentId))
      throw failure("CLOISTER_AGENT_UNKNOWN", `agent not found: ${reference}`, "cloister agents list");
    return agentId;
  };
  const session = (reference: string): SessionTarget => {
    const resolved = resolveSessionReference(reference, {
      agentId: config.defaultAgentId,
      sessionKey: mainSessionKey(config.defaultAgentId, config.session),
      mainKey: config.session.mainKey,
      scope: config.session.scope,
    });
    if (resolved.status === "malformed")
      throw failure("CLOISTER_REQUEST_INVALID", resolved.refusal.message, resolved.refusal.remedy);
    return { agentId: agent(resolved.agentId), sessionKey: resolved.key };
  };
  return { agent, session, main: (agentId) => session(`agent:${agent(agentId)}:${config.session.mainKey}`) };
}
