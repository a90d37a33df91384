/**
 * Compiles the policy into the rows of the pairing registry. Rows name patterns and not every pair, so that their number
 * grows with the config and not with the square of the agents (promise P7).
 */
import type { Verb } from "../runtime/kernel/envelope.ts";
import { matchesPattern, type Pairing } from "../runtime/kernel/pairings.ts";
import { judgePair, type Policy } from "./policy.ts";

/** The session tools of this version; each is a verb of its own. */
export const sessionTools = ["sessions_list", "sessions_history", "sessions_send"] as const;

const crossVerbs: readonly Verb[] = ["send", "request", "list", "history"];

export function compilePairings(policy: Policy, agentIds: readonly string[]): Pairing[] {
  return agentIds.flatMap((agentId) => {
    const subject = `agent:${agentId}`;
    const tools: Pairing = {
      id: toolsPairingId(agentId),
      subject,
      object: "gateway",
      verbs: sessionTools.map((tool) => `tool:${tool}` as const),
      origin: "config",
    };
    const open =
      policy.visibility === "all" &&
      policy.agentToAgent.enabled &&
      policy.agentToAgent.allow.some((pattern) => matchesPattern(pattern, agentId));
    const siblings = open ? [...new Set(policy.agentToAgent.allow)] : [];
    return [
      tools,
      ...siblings.map(
        (pattern): Pairing => ({
          id: `config:a2a:${agentId}>${pattern}`,
          subject,
          object: `agent:${pattern}`,
          verbs: crossVerbs,
          origin: "config",
        }),
      ),
    ];
  });
}

export function toolsPairingId(agentId: string): string {
  return `config:tools:${agentId}`;
}

/** Why there is no pairing: the judgement that kept the compiler from making one. */
export function explainMissing(
  policy: Policy,
  subject: string,
  verb: Verb,
  object: string,
): { readonly message: string; readonly remedy: string } {
  const from = subject.replace(/^agent:/, "");
  const to = object.replace(/^agent:/, "");
  const judged = judgePair(policy, from, to, verb === "list" ? "list" : "send");
  if (!judged.allowed) return judged;
  return {
    message: `${subject} holds no capability to ${verb} to ${object}`,
    remedy: "use the session tools for sessions of the same agent",
  };
}
