/**
 * A turn: the handling of one envelope, from the store's `begin` to the store's `commit`.
 *
 *   beginning ──begun──► delivered ──done (cell)──► committing ──committed──► ended
 *       │                    │                          └──failed──► uncommitted ──back-off──► committing
 *       │                    └── the cell ends: back to the head of its lane, or a dead letter
 *       ├── done before: ended with the recorded outcome
 *       └── failed: back to the head of its lane, with a back-off
 *
 * A store that fails loses nothing and overtakes nothing: the session waits, and who asked hears it at once.
 */
import { closeInChain } from "./chains.ts";
import { noteRoom, release } from "./depth.ts";
import { hasCell, isServed, markReady, pump, pumpWanting } from "./dispatch.ts";
import type { EnvelopeHeader, Failure, Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { followUp, leavesBy } from "./exchange.ts";
import { doneBits, down } from "./frames.ts";
import { giveBack, hearTaken, keptFor, letGo, outcomeOfTaken, postPart, type Taken, takeFirst } from "./gather.ts";
import { noteRun, noteRunTurn } from "./run-notes.ts";
import { acknowledged } from "./run-waits.ts";
import type { AgentEntry, Effect, KernelState, Mail, Turn } from "./state.ts";
import { whyNotDelivered } from "./second-check.ts";
import { formatHeader, learn, type LearnedAtBegin } from "./session-choices.ts";
import { failureCode, type StepRow, takeUpSteps } from "./steps.ts";
import { rowsOf } from "./turn-rows.ts";
import { offerTools } from "./tool-lists.ts";
import { unknownAgent } from "./unknown-agent.ts";
import { answer, dropAsks, givePlaceBack } from "./waits.ts";

export type Begun =
  | (LearnedAtBegin & {
      readonly status: "begun";
      readonly attempt: number;
      readonly sessionId: string;
      readonly body: string;
      readonly state: string | null;
      /** The session began anew with this turn: what the cell has of it counts no more. */
      readonly isNew?: boolean;
      /** What earlier deliveries recorded, by the numbers of the calls; absent for the first. */
      readonly steps?: readonly StepRow[];
    })
  | { readonly status: "done"; readonly outcomeText: string | null; readonly failure?: Failure }
  | { readonly status: "failed"; readonly refusal: Refusal };

export function begun(k: KernelState, agentId: string, turnNumber: number, result: Begun, nowMs: number): void {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(turnNumber);
  if (agent === undefined || turn === undefined || turn.stage !== "beginning") return;
  const { header } = turn.mail.envelope;
  if (result.status === "failed") {
    storeFailed(k, agent, header, result.refusal, nowMs);
    putBack(k, agent, turn);
    afterwards(k, agent, nowMs);
    return;
  }
  storeWorks(k, agent);
  if (result.status === "begun" && agent.run !== undefined) agent.run.sessionId = result.sessionId;
  if (result.status === "done") {
    const outcome = storedOutcome(result);
    leave(k, header, outcome);
    endTurn(k, agent, turn, outcome, nowMs, true);
  } else if (turn.mail.aborted) {
    endAborted(k, agent, turn);
    afterwards(k, agent, nowMs);
  } else if (!isServed(agent, turn)) {
    putBack(k, agent, turn);
    afterwards(k, agent, nowMs);
  } else {
    turn.attempt = result.attempt;
    learn(turn, result, header.choices);
    takeUpSteps(k, turn, result.steps ?? []);
    const undeliverable = turn.mail.volatile ? undefined : whyNotDelivered(k, turn, nowMs);
    if (result.isNew === true) {
      forgetSession(k, agent, header.sessionKey);
      k.emit({ type: "session-reset", agentId, sessionKey: header.sessionKey });
    }
    if (undeliverable === undefined) {
      turn.opening = { body: result.body, state: result.state };
      if (turn.mail.volatile || !takeFirst(k, agent, turn)) deliver(k, agent, turn, nowMs);
      return;
    }
    k.emit({ type: "bury", header, fate: undeliverable.fate, reason: undeliverable.reason });
    endTurn(k, agent, turn, { status: "error", code: undeliverable.code, message: undeliverable.message }, nowMs);
  }
}

/** As a `done` marker keeps it. */
export function storedOutcome(stored: { readonly outcomeText: string | null; readonly failure?: Failure }): Outcome {
  if (stored.failure !== undefined) return { status: "error", ...stored.failure };
  return stored.outcomeText === null ? { status: "no_reply" } : { status: "ok", text: stored.outcomeText };
}

/** The store has recorded what the turn takes, or refuses to. */
export function taken(
  k: KernelState,
  take: Extract<Effect, { type: "take" }>,
  result: Taken | Refusal,
  nowMs: number,
): void {
  const agent = k.agents.get(take.agentId);
  const turn = agent?.turns.get(take.turn);
  // Its cell ended meanwhile, or it is over: what it had asked for is in its lane again.
  if (agent === undefined || turn === undefined || turn.incarnation !== take.incarnation) return;
  if (take.ref !== 0) {
    if (turn.stage === "delivered") hearTaken(k, agent, turn, take, result);
    return;
  }
  if (turn.stage !== "beginning") return;
  if ("code" in result) {
    storeFailed(k, agent, turn.mail.envelope.header, result, nowMs);
    putBack(k, agent, turn);
  } else if (turn.mail.aborted) {
    endAborted(k, agent, turn);
  } else if (!isServed(agent, turn)) {
    putBack(k, agent, turn);
  } else {
    // The first of them is the turn's own; it is heard in its place.
    if (result.length > 0) postPart(k, agent, turn, 0, turn.mail, turn.opening?.body ?? "");
    hearTaken(k, agent, turn, take, result);
    deliver(k, agent, turn, nowMs);
    return;
  }
  afterwards(k, agent, nowMs);
}

function deliver(k: KernelState, agent: AgentEntry, turn: Turn, nowMs: number): void {
  const { header } = turn.mail.envelope;
  const { body = "", state = null } = turn.opening ?? {};
  turn.opening = undefined;
  turn.stage = "delivered";
  agent.lastActivityMs = nowMs;
  offerTools(k, agent, turn);
  // A turn in memory has no state, so the cell does not have the session's after it.
  if (!turn.mail.volatile) keepSession(k, agent, header.sessionKey);
  k.emit({
    type: "post",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    record: [
      down.deliver,
      state === null ? 0 : 1,
      turn.number,
      turn.attempt,
      formatHeader(header, turn),
      turn.taken.length > 0 ? "" : body,
      state ?? "",
    ],
  });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** The cell says that the turn is over. */
export function cellDone(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  bits: number,
  text: string,
  state: string,
  nowMs: number,
): void {
  const { header } = turn.mail.envelope;
  turn.stage = "committing";
  dropAsks(k, turn, { code: "CLOISTER_ASK_ABORTED", message: "the turn ended before the answer came" });
  const outcome = turn.mail.aborted ? endOf(turn) : acknowledged(turn, outcomeOf(k, turn, bits, text, state));
  if (turn.mail.volatile) {
    endTurn(k, agent, turn, outcome, nowMs);
    return;
  }
  // A failed turn keeps what the session had before; the cell must not go on with what it changed.
  if (outcome.status === "error") forgetSession(k, agent, header.sessionKey);
  if ((bits & doneBits.unhandled) !== 0 && !turn.mail.aborted) {
    const reason = `the actor does not handle it: ${text.slice(0, k.settings.limits.failureCharsMax)}`;
    k.emit({ type: "bury", header, fate: "unhandled", reason });
    endTurn(k, agent, turn, outcome, nowMs);
    return;
  }
  commitTurn(k, agent, turn, outcome, (bits & doneBits.state) !== 0 && outcome.status !== "error" ? state : undefined);
}

/** The turn of a run whose cell is gone: how it ended is committed all the same, as the transcript's last word. */
export function failTurn(k: KernelState, agent: AgentEntry, turn: Turn, failure: Failure): void {
  turn.stage = "committing";
  forgetSession(k, agent, turn.mail.envelope.header.sessionKey);
  commitTurn(k, agent, turn, { status: "error", ...failure }, undefined);
}

function commitTurn(k: KernelState, agent: AgentEntry, turn: Turn, outcome: Outcome, state: string | undefined): void {
  const { header } = turn.mail.envelope;
  const reply = outcome.status === "ok" ? [{ role: "assistant" as const, text: outcome.text }] : [];
  turn.outcome = outcome;
  // The actor did not wait for what it had asked for.
  giveBack(agent, turn, turn.taking.splice(0));
  turn.commit = {
    type: "commit",
    agentId: agent.spec.id,
    turn: turn.number,
    header,
    taken: turn.taken.map(({ envelope }) => envelope.header.id),
    rows: [...rowsOf(turn, outcome), ...reply],
    state,
    outcomeText: outcome.status === "ok" ? outcome.text : null,
    failure: outcome.status === "error" ? { code: outcome.code, message: outcome.message } : undefined,
    outbound: outcome.status === "ok" ? leavesBy(header, outcome.text) : undefined,
    tokens: turn.tokens,
    work: turn.work,
    contextUsed: outcome.status === "error" ? undefined : turn.context?.tokens,
    noticed: outcome.status === "error" ? undefined : turn.notices?.at(-1)?.number,
  };
  k.emit(turn.commit);
}

export const aborted = {
  status: "error",
  code: "CLOISTER_ASK_ABORTED",
  message: "the run was stopped",
} as const satisfies Outcome;

function outcomeOf(k: KernelState, turn: Turn, bits: number, text: string, state: string): Outcome {
  const { limits } = k.settings;
  if ((bits & doneBits.unhandled) !== 0)
    return {
      status: "error",
      code: "CLOISTER_MESSAGE_UNHANDLED",
      message: `the agent does not handle this message: ${text.slice(0, limits.failureCharsMax)}`,
    };
  if ((bits & doneBits.error) !== 0)
    return { status: "error", code: failureCode(turn, text), message: text.slice(0, limits.failureCharsMax) };
  const hasReply = (bits & doneBits.reply) !== 0;
  if ((bits & doneBits.tooLong) !== 0)
    return hasReply
      ? tooLong("the answer", text, limits.replyCharsMax)
      : tooLongState(turn.mail.envelope.header, text, limits.stateCharsMax);
  if ((bits & doneBits.state) !== 0 && state.length > limits.stateCharsMax)
    return tooLongState(turn.mail.envelope.header, String(state.length), limits.stateCharsMax);
  if (!hasReply) return { status: "no_reply" };
  if (text.length > limits.replyCharsMax) return tooLong("the answer", String(text.length), limits.replyCharsMax);
  return { status: "ok", text };
}

const tooLongState = (header: EnvelopeHeader, length: string, bound: number): Outcome =>
  tooLong(`the state of ${header.sessionKey}`, length, bound);

/** `length` in decimal digits, as a cell says it. */
function tooLong(what: string, length: string, bound: number): Outcome {
  const found = /^\d{1,16}$/.test(length) ? length : "too many";
  return {
    status: "error",
    code: "CLOISTER_MESSAGE_TOO_LARGE",
    message: `${what} has ${found} characters; the bound is ${bound}`,
  };
}

export function committed(
  k: KernelState,
  agentId: string,
  turnNumber: number,
  result: { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal },
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(turnNumber);
  if (agent === undefined || turn?.stage !== "committing" || turn.outcome === undefined) return;
  if (!result.ok) {
    turn.stage = "uncommitted";
    storeFailed(k, agent, turn.mail.envelope.header, result.refusal, nowMs);
    // One agent whose store fails must not keep the places of lane `main`.
    givePlaceBack(k, turn);
    pumpWanting(k, nowMs);
    return;
  }
  storeWorks(k, agent);
  leave(k, turn.mail.envelope.header, turn.outcome);
  for (const { envelope } of turn.taken) k.emit({ type: "settle", envelopeId: envelope.header.id });
  endTurn(k, agent, turn, turn.outcome, nowMs, true);
}

/** Asks the store again for the commits that failed, once the back-off is over. */
export function commitAgain(k: KernelState, agent: AgentEntry, nowMs: number): void {
  if (nowMs < agent.notBeforeMs) return;
  for (const turn of agent.turns.values()) {
    if (turn.stage !== "uncommitted" || turn.commit === undefined) continue;
    turn.stage = "committing";
    k.emit(turn.commit);
  }
}

function storeFailed(k: KernelState, agent: AgentEntry, header: EnvelopeHeader, refusal: Refusal, nowMs: number): void {
  const { limits, random } = k.settings;
  agent.storeFailures++;
  agent.reason = `its store failed ${agent.storeFailures} times in a row: ${refusal.message}`;
  const ceiling = Math.min(limits.restartBackoffMsMax, limits.restartBackoffMs * 2 ** (agent.storeFailures - 1));
  // Half of it is fixed: a store that fails at once must not be asked again at once.
  agent.notBeforeMs = Math.max(agent.notBeforeMs, nowMs + Math.ceil(ceiling / 2 + (random() * ceiling) / 2));
  answer(k, header.id, {
    status: "error",
    code: refusal.code,
    message: `${refusal.message}; the message is kept and will be tried again`,
  });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

function storeWorks(k: KernelState, agent: AgentEntry): void {
  if (agent.storeFailures === 0) return;
  agent.storeFailures = 0;
  agent.reason = undefined;
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** The turn is in the store: its answer may leave, or its journal row may go. */
export function leave(k: KernelState, header: EnvelopeHeader, outcome: Outcome): void {
  const next = followUp(k, header, outcome);
  const route = outcome.status === "ok" ? leavesBy(header, outcome.text) : undefined;
  if (next !== undefined) k.emit({ type: "follow-up", next });
  else if (outcome.status === "ok" && route !== undefined)
    k.emit({ type: "outbound", header, route, text: outcome.text });
  else k.emit({ type: "settle", envelopeId: header.id });
}

/** Frees the turn's places, tells everybody who waits, and lets the next turns begin. `isStored`: its `done` marker has the outcome. */
function endTurn(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  outcome: Outcome,
  nowMs: number,
  isStored = false,
): void {
  agent.lastActivityMs = nowMs;
  closeTurn(k, agent, turn, outcome, isStored);
  if (agent.run !== undefined) noteRunTurn(k, agent, outcome, turn.yielded !== undefined);
  afterwards(k, agent, nowMs);
}

/** Others that want a place first, then the agent's own next turn: that is the fairness between agents. */
function afterwards(k: KernelState, agent: AgentEntry, nowMs: number): void {
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
  noteRun(k, agent);
}

export function closeTurn(k: KernelState, agent: AgentEntry, turn: Turn, outcome: Outcome, isStored = false): void {
  agent.turns.delete(turn.number);
  endCompany(k, agent, turn, outcome, isStored);
  freePlaces(k, agent, turn);
  endMail(k, agent, turn.mail, turn.streamSeq + 1, outcome, isStored);
}

/** What the turn had taken is done with it; when the turn was not handled, it is not either. */
function endCompany(k: KernelState, agent: AgentEntry, turn: Turn, outcome: Outcome, isStored: boolean): void {
  if (isStored) for (const mail of turn.taken.splice(0)) endMail(k, agent, mail, 1, outcomeOfTaken(outcome), true);
  const rest = [...letGo(turn), ...keptFor(agent, turn)];
  if (agent.disabled !== undefined) for (const mail of rest) endMail(k, agent, mail, 1, disabledOutcome(agent));
  else if (agent.leaving !== undefined) for (const mail of rest) endLeft(k, agent, mail);
  else if (turn.mail.aborted) for (const mail of rest) endQueued(k, agent, mail);
  else giveBack(agent, turn, rest);
}

/** Dropped by a queue policy; the caller has taken it out of its lane, or never put it there. */
export function endDropped(k: KernelState, agent: AgentEntry, mail: Mail, reason: string): void {
  k.emit({ type: "bury", header: mail.envelope.header, fate: "dropped", reason });
  const message = `the message was dropped: ${reason}`;
  endMail(k, agent, mail, 1, { status: "error", code: "CLOISTER_MAILBOX_FULL", message });
}

/** Stopped by the operator before the cell could end it. */
export function endAborted(k: KernelState, agent: AgentEntry, turn: Turn): void {
  buryAborted(k, turn.mail, turn.why?.message);
  closeTurn(k, agent, turn, endOf(turn));
}

/** How a turn ends that was ended early. */
function endOf({ why }: Turn): Outcome {
  return why === undefined ? aborted : { status: "error", ...why };
}

export const abortedReason = "the operator stopped it";

export function buryAborted(k: KernelState, mail: Mail, why?: string): void {
  const { header } = mail.envelope;
  const reason = k.settings.isRunKey(header.sessionKey)
    ? "the sub-agent's run ended before it was handled"
    : abortedReason;
  k.emit({ type: "bury", header, fate: "dropped", reason: why ?? reason });
}

/** Mail that the operator stopped while it waited in its lane; the caller has taken it out. */
export function endQueued(k: KernelState, agent: AgentEntry, mail: Mail): void {
  mail.aborted = true;
  buryAborted(k, mail);
  endMail(k, agent, mail, 1, aborted);
}

/** The one way in which mail ends: out of the books, and whoever waits for it hears the outcome once. */
export function endMail(
  k: KernelState,
  agent: AgentEntry,
  mail: Mail,
  seq: number,
  outcome: Outcome,
  isStored = false,
): void {
  const { header } = mail.envelope;
  if (!mail.volatile) k.mail.delete(header.id);
  closeInChain(k, header, agent.run);
  if (mail.suspect) agent.suspects--;
  release(agent, header.sessionKey);
  noteRoom(k, agent);
  answer(k, header.id, outcome, isStored);
  // A run that was ended for what it did has failed; nobody aborted it.
  const isAborted = mail.aborted && outcome.status === "error" && outcome.code === aborted.code;
  const inMemory = mail.volatile ? { inMemory: true as const } : {};
  k.emit({ type: "ended", header, seq, outcome, aborted: isAborted, ...inMemory });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** Mail of an agent that was removed; the caller has taken it out of its lane, or never put it there. */
export function endLeft(k: KernelState, agent: AgentEntry, mail: Mail): void {
  buryUnconfigured(k, agent, mail);
  endMail(k, agent, mail, 1, leftOutcome(agent));
}

export const notConfigured = (agentId: string): string => `the agent ${agentId} is no longer configured`;

function buryUnconfigured(k: KernelState, { spec }: AgentEntry, { envelope, volatile }: Mail): void {
  if (!volatile)
    k.emit({ type: "bury", header: envelope.header, fate: "undeliverable", reason: notConfigured(spec.id) });
}

function leftOutcome({ spec }: AgentEntry): Outcome {
  const { code, message } = unknownAgent(spec.id);
  return { status: "error", code, message };
}

export function disabledOutcome(agent: AgentEntry): Outcome {
  return {
    status: "error",
    code: "CLOISTER_AGENT_DISABLED",
    message: `the agent ${agent.spec.id} is disabled: ${agent.disabled ?? ""}`,
  };
}

/** Back to the head of its lane, for the next delivery. The caller starts what may start then. */
export function putBack(k: KernelState, agent: AgentEntry, turn: Turn): void {
  if (agent.disabled !== undefined) {
    closeTurn(k, agent, turn, disabledOutcome(agent));
    return;
  }
  if (agent.leaving !== undefined) {
    buryUnconfigured(k, agent, turn.mail);
    closeTurn(k, agent, turn, leftOutcome(agent));
    return;
  }
  agent.turns.delete(turn.number);
  turn.mail.offer ??= turn.offer;
  giveBack(agent, turn, [turn.mail, ...letGo(turn)]);
  freePlaces(k, agent, turn);
}

export function freePlaces(k: KernelState, agent: AgentEntry, turn: Turn): void {
  givePlaceBack(k, turn);
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  if (lane?.running !== turn) return;
  lane.running = undefined;
  if (lane.queue.length === 0) agent.lanes.delete(lane.key);
  markReady(agent, lane);
}

/** Remembers that the cell has the session's state, and drops those that it used longest ago when there are too many. */
function keepSession(k: KernelState, agent: AgentEntry, sessionKey: string): void {
  agent.loaded.delete(sessionKey);
  agent.loaded.add(sessionKey);
  for (const oldest of agent.loaded) {
    if (agent.loaded.size <= k.settings.limits.sessionsPerCellMax) return;
    // A turn that has begun counts on what the cell had when it began.
    if (agent.lanes.get(oldest)?.running === undefined) forgetSession(k, agent, oldest);
  }
}

/** The session's state was changed from outside: the next turn reads it. False, and nothing done, while a turn is running. */
export function forgetState(k: KernelState, agent: AgentEntry, sessionKey: string): boolean {
  if (agent.lanes.get(sessionKey)?.running !== undefined) return false;
  forgetSession(k, agent, sessionKey);
  return true;
}

function forgetSession(k: KernelState, agent: AgentEntry, sessionKey: string): void {
  agent.loaded.delete(sessionKey);
  if (hasCell(agent))
    k.emit({
      type: "post",
      agentId: agent.spec.id,
      incarnation: agent.incarnation,
      record: [down.forget, 0, 0, 0, sessionKey, "", ""],
    });
}
