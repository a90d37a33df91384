/** Long bodies are on the disk before the rows that name them; the appends of one agent keep the order of the calls all the same. */
import type { Envelope } from "../kernel/envelope.ts";
import type { Blobs } from "./blobs.ts";
import type { StoredEnvelope } from "./journal.ts";

export class LongBodies {
  readonly #blobs: Blobs;
  /** The last body of each agent that is on its way to the disk, until it is there. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** `append` gets the envelope as the journal holds it; what it rejects with is passed on. */
  async write<T>({ header, body }: Envelope, append: (stored: StoredEnvelope) => Promise<T>): Promise<T> {
    const { agentId } = header;
    const before = this.#last.get(agentId);
    if (before === undefined && !this.#blobs.isLong(body)) return append({ header, body });
    const ready = (before ?? Promise.resolve()).then(() => this.#blobs.put(agentId, body));
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
