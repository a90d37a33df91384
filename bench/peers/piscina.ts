/** piscina: the main thread runs tasks in a pool of one worker, with what its documentation names as faster. */
import { FixedQueue, Piscina } from "piscina";
import { heapMb, makePeer, type OpenMortalPeer } from "./peer.ts";

/** As many as are in flight at most, and one: the pool would queue the rest. */
const tasksMax = 65;

export const open: OpenMortalPeer = async () => {
  const pool = new Piscina({
    filename: new URL("./piscina-worker.ts", import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: tasksMax,
    taskQueue: new FixedQueue(),
    recordTiming: false,
    atomics: "async",
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  // Without a listener, an error without a task would end this process.
  pool.on("error", () => undefined);
  const close = (): Promise<void> => pool.destroy();
  return makePeer({ ask: (text) => pool.run(text), terminate: close, close });
};
