/**
 * Rights that come and go while the gateway runs. A new one gets a slot in the live cell of its subject; one that ends takes
 * its slot with it, and whoever waits for what was sent under it hears so at once. What is stored and not delivered is refused
 * when its turn comes (`turns.ts`); what a cell has in hand goes on.
 *
 * The number of a slot means one pairing, or nothing any more, as long as its incarnation lives.
 */
import { down, type DownRecord } from "./frames.ts";
import type { Pairing } from "./pairings.ts";
import type { AgentEntry, KernelState } from "./state.ts";
import { refuseWaitsUnder } from "./waits.ts";

export function grant(k: KernelState, pairing: Pairing): void {
  k.pairings.add(pairing);
  const agent = subjectOf(k, pairing);
  if (agent === undefined || (agent.phase !== "starting" && agent.phase !== "live")) return;
  const slot = agent.nextSlot++;
  agent.slots = new Map([...agent.slots, [slot, pairing.id]]);
  tell(k, agent, [down.slot, 0, 0, slot, pairing.object, JSON.stringify(pairing.verbs), ""]);
}

/** Ends the pairing and all that was derived from it. Gives their ids; none when it was not in force. */
export function revoke(k: KernelState, id: string): readonly string[] {
  const revoked = k.pairings.revoke(id);
  for (const pairing of revoked) {
    const agent = subjectOf(k, pairing);
    for (const [slot, held] of agent?.slots ?? []) {
      if (agent === undefined || held !== pairing.id) continue;
      agent.slots = new Map([...agent.slots].filter(([number]) => number !== slot));
      if (agent.phase === "starting" || agent.phase === "live") tell(k, agent, [down.slot, 0, 0, slot, "", "[]", ""]);
    }
  }
  const ids = revoked.map((pairing) => pairing.id);
  if (ids.length > 0) refuseWaitsUnder(k, new Set(ids));
  return ids;
}

/** Call it before anything is judged at this time. */
export function expireRights(k: KernelState, nowMs: number): void {
  for (const { id, subject, object } of k.pairings.expired(nowMs)) {
    if (revoke(k, id).length === 0) continue;
    k.emit({ type: "audit", event: "right-expired", subject, object, decision: "noted", detail: id });
  }
}

/** What the cell was not told before it could hear. Call it when the cell is ready. */
export function tellSlots(k: KernelState, agent: AgentEntry): void {
  const news = agent.slotNews;
  agent.slotNews = [];
  for (const record of news) tell(k, agent, record);
}

function tell(k: KernelState, agent: AgentEntry, record: DownRecord): void {
  if (agent.phase === "starting") agent.slotNews = [...agent.slotNews, record];
  else k.emit({ type: "post", agentId: agent.spec.id, incarnation: agent.incarnation, record });
}

function subjectOf(k: KernelState, { subject }: Pairing): AgentEntry | undefined {
  return k.agents.get(subject.startsWith("agent:") ? subject.slice("agent:".length) : subject);
}
