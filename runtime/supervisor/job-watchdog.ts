/**
 * Ends runs of jobs and heartbeats that take too long, since nobody waits for them, and the next time of a job is left out while one goes on; and those of
 * hooks that say how long they may take; and turns of agents that have a bound (`agents.defaults.timeoutSeconds`), of which whoever waits on a channel is told. The time counts from the beginning of a turn, so that one that is handled again after a restart has it anew. Source: behaviour §5.7.
 */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Stopped, StopScope } from "../kernel/stops.ts";
import type { Logger } from "./driver.ts";
import { isOperators } from "./job-schedule.ts";

export interface JobWatchdog {
  /** A turn begins, or begins anew. */
  began(header: EnvelopeHeader): void;
  ended(header: EnvelopeHeader): void;
}

const agentTurn = "a turn of the agent";

export interface JobWatchdogDeps {
  readonly stop: (scope: Extract<StopScope, { type: "session" }>, by: string) => Promise<Pick<Stopped, "active">>;
  readonly log: Logger;
  /** How long this run of a heartbeat may take; undefined: as any job's. */
  readonly heartbeatMs: (header: EnvelopeHeader) => number | undefined;
  /** How long a turn of its agent may take; undefined: there is no bound. */
  readonly agentMs: (header: EnvelopeHeader) => number | undefined;
  /** A turn is ended because of its agent's bound. */
  readonly tell: (header: EnvelopeHeader, spanMs: number) => void;
}

export function makeJobWatchdog({ stop, log, heartbeatMs, agentMs, tell }: JobWatchdogDeps): JobWatchdog {
  const running = new Map<string, NodeJS.Timeout>();

  const ended = ({ id }: EnvelopeHeader): void => {
    clearTimeout(running.get(id));
    running.delete(id);
  };

  const boundOf = (header: EnvelopeHeader): { readonly what: string; readonly spanMs: number } | undefined => {
    const { from, turnMsMax } = header;
    const ofAgent = agentMs(header);
    const ofJob =
      from.type === "timer" && isOperators(from.timerId) ? (heartbeatMs(header) ?? limits.jobRunMsMax) : undefined;
    if (turnMsMax !== undefined)
      return { what: from.type === "timer" ? "the run of a job" : "the turn of a hook", spanMs: turnMsMax };
    if (ofJob !== undefined && ofJob <= (ofAgent ?? ofJob)) return { what: "the run of a job", spanMs: ofJob };
    return ofAgent === undefined ? undefined : { what: agentTurn, spanMs: ofAgent };
  };

  return {
    began(header) {
      const bound = boundOf(header);
      if (bound === undefined) return;
      const { what, spanMs } = bound;
      const { from, sessionKey, runId, agentId } = header;
      ended(header);
      const of =
        from.type === "timer"
          ? { job: from.timerId }
          : what === agentTurn
            ? { agent: agentId, key: "agents.defaults.timeoutSeconds" }
            : { hook: from.type === "hook" ? from.name : from.type };
      const end = (): void => {
        log.warn({ ...of, session: sessionKey, run: runId, spanMs }, `${what} takes too long, and is ended`);
        stop({ type: "session", sessionKey, runId }, `the time that ${what} may take`)
          .then(({ active }) => {
            // It may have come to its end meanwhile, and has its answer.
            if (what === agentTurn && active.length > 0) tell(header, spanMs);
          })
          .catch((error: unknown) => log.error({ ...of, error: toRefusal(error) }, `${what} could not be ended`));
      };
      running.set(header.id, setTimeout(end, spanMs).unref());
    },
    ended,
  };
}
