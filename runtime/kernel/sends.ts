/**
 * Messages that a cell sends: what must be true before one leaves, and what the supervisor stamps on it. The right comes from
 * the slot that the record names and from nothing else.
 */
import { type Admission, judge, makeEnvelope } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { chainOf, noteChainEnd } from "./chains.ts";
import { findRoom } from "./crowd.ts";
import { appendBegins } from "./depth.ts";
import type { EnvelopeHeader, Exchange } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { type UpRecord, up } from "./frames.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./call-slots.ts";
import type { Pairing } from "./pairings.ts";
import { parkSend } from "./parking.ts";
import { clampRefusal, isClamped, refuse } from "./refusals.ts";
import { askForRight } from "./right-requests.ts";
import type { AgentEntry, AppendTicket, KernelState, Turn } from "./state.ts";
import { answerFromSteps, type CallId, whyNoMoreSteps } from "./steps.ts";
import { unknownAgent } from "./unknown-agent.ts";
import { answerRefusal, settleWithMail } from "./waits.ts";

export function send(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): void {
  const named = callOf(k, agent, turn, record);
  if (named === undefined) return;
  const { call, ttlMs } = named;
  const { ref } = record;
  const request = {
    sessionKey: record.a,
    timeoutMs: record.num,
    call,
    body: record.c,
    ref,
    sourceTool: "request",
    ...(ttlMs === undefined ? {} : { ttlMs }),
  };
  if (sentBefore(k, agent, turn, request, nowMs)) return;
  const checked = checkSend(k, agent, turn, record);
  if ("code" in checked) {
    const verb = record.num > 0 ? "request" : "send";
    if (!askForRight(k, agent, turn, { ...request, verb }, checked)) refuse(k, agent, turn, record, checked, call);
    return;
  }
  sendAs(k, agent, turn, { ...request, via: checked.id }, nowMs);
}

/** Which call of its turn a send is, and how long it is worth waiting; undefined, and refused, when it does not say so. */
function callOf(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  record: UpRecord,
): { readonly call: CallId; readonly ttlMs: number | undefined } | undefined {
  const blank = record.b.indexOf(" ");
  const number = blank === -1 ? record.b : record.b.slice(0, blank);
  const key = Number(number);
  if (String(key) !== number || !isCallNumber(k, key)) {
    refuse(k, agent, turn, record, noCallNumber(k, number));
    return undefined;
  }
  const call: CallId = { key, op: record.num > 0 ? "request" : "send", name: record.a };
  if (blank === -1) return { call, ttlMs: undefined };
  const ttlMs = Number(record.b.slice(blank + 1));
  const { envelopeAgeMsMax } = k.settings.limits;
  if (Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= envelopeAgeMsMax) return { call, ttlMs };
  refuse(k, agent, turn, record, {
    code: "CLOISTER_REQUEST_INVALID",
    message: `ttlMs is 1 to ${envelopeAgeMsMax} milliseconds, found ${JSON.stringify(record.b.slice(blank + 1, blank + 41))}`,
  });
  return undefined;
}

/** A repeated turn finds what it sent before, or how that was answered. False: the call is new. */
export function sentBefore(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  { ref, call, sessionKey, timeoutMs, exchange }: Omit<CheckedSend, "via">,
  nowMs: number,
): boolean {
  if (answerFromSteps(k, agent, turn, ref, call)) return true;
  const envelopeId = turn.steps?.get(call.key)?.envelopeId;
  if (envelopeId === undefined) return false;
  agent.unacked++;
  const sent = { envelopeId, agentId: agentOfKey(sessionKey) ?? "", sessionKey, isRepeated: true };
  settleWithMail(k, ticketOf(k, agent, turn, ref, call, timeoutMs, exchange), sent, nowMs);
  return true;
}

function ticketOf(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  ref: number,
  call: CallId,
  timeoutMs: number,
  exchange: CheckedSend["exchange"],
): Extract<AppendTicket, { type: "cell" }> {
  return {
    type: "cell",
    stops: k.stops,
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref,
    turn: turn.number,
    timeoutMs: Math.min(timeoutMs, k.settings.limits.askTimeoutMsMax),
    fromSession: turn.mail.envelope.header.sessionKey,
    call,
    isFollowed: exchange !== undefined,
  };
}

export interface CheckedSend {
  readonly via: string;
  readonly sessionKey: string;
  readonly timeoutMs: number;
  /** A turn that is handled again does not send twice. Of a tool, the answer is its result object. */
  readonly call: CallId;
  readonly body: string;
  readonly ref: number;
  readonly sourceTool: string;
  /** Its turn begins so long after its acceptance at the latest. */
  readonly ttlMs?: number;
  /** What the message begins (`exchange.ts`). */
  readonly exchange?: Omit<Exchange, "id">;
  /** By the verb `steer`: a turn that runs in the session may take it. */
  readonly steers?: true;
}

function judgeSend(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  request: CheckedSend,
  nowMs: number,
): { readonly admission: Admission; readonly refusal: Refusal | undefined } {
  const { header } = turn.mail.envelope;
  const { timeoutMs } = request;
  const admission: Admission = {
    ...admissionOf(k, agent, header, request, timeoutMs > 0 ? "request" : "send"),
    ...(timeoutMs > 0 ? { askedIn: header.id } : {}),
    ...(request.ttlMs === undefined ? {} : { ttlMs: request.ttlMs }),
    ...(request.exchange === undefined ? {} : { exchange: request.exchange }),
    ...(request.steers === undefined ? {} : { steers: request.steers }),
  };
  const refusal =
    judge(k, admission, nowMs) ??
    (agent.unacked >= k.settings.limits.sendCreditsPerCell
      ? noCredit(agent.unacked)
      : timeoutMs > 0
        ? (whyNoMoreAsks(k) ?? whyNoMoreSteps(k, turn))
        : undefined);
  return { admission, refusal };
}

/** A send whose right is established: by its slot here, or by the supervisor for the session tools. */
export function sendAs(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  request: CheckedSend,
  nowMs: number,
  isNext = false,
): void {
  const { header } = turn.mail.envelope;
  const targetAgent = agentOfKey(request.sessionKey) ?? "";
  const { timeoutMs, call } = request;
  const { admission, refusal } = judgeSend(k, agent, turn, request, nowMs);
  const target = k.runs.get(request.sessionKey) ?? k.agents.get(targetAgent);
  if (refusal !== undefined || target === undefined) {
    if (refusal !== undefined) noteChainEnd(k, admission, refusal);
    answerRefusal(k, agent, turn, request.ref, call, refusal ?? unknownAgent(targetAgent));
    return;
  }
  const room = findRoom(k, target, request.sessionKey, isNext);
  if (room === "wait" && whyNoMoreAsks(k) === undefined && parkSend(k, agent, turn, target, request, nowMs)) return;
  if (room !== "free") {
    answerRefusal(k, agent, turn, request.ref, call, room === "wait" ? noPlaceEver(request.sessionKey) : room);
    return;
  }
  agent.unacked++;
  appendBegins(k, target, request.sessionKey, request.body);
  const ticket = ticketOf(k, agent, turn, request.ref, call, timeoutMs, request.exchange);
  const envelope = makeEnvelope(k, admission, nowMs);
  // A turn in memory is not repeated.
  const dedupe = turn.mail.volatile ? undefined : { turn: header.id, call };
  k.emit({ type: "append", envelope, dedupe, ticket });
}

/** Whether `sendAs` would refuse it now: nothing is changed. Also when the turn is over. A place that has to be waited for counts as one. */
export function wouldRefuse(
  k: KernelState,
  agentId: string,
  turnNumber: number,
  request: CheckedSend,
  nowMs: number,
): boolean {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(turnNumber);
  const target = k.runs.get(request.sessionKey) ?? k.agents.get(agentOfKey(request.sessionKey) ?? "");
  if (agent === undefined || turn === undefined || target === undefined) return true;
  return (
    judgeSend(k, agent, turn, request, nowMs).refusal !== undefined ||
    typeof findRoom(k, target, request.sessionKey, false) !== "string"
  );
}

/** What every message of an agent is stamped with, whichever way it goes. */
export function admissionOf(
  k: KernelState,
  agent: AgentEntry,
  header: EnvelopeHeader,
  { via, sessionKey, sourceTool, body }: Pick<CheckedSend, "via" | "sessionKey" | "sourceTool" | "body">,
  verb: Admission["verb"],
): Admission & Required<Pick<Admission, "cause" | "chain" | "trace">> {
  const { cause, chain, trace } = chainOf(k, header);
  return {
    from: { type: "agent", agentId: header.agentId, sessionKey: header.sessionKey },
    agentId: agentOfKey(sessionKey) ?? "",
    sessionKey,
    verb,
    via,
    cause,
    chain,
    trace,
    provenance: { kind: "inter_session", sourceSessionKey: header.sessionKey, sourceChannel: "internal", sourceTool },
    replyRoute: { type: "none" },
    body,
  };
}

/** The pairing that the record's slot names, or why it does not allow the send. */
export function checkSend(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): Pairing | Refusal {
  const target = agentOfKey(record.a);
  if (target === undefined) {
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `a message goes to a session key of the form agent:<id>:<session>, found ${JSON.stringify(record.a.slice(0, 80))}`,
    };
  }
  const { sessionKeyCharsMax } = k.settings.limits;
  if (record.a.length > sessionKeyCharsMax) {
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `a session key may have ${sessionKeyCharsMax} characters, found ${record.a.length}`,
    };
  }
  if (!k.settings.isCanonicalKey(record.a)) {
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `a message goes to a session key in its one spelling (lower case, no empty parts), found ${JSON.stringify(record.a.slice(0, 80))}`,
    };
  }
  const pairing = slotPairing(k, agent, record.slot);
  const verb = record.op === up.sendVolatile || record.num > 0 ? "request" : "send";
  if (isClamped(agent, turn.mail.envelope.header.sessionKey)) {
    return clampRefusal;
  }
  if (agent.run !== undefined) {
    return {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: "a sub-agent sends to nobody: what it answers goes to the session that asked for it",
      remedy: "answer, and let the requester send it on",
    };
  }
  if (pairing === undefined) {
    return {
      code: "CLOISTER_CAPABILITY_DENIED",
      ...k.settings.whyNot(`agent:${agent.spec.id}`, verb, `agent:${target}`),
    };
  }
  // The slot alone decides: a right that the cell holds through another slot does not help it here (confused deputy).
  return k.pairings.allows(pairing, verb, `agent:${target}`)
    ? pairing
    : {
        code: "CLOISTER_CAPABILITY_DENIED",
        message: `the capability in slot ${record.slot} does not allow to ${verb} to agent:${target}`,
      };
}

function noPlaceEver(sessionKey: string): Refusal {
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `the mailbox of ${sessionKey} is full, and a wait for a place in it would not end: its session waits for this one, or too many wait already`,
    retryAfterMs: 1_000,
  };
}

function noCredit(unacked: number): Refusal {
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `${unacked} sends of this cell wait for the journal; the bound is reached`,
    retryAfterMs: 100,
  };
}

export function whyNoMoreAsks(k: KernelState): Refusal | undefined {
  const open = k.asks.size + k.questions.count;
  if (open < k.settings.limits.asksMax) return undefined;
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `${open} asks wait in the whole gateway; the bound is reached`,
    retryAfterMs: 1_000,
  };
}
