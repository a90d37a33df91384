/** A clock for code that pauses: time passes when a test says so, and pauses end in the order in which they are due. */
export interface VirtualClock {
  readonly nowMs: () => number;
  /** Always the middle: no jitter. */
  readonly random: () => number;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Lengths of all pauses so far. */
  readonly pauses: readonly number[];
  /** Lets so much time pass, with all that becomes due in it. */
  advance(ms: number): Promise<void>;
}

export function makeVirtualClock(): VirtualClock {
  let nowMs = 1_000_000;
  const sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  const pauses: number[] = [];
  return {
    nowMs: () => nowMs,
    random: () => 0.5,
    pauses,
    pause(ms, signal) {
      pauses.push(ms);
      return new Promise((resolve) => {
        const wake = (): void => {
          sleepers.delete(sleeper);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper = { atMs: nowMs + ms, wake };
        if (signal.aborted) return resolve();
        sleepers.add(sleeper);
        signal.addEventListener("abort", wake);
      });
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        await settle();
        const next = [...sleepers].filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        nowMs = Math.max(nowMs, next.atMs);
        next.wake();
      }
      nowMs = untilMs;
      await settle();
    },
  };
}

/** All that follows without a pause has happened. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
