/**
 * How often an envelope was delivered: counted on disk before each delivery, so that one which ends the process counts as well.
 *
 *   ["n", seq] → deliveries counted so far, in the journal; absent before the first
 *
 * Where a turn begins with the append of its message (`runtime/kernel/early-turns.ts`), the transaction that appends it counts the first one.
 */
import type { Environment } from "./environment.ts";
import type { Place } from "./envelope-rows.ts";
import type { Journal } from "./journal.ts";
import { keyText } from "./key-text.ts";
import type { TurnBegin } from "./port.ts";

/** Inside a write. The envelope's next delivery number; undefined: the journal does not hold it. */
export function countDelivery(environment: Environment, envelopeId: string): number | undefined {
  const place = environment.get<Place>(["i", keyText(envelopeId)]);
  if (place === undefined) return undefined;
  const attempt = (environment.get<number>(["n", place[0]]) ?? 0) + 1;
  environment.put(["n", place[0]], attempt);
  return attempt;
}

/** Those that were counted; undefined: the journal does not hold the envelope. */
function deliveriesOf(environment: Environment, envelopeId: string): number | undefined {
  const place = environment.get<Place>(["i", keyText(envelopeId)]);
  return place === undefined ? undefined : (environment.get<number>(["n", place[0]]) ?? 0);
}

export class Deliveries {
  readonly #journal: Journal;
  /** Appends in flight that count one, by the envelope, until they have settled. */
  readonly #appending = new Map<string, Promise<void>>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** The append counts the first one. */
  countedBy(envelopeId: string, append: Promise<unknown>): void {
    const forget = (): void => void this.#appending.delete(envelopeId);
    this.#appending.set(envelopeId, append.then(forget, forget));
  }

  /** This delivery's number, on disk; undefined: the journal does not hold the envelope. */
  async count({ envelopeId, isCounted }: TurnBegin): Promise<number | undefined> {
    if (isCounted !== true) return await this.#journal.countDelivery(envelopeId);
    await this.#appending.get(envelopeId);
    return this.#journal.read((environment) => deliveriesOf(environment, envelopeId));
  }
}
