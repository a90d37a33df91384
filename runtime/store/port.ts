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
import type { BlockRow } from "./block-rows.ts";
import type { JobChange } from "./job-rows.ts";
import type { TurnTake } from "../kernel/gather.ts";
import type {
  BacklogStop,
  CallerRow,
  Envelope,
  EnvelopeHeader,
  Fate,
  Fires,
  GrantRow,
  Release,
  RoomSight,
} from "../kernel/envelope.ts";
import type { RunEnd, RunRow } from "../kernel/run-rows.ts";
import type { AuditLog } from "../kernel/audit-types.ts";
import type { ChoiceChange, SessionChoices } from "../kernel/session-choices.ts";
import type { AuditCheck, AuditEntry, AuditPage, AuditQuery, AuditReach, AuditRow } from "./audit-rows.ts";
import type { ExpiredTranscripts, SessionCounts, StaleQuery, StaleSessions, TranscriptRule } from "./retention-rows.ts";
import type { RunQuery, SpawnedRun, StoredRun } from "./stored-run.ts";
import type { TaskEnd } from "./task-rows.ts";
import type { HistoryPage, PastTranscript, TranscriptRow } from "./transcript-rows.ts";
import type { UsageQuery, UsageRow } from "./usage-rows.ts";
import type {
  TurnCall,
  Dedupe,
  WindowKey,
  AppendResult,
  SessionRow,
  TurnBegin,
  BegunTurn,
  StepRecord,
  EnvelopeOutcome,
  TurnCommit,
  CommittedTurn,
  SessionQuery,
  DeadLetter,
  DeadLetterQuery,
  DeadLetterPurge,
  DeadLetterCounts,
  DeadLetterPage,
  TimerRow,
  TimerScope,
  TimerQuery,
  MonitorRow,
  SignalSet,
  DownFacts,
  DueRows,
  StandingOrder,
  QueueRow,
  GrantRequest,
  KeptMessage,
  PendingEnvelope,
  Backlog,
  StoppedBacklog,
  Pending,
  Snapshot,
  StoreCounters,
  StorePlaces,
  KeptRow,
  RoomActivation,
  RoomQuery,
  RoomRow,
  RoomView,
} from "./rows.ts";

export type * from "./audit-rows.ts";
export type * from "./block-rows.ts";
export type * from "./rows.ts";
export type * from "./retention-rows.ts";
export type * from "./stored-run.ts";
export type * from "./transcript-rows.ts";

/** All of it or nothing. The store does not look into the rows. */
export interface RowChange<T extends string> {
  readonly put: readonly { readonly type: T; readonly id: string; readonly row: object }[];
  readonly remove: readonly { readonly type: T; readonly id: string }[];
}

/** Rows of `auth/device-state.ts`, by the id of the device or request. */
export type DeviceChange = RowChange<"paired" | "pending">;

/** Rows of `auth/senders.ts`, by sender or code. */
export type SenderChange = RowChange<"known" | "pending">;

/** Rows of `runtime/supervisor/tools/exec-approvals.ts`. */
export type CommandRequestChange = RowChange<"request">;

/** As they were kept; nobody has looked at them. */
export interface KeptDevices {
  readonly paired: readonly unknown[];
  readonly pending: readonly unknown[];
}

/** Likewise. */
export interface KeptSenders {
  readonly known: readonly unknown[];
  readonly pending: readonly unknown[];
}

export interface Store {
  /** The agents change while the store is open: those that are left out are known no more, and what they have stays on the disk. */
  placeAgents(agents: StorePlaces["agents"]): Promise<void>;

  // --- journal ---
  /**
   * An envelope id that the journal holds already is a duplicate as well. What the envelope shows of a group is seen from then
   * on, in the same transaction; a duplicate shows nothing. `counts`: its first delivery is counted with it; a `begin` that says so (`isCounted`)
   * waits for the append.
   */
  append(envelope: Envelope, dedupe?: Dedupe, sees?: RoomSight, counts?: boolean): Promise<AppendResult>;
  /** Counts the delivery, opens the agent's environment on first use, and reads the session. */
  begin(turn: TurnBegin): Promise<BegunTurn>;
  /** In order with `begin` and `commit` of the session. Rejects with `CLOISTER_ENVELOPE_UNKNOWN` once the turn is done. */
  recordSteps(steps: StepRecord): Promise<void>;
  /**
   * Counts the deliveries of envelopes that a turn handles beside its own, records which with the turn's steps, and gives their
   * bodies, in order. One that is done, buried or too much for `limits.takenCharsMax` is left out, and so are those behind it.
   * In order with `begin` and `commit` of the session. Rejects with `CLOISTER_ENVELOPE_UNKNOWN` once the turn is done.
   */
  take(take: TurnTake): Promise<readonly { readonly id: string; readonly body: string }[]>;
  /**
   * Transcript, state, `done` marker and outbound row in ONE transaction of the agent's environment, which also removes the
   * turn's steps; then the index row, in one of its own. If only the second fails, the turn is done all the same: calling again answers `already` and mends the row,
   * and so does `begin` or `pending` after a restart.
   */
  commit(turn: TurnCommit): Promise<CommittedTurn>;
  /** How an envelope stands, without counting anything. `unknown`: settled so long ago that only the transcript tells. */
  outcome(agentId: string, envelopeId: string): Promise<EnvelopeOutcome>;
  /** Of an envelope that the journal holds: it waits, runs, or has only just ended. */
  accepted(envelopeId: string): Promise<EnvelopeHeader | undefined>;
  /** The outbound row of an envelope was handed to its channel; the journal row goes with it. */
  delivered(agentId: string, envelopeId: string): Promise<void>;
  /**
   * A piece of the envelope's answer; it goes with the turn that has no answer, else with the outbound row. Rejects with
   * `CLOISTER_ENVELOPE_UNKNOWN` once there is neither.
   */
  keepBlock(agentId: string, envelopeId: string, row: BlockRow): Promise<void>;
  /** In their order. */
  blocks(agentId: string, envelopeId: string): Promise<readonly BlockRow[]>;
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
   * At boot. Done envelopes with an outbound row that was not delivered are in `outbound`, other done ones of an exchange in
   * `exchanges`, those not done in `envelopes` and `backlogs`. `windows` says how many envelopes of an agent are given; by default `limits.mailboxDepthMax`. Of an agent that is
   * not in `StorePlaces` all are given. Costs memory for the windows, not for the backlog.
   */
  pending(windows?: Readonly<Record<string, number>>): Promise<Pending>;
  /** The oldest `limit` of a backlog that are not done, oldest first. Fewer than that: there are no more. */
  queued(backlog: Pick<Backlog, "agentId" | "after" | "until">, limit: number): Promise<readonly PendingEnvelope[]>;

  /**
   * Moves what was stopped of a backlog to the dead letters (`dropped`), in one transaction. Looks at `limit` rows, or at one when
   * the run is found by its id; `next` is where to look on, undefined at the end.
   */
  dropQueued(
    stopped: StoppedBacklog,
    limit: number,
    reason: string,
  ): Promise<{ readonly headers: readonly EnvelopeHeader[]; readonly next: number | undefined }>;

  // --- dead letters ---
  /**
   * A message that was never in the journal, as a letter with no deliveries. Its id is the letter's. With a key it is remembered as
   * an accepted one is: nothing is kept under a key that is known, and nothing is accepted under it afterwards.
   */
  keepLetter(envelope: Envelope, fate: Fate, reason: string, key?: WindowKey): Promise<void>;
  /** Newest first. */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetterPage>;
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
  /** A call that its turn made before, at whatever time, or a key of the window that was seen, answers with the first id and writes nothing. */
  schedule(timer: TimerRow, by?: Dedupe): Promise<SignalSet>;
  /** Changes a job in one step; undefined when there is none with this id. */
  amendJob(id: string, change: JobChange): Promise<TimerRow | undefined>;
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
  /** The task has ended: its row is due at `end.atMs`, with what is told then. False when there is no such task (any more). */
  endTaskLater(id: string, end: TaskEnd): Promise<boolean>;

  // --- sub-agent runs ---
  /**
   * The run and its task's envelope in one transaction, with `accepted` as what the call `by` is answered when its turn is handled
   * again; and the row of its session. With `context: "fork"` the session begins with a copy of its requester's transcript.
   * Leaves nothing behind when it rejects.
   */
  spawn(run: RunRow, envelope: Envelope, by: TurnCall, accepted: object): Promise<SpawnedRun>;
  /**
   * The end of the run and, with a completion, its envelope, in one transaction. Undefined, and nothing is written, when there is no
   * such run or it has ended before. `tryAtMs`: when a completion that is `pending` is due.
   */
  endRun(
    id: string,
    end: RunEnd,
    more: { readonly completion?: Envelope; readonly tryAtMs?: number },
  ): Promise<{ readonly seq?: number } | undefined>;
  /** A pending completion is given up. */
  blockRun(id: string): Promise<void>;
  /** Archives the session of an ended run. */
  archiveRun(id: string, atMs: number): Promise<void>;
  run(id: string): Promise<StoredRun | undefined>;
  /** Newest first. */
  runs(query: RunQuery): Promise<readonly StoredRun[]>;

  // --- session index (registry) ---
  /**
   * Newest first. With filters, at most `limits.sessionsScanRowsMax` rows are looked at, and `total` counts the matches among
   * them. `search` finds text in key, label and preview, whatever its case.
   */
  sessions(query: SessionQuery): Promise<{ readonly rows: readonly SessionRow[]; readonly total: number }>;
  session(key: string): Promise<SessionRow | undefined>;
  /** What somebody chose for this session with `/send`; undefined: nothing, or there is no such session. */
  chosenSending(key: string): Promise<SessionChoices["sendPolicy"]>;
  /** What models took, the newest day first; also of sessions that began anew or are gone, for `limits.usageDaysKept` days. */
  usage(query: UsageQuery): Promise<readonly UsageRow[]>;
  /** Also by `sessionId`. */
  findSession(reference: string): Promise<SessionRow | undefined>;
  sessionsWithLabel(label: string): Promise<readonly SessionRow[]>;
  /** Makes the row if the session does not exist yet. `null` removes the label. */
  labelSession(key: string, agentId: string, label: string | null, atMs: number): Promise<SessionRow>;
  /** Likewise makes the row. What is chosen counts from the next `begin` on, and ends when the session begins anew. */
  setChoices(key: string, agentId: string, change: ChoiceChange, atMs: number): Promise<SessionRow>;
  /** Undefined: there is no such session. */
  archiveSession(key: string, archived: boolean, atMs: number): Promise<SessionRow | undefined>;
  /** What is pinned is never ended by retention. Undefined: there is no such session. */
  pinSession(key: string, pinned: boolean): Promise<SessionRow | undefined>;
  /**
   * The session begins anew under its key: a new session id, no messages, no state; its label stays, and the transcript so far
   * under its id. One without messages is left as it is. Undefined: there is no such session. No turn of it may be running.
   */
  resetSession(key: string, agentId: string, atMs: number): Promise<SessionRow | undefined>;

  /**
   * The session, its state and its label are gone; what was said stays as a past transcript of the key, and the next message to
   * it begins another. The row as it was; undefined: there was none. No turn of it may be running.
   */
  deleteSession(key: string, agentId: string, atMs: number): Promise<SessionRow | undefined>;

  // --- retention: one call looks at `limits.retentionRowsMax` rows at the most ---
  /** How many sessions each agent has, counted on from `next` of the call before. */
  countSessions(after?: string): Promise<SessionCounts>;
  staleSessions(query: StaleQuery): Promise<StaleSessions>;
  /**
   * Deletes the session, as `deleteSession` does, if nothing happened in it since it was found, and it has no open work. The row as it
   * was; undefined: it stays.
   */
  pruneSession(found: SessionRow, atMs: number): Promise<SessionRow | undefined>;
  /**
   * Removes transcripts that have ended for good, the oldest first, with the files that nothing else names; a long one over several
   * calls. `isTrial`: tells what would go, and removes nothing. An agent without an environment has none.
   */
  expireTranscripts(agentId: string, rule: TranscriptRule, isTrial: boolean): Promise<ExpiredTranscripts>;
  /** Bytes of the rows and the files of an agent's sessions; what its database file keeps free is not among them. */
  storedBytes(agentId: string): Promise<number>;

  // --- one agent's environment ---
  /**
   * Newest `limit` rows after skipping `offset` newest ones, oldest first; fewer when their texts have more than `charsMax`
   * characters together, but at least one. No such session: no rows, and `sessionId` is "". With a `sessionId` the rows of that
   * transcript, if the session has or had it. With `throughSeq` the row of that number is the newest, whatever `offset` says.
   */
  history(
    agentId: string,
    sessionKey: string,
    limit: number,
    offset: number,
    charsMax?: number,
    sessionId?: string,
    throughSeq?: number,
  ): Promise<HistoryPage>;
  /** What the turn of the envelope wrote, if it is among the newest `limits.turnRowsScanMax` rows of the session or of its past transcripts. */
  turnRows(agentId: string, sessionKey: string, envelopeId: string): Promise<readonly TranscriptRow[]>;
  /** Newest first, at most `limit`. */
  pastTranscripts(agentId: string, sessionKey: string, limit: number): Promise<readonly PastTranscript[]>;
  /** Closes the agent's environment; the next use opens it again. */
  release(agentId: string): Promise<void>;

  // --- what operators order and grant; to drop one that is not there is no error ---
  /** Takes the place of an earlier one to the same agent. */
  keepOrder(order: StandingOrder): Promise<void>;
  /** What was stopped while it lay on the disk alone; the oldest of more than `limits.spillStopsMax` are forgotten. */
  keepStops(stops: readonly BacklogStop[]): Promise<void>;
  /** All of them. */
  dropStops(): Promise<void>;
  /** Oldest first. */
  stops(): Promise<readonly BacklogStop[]>;
  dropOrder(agentId: string): Promise<void>;
  /** By agent id; also of agents that are no longer configured. */
  orders(): Promise<readonly StandingOrder[]>;
  /** Takes the place of an earlier one of the session. */
  keepQueue(row: QueueRow): Promise<void>;
  dropQueue(sessionKey: string): Promise<void>;
  queues(): Promise<readonly QueueRow[]>;
  keepDevices(change: DeviceChange): Promise<void>;
  devices(): Promise<KeptDevices>;
  keepSenders(change: SenderChange): Promise<void>;
  senders(): Promise<KeptSenders>;
  keepCommandRequests(change: CommandRequestChange): Promise<void>;
  commandRequests(): Promise<readonly unknown[]>;
  keepGrant(grant: GrantRow): Promise<void>;
  dropGrant(id: string): Promise<void>;
  /** Oldest first; also those whose time is over. */
  grants(): Promise<readonly GrantRow[]>;
  /** Takes the place of an earlier one with its id. */
  keepCaller(caller: CallerRow): Promise<void>;
  dropCaller(id: string): Promise<void>;
  /** Oldest first; also those whose time is over. */
  callers(): Promise<readonly CallerRow[]>;

  // --- requests for rights, and the messages that are kept with them ---
  /**
   * Writes the request, in one transaction with the message that is new in it. `sent`: the call of the message's turn has sent
   * it already, and nothing is written.
   */
  keepRequest(request: GrantRequest, message?: KeptMessage): Promise<"kept" | "sent">;
  /**
   * The kept messages become dead letters (`refused`); the request goes, or is kept as `after` says. Tells how many there were.
   */
  refuseRequest(id: string, reason: string, after?: GrantRequest): Promise<number>;
  /**
   * Appends the envelope that the message became and removes the message, and the request with the last one, in one transaction.
   * Rejects with `CLOISTER_GRANT_REQUEST_UNKNOWN` when it is gone: of two releases one wins.
   */
  releaseKept(released: Release, envelope: Envelope): Promise<{ readonly seq: number }>;
  /** Removes a request without messages; one that is gone is left alone. */
  dropRequest(id: string): Promise<void>;
  keptMessage(released: Release): Promise<KeptMessage | undefined>;
  /** Oldest first, decided ones as well. */
  requests(): Promise<readonly GrantRequest[]>;

  // --- groups ---
  /** The newest `keep` lines of the room are kept. */
  keepRoomRow(room: string, row: RoomRow, keep: number): Promise<KeptRow>;
  /** After the rows and envelopes whose calls came before and have settled. */
  room(query: RoomQuery): Promise<RoomView>;
  activation(sessionKey: string): Promise<RoomActivation | undefined>;
  setActivation(sessionKey: string, activation: RoomActivation): Promise<void>;

  // --- audit (`runtime/store/audit-chain.ts`); accepted envelopes are in it without a call ---
  /** Rows of one call keep their order within each log; those in flight together are one write. */
  audit(rows: readonly AuditRow[]): Promise<void>;
  /** Of both logs, newest first. */
  audits(limit: number): Promise<readonly AuditEntry[]>;
  auditPage(log: AuditLog, query: AuditQuery): Promise<AuditPage>;
  /** The next part of a check; call it until it is `done`. */
  auditCheck(log: AuditLog, before?: AuditCheck): Promise<AuditCheck>;
  auditReach(log: AuditLog): Promise<AuditReach>;
  /** The hash of a row, or of the anchor that it left; undefined when there is neither. */
  auditHolds(log: AuditLog, n: number): Promise<string | undefined>;

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
