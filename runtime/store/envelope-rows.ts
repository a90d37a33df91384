/**
 * The rows of one envelope in the journal (layout: `runtime/store/journal.ts`), written and removed together.
 *
 * Most envelopes have a short text and a turn that sends nothing. To look for more each time would be a read and a range for every
 * message that is done. So it is remembered which have more, of those that this process has put; of those that it has found it looks.
 */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { StoredText } from "./blobs.ts";
import { putBody, removeBody } from "./body-rows.ts";
import { type Environment, type Key, top } from "./environment.ts";
import type { StoredEnvelope } from "./journal.ts";
import { keyText } from "./key-text.ts";
import type { TurnCall } from "./port.ts";
import { forgetSent, type KeptPlace, rememberKept, rememberMade, rememberSent } from "./sent-calls.ts";

/** What ["i", E] says. */
export type Place = readonly [seq: number, agentId: string, askedIn?: string];

/** What ["q", A, seq] says: without the body where that is long, which is the row ["m", seq] then. */
export type MessageRow = readonly [header: EnvelopeHeader, body?: string];

/** Characters of a body that stands beside its header: not so many that a backlog is slow to read for them. */
const shortBodyCharsMax = 2_048;

/** What changes rows is called inside of `write`. */
export class EnvelopeRows {
  readonly #environment: Environment;
  readonly #firstSeq: number;
  /** Whose text is not short, or whose turn's calls have rows: how many rows were put, by transactions that have not failed. None too few. */
  readonly #more = new Map<string, number>();
  /** What the transaction that runs has added to it. */
  #named: string[] = [];

  /** `firstSeq`: what is there by then has a smaller number. */
  constructor(environment: Environment, firstSeq: number) {
    this.#environment = environment;
    this.#firstSeq = firstSeq;
  }

  /** Whether the envelope's row is there, settled or not. */
  keeps(envelopeId: string): boolean {
    return this.#environment.get(["i", keyText(envelopeId)]) !== undefined;
  }

  /** A transaction; one that fails leaves none of its rows, and nobody looks for them. */
  async write<T>(change: () => T): Promise<T> {
    const named: string[] = [];
    try {
      return await this.#environment.write(() => {
        this.#named = named;
        return change();
      });
    } catch (error) {
      for (const id of named) this.#count(id, -1);
      throw error;
    }
  }

  put(seq: number, { header, body }: StoredEnvelope): void {
    const { id, agentId, askedIn } = header;
    this.#environment.put(messageKey(agentId, seq), messageRow(header, body));
    if (!isShort(body)) {
      this.#name(id);
      putBody(this.#environment, agentId, ["m", seq], body);
    }
    const place: Place = askedIn === undefined ? [seq, agentId] : [seq, agentId, askedIn];
    this.#environment.put(["i", keyText(id)], place);
  }

  read([seq, agentId]: Place): StoredEnvelope | undefined {
    const [header, body] = this.#environment.get<MessageRow>(messageKey(agentId, seq)) ?? [];
    return header && { header, body: body ?? this.#environment.get<StoredText>(["m", seq]) ?? "" };
  }

  rememberSent(call: TurnCall, sent: { readonly envelopeId: string; readonly runId: string }): void {
    this.#name(call.turn);
    rememberSent(this.#environment, call, sent);
  }

  rememberMade(call: TurnCall, made: string | object): void {
    this.#name(call.turn);
    rememberMade(this.#environment, call, made);
  }

  rememberKept(call: TurnCall, kept: KeptPlace): void {
    this.#name(call.turn);
    rememberKept(this.#environment, call, kept);
  }

  remove(envelopeId: string, agentId: string, seq: number): void {
    this.#environment.remove(["i", keyText(envelopeId)]);
    this.#environment.remove(messageKey(agentId, seq));
    this.#environment.remove(["n", seq]);
    if (seq >= this.#firstSeq && !this.#more.has(envelopeId)) return;
    removeBody(this.#environment, agentId, ["m", seq]);
    forgetSent(this.#environment, envelopeId);
  }

  /** Once that is on disk: a transaction that fails leaves the rows. */
  removed(envelopeId: string): void {
    this.#more.delete(envelopeId);
  }

  #name(envelopeId: string): void {
    this.#named.push(envelopeId);
    this.#count(envelopeId, 1);
  }

  #count(envelopeId: string, by: 1 | -1): void {
    const count = (this.#more.get(envelopeId) ?? 0) + by;
    if (count > 0) this.#more.set(envelopeId, count);
    else this.#more.delete(envelopeId);
  }
}

const messageKey = (agentId: string, seq: number): Key => ["q", keyText(agentId), seq];

const isShort = (body: StoredText): body is string => typeof body === "string" && body.length <= shortBodyCharsMax;

const messageRow = (header: EnvelopeHeader, body: StoredText): MessageRow =>
  isShort(body) ? [header, body] : [header];

/** By `keyText`, the agents with envelopes; each is looked for when it is asked for. */
export function* agentsWithMail(environment: Environment): Iterable<string> {
  for (let start: Key = ["q"]; ; ) {
    const [key] = environment.keys({ start, end: ["q", top], limit: 1 });
    if (key === undefined) return;
    const agentText = key[1] as string;
    yield agentText;
    start = ["q", agentText, top];
  }
}

/** The greatest number of an envelope that is there, 0 if none is. */
export function lastMail(environment: Environment): number {
  let greatest = 0;
  for (const agentText of agentsWithMail(environment)) {
    const range = { start: ["q", agentText, 0], end: ["q", agentText, top], reverse: true, limit: 1 };
    for (const key of environment.keys(range)) greatest = Math.max(greatest, key[2] as number);
  }
  return greatest;
}

/** Format 9 of the journal had header, body and place in the agent's queue in a row each. One at a time, so that bodies need no room. */
export function joinRows(environment: Environment): void {
  for (;;) {
    const [next] = environment.entries<EnvelopeHeader>({ start: ["e", 0], end: ["e", top], limit: 1 });
    if (next === undefined) return;
    const seq = next.key[1] as number;
    const body = environment.get<StoredText>(["m", seq]) ?? "";
    environment.put(messageKey(next.value.agentId, seq), messageRow(next.value, body));
    environment.remove(next.key);
    if (isShort(body)) environment.remove(["m", seq]);
  }
}
