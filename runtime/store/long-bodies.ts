/** Long bodies are on the disk before the rows that name them; the appends of one agent keep the order of the calls all the same. */
import type { Envelope } from "../kernel/envelope.ts";
import type { Blobs } from "./blobs.ts";
import type { Environment } from "./environment.ts";
import type { Journal, StoredEnvelope } from "./journal.ts";
import type { Dedupe } from "./port.ts";

export interface LongBodiesParts {
  readonly blobs: Blobs;
  readonly journal: Pick<Journal, "knows">;
  /** The journal's. */
  readonly environment: Pick<Environment, "checkRoom">;
}

export class LongBodies {
  readonly #parts: LongBodiesParts;
  /** The last body of each agent that is on its way to the disk, until it is there. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(parts: LongBodiesParts) {
    this.#parts = parts;
  }

  /** Of what is to be accepted: rejects with `CLOISTER_STORE_FULL`, and has written nothing, when the body would take of the room that is kept for what was. */
  accept<T>(
    envelope: Envelope,
    dedupe: Dedupe | undefined,
    append: (stored: StoredEnvelope) => Promise<T>,
  ): Promise<T> {
    const { journal, environment } = this.#parts;
    return this.write(envelope, append, () => {
      // The append says so, and who repeats it is not told to come again.
      if (!journal.knows(envelope.header.id, dedupe)) environment.checkRoom(Buffer.byteLength(envelope.body));
    });
  }

  /** `append` gets the envelope as the journal holds it; what it rejects with is passed on. */
  async write<T>(
    { header, body }: Envelope,
    append: (stored: StoredEnvelope) => Promise<T>,
    check?: () => void,
  ): Promise<T> {
    const { blobs } = this.#parts;
    const { agentId } = header;
    const before = this.#last.get(agentId);
    if (before === undefined && !blobs.isLong(body)) return append({ header, body });
    const ready = (before ?? Promise.resolve()).then(() => {
      if (blobs.isLong(body)) check?.();
      return blobs.put(agentId, body);
    });
    const settled = ready.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(agentId, settled);
    void settled.then(() => {
      if (this.#last.get(agentId) === settled) this.#last.delete(agentId);
    });
    const { stored, release } = await ready;
    try {
      return await append({ header, body: stored });
    } finally {
      release();
    }
  }
}
