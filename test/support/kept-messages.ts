/**
 * The operator's side of requests for rights in the kernel's tests: messages that are kept with a request, in the journal's
 * environment, until they are released or refused. Follows `runtime/store/grant-requests.ts`; one message a request.
 */
import type { Envelope, Release } from "../../runtime/kernel/envelope.ts";
import type { Effect } from "../../runtime/kernel/state.ts";
import type { TurnCall } from "../../runtime/store/port.ts";
import { put, remove, type Undo } from "./undoable.ts";

type AskRight = Extract<Effect, { type: "ask-right" }>;

export interface KeptMessages {
  /** Part of a transaction of the journal. */
  keep(effect: AskRight): readonly Undo[];
  /** Takes the message out; undefined when it is gone. */
  take(release: Release): { readonly by: TurnCall; readonly undo: readonly Undo[] } | undefined;
  /** An envelope of the call was journaled: with it goes what was kept of an earlier delivery's. */
  sent(by: TurnCall, envelope: Envelope): readonly Undo[];
  /** The operator denies it: it is a dead letter. */
  refuse(requestId: string): readonly Undo[];
  readonly kept: ReadonlyMap<string, AskRight>;
  readonly refused: ReadonlyMap<string, AskRight>;
  /** Calls that more than one envelope came of, or one that is kept or refused as well. */
  problems(): readonly string[];
}

export function makeKeptMessages(hasSent: (turn: string, key: number) => boolean): KeptMessages {
  const kept = new Map<string, AskRight>();
  const refused = new Map<string, AskRight>();
  const sent = new Map<string, readonly string[]>();
  const nameOf = ({ turn, call }: TurnCall): string => `${turn}:${call.key}`;
  return {
    keep(effect) {
      const { header, call } = effect;
      const name = nameOf({ turn: header.id, call });
      // A call that is repeated, because its answer was not on record, keeps nothing twice.
      if (kept.has(name) || refused.has(name) || hasSent(header.id, call.key)) return [];
      return [put(kept, name, effect)];
    },
    take({ requestId }) {
      const effect = kept.get(requestId);
      if (effect === undefined) return undefined;
      return { by: { turn: effect.header.id, call: effect.call }, undo: [remove(kept, requestId)] };
    },
    sent(by, { header }) {
      const name = nameOf(by);
      return [
        ...[kept, refused].flatMap((rows) => (rows.has(name) ? [remove(rows, name)] : [])),
        put(sent, name, [...(sent.get(name) ?? []), header.id]),
      ];
    },
    refuse(requestId) {
      const effect = kept.get(requestId);
      return effect === undefined ? [] : [remove(kept, requestId), put(refused, requestId, effect)];
    },
    kept,
    refused,
    problems: () =>
      [...sent].flatMap(([name, ids]) => [
        ...(ids.length > 1 ? [`the call ${name} sent ${ids.join(" and ")}`] : []),
        ...(kept.has(name) ? [`the message of the call ${name} was sent and is kept`] : []),
        ...(refused.has(name) ? [`the message of the call ${name} was sent and is refused`] : []),
      ]),
  };
}
