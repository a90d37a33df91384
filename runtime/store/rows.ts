/** What the calls of the store's port take and give: rows, queries and results (`port.ts` has the calls). */
import type { Job, WaitingHook } from "./job-rows.ts";
import type { QueuePolicy } from "../kernel/queues.ts";
import type { Tokens } from "../kernel/run-rows.ts";
import type { DownReason, EnvelopeHeader, Failure, Fate, GrantRow, GrantVerb, ReplyRoute } from "../kernel/envelope.ts";
import type { SessionChoices } from "../kernel/session-choices.ts";
import type { SessionNotice } from "../kernel/session-notices.ts";
import type { CallId, StepRow } from "../kernel/steps.ts";
import type { CommitRow } from "../kernel/turn-rows.ts";
import type { StoredRun } from "./stored-run.ts";
import type { TimerTask } from "./task-rows.ts";
import type { ContextUsed, SpentLately, Work } from "./usage-rows.ts";

export interface AgentPlace {
  readonly agentId: string;
  /** Directory of the agent's environment. Left out: the usual one (`usualSessionsDir`). */
  readonly sessionsDir?: string;
}

/** Where an agent's environment is unless its `agentDir` or `session.store` says otherwise. */
export function usualSessionsDir(stateDir: string, agentId: string): string {
  return `${stateDir}/agents/${agentId}/sessions`;
}

export interface StorePlaces {
  /** Directory of the supervisor's environments `registry` and `journal`. */
  readonly stateDir: string;
  readonly agents: readonly AgentPlace[];
}

/** A key that is remembered for a while, with a bound of keys in its scope. */
export interface WindowKey {
  /** e.g. `webhook:biz:+1555`. */
  readonly scope: string;
  readonly key: string;
}

/** A call of the turn of the envelope `turn`, which is remembered until that turn is done. */
export interface TurnCall {
  readonly turn: string;
  readonly call: CallId;
}

/** Under what a repeated message is recognised. */
export type Dedupe = WindowKey | TurnCall;

export type AppendResult =
  /** `seq` is its place in the order of acceptance. */
  | { readonly status: "stored"; readonly seq: number }
  /** The key was seen before: nothing was appended. `envelopeId` and `runId` are those of the first one. */
  | { readonly status: "duplicate"; readonly envelopeId: string; readonly runId: string };

/** One row of the session index; kept in `registry`, so that listing opens no agent's store. */
export interface SessionRow extends SpentLately, ContextUsed {
  readonly key: string;
  readonly agentId: string;
  readonly sessionId: string;
  /** `main | group | cron | hook | node | other` as `sessions_list` names them. */
  readonly kind: SessionKind;
  readonly channel: string;
  readonly label?: string;
  /** Present: it is archived, since then. The next turn brings it back. */
  readonly archivedAtMs?: number;
  /** Present: retention never ends it. */
  readonly pinned?: true;
  /** Of this transcript; the next one begins with what lasts of it (`lastingChoices`). */
  readonly choices?: SessionChoices;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** When its first message was accepted, or when it last began anew. Absent in rows of before that was kept. */
  readonly startedAtMs?: number;
  /** The last message of a person or an agent; what the gateway itself tells it does not count. */
  readonly interactedAtMs?: number;
  readonly messages: number;
  /** What the turns of this transcript reported of models; absent: nothing. */
  readonly tokens?: Tokens;
  /** How often its conversation was summed up; absent: never. */
  readonly compactions?: number;
  /** The session whose sub-agent it is, and those above that one. */
  readonly spawnedBy?: string;
  readonly lineage?: readonly string[];
  readonly lastRoute?: ReplyRoute;
  readonly lastPreview: string;
}

export type SessionKind = "main" | "group" | "cron" | "hook" | "node" | "other";

/** When a session begins anew by itself. With both, whichever comes first. Source: behaviour §1.5. */
export interface ResetRule {
  /** Every day at this hour of the host's time zone, 0 to 23. */
  readonly dailyAtHour?: number;
  /** After so long without a message of a person or an agent. */
  readonly idleMs?: number;
}

export interface TurnBegin {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  /** Read the session's state as well. */
  readonly wantState: boolean;
  /** The append counted this delivery, and is perhaps still on its way. */
  readonly isCounted?: boolean;
  /** The session begins anew with this turn if it is over by then. */
  readonly reset?: ResetRule;
  /** Which session of the agent is told if this one is made with the turn. */
  readonly notify?: { readonly to: string; readonly channel: string };
  /** Give what the session is to be told of. */
  readonly wantNotices?: boolean;
}

export type BegunTurn =
  | {
      readonly status: "begun";
      /** This delivery's number, from 1, counted in the store before it is answered. */
      readonly attempt: number;
      readonly sessionId: string;
      readonly body: string;
      readonly state: string | null;
      /** The session began anew: its state of before counts no more. */
      readonly isNew?: true;
      readonly choices?: SessionChoices;
      /** Of sessions that were made; oldest first. They come again until a turn that had them is committed (`TurnCommit.noticed`). */
      readonly notices?: readonly SessionNotice[];
      /** From the second delivery on: what earlier ones recorded and sent, by the numbers of the calls. */
      readonly steps?: readonly StepRow[];
    }
  /** The turn was committed before; its outcome is given again. */
  | ({ readonly status: "done" } & DoneOutcome);

/** `failure` for a turn that failed; the text is null then. */
export interface DoneOutcome {
  readonly outcomeText: string | null;
  readonly failure?: Failure;
}

/** Rows of the steps of a turn that is not done; a later one for the same call takes the place of the one before. */
export interface StepRecord {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly rows: readonly StepRow[];
}

export type EnvelopeOutcome =
  | ({ readonly status: "done" } & DoneOutcome)
  | { readonly status: "open" }
  | { readonly status: "unknown" };

export interface TurnCommit extends ContextUsed {
  readonly envelopeId: string;
  /** Envelopes of the session that it handled as well (`take`): in the transcript behind its own, and done with it. */
  readonly taken?: readonly string[];
  readonly agentId: string;
  readonly sessionKey: string;
  readonly kind: SessionKind;
  readonly channel: string;
  /** Rows after the inbound message, which the store adds itself from the journal. */
  readonly rows: readonly CommitRow[];
  /** `undefined` leaves the state as it is. */
  readonly state?: string;
  /** What the sender hears: the visible text of the answer, or null. */
  readonly outcomeText: string | null;
  /** Present when the turn failed: what the sender hears instead. */
  readonly failure?: Failure;
  /** Present when the answer leaves through a channel; kept until `delivered`. Without an `outcomeText` nothing leaves. */
  readonly outbound?: ReplyRoute;
  /** What it reported of models. */
  readonly tokens?: Tokens;
  /** Absent: its agent has no budget of it. */
  readonly work?: Work;
  /** The number of the last notice that it had. */
  readonly noticed?: number;
  readonly atMs: number;
}

export interface OutboundRow {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly route: ReplyRoute;
  readonly text: string;
  readonly atMs: number;
}

export interface CommittedTurn {
  /** `already`: an earlier delivery of the same envelope committed; nothing was written. */
  readonly status: "done" | "already";
  readonly row: SessionRow;
}

export interface SessionQuery {
  readonly agentIds?: readonly string[];
  /** Beside those of `agentIds`: what this session and its sub-agents have spawned, of whatever agent. */
  readonly orSpawnedBy?: string;
  readonly activeSinceMs?: number;
  readonly label?: string;
  readonly search?: string;
  /** Only archived ones, or only the others. Absent: both. */
  readonly archived?: boolean;
  readonly limit: number;
  readonly offset: number;
}

/** A dead letter without its body. Its id is the envelope's: `header.id`. */
export interface DeadLetterRow {
  readonly header: EnvelopeHeader;
  readonly fate: Fate;
  /** For a person: what was found when the envelope was given up. */
  readonly reason: string;
  /** Deliveries to a cell before that. */
  readonly attempts: number;
  /** When it became a dead letter. */
  readonly atMs: number;
  readonly bodyChars: number;
  /** Characters of the answer that its channel did not take. Absent: there is none, and what is replayed is the message. */
  readonly answerChars?: number;
  /** The beginning of the body. */
  readonly preview: string;
}

export interface DeadLetter extends DeadLetterRow {
  readonly body: string;
  readonly answer?: string;
}

/** What is named must hold; nothing named means all. */
export interface DeadLetterFilter {
  readonly agentId?: string;
  readonly fate?: Fate;
  /** Became a dead letter before this time. */
  readonly beforeMs?: number;
}

export interface DeadLetterQuery extends DeadLetterFilter {
  readonly limit: number;
  /** Default: 0. */
  readonly offset?: number;
}

/** With an `id` that one letter alone, whatever else is named. */
export interface DeadLetterPurge extends DeadLetterFilter {
  readonly id?: string;
}

/** How many there are now; every fate has a number. */
export type DeadLetterCounts = Readonly<Record<Fate, number>>;

export interface DeadLetterPage {
  readonly rows: readonly DeadLetterRow[];
  /** Of all that the filter matches, as are the counts. */
  readonly total: number;
  readonly counts: DeadLetterCounts;
}

export interface TimerRow {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly name: string;
  /** The pairing that allowed it. */
  readonly via: string;
  readonly body: string;
  /** `body` is JSON that the actor gave as `data`. */
  readonly isData: boolean;
  readonly dueAtMs: number;
  /** Absent: it fires once. */
  readonly everyMs?: number;
  /** A task that a turn put off, and where the answer to its end goes; it fires when it is completed, or at its deadline. */
  readonly task?: TimerTask;
  /** What somebody outside said, which waits for a time of the agent: it comes from there, as one that was said then. */
  readonly hook?: WaitingHook;
  readonly createdAtMs: number;
  /** Set by an operator: its next time follows from this. */
  readonly job?: Job;
  /** The envelope of its last time. */
  readonly lastEnvelopeId?: string;
}

/** What is named must hold; nothing named means all. */
export interface TimerScope {
  readonly agentId?: string;
  readonly sessionKey?: string;
}

export interface TimerQuery extends TimerScope {
  /** This one alone. */
  readonly id?: string;
  /** Tasks alone. */
  readonly isTask?: true;
  /** Messages of hooks alone. */
  readonly isHook?: true;
  readonly limit: number;
  /** Default: 0. */
  readonly offset?: number;
}

/** `agentId` and `sessionKey` are the watcher's. */
export interface MonitorRow {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  /** The agent that is watched. */
  readonly target: string;
  readonly via: string;
  readonly createdAtMs: number;
}

/** `known`: the same call made it before, under this id. `full`: the agent has as many as it may; nothing was written. */
export type SignalSet =
  | { readonly status: "set"; readonly id: string }
  /** Nothing was written: it is there, or was. `runId` is that of a message that is known by a key of the window. */
  | { readonly status: "known"; readonly id: string; readonly runId?: string }
  | { readonly status: "full" };

export interface DownFacts {
  /** The agent that is down. Absent: every one, because the gateway ends or has ended. */
  readonly target?: string;
  readonly reason: DownReason;
  readonly detail: string;
  readonly atMs: number;
}

/** `triedAtMs`: when this attempt was due; later than `dueAtMs` when earlier ones were refused. */
export type DueRow =
  /** Its completion is to be tried again, or its session archived. */
  | { readonly type: "run"; readonly run: StoredRun; readonly triedAtMs: number }
  | { readonly type: "timer"; readonly timer: TimerRow; readonly triedAtMs: number }
  | {
      readonly type: "down";
      readonly monitor: MonitorRow;
      readonly reason: DownReason;
      readonly detail: string;
      readonly dueAtMs: number;
      readonly triedAtMs: number;
    };

export interface DueRows {
  readonly rows: readonly DueRow[];
  /** When the first that is not among them is to be tried; undefined when there is none. */
  readonly nextMs: number | undefined;
}

/** How a session's messages wait, where somebody said so in its chat. What is left out is as the configuration says. */
export interface QueueRow extends Partial<QueuePolicy> {
  readonly sessionKey: string;
}

/** A right that an agent lacked, as it waits for an operator's decision. `from` and `to` are agents' ids. */
export interface GrantRequest {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly verb: GrantVerb;
  readonly createdAtMs: number;
  /** After a denial: until then nothing is asked again. */
  readonly expiresAtMs: number;
  /** Refused calls so far, also those whose message is not kept. */
  readonly calls: number;
  /** The kept messages, oldest first. */
  readonly messages: readonly KeptHead[];
  /** The next number of a message. */
  readonly next: number;
  readonly decision?: GrantDecision;
}

/** `grant`: the right that was given with it; absent: the kept messages alone may go. */
export type GrantDecision =
  | {
      readonly type: "approved";
      readonly by: string;
      readonly atMs: number;
      readonly grant?: GrantRow;
      /** The grant is in force, or was: it is not made again. */
      readonly isGranted?: true;
    }
  | { readonly type: "denied"; readonly by: string; readonly atMs: number };

export interface KeptHead {
  readonly n: number;
  readonly fromSession: string;
  readonly toSession: string;
  readonly bodyChars: number;
  readonly preview: string;
  readonly atMs: number;
  /** Which call it was, of which turn (its envelope): a repeated turn keeps nothing twice. */
  readonly by: TurnCall;
}

/** A kept message, whole. */
export interface KeptMessage {
  readonly header: EnvelopeHeader;
  readonly body: string;
  readonly by: TurnCall;
}

/** An operator's order to keep an agent out of service, until it is taken back. */
export interface StandingOrder {
  readonly agentId: string;
  /** As operators see it. */
  readonly reason: string;
  readonly atMs: number;
}

/** An accepted envelope that is not done. Its body stays where it is until `begin`. */
export interface PendingEnvelope {
  readonly seq: number;
  readonly header: EnvelopeHeader;
  /** Deliveries counted so far. */
  readonly attempts: number;
}

/** What waits for an agent behind the envelopes that are in memory: those with `after < seq <= until`. */
export interface Backlog {
  readonly agentId: string;
  readonly after: number;
  readonly until: number;
  readonly count: number;
}

/** What of a backlog was stopped; without a session or a run all of it. */
export interface StoppedBacklog {
  readonly agentId: string;
  readonly sessionKey: string | undefined;
  readonly runId: string | undefined;
  readonly after: number;
  readonly until: number;
}

/** In whose window an operator's message to the session is recognised when it is repeated; its key there is its run's id. */
export function operatorScope(sessionKey: string): string {
  return `operator:${sessionKey}`;
}

export interface Pending {
  /** Oldest first. Of each agent at most as many as its window. */
  readonly envelopes: readonly PendingEnvelope[];
  /** Agents with more than that; `queued` reads on. */
  readonly backlogs: readonly Backlog[];
  readonly outbound: readonly OutboundRow[];
  /** Done envelopes of exchanges, but announces: what follows on them may not have been appended. */
  readonly exchanges: readonly ({ readonly header: EnvelopeHeader } & DoneOutcome)[];
}

/** One thing that was said in a group. */
export interface RoomRow {
  /** Of the message, or of the envelope whose turn answered. */
  readonly id: string;
  /** The platform's id of an answer. */
  readonly otherId?: string;
  /** As the others see it. */
  readonly speaker: string;
  /** Present when it is an answer of one of our agents. */
  readonly agentId?: string;
  readonly text: string;
  readonly atMs: number;
}

/** `known`: one with this id is there already, and nothing was written. `agentId`: whose answer that is. */
export interface KeptRow {
  readonly status: "stored" | "known";
  readonly seq: number;
  readonly agentId?: string;
}

export type RoomActivation = "mention" | "always";

export interface RoomQuery {
  readonly room: string;
  /** Whose activation is asked for. */
  readonly sessionKey: string;
  /** Whose unseen lines are asked for, the newest `limit` of each. */
  readonly agents: readonly { readonly agentId: string; readonly limit: number }[];
  /** A message that may be an answer of our own, come back. */
  readonly id?: string;
}

export interface RoomView {
  /** The number of the newest line; 0: there is none. */
  readonly last: number;
  /** By agent, oldest first. */
  readonly unseen: Readonly<Record<string, readonly RoomRow[]>>;
  /** The message with the `id` is an answer of one of our agents. */
  readonly isOwn: boolean;
  readonly activation?: RoomActivation;
}

export interface Snapshot {
  /** Milliseconds since the epoch. Every envelope whose acceptance was answered before is in the copy, or its turn is. */
  readonly acceptedUntilMs: number;
  /** The agents that had an environment; the others have nothing to copy. */
  readonly agentIds: readonly string[];
}

export interface StoreCounters {
  readonly agentOpens: Readonly<Record<string, number>>;
  readonly appends: number;
  readonly journalCommits: number;
}
