/**
 * A turn: the handling of one envelope, from the store's `begin` to the store's `commit`.
 *
 *   beginning ──begun──► delivered ──done (cell)──► committing ──committed──► ended
 *       │                    └── the cell ends: back to the head of its lane, or a dead letter
 *       └── done before: ended with the recorded outcome
 */
import type { Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { doneBits, down } from "./frames.ts";
import { markReady, pump, pumpWanting } from "./dispatch.ts";
import { release } from "./admit.ts";
import type { AgentEntry, KernelState, Mail, Turn } from "./state.ts";
import { answer } from "./waits.ts";

export type Begun =
  | { readonly status: "begun"; readonly attempt: number; readonly sessionId: string; readonly state: string | null }
  | { readonly status: "done"; readonly outcomeText: string | null }
  | { readonly status: "failed"; readonly refusal: Refusal };

export function begun(k: KernelState, agentId: string, turnNumber: number, result: Begun, nowMs: number): void {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(turnNumber);
  if (agent === undefined || turn === undefined || turn.stage !== "beginning") return;
  const { header, body } = turn.mail.envelope;
  if (result.status === "done") {
    endTurn(k, agent, turn, result.outcomeText === null ? { status: "no_reply" } : { status: "ok", text: result.outcomeText }, nowMs);
    return;
  }
  if (result.status === "failed") {
    // Nothing is lost: the envelope stays in the journal and is found at the next start.
    endTurn(k, agent, turn, { status: "error", code: result.refusal.code, message: result.refusal.message }, nowMs);
    return;
  }
  if (turn.incarnation !== agent.incarnation || agent.phase !== "live") {
    putBack(k, agent, turn, nowMs);
    return;
  }
  turn.attempt = result.attempt;
  if (result.attempt > k.settings.limits.deliveryAttemptsMax) {
    const reason = `it was delivered ${result.attempt - 1} times and ended its cell each time`;
    k.emit({ type: "bury", header, fate: "poison", reason });
    endTurn(k, agent, turn, { status: "error", code: "CLOISTER_MAILBOX_POISON", message: `the message was set aside as a dead letter: ${reason}` }, nowMs);
    return;
  }
  if (!turn.mail.volatile && !viaStillHeld(k, header.via)) {
    k.emit({ type: "bury", header, fate: "refused", reason: `the pairing ${header.via} was revoked before delivery` });
    endTurn(k, agent, turn, { status: "error", code: "CLOISTER_CAPABILITY_REVOKED", message: "the right to send this message was revoked before it was handled" }, nowMs);
    return;
  }
  turn.stage = "delivered";
  agent.lastActivityMs = nowMs;
  const hasState = result.state !== null;
  keepSession(k, agent, header.sessionKey);
  k.emit({ type: "post", agentId, incarnation: agent.incarnation, record: [down.deliver, hasState ? 1 : 0, turn.number, turn.attempt, JSON.stringify(header), body, result.state ?? ""] });
  k.emit({ type: "started", header });
  k.emit({ type: "agent-changed", agentId });
}

/** Pairings of ingress principals (`door:…`) are not rows of the registry. */
function viaStillHeld(k: KernelState, via: string): boolean {
  return via.startsWith("door:") || k.pairings.isLive(via);
}

/** The cell says that the turn is over. */
export function cellDone(k: KernelState, agent: AgentEntry, turn: Turn, bits: number, text: string, state: string, nowMs: number): void {
  const { limits } = k.settings;
  const { header } = turn.mail.envelope;
  let outcome: Outcome = (bits & doneBits.error) !== 0 ? { status: "error", code: "CLOISTER_AGENT_FAILED", message: text } : (bits & doneBits.reply) !== 0 ? { status: "ok", text } : { status: "no_reply" };
  let newState = (bits & doneBits.state) !== 0 && outcome.status !== "error" ? state : undefined;
  if (outcome.status === "ok" && text.length > limits.bodyCharsMax) {
    outcome = { status: "error", code: "CLOISTER_MESSAGE_TOO_LARGE", message: `the answer has ${text.length} characters; the bound is ${limits.bodyCharsMax}` };
  }
  if (newState !== undefined && newState.length > limits.stateCharsMax) {
    outcome = { status: "error", code: "CLOISTER_MESSAGE_TOO_LARGE", message: `the state of ${header.sessionKey} has ${newState.length} characters; the bound is ${limits.stateCharsMax}` };
    newState = undefined;
  }
  if (turn.mail.aborted) outcome = { status: "error", code: "CLOISTER_ASK_ABORTED", message: "the run was stopped" };
  // A failed turn keeps what the session had before; the cell must not go on with what it changed.
  if (outcome.status === "error") forgetSession(k, agent, header.sessionKey);
  if (turn.mail.volatile) {
    endTurn(k, agent, turn, outcome, nowMs);
    return;
  }
  turn.stage = "committing";
  turn.outcome = outcome;
  const reply = outcome.status === "ok" ? [{ role: "assistant" as const, text: outcome.text }] : [];
  k.emit({
    type: "commit",
    agentId: agent.spec.id,
    turn: turn.number,
    header,
    rows: [...turn.tools.map((tool) => ({ role: "toolResult" as const, ...tool })), ...reply],
    state: newState,
    outcomeText: outcome.status === "ok" ? outcome.text : null,
    outbound: outcome.status === "ok" && header.replyRoute.type === "channel" ? header.replyRoute : undefined,
  });
}

export function committed(k: KernelState, agentId: string, turnNumber: number, result: { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal }, nowMs: number): void {
  const agent = k.agents.get(agentId);
  const turn = agent?.turns.get(turnNumber);
  if (agent === undefined || turn?.outcome === undefined) return;
  const { header } = turn.mail.envelope;
  if (!result.ok) {
    forgetSession(k, agent, header.sessionKey);
    endTurn(k, agent, turn, { status: "error", code: result.refusal.code, message: result.refusal.message }, nowMs);
    return;
  }
  if (turn.outcome.status === "ok" && header.replyRoute.type === "channel") {
    k.emit({ type: "outbound", header, route: header.replyRoute, text: turn.outcome.text });
  } else {
    k.emit({ type: "settle", envelopeId: header.id });
  }
  endTurn(k, agent, turn, turn.outcome, nowMs);
}

/** Frees the turn's places and tells everybody who waits. */
export function endTurn(k: KernelState, agent: AgentEntry, turn: Turn, outcome: Outcome, nowMs: number): void {
  agent.turns.delete(turn.number);
  agent.lastActivityMs = nowMs;
  if (!turn.mail.volatile) freePlaces(k, agent, turn);
  endMail(k, agent, turn.mail, turn.streamSeq + 1, outcome);
  // Others that want a place first, then the agent's own next turn: that is the fairness between agents.
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
}

/** The one way in which mail ends: out of the books, and whoever waits for it hears the outcome once. */
export function endMail(k: KernelState, agent: AgentEntry, mail: Mail, seq: number, outcome: Outcome): void {
  const { header } = mail.envelope;
  if (!mail.volatile) {
    k.mail.delete(header.id);
    release(k, agent.spec.id);
  }
  answer(k, header.id, outcome);
  k.emit({ type: "ended", header, seq, outcome, aborted: mail.aborted });
  k.emit({ type: "agent-changed", agentId: agent.spec.id });
}

/** Back to the head of its lane, for the next incarnation. */
export function putBack(k: KernelState, agent: AgentEntry, turn: Turn, nowMs: number): void {
  agent.turns.delete(turn.number);
  if (turn.mail.volatile) return;
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  lane?.queue.unshift(turn.mail);
  freePlaces(k, agent, turn);
  pumpWanting(k, nowMs);
}

function freePlaces(k: KernelState, agent: AgentEntry, turn: Turn): void {
  if (turn.holdsPlace) {
    turn.holdsPlace = false;
    k.mainRunning--;
  }
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  if (lane?.running !== turn) return;
  lane.running = undefined;
  if (lane.queue.length === 0) agent.lanes.delete(lane.key);
  else markReady(agent, lane);
}

/** Remembers that the cell has the session's state, and drops the one that it used longest ago when there are too many. */
function keepSession(k: KernelState, agent: AgentEntry, sessionKey: string): void {
  agent.loaded.delete(sessionKey);
  agent.loaded.add(sessionKey);
  if (agent.loaded.size <= k.settings.limits.sessionsPerCellMax) return;
  for (const oldest of agent.loaded) {
    if (agent.lanes.get(oldest)?.running !== undefined) continue;
    forgetSession(k, agent, oldest);
    return;
  }
}

function forgetSession(k: KernelState, agent: AgentEntry, sessionKey: string): void {
  agent.loaded.delete(sessionKey);
  k.emit({ type: "post", agentId: agent.spec.id, incarnation: agent.incarnation, record: [down.forget, 0, 0, 0, sessionKey, "", ""] });
}
