/** Times always the same work: no memory to speak of, no system call. Sends the milliseconds of each loop. */
import { parentPort } from "node:worker_threads";

const warmUps = 10;
const samples = 60;
const steps = 2_000_000;

const timesMs: number[] = [];
let state = 1;
for (let sample = 0; sample < warmUps + samples; sample++) {
  const startedMs = performance.now();
  for (let step = 0; step < steps; step++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  if (sample >= warmUps) timesMs.push(performance.now() - startedMs);
}
// The result is used, so that the compiler cannot leave the loop out.
if (!Number.isInteger(state)) throw new Error(`Measuring noise: found ${state}, wanted a whole number.`);
parentPort?.postMessage(timesMs);
