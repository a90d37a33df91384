/**
 * Dead letters as operators handle them: listed, read, replayed, purged. The store keeps them (`runtime/store/dead-letters.ts`);
 * a replay goes through the kernel's accept path like every other message, so that bounds and rights are judged again.
 */
import type { DeadLettersEvent, GatewayEvent } from "../edge/port.ts";
import type { Envelope } from "../kernel/envelope.ts";
import { fromRefusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Admission } from "../kernel/kernel.ts";
import type { AcceptResult } from "../kernel/state.ts";
import type {
  AuditRow,
  DeadLetter,
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterPurge,
  DeadLetterRow,
  Store,
} from "../store/port.ts";
import { unknownLetter } from "../store/unknown-letter.ts";
import type { Logger } from "./driver.ts";

export interface DeadLettersDeps {
  readonly store: Store;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly publish: (event: GatewayEvent) => void;
  readonly log: Logger;
  readonly nowMs: () => number;
}

export interface Replayed {
  readonly letter: DeadLetter;
  readonly envelopeId: string;
  readonly runId: string;
}

export interface DeadLetters {
  list(
    filter: DeadLetterFilter,
    page: { readonly limit?: number; readonly offset?: number },
  ): Promise<{ readonly rows: readonly DeadLetterRow[]; readonly total: number }>;
  /** Throws `CLOISTER_DEADLETTER_UNKNOWN`. */
  get(id: string): Promise<DeadLetter>;
  /**
   * Gives the message to its agent again, as a new envelope with no deliveries. Throws what the kernel refuses it with, and keeps
   * the letter then. `by` is the client that asked, for the audit trail.
   */
  replay(id: string, by: string): Promise<Replayed>;
  /** How many were removed; throws `CLOISTER_DEADLETTER_UNKNOWN` for an `id` that is none. */
  purge(purge: DeadLetterPurge, by: string): Promise<number>;
  /** As last read from the store: a moment old at most, and answered without it. */
  counts(): DeadLettersEvent;
  /** There is one more or one less: reads the counts and tells the clients. Resolves when they are up to date. */
  changed(): Promise<void>;
}

export function makeDeadLetters({ store, accept, publish, log, nowMs }: DeadLettersDeps): DeadLetters {
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

  const audit = (row: Omit<AuditRow, "atMs">): void => {
    store
      .audit([{ atMs: nowMs(), ...row }])
      .catch((error: unknown) => log.error({ error: toRefusal(error) }, "the audit trail could not be written"));
  };

  const get = async (id: string): Promise<DeadLetter> => {
    const letter = await store.deadLetter(id);
    if (letter === undefined) throw unknownLetter("read", id);
    return letter;
  };

  return {
    list: (filter, { limit = limits.deadLettersListDefault, offset = 0 }) =>
      store.deadLetters({ ...filter, limit: Math.min(limit, limits.deadLettersListMax), offset }),
    get,
    async replay(id, by) {
      const letter = await get(id);
      const result = await accept(admissionOf(letter));
      const refusal = result.status === "refused" ? result.refusal : undefined;
      audit({
        type: "deadletter_replayed",
        subject: by,
        object: letter.header.sessionKey,
        verb: letter.header.verb,
        decision: refusal === undefined ? "allowed" : "refused",
        envelopeId: id,
        trace: letter.header.trace,
        ...(refusal === undefined ? {} : { code: refusal.code }),
      });
      if (result.status === "refused") throw fromRefusal(result.refusal);
      await changed();
      return { letter, envelopeId: result.envelopeId, runId: result.runId };
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
  const { from, agentId, sessionKey, verb, via, chain, trace, runId, provenance, replyRoute, id, signal } = header;
  const same = { from, agentId, sessionKey, verb, via, chain, trace, runId, provenance, replyRoute, body };
  return { ...same, replaces: id, ...(signal === undefined ? {} : { signal }) };
}

function summarize(counts: DeadLetterCounts): DeadLettersEvent {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return { total: some.reduce((sum, [, count]) => sum + count, 0), byFate: Object.fromEntries(some) };
}
