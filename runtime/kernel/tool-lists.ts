/**
 * `ctx.tools.list`: which tools a turn is told of. Which tools the cell holds a right to is in its slots; which of them the messages leave, and
 * their texts, the policy says. Where another program tells its tools, the answer waits until that has been asked:
 *
 *   asked ──known──► heard
 *     └── "list-tools" ──► `toolsReady` ──► heard, with what is known by then
 */
import { hasCell } from "./dispatch.ts";
import type { Refusal } from "./errors.ts";
import type { UpRecord } from "./frames.ts";
import type { Pairing } from "./pairings.ts";
import { postRefusal } from "./posts.ts";
import { refuse } from "./refusals.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./sends.ts";
import type { JudgedTurn } from "./settings.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { answerFromSteps, type CallId, hear, whyNoMoreSteps } from "./steps.ts";

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

export function listTools(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  if (!isCallNumber(k, record.num)) {
    refuse(k, agent, turn, record, noCallNumber(k, String(record.num)));
    return;
  }
  const call: CallId = { key: record.num, op: "tools", name: "list" };
  if (answerFromSteps(k, agent, turn, record.ref, call)) return;
  const { ref } = record;
  const wrong = turn.mail.volatile ? undefined : whyNoMoreSteps(k, turn);
  if (wrong !== undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, ref, wrong);
    return;
  }
  const specs = k.settings.describeTools(judgedTurn(turn), heldBy(k, agent), false);
  if (specs !== undefined) {
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

function tell(k: KernelState, agent: AgentEntry, turn: Turn, ref: number, call: CallId, specs: string | Refusal): void {
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
