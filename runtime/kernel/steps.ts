/**
 * Recorded steps: what lets a turn that is handled again go on where it was (ADR 0015).
 *
 * Every call of a turn has a number: the same turn makes the same calls in the same order. What a call was answered is heard
 * by the cell only after it is durable, so that a repeated turn hears the same again and the call is not carried out twice:
 *
 *   ctx.send, an ask that its target answered   in the journal and the target's `done` marker already; nothing is added
 *   a timer or monitor that was set             recorded in the journal, in the transaction that sets it
 *   tools, every other end of an ask or signal  the answer is recorded, then heard
 *   ctx.model, ctx.tools.list                   the answer is heard, and recorded before the turn does anything else that stays
 *   ctx.step, a tool that is not repeatable     the start is recorded, then it runs; the answer is recorded, then heard
 *
 *   (none) ──start recorded──► started ──answer recorded──► finished
 *                                 └── the cell ends ──► redelivered: repeatable? runs again : outcome unknown
 *
 * What a model answered and which tools there are costs nothing but asking again, so it is recorded late (ADR 0077): with the next record
 * of the turn, or before whatever else leaves something behind, which waits for it; when the cell ends; or after `limits.recordLateMs`. A turn
 * that is done needs it no more.
 *
 *   heard, late ──a record of the turn──► recorded with it
 *        ├──another step that stays──► recorded; then that step, and what the cell said after it, in order
 *        ├──the cell ends, `recordLateMs`──► recorded
 *        └──done──► its commit holds what came of it
 *
 * The records come with the delivery that repeats the turn, and the kernel answers from them; the cell is not trusted to.
 * They go with the turn: in the transaction that commits it, or with its dead letter. A turn in memory has none.
 */
import { hasCell } from "./dispatch.ts";
import type { ErrorCode, Refusal } from "./errors.ts";
import { countFailure, noteAnswer } from "./loops.ts";
import type { Tokens } from "./run-rows.ts";
import { addTokens, noteContext } from "./usage.ts";
import { postRefusal, postResult, stoppedRefusal } from "./posts.ts";
import type { AgentEntry, Effect, KernelState, Turn } from "./state.ts";
import { outcomeUnknownResult } from "./tool-results.ts";

/** One call of a turn: its number, and what makes it that call and no other. Bodies and parameters do not count. */
export interface CallId {
  /** From 0, in the order of the calls. */
  readonly key: number;
  readonly op: "send" | "request" | "tool" | "tools" | "step" | "signal" | "take" | "model";
  /** The target's session key, the tool, the step or the model; of a signal which call it is (`schedule`, `monitor` and so on). */
  readonly name: string;
  /** The session that a tool sent to, that a timer is for or that is watched. */
  readonly to?: string;
}

/** A `down.result` record as the cell heard it: num, a, b. */
export type StepResult = readonly [num: 0 | 1, a: string, b: string];

export interface StepRow extends CallId {
  /** Absent: it was started, and how it ended is not known. */
  readonly result?: StepResult;
  /** The envelope that the call sent; its outcome is asked for by this id. */
  readonly envelopeId?: string;
  /** What a model took for it. */
  readonly used?: Tokens;
  /** The model that gave the answer. */
  readonly answeredBy?: string;
  /** The answer is this failure of this call (`loops.ts`). */
  readonly failed?: string;
}

type Recording = Extract<Effect, { type: "record" }>;

/** What a cell hears when the function of its step may run. */
const goOn: StepResult = [1, "run", ""];

/** What the earlier deliveries of this turn recorded; the transcript gets their tool results again. */
export function takeUpSteps(k: KernelState, turn: Turn, rows: readonly StepRow[]): void {
  if (rows.length === 0) return;
  turn.steps = new Map(rows.map((row) => [row.key, row]));
  for (const row of rows) {
    if (row.result === undefined) continue;
    turn.stepChars += charsOf(row.result);
    // The agent's own sum has it from the delivery that called.
    if (row.used !== undefined) turn.tokens = addTokens(turn.tokens, row.used);
    if (row.answeredBy !== undefined) noteContext(turn, row.key, row.used);
    if (row.answeredBy !== undefined) turn.answered = (turn.answered ?? new Set()).add(row.answeredBy);
    noteTool(turn, row, row.result);
    if (row.failed !== undefined) countFailure(k, turn, row.failed, describe(row), "as in an earlier delivery");
  }
}

/** Answers the call from the turn's records, when they decide it. False: it is to be carried out. */
export function answerFromSteps(k: KernelState, agent: AgentEntry, turn: Turn, ref: number, id: CallId): boolean {
  const row = turn.steps?.get(id.key);
  if (row === undefined) return false;
  if (isOther(row, id)) {
    postRefusal(k, agent.spec.id, agent.incarnation, ref, diverged(row, id));
    return true;
  }
  // Which session a tool means is known when it sends; until then its record may be another call's.
  if (row.result === undefined || (row.to !== undefined && id.to === undefined)) return false;
  noteModel(turn, id, row.result);
  postResult(k, agent.spec.id, agent.incarnation, ref, row.result);
  return true;
}

/**
 * Whether an earlier delivery made the tool call and it is not carried out again: then it needs no right any more. What this
 * delivery began has neither a result nor an envelope here; only a tool that must not be called twice is not begun again.
 */
export function wasMadeBefore(k: KernelState, turn: Turn, { key, name }: CallId): boolean {
  const row = turn.steps?.get(key);
  if (row === undefined) return false;
  return row.result !== undefined || row.envelopeId !== undefined || !k.settings.isRepeatable(name);
}

function isOther(before: CallId, now: CallId): boolean {
  if (before.op !== now.op || before.name !== now.name) return true;
  return before.to !== undefined && now.to !== undefined && before.to !== now.to;
}

export function diverged(before: CallId, now: CallId): Refusal {
  return {
    code: "CLOISTER_TURN_DIVERGED",
    message: `call ${now.key} of the repeated turn is ${describe(now)}; before it was ${describe(before)}, whose result it does not get`,
    remedy: "let an actor's calls depend on the message, the state and earlier results alone",
  };
}

function describe({ op, name, to }: CallId): string {
  return `${op} ${JSON.stringify(name.slice(0, 200))}${to === undefined ? "" : ` to ${to}`}`;
}

/** Why the turn may record no further call; undefined when it may. */
export function whyNoMoreSteps(k: KernelState, turn: Turn): Refusal | undefined {
  const found = turn.steps?.size ?? 0;
  const { stepsPerTurnMax } = k.settings.limits;
  if (found < stepsPerTurnMax) return undefined;
  return {
    code: "CLOISTER_TURN_FULL",
    message: `the turn has ${found} calls on record; the bound is ${stepsPerTurnMax}`,
    remedy: "do more in one step, or send the rest to this session as a further message",
  };
}

/** `ctx.step` begins. Its start is on disk before the cell may call the function; in memory there is nothing to record. */
export function startStep(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  ref: number,
  id: CallId,
  isIdempotent: boolean,
): void {
  const refuse = (refusal: Refusal): void => postRefusal(k, agent.spec.id, agent.incarnation, ref, refusal);
  const { stepNameCharsMax } = k.settings.limits;
  if (id.name === "" || id.name.length > stepNameCharsMax) {
    refuse({
      code: "CLOISTER_REQUEST_INVALID",
      message: `the name of a step has 1 to ${stepNameCharsMax} characters, found ${id.name.length}`,
    });
    return;
  }
  if (answerFromSteps(k, agent, turn, ref, id)) return;
  if (turn.openSteps?.has(id.key) === true) {
    refuse({ code: "CLOISTER_REQUEST_INVALID", message: `call ${id.key} of the turn is a step that runs already` });
    return;
  }
  if (!isStarted(turn, id)) {
    const full = whyNoMoreSteps(k, turn);
    if (full !== undefined) {
      refuse(full);
      return;
    }
    noteStep(turn, id.key, "waiting");
    record(k, agent, turn, id, { type: "run", ref });
  } else if (isIdempotent) {
    noteStep(turn, id.key, "running");
    postResult(k, agent.spec.id, agent.incarnation, ref, goOn);
  } else {
    refuse({
      code: "CLOISTER_OUTCOME_UNKNOWN",
      message: `the step ${JSON.stringify(id.name)} was started by an earlier delivery of this message, and how it ended is not known`,
      remedy: "find out whether it took effect; a step that may run twice is declared with { idempotent: true }",
    });
  }
}

/** The function of a step ended. False: the turn has no step with this number that runs. */
export function endStep(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  ref: number,
  key: number,
  result: StepResult,
): boolean {
  const row = turn.steps?.get(key);
  if (row === undefined || turn.openSteps?.get(key) !== "running") return false;
  noteStep(turn, key, "waiting");
  hear(k, agent, turn, ref, row, result);
  return true;
}

function noteStep(turn: Turn, key: number, stage: "waiting" | "running"): void {
  turn.openSteps ??= new Map();
  turn.openSteps.set(key, stage);
}

/** A tool whose call must not be repeated: its start is on disk before it is called. */
export function startTool(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  id: CallId,
  call: Extract<Effect, { type: "call" }>,
): void {
  if (isStarted(turn, id)) hear(k, agent, turn, call.ref, id, [1, "ok", JSON.stringify(outcomeUnknownResult(id.name))]);
  else record(k, agent, turn, id, { type: "call", call });
}

function isStarted(turn: Turn, id: CallId): boolean {
  return turn.steps?.has(id.key) === true;
}

/**
 * Lets the cell hear the answer of a call: once it is recorded, or at once when the turn is in memory or over, so that nobody
 * will ask for it again. Beyond the bound of records only a refusal gets here, which the next delivery gets for itself.
 */
export function hear(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  ref: number,
  id: CallId & Pick<StepRow, "used" | "answeredBy">,
  result: StepResult,
): void {
  const failed = noteAnswer(k, turn, id, result);
  const known = turn.steps?.has(id.key) === true;
  if (turn.mail.volatile || turn.stage !== "delivered" || (!known && whyNoMoreSteps(k, turn) !== undefined)) {
    hearNow(k, agent, turn, ref, id, result);
    return;
  }
  const kept = withinBounds(k, turn, id, result);
  const row = { ...id, result: kept, ...(failed === undefined ? {} : { failed }) };
  if (id.op !== "model" && id.op !== "tools") {
    turn.stepChars += charsOf(kept);
    record(k, agent, turn, row, { type: "hear", ref });
    return;
  }
  heardLate(turn, row);
  hearNow(k, agent, turn, ref, id, kept);
}

/** The cell has heard the answer, or does at once; it is recorded later. */
export function heardLate(turn: Turn, row: StepRow & { readonly result: StepResult }): void {
  turn.stepChars += charsOf(row.result);
  note(turn, row);
  turn.late ??= [];
  turn.late.push(row);
}

/** For answers that are durable elsewhere, or need not be. */
export function hearNow(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn | undefined,
  ref: number,
  id: CallId | undefined,
  result: StepResult,
): void {
  if (turn !== undefined && id !== undefined) {
    noteTool(turn, id, result);
    noteModel(turn, id, result);
  }
  postResult(k, agent.spec.id, agent.incarnation, ref, result);
}

function noteTool(turn: Turn, { key, op, name }: CallId, [num, , text]: StepResult): void {
  if (op === "tool" && num === 1) turn.rows.push({ key, role: "toolResult", toolName: name, text });
}

function noteModel(turn: Turn, { op }: CallId, [num, text]: StepResult): void {
  if (op === "model") turn.modelFailure = num === 1 ? undefined : (JSON.parse(text) as Refusal);
}

/** Of a turn that its module failed with this text: the code of the last model's failure, when it is that one's words, which the cell cannot make up. */
export function failureCode({ modelFailure }: Turn, text: string): ErrorCode {
  return modelFailure !== undefined && text.startsWith(modelFailure.message.slice(0, failureWordsChars))
    ? modelFailure.code
    : "CLOISTER_AGENT_FAILED";
}

/** So much of the words is compared: cells cut them. */
const failureWordsChars = 1_000;

function withinBounds(k: KernelState, turn: Turn, id: CallId, result: StepResult): StepResult {
  const { stepCharsMax, turnStepCharsMax } = k.settings.limits;
  const chars = charsOf(result);
  if (chars <= stepCharsMax && turn.stepChars + chars <= turnStepCharsMax) return result;
  const refusal: Refusal = {
    code: "CLOISTER_MESSAGE_TOO_LARGE",
    message: `the result of ${describe(id)} has ${chars} characters, and the turn has ${turn.stepChars} on record; the bounds are ${stepCharsMax} and ${turnStepCharsMax}. What it did is done`,
    remedy: "keep large results in the workspace and give their paths",
  };
  return [0, JSON.stringify(refusal), ""];
}

function charsOf([, a, b]: StepResult): number {
  return a.length + b.length;
}

/** Counted before it is on disk. The result is not kept: only a later delivery is answered from it. */
function note(turn: Turn, row: StepRow): void {
  const { result: _, ...started } = row;
  turn.steps ??= new Map();
  turn.steps.set(row.key, started);
}

function record(k: KernelState, agent: AgentEntry, turn: Turn, row: StepRow, next: Recording["next"]): void {
  note(turn, row);
  emitRecord(k, agent, turn, row, next);
}

/** Records what is late, if anything is; `next` comes after it. */
export function recordLate(k: KernelState, agent: AgentEntry, turn: Turn, next: Recording["next"]): void {
  if (turn.late !== undefined) emitRecord(k, agent, turn, undefined, next);
}

/** An actor that goes on for long by itself has no step that would do it. */
export function recordOverdue(k: KernelState, agent: AgentEntry, turn: Turn, nowMs: number): void {
  if (turn.stage !== "delivered" || turn.late === undefined) return;
  turn.lateSeenMs ??= nowMs;
  if (nowMs - turn.lateSeenMs >= k.settings.limits.recordLateMs) recordLate(k, agent, turn, { type: "nothing" });
}

function emitRecord(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  row: StepRow | undefined,
  next: Recording["next"],
): void {
  const { late = none } = turn;
  turn.late = undefined;
  turn.lateSeenMs = undefined;
  if (late.length > 0) turn.lateOnWay++;
  const { id, sessionKey } = turn.mail.envelope.header;
  k.emit({
    type: "record",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    turn: turn.number,
    envelopeId: id,
    sessionKey,
    late,
    row,
    next,
  });
}

const none: readonly StepRow[] = [];

/** The store has the record, or it does not: then the cell hears that instead, and nothing is carried out. */
export function recorded(
  k: KernelState,
  { agentId, incarnation, turn: number, late, row, next }: Recording,
  refusal: Refusal | undefined,
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !hasCell(agent)) return;
  const turn = agent.turns.get(number);
  if (turn !== undefined && late.length > 0) {
    turn.lateOnWay--;
    // They were heard, and what comes next waits for them as before.
    if (refusal !== undefined) turn.late = [...late, ...(turn.late ?? [])];
  }
  if (next.type === "nothing") return;
  const isOpen = turn?.stage === "delivered" && !turn.mail.aborted;
  const ref = next.type === "call" ? next.call.ref : next.ref;
  if (row !== undefined) turn?.openSteps?.delete(row.key);
  if (refusal !== undefined || (!isOpen && next.type !== "hear")) {
    if (next.type === "call") agent.openCalls.delete(ref);
    // It was not started; the same call may be tried again by a later delivery.
    if (next.type !== "hear" && row !== undefined) turn?.steps?.delete(row.key);
    postRefusal(k, agentId, incarnation, ref, refusal ?? (turn?.mail.aborted === true ? stoppedRefusal : turnOver));
  } else if (next.type === "hear") hearNow(k, agent, turn, ref, row, row?.result ?? goOn);
  else if (next.type === "call") k.emit(next.call);
  else {
    if (turn !== undefined && row !== undefined) noteStep(turn, row.key, "running");
    postResult(k, agentId, incarnation, ref, goOn);
  }
}

const turnOver: Refusal = { code: "CLOISTER_ASK_ABORTED", message: "the turn ended before the call could begin" };
