/** What one stream tells, in order, to the one who reads it. */
export interface Outbox<T> extends AsyncIterable<T> {
  push(item: T): void;
  /** After what was pushed before; with an error, that is what the reader meets. */
  end(error?: unknown): void;
}

export function makeOutbox<T>(): Outbox<T> {
  const items: T[] = [];
  let over: { readonly error?: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const stir = (): void => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  return {
    push(item) {
      if (over !== undefined) return;
      items.push(item);
      stir();
    },
    end(error) {
      over ??= error === undefined ? {} : { error };
      stir();
    },
    async *[Symbol.asyncIterator]() {
      while (true) {
        const stirred = wake.promise;
        while (items.length > 0) yield items.shift() as T;
        if (over === undefined) await stirred;
        else if (over.error === undefined) return;
        else throw over.error;
      }
    },
  };
}
