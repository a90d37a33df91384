/**
 * What an operator asks of the gateway's process: how it is, to stop, to start anew. It ends as on a signal; its launcher starts
 * it again. Without a launcher nobody would, so that a restart is refused and whoever runs it (a service manager) has to.
 */
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Launched } from "../launcher/port.ts";

export interface StopOrder {
  /** A signal's name, or who ordered it. */
  readonly reason: string;
  /** How long turns in flight may take to end. */
  readonly drainMs: number;
  /** To be started again. */
  readonly again: boolean;
}

export interface LifecycleDeps {
  readonly pid: number;
  readonly bootId: string;
  readonly startedAtMs: number;
  readonly launched?: Launched | undefined;
  readonly onStopOrder: (order: StopOrder) => void;
  /** Reads the configuration that a start would read. Rejects with what is wrong with it. */
  readonly checkConfig: () => Promise<unknown>;
  readonly turnsInFlight: () => number;
  readonly isReady: () => boolean;
}

export interface StopParams {
  /** Refuse while turns are running. */
  readonly safe?: boolean | undefined;
  /** Wait for no turn: it is handled again after the start. */
  readonly force?: boolean | undefined;
  readonly waitMs?: number | undefined;
}

export interface Lifecycle {
  status(): object;
  /**
   * Answers before it ends. Rejects with `CLOISTER_GATEWAY_BUSY`; for a restart also with `CLOISTER_GATEWAY_NO_LAUNCHER`, or with
   * what is wrong with the configuration: the gateway that runs goes on, since the next one would not start.
   */
  end(params: StopParams, again: boolean, by: string): Promise<object>;
}

export function makeLifecycle(deps: LifecycleDeps): Lifecycle {
  const { pid, bootId, startedAtMs, launched } = deps;
  const launcher = launched ?? null;
  return {
    status: () => ({ pid, bootId, startedAtMs, ready: deps.isReady(), runs: deps.turnsInFlight(), launcher }),
    async end({ safe, force, waitMs }, again, by) {
      const what = again ? "restart" : "stop";
      if (again && launched === undefined) {
        throw failure(
          "CLOISTER_GATEWAY_NO_LAUNCHER",
          `cannot restart the gateway with pid ${pid}: it runs without its launcher, so that nobody would start it again`,
          "restart it with what started it (e.g. `systemctl restart cloister`), or start it without --no-launcher",
        );
      }
      if (again) await deps.checkConfig();
      const runs = deps.turnsInFlight();
      if (safe === true && runs > 0) {
        throw failure(
          "CLOISTER_GATEWAY_BUSY",
          `cannot ${what} the gateway safely: turns are running, ${runs} of them`,
          "try again when they have ended (`cloister agents`), or leave out --safe: turns may then end before it does",
        );
      }
      const drainMs = force === true ? 0 : (waitMs ?? limits.drainMs);
      const order: StopOrder = { reason: `${what} ordered by ${by}`, drainMs, again };
      // After the answer is on its way: the stop closes the sockets.
      setImmediate(() => deps.onStopOrder(order));
      return { ok: true, pid, bootId, drainMs, runs };
    },
  };
}
