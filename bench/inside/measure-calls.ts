/**
 * Measures request and answer from the inside of a thread. The actor of `round-trip` and the hand-written worker beside it
 * both use this file, so that they are timed by the same code. It imports nothing: a cell may read this folder only.
 */

export interface CallOrder {
  /** Calls that are under way at a time. */
  readonly inFlight: number;
  readonly forMs: number;
}

export interface CallFigures {
  readonly calls: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** `call` gets the number of its client, from 0 to `inFlight - 1`; a client makes its next call when it has its answer. */
export async function measureCalls(
  { inFlight, forMs }: CallOrder,
  call: (client: number) => Promise<unknown>,
): Promise<CallFigures> {
  const samplesMs: number[] = [];
  const startedMs = performance.now();
  const client = async (number: number): Promise<void> => {
    for (let beforeMs = startedMs; beforeMs - startedMs < forMs; ) {
      await call(number);
      const afterMs = performance.now();
      samplesMs.push(afterMs - beforeMs);
      beforeMs = afterMs;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, number) => client(number)));
  const elapsedMs = performance.now() - startedMs;
  const sorted = samplesMs.toSorted((a, b) => a - b);
  return { calls: sorted.length, elapsedMs, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}

/** The value at a share of a sorted list, between neighbours by their distance; NaN of an empty one. */
export function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
