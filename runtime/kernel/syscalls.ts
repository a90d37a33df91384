/**
 * What a cell may ask of the kernel, and the checks before any of it happens: the frame's form, its incarnation and number,
 * the turn that it speaks for, the slot that it names. A cell is not trusted: whatever does not fit is refused and audited,
 * and nothing in a frame says who sent it, because the kernel knows the port that it came from.
 */
import type { Refusal } from "./errors.ts";
import { countTokens, takeChainCall } from "./chains.ts";
import { noReply } from "./exchange-words.ts";
import { doneBitsMax, parseUpFrame, type UpRecord, up } from "./frames.ts";
import { steer } from "./gather.ts";
import { noteCall } from "./loops.ts";
import { modelCall } from "./models.ts";
import { postRefusal, stoppedRefusal } from "./posts.ts";
import { answerQuestion, isPlainAnswer, sendVolatile } from "./memory-asks.ts";
import { questionOf, unfold } from "./questions.ts";
import { refuse } from "./refusals.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./call-slots.ts";
import { send } from "./sends.ts";
import { coversVerb } from "./pairings.ts";
import { endOffer, judgedTurn, listTools } from "./tool-lists.ts";
import { endSpent } from "./run-ends.ts";
import { useBudget } from "./runs.ts";
import { signalCall } from "./signals.ts";
import type { AgentEntry, Effect, KernelState, Turn } from "./state.ts";
import {
  answerFromSteps,
  type CallId,
  endStep,
  hear,
  recordLate,
  startStep,
  startTool,
  wasMadeBefore,
  whyNoMoreSteps,
} from "./steps.ts";
import { noteCompaction } from "./turn-rows.ts";
import { cellDone } from "./turns.ts";
import { noteUsage } from "./usage.ts";

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
  // Its end is decided, and whoever waited for its turns was told so.
  if (agent.phase === "stopping") return;
  const question = questionOf(k, agent, record.turn);
  if (question !== undefined && record.op === up.done && isPlainAnswer(k, record)) {
    answerQuestion(k, question, record, nowMs);
    return;
  }
  if (question !== undefined) unfold(k, question);
  const turn = agent.turns.get(record.turn);
  const isOver = turn?.held?.at(-1)?.op === up.done;
  if (turn === undefined || turn.stage !== "delivered" || turn.incarnation !== agent.incarnation || isOver) {
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
  if (turn.mail.aborted && mayNot.has(record.op)) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, stoppedRefusal);
    return;
  }
  if (waitsForRecord(k, agent, turn, record)) return;
  if (mayNot.has(record.op) && agent.run !== undefined && endSpent(k, agent, nowMs)) return;
  // A question in memory is no numbered call: its `num` is a time.
  if (mayNot.has(record.op) && record.op !== up.sendVolatile)
    noteCall(turn, record.op === up.send ? Number(record.b) : record.num, ...givenOf(record));
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
    case up.stepStart:
    case up.stepEnd:
      step(k, agent, turn, record);
      return;
    case up.schedule:
    case up.complete:
    case up.timers:
    case up.monitor:
    case up.unschedule:
    case up.demonitor:
      signalCall(k, agent, turn, record);
      return;
    case up.take:
      if (isCallNumber(k, record.num)) steer(k, agent, turn, record, nowMs);
      else refuse(k, agent, turn, record, noCallNumber(k, String(record.num)));
      return;
    case up.model:
      modelCall(k, agent, turn, record);
      return;
    case up.tools: {
      const wrong = listTools(k, agent, turn, record);
      if (wrong !== undefined) forged(k, agent, "record", wrong);
      return;
    }
    case up.usage: {
      const used = noteUsage(k, agent, turn, record);
      if (typeof used === "string") forged(k, agent, "record", used);
      else countTokens(k, turn.mail.envelope.header, used, true);
      return;
    }
    case up.compacted: {
      const wrong = noteCompaction(k, turn, record);
      if (wrong !== undefined) forged(k, agent, "record", wrong);
      return;
    }
    case up.stream:
      stream(k, agent, turn, record.a);
      return;
    case up.done:
      if (record.num > doneBitsMax) forged(k, agent, "record", `unknown bits ${record.num} at the end of a turn`);
      else {
        endOffer(agent, turn);
        cellDone(k, agent, turn, record.num, record.a, record.b, nowMs);
      }
      return;
    default:
      forged(k, agent, "record", `unknown operation ${record.op}`);
  }
}

/** What a turn that was stopped gets no more. The end of a step that ran is still recorded. */
const mayNot: ReadonlySet<number> = new Set([
  up.send,
  up.sendVolatile,
  up.call,
  up.model,
  up.stepStart,
  up.schedule,
  up.complete,
  up.timers,
  up.monitor,
  up.unschedule,
  up.demonitor,
]);

/**
 * What leaves something behind is not begun before the answers that led to it are on record (`steps.ts`), and the turn's later words do not
 * pass it.
 */
function waitsForRecord(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): boolean {
  if (turn.held === undefined) {
    if ((turn.late === undefined && turn.lateOnWay === 0) || !staysBehind(agent, turn, record)) return false;
    turn.held = [record];
    recordLate(k, agent, turn, { type: "nothing" });
    return true;
  }
  if (saysOnly.has(record.op)) return false;
  const full = record.op === up.done ? undefined : whyNoMoreHeld(k, agent, record);
  if (full === undefined) turn.held.push(record);
  else if (record.ref !== 0) postRefusal(k, agent.spec.id, agent.incarnation, record.ref, full);
  return true;
}

/** Begins nothing, and nobody waits for an answer to it. */
const saysOnly: ReadonlySet<number> = new Set([up.stream, up.usage, up.compacted]);

function whyNoMoreHeld(k: KernelState, agent: AgentEntry, record: UpRecord): Refusal | undefined {
  const { heldRecordsMax, heldRecordsCharsMax } = k.settings.limits;
  const held = [...agent.turns.values()].flatMap((turn) => turn.held ?? []);
  const chars = [record, ...held].reduce((sum, { a, b, c }) => sum + a.length + b.length + c.length, 0);
  if (held.length < heldRecordsMax && chars <= heldRecordsCharsMax) return undefined;
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `${held.length} records of this cell wait for the disk, and with this one they would have ${chars} characters; the bounds are ${heldRecordsMax} and ${heldRecordsCharsMax}`,
    retryAfterMs: 100,
  };
}

/**
 * Whether it has to wait for what is late. A tool takes that along when its own start is recorded, and so does the start of a step; not what
 * is on its way already, which the store may refuse.
 */
function staysBehind(agent: AgentEntry, turn: Turn, { op, num }: UpRecord): boolean {
  const isOnWay = turn.lateOnWay > 0;
  if (op === up.stepStart) return isOnWay || turn.steps?.has(num) === true;
  if (op === up.call) return isOnWay;
  if (op === up.model) return isOnWay || turn.late?.some((row) => row.op === "model") === true;
  // Without mail there is nothing to take.
  if (op === up.take)
    return turn.attempt > 1 || agent.lanes.get(turn.mail.envelope.header.sessionKey)?.queue.length !== 0;
  return op !== up.timers && mayNot.has(op);
}

/** A record for which the turn's words wait is on disk, or it is not: then nothing is begun. */
export function hearHeld(
  k: KernelState,
  { agentId, incarnation, turn: number }: Extract<Effect, { type: "record" }>,
  refusal: Refusal | undefined,
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(number);
  if (agent === undefined || turn?.held === undefined || agent.incarnation !== incarnation || turn.lateOnWay > 0)
    return;
  const { held } = turn;
  turn.held = undefined;
  for (const record of held) {
    if (refusal === undefined || !mayNot.has(record.op)) receiveRecord(k, agent, record, nowMs);
    else postRefusal(k, agentId, incarnation, record.ref, refusal);
  }
}

/** What makes a call this one and no other, beside its name. */
function givenOf({ op, b, c }: UpRecord): readonly string[] {
  // A request to a model may be megabytes; one that fails again is as long as before.
  if (op === up.model) return [String(b.length + c.length)];
  return op === up.send ? [c] : [b, c];
}

function step(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  const { op, ref, num: key, slot, a, b } = record;
  if (slot > 1 || turn.mail.volatile || ref === 0) {
    forged(
      k,
      agent,
      "record",
      turn.mail.volatile ? "a turn in memory has no steps" : `a step with slot ${slot}, ref ${ref}`,
    );
    if (ref !== 0) postRefusal(k, agent.spec.id, agent.incarnation, ref, notHeld("the record is not a step's"));
  } else if (op === up.stepStart) {
    if (isCallNumber(k, key)) startStep(k, agent, turn, ref, { key, op: "step", name: a }, slot === 1);
    else refuse(k, agent, turn, record, noCallNumber(k, String(key)));
  } else if (!endStep(k, agent, turn, ref, key, slot === 1 ? [1, "ok", b] : [0, a, ""])) {
    forged(k, agent, "step", `the record ends step ${key}, which does not run in turn ${turn.number}`);
    postRefusal(k, agent.spec.id, agent.incarnation, ref, notHeld(`no step with the number ${key} runs in this turn`));
  }
}

function call(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  const { limits } = k.settings;
  if (!isCallNumber(k, record.num)) {
    refuse(k, agent, turn, record, noCallNumber(k, String(record.num)));
    return;
  }
  const id: CallId = { key: record.num, op: "tool", name: record.a };
  if (answerFromSteps(k, agent, turn, record.ref, id)) return;
  // A call that an earlier delivery made was judged then: it hears what came of that, whatever is allowed by now.
  const wasMade = wasMadeBefore(k, turn, id);
  const denied = wasMade ? undefined : whyNoTool(k, agent, turn, record);
  if (denied !== undefined) {
    refuse(k, agent, turn, record, denied, id);
    return;
  }
  if (record.b.length > limits.callParamsCharsMax || record.c.length > limits.bodyCharsMax) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the call of ${record.a} is larger than its bound`,
    });
    return;
  }
  const full = turn.mail.volatile || turn.steps?.has(id.key) === true ? undefined : whyNoMoreSteps(k, turn);
  if (full !== undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, full);
    return;
  }
  if (agent.openCalls.size >= limits.callsPerCellMax) {
    const busy: Refusal = {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${agent.openCalls.size} tool calls of this cell wait for their answers; the bound is reached`,
      retryAfterMs: 100,
    };
    // The record of what it sent before must not be replaced by this.
    if (wasMade) postRefusal(k, agent.spec.id, agent.incarnation, record.ref, busy);
    else hear(k, agent, turn, record.ref, id, [0, JSON.stringify(busy), ""]);
    return;
  }
  const spent = wasMade ? undefined : (useBudget(k, agent, "toolCalls") ?? takeChainCall(k, turn.mail.envelope.header));
  if (spent !== undefined) {
    refuse(k, agent, turn, record, spent, id);
    return;
  }
  if (agent.run !== undefined) agent.run.toolCalls++;
  if (!wasMade) turn.work.toolCalls++;
  agent.openCalls.add(record.ref);
  const effect: Extract<Effect, { type: "call" }> = {
    type: "call",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref: record.ref,
    turn: turn.number,
    header: turn.mail.envelope.header,
    key: record.num,
    tool: record.a,
    params: record.b,
    body: record.c,
    sinceMs: turn.work.sinceMs,
    wasMade,
  };
  if (!turn.mail.volatile && !k.settings.isRepeatable(record.a)) startTool(k, agent, turn, id, effect);
  else if (turn.late === undefined) k.emit(effect);
  else recordLate(k, agent, turn, { type: "call", call: effect });
}

export function awaitsCall(k: KernelState, asked: Extract<Effect, { type: "call" }>): boolean {
  const agent = k.agents.get(asked.agentId);
  if (agent?.incarnation !== asked.incarnation || !agent.openCalls.has(asked.ref)) return false;
  const turn = agent.turns.get(asked.turn);
  return turn?.stage === "delivered" && !turn.mail.aborted;
}

function whyNoTool(k: KernelState, agent: AgentEntry, turn: Turn, { slot, a: tool }: UpRecord): Refusal | undefined {
  const pairing = slotPairing(k, agent, slot);
  if (pairing?.object === "gateway" && coversVerb(pairing.verbs, `tool:${tool}`))
    return k.settings.whyNotTool(judgedTurn(turn), tool);
  return {
    code: "CLOISTER_CAPABILITY_DENIED",
    message: `${turn.mail.envelope.header.sessionKey} holds no capability to use the tool ${JSON.stringify(tool.slice(0, 80))}`,
  };
}

/**
 * Beyond the bound the stream falls silent; the answer itself has its own bound. Nothing is told of what may become `NO_REPLY`, with some blanks
 * around it: whoever reads along would see it for a moment.
 */
function stream(k: KernelState, agent: AgentEntry, turn: Turn, chunk: string): void {
  const text = chunk.slice(0, k.settings.limits.streamCharsMax - turn.streamed);
  if (text === "" || turn.mail.aborted || turn.mail.volatile) return;
  turn.streamed += text.length;
  const { run } = agent;
  if (run !== undefined) run.progress = `${run.progress}${text}`.slice(-k.settings.limits.runProgressChars);
  const held = turn.heldText === undefined ? undefined : turn.heldText + text;
  turn.heldText = held !== undefined && mayBeSilent(k, held) ? held : undefined;
  if (turn.heldText !== undefined) return;
  k.emit({ type: "streamed", header: turn.mail.envelope.header, seq: ++turn.streamSeq, text: held ?? text });
}

const mayBeSilent = (k: KernelState, text: string): boolean =>
  text.length <= k.settings.limits.streamHeldCharsMax && noReply.startsWith(text.trim().toUpperCase());

type Forgery = "frame" | "incarnation" | "record" | "sequence" | "step" | "turn";

function forged(k: KernelState, agent: AgentEntry, what: Forgery, detail: string): void {
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
