/**
 * The floor under `round-trip`: request and answer between two bare workers as one would write it by hand, one `postMessage`
 * a call, relayed by the main thread. Nothing is checked, stored or bounded.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type CallFigures, type CallOrder, measureCalls } from "./measure-calls.ts";

/** What the main thread relays. */
export type RawCall = readonly [ref: number, text: string];

/** What the main thread and the asking worker say to each other beside calls. */
export type RawControl = { readonly order: CallOrder & { readonly text: string } } | { readonly figures: CallFigures };

if (parentPort === null) throw new Error("Starting raw calls: found the main thread, wanted a worker of round-trip.");
const port = parentPort;

if (workerData === "answer") {
  port.on("message", (call: RawCall) => port.postMessage(call));
} else {
  const waiting = new Map<number, () => void>();
  let next = 0;
  port.on("message", (message: RawCall | RawControl) => {
    if (Array.isArray(message)) {
      waiting.get(message[0])?.();
      waiting.delete(message[0]);
    } else if ("order" in message) {
      void ask(message.order);
    }
  });
  const ask = async (order: CallOrder & { readonly text: string }): Promise<void> => {
    const figures = await measureCalls(
      order,
      () =>
        new Promise<void>((resolve) => {
          waiting.set(++next, resolve);
          port.postMessage([next, order.text] satisfies RawCall);
        }),
    );
    port.postMessage({ figures } satisfies RawControl);
  };
}
