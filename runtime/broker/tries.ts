/**
 * What is tried when a model does not answer, and how long it takes. Behaviour §5.5: at most 10 tries in all on rate limits, 8 retries
 * within 90 s for what is transient, pauses that double from 1 s, `Retry-After` as their floor; then the next credential of the
 * provider, then the next model. A credential that is refused, or is not paid for, is not tried again: the next one is. So it is
 * with a model that is not there. A request that is refused is refused.
 *
 *   try ──ok──► answer
 *    ├── rate-limit, transient, output ──tries left──► pause ──► try
 *    │                                  └─none left──► next credential ──none──► next model ──none──► the last failure
 *    ├── credential, billing, absent ──► next credential …
 *    └── refused, context ──► the failure
 */
import { ProviderFailure } from "./provider-failure.ts";
import { limits } from "../kernel/limits.ts";

export interface Clock {
  readonly nowMs: () => number;
  /** Rejects when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** One way to an answer: a model with a credential. */
export interface Way {
  readonly model: string;
  readonly profile: string;
}

export interface Tries<W extends Way, T> {
  /** In the order in which they are tried; those of one model stand together. The next is asked for when one is given up, with why. */
  readonly ways: AsyncIterator<W, undefined, ProviderFailure | undefined>;
  readonly once: (way: W) => Promise<T>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A way is given up; `next` is what is tried instead. */
  readonly onGivenUp: (way: W, failure: ProviderFailure, next: W | undefined) => void;
  /** It is tried again after the pause. */
  readonly onRetry: (way: W, failure: ProviderFailure, pauseMs: number) => void;
}

/** Rejects with the last `ProviderFailure`, or with whatever else `once` throws, at once. */
export async function tryWays<W extends Way, T>(tries: Tries<W, T>): Promise<T> {
  const { ways, onGivenUp } = tries;
  let last: unknown;
  let found = await ways.next(undefined);
  while (found.done !== true) {
    const way = found.value;
    try {
      return await tryWay(tries, way);
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.kind === "refused" || error.kind === "context") throw error;
      last = error;
      found = await ways.next(error).catch((unknown: unknown) => {
        onGivenUp(way, error, undefined);
        throw unknown;
      });
      onGivenUp(way, error, found.value);
    }
  }
  throw last;
}

async function tryWay<W extends Way, T>({ once, clock, signal, onRetry }: Tries<W, T>, way: W): Promise<T> {
  let limited = 0;
  let retries = 0;
  let firstFailureMs: number | undefined;
  for (let failures = 0; ; failures++) {
    try {
      return await once(way);
    } catch (error) {
      if (!(error instanceof ProviderFailure)) throw error;
      const nowMs = clock.nowMs();
      firstFailureMs ??= nowMs;
      const pauseMs = pauseAfter(error, failures, clock.random());
      if (error.kind === "rate-limit") {
        // The wish of the provider counts here; a pause of our own is never too long.
        if (++limited >= limits.modelTriesMax || (error.retryAfterMs ?? 0) > limits.modelPauseMsMax) throw error;
      } else if (error.kind === "transient" || error.kind === "output") {
        const isInTime = nowMs + pauseMs - firstFailureMs <= limits.modelTransientMs;
        if (retries++ >= limits.modelRetriesMax || !isInTime) throw error;
      } else throw error;
      if (failures + 1 >= limits.modelTriesMax) throw error;
      onRetry(way, error, pauseMs);
      await clock.pause(pauseMs, signal);
    }
  }
}

/** Doubled with each failure, with up to a tenth more so that many agents do not come back together. */
function pauseAfter({ retryAfterMs = 0 }: ProviderFailure, failures: number, random: number): number {
  const pause = Math.min(limits.modelPauseMsMax, limits.modelPauseMsFirst * 2 ** failures);
  return Math.max(retryAfterMs, pause) + Math.floor((Math.min(pause, limits.modelPauseMsMax) * random) / 10);
}
