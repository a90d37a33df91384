/**
 * `ctx.tools.list`: which tools a turn is told of. Which tools the cell holds a right to is in its slots; which of them the messages leave, and
 * their texts, the policy says. Where another program tells its tools, the answer waits until that has been asked:
 *
 *   asked ──known──► heard
 *     └── "list-tools" ──► `toolsReady` ──► heard, with what is known by then
 *
 * Where the turn before asked for it before all else, the list comes with the delivery, so that the cell need not ask (ADR 0083):
 *
 *   offered ──taken as the answer of call 0──► on record as if it had been asked for
 *     ├──never taken──► the next turn is offered none
 *     └──the cell ends──► the next delivery is offered the same
 */
import { hasCell } from "./dispatch.ts";
import type { Refusal } from "./errors.ts";
import { down, type UpRecord } from "./frames.ts";
import type { Pairing } from "./pairings.ts";
import { postRefusal } from "./posts.ts";
import { refuse } from "./refusals.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./call-slots.ts";
import type { JudgedTurn } from "./settings.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { answerFromSteps, type CallId, hear, heardLate, whyNoMoreSteps } from "./steps.ts";

/** The tools of other programs are wanted, for the list of a turn of this agent; ends with `toolsReady`. */
export interface ListTools {
  readonly type: "list-tools";
  /** Of the cell's entry: an agent, or a sub-agent's run. */
  readonly agentId: string;
  /** The agent as which it works. */
  readonly homeId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  readonly call: CallId;
}

/** What is known of a cell and its lists. */
export interface Offers {
  /** Its last turn asked for one before all else, and had it at once. */
  asksFirst: boolean;
  /** The one that it was offered last, which it keeps. */
  known: string | undefined;
}

/** Call it before the delivery is posted. */
export function offerTools(k: KernelState, agent: AgentEntry, turn: Turn): void {
  const { offers } = agent;
  const isFirst = turn.attempt === 1 && turn.mail.offer === undefined;
  if (
    turn.mail.volatile ||
    turn.steps?.has(0) === true ||
    (isFirst ? !offers.asksFirst : turn.mail.offer === undefined)
  )
    return;
  const specs = turn.mail.offer ?? k.settings.describeTools(judgedTurn(turn), heldBy(k, agent), false);
  if (typeof specs !== "string" || specs.length > k.settings.limits.stepCharsMax) return;
  turn.offer = specs;
  const isKnown = specs === offers.known;
  offers.known = specs;
  k.emit({
    type: "post",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    record: [down.tools, 0, turn.number, isKnown ? 1 : 0, isKnown ? "" : specs, "", ""],
  });
}

/** Why the record is not one that a cell writes; undefined: the offer is its answer, and on record. */
function takeOffer(turn: Turn, { num: key }: UpRecord): string | undefined {
  const { offer } = turn;
  if (offer === undefined || key !== 0 || turn.steps?.has(0) === true)
    return `takes a list of tools for call ${key} of turn ${turn.number}, which was offered none for it`;
  turn.offer = undefined;
  turn.mail.offer = undefined;
  turn.told = { key, text: offer };
  heardLate(turn, { key, op: "tools", name: "list", result: [1, "ok", offer] });
  return undefined;
}

/** The turn is over. */
export function endOffer(agent: AgentEntry, turn: Turn): void {
  if (turn.offer !== undefined) agent.offers.asksFirst = false;
}

/** Gives why the record is not one that a cell writes. */
export function listTools(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): string | undefined {
  if (record.ref === 0) return takeOffer(turn, record);
  askTools(k, agent, turn, record);
  return undefined;
}

function askTools(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  if (!isCallNumber(k, record.num)) {
    refuse(k, agent, turn, record, noCallNumber(k, String(record.num)));
    return;
  }
  const call: CallId = { key: record.num, op: "tools", name: "list" };
  if (answerFromSteps(k, agent, turn, record.ref, call)) {
    const [num, , text] = turn.steps?.get(call.key)?.result ?? [];
    if (num === 1) noteTold(turn, call, text);
    return;
  }
  const { ref } = record;
  const wrong = turn.mail.volatile ? undefined : whyNoMoreSteps(k, turn);
  if (wrong !== undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, ref, wrong);
    return;
  }
  const specs = k.settings.describeTools(judgedTurn(turn), heldBy(k, agent), false);
  if (specs !== undefined) {
    if (call.key === 0) agent.offers.asksFirst = true;
    tell(k, agent, turn, ref, call, specs);
    return;
  }
  if (agent.openCalls.size >= k.settings.limits.callsPerCellMax) {
    const message = `${agent.openCalls.size} calls of this cell wait for their answers; the bound is reached`;
    postRefusal(k, agent.spec.id, agent.incarnation, ref, {
      code: "CLOISTER_MAILBOX_FULL",
      message,
      retryAfterMs: 100,
    });
    return;
  }
  agent.openCalls.add(ref);
  const { agentId: homeId } = turn.mail.envelope.header;
  const { incarnation } = agent;
  k.emit({ type: "list-tools", agentId: agent.spec.id, homeId, incarnation, ref, turn: turn.number, call });
}

/** Other programs have told their tools, or have not in time. What the turn handles by now decides, and what its agent holds. */
export function toolsReady(k: KernelState, { agentId, incarnation, ref, turn: number, call }: ListTools): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !hasCell(agent)) return;
  agent.openCalls.delete(ref);
  const turn = agent.turns.get(number);
  if (turn === undefined) return;
  tell(k, agent, turn, ref, call, k.settings.describeTools(judgedTurn(turn), heldBy(k, agent), true) ?? "[]");
}

/** A later request to a model may mean it (`up.model`); answers may come in another order than the calls. */
function noteTold(turn: Turn, { key }: CallId, text = ""): void {
  if (key >= (turn.told?.key ?? 0)) turn.told = { key, text };
}

function tell(k: KernelState, agent: AgentEntry, turn: Turn, ref: number, call: CallId, specs: string | Refusal): void {
  if (typeof specs === "string") noteTold(turn, call, specs);
  hear(k, agent, turn, ref, call, typeof specs === "string" ? [1, "ok", specs] : [0, JSON.stringify(specs), ""]);
}

function heldBy(k: KernelState, agent: AgentEntry): readonly string[] {
  const held = [...agent.slots.keys()].flatMap((slot) => toolsOf(slotPairing(k, agent, slot)));
  return [...new Set(held)].toSorted();
}

/** All that the turn handles: whoever spoke last must not borrow what whoever began may do. */
export function judgedTurn({ mail, taken, choices, answered }: Turn): JudgedTurn {
  return {
    messages: [mail, ...taken].map(({ envelope }) => envelope.header),
    ...(choices?.model === undefined ? {} : { model: choices.model }),
    ...(choices?.elevated === undefined ? {} : { elevated: choices.elevated }),
    ...(answered === undefined ? {} : { answered: [...answered] }),
  };
}

/** Of a pairing that allows tools of the gateway; one with a star stands for tools that other programs tell. */
export function toolsOf(pairing: Pairing | undefined): readonly string[] {
  if (pairing?.object !== "gateway") return [];
  return pairing.verbs.flatMap((verb) => (verb.startsWith("tool:") ? [verb.slice("tool:".length)] : []));
}
