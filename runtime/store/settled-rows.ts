/** Settled envelopes whose rows the journal still has to remove: for every call but the removal they are gone. */

/** They are removed with the next write of anybody, or after this long. */
export const settleDelayMs = 50;

/** Of what a turn changed beside its agent's environment: a row goes when all that was changed before it was settled is on the disk. */
export interface OtherChanges {
  /** So many were made until now, */
  readonly made: () => number;
  /** and of them the first so many are on the disk. */
  readonly written: () => number;
}

export class SettledRows {
  /** Changes that were made before, by the envelope; oldest first. */
  readonly #ids = new Map<string, number>();
  readonly #changes: OtherChanges;
  readonly #perWriteMax: number;
  #holds = 0;

  constructor(changes: OtherChanges, perWriteMax: number) {
    this.#changes = changes;
    this.#perWriteMax = perWriteMax;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(envelopeId: string): boolean {
    return this.#ids.has(envelopeId);
  }

  add(envelopeId: string): void {
    if (!this.#ids.has(envelopeId)) this.#ids.set(envelopeId, this.#changes.made());
  }

  delete(envelopeId: string): void {
    this.#ids.delete(envelopeId);
  }

  /** Until the returned function is called, nothing may be removed. */
  hold(): () => void {
    this.#holds += 1;
    let isHeld = true;
    return () => {
      if (isHeld) this.#holds -= 1;
      isHeld = false;
    };
  }

  /** What one write may remove now, oldest first. */
  next(): readonly string[] {
    if (this.#holds > 0) return [];
    const written = this.#changes.written();
    const ids: string[] = [];
    for (const [id, made] of this.#ids) {
      if (made > written || ids.length >= this.#perWriteMax) break;
      ids.push(id);
    }
    return ids;
  }
}
