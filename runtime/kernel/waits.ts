/**
 * The sender's side of an envelope that came from a cell: its acknowledgement, its wait, its single answer.
 */
import type { Ask } from "./asks.ts";
import type { EnvelopeHeader, Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { down } from "./frames.ts";
import type { AgentEntry, AppendTicket, KernelState, Turn } from "./state.ts";
import { acceptedResult, sendResult } from "./tool-results.ts";

type CellTicket = Extract<AppendTicket, { type: "cell" }>;

export function refuseSend(k: KernelState, ticket: CellTicket, refusal: Refusal): void {
  returnCredit(k, ticket.agentId, ticket.incarnation);
  respond(k, ticket, { status: "error", code: refusal.code, message: refusal.message }, refusal);
}

/** Refuses a send that was never journaled. */
export function answerRefusal(k: KernelState, agent: AgentEntry, turn: Turn, request: { readonly ref: number; readonly tool: string | undefined; readonly sessionKey: string }, refusal: Refusal): void {
  const caller = { agentId: agent.spec.id, incarnation: agent.incarnation, ref: request.ref, turn: turn.number, tool: request.tool };
  respond(k, caller, { status: "error", code: refusal.code, message: refusal.message }, refusal);
}

interface Caller {
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  readonly tool: string | undefined;
}

/** The one answer of a send or ask: plain for `ctx.request`, the tool's result object for a session tool. */
function respond(k: KernelState, caller: Caller, outcome: Outcome, refusal?: Refusal, about?: { readonly runId: string; readonly sessionKey: string }): void {
  if (caller.tool === undefined) {
    if (refusal !== undefined) postRefusal(k, caller.agentId, caller.incarnation, caller.ref, refusal);
    else postOutcome(k, caller.agentId, caller.incarnation, caller.ref, outcome);
    return;
  }
  const json = JSON.stringify({ ...about, ...sendResult(outcome, refusal) });
  k.agents.get(caller.agentId)?.turns.get(caller.turn)?.tools.push({ toolName: caller.tool, text: json });
  k.emit({ type: "post", agentId: caller.agentId, incarnation: caller.incarnation, record: [down.result, caller.ref, 0, 1, "ok", json, ""] });
}

/** The envelope is stored: the sender gets its credit back and, when it asked, begins to wait. */
export function settleWithMail(k: KernelState, ticket: CellTicket, envelopeId: string, header: EnvelopeHeader, nowMs: number): void {
  returnCredit(k, ticket.agentId, ticket.incarnation);
  k.emit({ type: "post", agentId: ticket.agentId, incarnation: ticket.incarnation, record: [down.stored, ticket.ref, ticket.turn, 0, envelopeId, "", ""] });
  const about = { runId: envelopeId, sessionKey: header.sessionKey };
  if (ticket.timeoutMs === 0) {
    // For `ctx.send` the acknowledgement above is all.
    if (ticket.tool !== undefined) respondAccepted(k, ticket, about);
    return;
  }
  if (ticket.deadlocked) {
    const refusal: Refusal = {
      code: "CLOISTER_ASK_DEADLOCK",
      message: `${header.sessionKey} waits for ${ticket.fromSession}, so waiting for its answer would never end; the message is queued and will be handled`,
      remedy: "send with timeoutSeconds 0 and let the answer come as a message",
    };
    respond(k, ticket, { status: "error", code: refusal.code, message: refusal.message }, refusal, about);
    return;
  }
  if (!k.mail.has(envelopeId) && envelopeId !== header.id) {
    // A repeated call whose first envelope is done already: its outcome is in the store.
    k.emit({ type: "recall", envelopeId, agentId: header.agentId, sessionKey: header.sessionKey, ask: { agentId: ticket.agentId, incarnation: ticket.incarnation, ref: ticket.ref, turn: ticket.turn, tool: ticket.tool } });
    return;
  }
  openAsk(k, ticket, envelopeId, header.sessionKey, nowMs);
}

function respondAccepted(k: KernelState, caller: Caller, about: { readonly runId: string; readonly sessionKey: string }): void {
  const json = JSON.stringify(acceptedResult(about));
  k.agents.get(caller.agentId)?.turns.get(caller.turn)?.tools.push({ toolName: caller.tool ?? "", text: json });
  k.emit({ type: "post", agentId: caller.agentId, incarnation: caller.incarnation, record: [down.result, caller.ref, 0, 1, "ok", json, ""] });
}

/** The recorded outcome of an envelope that a repeated call had sent before. */
export function recalled(k: KernelState, caller: Caller, outcome: Outcome, about: { readonly runId: string; readonly sessionKey: string }): void {
  respond(k, caller, outcome, undefined, about);
}

export function openAsk(k: KernelState, ticket: CellTicket, envelopeId: string, toSession: string, nowMs: number): void {
  k.asks.open({
    envelopeId,
    fromSession: ticket.fromSession,
    toSession,
    deadlineMs: nowMs + ticket.timeoutMs,
    agentId: ticket.agentId,
    incarnation: ticket.incarnation,
    ref: ticket.ref,
    turn: ticket.turn,
    openedAtMs: nowMs,
    tool: ticket.tool,
  });
  const turn = k.agents.get(ticket.agentId)?.turns.get(ticket.turn);
  if (turn?.holdsPlace === true) {
    turn.holdsPlace = false;
    k.mainRunning--;
  }
  k.emit({ type: "flow", envelopeId, fromSession: ticket.fromSession, toSession, state: "open" });
}

/** Gives the answer to whoever waits for the envelope, once. */
export function answer(k: KernelState, envelopeId: string, outcome: Outcome): void {
  const ask = k.asks.take(envelopeId);
  if (ask !== undefined) answerAsk(k, ask, outcome);
}

export function answerAsk(k: KernelState, ask: Ask, outcome: Outcome): void {
  const turn = k.agents.get(ask.agentId)?.turns.get(ask.turn);
  // The turn goes on at once, also when the lane is full by now: it was admitted before.
  if (turn !== undefined && turn.mail.envelope.header.from.type !== "agent" && !turn.holdsPlace && !turn.mail.volatile && !k.asks.waiting(ask.agentId, ask.incarnation, ask.turn)) {
    turn.holdsPlace = true;
    k.mainRunning++;
  }
  respond(k, ask, outcome, undefined, { runId: ask.envelopeId, sessionKey: ask.toSession });
  k.emit({ type: "flow", envelopeId: ask.envelopeId, fromSession: ask.fromSession, toSession: ask.toSession, state: outcome.status === "error" ? (outcome.code === "CLOISTER_ASK_TIMEOUT" ? "timeout" : "error") : "ok" });
}

export function postOutcome(k: KernelState, agentId: string, incarnation: number, ref: number, outcome: Outcome): void {
  if (outcome.status === "error") {
    postRefusal(k, agentId, incarnation, ref, { code: outcome.code, message: outcome.message } as Refusal);
    return;
  }
  const text = outcome.status === "ok" ? outcome.text : "";
  k.emit({ type: "post", agentId, incarnation, record: [down.result, ref, 0, 1, outcome.status, text, ""] });
}

export function postRefusal(k: KernelState, agentId: string, incarnation: number, ref: number, refusal: Refusal): void {
  k.emit({ type: "post", agentId, incarnation, record: [down.result, ref, 0, 0, JSON.stringify(refusal), "", ""] });
}

function returnCredit(k: KernelState, agentId: string, incarnation: number): void {
  const agent: AgentEntry | undefined = k.agents.get(agentId);
  if (agent !== undefined && agent.incarnation === incarnation && agent.unacked > 0) agent.unacked--;
}

/** Asks whose deadline has passed settle as timeouts; the work that they asked for goes on. */
export function expireAsks(k: KernelState, nowMs: number): readonly Ask[] {
  const over = k.asks.expired(nowMs);
  for (const ask of over) {
    answerAsk(k, ask, { status: "error", code: "CLOISTER_ASK_TIMEOUT", message: `no answer from ${ask.toSession} within ${Math.round((ask.deadlineMs - ask.openedAtMs) / 1000)} s; its run goes on` });
  }
  return over;
}
