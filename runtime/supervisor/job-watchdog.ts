/**
 * Ends runs of jobs and heartbeats that take too long, since nobody waits for them, and the next time of a job is left out while one goes on; and those of
 * hooks that say how long they may take. The time counts from the beginning of a turn, so that one that is handled again after a restart has it anew. Source: behaviour §5.7.
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
      const { from, sessionKey, runId, turnMsMax } = header;
      const isJob = from.type === "timer" && isOperators(from.timerId);
      const spanMs = turnMsMax ?? (isJob ? (spanMsOf(header) ?? limits.jobRunMsMax) : undefined);
      if (spanMs === undefined) return;
      ended(header);
      const of = from.type === "timer" ? { job: from.timerId } : { hook: from.type === "hook" ? from.name : from.type };
      const what = isJob ? "the run of a job" : "the turn of a hook";
      const end = (): void => {
        log.warn({ ...of, session: sessionKey, run: runId }, `${what} takes too long, and is ended`);
        stop({ type: "session", sessionKey, runId }, `the time that ${what} may take`).catch((error: unknown) =>
          log.error({ ...of, error: toRefusal(error) }, `${what} could not be ended`),
        );
      };
      running.set(header.id, setTimeout(end, spanMs).unref());
    },
    ended,
  };
}
