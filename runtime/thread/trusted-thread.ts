/**
 * A thread of our own (store, edge) with typed calls in both directions. Trusted: it is not confined. A cell is something else.
 *
 * Life: `startTrustedThread` gives the entry its `init` and waits → the entry's `serveTrustedThread` builds its handlers and
 * says ready, or why not → calls → `stop` closes the port and the thread ends by itself.
 */
import { MessageChannel, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { failure, fromRefusal, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { type Callable, connectCalls } from "./calls.ts";

export interface TrustedThreadOptions {
  readonly entry: URL;
  /** Shown by debuggers and in reasons, e.g. `store`. */
  readonly name: string;
  /** Plain data for the entry. */
  readonly init: unknown;
  /** What the thread may call here. */
  readonly handlers: object;
  /** The thread ended without `stop`. Every pending call has been rejected with `CLOISTER_THREAD_LOST`. */
  readonly onLost: (reason: string) => void;
}

export interface TrustedThread<Remote> {
  readonly remote: Callable<Remote>;
  /** Ends the thread; whatever it holds must have been closed by a call before. Resolves when it is gone. */
  readonly stop: () => Promise<void>;
}

type Ready = { readonly ready: true } | { readonly ready: false; readonly refusal: Refusal };

/** A thread that has closed everything ends at once; one that has not is ended after this long. */
const stopGraceMs = 5_000;

/** Rejects with the entry's own coded error if it cannot start, or `CLOISTER_THREAD_LOST` if it ends before it is ready. */
export async function startTrustedThread<Remote>({
  entry,
  name,
  init,
  handlers,
  onLost,
}: TrustedThreadOptions): Promise<TrustedThread<Remote>> {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(entry, {
    name,
    workerData: { init, port: port2 },
    transferList: [port2],
    // Threads get what they need through `init`; the process's environment may hold secrets.
    env: {},
    resourceLimits: { maxYoungGenerationSizeMb: limits.trustedYoungGenerationMb },
  });
  const connection = connectCalls<Remote>(port1, handlers);
  const gone = new Promise<string>((resolve) => {
    let reason: string | undefined;
    worker.on(
      "error",
      (error: unknown) => (reason ??= error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    worker.on("exit", (code) => resolve(`the ${name} thread ended (${reason ?? `exit code ${code}`})`));
  });
  const ready = new Promise<Ready>((resolve) => worker.once("message", resolve));

  const started = await Promise.race([ready, gone]);
  if (typeof started === "string" || !started.ready) {
    port1.close();
    await gone;
    throw typeof started === "string"
      ? failure("CLOISTER_THREAD_LOST", `cannot start: ${started}`)
      : fromRefusal(started.refusal);
  }

  let stopping = false;
  void gone.then((reason) => {
    connection.lost(reason);
    port1.close();
    if (!stopping) onLost(reason);
  });
  return {
    remote: connection.remote,
    stop: async () => {
      stopping = true;
      port1.close();
      const timer = setTimeout(() => void worker.terminate(), stopGraceMs);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** In the entry of a thread: `start` gets `init` and the other side, and gives the methods that the other side may call. */
export function serveTrustedThread<Init, Remote>(
  start: (init: Init, remote: Callable<Remote>) => Promise<object>,
): void {
  if (parentPort === null)
    throw failure("CLOISTER_INTERNAL", "this file is the entry of a thread and cannot run by itself");
  const parent = parentPort;
  const { init, port } = workerData as { init: Init; port: MessagePort };
  let served: object | undefined;
  const handlers = new Proxy(
    {},
    {
      get: (_, method) => {
        const handler: unknown = served === undefined ? undefined : Reflect.get(served, method);
        return typeof handler === "function" ? handler.bind(served) : undefined;
      },
    },
  );
  const { remote } = connectCalls<Remote>(port, handlers);
  start(init, remote).then(
    (ready) => {
      served = ready;
      parent.postMessage({ ready: true } satisfies Ready);
    },
    (error: unknown) => {
      parent.postMessage({ ready: false, refusal: toRefusal(error) } satisfies Ready);
      port.close();
    },
  );
}
