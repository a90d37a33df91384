/** comlink: the main thread calls a function that a worker exposes, over its adapter for Node's workers. */
import { Worker } from "node:worker_threads";
import { wrap } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { answer } from "../inside/mortal.ts";
import { heapMb, makePeer, type OpenMortalPeer } from "./peer.ts";

export const open: OpenMortalPeer = async () => {
  const worker = new Worker(new URL("./comlink-worker.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  // Without a listener, what the worker throws would end this process too.
  worker.on("error", () => undefined);
  const ask = wrap<typeof answer>(nodeEndpoint(worker));
  return makePeer({
    ask: (text) => ask(text),
    terminate: () => worker.terminate(),
    async close() {
      await worker.terminate();
    },
  });
};
