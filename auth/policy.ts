/**
 * Who may reach whom, from the config: one function judges, and both the compiled pairings and every explanation come from
 * it. Source: behaviour §1.6, §3.1 (texts), §3.8 (visibility × sandbox × agent-to-agent).
 */
import { matchesPattern } from "../runtime/kernel/pairings.ts";

export type Visibility = "self" | "tree" | "agent" | "all";

export interface Policy {
  readonly visibility: Visibility;
  readonly agentToAgent: { readonly enabled: boolean; readonly allow: readonly string[] };
  /** `spawned`: a sandboxed session reaches only what it spawned. */
  readonly sessionToolsVisibility: "spawned" | "all";
}

export type SessionVerb = "list" | "history" | "send";

export type Judgement =
  | { readonly allowed: true; readonly rule: string }
  | { readonly allowed: false; readonly rule: string; readonly message: string; readonly remedy: string };

/** May one agent reach another at all? The session does not matter across agents (behaviour §3.8, rule 2). */
export function judgePair(policy: Policy, from: string, to: string, verb: SessionVerb): Judgement {
  if (policy.visibility !== "all") {
    return {
      allowed: false,
      rule: "tools.sessions.visibility",
      message: `Session of agent ${to} is not visible from agent ${from}: tools.sessions.visibility is "${policy.visibility}", needs "all".`,
      remedy: 'tools.sessions.visibility: "all"',
    };
  }
  if (!policy.agentToAgent.enabled) {
    return {
      allowed: false,
      rule: "tools.agentToAgent.enabled",
      message:
        verb === "list"
          ? "Agent-to-agent listing is disabled. Set tools.agentToAgent.enabled=true to allow cross-agent visibility."
          : "Agent-to-agent messaging is disabled. Set tools.agentToAgent.enabled=true to allow cross-agent sends.",
      remedy: `tools.agentToAgent: { enabled: true, allow: ["${from}", "${to}"] }`,
    };
  }
  const missing = [from, to].filter((id) => !policy.agentToAgent.allow.some((pattern) => matchesPattern(pattern, id)));
  if (missing.length > 0) {
    return {
      allowed: false,
      rule: "tools.agentToAgent.allow",
      message: "Agent-to-agent messaging denied by tools.agentToAgent.allow.",
      remedy: `add ${missing.map((id) => `"${id}"`).join(" and ")} to tools.agentToAgent.allow`,
    };
  }
  return { allowed: true, rule: "tools.agentToAgent.allow" };
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
    return {
      allowed: false,
      rule: "agents.defaults.sandbox.sessionToolsVisibility",
      message: "Session not visible from this sandboxed agent session.",
      remedy: 'agents.defaults.sandbox.sessionToolsVisibility: "all"',
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

export function isClampedSession(policy: Policy, requester: Pick<Requester, "sandboxed">): boolean {
  return requester.sandboxed && policy.sessionToolsVisibility === "spawned";
}
