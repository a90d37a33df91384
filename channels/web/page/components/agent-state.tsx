/** State of an agent as a badge: a word, and a mark that repeats it in colour and shape. */
import type { AgentStatus } from "../wire.ts";

export function AgentState({ agent, testId }: { readonly agent: AgentStatus; readonly testId?: string }) {
  return (
    <span class="badge" data-phase={agent.phase} data-testid={testId}>
      {agent.phase}
    </span>
  );
}

/** `main` is the agent's word for itself when no other name is configured, so it is not said twice. */
export function AgentId({ agent }: { readonly agent: AgentStatus }) {
  return agent.name === agent.agentId ? null : <span class="agent-id">{agent.agentId}</span>;
}
