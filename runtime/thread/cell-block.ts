/** Memory that this thread shares with the cells that it starts, for who builds their assets himself (`runtime/testing/cell-senses.ts`). */
import { setEnvironmentData } from "node:worker_threads";

/** Code that runs in a cell before its bootstrap finds the block under this name (`getEnvironmentData`); an actor does not. */
export function giveCells(name: string, block: SharedArrayBuffer): Disposable {
  setEnvironmentData(name, block);
  return { [Symbol.dispose]: () => setEnvironmentData(name) };
}
