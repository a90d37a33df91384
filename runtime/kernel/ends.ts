/**
 * Between the decision that a cell ends and its end lies what its thread or process still computes: a collection of a full heap
 * takes more than a second. Nobody waits for that. From the decision on nothing counts that the cell says (`syscalls.ts`), so that
 * whoever waits for what it has in hand is told at once; the envelopes themselves go back to their lanes when it has ended.
 */
import { endCell, hasCell } from "./dispatch.ts";
import type { Outcome } from "./envelope.ts";
import { unfoldOf } from "./questions.ts";
import type { AgentEntry, ExitReason, KernelState } from "./state.ts";
import { aborted } from "./turns.ts";
import { answer } from "./waits.ts";

/** It was decided outside, where the cell is watched; its end follows (`cells.ts`: `cellExit`). */
export function cellEnding(k: KernelState, agentId: string, incarnation: number, reason: ExitReason): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !hasCell(agent) || agent.phase === "stopping") return;
  agent.phase = "stopping";
  giveUp(k, agent, reason);
  k.emit({ type: "agent-changed", agentId });
}

/** Ends a cell that may have turns in hand. */
export function endInTurn(k: KernelState, agent: AgentEntry, reason: ExitReason): void {
  endCell(k, agent, reason);
  giveUp(k, agent, reason);
}

function giveUp(k: KernelState, agent: AgentEntry, reason: ExitReason): void {
  unfoldOf(k, agent);
  for (const { stage, mail } of agent.turns.values()) {
    if (stage !== "delivered") continue;
    answer(
      k,
      mail.envelope.header.id,
      mail.aborted ? aborted : lostOutcome(agent, reason, mail.volatile || agent.run !== undefined),
    );
  }
}

/** What whoever waits for a turn hears when the turn's cell ended: one in memory alone or of a run is over, any other is delivered again. */
export function lostOutcome(agent: AgentEntry, reason: ExitReason, isOver: boolean): Outcome {
  const why = endedWhy(agent, reason);
  return {
    status: "error",
    code: "CLOISTER_AGENT_CRASHED",
    message: isOver ? why : `${why} before it answered; the message is kept and will be delivered again`,
  };
}

export function endedWhy({ spec }: AgentEntry, reason: ExitReason): string {
  return `the cell of ${spec.id} ended (${reason})`;
}
