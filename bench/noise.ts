/**
 * How steady the machine is: the same loop, timed many times. What it varies by is what others took, and a difference below
 * this spread is no difference. It runs in a thread of its own, since a scenario leaves its mark on how the main thread's
 * code is compiled (measured: up to six times slower after `wake`).
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { makeSpread, type Spread } from "./spread.ts";

/** Milliseconds of one loop. */
export async function measureNoise(): Promise<Spread> {
  const worker = new Worker(new URL("./inside/fixed-loop.ts", import.meta.url));
  const ended = once(worker, "exit");
  const [timesMs] = (await once(worker, "message")) as [number[]];
  await ended;
  return makeSpread(timesMs);
}
