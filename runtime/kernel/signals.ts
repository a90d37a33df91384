/**
 * Timers, tasks and monitors as a cell asks for them: the checks, before the supervisor carries them out. What fires comes back
 * through the one accept path (`admit.ts`) as an envelope that the store journals in the transaction that ends the row.
 *
 * A timer belongs to an agent and names one of its own sessions. A clamped session has only timers of its own: a timer for
 * another one would be a message that it may not send. Whoever may send to an agent, or ask it, may watch it.
 */
import { agentOfKey } from "./agent-of-key.ts";
import type { DownReason } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { type UpRecord, up } from "./frames.ts";
import type { Pairing } from "./pairings.ts";
import { clampRefusal, isClamped, refuse } from "./refusals.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./call-slots.ts";
import type { SignalCall } from "./signal-call.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { postRefusal } from "./posts.ts";
import { answerFromSteps, type CallId, hear, hearNow, type StepResult, whyNoMoreSteps } from "./steps.ts";

type Asked = SignalCall extends infer Call
  ? Call extends SignalCall
    ? Omit<Call, "type" | "agentId" | "incarnation" | "ref" | "turn" | "callId" | "header">
    : never
  : never;

const names: Readonly<Record<number, SignalCall["call"]>> = {
  [up.schedule]: "schedule",
  [up.timers]: "timers",
  [up.unschedule]: "unschedule",
  [up.complete]: "complete",
  [up.monitor]: "monitor",
  [up.demonitor]: "demonitor",
};

/** The records about timers and monitors of a turn that the cell holds. */
export function signalCall(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  // What is in memory leaves nothing behind, and is not repeated either: nothing would recognise its calls.
  if (turn.mail.volatile) {
    refuse(k, agent, turn, record, invalid("a message in memory sets no timers and watches nobody; send it durably"));
    return;
  }
  if (!isCallNumber(k, record.num)) {
    refuse(k, agent, turn, record, noCallNumber(k, String(record.num)));
    return;
  }
  const size = judgeSize(k, record);
  const callId: CallId = { key: record.num, op: "signal", name: names[record.op] ?? "", ...targetOf(record, size) };
  if (answerFromSteps(k, agent, turn, record.ref, callId)) return;
  const asked = size ?? judgeCall(k, agent, turn, record);
  if ("code" in asked) {
    refuse(k, agent, turn, record, asked, callId);
    return;
  }
  const { limits } = k.settings;
  const full = turn.steps?.has(callId.key) === true ? undefined : whyNoMoreSteps(k, turn);
  if (full !== undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, full);
    return;
  }
  if (agent.openCalls.size >= limits.callsPerCellMax) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${agent.openCalls.size} calls of this cell wait for their answers; the bound is reached`,
      retryAfterMs: 100,
    });
    return;
  }
  agent.openCalls.add(record.ref);
  k.emit({
    type: "signal-call",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref: record.ref,
    turn: turn.number,
    callId,
    header: turn.mail.envelope.header,
    ...asked,
  });
}

/** What it is about, for the calls whose target makes them what they are. A key beyond its bound is not kept. */
function targetOf({ op, a }: UpRecord, size: Refusal | undefined): { readonly to?: string } {
  return size === undefined && (op === up.schedule || op === up.monitor) ? { to: a } : {};
}

/** The answer of a call, JSON or a refusal. The cell may have ended since: then nobody hears it. */
export function signalResult(
  k: KernelState,
  { agentId, incarnation, ref, turn: number, callId, call }: Omit<SignalCall, "header">,
  result: { readonly json: string } | { readonly refusal: Refusal },
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !agent.openCalls.delete(ref)) return;
  const turn = agent.turns.get(number);
  const answer: StepResult = "refusal" in result ? [0, JSON.stringify(result.refusal), ""] : [1, "ok", result.json];
  // What was set is on record since the transaction that set it.
  const isKept = "json" in result && (call === "schedule" || call === "monitor");
  if (turn === undefined || isKept) hearNow(k, agent, turn, ref, callId, answer);
  else hear(k, agent, turn, ref, callId, answer);
}

/** Tells whoever watches the agent. */
export function tellDown(k: KernelState, agent: AgentEntry, reason: DownReason, detail: string): void {
  k.emit({ type: "down", agentId: agent.spec.id, reason, detail: detail.slice(0, k.settings.limits.failureCharsMax) });
}

function judgeSize(k: KernelState, record: UpRecord): Refusal | undefined {
  const { sessionKeyCharsMax, callParamsCharsMax, timerTextCharsMax, taskResultCharsMax } = k.settings.limits;
  if (record.a.length > sessionKeyCharsMax)
    return invalid(`a session key or id may have ${sessionKeyCharsMax} characters, found ${record.a.length}`);
  if (record.op === up.schedule && record.c.length > timerTextCharsMax)
    return {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the text of a timer may have ${timerTextCharsMax} characters, found ${record.c.length}`,
      remedy: "put long content into a file of the workspace and name it in the text",
    };
  if (record.op === up.complete && record.c.length > taskResultCharsMax)
    return {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the result of a task may have ${taskResultCharsMax} characters, found ${record.c.length}`,
      remedy: "put long content into a file of the workspace and name it in the result",
    };
  if (record.b.length > callParamsCharsMax)
    return invalid(`the parameters of the call may have ${callParamsCharsMax} characters, found ${record.b.length}`);
  return undefined;
}

function judgeCall(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): Asked | Refusal {
  const own = turn.mail.envelope.header.sessionKey;
  const clamped = isClamped(agent, own);
  if (record.op === up.demonitor) return { call: "demonitor", monitor: record.a };
  if (record.op === up.monitor) return judgeMonitor(k, agent, clamped, record);
  const pairing = slotPairing(k, agent, record.slot);
  const self = `agent:${agent.spec.id}`;
  if (pairing === undefined || !k.pairings.allows(pairing, "schedule", self))
    return {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: `${own} holds no capability to schedule: slot ${record.slot} does not allow it`,
    };
  if (record.op === up.schedule) return judgeSchedule(k, agent, own, clamped, record, pairing);
  const sessionKey = clamped ? own : undefined;
  if (record.op === up.complete)
    return {
      call: "complete",
      sessionKey,
      id: record.a,
      status: record.b === "failed" ? "failed" : "done",
      body: record.c,
    };
  return record.op === up.timers ? { call: "timers", sessionKey } : { call: "unschedule", sessionKey, id: record.a };
}

function judgeSchedule(
  k: KernelState,
  agent: AgentEntry,
  own: string,
  clamped: boolean,
  { a: sessionKey, b: params, c: body }: UpRecord,
  pairing: Pairing,
): Asked | Refusal {
  if (agentOfKey(sessionKey) !== agent.spec.id || !k.settings.isCanonicalKey(sessionKey))
    return invalid(
      `a timer is for a session of its own agent, agent:${agent.spec.id}:<session> in its one spelling; found ${JSON.stringify(sessionKey.slice(0, 80))}`,
      "let the timer's turn send the message to another agent",
    );
  if (clamped && sessionKey !== own) return clampRefusal;
  return { call: "schedule", via: pairing.id, sessionKey, params, body };
}

function judgeMonitor(k: KernelState, agent: AgentEntry, clamped: boolean, record: UpRecord): Asked | Refusal {
  const target = agentOfKey(record.a) ?? "";
  if (!k.agents.has(target))
    return { code: "CLOISTER_AGENT_UNKNOWN", message: `agent not found: ${target}`, remedy: "cloister agents list" };
  if (target === agent.spec.id)
    return invalid("an agent does not watch itself: it would be told by the cell that ended");
  if (clamped) return clampRefusal;
  const pairing = slotPairing(k, agent, record.slot);
  const object = `agent:${target}`;
  if (pairing === undefined)
    return { code: "CLOISTER_CAPABILITY_DENIED", ...k.settings.whyNot(`agent:${agent.spec.id}`, "send", object) };
  if (!k.pairings.allows(pairing, "send", object) && !k.pairings.allows(pairing, "request", object))
    return {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: `the capability in slot ${record.slot} allows neither to send to ${object} nor to ask it, and so not to watch it`,
    };
  return { call: "monitor", via: pairing.id, target };
}

function invalid(message: string, remedy?: string): Refusal {
  return { code: "CLOISTER_REQUEST_INVALID", message, ...(remedy === undefined ? {} : { remedy }) };
}
