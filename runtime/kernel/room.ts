/**
 * What happens when places in a mailbox become free: senders that wait get theirs, and a backlog on the disk moves up.
 */
import { admit, buryLeft, enqueue } from "./admit.ts";
import { leaveCrowd } from "./crowd.ts";
import { policyOf, reserve, whyNoRoom } from "./depth.ts";
import type { EnvelopeHeader } from "./envelope.ts";
import { sendAs } from "./sends.ts";
import { closeSpill, isStopped } from "./spill.ts";
import type { AgentEntry, KernelState, Waiting } from "./state.ts";
import { takePlaceAgain } from "./waits.ts";

/** Called at the end of every event that may have freed a place. */
export function useRoom(k: KernelState, nowMs: number): void {
  for (const agent of k.roomy) {
    k.roomy.delete(agent);
    seatCrowd(k, agent, nowMs);
    readBacklog(k, agent, nowMs);
  }
}

/** In order of arrival, except that a session without a place does not hold up the others. */
function seatCrowd(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const full = new Set<string>();
  for (const waiting of agent.crowd ?? []) {
    const { sessionKey } = waiting;
    // A disabled agent refuses everybody; that takes no place.
    if (agent.disabled === undefined) {
      if (agent.depth >= policyOf(k, agent).depthMax) return;
      if (full.has(sessionKey) || whyNoRoom(k, agent, sessionKey) !== undefined) {
        full.add(sessionKey);
        continue;
      }
    }
    leaveCrowd(k, agent, waiting);
    if (waiting.type === "ingress") admit(k, waiting.admission, waiting.ticket, nowMs, true);
    else sendNow(k, waiting, nowMs);
  }
}

function sendNow(k: KernelState, waiting: Extract<Waiting, { type: "cell" }>, nowMs: number): void {
  k.asks.take(waiting.place);
  const agent = k.agents.get(waiting.agentId);
  const turn = agent?.turns.get(waiting.turn);
  if (agent === undefined || turn === undefined) return;
  takePlaceAgain(k, turn);
  sendAs(k, agent, turn, waiting.request, nowMs, true);
}

function readBacklog(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const { spill } = agent;
  if (spill === undefined || spill.isReading || nowMs < spill.notBeforeMs) return;
  const { depthMax } = policyOf(k, agent);
  const held = agent.depth - agent.appending;
  if (held > Math.floor(depthMax / 2)) return;
  spill.isReading = true;
  const limit = Math.min(k.settings.limits.refillRowsMax, depthMax - held);
  k.emit({ type: "refill", agentId: agent.spec.id, after: spill.after, until: spill.until, limit });
}

export interface Refill {
  readonly agentId: string;
  readonly until: number;
  readonly limit: number;
}

/** `rows` as the store's `queued` gives them; undefined when it failed. */
export function refilled(
  k: KernelState,
  { agentId, until, limit }: Refill,
  rows: readonly { readonly seq: number; readonly header: EnvelopeHeader; readonly attempts: number }[] | undefined,
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  const spill = agent?.spill;
  if (agent === undefined || spill === undefined) return;
  spill.isReading = false;
  if (rows === undefined) {
    spill.notBeforeMs = nowMs + k.settings.limits.refillRetryMs;
    // A stop may have emptied it meanwhile.
    closeSpill(agent, spill);
    return;
  }
  spill.after = rows.length < limit ? until : (rows.at(-1)?.seq ?? until);
  for (const { header, attempts, seq } of rows) {
    if (spill.gone.delete(header.id)) continue;
    // Of a sub-agent's session: a run that lives has its mail in memory, and none of before this process lives.
    if (k.settings.isRunKey(header.sessionKey)) {
      if (k.mail.has(header.id)) continue;
      spill.count--;
      buryLeft(k, header);
      continue;
    }
    const stopped = isStopped(spill, header, seq);
    if (stopped && spill.drops > 0) spill.gone.add(header.id);
    spill.count--;
    k.emit({ type: "unspilled", header });
    reserve(agent, header.sessionKey);
    enqueue(k, agent, header, attempts, nowMs, stopped ? "stopped" : "known");
  }
  closeSpill(agent, spill);
  k.roomy.add(agent);
}
