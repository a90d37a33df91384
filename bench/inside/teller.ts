/**
 * The telling side of `tell`: bursts of messages without an answer, by the mailbox of a cell or by a `postMessage` each. The next burst follows when the other side has
 * had the one before.
 */
import { parentPort } from "node:worker_threads";
import { up } from "../../runtime/kernel/frames.ts";
import { makeMailbox } from "../../runtime/thread/cell/mailbox.ts";
import { controlBlock } from "../../runtime/thread/cell-port.ts";

export interface TellOrder {
  readonly how: "batched" | "single";
  readonly text: string;
  readonly burst: number;
  readonly forMs: number;
}

/** What the teller says beside what it tells. */
export interface Told {
  readonly messages: number;
  readonly elapsedMs: number;
}

if (parentPort === null) throw new Error("Starting a teller: found the main thread, wanted a worker of a benchmark.");
const port = parentPort;
const incarnation = 1;
const turn = 1;
const nothing = (): void => undefined;
const block = new Int32Array(new SharedArrayBuffer(controlBlock.words * Int32Array.BYTES_PER_ELEMENT));
const mailbox = makeMailbox(incarnation, block, (frame) => port.postMessage(frame), nothing, nothing, nothing);

let order: TellOrder | undefined;
let startedMs = 0;
let messages = 0;

function tellBurst({ how, text, burst, forMs }: TellOrder): void {
  if (performance.now() - startedMs >= forMs) {
    port.postMessage({ messages, elapsedMs: performance.now() - startedMs } satisfies Told);
    return;
  }
  for (let n = 0; n < burst; n++) {
    if (how === "batched") mailbox.tell(up.stream, turn, 0, text);
    else port.postMessage([incarnation, messages + n, up.stream, turn, text]);
  }
  messages += burst;
}

/** A new order, or `null`: the burst has come. */
port.on("message", (said: TellOrder | null) => {
  if (said !== null) {
    order = said;
    messages = 0;
    startedMs = performance.now();
  }
  if (order !== undefined) tellBurst(order);
});
