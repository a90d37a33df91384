/** Requests of one connection that wait for their answer. Each one settles exactly once. */
import { randomUUID } from "node:crypto";
import { type CodedError, failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { fieldsOf, wireFailure } from "./wire-failure.ts";

export interface RequestOptions {
  /** Default `limits.clientRequestMs`. */
  readonly timeoutMs?: number;
  /** For a method that answers twice: called with the first answer (`status: "accepted"`); the second one resolves. */
  readonly onAccepted?: (payload: unknown) => void;
}

export interface PendingRequests {
  /** Rejects with the gateway's refusal, or with `CLOISTER_ASK_TIMEOUT`. */
  readonly request: (method: string, params: object, options?: RequestOptions) => Promise<unknown>;
  /** An answer frame. One that nobody waits for, since it came late, is dropped. */
  settle(frame: Readonly<Record<string, unknown>>): void;
  /** Everything that waits, and every later request, fails with this. */
  fail(error: CodedError): void;
}

interface Pending {
  readonly method: string;
  readonly onAccepted: RequestOptions["onAccepted"];
  readonly timer: NodeJS.Timeout;
  readonly resolve: (payload: unknown) => void;
  readonly reject: (error: CodedError) => void;
}

export function makePendingRequests(url: string, send: (text: string) => void): PendingRequests {
  const pending = new Map<string, Pending>();
  let failed: CodedError | undefined;
  let nextId = 1;

  return {
    request: (method, params, { timeoutMs = limits.clientRequestMs, onAccepted } = {}) =>
      new Promise((resolve, reject) => {
        if (failed !== undefined) {
          reject(failed);
          return;
        }
        const id = `${nextId++}:${randomUUID()}`;
        const expire = (): void => {
          pending.delete(id);
          reject(lateFailure(method, url, timeoutMs));
        };
        pending.set(id, { method, onAccepted, resolve, reject, timer: setTimeout(expire, timeoutMs) });
        send(JSON.stringify({ type: "req", id, method, params }));
      }),
    settle: ({ id, ok, payload, error }) => {
      const waiting = typeof id === "string" ? pending.get(id) : undefined;
      if (typeof id !== "string" || waiting === undefined) return;
      if (ok === true && waiting.onAccepted !== undefined && fieldsOf(payload)["status"] === "accepted") {
        waiting.onAccepted(payload);
        return;
      }
      pending.delete(id);
      clearTimeout(waiting.timer);
      if (ok === true) waiting.resolve(payload);
      else waiting.reject(wireFailure(waiting.method, fieldsOf(error)));
    },
    fail: (error) => {
      failed ??= error;
      for (const { timer, reject } of pending.values()) {
        clearTimeout(timer);
        reject(failed);
      }
      pending.clear();
    },
  };
}

function lateFailure(method: string, url: string, timeoutMs: number): CodedError {
  return failure(
    "CLOISTER_ASK_TIMEOUT",
    `${method}: the gateway at ${url} did not answer within ${timeoutMs / 1_000} s.`,
    "Try again later; `cloister status` shows what the agents are doing.",
  );
}
