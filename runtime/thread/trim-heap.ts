/** Gives back what starting has left behind. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Collects this thread's garbage and shrinks its heap to what is in use. Reading the file of ten thousand agents lets the heap
 * grow by about 80 MB, and without a reason V8 keeps the pages: a process at rest allocates too little to give it one.
 * Takes 50 to 100 ms, in which the thread does nothing else, so it is for before the doors open. Node has no API for it; its
 * documented flag is set, used and taken back, so that no other context has the function.
 */
export function trimHeap(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
