/**
 * Dead letters as operators handle them: listed, read, replayed, purged. The store keeps them (`runtime/store/dead-letters.ts`);
 * a replayed message goes through the kernel's accept path like every other, so that bounds and rights are judged again. A
 * letter with an answer needs no turn: the answer goes to its channel, and the letter when the channel has it.
 */
import type { DeadLettersEvent, GatewayEvent } from "../edge/port.ts";
import type { Envelope } from "../kernel/envelope.ts";
import { failure, fromRefusal, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Admission } from "../kernel/kernel.ts";
import type { AcceptResult } from "../kernel/state.ts";
import type {
  DeadLetter,
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterPurge,
  DeadLetterRow,
  Store,
} from "../store/port.ts";
import { makeAuditNote } from "./audit-trail.ts";
import { unknownLetter } from "../store/unknown-letter.ts";
import type { Deliver } from "./answers.ts";
import type { Logger } from "./driver.ts";

export interface DeadLettersDeps {
  readonly store: Store;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly deliver: Deliver;
  readonly publish: (event: GatewayEvent) => void;
  readonly log: Logger;
  readonly nowMs: () => number;
}

/** `accepted`: the agent has the message again. `sent`: the channel has the answer that was kept with the letter. */
export type Replayed =
  | {
      readonly status: "accepted";
      readonly letter: DeadLetter;
      readonly envelopeId: string;
      readonly runId: string;
    }
  | { readonly status: "sent"; readonly letter: DeadLetter };

export interface DeadLetters {
  list(
    filter: DeadLetterFilter,
    page: { readonly limit?: number; readonly offset?: number },
  ): Promise<DeadLettersEvent & { readonly rows: readonly DeadLetterRow[] }>;
  /** Throws `CLOISTER_DEADLETTER_UNKNOWN`. */
  get(id: string): Promise<DeadLetter>;
  /**
   * Gives the message to its agent again, as a new envelope with no deliveries, or the answer of a letter that has one to its
   * channel. Throws what the kernel refuses it with or why the channel does not take it, and keeps the letter then. `by` is the
   * client that asked, for the audit trail.
   */
  replay(id: string, by: string): Promise<Replayed>;
  /** How many were removed; throws `CLOISTER_DEADLETTER_UNKNOWN` for an `id` that is none. */
  purge(purge: DeadLetterPurge, by: string): Promise<number>;
  /** As last read from the store: a moment old at most, and answered without it. */
  counts(): DeadLettersEvent;
  /** There is one more or one less: reads the counts and tells the clients. Resolves when they are up to date. */
  changed(): Promise<void>;
}

export function makeDeadLetters({ store, accept, deliver, publish, log, nowMs }: DeadLettersDeps): DeadLetters {
  /** Answers on their way to their channels, by letter: who asks for one of them again hears how that ends. */
  const sending = new Map<string, Promise<void>>();
  let known: DeadLettersEvent = { total: 0, byFate: {} };
  let reading: Promise<void> | undefined;
  let again = false;

  const read = async (): Promise<void> => {
    do {
      again = false;
      try {
        known = summarize(await store.deadLetterCounts());
        publish({ event: "deadletters", payload: known });
      } catch (error) {
        log.error({ error: toRefusal(error) }, "the dead letters could not be counted");
      }
    } while (again);
    reading = undefined;
  };

  const changed = (): Promise<void> => {
    again = true;
    return (reading ??= read());
  };

  const audit = makeAuditNote(store, log, nowMs);

  const get = async (id: string): Promise<DeadLetter> => {
    const letter = await store.deadLetter(id);
    if (letter === undefined) throw unknownLetter("read", id);
    return letter;
  };

  const auditReplay = ({ header }: DeadLetter, by: string, detail: string, refusal?: Refusal): void =>
    audit({
      type: "deadletter_replayed",
      subject: by,
      object: header.sessionKey,
      verb: header.verb,
      decision: refusal === undefined ? "allowed" : "refused",
      envelopeId: header.id,
      trace: header.trace,
      detail,
      ...(refusal === undefined ? {} : { code: refusal.code }),
    });

  const handleAgain = async (letter: DeadLetter, by: string): Promise<Replayed> => {
    const result = await accept(admissionOf(letter));
    auditReplay(letter, by, "the message", result.status === "refused" ? result.refusal : undefined);
    if (result.status === "refused") throw fromRefusal(result.refusal);
    return { status: "accepted", letter, envelopeId: result.envelopeId, runId: result.runId };
  };

  /** A crash before the letter is gone leaves it: the channel may get the answer twice, under one idempotency key. */
  const sendAnswer = async (id: string): Promise<void> => {
    // Read again: whoever sent it before has removed the letter by now.
    const { header, answer = "" } = await get(id);
    const route = header.replyRoute;
    if (route.type !== "channel") throw unknownLetter("send the answer of", id);
    try {
      await deliver(header, route, answer);
    } catch (error) {
      const { code, message } = toRefusal(error);
      throw failure(
        code,
        `cannot send the answer of the dead letter ${id} to ${route.channel}/${route.accountId}: ${message}`,
        "the letter is kept: repair the channel, then replay it again",
        error,
      );
    }
    await store.purge({ id });
  };

  const sendAgain = async (letter: DeadLetter, by: string): Promise<Replayed> => {
    const { id } = letter.header;
    const sent = sending.get(id) ?? sendAnswer(id).finally(() => sending.delete(id));
    sending.set(id, sent);
    try {
      await sent;
    } catch (error) {
      auditReplay(letter, by, "its answer", toRefusal(error));
      throw error;
    }
    auditReplay(letter, by, "its answer");
    return { status: "sent", letter };
  };

  return {
    async list(filter, { limit = limits.deadLettersListDefault, offset = 0 }) {
      const page = { limit: Math.min(limit, limits.deadLettersListMax), offset };
      const { rows, counts } = await store.deadLetters({ ...filter, ...page });
      return { rows, ...summarize(counts) };
    },
    get,
    async replay(id, by) {
      const letter = await get(id);
      const replayed = await (letter.answer === undefined ? handleAgain(letter, by) : sendAgain(letter, by));
      await changed();
      return replayed;
    },
    async purge(purge, by) {
      const purged = await store.purge(purge);
      if (purge.id !== undefined && purged === 0) throw unknownLetter("purge", purge.id);
      audit({
        type: "deadletter_purged",
        subject: by,
        object: purge.id ?? purge.agentId ?? "*",
        decision: "allowed",
        detail: `${purged} purged: ${JSON.stringify(purge)}`,
      });
      await changed();
      return purged;
    },
    counts: () => known,
    changed,
  };
}

function admissionOf({ header, body }: Envelope): Admission {
  const { from, agentId, sessionKey, verb, via, chain, trace, runId, provenance, replyRoute, id } = header;
  const { signal, choices, turnMsMax } = header;
  const same = { from, agentId, sessionKey, verb, via, chain, trace, runId, provenance, replyRoute, body };
  return {
    ...same,
    replaces: id,
    ...(signal === undefined ? {} : { signal }),
    ...(choices === undefined ? {} : { choices }),
    ...(turnMsMax === undefined ? {} : { turnMsMax }),
  };
}

function summarize(counts: DeadLetterCounts): DeadLettersEvent {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return { total: some.reduce((sum, [, count]) => sum + count, 0), byFate: Object.fromEntries(some) };
}
