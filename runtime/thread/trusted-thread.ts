/**
 * A thread of our own (store, edge) with typed calls in both directions. Trusted: it is not confined. A cell is something else.
 *
 * Life: `startTrustedThread` gives the entry its `init` and waits → the entry's `serveTrustedThread` builds its handlers and
 * says ready, or why not → calls → `stop` closes the port and the thread ends by itself.
 */
import { setFlagsFromString } from "node:v8";
import { MessageChannel, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { type CodedError, failure, fromRefusal, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { beatInto, makeBeatBlock, watchBeat } from "./beat.ts";
import { type Callable, connectCalls, makeLateHandlers, type Tellable } from "./calls.ts";
import { isWithin } from "./within.ts";

export interface TrustedThreadOptions {
  readonly entry: URL;
  /** Shown by debuggers and in reasons, e.g. `store`. */
  readonly name: string;
  /** Plain data for the entry. */
  readonly init: unknown;
  /** What the thread may call here. */
  readonly handlers: object;
  /** A loop that does not turn for so long ends the thread, which is lost then. Absent: nobody looks. */
  readonly stuckMs?: number;
  /** The thread ended without `stop`. Every pending call has been rejected with `CLOISTER_THREAD_LOST`. */
  readonly onLost: (reason: string) => void;
  /**
   * It cannot start: why, with the stack, for the log. Who asked for it may be an agent, and is told that it did not start. Absent: whoever starts it is
   * the operator, and is told why.
   */
  readonly onNotStarted?: (reason: string) => void;
  /** What was told it (`tell`) threw there. Absent: nobody wants to know. */
  readonly onTellFailed?: (error: CodedError) => void;
  /** See `limits.threadStopMs`. */
  readonly stopMs?: number;
  /** How long it has to end by itself; `stopMs` where it has libraries that leave nothing behind. */
  readonly graceMs?: number;
  /** Bound of its heap, in MB: past it the thread ends, and not the process. Absent: the process's. */
  readonly heapMb?: number;
}

export interface TrustedThread<Remote> {
  readonly remote: Callable<Remote>;
  /** What nobody waits for (`runtime/thread/calls.ts`). */
  readonly tell: Tellable<Remote>;
  /** Ends the thread; whatever it holds must have been closed by a call before. Resolves when it is gone, or `graceMs` and `stopMs` have passed. */
  readonly stop: () => Promise<void>;
}

type Ready = { readonly ready: true } | { readonly ready: false; readonly refusal: Refusal };

interface ThreadData<Init> {
  readonly init: Init;
  readonly port: MessagePort;
  readonly beat: { readonly block: SharedArrayBuffer; readonly stuckMs: number } | undefined;
}

/** Rejects with the entry's own coded error if it cannot start, or `CLOISTER_THREAD_LOST` if it ends before it is ready. */
export async function startTrustedThread<Remote>({
  entry,
  name,
  init,
  handlers,
  stuckMs,
  onLost,
  onNotStarted,
  onTellFailed,
  heapMb,
  stopMs = limits.threadStopMs,
  graceMs = stopMs,
}: TrustedThreadOptions): Promise<TrustedThread<Remote>> {
  const { port1, port2 } = new MessageChannel();
  const beat = stuckMs === undefined ? undefined : { block: makeBeatBlock(), stuckMs };
  // Else what the main thread was started with (`gatewayFlags`) counts for this one, whatever the limit below says.
  setFlagsFromString("--max-semi-space-size=0");
  const worker = new Worker(entry, {
    name,
    workerData: { init, port: port2, beat } satisfies ThreadData<unknown>,
    transferList: [port2],
    // Threads get what they need through `init`; the process's environment may hold secrets.
    env: {},
    resourceLimits: {
      maxYoungGenerationSizeMb: limits.trustedYoungGenerationMb,
      ...(heapMb === undefined ? {} : { maxOldGenerationSizeMb: heapMb }),
    },
  });
  const connection = connectCalls<Remote>(port1, handlers, onTellFailed);
  let why: string | undefined;
  const gone = new Promise<string>((resolve) => {
    worker.on(
      "error",
      (error: unknown) => (why ??= error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    worker.on("exit", (code) => resolve(`the ${name} thread ended (${why ?? `exit code ${code}`})`));
  });
  const ready = new Promise<Ready>((resolve) => worker.once("message", resolve));

  let phase: "starting" | "running" | "over" = "starting";
  /** Callers may be asking for an agent: what ended the thread, with its stack, is for the log alone. */
  const lose = (reason: string, told = `the ${name} thread ended; the log has the reason`): void => {
    connection.lost(told);
    port1.close();
    if (phase === "running") onLost(reason);
    phase = "over";
  };
  if (beat !== undefined) {
    const stopLooking = watchBeat(beat.block, beat.stuckMs, () => {
      why = `its loop did not turn for ${beat.stuckMs} ms`;
      // Before it is gone: one that stands in native code may not end.
      const reason = `the ${name} thread is ended: ${why}`;
      if (phase === "running") lose(reason, reason);
      void worker.terminate();
    });
    void gone.then(stopLooking);
  }

  /** One that is stuck in native code ends with the process alone: it is waited for no longer. */
  const end = async (): Promise<void> => {
    port1.close();
    if (await isWithin(gone, graceMs)) return;
    void worker.terminate();
    await isWithin(gone, stopMs);
  };

  const started = await Promise.race([ready, gone]);
  if (typeof started === "string" || !started.ready) {
    await end();
    if (typeof started !== "string") throw fromRefusal(started.refusal);
    onNotStarted?.(started);
    const told = onNotStarted === undefined ? started : `the ${name} thread did not start; the log has the reason`;
    throw failure("CLOISTER_THREAD_LOST", `cannot start: ${told}`);
  }

  phase = "running";
  void gone.then((reason) => lose(reason));
  return {
    remote: connection.remote,
    tell: connection.tell,
    stop: async () => {
      phase = "over";
      await end();
    },
  };
}

/** In the entry of a thread: `start` gets `init` and the other side, to call and to tell, and gives the methods that the other side may call. */
export function serveTrustedThread<Init, Remote>(
  start: (init: Init, remote: Callable<Remote>, tell: Tellable<Remote>) => Promise<object>,
): void {
  if (parentPort === null)
    throw failure("CLOISTER_INTERNAL", "this file is the entry of a thread and cannot run by itself");
  const parent = parentPort;
  const { init, port, beat } = workerData as ThreadData<Init>;
  if (beat !== undefined) beatInto(beat.block, beat.stuckMs);
  const { handlers, serve } = makeLateHandlers();
  const { remote, tell } = connectCalls<Remote>(port, handlers);
  start(init, remote, tell).then(
    (ready) => {
      serve(ready);
      parent.postMessage({ ready: true } satisfies Ready);
    },
    (error: unknown) => {
      parent.postMessage({ ready: false, refusal: toRefusal(error) } satisfies Ready);
      port.close();
    },
  );
}
