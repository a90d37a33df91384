/** Raw ports, as one would write request and answer by hand: nothing is checked or bounded, and nothing settles when a worker ends. */
import { Worker } from "node:worker_threads";
import { openRawCalls } from "../raw-calls.ts";
import type { RawCall } from "../inside/raw-calls.ts";
import { heapMb, makePeer, type OpenMortalPeer, type OpenPeer } from "./peer.ts";

/** Worker to worker, passed on by the main thread: what Cloister's kernel does as well. */
export const openRelay: OpenPeer = async () => openRawCalls("relay");

/** Worker to worker, over a port between them. */
export const openDirect: OpenPeer = async () => openRawCalls("direct");

/** Main thread to worker: where the libraries ask. */
export const openMain: OpenMortalPeer = async () => {
  const worker = new Worker(new URL("../inside/raw-calls.ts", import.meta.url), {
    workerData: { role: "answer" },
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  worker.on("error", () => undefined);
  const waiting = new Map<number, (text: string) => void>();
  let next = 0;
  worker.on("message", ([ref, text]: RawCall) => {
    waiting.get(ref)?.(text);
    waiting.delete(ref);
  });
  return makePeer({
    ask: (text) =>
      new Promise<string>((resolve) => {
        waiting.set(++next, resolve);
        worker.postMessage([next, text] satisfies RawCall);
      }),
    terminate: () => worker.terminate(),
    async close() {
      await worker.terminate();
    },
  });
};
