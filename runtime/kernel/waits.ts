/**
 * The sender's side of an envelope that came from a cell: its acknowledgement, its wait, its single answer.
 */
import { agentOfKey } from "./agent-of-key.ts";
import { type Ask, openWait } from "./asks.ts";
import { endWait, noPlaceInTime } from "./crowd.ts";
import { hasCell, isWaiting, pump, pumpWanting } from "./dispatch.ts";
import type { Failure, Outcome } from "./envelope.ts";
import { isErrorCode, type Refusal } from "./errors.ts";
import { down } from "./frames.ts";
import { laneOf, stateOf } from "./lanes.ts";
import { freePlace, takePlace } from "./places.ts";
import { unfoldAll, unfoldAskedBy, unfoldDue, unfoldOf } from "./questions.ts";
import { giveRunPlaceBack, takeRunPlaceAgain } from "./run-lane.ts";
import type { AgentEntry, AppendTicket, Effect, KernelState, Turn } from "./state.ts";
import { forgetCall, noteAnswer } from "./loops.ts";
import { type CallId, hear, hearNow, type StepResult } from "./steps.ts";
import { acceptedResult, sendResult } from "./tool-results.ts";

type CellTicket = Extract<AppendTicket, { type: "cell" }>;

/** Where an answer goes. The cell may have ended since: then nobody hears it, and the turn asks again when it is redelivered. */
interface Caller {
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  readonly call: CallId | undefined;
  readonly isFollowed?: boolean;
}

interface About {
  readonly runId: string;
  readonly sessionKey: string;
}

/** The journal did not take the envelope. */
export function refuseSend(k: KernelState, ticket: CellTicket, refusal: Refusal): void {
  const agent = cellOf(k, ticket.agentId, ticket.incarnation);
  if (agent === undefined) return;
  agent.unacked--;
  respond(k, ticket, asOutcome(refusal), refusal);
}

/** Refuses a send that was never journaled. */
export function answerRefusal(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  ref: number,
  call: CallId | undefined,
  refusal: Refusal,
): void {
  const caller = { agentId: agent.spec.id, incarnation: agent.incarnation, ref, turn: turn.number, call };
  respond(k, caller, asOutcome(refusal), refusal);
}

/** What a call has sent; `isRepeated`: in an earlier delivery of its turn. */
interface Sent {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly isRepeated: boolean;
}

/** The envelope is stored: the sender gets its credit back and, when it asked, begins to wait. */
export function settleWithMail(k: KernelState, ticket: CellTicket, sent: Sent, nowMs: number): void {
  const { envelopeId, sessionKey } = sent;
  const agent = cellOf(k, ticket.agentId, ticket.incarnation);
  // The redelivered turn repeats the call and finds this envelope by the call's key.
  if (agent === undefined) return;
  agent.unacked--;
  k.emit({
    type: "post",
    agentId: ticket.agentId,
    incarnation: ticket.incarnation,
    record: [down.stored, ticket.ref, ticket.turn, 0, envelopeId, "", ""],
  });
  const about = { runId: envelopeId, sessionKey };
  if (ticket.timeoutMs === 0) {
    forgetCall(agent.turns.get(ticket.turn), ticket.call?.key);
    // For `ctx.send` the acknowledgement above is all.
    if (ticket.call?.op === "tool") respondAccepted(k, ticket, about);
    return;
  }
  if (sent.isRepeated && !k.mail.has(envelopeId)) {
    // A repeated call whose first envelope is done already: its outcome is in the store.
    k.emit({
      type: "recall",
      envelopeId,
      agentId: sent.agentId,
      sessionKey,
      ask: {
        agentId: ticket.agentId,
        incarnation: ticket.incarnation,
        ref: ticket.ref,
        turn: ticket.turn,
        call: ticket.call,
        isFollowed: ticket.isFollowed,
        timeoutMs: ticket.timeoutMs,
        fromSession: ticket.fromSession,
      },
    });
    return;
  }
  const refusal = whyGivenUp(k, sent) ?? whyNotWait(k, agent, ticket, sent);
  if (refusal !== undefined) {
    respond(k, ticket, asOutcome(refusal), refusal, about);
    return;
  }
  openAsk(k, ticket, envelopeId, sessionKey, nowMs);
}

/** A repeated call finds its envelope in the hands of a cell whose end is decided (`ends.ts`): the others that waited were told. */
function whyGivenUp(k: KernelState, { agentId, envelopeId }: Sent): Refusal | undefined {
  const target = k.agents.get(agentId);
  if (target?.phase !== "stopping") return undefined;
  for (const { stage, mail } of target.turns.values()) {
    if (stage !== "delivered" || mail.envelope.header.id !== envelopeId) continue;
    return {
      code: "CLOISTER_AGENT_CRASHED",
      message: `the cell of ${agentId} ends before it answers; the message is kept and will be delivered again`,
    };
  }
  return undefined;
}

/** The message is stored and will be handled; only the wait is refused. Judged when the wait begins, since waits change meanwhile. */
function whyNotWait(
  k: KernelState,
  agent: AgentEntry,
  ticket: Pick<CellTicket, "turn" | "fromSession">,
  { agentId, sessionKey }: Pick<Sent, "agentId" | "sessionKey">,
): Refusal | undefined {
  if (agent.turns.get(ticket.turn)?.stage !== "delivered")
    return { code: "CLOISTER_ASK_ABORTED", message: "the turn ended before the answer came" };
  if (wouldNeverEnd(k, ticket.fromSession, sessionKey)) {
    return {
      code: "CLOISTER_ASK_DEADLOCK",
      message: `${sessionKey} waits for ${ticket.fromSession}, so waiting for its answer would never end; the message is queued and will be handled`,
      remedy: "send with timeoutSeconds 0 and let the answer come as a message",
    };
  }
  const target = k.runs.get(sessionKey) ?? k.agents.get(agentId);
  if (target?.phase === "parked") return parkedRefusal(target);
  // Sends that were on their way together may have taken the last places meanwhile.
  const open = k.asks.size + k.questions.count;
  if (open >= k.settings.limits.asksMax) {
    return {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${open} asks wait in the whole gateway; the bound is reached, so nobody waits for this answer; the message is queued and will be handled`,
      remedy: "send with timeoutSeconds 0 and let the answer come as a message",
    };
  }
  return undefined;
}

export function wouldNeverEnd(k: KernelState, fromSession: string, toSession: string): boolean {
  return k.asks.wouldDeadlock(fromSession, toSession, (session) => heldUpBy(k, session));
}

/** In quarantine (`dispatch.ts`) every session of the agent waits for the turn that runs alone. */
function heldUpBy(k: KernelState, sessionKey: string): readonly string[] {
  const agent = k.runs.get(sessionKey) ?? k.agents.get(agentOfKey(sessionKey) ?? "");
  if (agent === undefined || agent.suspects === 0) return [];
  return [...agent.turns.values()].map((turn) => turn.mail.envelope.header.sessionKey);
}

/** An agent was parked: nobody waits for what only an operator can set going again. */
export function refuseWaitsForParked(k: KernelState, agent: AgentEntry): void {
  unfoldOf(k, agent);
  for (const { envelopeId, toSession } of k.asks.awaitedEnvelopes()) {
    if (agentOfKey(toSession) !== agent.spec.id || k.runs.has(toSession)) continue;
    const refusal = parkedRefusal(agent);
    for (const ask of k.asks.take(envelopeId)) answerAsk(k, ask, asOutcome(refusal), refusal);
  }
}

/** These rights are gone: nobody waits any more for what was sent under them. */
export function refuseWaitsUnder(k: KernelState, ids: ReadonlySet<string>): void {
  unfoldAll(k);
  for (const { envelopeId, toSession } of k.asks.awaitedEnvelopes()) {
    const via = viaOf(k, envelopeId, toSession);
    if (via === undefined || !ids.has(via)) continue;
    const refusal: Refusal = {
      code: "CLOISTER_CAPABILITY_REVOKED",
      message: `the right to ask ${toSession} ended while the answer was awaited: the pairing ${via} is no longer in force`,
    };
    for (const ask of k.asks.take(envelopeId)) answerAsk(k, ask, asOutcome(refusal), refusal);
  }
}

/** Of an envelope in memory. One that waits on the disk alone is refused when its turn comes, and its asker hears it then. */
function viaOf(k: KernelState, envelopeId: string, toSession: string): string | undefined {
  const stored = k.mail.get(envelopeId);
  if (stored !== undefined) return stored.envelope.header.via;
  const target = k.runs.get(toSession) ?? k.agents.get(agentOfKey(toSession) ?? "");
  for (const { mail } of target?.turns.values() ?? [])
    if (mail.envelope.header.id === envelopeId) return mail.envelope.header.via;
  return undefined;
}

function parkedRefusal(agent: AgentEntry): Refusal {
  return {
    code: "CLOISTER_AGENT_PARKED",
    message: `the agent ${agent.spec.id} is parked (${agent.reason ?? "it crashed too often"}); the message is kept and will be handled when it is back`,
    remedy: `see why with \`cloister agents list\`, then \`cloister agents start ${agent.spec.id}\``,
  };
}

/** The turn waits from here on: it gives its places to others until the answer comes. */
export function openAsk(
  k: KernelState,
  ticket: Omit<CellTicket, "type" | "stops">,
  envelopeId: string,
  toSession: string,
  nowMs: number,
): void {
  openWait(k, {
    envelopeId,
    fromSession: ticket.fromSession,
    toSession,
    deadlineMs: nowMs + ticket.timeoutMs,
    agentId: ticket.agentId,
    incarnation: ticket.incarnation,
    ref: ticket.ref,
    turn: ticket.turn,
    openedAtMs: nowMs,
    call: ticket.call,
    isFollowed: ticket.isFollowed,
  });
  k.emit({ type: "flow", envelopeId, fromSession: ticket.fromSession, toSession, state: "open" });
  const agent = k.agents.get(ticket.agentId);
  const turn = agent?.turns.get(ticket.turn);
  if (agent === undefined || turn === undefined) return;
  givePlaceBack(k, turn);
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
}

/** A turn that waited goes on at once, also when the lane is full by now: it was admitted before. */
export function takePlaceAgain(k: KernelState, turn: Turn): void {
  if (turn.stage !== "delivered" || turn.mail.volatile || turn.holdsPlace || isWaiting(k, turn)) return;
  const agent = k.agents.get(turn.agentId);
  if (agent?.run !== undefined) {
    takeRunPlaceAgain(k, agent);
    return;
  }
  const lane = stateOf(k, laneOf(turn.mail.envelope.header));
  if (lane === undefined || agent === undefined) return;
  turn.holdsPlace = true;
  takePlace(lane, agent);
}

export function givePlaceBack(k: KernelState, turn: Turn): void {
  const agent = k.agents.get(turn.agentId);
  if (agent?.run !== undefined) giveRunPlaceBack(k, agent);
  if (!turn.holdsPlace || agent === undefined) return;
  turn.holdsPlace = false;
  const lane = stateOf(k, laneOf(turn.mail.envelope.header));
  if (lane !== undefined) freePlace(k, lane, agent);
}

/** Gives the answer to whoever waits for the envelope, once. `isStored`: a repeated ask finds it in the `done` marker. */
export function answer(k: KernelState, envelopeId: string, outcome: Outcome, isStored = false): void {
  for (const ask of k.asks.take(envelopeId)) answerAsk(k, ask, outcome, undefined, isStored);
}

/** Whoever waits for this place in a mailbox is told why it does not get one. */
export function refuseWaitForPlace(k: KernelState, place: string, refusal: Refusal): void {
  for (const ask of k.asks.take(place)) answerAsk(k, ask, asOutcome(refusal), refusal);
}

/** The turn is over, so nothing waits any more; what it asked for goes on. */
export function dropAsks(k: KernelState, turn: Turn, refusal: Refusal): void {
  unfoldAskedBy(k, turn);
  for (const ask of k.asks.takeOfTurn(turn.number)) answerAsk(k, ask, asOutcome(refusal), refusal);
}

/** Asks whose deadline has passed settle as timeouts; the work that they asked for goes on. */
export function expireAsks(k: KernelState, nowMs: number): void {
  unfoldDue(k, nowMs);
  for (const ask of k.asks.expired(nowMs)) {
    if (ask.isForPlace === true) {
      const refusal = noPlaceInTime(ask.toSession, ask.deadlineMs - ask.openedAtMs);
      answerAsk(k, ask, asOutcome(refusal), refusal);
      continue;
    }
    answerAsk(k, ask, {
      status: "error",
      code: "CLOISTER_ASK_TIMEOUT",
      message: `no answer from ${ask.toSession} within ${(ask.deadlineMs - ask.openedAtMs) / 1000} s; its run goes on`,
    });
  }
}

function answerAsk(k: KernelState, ask: Ask, outcome: Outcome, refusal?: Refusal, isStored = false): void {
  const turn = k.agents.get(ask.agentId)?.turns.get(ask.turn);
  if (turn !== undefined) takePlaceAgain(k, turn);
  if (ask.waited !== undefined) {
    k.runWaits.delete(ask.envelopeId);
    k.emit({ type: "runs-waited", call: ask.waited });
    return;
  }
  if (ask.isForPlace === true) {
    // Nothing was sent: there is no run to speak of, and nobody's answer that did not come.
    endWait(k, agentOfKey(ask.toSession) ?? "", ask);
    respond(k, ask, outcome, refusal);
    return;
  }
  respond(k, ask, outcome, refusal, { runId: ask.envelopeId, sessionKey: ask.toSession }, isStored);
  k.emit({
    type: "flow",
    envelopeId: ask.envelopeId,
    fromSession: ask.fromSession,
    toSession: ask.toSession,
    state: outcome.status === "error" ? (outcome.code === "CLOISTER_ASK_TIMEOUT" ? "timeout" : "error") : "ok",
  });
}

/** How the envelope ended that a repeated call had sent before; `isStored` as the `done` marker has it. */
export function recalled(k: KernelState, caller: Caller, outcome: Outcome, about: About, isStored: boolean): void {
  respond(k, caller, outcome, undefined, about, isStored);
}

/** The envelope that a repeated call had sent before is not done, and not in memory: it waits on the disk. */
export function stillOpen(k: KernelState, effect: Extract<Effect, { type: "recall" }>, nowMs: number): void {
  const { ask, envelopeId, agentId, sessionKey } = effect;
  const agent = cellOf(k, ask.agentId, ask.incarnation);
  if (agent === undefined) return;
  const refusal = whyNotWait(k, agent, ask, { agentId, sessionKey });
  if (refusal === undefined) openAsk(k, ask, envelopeId, sessionKey, nowMs);
  else respond(k, ask, asOutcome(refusal), refusal, { runId: envelopeId, sessionKey });
}

/**
 * The one answer of a send or ask: plain for `ctx.request`, the tool's result object for a session tool. What the store has
 * already (`isStored`) is heard at once; anything else is recorded first, so that a repeated turn hears it again.
 */
function respond(
  k: KernelState,
  caller: Caller,
  outcome: Outcome,
  refusal?: Refusal,
  about?: About,
  isStored = false,
): void {
  const agent = cellOf(k, caller.agentId, caller.incarnation);
  // A cell that is about to end hears nothing: the turn is delivered again, and hears then what became of its call.
  if (agent === undefined || agent.phase === "stopping") return;
  const { ref, call } = caller;
  const turn = agent.turns.get(caller.turn);
  const result =
    call?.op === "tool"
      ? toolResult({ ...about, ...sendResult(outcome, refusal, caller.isFollowed) })
      : outcome.status !== "error"
        ? ([1, outcome.status, outcome.status === "ok" ? outcome.text : ""] as const)
        : ([0, JSON.stringify(refusal ?? refusalOf(outcome)), ""] as const);
  if (isStored || call === undefined || turn === undefined) {
    if (call !== undefined && turn !== undefined) noteAnswer(k, turn, call, result);
    hearNow(k, agent, turn, ref, call, result);
  } else hear(k, agent, turn, ref, call, result);
}

/** A repeated call finds the envelope that it sent: there is nothing to record. */
function respondAccepted(k: KernelState, caller: Caller, about: About): void {
  const agent = cellOf(k, caller.agentId, caller.incarnation);
  if (agent === undefined) return;
  hearNow(
    k,
    agent,
    agent.turns.get(caller.turn),
    caller.ref,
    caller.call,
    toolResult(acceptedResult(about, caller.isFollowed)),
  );
}

function toolResult(result: object): StepResult {
  return [1, "ok", JSON.stringify(result)];
}

function refusalOf({ code, message }: Failure): Refusal {
  return { code: isErrorCode(code) ? code : "CLOISTER_INTERNAL", message };
}

function asOutcome(refusal: Refusal): Outcome {
  return { status: "error", code: refusal.code, message: refusal.message };
}

/** The agent, if the cell that the caller spoke from still lives. */
function cellOf(k: KernelState, agentId: string, incarnation: number): AgentEntry | undefined {
  const agent = k.agents.get(agentId);
  return agent !== undefined && agent.incarnation === incarnation && hasCell(agent) ? agent : undefined;
}
