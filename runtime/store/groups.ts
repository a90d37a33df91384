/** Items that come in at the same time are handled together: in the order of the calls, one group after the other. */
export class Groups<Item, Result> {
  readonly #handle: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #sizeMax: number;
  #waiting: Waiting<Item, Result>[] = [];
  #running = 0;
  #handedOn = 0;
  #isScheduled = false;

  /** `handle` gives one result for each item, in order, or rejects and has done nothing. */
  constructor(sizeMax: number, handle: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.#sizeMax = sizeMax;
    this.#handle = handle;
  }

  /**
   * Rejects only for its own item: when a group fails, each of its items is tried alone. Unless another group was handed on
   * meanwhile, which they would then come behind: all of the failed group are rejected then, for the order is kept.
   */
  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#isScheduled || this.#running > 0) return;
      this.#isScheduled = true;
      // After the other calls that came with the same message.
      queueMicrotask(() => {
        this.#isScheduled = false;
        if (this.#running === 0) this.start();
      });
    });
  }

  /** Hands on what waits now, even beside a group that runs: for work that has to come after it. */
  start(): void {
    while (this.#waiting.length > 0) void this.#run(this.#waiting.splice(0, this.#sizeMax));
  }

  async #run(group: readonly Waiting<Item, Result>[]): Promise<void> {
    this.#running += 1;
    const place = ++this.#handedOn;
    try {
      const results = await this.#handle(group.map(({ item }) => item));
      for (const [at, { resolve }] of group.entries()) resolve(results[at] as Result);
    } catch (error) {
      if (group.length === 1 || place !== this.#handedOn) for (const { reject } of group) reject(error);
      // All at once, so that nothing comes between them.
      else await Promise.all(group.map((one) => this.#run([one])));
    } finally {
      this.#running -= 1;
    }
    if (this.#running === 0) this.start();
  }
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}
