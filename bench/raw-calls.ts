/** Two bare workers that call each other, directly or by way of a main thread: the other half of `inside/raw-calls.ts`. */
import { MessageChannel, Worker } from "node:worker_threads";
import type { CallFigures, CallOrder } from "./inside/measure-calls.ts";
import type { RawCall, RawControl, RawWorkerData } from "./inside/raw-calls.ts";

export interface RawCalls {
  readonly measure: (order: CallOrder & { readonly text: string }) => Promise<CallFigures>;
  readonly close: () => Promise<void>;
}

export function openRawCalls(way: "relay" | "direct"): RawCalls {
  const { port1, port2 } = new MessageChannel();
  const start = (role: RawWorkerData["role"], direct: typeof port1): Worker =>
    new Worker(new URL("./inside/raw-calls.ts", import.meta.url), {
      workerData: (way === "direct" ? { role, direct } : { role }) satisfies RawWorkerData,
      transferList: way === "direct" ? [direct] : [],
    });
  const asking = start("ask", port1);
  const answering = start("answer", port2);
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
      port1.close();
      port2.close();
    },
  };
}
