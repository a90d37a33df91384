/**
 * How many envelopes are on their way through an agent's mailbox, from the moment that their append begins to their end: of
 * the agent and of each of its sessions. Counted from the append on, so that a burst cannot overshoot the bounds.
 */
import type { AgentEntry } from "./state.ts";

export function reserve(agent: AgentEntry | undefined, sessionKey: string): void {
  if (agent === undefined) return;
  agent.depth++;
  agent.sessionDepth.set(sessionKey, sessionDepth(agent, sessionKey) + 1);
}

export function release(agent: AgentEntry | undefined, sessionKey: string): void {
  if (agent === undefined) return;
  agent.depth--;
  const left = sessionDepth(agent, sessionKey) - 1;
  if (left > 0) agent.sessionDepth.set(sessionKey, left);
  else agent.sessionDepth.delete(sessionKey);
}

export function sessionDepth(agent: AgentEntry, sessionKey: string): number {
  return agent.sessionDepth.get(sessionKey) ?? 0;
}
