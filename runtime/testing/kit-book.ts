/** What is kept of a run of the kit, over all gateways that it has: messages, their turns and what came of them. */
import type { Envelope, Fate } from "../kernel/envelope.ts";
import type { Dedupe, StepRecord, TurnCommit } from "../store/port.ts";
import type { KitSend, KitStep, KitTurn } from "./actor-port.ts";
import type { StoreEvents } from "./watched-store.ts";

export interface KitBook extends StoreEvents {
  /** Of the actor alone, in the order in which they ended. */
  readonly turns: KitTurn[];
  readonly sends: KitSend[];
  /** By session key. */
  readonly states: ReadonlyMap<string, unknown>;
  /** Ids of all messages that were accepted, of any agent, in their order. */
  readonly ids: ReadonlySet<string>;
  turnOfRun(runId: string): KitTurn | undefined;
}

export function makeKitBook(agentId: string): KitBook {
  const turns: KitTurn[] = [];
  const sends: KitSend[] = [];
  const sentBy = new Map<string, KitSend[]>();
  const states = new Map<string, unknown>();
  const envelopes = new Map<string, Envelope>();
  const deliveries = new Map<string, number>();
  const steps = new Map<string, Map<number, KitStep>>();
  const ended = new Set<string>();
  const ids = new Set<string>();

  const end = (envelopeId: string, how: Pick<KitTurn, "status"> & Partial<KitTurn>): void => {
    const envelope = envelopes.get(envelopeId);
    if (envelope === undefined || envelope.header.agentId !== agentId || ended.has(envelopeId)) return;
    ended.add(envelopeId);
    const { header, body } = envelope;
    turns.push({
      id: envelopeId,
      sessionKey: header.sessionKey,
      from: senderOf(envelope),
      text: body,
      deliveries: deliveries.get(envelopeId) ?? 0,
      state: states.get(header.sessionKey),
      sends: sentBy.get(envelopeId) ?? [],
      steps: [...(steps.get(envelopeId)?.values() ?? [])],
      ...how,
    });
  };

  return {
    turns,
    sends,
    states,
    ids,
    turnOfRun: (runId) => turns.find(({ id }) => envelopes.get(id)?.header.runId === runId),
    accepted(envelope: Envelope, dedupe: Dedupe | undefined) {
      const { header, body } = envelope;
      ids.add(header.id);
      envelopes.set(header.id, envelope);
      if (header.from.type !== "agent" || header.from.agentId !== agentId) return;
      const send = { to: header.sessionKey, text: body, verb: header.verb };
      sends.push(send);
      if (dedupe === undefined || !("turn" in dedupe)) return;
      sentBy.set(dedupe.turn, [...(sentBy.get(dedupe.turn) ?? []), send]);
    },
    delivered: (envelopeId, attempt) => void deliveries.set(envelopeId, attempt),
    recorded({ envelopeId, rows }: StepRecord) {
      const known = steps.get(envelopeId) ?? new Map<number, KitStep>();
      steps.set(envelopeId, known);
      for (const { key, op, name, result } of rows) known.set(key, { op, name, ended: result !== undefined });
    },
    committed({ envelopeId, agentId: of, sessionKey, state, outcomeText, failure }: TurnCommit) {
      if (of === agentId && state !== undefined) states.set(sessionKey, JSON.parse(state));
      if (failure !== undefined) end(envelopeId, { status: "failed", failure });
      else if (outcomeText === null) end(envelopeId, { status: "no_reply" });
      else end(envelopeId, { status: "ok", reply: outcomeText });
    },
    buried: (envelopeId: string, fate: Fate, reason: string) =>
      end(envelopeId, { status: "dead_letter", fate, failure: { code: fate, message: reason } }),
  };
}

function senderOf({ header }: Envelope): string {
  if (header.signal !== undefined) return header.signal.type;
  return header.from.type === "agent" ? header.from.agentId : "person";
}
