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
  const ids = takeBack(k, k.pairings.revoke(id));
  if (ids.length > 0) refuseWaitsUnder(k, new Set(ids));
  return ids;
}

/**
 * The rows of the config have changed: those that are gone end, new ones are granted. What was sent under one that is gone and is
 * with a cell is finished, and who waits for it hears its answer; what waits for its turn is refused when that comes (W-07). An agent
 * that leaves keeps its rights until it has ended.
 */
export function restateRights(k: KernelState): void {
  const { gone, come } = k.pairings.restated();
  for (const pairing of gone)
    if (subjectOf(k, pairing)?.leaving === undefined) takeBack(k, k.pairings.revoke(pairing.id));
  for (const pairing of come) grant(k, pairing);
}

/** The agent is gone, and with it every right that it held and that was derived from one of them. */
export function forgetRights(k: KernelState, { spec }: AgentEntry): void {
  const ids = takeBack(k, k.pairings.forget(`agent:${spec.id}`));
  if (ids.length > 0) refuseWaitsUnder(k, new Set(ids));
}

/** Their slots mean nothing from here on. Gives their ids. */
function takeBack(k: KernelState, revoked: readonly Pairing[]): readonly string[] {
  for (const pairing of revoked) {
    const agent = subjectOf(k, pairing);
    for (const [slot, held] of agent?.slots ?? []) {
      if (agent === undefined || held !== pairing.id) continue;
      agent.slots = new Map([...agent.slots].filter(([number]) => number !== slot));
      if (agent.phase === "starting" || agent.phase === "live") tell(k, agent, [down.slot, 0, 0, slot, "", "[]", ""]);
    }
  }
  return revoked.map((pairing) => pairing.id);
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
