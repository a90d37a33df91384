/**
 * The rows of one envelope in the journal (layout: `runtime/store/journal.ts`), written and removed together.
 *
 * Most envelopes have their text in a row and a turn that sends nothing. To look for more each time would be a read and a range for every
 * message that is done. So it is remembered which have more, of those that this process has put; of those that it has found it looks.
 */
import { putBody, removeBody } from "./body-rows.ts";
import type { Environment } from "./environment.ts";
import type { StoredEnvelope } from "./journal.ts";
import { keyText } from "./key-text.ts";
import type { TurnCall } from "./port.ts";
import { forgetSent, type KeptPlace, rememberKept, rememberMade, rememberSent } from "./sent-calls.ts";

/** What ["i", E] says. */
export type Place = readonly [seq: number, agentId: string, askedIn?: string];

/** All but `removed` inside a transaction. */
export class EnvelopeRows {
  readonly #environment: Environment;
  readonly #firstSeq: number;
  /** Whose text is a file, or whose turn's calls have rows. It may name one too many, after a transaction that failed, and none too few. */
  readonly #more = new Set<string>();

  /** `firstSeq`: what is there by then has a smaller number. */
  constructor(environment: Environment, firstSeq: number) {
    this.#environment = environment;
    this.#firstSeq = firstSeq;
  }

  /** Whether the envelope's row is there, settled or not. */
  keeps(envelopeId: string): boolean {
    return this.#environment.get(["i", keyText(envelopeId)]) !== undefined;
  }

  put(seq: number, { header, body }: StoredEnvelope): void {
    const { id, agentId, askedIn } = header;
    this.#environment.put(["e", seq], header);
    if (typeof body !== "string") this.#more.add(id);
    putBody(this.#environment, agentId, ["m", seq], body);
    this.#environment.put(["q", keyText(agentId), seq], 0);
    const place: Place = askedIn === undefined ? [seq, agentId] : [seq, agentId, askedIn];
    this.#environment.put(["i", keyText(id)], place);
  }

  rememberSent(call: TurnCall, sent: { readonly envelopeId: string; readonly runId: string }): void {
    this.#more.add(call.turn);
    rememberSent(this.#environment, call, sent);
  }

  rememberMade(call: TurnCall, made: string | object): void {
    this.#more.add(call.turn);
    rememberMade(this.#environment, call, made);
  }

  rememberKept(call: TurnCall, kept: KeptPlace): void {
    this.#more.add(call.turn);
    rememberKept(this.#environment, call, kept);
  }

  remove(envelopeId: string, agentId: string, seq: number): void {
    this.#environment.remove(["i", keyText(envelopeId)]);
    this.#environment.remove(["q", keyText(agentId), seq]);
    this.#environment.remove(["e", seq]);
    this.#environment.remove(["n", seq]);
    if (seq >= this.#firstSeq && !this.#more.has(envelopeId)) {
      this.#environment.remove(["m", seq]);
      return;
    }
    removeBody(this.#environment, agentId, ["m", seq]);
    forgetSent(this.#environment, envelopeId);
  }

  /** Once that is on disk: a transaction that fails leaves the rows. */
  removed(envelopeId: string): void {
    this.#more.delete(envelopeId);
  }
}
