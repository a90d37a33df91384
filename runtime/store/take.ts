/** What a turn handles beside its own envelope (`Store.take`): counted, recorded, read. */
import type { TakeItem, TurnTake } from "../kernel/gather.ts";
import type { AgentStore } from "./agent-store.ts";
import { type Blobs, charsOf } from "./blobs.ts";
import type { Journal } from "./journal.ts";
import { unknownEnvelope } from "./unknown-envelope.ts";

export async function takeEnvelopes(
  { envelopeId, agentId, key, name, items }: TurnTake,
  agent: AgentStore,
  journal: Journal,
  blobs: Blobs,
  charsMax: number,
): Promise<readonly { readonly id: string; readonly body: string }[]> {
  if (!journal.has(envelopeId) || agent.done(envelopeId) !== undefined)
    throw unknownEnvelope("take mail into the turn of", envelopeId);
  const kept: TakeItem[] = [];
  let chars = 0;
  for (const item of items) {
    const [id] = item;
    const envelope = journal.find(id);
    if (envelope === undefined || agent.done(id) !== undefined) continue;
    chars += charsOf(envelope.body);
    if (chars > charsMax && kept.length > 0) break;
    kept.push(item);
  }
  await Promise.all(kept.map(([id]) => journal.countDelivery(id)));
  await agent.recordSteps(envelopeId, [{ key, op: "take", name, result: [1, "ok", JSON.stringify(kept)] }]);
  const read = kept.map(async ([id]) => ({ id, body: await blobs.read(agentId, journal.find(id)?.body ?? "") }));
  return Promise.all(read);
}
