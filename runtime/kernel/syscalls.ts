/**
 * What a cell may ask of the kernel, and the checks before any of it happens: the frame's form, its incarnation and number,
 * the turn that it speaks for, the slot that it names. A cell is not trusted: whatever does not fit is refused and audited,
 * and nothing in a frame says who sent it, because the kernel knows the port that it came from.
 */
import { type Admission, judge, makeEnvelope } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { reserve } from "./depth.ts";
import type { EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { doneBits, parseUpFrame, type UpRecord, up } from "./frames.ts";
import { makeTurn } from "./dispatch.ts";
import type { Pairing } from "./pairings.ts";
import type { AgentEntry, AppendTicket, KernelState, Mail, Turn } from "./state.ts";
import { begun, cellDone } from "./turns.ts";
import { answerRefusal, openAsk, postRefusal } from "./waits.ts";

/** A frame arrived on the port of this agent's cell `incarnation`. */
export function receiveFrame(
  k: KernelState,
  agentId: string,
  incarnation: number,
  frame: unknown,
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined) return;
  const parsed = parseUpFrame(frame, k.settings.limits.frameRecordsMax);
  if (!parsed.ok) {
    forged(k, agent, "frame", parsed.reason);
    return;
  }
  if (parsed.incarnation !== incarnation || incarnation !== agent.incarnation) {
    forged(
      k,
      agent,
      "incarnation",
      `the frame says incarnation ${parsed.incarnation}, its port is of ${incarnation}, the live one is ${agent.incarnation}`,
    );
    return;
  }
  if (parsed.seq !== agent.lastSeq + 1) {
    forged(k, agent, "sequence", `expected frame ${agent.lastSeq + 1}, found ${parsed.seq}`);
    return;
  }
  agent.lastSeq = parsed.seq;
  for (const record of parsed.records) receiveRecord(k, agent, record, nowMs);
}

function receiveRecord(k: KernelState, agent: AgentEntry, record: UpRecord, nowMs: number): void {
  if (record.op === up.log) {
    k.emit({
      type: "cell-log",
      agentId: agent.spec.id,
      level: record.num,
      message: record.a.slice(0, k.settings.limits.logCharsMax),
    });
    return;
  }
  const turn = agent.turns.get(record.turn);
  if (turn === undefined || turn.stage !== "delivered" || turn.incarnation !== agent.incarnation) {
    forged(k, agent, "turn", `the record speaks for turn ${record.turn}, which this cell does not hold`);
    if (record.ref !== 0)
      postRefusal(
        k,
        agent.spec.id,
        agent.incarnation,
        record.ref,
        notHeld("the turn is over or was never this cell's"),
      );
    return;
  }
  switch (record.op) {
    case up.send:
      send(k, agent, turn, record, nowMs);
      return;
    case up.sendVolatile:
      sendVolatile(k, agent, turn, record, nowMs);
      return;
    case up.call:
      call(k, agent, turn, record);
      return;
    case up.stream:
      stream(k, turn, record.a);
      return;
    case up.done:
      if (record.num > (doneBits.reply | doneBits.error | doneBits.state))
        forged(k, agent, "record", `unknown bits ${record.num} at the end of a turn`);
      else cellDone(k, agent, turn, record.num, record.a, record.b, nowMs);
      return;
    default:
      forged(k, agent, "record", `unknown operation ${record.op}`);
  }
}

function send(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): void {
  const checked = checkSend(k, agent, turn, record);
  if ("code" in checked) {
    refuse(k, agent, turn, record, checked);
    return;
  }
  sendAs(
    k,
    agent,
    turn,
    {
      via: checked.id,
      sessionKey: record.a,
      timeoutMs: record.num,
      callKey: record.b,
      body: record.c,
      ref: record.ref,
      sourceTool: "request",
      tool: undefined,
    },
    nowMs,
  );
}

export interface CheckedSend {
  readonly via: string;
  readonly sessionKey: string;
  readonly timeoutMs: number;
  /** Names the call within its turn, so that a turn that is handled again does not send twice. */
  readonly callKey: string;
  readonly body: string;
  readonly ref: number;
  readonly sourceTool: string;
  /** Set for a session tool: its answer is the tool's result object. */
  readonly tool: string | undefined;
}

/** A send whose right is established: by its slot here, or by the supervisor for the session tools. */
export function sendAs(k: KernelState, agent: AgentEntry, turn: Turn, request: CheckedSend, nowMs: number): void {
  const { header } = turn.mail.envelope;
  const { limits } = k.settings;
  const targetAgent = agentOfKey(request.sessionKey) ?? "";
  const timeoutMs = Math.min(request.timeoutMs, limits.askTimeoutMsMax);
  const admission: Admission = {
    ...admissionOf(agent, header, request),
    verb: timeoutMs > 0 ? "request" : "send",
    ...(timeoutMs > 0 ? { askedIn: header.id } : {}),
  };
  const refusal =
    judge(k, admission) ??
    (agent.unacked >= limits.sendCreditsPerCell
      ? noCredit(agent.unacked)
      : timeoutMs > 0
        ? whyNoMoreAsks(k)
        : undefined);
  const target = k.agents.get(targetAgent);
  if (refusal !== undefined || target === undefined) {
    answerRefusal(k, agent, turn, request, refusal ?? unknownAgent(targetAgent));
    return;
  }
  agent.unacked++;
  reserve(target, request.sessionKey);
  const ticket: AppendTicket = {
    type: "cell",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref: request.ref,
    turn: turn.number,
    timeoutMs,
    fromSession: header.sessionKey,
    tool: request.tool,
  };
  const envelope = makeEnvelope(k, admission, nowMs);
  k.emit({
    type: "audit",
    event: "message",
    subject: header.sessionKey,
    object: request.sessionKey,
    verb: admission.verb,
    decision: "allowed",
    envelopeId: envelope.header.id,
    trace: header.trace,
  });
  k.emit({ type: "append", envelope, dedupe: { scope: `turn:${header.id}`, key: request.callKey }, ticket });
}

/** What every message of an agent is stamped with, whichever way it goes. */
function admissionOf(
  agent: AgentEntry,
  header: EnvelopeHeader,
  { via, sessionKey, sourceTool, body }: Pick<CheckedSend, "via" | "sessionKey" | "sourceTool" | "body">,
): Omit<Admission, "verb"> {
  return {
    from: { type: "agent", agentId: agent.spec.id, sessionKey: header.sessionKey },
    agentId: agentOfKey(sessionKey) ?? "",
    sessionKey,
    via,
    chain: [...header.chain, header.sessionKey],
    trace: header.trace,
    provenance: { kind: "inter_session", sourceSessionKey: header.sessionKey, sourceChannel: "internal", sourceTool },
    replyRoute: { type: "none" },
    body,
  };
}

/** In memory only: no journal, no lane, no transcript, no state. It waits for nothing, so the receiver's cell must be live. */
function sendVolatile(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): void {
  const { limits } = k.settings;
  const checked = checkSend(k, agent, turn, record);
  if ("code" in checked) {
    refuse(k, agent, turn, record, checked);
    return;
  }
  const targetId = agentOfKey(record.a) ?? "";
  const target = k.agents.get(targetId);
  const { header } = turn.mail.envelope;
  const request = { via: checked.id, sessionKey: record.a, sourceTool: "request", body: record.c };
  const admission: Admission = { ...admissionOf(agent, header, request), verb: "request" };
  const refusal =
    judge(k, admission) ?? whyNoMoreAsks(k) ?? (target === undefined ? unknownAgent(targetId) : whyNotInMemory(target));
  if (refusal !== undefined || target === undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, refusal ?? unknownAgent(targetId));
    return;
  }
  reserve(target, record.a);
  const mail: Mail = {
    envelope: makeEnvelope(k, admission, nowMs),
    volatile: true,
    order: k.nextOrder++,
    suspect: false,
    convicted: false,
    aborted: false,
  };
  const volatileTurn = makeTurn(k, target, mail);
  k.emit({
    type: "audit",
    event: "message",
    subject: header.sessionKey,
    object: record.a,
    verb: "request",
    decision: "allowed",
    envelopeId: mail.envelope.header.id,
    trace: header.trace,
  });
  begun(k, targetId, volatileTurn.number, { status: "begun", attempt: 0, sessionId: "", state: null }, nowMs);
  const timeoutMs = Math.min(record.num === 0 ? limits.askTimeoutMsDefault : record.num, limits.askTimeoutMsMax);
  openAsk(
    k,
    {
      agentId: agent.spec.id,
      incarnation: agent.incarnation,
      ref: record.ref,
      turn: turn.number,
      timeoutMs,
      fromSession: header.sessionKey,
      tool: undefined,
    },
    mail.envelope.header.id,
    record.a,
    nowMs,
  );
}

function whyNotInMemory(target: AgentEntry): Refusal | undefined {
  const id = target.spec.id;
  if (target.phase !== "live") {
    return {
      code: "CLOISTER_AGENT_CRASHED",
      message: `${id} has no live cell (it is ${target.phase}); a message in memory cannot wait for one`,
      remedy: "send it durably",
    };
  }
  if (target.suspects > 0) {
    return {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${id} handles what was with its crashed cell one by one; a message in memory cannot wait for that`,
      remedy: "send it durably",
      retryAfterMs: 1_000,
    };
  }
  return undefined;
}

/** The pairing that the record's slot names, or why it does not allow the send. */
function checkSend(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): Pairing | Refusal {
  const target = agentOfKey(record.a);
  if (target === undefined) {
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `a message goes to a session key of the form agent:<id>:<session>, found ${JSON.stringify(record.a.slice(0, 80))}`,
    };
  }
  const { sessionKeyCharsMax, callKeyCharsMax } = k.settings.limits;
  if (record.a.length > sessionKeyCharsMax || record.b.length > callKeyCharsMax) {
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `a session key may have ${sessionKeyCharsMax} characters and a call key ${callKeyCharsMax}, found ${record.a.length} and ${record.b.length}`,
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
    return {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: "Session not visible from this sandboxed agent session.",
      remedy: 'agents.defaults.sandbox.sessionToolsVisibility: "all"',
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

function call(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  const { limits } = k.settings;
  const pairing = slotPairing(k, agent, record.slot);
  if (pairing === undefined || pairing.object !== "gateway" || !pairing.verbs.includes(`tool:${record.a}`)) {
    refuse(k, agent, turn, record, {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: `${turn.mail.envelope.header.sessionKey} holds no capability to use the tool ${JSON.stringify(record.a.slice(0, 80))}`,
    });
    return;
  }
  if (record.b.length > limits.callParamsCharsMax || record.c.length > limits.bodyCharsMax) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the call of ${record.a} is larger than its bound`,
    });
    return;
  }
  if (agent.openCalls.size >= limits.callsPerCellMax) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${agent.openCalls.size} tool calls of this cell wait for their answers; the bound is reached`,
      retryAfterMs: 100,
    });
    return;
  }
  agent.openCalls.add(record.ref);
  k.emit({
    type: "call",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref: record.ref,
    turn: turn.number,
    header: turn.mail.envelope.header,
    tool: record.a,
    params: record.b,
    body: record.c,
  });
}

/** Beyond the bound the stream falls silent; the answer itself has its own bound. */
function stream(k: KernelState, turn: Turn, chunk: string): void {
  const text = chunk.slice(0, k.settings.limits.streamCharsMax - turn.streamed);
  if (text === "" || turn.mail.aborted || turn.mail.volatile) return;
  turn.streamed += text.length;
  k.emit({ type: "streamed", header: turn.mail.envelope.header, seq: ++turn.streamSeq, text });
}

function slotPairing(k: KernelState, agent: AgentEntry, slot: number): Pairing | undefined {
  const id = agent.slots.get(slot);
  return id === undefined ? undefined : k.pairings.get(id);
}

/** A clamped session reaches only what it spawned (behaviour §3.8), whatever its agent may do otherwise. */
export function isClamped(agent: AgentEntry, sessionKey: string): boolean {
  return agent.spec.clamp === "all" || (agent.spec.clamp === "non-main" && sessionKey !== agent.spec.mainSessionKey);
}

function refuse(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, refusal: Refusal): void {
  postRefusal(k, agent.spec.id, agent.incarnation, record.ref, refusal);
  k.emit({
    type: "audit",
    event: "refused",
    subject: turn.mail.envelope.header.sessionKey,
    object: record.a.slice(0, 200),
    decision: "refused",
    code: refusal.code,
    trace: turn.mail.envelope.header.trace,
    detail: refusal.message,
  });
}

function forged(k: KernelState, agent: AgentEntry, what: string, detail: string): void {
  k.emit({
    type: "audit",
    event: `forged-${what}`,
    subject: `agent:${agent.spec.id}`,
    object: "kernel",
    decision: "refused",
    code: "CLOISTER_CAPABILITY_FORGED",
    detail,
  });
}

function notHeld(message: string): Refusal {
  return { code: "CLOISTER_CAPABILITY_FORGED", message };
}

function unknownAgent(agentId: string): Refusal {
  return { code: "CLOISTER_AGENT_UNKNOWN", message: `agent not found: ${agentId}`, remedy: "cloister agents list" };
}

function noCredit(unacked: number): Refusal {
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `${unacked} sends of this cell wait for the journal; the bound is reached`,
    retryAfterMs: 100,
  };
}

function whyNoMoreAsks(k: KernelState): Refusal | undefined {
  if (k.asks.size < k.settings.limits.asksMax) return undefined;
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `${k.asks.size} asks wait in the whole gateway; the bound is reached`,
    retryAfterMs: 1_000,
  };
}
