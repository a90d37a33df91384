/**
 * What the kernel remembers. What it asks of its driver: `effects.ts`.
 *
 * The kernel is a state machine: methods take events and the time, change this state and emit effects as plain data. It
 * never waits, reads a clock or touches a thread; the driver (`runtime/supervisor`) carries the effects out and reports back.
 * It reports after the emitting call has returned, never from inside `emit`: an effect may be emitted half way through a step.
 *
 *   dormant ──mail──► starting ──ready──► live ──idle──► stopping ──exit──► dormant
 *                        └──────exit──────┼──end decided──┘ (ends.ts)
 *                                         └──exit (crash): back-off, then dormant; too often: parked
 *   live ──order──► (turns end) ──► stopping ──exit──► dormant (restart) or parked (stop, park)
 */
import type { Admission } from "./admit.ts";
import type { AgentSpec } from "./agent-spec.ts";
import type { AgentTable } from "./agent-table.ts";
import type { LaneState } from "./places.ts";
import type { Asks } from "./asks.ts";
import type { Chain } from "./chains.ts";
import type { AgentPhase, EnvelopeHeader, Failure, Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { DownRecord, UpRecord } from "./frames.ts";
import type { QueueMode } from "./queues.ts";
import type { Asked, Questions, Route } from "./questions.ts";
import type { AgentOrder } from "./orders.ts";
import type { PairingRegistry } from "./pairings.ts";
import type { KernelSettings } from "./settings.ts";
import type { LiveRun } from "./live-run.ts";
import type { Tokens } from "./run-rows.ts";
import type { CheckedSend } from "./sends.ts";
import type { SessionChoices, ToldRoom } from "./session-choices.ts";
import type { SessionNotice } from "./session-notices.ts";
import type { CallId, StepRow } from "./steps.ts";
import type { Offers } from "./tool-lists.ts";
import type { TurnRow } from "./turn-rows.ts";
import type { Begun } from "./turns.ts";
import type { Effect } from "./effects.ts";

export type { AgentSpec, MailboxPolicy } from "./agent-spec.ts";
export type { AskedEffect, AuditEffect, Effect } from "./effects.ts";

export type ExitReason = "normal" | "shutdown" | "crash" | "hung" | "out_of_memory" | "killed";

/** One envelope on its way through the kernel, from `stored` to done. */
export interface Mail {
  /** The body of stored mail stays in the store until its turn begins, so that a backlog costs headers. */
  readonly envelope: { readonly header: EnvelopeHeader };
  readonly volatile: boolean;
  /** Order of arrival in this process, and its time. */
  readonly order: number;
  readonly atMs: number;
  /** Was with a cell when it crashed: such mail is delivered alone, so that the next crash tells which envelope caused it. */
  suspect: boolean;
  /** A cell crashed while this was the only mail that it worked on. */
  convicted: boolean;
  aborted: boolean;
  /** How it waits (`queues.ts`); undefined: nobody said it, and it has a turn of its own. */
  readonly mode: QueueMode | undefined;
  /** More waited than the cap: its beginning goes with the next turn. */
  shortened: boolean;
  /** Its sender may go on: it begins nothing before that was quiet for a while (`arrivals.ts`). */
  held: boolean;
  /** Came while the one before it was held: one turn handles both. */
  goesOn: boolean;
  /** The list of tools that came with a delivery whose cell ended; the next one has the same (`tool-lists.ts`). */
  offer: string | undefined;
}

export interface SessionLane {
  readonly key: string;
  readonly queue: Mail[];
  running: Turn | undefined;
  /** What is collected or held begins at this time, if nothing more comes. */
  quietAtMs: number | undefined;
}

/** What one delivery of a turn took, from its beginning on. */
export interface TurnWork {
  readonly sinceMs: number;
  /** That were made in it, and not repeated. */
  toolCalls: number;
}

export interface Turn {
  readonly number: number;
  readonly mail: Mail;
  /** Mail that it handles beside its own, and what is about to be (`gather.ts`). */
  readonly taken: Mail[];
  readonly taking: Mail[];
  /** What is delivered once `taking` is recorded. */
  opening: { readonly body: string; readonly state: string | null } | undefined;
  readonly agentId: string;
  readonly incarnation: number;
  /** `beginning` waits for the store, `delivered` for the cell, `committing` for the store again, `uncommitted` to try that again. */
  stage: "beginning" | "delivered" | "committing" | "uncommitted";
  attempt: number;
  /** Its message is on its way to the journal (`early-turns.ts`), and what the store has said of the turn meanwhile. */
  early: { said: Begun | undefined } | undefined;
  /** As they were when the store began it. */
  choices: SessionChoices | undefined;
  notices: readonly SessionNotice[] | undefined;
  historyTurns: number | undefined;
  room: ToldRoom | undefined;
  /** The list of tools that came with the delivery, until it is taken; and that of the last call that was told one (`tool-lists.ts`). */
  offer: string | undefined;
  told: { readonly key: number; readonly text: string } | undefined;
  /** Models that answered in it, also in an earlier delivery. */
  answered: Set<string> | undefined;
  /** What its last call of a model was refused with, unless it was answered. */
  modelFailure: Refusal | undefined;
  /** Counts in its lane, if that has places. Given back while the turn waits for an ask. */
  holdsPlace: boolean;
  streamed: number;
  /** What it has written so far, as long as that may still become an answer that says nothing; else undefined. */
  heldText: string | undefined;
  streamSeq: number;
  /** Its rows of the transcript between the message and the answer (`turn-rows.ts`). */
  readonly rows: TurnRow[];
  /** Calls of this delivery that are on record or about to be, and all of the earlier ones; made when there is one (`steps.ts`). */
  steps: Map<number, StepRow> | undefined;
  stepChars: number;
  /** Answers that the cell heard and that go to the disk before anything that stays (`steps.ts`); made when there is one. */
  late: StepRow[] | undefined;
  /** When a tick first found some. */
  lateSeenMs: number | undefined;
  /** Records with such answers that the store has not answered. */
  lateOnWay: number;
  /** What the cell said while they go there. */
  held: UpRecord[] | undefined;
  /** Steps of this delivery: `waiting` for the store, or the cell runs their function. Made when there is one. */
  openSteps: Map<number, "waiting" | "running"> | undefined;
  outcome: Outcome | undefined;
  /** What calls without an answer were given, and failures of calls so far, as hashes (`loops.ts`). */
  given: Map<number, number> | undefined;
  failures: Map<string, number> | undefined;
  /** Why it ends early, when no operator stopped it. */
  why: Failure | undefined;
  /** It was stopped: not done by then, its cell is ended (`stops.ts`). */
  endByMs: number | undefined;
  /** What the store was asked to commit; kept, so that it can be asked again. */
  commit: Extract<Effect, { type: "commit" }> | undefined;
  /** It called `sessions_yield`: what it answers if it says nothing itself, or nothing. */
  yielded: string | undefined;
  /** Reported so far (`usage.ts`). */
  tokens: Tokens | undefined;
  readonly work: TurnWork;
  /** Tokens of its last request to a model with the answer, by the number of the call; gone when the conversation was shortened after it. */
  context: { readonly key: number; readonly tokens: number } | undefined;
  /** Questions in memory that it waits for, beside its asks; what it may ask whom, by session (`questions.ts`). */
  questions: number;
  routes: Map<string, Route> | undefined;
}

export interface AgentEntry {
  spec: AgentSpec;
  disabled: string | undefined;
  leaving: string | undefined; // why it was removed, while it has work that is not over (`roster.ts`)
  phase: Exclude<AgentPhase, "running" | "disabled">;
  reason: string | undefined;
  incarnation: number;
  lastSeq: number;
  /** Slot number → pairing id, for the incarnation that lives. */
  slots: ReadonlyMap<number, string>;
  /** The next number that no slot of the incarnation had. */
  nextSlot: number;
  /** What changed in the slots while the cell starts: it is told when it is ready (`rights.ts`). */
  slotNews: readonly DownRecord[];
  /** Whether it has its collections: not before it had mail or a cell. */
  readonly isMade: boolean;
  readonly lanes: Map<string, SessionLane>;
  /** Sessions with mail and no running turn, in order of arrival; by the lane that their next mail needs (`lanes.ts`). */
  readonly ready: Map<string, Set<SessionLane>>;
  readonly turns: Map<number, Turn>;
  /** Sessions whose state the cell keeps, least recently used first. */
  readonly loaded: Set<string>;
  /** Envelopes accepted and not ended, with those whose append is in flight; of the agent and by session (`depth.ts`). */
  depth: number;
  readonly sessionDepth: Map<string, number>;
  /** Appends in flight among `depth`. */
  appending: number;
  /** Mail behind `depth`, which is in the journal alone (`spill.ts`). */
  spill: Spill | undefined;
  /** Senders that wait for a place in the mailbox, oldest first (`crowd.ts`). */
  crowd: Waiting[] | undefined;
  /** Mail with `suspect`; above 0 the agent is in quarantine (`dispatch.ts`). */
  suspects: number;
  /** Sends of the live cell whose append is in flight. */
  unacked: number;
  /** Characters of the cell's requests to models that are not answered. */
  modelChars: number;
  /** Tool calls of the cell that are not answered, by their reference. */
  readonly openCalls: Set<number>;
  readonly offers: Offers;
  readonly asked: Asked;
  /** The last abnormal ends, as many as its intensity needs. */
  crashTimes: number[];
  /** Abnormal ends in a row, for the back-off. */
  crashStreak: number;
  restarts: number;
  /** What an operator ordered and turns in flight hold up (`orders.ts`); carried out at `untilMs` at the latest. */
  order: (AgentOrder & { readonly untilMs: number }) | undefined;
  /** Which stop of the whole agent was the last, by `KernelState.stops`; 0: none. */
  stopNumber: number;
  /** Back-off: nothing starts before. */
  notBeforeMs: number;
  /** How often its store failed in a row. */
  storeFailures: number;
  lastActivityMs: number;
  /** When the phase last changed to `starting`. */
  startedAtMs: number;
  /** Whether its module takes part in exchanges (`exchange.ts`); undefined until it was loaded. */
  takesPart: boolean | undefined;
  /** Present: it is no agent but a sub-agent's run (`runs.ts`). */
  run: LiveRun | undefined;
}

export interface Spill {
  /** The journal's rows of the agent with `after < seq <= until` are the backlog: `count` of them. */
  after: number;
  until: number;
  count: number;
  isReading: boolean;
  /** The reading failed: not again before. */
  notBeforeMs: number;
  /** Stopped while it lay on the disk, and perhaps still there: what is of the session or run up to this number, by `stopKey`. */
  readonly stopped: Map<string, number>;
  /** `drop-queued` effects that are not answered. */
  drops: number;
  /** Envelopes that ended by a drop and may still be read, or the other way round. */
  readonly gone: Set<string>;
}

/** One that waits for a place. An agent's wait is also an ask (`asks.ts`) under the id `place`, so that it is seen and ends. */
export type Waiting =
  | {
      readonly type: "ingress";
      readonly admission: Admission;
      readonly ticket: number;
      readonly sessionKey: string;
      readonly deadlineMs: number;
    }
  | {
      readonly type: "cell";
      readonly place: string;
      readonly agentId: string;
      readonly turn: number;
      readonly request: CheckedSend;
      readonly sessionKey: string;
    };

/** `stops`: how many stops of whole agents there had been when the append began. */
export type AppendTicket =
  /** The gateway's own: nobody is answered. */
  | { readonly type: "none"; readonly stops: number }
  | { readonly type: "ingress"; readonly ticket: number; readonly stops: number }
  | {
      readonly type: "cell";
      readonly stops: number;
      readonly agentId: string;
      readonly incarnation: number;
      readonly ref: number;
      readonly turn: number;
      readonly timeoutMs: number;
      readonly fromSession: string;
      /** Undefined: it is in memory alone. */
      readonly call: CallId | undefined;
      /** The message began an exchange: a late answer is not lost. */
      readonly isFollowed: boolean;
    };

export type AcceptResult =
  | { readonly status: "stored"; readonly envelopeId: string; readonly runId: string }
  | { readonly status: "duplicate"; readonly envelopeId: string; readonly runId: string }
  | { readonly status: "refused"; readonly refusal: Refusal };

export interface KernelState {
  readonly settings: KernelSettings;
  readonly agents: AgentTable;
  /** Sub-agent runs by their session's key; each is also among `agents`, until its cell has ended. */
  readonly runs: Map<string, AgentEntry>;
  /** Runs by the session that asked for them. */
  readonly children: Map<string, Set<AgentEntry>>;
  /** What a turn waits for (`run-waits.ts`): ids of runs, by the id of the wait. */
  readonly runWaits: Map<string, Set<string>>;
  /** Tokens of each agent since the start (`usage.ts`). */
  readonly tokens: Map<string, Tokens>;
  /** Runs of which something has ended in this event (`run-notes.ts`). */
  readonly unsettled: Set<AgentEntry>;
  readonly leaving: Set<AgentEntry>; // removed, and not gone (`roster.ts`)
  readonly pairings: PairingRegistry;
  readonly asks: Asks;
  readonly questions: Questions;
  isWatched: boolean; // questions in memory, and their ends, are told
  /** Accepted and not done: mail by envelope id. */
  readonly mail: Map<string, Mail>;
  readonly lanes: Map<string, LaneState>; // those with places
  modelChars: number; // of requests to models that are not answered
  liveCells: number; // agents with a cell: starting, live or stopping
  /** Agents that may have something that becomes due: a cell, or mail. The others cost nothing as time goes by. */
  readonly astir: Set<AgentEntry>;
  /** Chains of messages among agents that have an open one, by trace (`chains.ts`). */
  readonly chains: Map<string, Chain>;
  /** Agents with mail that wait for a place among the live cells. */
  readonly wantingCells: Set<string>;
  /** Lanes that collect or hold until it is quiet. */
  readonly quiet: Map<SessionLane, AgentEntry>;
  /** Agents whose mailbox has room for those that wait for it: senders, or a backlog. */
  readonly roomy: Set<AgentEntry>;
  /** Agents with a crowd. */
  readonly crowded: Set<AgentEntry>;
  /** Characters of bodies in memory: on their way to the journal, and of senders that wait for a place. */
  heldChars: number;
  /** Backlogs by the numbers of their `drop-queued` effects that are not answered. */
  readonly drops: Map<number, Spill>;
  nextDrop: number;
  nextPlace: number;
  nextOrder: number;
  nextTurn: number;
  /** Turns that go in a circle, to be ended before anything else of their cells is heard. */
  readonly looping: Set<Turn>;
  /** Stops of whole agents so far. */
  stops: number;
  draining: boolean;
  readonly emit: (effect: Effect) => void;
}
