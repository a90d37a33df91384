/** The store's calls about requests for rights, as transactions of the journal. */
import { dropRequest, findKept, keepRequest, listRequests, refuseRequest, unknownRequest } from "./grant-requests.ts";
import type { Journal } from "./journal.ts";
import type { Store } from "./port.ts";

export type RequestRows = Pick<
  Store,
  "keepRequest" | "refuseRequest" | "releaseKept" | "dropRequest" | "keptMessage" | "requests"
>;

export function makeRequestRows(journal: Journal, now: () => number, lettersMax: number): RequestRows {
  return {
    keepRequest: (request, message) => journal.change((rows) => keepRequest(rows, request, message)),
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
