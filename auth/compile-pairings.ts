/**
 * Compiles the policy into the rows of the pairing registry. Rows name patterns and not every pair, so that their number
 * grows with the config and not with the square of the agents (promise P7).
 */
import { type CallerRow, grantVerbs, type Verb } from "../runtime/kernel/envelope.ts";
import { matchesPattern, type Pairing, type StandingPairings } from "../runtime/kernel/pairings.ts";
import { configTool, mcpTools, tools } from "./tool-names.ts";
import { judgePair, type OperatorGrant, pairVerbs, type Policy, type SessionVerb } from "./policy.ts";

/** One list each for the rows of all agents. */
const scheduleVerbs: readonly Verb[] = ["schedule"];
/** With the right to ask models; which ones is the config's matter (`runtime/broker`). */
const toolVerbs: readonly Verb[] = [
  "model",
  ...tools.filter((tool) => tool !== configTool).map((tool) => `tool:${tool}` as const),
  `tool:${mcpTools}`,
];
const proposalVerbs: readonly Verb[] = [`tool:${configTool}`];

/** The rows that the config gives, agent by agent; those of operators are in `grantPairings`. */
export function compilePairings(policy: Policy, isAgent: (agentId: string) => boolean): StandingPairings {
  return {
    of(subject) {
      if (subject === hookSubject) return hookPairings(policy.hooks ?? []);
      const agentId = agentOfSubject(subject);
      return agentId !== undefined && isAgent(agentId) ? compileAgent(policy, agentId) : [];
    },
    subjectOf(id) {
      if (id.startsWith(hookIds)) return hookSubject;
      const agentId = standingId.exec(id)?.[1];
      return agentId === undefined ? undefined : `agent:${agentId}`;
    },
  };
}

/**
 * The ids that `compileAgent` gives; agents' ids have letters, digits, `_` and `-`. An id says what its row allows: the row that a
 * stored envelope names is never another one after the config has changed.
 */
const standingId = /^config:(?:tools|schedule|propose|deliver|a2a|grant):([\w-]+)(?:>|$)/u;

/** Webhooks have one token, and so one set of rights. */
export const hookSubject = "hook";
const hookIds = "config:hook:";

function hookPairings(patterns: readonly string[]): Pairing[] {
  return [...new Set(patterns)].map((pattern) => ({
    id: `${hookIds}${pattern}`,
    subject: hookSubject,
    object: `agent:${pattern}`,
    verbs: ["send"],
    origin: "config",
  }));
}

export const callerSubject = (name: string): string => `caller:${name}`;

/** The rows of a program that an operator lets call agents, one for each agent or pattern. */
export function callerPairings({ id, name, agents, untilMs }: CallerRow): Pairing[] {
  return agents.map((pattern) => ({
    id: `caller:${id}:${pattern}`,
    subject: callerSubject(name),
    object: `agent:${pattern}`,
    verbs: ["send"],
    origin: "operator",
    ...(untilMs === undefined ? {} : { untilMs }),
  }));
}

function agentOfSubject(subject: string): string | undefined {
  return subject.startsWith("agent:") ? subject.slice("agent:".length) : undefined;
}

/** The rows of one grant of an operator, one for each agent that it is for. */
export function grantPairings({ id, from, to, verbs, untilMs }: OperatorGrant, agentIds: readonly string[]): Pairing[] {
  return agentIds
    .filter((agentId) => matchesPattern(from, agentId))
    .map((agentId) => ({
      id: `operator:${id}:${agentId}`,
      subject: `agent:${agentId}`,
      object: `agent:${to}`,
      verbs,
      origin: "operator",
      ...(untilMs === undefined ? {} : { untilMs }),
    }));
}

function compileAgent(policy: Policy, agentId: string): Pairing[] {
  const subject = `agent:${agentId}`;
  const held: Pairing = {
    id: toolsPairingId(agentId),
    subject,
    object: "gateway",
    verbs: toolVerbs,
    // To its sub-agents, minus what no sub-agent has (`auth/subagent-tools.ts`).
    delegable: toolVerbs,
    origin: "config",
  };
  const timers: Pairing = {
    id: schedulePairingId(agentId),
    subject,
    object: subject,
    verbs: scheduleVerbs,
    origin: "config",
  };
  const open =
    policy.visibility === "all" &&
    policy.agentToAgent.enabled &&
    policy.agentToAgent.allow.some((pattern) => matchesPattern(pattern, agentId));
  const grants = policy.agentToAgent.enabled ? (policy.agentToAgent.grants ?? []) : [];
  const siblings = open ? [...new Set(policy.agentToAgent.allow)] : [];
  const granted = grants
    .filter(({ from }) => matchesPattern(from, agentId))
    .map(({ to, verbs }): Pairing => {
      const id = `config:grant:${agentId}>${to}:${verbs.join("+")}`;
      return { id, subject, object: `agent:${to}`, verbs, origin: "config" };
    });
  const mayPropose = policy.proposers?.some((pattern) => matchesPattern(pattern, agentId)) === true;
  const proposals: Pairing = {
    id: `config:propose:${agentId}`,
    subject,
    object: "gateway",
    verbs: proposalVerbs,
    origin: "config",
  };
  return [
    held,
    timers,
    ...(mayPropose ? [proposals] : []),
    ...deliverPairings(policy, agentId),
    ...siblings.map(
      (pattern): Pairing => ({
        id: `config:a2a:${agentId}>${pattern}`,
        subject,
        object: `agent:${pattern}`,
        verbs: pairVerbs,
        origin: "config",
      }),
    ),
    ...new Map(granted.map((row) => [row.id, row])).values(),
  ];
}

/** Where on channels an agent may speak beside its own conversations. */
function deliverPairings({ deliveries = [] }: Policy, agentId: string): Pairing[] {
  const patterns = deliveries.filter(({ from }) => matchesPattern(from, agentId)).flatMap(({ to }) => to);
  return [...new Set(patterns)].map((pattern) => ({
    id: `config:deliver:${agentId}>${pattern}`,
    subject: `agent:${agentId}`,
    object: `channel:${pattern}`,
    verbs: ["deliver"],
    origin: "config",
  }));
}

/** What an agent's timers and jobs stand on. */
export const schedulePairingId = (agentId: string): string => `config:schedule:${agentId}`;

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
  const judged = judgePair(policy, from, to, isSessionVerb(verb) ? verb : "send");
  if (!judged.allowed) return judged;
  return {
    message: `${subject} holds no capability to ${verb} to ${object}`,
    remedy: "use the session tools for sessions of the same agent",
  };
}

function isSessionVerb(verb: Verb): verb is SessionVerb {
  return (grantVerbs as readonly Verb[]).includes(verb);
}
