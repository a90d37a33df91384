/**
 * Room in a mailbox. How many envelopes are on their way through an agent's mailbox, from the moment that their append begins to their end: of
 * the agent and of each of its sessions. Counted from the append on, so that a burst cannot overshoot the bounds.
 */
import type { Refusal } from "./errors.ts";
import type { AgentEntry, KernelState, MailboxPolicy } from "./state.ts";

export function policyOf(k: KernelState, { spec }: AgentEntry): MailboxPolicy {
  const { mailboxDepthMax, sessionDepthMax } = k.settings.limits;
  return { depthMax: mailboxDepthMax, sessionDepthMax, overflow: "reject", ...spec.mailbox };
}

/** Why the agent's mailbox takes no more at the moment; whether the sender may wait for a place is its policy's. */
export function whyNoRoom(k: KernelState, agent: AgentEntry, sessionKey: string): Refusal | undefined {
  const { limits } = k.settings;
  const { depthMax, overflow } = policyOf(k, agent);
  if (overflow !== "spill") return whyNoRoomInMemory(k, agent, sessionKey);
  const waiting = agent.depth + (agent.spill?.count ?? 0);
  if (waiting >= depthMax + limits.spillDepthMax)
    return mailboxFull(sessionKey, `${waiting} of ${depthMax + limits.spillDepthMax} wait for the agent`);
  if (agent.appending < limits.appendsInFlightMax) return undefined;
  return mailboxFull(sessionKey, `${agent.appending} messages are on their way to the journal; the bound is reached`);
}

/** The same for what cannot wait on the disk. */
export function whyNoRoomInMemory(k: KernelState, agent: AgentEntry, sessionKey: string): Refusal | undefined {
  const { depthMax, sessionDepthMax } = policyOf(k, agent);
  const waiting = agent.depth + (agent.spill?.count ?? 0);
  const ofSession = sessionDepth(agent, sessionKey);
  if (waiting < depthMax && ofSession < sessionDepthMax) return undefined;
  return mailboxFull(
    sessionKey,
    `${waiting} of ${depthMax} wait for the agent, ${ofSession} of ${sessionDepthMax} for the session`,
  );
}

function mailboxFull(sessionKey: string, found: string): Refusal {
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `the mailbox of ${sessionKey} is full: ${found}`,
    retryAfterMs: 1_000,
  };
}

/** The process holds as many bodies as it may, whoever they are for. */
export function whyTooMuchHeld(k: KernelState, body: string): Refusal | undefined {
  const { heldCharsMax } = k.settings.limits;
  if (k.heldChars + body.length <= heldCharsMax) return undefined;
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `the gateway holds ${k.heldChars} characters of messages that wait for the disk or for a place; the bound is ${heldCharsMax}`,
    retryAfterMs: 1_000,
  };
}

/** An append begins: its place is taken, its body is held until the journal has answered (`appendEnds`). */
export function appendBegins(k: KernelState, agent: AgentEntry | undefined, sessionKey: string, body: string): void {
  reserve(agent, sessionKey);
  if (agent !== undefined) agent.appending++;
  k.heldChars += body.length;
}

export function appendEnds(k: KernelState, agent: AgentEntry | undefined, body: string): void {
  if (agent !== undefined) agent.appending--;
  k.heldChars -= body.length;
}

/** Somebody may wait for the place that is free now. */
export function noteRoom(k: KernelState, agent: AgentEntry): void {
  if (agent.spill !== undefined || agent.crowd !== undefined) k.roomy.add(agent);
}

export function reserve(agent: AgentEntry | undefined, sessionKey: string): void {
  if (agent === undefined) return;
  agent.depth++;
  const depth = agent.sessionDepth.get(sessionKey);
  if (depth === 0) agent.asked.emptySessions--;
  agent.sessionDepth.set(sessionKey, (depth ?? 0) + 1);
}

export function release(agent: AgentEntry | undefined, sessionKey: string): void {
  if (agent === undefined) return;
  agent.depth--;
  const left = sessionDepth(agent, sessionKey) - 1;
  if (left > 0) agent.sessionDepth.set(sessionKey, left);
  else agent.sessionDepth.delete(sessionKey);
}

/** Of a question in memory. Its session mostly gets another at once: its count may stay where it is, at 0, until `forgetEmpty`. */
export function releaseQuestion(k: KernelState, agent: AgentEntry, sessionKey: string): void {
  if (sessionDepth(agent, sessionKey) > 1 || agent.asked.emptySessions >= k.settings.limits.routesPerCell) {
    release(agent, sessionKey);
    return;
  }
  agent.depth--;
  agent.sessionDepth.set(sessionKey, 0);
  agent.asked.emptySessions++;
}

export function forgetEmpty(agent: AgentEntry): void {
  if (!agent.isMade || agent.asked.emptySessions === 0) return;
  agent.asked.emptySessions = 0;
  for (const [sessionKey, depth] of agent.sessionDepth) if (depth === 0) agent.sessionDepth.delete(sessionKey);
}

export function sessionDepth(agent: AgentEntry, sessionKey: string): number {
  return agent.sessionDepth.get(sessionKey) ?? 0;
}

/** When what waits longest in memory came. A backlog on the disk is newer than what it waits behind. */
export function oldestMs(agent: AgentEntry): number | undefined {
  if (!agent.isMade) return undefined;
  const heads = [...agent.lanes.values()].flatMap(({ queue }) => queue.slice(0, 1));
  return heads.length === 0 ? undefined : Math.min(...heads.map(({ atMs }) => atMs));
}
