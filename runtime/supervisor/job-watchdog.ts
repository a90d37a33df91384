/**
 * Ends runs of jobs and heartbeats that take too long: nobody waits for them, and the next time of a job is left out while one goes on. The time
 * counts from the beginning of a turn, so that one that is handled again after a restart has it anew. Source: behaviour §5.7.
 */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { StopScope } from "../kernel/stops.ts";
import type { Logger } from "./driver.ts";
import { isOperators } from "./job-schedule.ts";

export interface JobWatchdog {
  /** A turn begins, or begins anew. */
  began(header: EnvelopeHeader): void;
  ended(header: EnvelopeHeader): void;
}

export function makeJobWatchdog(
  stop: (scope: Extract<StopScope, { type: "session" }>, by: string) => Promise<unknown>,
  log: Logger,
  /** How long this run may take; undefined: as any. */
  spanMsOf: (header: EnvelopeHeader) => number | undefined,
): JobWatchdog {
  const running = new Map<string, NodeJS.Timeout>();

  const ended = ({ id }: EnvelopeHeader): void => {
    clearTimeout(running.get(id));
    running.delete(id);
  };

  return {
    began(header) {
      const { from, sessionKey, runId } = header;
      if (from.type !== "timer" || !isOperators(from.timerId)) return;
      ended(header);
      const end = (): void => {
        log.warn(
          { job: from.timerId, session: sessionKey, run: runId },
          "the run of a job takes too long, and is ended",
        );
        stop({ type: "session", sessionKey, runId }, "the time that the run of a job may take").catch(
          (error: unknown) =>
            log.error({ job: from.timerId, error: toRefusal(error) }, "the run of a job could not be ended"),
        );
      };
      running.set(header.id, setTimeout(end, spanMsOf(header) ?? limits.jobRunMsMax).unref());
    },
    ended,
  };
}
