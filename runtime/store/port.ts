/**
 * What the gateway needs of a store. Two adapters satisfy it: LMDB in the store thread (`runtime/store/lmdb`) and an
 * in-memory one for tests (`runtime/store/memory.ts`); `test/contract/store-suite.ts` holds both to the same behaviour.
 *
 * Every method resolves after its effect is flushed to disk, unless it says otherwise. Methods may be called without
 * waiting for earlier ones; calls for the same agent take effect in the order of the calls.
 * A failed commit rejects with `CLOISTER_STORE_FAILED` and leaves nothing of its transaction behind; the store stays usable.
 * `begin` and `commit` of an envelope that the journal does not hold reject with `CLOISTER_ENVELOPE_UNKNOWN`, everything that
 * needs the environment of an agent that is not in `StorePlaces` with `CLOISTER_AGENT_UNKNOWN`.
 */
import type {
  AuditFacts,
  DownReason,
  Envelope,
  EnvelopeHeader,
  Failure,
  Fate,
  Fires,
  GrantRow,
  Provenance,
  ReplyRoute,
} from "../kernel/envelope.ts";
import type { CallId, StepRow } from "../kernel/steps.ts";

export interface AgentPlace {
  readonly agentId: string;
  /** Directory of the agent's environment (`<agentDir>/../sessions` unless `session.store` says otherwise). */
  readonly sessionsDir: string;
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
export interface SessionRow {
  readonly key: string;
  readonly agentId: string;
  readonly sessionId: string;
  /** `main | group | cron | hook | node | other` as `sessions_list` names them. */
  readonly kind: SessionKind;
  readonly channel: string;
  readonly label?: string;
  /** Present: it is archived, since then. The next turn brings it back. */
  readonly archivedAtMs?: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly messages: number;
  readonly spawnedBy?: string;
  readonly lastRoute?: ReplyRoute;
  readonly lastPreview: string;
}

export type SessionKind = "main" | "group" | "cron" | "hook" | "node" | "other";

export interface TranscriptRow {
  /** Position in the session, from 0. */
  readonly seq: number;
  readonly envelopeId: string;
  readonly role: "user" | "assistant" | "toolResult";
  readonly text: string;
  readonly atMs: number;
  readonly isUser: boolean;
  readonly provenance?: Provenance;
  readonly toolName?: string;
}

export interface TurnBegin {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  /** Read the session's state as well. */
  readonly wantState: boolean;
}

export type BegunTurn =
  | {
      readonly status: "begun";
      /** This delivery's number, from 1, counted in the store before it is answered. */
      readonly attempt: number;
      readonly sessionId: string;
      readonly body: string;
      readonly state: string | null;
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

/** A row of the steps of a turn that is not done; a later one for the same call takes its place. */
export interface StepRecord {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly row: StepRow;
}

export type EnvelopeOutcome =
  | ({ readonly status: "done" } & DoneOutcome)
  | { readonly status: "open" }
  | { readonly status: "unknown" };

export interface TurnCommit {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly kind: SessionKind;
  readonly channel: string;
  /** Rows after the inbound message, which the store adds itself from the journal. */
  readonly rows: readonly {
    readonly role: "assistant" | "toolResult";
    readonly text: string;
    readonly toolName?: string;
  }[];
  /** `undefined` leaves the state as it is. */
  readonly state?: string;
  /** What the sender hears: the visible text of the answer, or null. */
  readonly outcomeText: string | null;
  /** Present when the turn failed: what the sender hears instead. */
  readonly failure?: Failure;
  /** Present when the answer leaves through a channel; kept until `delivered`. Without an `outcomeText` nothing leaves. */
  readonly outbound?: ReplyRoute;
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
  readonly activeSinceMs?: number;
  readonly label?: string;
  readonly search?: string;
  /** Only archived ones, or only the others. Absent: both. */
  readonly archived?: boolean;
  readonly limit: number;
  readonly offset: number;
}

/** A transcript that a reset has ended; its session began anew under the same key. */
export interface PastTranscript {
  readonly sessionId: string;
  readonly messages: number;
  readonly endedAtMs: number;
}

export interface HistoryPage {
  readonly sessionId: string;
  readonly rows: readonly TranscriptRow[];
  readonly total: number;
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
  readonly createdAtMs: number;
  /** The envelope of its last time. */
  readonly lastEnvelopeId?: string;
}

/** What is named must hold; nothing named means all. */
export interface TimerScope {
  readonly agentId?: string;
  readonly sessionKey?: string;
}

export interface TimerQuery extends TimerScope {
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
export type SignalSet = { readonly status: "set" | "known"; readonly id: string } | { readonly status: "full" };

export interface DownFacts {
  /** The agent that is down. Absent: every one, because the gateway ends or has ended. */
  readonly target?: string;
  readonly reason: DownReason;
  readonly detail: string;
  readonly atMs: number;
}

/** `triedAtMs`: when this attempt was due; later than `dueAtMs` when earlier ones were refused. */
export type DueRow =
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

export interface AuditRow extends AuditFacts {
  readonly atMs: number;
  readonly type: string;
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

export interface Pending {
  /** Oldest first. Of each agent at most as many as its window. */
  readonly envelopes: readonly PendingEnvelope[];
  /** Agents with more than that; `queued` reads on. */
  readonly backlogs: readonly Backlog[];
  readonly outbound: readonly OutboundRow[];
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

export interface Store {
  // --- journal ---
  /** An envelope id that the journal holds already is a duplicate as well. */
  append(envelope: Envelope, dedupe?: Dedupe): Promise<AppendResult>;
  /** Counts the delivery, opens the agent's environment on first use, and reads the session. */
  begin(turn: TurnBegin): Promise<BegunTurn>;
  /** In order with `begin` and `commit` of the session. Rejects with `CLOISTER_ENVELOPE_UNKNOWN` once the turn is done. */
  recordStep(step: StepRecord): Promise<void>;
  /**
   * Transcript, state, `done` marker and outbound row in ONE transaction of the agent's environment, which also removes the
   * turn's steps; then the index row, in one of its own. If only the second fails, the turn is done all the same: calling again answers `already` and mends the row,
   * and so does `begin` or `pending` after a restart.
   */
  commit(turn: TurnCommit): Promise<CommittedTurn>;
  /** How an envelope stands, without counting anything. `unknown`: settled so long ago that only the transcript tells. */
  outcome(agentId: string, envelopeId: string): Promise<EnvelopeOutcome>;
  /** The outbound row of an envelope was handed to its channel; the journal row goes with it. */
  delivered(agentId: string, envelopeId: string): Promise<void>;
  /**
   * Drops the journal row of a done envelope without an outbound row. Later calls no longer see it; the removal itself goes to
   * disk with the next write, because a crash before that costs nothing: the `done` marker wins.
   */
  settle(envelopeId: string): Promise<void>;
  /**
   * Moves an envelope to the dead letters; one that is not there (any more) is left alone. `answer` is what its turn answered
   * and its channel did not take: it stays with the letter.
   */
  bury(envelopeId: string, fate: Fate, reason: string, answer?: string): Promise<void>;
  /**
   * At boot. Done envelopes with an outbound row that was not delivered are in `outbound`, those not done in `envelopes` and
   * `backlogs`. `windows` says how many envelopes of an agent are given; by default `limits.mailboxDepthMax`. Of an agent that is
   * not in `StorePlaces` all are given. Costs memory for the windows, not for the backlog.
   */
  pending(windows?: Readonly<Record<string, number>>): Promise<Pending>;
  /** The oldest `limit` of a backlog that are not done, oldest first. Fewer than that: there are no more. */
  queued(backlog: Pick<Backlog, "agentId" | "after" | "until">, limit: number): Promise<readonly PendingEnvelope[]>;

  // --- dead letters ---
  /** Newest first; `total` counts all that the filter matches. */
  deadLetters(query: DeadLetterQuery): Promise<{ readonly rows: readonly DeadLetterRow[]; readonly total: number }>;
  deadLetter(id: string): Promise<DeadLetter | undefined>;
  /**
   * Appends the envelope and removes the letter that it was made from, in one transaction. The envelope begins anew: it was
   * never delivered. Rejects with `CLOISTER_DEADLETTER_UNKNOWN` when the letter is gone, so that of two replays one wins.
   */
  replay(letterId: string, envelope: Envelope): Promise<{ readonly seq: number }>;
  /** Removes what matches for good, and tells how many. */
  purge(purge: DeadLetterPurge): Promise<number>;
  deadLetterCounts(): Promise<DeadLetterCounts>;

  // --- timers and monitors ---
  /** A call that its turn made before, at whatever time, answers with the first id and writes nothing. */
  schedule(timer: TimerRow, by?: TurnCall): Promise<SignalSet>;
  /** What was removed; undefined when the scope has no such timer. */
  unschedule(id: string, scope: TimerScope): Promise<TimerRow | undefined>;
  /** Soonest first. */
  timers(query: TimerQuery): Promise<{ readonly rows: readonly TimerRow[]; readonly total: number }>;
  /** A call that its turn made before, at whatever time, answers with the first id and writes nothing. */
  monitor(monitor: MonitorRow, by?: TurnCall): Promise<SignalSet>;
  /** Ends a watch, also one whose down is due and not journaled. With an `agentId` only one of this watcher. */
  demonitor(id: string, agentId?: string): Promise<boolean>;
  /** Every monitor on the agent becomes due as a down. Tells how many there were. */
  down(facts: DownFacts): Promise<number>;
  /** What is due at this time, soonest first, at most `limit`. */
  due(nowMs: number, limit: number): Promise<DueRows>;
  /**
   * Appends the envelope and removes the due row, or moves it to its next time, in one transaction: each time fires once.
   * Rejects with `CLOISTER_SIGNAL_UNKNOWN` when the row is gone or stands for another time.
   */
  fire(fires: Fires, envelope: Envelope): Promise<{ readonly seq: number }>;
  /** The due row is tried again at `atMs`; one that is gone is left alone. */
  postpone(id: string, atMs: number): Promise<void>;

  // --- session index (registry) ---
  /**
   * Newest first. With filters, at most `limits.sessionsScanRowsMax` rows are looked at, and `total` counts the matches among
   * them. `search` finds text in key, label and preview, whatever its case.
   */
  sessions(query: SessionQuery): Promise<{ readonly rows: readonly SessionRow[]; readonly total: number }>;
  session(key: string): Promise<SessionRow | undefined>;
  /** Also by `sessionId`. */
  findSession(reference: string): Promise<SessionRow | undefined>;
  sessionsWithLabel(label: string): Promise<readonly SessionRow[]>;
  /** Makes the row if the session does not exist yet. `null` removes the label. */
  labelSession(key: string, agentId: string, label: string | null, atMs: number): Promise<SessionRow>;
  /** Undefined: there is no such session. */
  archiveSession(key: string, archived: boolean, atMs: number): Promise<SessionRow | undefined>;
  /**
   * The session begins anew under its key: a new session id, no messages, no state; its label stays, and the transcript so far
   * under its id. One without messages is left as it is. Undefined: there is no such session. No turn of it may be running.
   */
  resetSession(key: string, agentId: string, atMs: number): Promise<SessionRow | undefined>;

  // --- one agent's environment ---
  /**
   * Newest `limit` rows after skipping `offset` newest ones, oldest first; fewer when their texts have more than `charsMax`
   * characters together, but at least one. No such session: no rows, and `sessionId` is "". With a `sessionId` the rows of that
   * transcript, if the session has or had it.
   */
  history(
    agentId: string,
    sessionKey: string,
    limit: number,
    offset: number,
    charsMax?: number,
    sessionId?: string,
  ): Promise<HistoryPage>;
  /** Newest first, at most `limit`. */
  pastTranscripts(agentId: string, sessionKey: string, limit: number): Promise<readonly PastTranscript[]>;
  /** Closes the agent's environment; the next use opens it again. */
  release(agentId: string): Promise<void>;

  // --- what operators order and grant; to drop one that is not there is no error ---
  /** Takes the place of an earlier one to the same agent. */
  keepOrder(order: StandingOrder): Promise<void>;
  dropOrder(agentId: string): Promise<void>;
  /** By agent id; also of agents that are no longer configured. */
  orders(): Promise<readonly StandingOrder[]>;
  keepGrant(grant: GrantRow): Promise<void>;
  dropGrant(id: string): Promise<void>;
  /** Oldest first; also those whose time is over. */
  grants(): Promise<readonly GrantRow[]>;

  // --- audit ---
  audit(rows: readonly AuditRow[]): Promise<void>;
  /** Newest first. */
  audits(limit: number): Promise<readonly AuditRow[]>;

  /**
   * Copies every environment into a folder while the store works on (`runtime/store/snapshot.ts`): the folder is then a state
   * directory with `store/registry`, `store/journal` and `agents/<id>/sessions`, of which nobody is the owner.
   * Rejects with `CLOISTER_STORE_FAILED`, and leaves what it has copied.
   */
  snapshot(into: string): Promise<Snapshot>;

  /** Since start: how often each agent's environment was opened, envelopes appended, transactions of the journal (one flush each). */
  counters(): Promise<StoreCounters>;
  /** Waits for the calls in flight; later ones reject. */
  close(): Promise<void>;
}
