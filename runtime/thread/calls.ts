/**
 * Typed calls between two trusted threads over one MessagePort: `serveCalls` on one side, `connectCalls` on the other.
 *
 * Each `postMessage` wakes the other thread: what one round of the loop brought together travels in one. The other side takes it event by event, each with
 * all that follows from it without waiting before the next, as if each had come alone. Every call settles: when the port closes or the thread ends (`lost`), all pending ones reject with `CLOISTER_THREAD_LOST`.
 * Errors travel by code (`runtime/kernel/errors.ts`).
 * What is told (`tell`) is a call in the same order that nobody waits for: it is answered only when it fails, so that it wakes nobody a second time.
 * Not for cells: a cell is not trusted and speaks `runtime/thread/frame.ts`.
 */
import type { MessagePort } from "node:worker_threads";
import { type CodedError, failure, fromRefusal, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

/** Of what is told the id is 0. */
type Call = readonly [id: number, method: string, args: readonly unknown[]];
type Answer = readonly [id: number, ok: boolean, value: unknown];
/** Of one event. */
interface Batch {
  readonly calls: Call[];
  readonly answers: Answer[];
}

/** An interface whose methods all return promises. */
export type Callable<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => Promise<R> : never;
};

/** Those of its methods that give nothing, for who does not wait for them. Nothing is heard of a call that was lost with its thread. */
export type Tellable<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => Promise<void> ? K : never]: T[K] extends (
    ...args: infer A
  ) => Promise<void>
    ? (...args: A) => void
    : never;
};

/** Handlers that are there before what answers: until `serve` is called, each call is answered as one that nobody handles. */
export function makeLateHandlers(): { readonly handlers: object; readonly serve: (served: object) => void } {
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
  return { handlers, serve: (ready) => void (served = ready) };
}

export interface Connection<T> {
  readonly remote: Callable<T>;
  readonly tell: Tellable<T>;
  /** Rejects everything pending; further calls reject at once. */
  lost(reason: string): void;
}

/** Both directions on one port: `handlers` answer the other side, `remote` calls it. Either side may be empty (`{}`). `onTellFailed`: what was told threw there. */
export function connectCalls<Remote>(
  port: MessagePort,
  handlers: object,
  onTellFailed: (error: CodedError) => void = () => undefined,
): Connection<Remote> {
  const pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: CodedError) => void }>();
  let nextId = 1;
  let lostReason: string | undefined;
  let batch: Batch | undefined;
  /** Of this round of the loop, in their order. */
  let round: Batch[] = [];

  const post = (): void => {
    const sent = round;
    round = [];
    if (sent.length > 0 && lostReason === undefined) port.postMessage(sent);
  };

  const out = (): Batch => {
    if (batch === undefined) {
      const begun: Batch = { calls: [], answers: [] };
      batch = begun;
      process.nextTick(() => {
        batch = undefined;
        if (round.push(begun) === 1) setImmediate(post);
        // A long round: the other side can begin.
        if (round.length >= limits.callEventsMax) post();
      });
    }
    return batch;
  };

  const answer = (id: number, method: string, args: readonly unknown[]): void => {
    const handler = (handlers as Record<string, unknown>)[method];
    if (typeof handler !== "function") {
      out().answers.push([
        id,
        false,
        { code: "CLOISTER_INTERNAL", message: `no handler for the call ${method}` } satisfies Refusal,
      ]);
      return;
    }
    Promise.resolve()
      .then(() => handler.apply(handlers, args) as unknown)
      .then(
        (value) => {
          if (id !== told) out().answers.push([id, true, value]);
        },
        (error: unknown) => out().answers.push([id, false, toRefusal(error)]),
      );
  };

  const receive = (batches: readonly Batch[], at = 0): void => {
    const received = batches[at];
    if (received === undefined) return;
    for (const [id, method, args] of received.calls) answer(id, method, args);
    for (const [id, ok, value] of received.answers) {
      if (id === told) onTellFailed(fromRefusal(value as Refusal));
      const waiting = pending.get(id);
      if (waiting === undefined) continue;
      pending.delete(id);
      if (ok) waiting.resolve(value);
      else waiting.reject(fromRefusal(value as Refusal));
    }
    // A tick comes when no promise has anything left to do.
    if (at + 1 < batches.length) queueMicrotask(() => process.nextTick(receive, batches, at + 1));
  };

  const lost = (reason: string): void => {
    lostReason ??= reason;
    const settled = [...pending.values()];
    pending.clear();
    for (const { reject } of settled)
      reject(failure("CLOISTER_THREAD_LOST", `the call was pending when ${lostReason}`));
  };

  port.on("message", (batches: readonly Batch[]) => receive(batches));
  port.on("close", () => lost("its thread ended"));

  const remote = makeMethods(
    (method) =>
      (...args) =>
        new Promise((resolve, reject) => {
          if (lostReason !== undefined) {
            reject(failure("CLOISTER_THREAD_LOST", `no call is possible: ${lostReason}`));
            return;
          }
          const id = nextId++;
          pending.set(id, { resolve, reject });
          out().calls.push([id, method, args]);
        }),
  );
  const tell = makeMethods((method) => (...args) => {
    if (lostReason === undefined) out().calls.push([told, method, args]);
  });
  return { remote: remote as Callable<Remote>, tell: tell as Tellable<Remote>, lost };
}

const told = 0;

/** An object that has every method; each is made once. */
function makeMethods(make: (method: string) => (...args: unknown[]) => unknown): object {
  return new Proxy(Object.create(null) as Record<string, unknown>, {
    get: (methods, method) => {
      if (typeof method !== "string" || method === "then") return undefined;
      return (methods[method] ??= make(method));
    },
  });
}
