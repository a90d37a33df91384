/**
 * Senders that wait for a place in a mailbox whose policy is `park`. In order per target session: who comes later for the same
 * session waits behind. Each wait is bounded in time, the crowd in number and, with all other bodies in memory, in characters.
 */
import type { Ask } from "./asks.ts";
import { policyOf, whyNoRoom } from "./depth.ts";
import type { Refusal } from "./errors.ts";
import type { AgentEntry, KernelState, Waiting } from "./state.ts";

/** `isNext`: it has waited, and its turn has come. */
export function findRoom(
  k: KernelState,
  agent: AgentEntry,
  sessionKey: string,
  isNext: boolean,
): "free" | "wait" | Refusal {
  const full = whyNoRoom(k, agent, sessionKey);
  if (policyOf(k, agent).overflow !== "park" || isNext) return full ?? "free";
  const crowd = agent.crowd ?? [];
  if (full === undefined && !crowd.some((waiting) => waiting.sessionKey === sessionKey)) return "free";
  if (crowd.length < k.settings.limits.parkedSendersMax) return "wait";
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `the mailbox of ${sessionKey} is full, and ${crowd.length} senders wait for a place already`,
    retryAfterMs: 1_000,
  };
}

export function joinCrowd(k: KernelState, agent: AgentEntry, waiting: Waiting): void {
  agent.crowd = [...(agent.crowd ?? []), waiting];
  k.crowded.add(agent);
  k.astir.add(agent);
  k.heldChars += bodyOf(waiting).length;
}

export function leaveCrowd(k: KernelState, agent: AgentEntry, waiting: Waiting): void {
  const left = agent.crowd?.filter((other) => other !== waiting) ?? [];
  agent.crowd = left.length === 0 ? undefined : left;
  if (left.length === 0) k.crowded.delete(agent);
  k.heldChars -= bodyOf(waiting).length;
}

/** The wait of an agent's turn is over, whatever ended it. */
export function endWait(k: KernelState, targetId: string, { envelopeId }: Ask): void {
  const agent = k.agents.get(targetId);
  const waiting = agent?.crowd?.find((other) => other.type === "cell" && other.place === envelopeId);
  if (agent !== undefined && waiting !== undefined) leaveCrowd(k, agent, waiting);
}

/** Senders from outside whose time is over. */
export function expireCrowds(k: KernelState, nowMs: number): void {
  for (const agent of k.crowded) {
    for (const waiting of agent.crowd ?? []) {
      if (waiting.type !== "ingress" || waiting.deadlineMs > nowMs) continue;
      leaveCrowd(k, agent, waiting);
      const refusal = noPlaceInTime(waiting.sessionKey, k.settings.limits.parkedIngressMs);
      k.emit({ type: "accepted", ticket: waiting.ticket, result: { status: "refused", refusal } });
    }
  }
}

export function noPlaceInTime(sessionKey: string, waitedMs: number): Refusal {
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `the mailbox of ${sessionKey} is full: no place in it became free within ${waitedMs / 1000} s`,
    retryAfterMs: 1_000,
  };
}

function bodyOf(waiting: Waiting): string {
  return waiting.type === "ingress" ? waiting.admission.body : waiting.request.body;
}
