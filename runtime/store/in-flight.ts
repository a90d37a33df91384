/** Writes that have not settled. */
export class InFlight {
  readonly #writes = new Set<Promise<unknown>>();

  add<T>(write: Promise<T>): Promise<T> {
    const forget = (): void => void this.#writes.delete(write);
    this.#writes.add(write);
    write.then(forget, forget);
    return write;
  }

  /** Resolves when all have settled that were added before. */
  async settled(): Promise<void> {
    if (this.#writes.size > 0) await Promise.allSettled(this.#writes);
  }
}
