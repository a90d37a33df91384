/** threads.js: the main thread calls a function that a worker exposes. */
import { spawn, Thread, Worker } from "threads";
import type { answer } from "../inside/mortal.ts";
import { heapMb, makePeer, type OpenMortalPeer } from "./peer.ts";

export const open: OpenMortalPeer = async () => {
  // A path from the folder of this file.
  const worker = new Worker("./threads-worker.ts", { resourceLimits: { maxOldGenerationSizeMb: heapMb } });
  // Without a listener, what the worker throws would end this process too.
  worker.addEventListener("error", () => undefined);
  const thread = await spawn<typeof answer>(worker);
  const close = (): Promise<void> => Thread.terminate(thread);
  return makePeer({ ask: (text) => thread(text), terminate: close, close });
};
