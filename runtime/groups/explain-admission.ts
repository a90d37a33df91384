/**
 * What would become of a message, by the functions that decide it: the operator's view beside the route's. What is not told is not
 * guessed: without a sender no list holds but `*`, and `/activation`, which is in the store, is taken as not said.
 */
import type { InboundEvent } from "../../channels/port.ts";
import { agentsOfBroadcast, findBroadcast } from "./broadcast.ts";
import { judgeAdmission, type PassedStep } from "./admission.ts";
import { judgeMention, type MentionPatterns } from "./mentions.ts";
import { type BroadcastEntry, findRules, type GroupsConfig } from "./rules.ts";

export interface AdmissionExplanation {
  readonly outcome: "handled" | "pending" | "dropped";
  /** Why, in words. */
  readonly why: string;
  /** The key that decided against it, and what would change that. */
  readonly rule?: string;
  readonly remedy?: string;
  /** What it had passed before. */
  readonly passed: readonly PassedStep[];
  /** Of a broadcast: the agents that run, instead of the one that the bindings name. */
  readonly broadcast?: { readonly key: string; readonly agents: readonly string[] };
}

export type ExplainedMessage = Pick<
  InboundEvent,
  "peer" | "parentPeer" | "guildId" | "memberRoleIds" | "wasMentioned" | "text"
> & {
  readonly sender?: InboundEvent["sender"];
};

/** `route` is what the bindings say: channel and account in their written forms, and the agent. */
export function explainAdmission(
  config: GroupsConfig,
  patterns: MentionPatterns,
  route: { readonly channel: string; readonly accountId: string; readonly agentId: string },
  message: ExplainedMessage,
): AdmissionExplanation {
  const rules = findRules(config, route.channel, route.accountId);
  const facts = { ...message, channel: route.channel };
  const admission = judgeAdmission(rules, facts);
  const { passed } = admission;
  if (!admission.admitted)
    return { outcome: "dropped", why: admission.reason, rule: admission.rule, remedy: admission.remedy, passed };
  const entry = findBroadcast(config.broadcast.entries, facts);
  const broadcast = entry === undefined ? {} : { broadcast: describeBroadcast(entry, message.text, patterns) };
  if (admission.group === undefined) return { outcome: "handled", why: "it is a direct message", passed, ...broadcast };
  const gate = judgeMention({
    rules,
    group: admission.group,
    facts,
    patterns,
    agentIds: entry?.agents ?? [route.agentId],
    activation: undefined,
    isCommand: false,
  });
  return gate.open
    ? { outcome: "handled", why: gate.why, passed, ...broadcast }
    : { outcome: "pending", why: gate.reason, remedy: gate.remedy, passed };
}

function describeBroadcast(entry: BroadcastEntry, text: string, patterns: MentionPatterns) {
  const agents = agentsOfBroadcast(entry, text, (agentId, said) => patterns.addresses(agentId, said));
  return { key: entry.key, agents: agents.slice(0, entry.maxTurns) };
}

/** Lines for a terminal, after those of the route. */
export function formatAdmission({ outcome, why, rule, remedy, passed, broadcast }: AdmissionExplanation): string {
  const lines = passed.map(({ step, why: because }) => `passed   ${step}: ${because}`);
  lines.push(`message  ${outcome}: ${why}`);
  if (rule !== undefined) lines.push(`decided  ${rule}`);
  if (remedy !== undefined) lines.push(`remedy   ${remedy}`);
  if (broadcast !== undefined) lines.push(`agents   ${broadcast.agents.join(", ")} (broadcast ${broadcast.key})`);
  return lines.join("\n");
}
