/** The store's calls about requests for rights, and about dead letters, as reads and transactions of the journal. */
import type { Fate } from "../kernel/envelope.ts";
import { addLetter, letterCounts, listLetters } from "./dead-letters.ts";
import type { Environment } from "./environment.ts";
import { dropRequest, findKept, keepRequest, listRequests, refuseRequest, unknownRequest } from "./grant-requests.ts";
import type { Journal, StoredEnvelope } from "./journal.ts";
import type { Store, WindowKey } from "./port.ts";

export interface RequestRows
  extends Pick<Store, "keepRequest" | "refuseRequest" | "releaseKept" | "dropRequest" | "keptMessage" | "requests">,
    Pick<Store, "deadLetters" | "deadLetterCounts"> {
  keepLetter(envelope: StoredEnvelope, fate: Fate, reason: string, key?: WindowKey): Promise<void>;
}

export function makeRequestRows(journal: Journal, now: () => number, lettersMax: number): RequestRows {
  return {
    keepLetter(envelope, fate, reason, key) {
      const keep = (rows: Environment): void =>
        addLetter(rows, { ...envelope, fate, reason, attempts: 0, atMs: now() }, lettersMax);
      const { id, runId } = envelope.header;
      return key === undefined ? journal.change(keep) : journal.changeOnce(key, { envelopeId: id, runId }, keep);
    },
    deadLetters: async (query) => journal.read((rows) => listLetters(rows, query)),
    deadLetterCounts: async () => journal.read(letterCounts),
    keepRequest: (request, message) => journal.change((rows, calls) => keepRequest(rows, calls, request, message)),
    refuseRequest: (id, reason, after) =>
      journal.change((rows) => refuseRequest(rows, id, { reason, atMs: now(), lettersMax }, after)),
    async releaseKept(released, envelope) {
      const seq = await journal.release(released, envelope);
      if (seq === undefined) throw unknownRequest("release a message of", released.requestId);
      return { seq };
    },
    dropRequest: (id) => journal.change((rows) => dropRequest(rows, id)),
    keptMessage: async (released) => journal.read((rows) => findKept(rows, released)),
    requests: async () => journal.read(listRequests),
  };
}
