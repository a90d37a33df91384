/**
 * What becomes of a message of a person that comes while others of its session wait, or while one is handled: the queue policies
 * that were set (`queues.ts`). Nothing is dropped without a trace: what is becomes a dead letter, and its sender hears it.
 *
 * Before that, words to which more may belong are held: what the same sender says next in the same chat goes with them, as one turn,
 * when it was quiet for so long as their header says. Whatever else comes to the session ends the wait. Source: behaviour §1.8, §5.1.
 */
import { isOfSameWriter, queueModeOf } from "./company.ts";
import { markReady, pump } from "./dispatch.ts";
import type { EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { QueueMode, QueuePolicy } from "./queues.ts";
import type { AgentEntry, KernelState, Mail, SessionLane } from "./state.ts";
import { stopTurn } from "./stops.ts";
import { endDropped } from "./turns.ts";

/** Policies are for what people say: mail between agents, hooks and timers each have a turn of their own. So has a message that chooses something for its turn. */
function policyFor(k: KernelState, header: EnvelopeHeader): QueuePolicy | undefined {
  return isSaid(header) ? k.settings.queueOf(header) : undefined;
}

export function modeFor(k: KernelState, header: EnvelopeHeader): QueueMode | undefined {
  return isSaid(header) ? queueModeOf(k, header) : undefined;
}

function isSaid({ from, signal, exchange, choices }: EnvelopeHeader): boolean {
  const isOfPerson = from.type === "channel" || from.type === "operator";
  return isOfPerson && signal === undefined && exchange === undefined && choices === undefined;
}

/** Mail that has just been stored. False: it is over already, and does not enter the lane. */
export function arrive(k: KernelState, agent: AgentEntry, lane: SessionLane, mail: Mail, nowMs: number): boolean {
  hold(k, agent, lane, mail, nowMs);
  const policy = policyFor(k, mail.envelope.header);
  if (policy === undefined) return true;
  const { mode, cap, drop, debounceMs } = policy;
  // What is held still is the beginning of this message.
  const waiting = lane.queue.filter((other) => other.mode !== undefined && !other.shortened && !other.held);
  if (mode === "interrupt") interrupt(k, agent, lane, waiting, nowMs);
  else if (waiting.length >= cap) {
    const [oldest] = waiting;
    if (drop === "new") {
      endDropped(k, agent, mail, `${waiting.length} messages wait in the session, its cap is ${cap} (drop new)`);
      return false;
    }
    if (drop === "summarize" && oldest !== undefined) oldest.shortened = true;
    else
      for (const other of waiting.slice(0, waiting.length - cap + 1))
        remove(k, agent, lane, other, `newer messages came, and the session's cap is ${cap} (drop old)`);
  }
  const isAlone = lane.running === undefined && lane.queue.length === 0;
  if (mode === "collect" && !isAlone && waiting.length + 1 < cap) {
    lane.quietAtMs = Math.max(nowMs + debounceMs, mail.held ? (lane.quietAtMs ?? 0) : 0);
    k.quiet.set(lane, agent);
  } else if (!mail.held) endQuiet(k, lane);
  return true;
}

/** One sender's words at the end of the lane are held at a time; any other mail lets them go. */
function hold(k: KernelState, agent: AgentEntry, lane: SessionLane, mail: Mail, nowMs: number): void {
  const { holdMs = 0 } = mail.envelope.header;
  const held = lane.queue.filter((other) => other.held);
  const [first] = held;
  const { heldMsMax, takenPerTurnMax } = k.settings.limits;
  mail.goesOn = first !== undefined && holdMs > 0 && isOfSameWriter(first, mail) && held.length < takenPerTurnMax;
  if (!mail.goesOn) letGo(held);
  mail.held = holdMs > 0;
  if (mail.held) {
    const sinceMs = mail.goesOn ? (first?.atMs ?? nowMs) : nowMs;
    lane.quietAtMs = Math.min(nowMs + holdMs, sinceMs + heldMsMax);
    k.quiet.set(lane, agent);
  } else if (first !== undefined) endQuiet(k, lane);
}

function letGo(mails: readonly Mail[]): void {
  for (const mail of mails) mail.held = false;
}

function interrupt(
  k: KernelState,
  agent: AgentEntry,
  lane: SessionLane,
  waiting: readonly Mail[],
  nowMs: number,
): void {
  for (const other of waiting) remove(k, agent, lane, other, "a newer message took its place (queue mode interrupt)");
  const { running } = lane;
  if (running === undefined || running.mail.mode === undefined || running.mail.aborted) return;
  if (running.stage === "beginning" || running.stage === "delivered") stopTurn(k, agent, running, interrupted, nowMs);
}

const interrupted: Refusal = {
  code: "CLOISTER_ASK_ABORTED",
  message: "the run was stopped: a newer message took its place (queue mode interrupt)",
};

function remove(k: KernelState, agent: AgentEntry, lane: SessionLane, mail: Mail, reason: string): void {
  lane.queue.splice(lane.queue.indexOf(mail), 1);
  endDropped(k, agent, mail, reason);
}

/** It was quiet for long enough: what was collected may begin. */
export function endQuiets(k: KernelState, nowMs: number): void {
  for (const [lane, agent] of k.quiet) {
    if (lane.quietAtMs !== undefined && nowMs < lane.quietAtMs) continue;
    endQuiet(k, lane);
    if (agent.disabled !== undefined || lane.queue.length === 0) continue;
    markReady(agent, lane);
    pump(k, agent, nowMs);
  }
}

function endQuiet(k: KernelState, lane: SessionLane): void {
  letGo(lane.queue);
  lane.quietAtMs = undefined;
  k.quiet.delete(lane);
}
