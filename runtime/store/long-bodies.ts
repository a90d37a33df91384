/**
 * Long bodies are on the disk before the rows that name them; the appends of one agent keep the order of the calls all the same.
 *
 * The file of an append that failed, or came to nothing, goes at once where nobody names it. But a commit that has failed may be found on the
 * disk after a crash all the same, until another one has taken its place: so the file goes behind a commit, and stays while there is none. That
 * commit writes a row of its own, ["swept"], because an empty transaction changes nothing on the disk.
 */
import type { Envelope } from "../kernel/envelope.ts";
import type { AgentStores } from "./agent-stores.ts";
import type { Blobs } from "./blobs.ts";
import type { Environment } from "./environment.ts";
import type { Journal, StoredEnvelope } from "./journal.ts";
import type { Dedupe } from "./port.ts";

export interface LongBodiesParts {
  readonly blobs: Blobs;
  readonly agents: Pick<AgentStores, "sweep">;
  readonly journal: Pick<Journal, "knows" | "names" | "change">;
  /** The journal's. */
  readonly room: Pick<Environment, "checkRoom">;
}

export class LongBodies {
  readonly #parts: LongBodiesParts;
  /** The last body of each agent that is on its way to the disk, until it is there. */
  readonly #last = new Map<string, Promise<void>>();
  /** Files that their append has left without a row, until a commit says that there is none; by agent and name. */
  #left = new Map<string, readonly [agentId: string, file: string]>();

  constructor(parts: LongBodiesParts) {
    this.#parts = parts;
  }

  /** Of what is to be accepted: rejects with `CLOISTER_STORE_FULL`, and has written nothing, when the body would take of the room that is kept for what was. */
  accept<T>(
    envelope: Envelope,
    dedupe: Dedupe | undefined,
    append: (stored: StoredEnvelope) => Promise<T>,
  ): Promise<T> {
    const { journal, room } = this.#parts;
    return this.write(envelope, append, () => {
      // The append says so, and who repeats it is not told to come again.
      if (!journal.knows(envelope.header.id, dedupe)) room.checkRoom(Buffer.byteLength(envelope.body));
    });
  }

  /** `append` gets the envelope as the journal holds it; what it rejects with is passed on. */
  async write<T>(
    { header, body }: Envelope,
    append: (stored: StoredEnvelope) => Promise<T>,
    check?: () => void,
  ): Promise<T> {
    const { blobs, journal } = this.#parts;
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
      if (typeof stored !== "string") {
        if (!journal.names(agentId, stored.blob)) this.#left.set(`${agentId} ${stored.blob}`, [agentId, stored.blob]);
        await this.#sweep();
      }
    }
  }

  /** Never rejects: what cannot be removed is tried again with the next long body, and found when the agent is next opened. */
  async #sweep(): Promise<void> {
    const left = this.#left;
    if (left.size === 0) return;
    this.#left = new Map();
    try {
      await this.#parts.journal.change((environment) => environment.put(["swept"], 0));
    } catch {
      for (const [key, file] of left) this.#left.set(key, file);
      return;
    }
    for (const [agentId, file] of left.values()) await this.#parts.agents.sweep(agentId, [file]).catch(() => undefined);
  }
}
