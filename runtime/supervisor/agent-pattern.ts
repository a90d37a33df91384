/** An agent, or a `*` pattern of agents, as an operator names it for a right. */
import { failure } from "../kernel/errors.ts";

/** In its written form. Throws `CLOISTER_REQUEST_INVALID` that names `field`, or `CLOISTER_AGENT_UNKNOWN`. */
export function checkAgentPattern(field: string, text: string, agents: ReadonlyMap<string, unknown>): string {
  const known = text.toLowerCase();
  if (!/^[a-z0-9_*-]{1,64}$/u.test(known))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${field}: found ${JSON.stringify(text)}, wanted an agent's id or a * pattern`,
    );
  if (!known.includes("*") && !agents.has(known))
    throw failure("CLOISTER_AGENT_UNKNOWN", `agent not found: ${text}`, "cloister agents list");
  return known;
}
