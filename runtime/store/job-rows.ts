/**
 * What makes a timer a job: set by an operator and not by an agent's turn. A job is a row of the timers (`signals.ts`), so that each of its times
 * fires once, with the journaling of its message. One that has no next time is due at `neverMs`.
 */
import type { ReplyRoute } from "../kernel/envelope.ts";
import type { TurnChoices } from "../kernel/session-choices.ts";

/** The last time that a clock of JavaScript can tell. */
export const neverMs = 8.64e15;

export type JobSchedule =
  | { readonly kind: "at"; readonly atMs: number }
  /** At `anchorMs` plus a whole number of periods. */
  | { readonly kind: "every"; readonly everyMs: number; readonly anchorMs: number }
  /** `tz` is a name of the IANA database. */
  | { readonly kind: "cron"; readonly expr: string; readonly tz: string };

export interface Job {
  readonly description?: string;
  readonly schedule: JobSchedule;
  /** `isolated`: each run has a session of its own; the row's `sessionKey` is what theirs begin with. */
  readonly target: "main" | "isolated" | "session";
  /** `systemEvent` tells the session something; `agentTurn` is said to it. */
  readonly payload: "systemEvent" | "agentTurn";
  /** Of each of its turns: which model gives it, how much it thinks, and how long it may take. */
  readonly turn?: JobTurn;
  readonly delivery: ReplyRoute;
  /** What its time brings waits for the agent's next heartbeat. Of `systemEvent` alone. */
  readonly atHeartbeat?: boolean;
  /** Its time has come, and what it brings waits: as long as the row is due at `untilMs`. */
  readonly held?: { readonly dueAtMs: number; readonly untilMs: number };
  readonly enabled: boolean;
  /** The due time that somebody gave it by hand: that one counts also while jobs are off. */
  readonly byHandAtMs?: number;
  /** It goes with the journaling of its one message; false for what recurs. */
  readonly deleteAfterRun: boolean;
  /** The agent's session that set it; absent: an operator did. */
  readonly setIn?: string;
  /** Who set it or changed it last. */
  readonly by: string;
  readonly updatedAtMs: number;
  /** Newest last, at most `limits.jobRunsKeptMax`. */
  readonly runs: readonly JobRun[];
}

export interface JobTurn {
  readonly choices?: TurnChoices;
  readonly turnMsMax?: number;
}

/** One end of a run, or a time that was left out. A crash between the end of a turn and this row loses the row alone. */
export interface JobRun {
  readonly atMs: number;
  readonly status: "ok" | "error" | "skipped";
  readonly runId?: string;
  readonly sessionKey?: string;
  readonly startedAtMs?: number;
  /** The head of the answer, or why there is none. */
  readonly text?: string;
  /** Whether the answer reached its channel. Absent: it is on its way, there was none, or the gateway ended before it was known. */
  readonly answer?: JobAnswer;
}

export interface JobAnswer {
  /** `stays`: it goes to no channel. `withheld`: it may not leave its session. */
  readonly fate: "sent" | "stays" | "withheld" | "undeliverable";
  readonly why?: string;
}

/** What is named is changed. */
export interface JobChange {
  readonly name?: string;
  readonly body?: string;
  readonly sessionKey?: string;
  /** A new next time. */
  readonly dueAtMs?: number;
  readonly job?: Partial<Omit<Job, "runs">>;
  readonly ran?: JobRun;
  /** Of a run that is there. */
  readonly answered?: { readonly runId: string; readonly answer: JobAnswer };
}

/** Of a message of a hook, what its envelope will have beside agent, session, right and body. `name` of its row is who sends. */
export interface WaitingHook {
  readonly runId: string;
  readonly replyRoute: ReplyRoute;
  readonly choices?: TurnChoices;
  readonly turnMsMax?: number;
  readonly expiresAtMs?: number;
  readonly trace?: string;
}
