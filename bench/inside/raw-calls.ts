/**
 * The floor under what is measured: request and answer over raw ports as one would write it by hand, one `postMessage` a call.
 * Nothing is checked, stored or bounded.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type CallFigures, type CallOrder, measureCalls } from "./measure-calls.ts";
import { answer } from "./mortal.ts";

export interface RawWorkerData {
  readonly role: "ask" | "answer";
  /** To the other worker; without it, calls go by way of the main thread. */
  readonly direct?: MessagePort;
}

export type RawCall = readonly [ref: number, text: string];

/** What the main thread and the asking worker say to each other beside calls. */
export type RawControl = { readonly order: CallOrder & { readonly text: string } } | { readonly figures: CallFigures };

if (parentPort === null) throw new Error("Starting raw calls: found the main thread, wanted a worker of a benchmark.");
const control = parentPort;
const { role, direct } = workerData as RawWorkerData;
const port = direct ?? control;

if (role === "answer") {
  port.on("message", ([ref, text]: RawCall) => {
    const answered = answer(text);
    if (typeof answered === "string") port.postMessage([ref, answered] satisfies RawCall);
    else void answered.then((late) => port.postMessage([ref, late] satisfies RawCall));
  });
} else {
  const waiting = new Map<number, () => void>();
  let next = 0;
  const settle = ([ref]: RawCall): void => {
    waiting.get(ref)?.();
    waiting.delete(ref);
  };
  const ask = async (order: CallOrder & { readonly text: string }): Promise<void> => {
    const figures = await measureCalls(
      order,
      () =>
        new Promise<void>((resolve) => {
          waiting.set(++next, resolve);
          port.postMessage([next, order.text] satisfies RawCall);
        }),
    );
    control.postMessage({ figures } satisfies RawControl);
  };
  const hear = (message: RawCall | RawControl): void => {
    if (Array.isArray(message)) settle(message as RawCall);
    else if ("order" in message) void ask(message.order);
  };
  control.on("message", hear);
  direct?.on("message", settle);
}
