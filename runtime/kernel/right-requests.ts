/**
 * A send that fails for want of a right may be put to the operator (`tools.agentToAgent.requests`, ADR 0024). The driver keeps the
 * message with a request and says what the caller is told; the call is refused either way, and its answer is on record as any
 * other. What is approved comes back through `admit`, under the right that it then has.
 */
import { agentOfKey } from "./agent-of-key.ts";
import { hasCell } from "./dispatch.ts";
import type { Refusal } from "./errors.ts";
import { postRefusal } from "./posts.ts";
import { isClamped, refuse } from "./refusals.ts";
import type { AgentEntry, Effect, KernelState, Turn } from "./state.ts";
import type { CallId } from "./steps.ts";

type AskRight = Extract<Effect, { type: "ask-right" }>;

/** False: there is nothing to ask an operator for, so the refusal stands as it is. */
export function askForRight(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  {
    ref,
    call,
    sessionKey,
    verb,
    body,
  }: Pick<AskRight, "ref" | "sessionKey" | "verb" | "body"> & { readonly call: CallId },
  refusal: Refusal,
): boolean {
  const { header } = turn.mail.envelope;
  const target = agentOfKey(sessionKey) ?? "";
  const isAskable =
    k.settings.asksForRights &&
    refusal.code === "CLOISTER_CAPABILITY_DENIED" &&
    !turn.mail.volatile &&
    target !== agent.spec.id &&
    k.agents.has(target) &&
    // What a sandbox clamps, no right opens; what is held through another slot need not be granted.
    !isClamped(agent, header.sessionKey) &&
    k.pairings.find(`agent:${agent.spec.id}`, verb, `agent:${target}`) === undefined &&
    agent.openCalls.size < k.settings.limits.callsPerCellMax;
  if (!isAskable) return false;
  agent.openCalls.add(ref);
  const { incarnation } = agent;
  const { number } = turn;
  k.emit({
    type: "ask-right",
    agentId: agent.spec.id,
    incarnation,
    ref,
    turn: number,
    header,
    call,
    verb,
    sessionKey,
    body,
    refusal,
  });
  return true;
}

/** The driver has kept the message, or not: the call is refused with what it says. */
export function rightAsked(k: KernelState, effect: AskRight, refusal: Refusal): void {
  const { ref, incarnation, call, sessionKey } = effect;
  const agent = k.agents.get(effect.agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !hasCell(agent)) return;
  agent.openCalls.delete(ref);
  const turn = agent.turns.get(effect.turn);
  if (turn === undefined) postRefusal(k, agent.spec.id, incarnation, ref, refusal);
  else refuse(k, agent, turn, { ref, a: sessionKey }, refusal, call);
}
