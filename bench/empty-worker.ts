/** What every start of an agent is measured against: a worker that has nothing to load. */
import { Worker } from "node:worker_threads";

/** Milliseconds until its first line; it has ended when this resolves. */
export async function startEmptyWorker(): Promise<number> {
  const startedNs = process.hrtime.bigint();
  const worker = new Worker('require("node:worker_threads").parentPort.postMessage(process.hrtime.bigint())', {
    eval: true,
  });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  const firstLineNs = await new Promise<bigint>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  await ended;
  return Number(firstLineNs - startedNs) / 1e6;
}
