/** Two bare workers and a main thread that relays between them: the other half of `inside/raw-calls.ts`. */
import { Worker } from "node:worker_threads";
import type { CallFigures, CallOrder } from "./inside/measure-calls.ts";
import type { RawCall, RawControl } from "./inside/raw-calls.ts";

export interface RawCalls {
  measure(order: CallOrder & { readonly text: string }): Promise<CallFigures>;
  close(): Promise<void>;
}

export function openRawCalls(): RawCalls {
  const file = new URL("./inside/raw-calls.ts", import.meta.url);
  const asking = new Worker(file, { workerData: "ask" });
  const answering = new Worker(file, { workerData: "answer" });
  let settle: ((figures: CallFigures) => void) | undefined;
  asking.on("message", (message: RawCall | RawControl) => {
    if (!("figures" in message)) answering.postMessage(message);
    else settle?.(message.figures);
  });
  answering.on("message", (call: RawCall) => asking.postMessage(call));
  return {
    measure: (order) =>
      new Promise((resolve) => {
        settle = resolve;
        asking.postMessage({ order } satisfies RawControl);
      }),
    async close() {
      await Promise.all([asking.terminate(), answering.terminate()]);
    },
  };
}
