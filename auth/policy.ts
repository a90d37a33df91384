/**
 * Who may reach whom, from the config: one function judges, and both the compiled pairings and every explanation come from
 * it. Source: behaviour §1.6, §3.1 (texts), §3.8 (visibility × sandbox × agent-to-agent).
 */
import type { GrantVerb } from "../runtime/kernel/envelope.ts";
import { matchesPattern } from "../runtime/kernel/pairings.ts";

export type Visibility = "self" | "tree" | "agent" | "all";

export type SessionVerb = GrantVerb;

/** One entry of `tools.agentToAgent.grants`; `from` and `to` are ids or patterns. */
export interface Grant {
  readonly from: string;
  readonly to: string;
  readonly verbs: readonly SessionVerb[];
}

/** One entry of `tools.message.deliver`: `from` is an id or a pattern, `to` are patterns of `channel:account:kind:id`. */
export interface Delivery {
  readonly from: string;
  readonly to: readonly string[];
}

/** A right that an operator granted while the gateway ran. */
export interface OperatorGrant extends Grant {
  readonly id: string;
  /** No effect from this time on (ms since the epoch). Absent: until it is revoked. */
  readonly untilMs?: number;
}

/** What `tools.agentToAgent.allow` gives at once. */
export const pairVerbs: readonly SessionVerb[] = ["send", "request", "list", "history"];

export interface Policy {
  readonly visibility: Visibility;
  readonly agentToAgent: {
    readonly enabled: boolean;
    readonly allow: readonly string[];
    /** Absent: none. */
    readonly grants?: readonly Grant[];
    /** Whether a refused call raises a request that an operator may approve. Absent: `off`. */
    readonly requests?: "off" | "operator";
  };
  /** Agents that webhooks may reach, as ids or `*` patterns. Absent: none. */
  readonly hooks?: readonly string[];
  /** Agents that may propose changes of the configuration, as ids or `*` patterns. Absent: none. */
  readonly proposers?: readonly string[];
  /** Where on channels agents may speak beside their own conversations. Absent: nowhere. */
  readonly deliveries?: readonly Delivery[];
  /** Those in force now, whatever `agentToAgent.enabled` says. Absent: none. */
  readonly operator?: readonly OperatorGrant[];
  /** `spawned`: a sandboxed session reaches only what it spawned. */
  readonly sessionToolsVisibility: SessionToolsVisibility;
  /** By agent id, for those that have one of their own. Absent: none has. */
  readonly sessionToolsVisibilityOf?: Readonly<Record<string, SessionToolsVisibility>>;
}

export type SessionToolsVisibility = "spawned" | "all";

/** What holds for the agent, and the key that says so. */
export function sessionToolsOf(
  policy: Pick<Policy, "sessionToolsVisibility" | "sessionToolsVisibilityOf">,
  agentId: string,
): { readonly value: SessionToolsVisibility; readonly key: string } {
  const { sessionToolsVisibilityOf: named = {} } = policy;
  const own = Object.hasOwn(named, agentId) ? named[agentId] : undefined;
  return own === undefined
    ? { value: policy.sessionToolsVisibility, key: "agents.defaults.sandbox.sessionToolsVisibility" }
    : { value: own, key: `agents.list[id=${agentId}].sandbox.sessionToolsVisibility` };
}

export type Judgement =
  /** `grantId`: of the operator's grant that allows it. */
  | { readonly allowed: true; readonly rule: string; readonly grantId?: string }
  | { readonly allowed: false; readonly rule: string; readonly message: string; readonly remedy: string };

/**
 * May one agent reach another at all? The session does not matter across agents (behaviour §3.8, rule 2). A grant names pair and
 * verb itself, so that it needs no `visibility`; those of the config need `enabled`, those of an operator do not.
 */
export function judgePair(policy: Policy, from: string, to: string, verb: SessionVerb): Judgement {
  const { enabled, allow, grants = [] } = policy.agentToAgent;
  const given = policy.operator?.find((grant) => isBetween(grant, from, to) && grant.verbs.includes(verb));
  if (given !== undefined) return { allowed: true, rule: `the operator's grant ${given.id}`, grantId: given.id };
  const granted = grants.findIndex((grant) => isBetween(grant, from, to) && grant.verbs.includes(verb));
  if (enabled && granted !== -1) return { allowed: true, rule: grantRule(granted) };
  const missing = [from, to].filter((id) => !allow.some((pattern) => matchesPattern(pattern, id)));
  const isPairVerb = pairVerbs.includes(verb);
  if (enabled && policy.visibility === "all" && missing.length === 0 && isPairVerb)
    return { allowed: true, rule: "tools.agentToAgent.allow" };

  // Each remedy is all that it takes: whoever writes it may.
  const switchOn = enabled ? [] : ["tools.agentToAgent.enabled: true"];
  if (granted !== -1) {
    return {
      allowed: false,
      rule: "tools.agentToAgent.enabled",
      message: `${whyDisabled(verb)} ${grantRule(granted)} counts only then.`,
      remedy: switchOn.join("; "),
    };
  }
  const other = grants.findIndex((grant) => isBetween(grant, from, to));
  if (other !== -1 && (enabled || !isPairVerb)) {
    return {
      allowed: false,
      rule: grantRule(other),
      message: `Agent ${from} may not ${verb} to agent ${to}: ${grantRule(other)} grants only ${(grants[other]?.verbs ?? []).join(", ")}.`,
      remedy: [...switchOn, `add "${verb}" to ${grantRule(other)}.verbs`].join("; "),
    };
  }
  if (!isPairVerb) {
    const row = `{ from: "${from}", to: "${to}", verbs: ["${verb}"] }`;
    return {
      allowed: false,
      rule: "tools.agentToAgent.grants",
      message: `Agent ${from} holds no grant to ${verb} agent ${to}.`,
      remedy:
        grants.length > 0
          ? [...switchOn, `add ${row} to tools.agentToAgent.grants`].join("; ")
          : enabled
            ? `tools.agentToAgent.grants: [${row}]`
            : `tools.agentToAgent: { enabled: true, grants: [${row}] }`,
    };
  }
  const admit = missing.length === 0 ? [] : [`add ${missing.map(quote).join(" and ")} to tools.agentToAgent.allow`];
  const pair =
    enabled || allow.length > 0
      ? [...switchOn, ...admit]
      : [`tools.agentToAgent: { enabled: true, allow: ["${from}", "${to}"] }`];
  if (policy.visibility !== "all") {
    return {
      allowed: false,
      rule: "tools.sessions.visibility",
      message: `Session of agent ${to} is not visible from agent ${from}: tools.sessions.visibility is "${policy.visibility}", needs "all".`,
      remedy: ['tools.sessions.visibility: "all"', ...pair].join("; "),
    };
  }
  return {
    allowed: false,
    ...(enabled
      ? {
          rule: "tools.agentToAgent.allow",
          message: "Agent-to-agent messaging denied by tools.agentToAgent.allow.",
        }
      : { rule: "tools.agentToAgent.enabled", message: whyDisabled(verb) }),
    remedy: pair.join("; "),
  };
}

function whyDisabled(verb: SessionVerb): string {
  return verb === "list"
    ? "Agent-to-agent listing is disabled. Set tools.agentToAgent.enabled=true to allow cross-agent visibility."
    : "Agent-to-agent messaging is disabled. Set tools.agentToAgent.enabled=true to allow cross-agent sends.";
}

const quote = (id: string): string => `"${id}"`;

function isBetween(grant: Grant, from: string, to: string): boolean {
  return matchesPattern(grant.from, from) && matchesPattern(grant.to, to);
}

function grantRule(index: number): string {
  return `tools.agentToAgent.grants[${index}]`;
}

export interface Requester {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly mainSessionKey: string;
  readonly sandboxed: boolean;
}

export interface Target {
  readonly agentId: string;
  readonly sessionKey: string;
  /** Keys of the sessions that spawned it, nearest first. */
  readonly ancestors: readonly string[];
}

/** May this session use a session tool on that one? The function that enforces, and that `sessions_list` tells rights from. */
export function judgeSession(policy: Policy, requester: Requester, target: Target, verb: SessionVerb): Judgement {
  const isOwnChild = target.ancestors.includes(requester.sessionKey);
  if (isClampedSession(policy, requester)) {
    if (isOwnChild) return { allowed: true, rule: "spawned" };
    const rule = sessionToolsOf(policy, requester.agentId).key;
    return {
      allowed: false,
      rule,
      message: "Session not visible from this sandboxed agent session.",
      remedy: `${rule}: "all"`,
    };
  }
  if (requester.sessionKey === target.sessionKey) return { allowed: true, rule: "own session" };
  if (isOwnChild && (policy.visibility === "tree" || policy.visibility === "all"))
    return { allowed: true, rule: "spawned" };
  if (requester.agentId !== target.agentId) return judgePair(policy, requester.agentId, target.agentId, verb);
  const seesAgent =
    policy.visibility === "agent" ||
    policy.visibility === "all" ||
    (policy.visibility === "tree" && requester.sessionKey === requester.mainSessionKey);
  if (seesAgent) return { allowed: true, rule: "tools.sessions.visibility" };
  const wanted = policy.visibility === "self" ? "tree" : "agent";
  return {
    allowed: false,
    rule: "tools.sessions.visibility",
    message: `Session ${target.sessionKey} is not visible from ${requester.sessionKey}: tools.sessions.visibility is "${policy.visibility}", needs "${wanted}".`,
    remedy: `tools.sessions.visibility: "${wanted}"`,
  };
}

/** What an operator does the same with: `cloister sessions <command>`. */
export type ControlCommand = "label" | "set" | "reset" | "delete";

/**
 * May this session decide about that one: label, archive, model, reset, delete? It has to see it, and it is its own agent's or one that
 * it or a sub-agent of it has spawned: a right to write to another agent is none to decide about its sessions.
 */
export function judgeControl(policy: Policy, requester: Requester, target: Target, command: ControlCommand): Judgement {
  const seen = judgeSession(policy, requester, target, "list");
  if (!seen.allowed || requester.agentId === target.agentId || target.ancestors.includes(requester.sessionKey))
    return seen;
  return {
    allowed: false,
    rule: "own and spawned sessions",
    message: `Session ${target.sessionKey} belongs to ${target.agentId}: an agent changes only its own sessions and those it spawned.`,
    remedy: `cloister sessions ${command} ${target.sessionKey}`,
  };
}

export function isClampedSession(policy: Policy, requester: Pick<Requester, "agentId" | "sandboxed">): boolean {
  return requester.sandboxed && sessionToolsOf(policy, requester.agentId).value === "spawned";
}
