/** The refusal of what is for an agent that is not there, or not any more. */
import type { Refusal } from "./errors.ts";

export function unknownAgent(agentId: string): Refusal {
  return { code: "CLOISTER_AGENT_UNKNOWN", message: `agent not found: ${agentId}`, remedy: "cloister agents list" };
}
