/**
 * The one accept path: every message, whatever it came through, is judged here, journaled by the driver, and enqueued when
 * the journal has committed.
 */
import type { Envelope, EnvelopeHeader, Principal, Provenance, ReplyRoute } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { AgentEntry, AppendTicket, KernelState, Mail, SessionLane } from "./state.ts";
import { refuseSend, settleWithMail } from "./waits.ts";
import { markReady, pump } from "./dispatch.ts";

export interface Admission {
  readonly from: Principal;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly verb: "send" | "request";
  readonly via: string;
  readonly chain: readonly string[];
  readonly trace?: string;
  readonly runId?: string;
  readonly provenance: Provenance;
  readonly replyRoute: ReplyRoute;
  readonly body: string;
  readonly dedupe?: { readonly scope: string; readonly key: string };
}

/** Judges a message without side effects; `undefined` means that it may be journaled. */
export function judge(k: KernelState, admission: Admission): Refusal | undefined {
  const { limits } = k.settings;
  const agent = k.agents.get(admission.agentId);
  if (agent === undefined) return { code: "CLOISTER_AGENT_UNKNOWN", message: `agent not found: ${admission.agentId}`, remedy: "cloister agents list" };
  if (agent.disabled !== undefined) {
    return { code: "CLOISTER_AGENT_DISABLED", message: `the agent ${agent.spec.id} is disabled: ${agent.disabled}`, remedy: "repair its module and restart the gateway" };
  }
  if (k.draining) return { code: "CLOISTER_GATEWAY_DRAINING", message: "the gateway is shutting down and takes no new messages", retryAfterMs: 5_000 };
  if (admission.body.length > limits.bodyCharsMax) {
    return { code: "CLOISTER_MESSAGE_TOO_LARGE", message: `a message may have ${limits.bodyCharsMax} characters, found ${admission.body.length}`, remedy: "put long content into a file of the workspace and send its name" };
  }
  if (admission.chain.length > limits.hopsMax) {
    return { code: "CLOISTER_MAILBOX_HOPS", message: `the message passed through ${admission.chain.length} sessions; the bound is ${limits.hopsMax}` };
  }
  if (agent.depth >= limits.mailboxDepthMax || laneDepth(agent, admission.sessionKey) >= limits.sessionDepthMax) {
    return { code: "CLOISTER_MAILBOX_FULL", message: `the mailbox of ${admission.sessionKey} is full (${agent.depth} waiting for the agent)`, retryAfterMs: 1_000 };
  }
  return undefined;
}

export function makeEnvelope(k: KernelState, admission: Admission, nowMs: number): Envelope {
  const id = k.settings.newId(nowMs);
  const header: EnvelopeHeader = {
    id,
    from: admission.from,
    agentId: admission.agentId,
    sessionKey: admission.sessionKey,
    verb: admission.verb,
    via: admission.via,
    chain: admission.chain,
    trace: admission.trace ?? id,
    runId: admission.runId ?? id,
    acceptedAtMs: nowMs,
    provenance: admission.provenance,
    replyRoute: admission.replyRoute,
  };
  return { header, body: admission.body };
}

/** From outside (channels, sockets, hooks). Ends in an `accepted` effect with the ticket. */
export function admit(k: KernelState, admission: Admission, ticket: number, nowMs: number): void {
  const refusal = judge(k, admission);
  if (refusal !== undefined) {
    k.emit({ type: "accepted", ticket, result: { status: "refused", refusal } });
    return;
  }
  reserve(k, admission.agentId);
  k.emit({ type: "append", envelope: makeEnvelope(k, admission, nowMs), dedupe: admission.dedupe, ticket: { type: "ingress", ticket } });
}

/** A place in the mailbox is taken when the append begins, so that a burst cannot overshoot the bound. */
export function reserve(k: KernelState, agentId: string): void {
  const agent = k.agents.get(agentId);
  if (agent !== undefined) agent.depth++;
}

export function release(k: KernelState, agentId: string): void {
  const agent = k.agents.get(agentId);
  if (agent !== undefined) agent.depth--;
}

export type Appended = { readonly status: "stored" } | { readonly status: "duplicate"; readonly envelopeId: string; readonly runId: string } | { readonly status: "failed"; readonly refusal: Refusal };

/** The journal has answered. */
export function appended(k: KernelState, envelope: Envelope, ticket: AppendTicket, result: Appended, nowMs: number): void {
  const { header } = envelope;
  if (result.status !== "stored") release(k, header.agentId);
  if (ticket.type === "ingress") {
    k.emit({
      type: "accepted",
      ticket: ticket.ticket,
      result:
        result.status === "failed"
          ? { status: "refused", refusal: result.refusal }
          : result.status === "duplicate"
            ? { status: "duplicate", envelopeId: result.envelopeId, runId: result.runId }
            : { status: "stored", envelopeId: header.id, runId: header.runId },
    });
  } else if (result.status === "failed") {
    refuseSend(k, ticket, result.refusal);
  } else {
    settleWithMail(k, ticket, result.status === "duplicate" ? result.envelopeId : header.id, header, nowMs);
  }
  if (result.status === "stored") enqueue(k, envelope, nowMs);
}

/** Stored mail enters its session's lane. Also used at boot for what was found in the journal; then a place is taken here. */
export function enqueue(k: KernelState, envelope: Envelope, nowMs: number, suspect = false): void {
  const agent = k.agents.get(envelope.header.agentId);
  if (agent === undefined) return;
  const mail: Mail = { envelope, volatile: false, order: k.nextOrder++, suspect, aborted: false };
  k.mail.set(envelope.header.id, mail);
  const lane = laneOf(agent, envelope.header.sessionKey);
  lane.queue.push(mail);
  markReady(agent, lane);
  pump(k, agent, nowMs);
}

export function laneOf(agent: AgentEntry, sessionKey: string): SessionLane {
  let lane = agent.lanes.get(sessionKey);
  if (lane === undefined) {
    lane = { key: sessionKey, queue: [], running: undefined };
    agent.lanes.set(sessionKey, lane);
  }
  return lane;
}

function laneDepth(agent: AgentEntry, sessionKey: string): number {
  return agent.lanes.get(sessionKey)?.queue.length ?? 0;
}
