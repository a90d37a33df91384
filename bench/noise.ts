/**
 * How steady the machine is: the same loop, timed many times. What it varies by is what others took, and a difference below
 * this spread is no difference. It runs in a thread of its own, since a scenario leaves its mark on how the main thread's
 * code is compiled (measured: up to six times slower after `wake`).
 *
 * And what a wake costs: the loop does not show it, but in a virtual machine it changes by half within an hour, and most of what takes little CPU is waking threads.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { openRawCalls } from "./raw-calls.ts";
import { makeSpread, type Spread } from "./spread.ts";

/** The same measured before a scenario and after it. */
export interface Around {
  readonly before: Spread;
  readonly after: Spread;
}

const callsForMs = 50;
const warmUpSlices = 3;
const slices = 9;

/** Milliseconds of one loop. */
export async function measureNoise(): Promise<Spread> {
  const worker = new Worker(new URL("./inside/fixed-loop.ts", import.meta.url));
  const ended = once(worker, "exit");
  const [timesMs] = (await once(worker, "message")) as [number[]];
  await ended;
  return makeSpread(timesMs);
}

/** Milliseconds from a thread to another that sleeps and back, over a bare port: two wakes. */
export async function measureWakes(): Promise<Spread> {
  const calls = openRawCalls("direct");
  try {
    const p50s: number[] = [];
    for (let slice = 0; slice < warmUpSlices + slices; slice++) {
      const { p50Ms } = await calls.measure({ inFlight: 1, forMs: callsForMs, text: "" });
      if (slice >= warmUpSlices) p50s.push(p50Ms);
    }
    return makeSpread(p50s);
  } finally {
    await calls.close();
  }
}

/**
 * Begins to count what the host of a virtual machine gives to others while this one wants to run. The answer gives its percentage of all CPU time since then: the fixed loop is
 * too short to show it, and a message that falls into it waits for milliseconds.
 */
export async function watchStolen(): Promise<() => Promise<number>> {
  const from = await readCpu();
  return async () => {
    const to = await readCpu();
    return (100 * (to.stolen - from.stolen)) / Math.max(1, to.all - from.all);
  };
}

/** In clock ticks since the machine's start. The first line of `/proc/stat`: `cpu user nice system idle iowait irq softirq steal …`, guests counted in the first two. */
async function readCpu(): Promise<{ readonly stolen: number; readonly all: number }> {
  const [, ...ticks] = (await readFile("/proc/stat", "utf8")).split("\n", 1)[0]?.split(/\s+/).map(Number) ?? [];
  const counted = ticks.slice(0, 8);
  return { stolen: counted[7] ?? 0, all: counted.reduce((sum, one) => sum + one, 0) };
}
