/**
 * One call of a program, from the request to the end of its run. Who closes the connection wants no answer any more: the run is
 * stopped. But under an `Idempotency-Key` the request may come again, and then the run goes on and its answer waits.
 */
import { callerSubject } from "../../../auth/compile-pairings.ts";
import { fromRefusal, type Refusal } from "../../kernel/errors.ts";
import type { EdgeBounds } from "../bounds.ts";
import type { Log } from "../log.ts";
import type { ChatEvent, KernelForEdge, ProgramCall, ProgramCallResult, RunResult } from "../port.ts";
import type { Exchange } from "../route.ts";
import type { ProgramDoor } from "./door.ts";
import { makeFeed } from "./feed.ts";

export interface CallDeps {
  readonly kernel: Pick<KernelForEdge, "call" | "callable" | "stopCall" | "waitRun">;
  readonly door: ProgramDoor;
  readonly bounds: EdgeBounds;
  readonly listeners: RunListeners;
  readonly log: Log;
}

/** Who hears what a run streams, on this thread. */
export interface RunListeners {
  take(event: ChatEvent): void;
  /** A turn begins with it, or begins anew; told of runs whose id begins with `followedRun`. */
  began(runId: string): void;
  /** Gives what ends it. */
  listen(runId: string, listener: RunListener): () => void;
}

export interface RunListener {
  hear(event: ChatEvent): void;
  began?(): void;
}

export function makeRunListeners(): RunListeners {
  const byRun = new Map<string, Set<RunListener>>();
  return {
    take: (event) => {
      for (const listener of byRun.get(event.runId) ?? []) listener.hear(event);
    },
    began: (runId) => {
      for (const listener of byRun.get(runId) ?? []) listener.began?.();
    },
    listen: (runId, listener) => {
      const all = byRun.get(runId) ?? new Set();
      byRun.set(runId, all.add(listener));
      return () => {
        all.delete(listener);
        if (all.size === 0 && byRun.get(runId) === all) byRun.delete(runId);
      };
    },
  };
}

export type Accepted = Extract<ProgramCallResult, { status: "accepted" | "duplicate" }>;

export interface CallSink {
  /** It is stored. */
  accepted(result: Accepted): void;
  /** Text of the answer; all of it together is the answer. */
  text(part: string): void;
}

/**
 * Resolves with the answer, null when the agent chose to stay silent, after every part of it went to `sink`. Rejects with the
 * refusal of the call or of the run. The request may be one that nobody waits for any more: what it wrote goes nowhere then.
 */
export async function carryOutCall(
  { request, response }: Exchange,
  call: ProgramCall,
  sink: CallSink,
  { kernel, door, bounds, listeners, log }: CallDeps,
): Promise<string | null> {
  const ended = Promise.withResolvers<{ readonly why: Refusal; readonly stops: boolean }>();
  const leave = door.enter(request, (why) => ended.resolve({ why, stops: why.code !== "CLOISTER_GATEWAY_DRAINING" }));
  const gone = (): void => ended.resolve({ why: clientGone, stops: call.idempotencyKey === undefined });
  response.once("close", gone);
  const feed = makeFeed((part) => sink.text(part));
  const unlisten = listeners.listen(call.runId, { hear: (event) => feed.take(event) });
  try {
    const result = await kernel.call(call);
    if (result.status === "refused") throw fromRefusal(result.refusal);
    sink.accepted(result);
    const over = await Promise.race([kernel.waitRun(result.runId, bounds.programWaitMs), ended.promise]);
    const failed = refusalOf(over, bounds);
    if (failed !== undefined) {
      if (failed.stops)
        await kernel
          .stopCall(result.sessionKey, result.runId, subjectOf(call))
          .catch((error: unknown) => log("warn", "a run could not be stopped", { error: String(error) }));
      throw fromRefusal(failed.why);
    }
    const reply = "reply" in over ? over.reply : null;
    feed.finish(reply ?? "");
    return reply;
  } finally {
    unlisten();
    leave();
    response.off("close", gone);
  }
}

function refusalOf(
  over: RunResult | { readonly why: Refusal; readonly stops: boolean },
  { programWaitMs }: EdgeBounds,
): { readonly why: Refusal; readonly stops: boolean } | undefined {
  if ("why" in over) return over;
  if (over.status === "ok") return undefined;
  if (over.status === "error") return { why: over.refusal, stops: false };
  const message = `the agent did not answer within ${programWaitMs / 1000} s, and its run was stopped`;
  return { why: { code: "CLOISTER_ASK_TIMEOUT", message }, stops: true };
}

const clientGone: Refusal = { code: "CLOISTER_EDGE_TIMEOUT", message: "the client closed the connection" };

export const subjectOf = ({ program }: Pick<ProgramCall, "program">): string =>
  program.type === "operator" ? "operator" : callerSubject(program.name);
