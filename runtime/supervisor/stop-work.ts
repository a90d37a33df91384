/**
 * `stop <agent|run|all>` as operators ask for it. The kernel stops at once (`runtime/kernel/stops.ts`): when it has returned, no
 * call of a stopped turn gets through any more. The answer waits a moment for the turns' ends, so that it can say whether all
 * of them are over.
 */
import { failure } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { Stopped, StopScope } from "../kernel/stops.ts";
import type { Store } from "../store/port.ts";
import type { Runs } from "./runs.ts";

export interface StopWorkDeps {
  readonly agents: ReadonlyMap<string, unknown>;
  readonly kernel: () => Pick<Kernel, "stop">;
  readonly runs: Pick<Runs, "wait" | "knows">;
  readonly store: Pick<Store, "keepStops">;
  readonly nowMs: () => number;
}

export interface StoppedWork {
  readonly scope: "agent" | "run" | "all";
  /** What was stopped: runs that waited, runs that ran, senders that waited for a place, messages that lie on the disk alone. */
  readonly queued: number;
  readonly active: number;
  readonly senders: number;
  readonly backlog: number;
  /** Of those that ran: not over yet when this was answered. */
  readonly ending: number;
  /** The first of them. */
  readonly runIds: readonly string[];
}

/** `by` is the client that asks. Throws `CLOISTER_REQUEST_INVALID` when nothing is called so. */
export interface StopWork {
  (target: string, by: string): Promise<StoppedWork>;
  /** A session, or one run of it. Gives the runs that were stopped; what of it lies on the disk alone is not among them. */
  session(sessionKey: string, runId: string | undefined, by: string): Promise<readonly string[]>;
}

/** Stops there and then; once it is answered, a restart forgets nothing of it. */
export function makeStop({
  kernel,
  store,
  nowMs,
}: Pick<StopWorkDeps, "kernel" | "store" | "nowMs">): (scope: StopScope, by: string) => Promise<Stopped> {
  return async (scope, by) => {
    const stopped = kernel().stop(scope, by, nowMs());
    if (stopped.kept.length > 0) await store.keepStops(stopped.kept);
    return stopped;
  };
}

export function makeStopWork(deps: StopWorkDeps): StopWork {
  const { runs } = deps;
  const stop = makeStop(deps);
  const scopeOf = (target: string): Exclude<StopScope, { type: "session" }> => {
    const agentId = target.toLowerCase();
    if (deps.agents.has(agentId)) {
      if (agentId !== "all") return { type: "agent", agentId };
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        'target: found "all", which is also the id of an agent; wanted one meaning',
        "to stop that agent: `cloister agents stop all`; to stop everything: name the other agents one by one",
      );
    }
    if (agentId === "all") return { type: "all" };
    if (runs.knows(target)) return { type: "run", runId: target };
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `target: found ${JSON.stringify(target)}, wanted the id of an agent, the id of a run that is not over, or "all"`,
      "cloister agents list",
    );
  };

  const stopTarget = async (target: string, by: string): Promise<StoppedWork> => {
    const scope = scopeOf(target);
    const { queued, active, senders, backlog } = await stop(scope, by);
    const ends = await Promise.all(active.map((runId) => runs.wait(runId, limits.stopWaitMs)));
    return {
      scope: scope.type,
      queued: queued.length,
      active: active.length,
      senders,
      backlog,
      ending: ends.filter(({ status }) => status === "timeout").length,
      runIds: [...active, ...queued].slice(0, limits.stopRunIdsMax),
    };
  };
  return Object.assign(stopTarget, {
    session: async (sessionKey: string, runId: string | undefined, by: string) => {
      const { queued, active } = await stop(
        { type: "session", sessionKey, ...(runId === undefined ? {} : { runId }) },
        by,
      );
      return [...active, ...queued];
    },
  });
}
