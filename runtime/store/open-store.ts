/**
 * The store's calls over opened environments: journal, session index, audit trail and the agents' environments put together.
 *
 * Calls for one session run one after the other; everything else runs at the same time and shares flushes.
 */
import { randomUUID } from "node:crypto";
import type { BacklogStop } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { outcomeOf } from "./agent-store.ts";
import { AgentFolders } from "./agent-folders.ts";
import { AgentStores } from "./agent-stores.ts";
import { Blobs } from "./blobs.ts";
import { type AuditCalls, makeAuditCalls, makeAuditChains } from "./audit-calls.ts";
import { appendRows, clearRows, newestRows } from "./bounded-log.ts";
import { Deliveries } from "./deliveries.ts";
import type { Environment, OpenEnvironment } from "./environment.ts";
import { Journal } from "./journal.ts";
import { LongBodies } from "./long-bodies.ts";
import { clearOwner, ownerSeenEveryMs, type ProcessIdentity, renewOwner } from "./owner.ts";
import { readPending } from "./pending.ts";
import type { Store, StorePlaces } from "./port.ts";
import { makeRoomRows, type RoomRows } from "./room-rows.ts";
import { SessionIndex } from "./session-index.ts";
import { makeSessionRows, type SessionRows } from "./session-rows.ts";
import { makeRunRows, type RunRows } from "./run-rows.ts";
import { makeSignalRows, type SignalRows } from "./signal-rows.ts";
import { takeEnvelopes } from "./take.ts";
import { dropQueue, keepQueue, listQueues } from "./queue-rows.ts";
import { dropCaller, keepCaller, listCallers } from "./callers.ts";
import { dropGrant, keepGrant, listGrants } from "./grants.ts";
import { makeRequestRows, type RequestRows } from "./request-rows.ts";
import { takeSnapshot } from "./snapshot.ts";
import { dropOrder, keepOrder, listOrders } from "./standing-orders.ts";
import { unknownEnvelope } from "./unknown-envelope.ts";
import { unknownLetter } from "./unknown-letter.ts";
import { keepRows, listCommandRequests, listDevices, listSenders } from "./unread-rows.ts";

export type StoreBounds = Pick<
  typeof limits,
  | "dedupeWindowMs"
  | "dedupeKeysPerScopeMax"
  | "deadLettersMax"
  | "mailboxDepthMax"
  | "blobCharsMin"
  | "settledRowsPerWriteMax"
  | "appendsPerWriteMax"
  | "auditRowsMax"
  | "auditAnchorsMax"
  | "spillStopsMax"
  | "openAgentStoresMax"
  | "sessionsScanRowsMax"
  | "turnRowsScanMax"
  | "takenCharsMax"
  | "timersPerAgentMax"
  | "monitorsPerAgentMax"
  | "downsPerWriteMax"
  | "roomsMax"
  | "endedRunsMax"
  | "retentionRowsMax"
  | "indexLateMs"
  | "storeLogBytes"
  | "storeLogBytesMax"
>;

export interface StoreOptions {
  /** Milliseconds since the epoch. Default: the system clock. */
  readonly now?: () => number;
  /** Milliseconds of a clock that nobody sets, by which the idempotency window ages; only differences count. Default: `performance.now`. */
  readonly elapsedMs?: () => number;
  /** Ids of new sessions. Default: random UUIDs. */
  readonly newId?: () => string;
  /** Whose state directory it becomes until `close`; without it the directory is not locked. */
  readonly owner?: { readonly pid: number } | ProcessIdentity;
  /** Hex; seals the audit trail (`auditKeyOf`). Left out: a key that everybody knows, for tests. */
  readonly auditKey?: string;
  /** Default: `limits`. */
  readonly bounds?: { readonly [K in keyof StoreBounds]?: number };
}

/** Name of the log of stops in the registry. */
const stopLog = "stop";

export class OpenStore implements Store {
  readonly #registry: Environment;
  readonly #journalEnvironment: Environment;
  readonly #journal: Journal;
  readonly #index: SessionIndex;
  readonly #care: SessionRows;
  readonly #signals: SignalRows;
  readonly #rooms: RoomRows;
  readonly #requests: RequestRows;
  readonly #runs: RunRows;
  readonly #audit: AuditCalls;
  readonly #agents: AgentStores;
  readonly #blobs: Blobs;
  readonly #bodies: LongBodies;
  readonly #deliveries: Deliveries;
  readonly #bounds: { readonly [K in keyof StoreBounds]: number };
  readonly #openEnvironment: OpenEnvironment;
  readonly #now: () => number;
  readonly #newId: () => string;
  readonly #ownerTimer: NodeJS.Timeout | undefined;
  /** The last call for each session, until it has settled. */
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #running = new Set<Promise<unknown>>();
  #appends = 0;
  #closed: Promise<void> | undefined;

  constructor(
    places: StorePlaces,
    registry: Environment,
    journal: Environment,
    openEnvironment: OpenEnvironment,
    options: StoreOptions,
  ) {
    this.#now = options.now ?? Date.now;
    this.#newId = options.newId ?? randomUUID;
    this.#bounds = { ...limits, ...options.bounds };
    this.#registry = registry;
    this.#journalEnvironment = journal;
    this.#openEnvironment = openEnvironment;
    this.#index = new SessionIndex(registry, {
      scanRowsMax: this.#bounds.sessionsScanRowsMax,
      lateMs: this.#bounds.indexLateMs,
      onWritten: () => this.#journal.flushSoon(),
    });
    const chains = makeAuditChains(
      { decisions: registry, traffic: journal },
      { ...this.#bounds, ...options, now: this.#now },
    );
    this.#journal = new Journal(journal, {
      ...this.#bounds,
      traffic: chains.traffic,
      changes: this.#index.changes,
      now: this.#now,
      elapsedMs: options.elapsedMs ?? (() => performance.now()),
      onForgotten: (agentId, envelopeId) => this.#agents.forget(agentId, envelopeId),
    });
    this.#audit = makeAuditCalls(chains, this.#journal);
    const folders = new AgentFolders(places);
    this.#blobs = new Blobs({
      blobCharsMin: this.#bounds.blobCharsMin,
      folderOf: (agentId) => {
        const dir = folders.of(agentId);
        return dir === undefined ? undefined : openEnvironment.blobs?.(dir);
      },
    });
    this.#deliveries = new Deliveries(this.#journal);
    this.#requests = makeRequestRows(this.#journal, this.#now, this.#bounds.deadLettersMax);
    this.#care = makeSessionRows({
      index: this.#index,
      agents: () => this.#agents,
      blobs: this.#blobs,
      journal: { environment: journal, has: (envelopeId) => this.#journal.has(envelopeId) },
      isNamed: (agentId, blob) => this.#journal.names(agentId, blob),
      retentionRowsMax: this.#bounds.retentionRowsMax,
      turnRowsScanMax: this.#bounds.turnRowsScanMax,
      now: this.#now,
      newId: this.#newId,
    });
    this.#signals = makeSignalRows(this.#journal, journal, this.#bounds);
    this.#rooms = makeRoomRows(this.#journal, this.#bounds);
    this.#agents = new AgentStores(folders, {
      blobs: this.#blobs,
      openEnvironment,
      journal: this.#journal,
      openMax: this.#bounds.openAgentStoresMax,
    });
    this.#bodies = new LongBodies({ blobs: this.#blobs, agents: this.#agents, journal: this.#journal, room: journal });
    this.#runs = makeRunRows(this.#journal, this.#index, this.#agents, this.#bounds.endedRunsMax, {
      withBody: (envelope, append) => this.#bodies.write(envelope, append),
      emptyHead: (key, agentId) => this.#care.emptyHead(key, agentId),
    });
    if (options.owner !== undefined) {
      // A sign of life that cannot be written is no reason to end; the next one is tried in time.
      const live = () => Promise.allSettled([renewOwner(registry, this.#now()), this.#journal.markTime()]);
      this.#ownerTimer = setInterval(() => void live(), ownerSeenEveryMs);
      this.#ownerTimer.unref();
    }
  }

  placeAgents: Store["placeAgents"] = (agents) => this.#run(() => this.#agents.place(agents));

  append: Store["append"] = (envelope, dedupe, sees, counts) => {
    const appending = this.#run(async () => {
      const result = await this.#bodies.accept(envelope, dedupe, (stored) =>
        this.#journal.append({ envelope: stored, dedupe, sees, counts }),
      );
      if (result.status === "stored") this.#appends += 1;
      return result;
    });
    if (counts === true) this.#deliveries.countedBy(envelope.header.id, appending);
    return appending;
  };

  begin: Store["begin"] = (turn) =>
    this.#inSession(turn.sessionKey, () =>
      this.#agents.use(turn.agentId, async (agent) => {
        const done = agent.done(turn.envelopeId);
        if (done !== undefined && this.#journal.has(turn.envelopeId)) {
          const committed = agent.head(done.sessionKey);
          if (committed !== undefined) await this.#index.update(committed);
          return { status: "done", ...outcomeOf(done) };
        }
        const attempt = await this.#deliveries.count(turn);
        if (attempt === undefined) throw unknownEnvelope("begin the turn of", turn.envelopeId);
        const envelope = this.#journal.find(turn.envelopeId);
        const body = await this.#blobs.read(turn.agentId, envelope?.body ?? "");
        const isNew = await this.#care.resetIfOver(agent, turn, envelope?.header);
        const session = await this.#care.openSession(agent, turn);
        return {
          status: "begun",
          attempt,
          ...session,
          body,
          state: turn.wantState ? agent.state(session.sessionId) : null,
          ...(isNew ? { isNew } : {}),
          ...(attempt === 1 ? {} : { steps: agent.steps(turn.envelopeId, this.#journal.sent(turn.envelopeId)) }),
        };
      }),
    );

  recordSteps: Store["recordSteps"] = ({ agentId, envelopeId, sessionKey, rows }) =>
    this.#inSession(sessionKey, () =>
      this.#agents.use(agentId, async (agent) => {
        // The row of a turn that is over would be nobody's.
        if (!this.#journal.has(envelopeId) || agent.done(envelopeId) !== undefined)
          throw unknownEnvelope("record a step of", envelopeId);
        await agent.recordSteps(envelopeId, rows);
      }),
    );

  take: Store["take"] = (take) =>
    this.#inSession(take.sessionKey, () =>
      this.#agents.use(take.agentId, (agent) =>
        takeEnvelopes(take, agent, this.#journal, this.#blobs, this.#bounds.takenCharsMax),
      ),
    );

  commit: Store["commit"] = (turn) =>
    this.#inSession(turn.sessionKey, () =>
      this.#agents.use(turn.agentId, async (agent) => {
        const [envelope, ...others] = [turn.envelopeId, ...(turn.taken ?? [])].map((id) => this.#journal.find(id));
        if (envelope === undefined) throw unknownEnvelope("commit the turn of", turn.envelopeId);
        const empty = agent.head(turn.sessionKey) ?? this.#care.emptyHead(turn.sessionKey, turn.agentId);
        const taken = others.filter((other) => other !== undefined);
        const { status, head } = await agent.commit(turn, [envelope, ...taken], empty);
        return { status, row: this.#index.updateLater(head) };
      }),
    );

  outcome: Store["outcome"] = (agentId, envelopeId) =>
    this.#run(async () => {
      if (!this.#journal.has(envelopeId)) return { status: "unknown" };
      const done = await this.#agents.use(agentId, (agent) => agent.done(envelopeId));
      return done === undefined ? { status: "open" } : { status: "done", ...outcomeOf(done) };
    });

  accepted: Store["accepted"] = (envelopeId) => this.#run(async () => this.#journal.find(envelopeId)?.header);

  delivered: Store["delivered"] = (agentId, envelopeId) =>
    this.#run(async () => {
      // In this order: a crash between the two leaves a done envelope without an outbound row, which `pending` settles.
      await this.#agents.use(agentId, (agent) => agent.delivered(envelopeId));
      this.#journal.settle(envelopeId);
    });

  keepBlock: Store["keepBlock"] = (agentId, envelopeId, row) =>
    this.#run(() => this.#agents.use(agentId, (agent) => agent.keepBlock(envelopeId, row, this.#journal)));

  blocks: Store["blocks"] = (agentId, envelopeId) =>
    this.#run(() => this.#agents.use(agentId, async (agent) => agent.blocks(envelopeId)));

  settle: Store["settle"] = (envelopeId) => this.#run(async () => this.#journal.settle(envelopeId));

  bury: Store["bury"] = (...buried) =>
    // The envelope goes at once: what its turn changed has to be on the disk.
    this.#run(() => this.#index.whenWritten(() => this.#journal.bury(...buried)));

  pending: Store["pending"] = (windows = {}) =>
    this.#run(() =>
      readPending({
        journal: this.#journal,
        agents: this.#agents,
        index: this.#index,
        windowOf: (agentId) => windows[agentId] ?? this.#bounds.mailboxDepthMax,
      }),
    );

  queued: Store["queued"] = (backlog, limit) =>
    this.#run(() =>
      this.#agents.use(backlog.agentId, (agent) =>
        // A done envelope keeps its row while its answer has to leave or the turn that asked for it is open.
        this.#journal.queued(backlog, limit, (envelopeId) => agent.done(envelopeId) !== undefined),
      ),
    );

  dropQueued: Store["dropQueued"] = (stopped, limit, reason) =>
    this.#run(() =>
      this.#agents.use(stopped.agentId, (agent) =>
        this.#journal.dropQueued(stopped, limit, reason, (envelopeId) => agent.done(envelopeId) !== undefined),
      ),
    );

  keepLetter: Store["keepLetter"] = (envelope, fate, reason, key) =>
    this.#run(() => this.#bodies.write(envelope, (stored) => this.#requests.keepLetter(stored, fate, reason, key)));
  deadLetters: Store["deadLetters"] = (query) => this.#run(() => this.#requests.deadLetters(query));
  deadLetter: Store["deadLetter"] = (id) =>
    this.#run(async () => {
      const letter = this.#journal.deadLetter(id);
      return letter === undefined
        ? undefined
        : { ...letter, body: await this.#blobs.read(letter.header.agentId, letter.body) };
    });

  replay: Store["replay"] = (letterId, envelope) =>
    this.#run(async () => {
      const seq = await this.#bodies.write(envelope, (stored) => this.#journal.replay(letterId, stored));
      if (seq === undefined) throw unknownLetter("replay", letterId);
      this.#appends += 1;
      return { seq };
    });

  purge: Store["purge"] = (purge) => this.#run(() => this.#journal.purge(purge));
  deadLetterCounts: Store["deadLetterCounts"] = () => this.#run(() => this.#requests.deadLetterCounts());

  schedule: Store["schedule"] = (timer, by) => this.#run(() => this.#signals.schedule(timer, by));
  amendJob: Store["amendJob"] = (id, change) => this.#run(() => this.#signals.amendJob(id, change));
  unschedule: Store["unschedule"] = (id, scope) => this.#run(() => this.#signals.unschedule(id, scope));
  timers: Store["timers"] = (query) => this.#run(() => this.#signals.timers(query));
  monitor: Store["monitor"] = (monitor, by) => this.#run(() => this.#signals.monitor(monitor, by));
  demonitor: Store["demonitor"] = (id, agentId) => this.#run(() => this.#signals.demonitor(id, agentId));
  down: Store["down"] = (facts) => this.#run(() => this.#signals.down(facts));
  due: Store["due"] = (nowMs, limit) => this.#run(() => this.#signals.due(nowMs, limit));
  endTaskLater: Store["endTaskLater"] = (id, end) => this.#run(() => this.#signals.endTaskLater(id, end));
  postpone: Store["postpone"] = (id, atMs) => this.#run(() => this.#signals.postpone(id, atMs));

  fire: Store["fire"] = (fires, envelope) =>
    this.#run(async () => {
      const fired = await this.#signals.fire(fires, envelope);
      this.#appends += 1;
      return fired;
    });

  spawn: Store["spawn"] = (run, ...what) => this.#inSession(run.sessionKey, () => this.#runs.spawn(run, ...what));
  endRun: Store["endRun"] = (id, end, more) => this.#run(() => this.#runs.endRun(id, end, more));
  blockRun: Store["blockRun"] = (id) => this.#run(() => this.#runs.blockRun(id));
  archiveRun: Store["archiveRun"] = (id, atMs) => this.#run(() => this.#runs.archiveRun(id, atMs));
  run: Store["run"] = (id) => this.#run(() => this.#runs.run(id));
  runs: Store["runs"] = (query) => this.#run(() => this.#runs.runs(query));
  sessions: Store["sessions"] = (query) => this.#run(() => this.#index.query(query));
  usage: Store["usage"] = (query) => this.#run(() => this.#index.usage(query));
  session: Store["session"] = (key) => this.#run(async () => this.#index.get(key));
  chosenSending: Store["chosenSending"] = (key) => this.#run(async () => this.#index.get(key)?.choices?.sendPolicy);
  findSession: Store["findSession"] = (reference) => this.#run(() => this.#index.find(reference));
  sessionsWithLabel: Store["sessionsWithLabel"] = (label) => this.#run(async () => this.#index.withLabel(label));
  archiveSession: Store["archiveSession"] = (...args) => this.#inSession(args[0], () => this.#index.archive(...args));
  pinSession: Store["pinSession"] = (key, pinned) => this.#inSession(key, () => this.#index.pin(key, pinned));
  labelSession: Store["labelSession"] = (...args) => this.#inSession(args[0], () => this.#care.labelSession(...args));
  setChoices: Store["setChoices"] = (...args) => this.#inSession(args[0], () => this.#care.setChoices(...args));
  resetSession: Store["resetSession"] = (...args) => this.#inSession(args[0], () => this.#care.resetSession(...args));
  deleteSession: Store["deleteSession"] = (...args) =>
    this.#inSession(args[0], () => this.#care.deleteSession(...args));
  pastTranscripts: Store["pastTranscripts"] = (...args) =>
    this.#inSession(args[1], () => this.#care.pastTranscripts(...args));
  history: Store["history"] = (...args) => this.#inSession(args[1], () => this.#care.history(...args));
  turnRows: Store["turnRows"] = (...args) => this.#inSession(args[1], () => this.#care.turnRows(...args));

  countSessions: Store["countSessions"] = (after) => this.#run(() => this.#care.countSessions(after));
  staleSessions: Store["staleSessions"] = (query) => this.#run(() => this.#care.staleSessions(query));
  pruneSession: Store["pruneSession"] = (...args) =>
    this.#inSession(args[0].key, () => this.#care.pruneSession(...args));
  expireTranscripts: Store["expireTranscripts"] = (...args) => this.#run(() => this.#care.expireTranscripts(...args));
  storedBytes: Store["storedBytes"] = (agentId) => this.#run(() => this.#care.storedBytes(agentId));

  release: Store["release"] = (agentId) => this.#run(() => this.#agents.release(agentId));

  snapshot: Store["snapshot"] = (into) =>
    this.#run(() =>
      takeSnapshot(
        {
          registry: this.#registry,
          journal: this.#journalEnvironment,
          agentIds: this.#agents.ids(),
          copyAgent: (agentId, dir) => this.#agents.copy(agentId, dir),
          copyBlobs: (agentId, dir) => this.#agents.copyBlobs(agentId, dir),
          hold: () => {
            const releases = [this.#journal.hold(), this.#blobs.hold()];
            return () => {
              for (const release of releases) release();
            };
          },
          openEnvironment: this.#openEnvironment,
          now: this.#now,
        },
        into,
      ),
    );

  keepOrder: Store["keepOrder"] = (order) => this.#run(() => keepOrder(this.#registry, order));
  dropOrder: Store["dropOrder"] = (agentId) => this.#run(() => dropOrder(this.#registry, agentId));
  keepQueue: Store["keepQueue"] = (row) => this.#run(() => keepQueue(this.#registry, row));
  dropQueue: Store["dropQueue"] = (sessionKey) => this.#run(() => dropQueue(this.#registry, sessionKey));
  queues: Store["queues"] = () => this.#run(async () => listQueues(this.#registry));
  keepDevices: Store["keepDevices"] = (change) => this.#run(() => keepRows(this.#registry, "device", change));
  devices: Store["devices"] = () => this.#run(async () => listDevices(this.#registry));
  keepSenders: Store["keepSenders"] = (change) => this.#run(() => keepRows(this.#registry, "sender", change));
  senders: Store["senders"] = () => this.#run(async () => listSenders(this.#registry));
  keepCommandRequests: Store["keepCommandRequests"] = (change) =>
    this.#run(() => keepRows(this.#registry, "command", change));
  commandRequests: Store["commandRequests"] = () => this.#run(async () => listCommandRequests(this.#registry));
  keepCaller: Store["keepCaller"] = (caller) => this.#run(() => keepCaller(this.#registry, caller));
  dropCaller: Store["dropCaller"] = (id) => this.#run(() => dropCaller(this.#registry, id));
  callers: Store["callers"] = () => this.#run(async () => listCallers(this.#registry));
  keepGrant: Store["keepGrant"] = (grant) => this.#run(() => keepGrant(this.#registry, grant));
  dropGrant: Store["dropGrant"] = (id) => this.#run(() => dropGrant(this.#registry, id));
  grants: Store["grants"] = () => this.#run(async () => listGrants(this.#registry));

  keepRequest: Store["keepRequest"] = (request, message) =>
    this.#run(() => this.#requests.keepRequest(request, message));
  refuseRequest: Store["refuseRequest"] = (id, reason, after) =>
    this.#run(() => this.#requests.refuseRequest(id, reason, after));
  dropRequest: Store["dropRequest"] = (id) => this.#run(() => this.#requests.dropRequest(id));
  keptMessage: Store["keptMessage"] = (released) => this.#run(() => this.#requests.keptMessage(released));
  requests: Store["requests"] = () => this.#run(() => this.#requests.requests());
  releaseKept: Store["releaseKept"] = (released, envelope) =>
    this.#run(async () => {
      const stored = await this.#requests.releaseKept(released, envelope);
      this.#appends += 1;
      return stored;
    });

  orders: Store["orders"] = () => this.#run(async () => listOrders(this.#registry));

  keepStops: Store["keepStops"] = (stops) =>
    this.#run(() => this.#registry.write(() => appendRows(this.#registry, stopLog, stops, this.#bounds.spillStopsMax)));

  dropStops: Store["dropStops"] = () => this.#run(() => this.#registry.write(() => clearRows(this.#registry, stopLog)));

  stops: Store["stops"] = () =>
    this.#run(async () => newestRows<BacklogStop>(this.#registry, stopLog, this.#bounds.spillStopsMax).toReversed());
  keepRoomRow: Store["keepRoomRow"] = (...row) => this.#run(() => this.#rooms.keepRoomRow(...row));
  room: Store["room"] = (query) => this.#run(() => this.#rooms.room(query));
  activation: Store["activation"] = (sessionKey) => this.#run(() => this.#rooms.activation(sessionKey));
  setActivation: Store["setActivation"] = (...set) => this.#run(() => this.#rooms.setActivation(...set));

  audit: Store["audit"] = (rows) => this.#run(() => this.#audit.audit(rows));
  audits: Store["audits"] = (limit) => this.#run(() => this.#audit.audits(limit));
  auditPage: Store["auditPage"] = (...args) => this.#run(() => this.#audit.auditPage(...args));
  auditCheck: Store["auditCheck"] = (...args) => this.#run(() => this.#audit.auditCheck(...args));
  auditReach: Store["auditReach"] = (log) => this.#run(() => this.#audit.auditReach(log));
  auditHolds: Store["auditHolds"] = (...args) => this.#run(() => this.#audit.auditHolds(...args));

  counters: Store["counters"] = async () => ({
    agentOpens: this.#agents.opens(),
    appends: this.#appends,
    journalCommits: this.#journalEnvironment.commits(),
  });

  close: Store["close"] = () => (this.#closed ??= this.#close());

  async #close(): Promise<void> {
    clearInterval(this.#ownerTimer);
    await Promise.allSettled(this.#running);
    // What is postponed may stay on a full disk: at the next start the `done` markers settle it.
    await this.#index.end();
    await this.#journal.end().catch(() => undefined);
    await this.#agents.close();
    await this.#journalEnvironment.close();
    if (this.#ownerTimer !== undefined) await clearOwner(this.#registry).catch(() => undefined);
    await this.#registry.close();
  }

  #inSession<T>(sessionKey: string, work: () => Promise<T>): Promise<T> {
    return this.#run(() => {
      const before = this.#tails.get(sessionKey);
      const call = before === undefined ? work() : before.then(work, work);
      this.#tails.set(sessionKey, call);
      const forget = (): void => {
        if (this.#tails.get(sessionKey) === call) this.#tails.delete(sessionKey);
      };
      call.then(forget, forget);
      return call;
    });
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined)
      throw failure("CLOISTER_STORE_FAILED", "cannot use the store: it is closed", "start the gateway again");
    const call = work();
    this.#running.add(call);
    try {
      return await call;
    } finally {
      this.#running.delete(call);
    }
  }
}
