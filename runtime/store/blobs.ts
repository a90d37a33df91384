/**
 * Long message bodies as files beside the agent's environment, named by their content, so that the same text is kept once.
 *
 * Layout: `<sessions>/blobs/<first two digits>/<SHA-256 of the bytes>`, UTF-8, or UTF-16LE for a text that is not well-formed. A file is
 * written under another name, flushed and renamed before the row that names it commits; who names it is in rows of the journal
 * (`["z", A, hash, …]`) and of the agent's environment (`["z", hash]`), written in the transaction of the text's own row. So a
 * crash leaves at the most a file that nobody names; `sweep` removes those. What a failed commit leaves: `runtime/store/long-bodies.ts`.
 */
import { hash } from "node:crypto";
import { failure } from "../kernel/errors.ts";

export interface BlobRef {
  readonly blob: string;
  readonly chars: number;
  /** Absent in rows of journals before format 8. */
  readonly bytes?: number;
  /** The beginning of the text, for previews. */
  readonly head: string;
  readonly wide?: true;
}

/** A text as a row holds it. */
export type StoredText = string | BlobRef;

/** Files of one agent. Each is whole or not there. */
export interface BlobFolder {
  has(name: string): Promise<boolean>;
  /** Resolves when it is flushed under its name. Rejects with `CLOISTER_STORE_FULL` or `CLOISTER_STORE_FAILED`. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  read(name: string): Promise<Uint8Array>;
  list(): Promise<readonly string[]>;
  /** Of all files together. */
  bytes(): Promise<number>;
  /** One that is not there is no error. */
  remove(name: string): Promise<void>;
  /** All that there are now, into the folder of another environment. */
  copyTo(dir: string): Promise<void>;
}

export interface BlobsOptions {
  readonly blobCharsMin: number;
  /** Absent for an agent without a place, and for a kind of environment that has no files: then texts stay in their rows. */
  readonly folderOf: (agentId: string) => BlobFolder | undefined;
}

const headChars = 256;

export class Blobs {
  readonly #options: BlobsOptions;
  /** Writes and removals of one agent's files, one after the other. */
  readonly #tails = new Map<string, Promise<unknown>>();
  /** Files whose row is not committed yet, with how many wait for that. */
  readonly #pins = new Map<string, number>();
  #holds = 0;

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  isLong(text: string): boolean {
    return text.length >= this.#options.blobCharsMin;
  }

  /** Until `release` is called no sweep removes the file; call it when the row that names it has settled. */
  async put(agentId: string, text: string): Promise<{ readonly stored: StoredText; readonly release: () => void }> {
    const folder = this.#options.folderOf(agentId);
    if (!this.isLong(text) || folder === undefined) return { stored: text, release: () => undefined };
    const isWide = !text.isWellFormed();
    const bytes = Buffer.from(text, isWide ? "utf16le" : "utf8");
    const blob = hash("sha256", bytes, "hex");
    const release = this.#pin(`${agentId} ${blob}`);
    try {
      await this.#inTurn(agentId, async () => {
        if (!(await folder.has(blob))) await folder.write(blob, bytes);
      });
    } catch (error) {
      release();
      throw error;
    }
    const ref: BlobRef = { blob, chars: text.length, bytes: bytes.length, head: text.slice(0, headChars) };
    return { stored: isWide ? { ...ref, wide: true } : ref, release };
  }

  /** Rejects with `CLOISTER_STORE_FAILED` when the file is gone or is not what was written. */
  async read(agentId: string, stored: StoredText): Promise<string> {
    if (typeof stored === "string") return stored;
    const bytes = await this.#options.folderOf(agentId)?.read(stored.blob);
    if (bytes === undefined || hash("sha256", bytes, "hex") !== stored.blob) {
      throw failure(
        "CLOISTER_STORE_FAILED",
        `cannot read a message of ${agentId}: its file ${stored.blob} is missing or damaged`,
        "restore the file from a backup",
      );
    }
    return Buffer.from(bytes).toString(stored.wide === true ? "utf16le" : "utf8");
  }

  /** Removes what nobody names, of these files or else of all. `isNamed` reads what is committed; what is not yet is pinned. */
  async sweep(agentId: string, isNamed: (blob: string) => boolean, of?: readonly string[]): Promise<void> {
    const folder = this.#options.folderOf(agentId);
    for (const blob of of ?? (await folder?.list()) ?? []) {
      await this.#inTurn(agentId, async () => {
        if (this.#holds > 0 || this.#pins.has(`${agentId} ${blob}`) || isNamed(blob)) return;
        await folder?.remove(blob);
      });
    }
  }

  /** Of the agent's files together. */
  async bytes(agentId: string): Promise<number> {
    return (await this.#options.folderOf(agentId)?.bytes()) ?? 0;
  }

  /** Until the returned function is called, nothing is removed (`runtime/store/snapshot.ts`). */
  hold(): () => void {
    this.#holds += 1;
    return () => void (this.#holds -= 1);
  }

  #pin(key: string): () => void {
    this.#pins.set(key, (this.#pins.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#pins.get(key) ?? 0) - 1;
      if (left > 0) this.#pins.set(key, left);
      else this.#pins.delete(key);
    };
  }

  #inTurn<T>(agentId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(agentId) ?? Promise.resolve();
    const call = before.then(work, work);
    this.#tails.set(agentId, call);
    const forget = (): void => {
      if (this.#tails.get(agentId) === call) this.#tails.delete(agentId);
    };
    call.then(forget, forget);
    return call;
  }
}

export function charsOf(stored: StoredText): number {
  return typeof stored === "string" ? stored.length : stored.chars;
}

/** The beginning of the text. */
export function headOf(stored: StoredText): string {
  return typeof stored === "string" ? stored : stored.head;
}
