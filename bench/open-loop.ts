/**
 * A load that comes at fixed times, whatever the answers do. Each latency counts from the time at which its request was due, so
 * that a pause of the program, or of this process, is seen by every request that fell into it (no coordinated omission).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "./inside/measure-calls.ts";

export interface OpenLoop {
  readonly perSecond: number;
  readonly forMs: number;
}

export interface OpenLoopFigures {
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How late this process itself was to send: part of the latencies, and no fault of the program. */
  readonly lateP99Ms: number;
}

/** `call` gets the number of its request, from 0, and when it was due. Rejects with the first failure, when all requests have ended. */
export async function loadOpen(
  { perSecond, forMs }: OpenLoop,
  call: (request: number, dueMs: number) => Promise<unknown>,
): Promise<OpenLoopFigures> {
  const total = Math.max(1, Math.round((perSecond * forMs) / 1_000));
  const samplesMs: number[] = [];
  const lateMs: number[] = [];
  const calls: Promise<void>[] = [];
  const failures: unknown[] = [];
  const startedMs = performance.now();
  for (let sent = 0; sent < total; ) {
    const dueMs = startedMs + (sent * 1_000) / perSecond;
    const nowMs = performance.now();
    if (nowMs < dueMs) {
      await sleep(dueMs - nowMs);
      continue;
    }
    lateMs.push(nowMs - dueMs);
    calls.push(
      call(sent, dueMs).then(
        () => void samplesMs.push(performance.now() - dueMs),
        (error: unknown) => void failures.push(error),
      ),
    );
    sent++;
  }
  await Promise.all(calls);
  if (failures.length > 0) throw failures[0];
  const sorted = samplesMs.toSorted((a, b) => a - b);
  const late = lateMs.toSorted((a, b) => a - b);
  return {
    calls: total,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? Number.NaN,
    lateP99Ms: quantile(late, 0.99),
  };
}
