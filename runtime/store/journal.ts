/**
 * The journal: every accepted envelope until its turn is done, in one environment, so that one flush commits the appends of
 * all agents in flight.
 *
 * Layout, format 11 (`seq` counts accepted envelopes and gives their order; `E` is `keyText` of the envelope id, `A` of the
 * agent's id):
 *   ["z", A, hash, "m" | "b", n] → 0        a body's file is named by the row ["m" | "b", n] (`runtime/store/blobs.ts`)
 *   ["q", A, seq] → [header, body?]         what waits for one agent, in order
 *   ["m", seq] → body (`StoredText`)        where it is not short (`runtime/store/envelope-rows.ts`)
 *   ["i", E]   → [seq, agentId, askedIn?]   the third is the envelope whose turn waits for this one's outcome
 *   ["n", seq] → deliveries counted so far (`runtime/store/deliveries.ts`)
 *   ["x" | "b" | "a" | "y" | "k", …]  the dead letters (`runtime/store/dead-letters.ts`)
 *   ["due" | "timer" | "timers" | "monitor" | "watched" | "down" | "count", …]  timers and monitors (`runtime/store/signals.ts`)
 *   ["run" | "runs" | "open" | "ended", …]  sub-agent runs (`runtime/store/runs.ts`)
 *   ["d" | "o" | "t" | "ran", …]  the idempotency window (`runtime/store/dedupe.ts`)
 *   ["request" | "kept", …]  requests for rights (`runtime/store/grant-requests.ts`)
 *   ["room" | "rooms" | "room-…" | "activation", …]  what was said in groups (`runtime/store/rooms.ts`)
 *   ["audit" | "audit-head" | "audit-anchor", …]  the log of what was accepted and refused (`runtime/store/audit-chain.ts`)
 *   ["r", …]   what the calls of turns sent (`runtime/store/sent-calls.ts`); ["swept"] is of `runtime/store/long-bodies.ts`
 *   ["log"]    of the log before the environment (`runtime/store/log.ts`)
 * After a crash: an envelope is either wholly here or was never answered. One that is done may still be here, because rows
 * are removed with a later write; its `done` marker in the agent's environment wins. One that was asked for stays until the
 * asking turn is done as well: that turn may be handled again, repeats its ask and needs the outcome.
 */
import type { EnvelopeHeader, Fate, Release, RoomSight } from "../kernel/envelope.ts";
import type { StepRow } from "../kernel/steps.ts";
import { messageRow } from "./audit-message.ts";
import type { AuditChain } from "./audit-chain.ts";
import type { StoredText } from "./blobs.ts";
import { countDelivery } from "./deliveries.ts";
import { addLetter, findLetter, purgeLetters, removeLetter, type StoredLetter } from "./dead-letters.ts";
import type { RunRow } from "../kernel/run-rows.ts";
import { addRun } from "./runs.ts";
import { type DedupeBounds, DedupeWindow, type DedupeWrite, lastSeq, type Seen } from "./dedupe.ts";
import { type Environment, top } from "./environment.ts";
import { agentsWithMail, EnvelopeRows, lastMail, type MessageRow, type Place } from "./envelope-rows.ts";
import { forgetKept, takeKept } from "./grant-requests.ts";
import { Groups } from "./groups.ts";
import { InFlight } from "./in-flight.ts";
import { keyText } from "./key-text.ts";
import { markSeen } from "./rooms.ts";
import { findMade, seenBefore, sentIn } from "./sent-calls.ts";
import { type OtherChanges, settleDelayMs, SettledRows } from "./settled-rows.ts";
import type {
  AppendResult,
  Backlog,
  DeadLetterPurge,
  Dedupe,
  PendingEnvelope,
  SignalSet,
  StoppedBacklog,
  TurnCall,
  WindowKey,
} from "./port.ts";
import { operatorScope } from "./rows.ts";

export interface JournalOptions extends DedupeBounds {
  readonly deadLettersMax: number;
  readonly settledRowsPerWriteMax: number;
  readonly appendsPerWriteMax: number;
  readonly now: () => number;
  readonly elapsedMs: () => number;
  readonly traffic: Pick<AuditChain, "begin" | "add" | "end">;
  readonly changes: OtherChanges;
  /** Called once the removal of an envelope's row is on disk: nothing will ask for its `done` marker again. */
  readonly onForgotten: (agentId: string, envelopeId: string) => void;
}

interface Append {
  readonly envelope: StoredEnvelope;
  readonly dedupe: Dedupe | undefined;
  readonly sees: RoomSight | undefined;
  /** Its first delivery with it. */
  readonly counts: boolean | undefined;
}

/** An envelope as the journal holds it. */
export interface StoredEnvelope {
  readonly header: EnvelopeHeader;
  readonly body: StoredText;
}

/** Rows whose removal a write brings to the disk. */
type Forgotten = (readonly [agentId: string, envelopeId: string])[];

interface LookedAt {
  readonly rows: readonly EnvelopeHeader[];
  /** The place of the last one; undefined when there are no more. */
  readonly last: number | undefined;
}

export class Journal {
  readonly #environment: Environment;
  readonly #options: JournalOptions;
  readonly #rows: EnvelopeRows;
  readonly #window: DedupeWindow;
  readonly #appends: Groups<Append, AppendResult>;
  readonly #settled: SettledRows;
  readonly #commits = new InFlight();
  /** Done envelopes that a turn asked for which is not done, by that turn's envelope. */
  readonly #answers = new Map<string, Set<string>>();
  #timer: NodeJS.Timeout | undefined;
  #nextSeq: number;

  constructor(environment: Environment, options: JournalOptions) {
    this.#environment = environment;
    this.#options = options;
    this.#window = new DedupeWindow(environment, options, options.elapsedMs);
    this.#settled = new SettledRows(options.changes, options.settledRowsPerWriteMax);
    this.#appends = new Groups(options.appendsPerWriteMax, (appends) => this.#appendAll(appends));
    this.#nextSeq = Math.max(lastSeq(environment), lastMail(environment)) + 1;
    this.#rows = new EnvelopeRows(environment, this.#nextSeq);
  }

  /** Those in flight together are one transaction, which costs less than one for each that share a flush. */
  append(append: Append): Promise<AppendResult> {
    return this.#appends.add(append);
  }

  #appendAll(appends: readonly Append[]): Promise<AppendResult[]> {
    return this.#commitWith((window) => appends.map((append) => this.#appendOne(append, window)));
  }

  #appendOne({ envelope, dedupe, sees, counts }: Append, window: DedupeWrite): AppendResult {
    const { id, runId } = envelope.header;
    const { key, call, made, seen } = seenBefore(this.#environment, dedupe, window, this);
    if (seen !== undefined) return { status: "duplicate", ...seen };
    if (this.#rows.keeps(id)) return { status: "duplicate", envelopeId: id, runId };
    this.#environment.checkRoom();
    const seq = this.#put(envelope);
    if (counts === true) this.#environment.put(["n", seq], 1);
    if (key !== undefined) window.remember(key, seq, { envelopeId: id, runId });
    if (sees !== undefined) markSeen(this.#environment, sees);
    if (made !== undefined && "kept" in made) forgetKept(this.#environment, made.kept);
    if (call !== undefined) this.#rows.rememberSent(call, { envelopeId: id, runId });
    return { status: "stored", seq };
  }

  /** What the turn of the envelope sent, in the order of its calls. */
  sent(envelopeId: string): readonly StepRow[] {
    return sentIn(this.#environment, envelopeId);
  }

  /** The envelope's next delivery number, on disk; undefined when the journal does not hold it. */
  countDelivery(envelopeId: string): Promise<number | undefined> {
    return this.#write(() => (this.has(envelopeId) ? countDelivery(this.#environment, envelopeId) : undefined));
  }

  has(envelopeId: string): boolean {
    return !this.#settled.has(envelopeId) && this.#environment.get(["i", keyText(envelopeId)]) !== undefined;
  }

  /** Whether an append of it would be a duplicate. */
  knows(id: string, dedupe: Dedupe | undefined): boolean {
    return this.#rows.keeps(id) || seenBefore(this.#environment, dedupe, this.#window, this).seen !== undefined;
  }

  /** Whether a row is on disk, postponed removals included; by `keyText` of the id. Resolves after the writes in flight. */
  async keeps(): Promise<(envelopeText: string) => boolean> {
    this.#appends.start();
    await this.#environment.settled();
    return (envelopeText) => this.#environment.get(["i", envelopeText]) !== undefined;
  }

  find(envelopeId: string): StoredEnvelope | undefined {
    const place = this.#settled.has(envelopeId) ? undefined : this.#environment.get<Place>(["i", keyText(envelopeId)]);
    return place === undefined ? undefined : this.#rows.read(place);
  }

  /** Takes effect for every later call at once; on disk with the next write. What an open turn asked for waits for that turn. */
  settle(envelopeId: string): void {
    const askedIn = this.#environment.get<Place>(["i", keyText(envelopeId)])?.[2];
    if (askedIn !== undefined && this.has(askedIn)) {
      const answers = this.#answers.get(askedIn) ?? new Set();
      this.#answers.set(askedIn, answers.add(envelopeId));
      return;
    }
    this.#settled.add(envelopeId);
    this.#settleAnswers(envelopeId);
    this.flushSoon();
  }

  /** The turn is over and asks no more. */
  #settleAnswers(askedIn: string): void {
    const answers = this.#answers.get(askedIn);
    this.#answers.delete(askedIn);
    for (const envelopeId of answers ?? []) this.settle(envelopeId);
  }

  /**
   * Until the returned function is called, no row of a settled envelope is removed from the disk, and so no `done` marker is
   * forgotten (`runtime/store/snapshot.ts`). What waits is removed afterwards in portions.
   */
  hold(): () => void {
    const release = this.#settled.hold();
    return () => {
      release();
      this.flushSoon();
    };
  }

  /** Removes what is settled and may be removed; what may not yet waits for the next call. */
  flushSoon(): void {
    if (this.#settled.next().length === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // A failure keeps the rows marked: the next write of anybody tries again and reports to its own caller.
      this.flush().catch(() => undefined);
    }, settleDelayMs);
    this.#timer.unref();
  }

  async bury(envelopeId: string, fate: Fate, reason: string, answer?: string): Promise<void> {
    await this.#write((forgotten) => this.#bury(forgotten, envelopeId, fate, reason, answer));
    this.#settleAnswers(envelopeId);
  }

  /** Inside a write. False, and nothing is done, when the envelope is not there (any more). */
  #bury(forgotten: Forgotten, envelopeId: string, fate: Fate, reason: string, answer?: string): boolean {
    const place = this.#environment.get<Place>(["i", keyText(envelopeId)]);
    if (place === undefined) return false;
    const [seq, agentId] = place;
    const envelope = this.#rows.read(place);
    const attempts = this.#environment.get<number>(["n", seq]) ?? 0;
    if (envelope !== undefined) {
      const letter = { ...envelope, fate, reason, attempts, atMs: this.#options.now() };
      addLetter(this.#environment, answer === undefined ? letter : { ...letter, answer }, this.#options.deadLettersMax);
    }
    this.#rows.remove(envelopeId, agentId, seq);
    forgotten.push([agentId, envelopeId]);
    return true;
  }

  /** See `Store.dropQueued`. */
  async dropQueued(
    stopped: StoppedBacklog,
    limit: number,
    reason: string,
    isDone: (envelopeId: string) => boolean,
  ): Promise<{ readonly headers: readonly EnvelopeHeader[]; readonly next: number | undefined }> {
    const { rows, last } = this.#findRun(stopped) ?? this.#queuedRows(stopped, limit);
    const open = rows.filter(
      ({ id, agentId, sessionKey, runId }) =>
        agentId === stopped.agentId &&
        (stopped.sessionKey === undefined || sessionKey === stopped.sessionKey) &&
        (stopped.runId === undefined || runId === stopped.runId) &&
        !this.#settled.has(id) &&
        !isDone(id),
    );
    let headers: readonly EnvelopeHeader[] = [];
    if (open.length > 0) {
      await this.#write((forgotten) => {
        headers = open.filter(({ id }) => this.#bury(forgotten, id, "dropped", reason));
      });
      for (const { id } of headers) this.#settleAnswers(id);
    }
    return { headers, next: last };
  }

  /**
   * A run is named after its envelope, or by the key of an operator's message: then nobody has to read a backlog for it, and not
   * either when it is not in the backlog.
   */
  #findRun({ sessionKey, runId, after, until }: StoppedBacklog): LookedAt | undefined {
    if (runId === undefined) return undefined;
    const named =
      sessionKey === undefined ? undefined : this.#window.find({ scope: operatorScope(sessionKey), key: runId });
    for (const envelopeId of [runId, named?.envelopeId]) {
      const place = envelopeId === undefined ? undefined : this.#environment.get<Place>(["i", keyText(envelopeId)]);
      const header = place === undefined ? undefined : this.#rows.read(place)?.header;
      if (place === undefined || header?.runId !== runId) continue;
      return { rows: place[0] > after && place[0] <= until ? [header] : [], last: undefined };
    }
    return undefined;
  }

  #queuedRows({ agentId, after, until }: StoppedBacklog, limit: number): LookedAt {
    const found = this.#environment.entries<MessageRow>({
      start: ["q", keyText(agentId), after + 1],
      end: ["q", keyText(agentId), until + 1],
      limit,
    });
    const rows = Array.from(found, ({ key, value: [header] }) => ({ seq: key[2] as number, header }));
    return { rows: rows.map(({ header }) => header), last: rows.length < limit ? undefined : rows.at(-1)?.seq };
  }

  /** Whether a row of the journal names the agent's file. */
  names(agentId: string, blob: string): boolean {
    const start = ["z", keyText(agentId), blob];
    return [...this.#environment.entries({ start, end: [...start, top], limit: 1 })].length > 0;
  }

  deadLetter(id: string): StoredLetter | undefined {
    return findLetter(this.#environment, id);
  }

  /** Undefined, and nothing is written, when the letter is not there (any more). */
  replay(letterId: string, envelope: StoredEnvelope): Promise<number | undefined> {
    return this.#write(() => (removeLetter(this.#environment, letterId) ? this.#put(envelope) : undefined));
  }

  /**
   * Undefined, and nothing is written, when the kept message is not there (any more). A turn that is handled again finds the
   * envelope as what its call has sent.
   */
  release(released: Release, envelope: StoredEnvelope): Promise<number | undefined> {
    return this.#write(() => {
      const by = takeKept(this.#environment, released);
      if (by === undefined) return undefined;
      const { id, runId } = envelope.header;
      if (this.has(by.turn)) this.#rows.rememberSent(by, { envelopeId: id, runId });
      return this.#put(envelope);
    });
  }

  /** The envelope's place; undefined, and nothing is written, when the change that it comes with says that it is not to be made. */
  appendIf(envelope: StoredEnvelope, change: (environment: Environment) => boolean): Promise<number | undefined> {
    return this.#write(() => (change(this.#environment) ? this.#put(envelope) : undefined));
  }

  /** Writes a row with this id unless the call of the turn made one before, or the window knows the key; `add` says whether there was room. */
  set(
    { id, runId = id }: { readonly id: string; readonly runId?: string },
    by: Dedupe | undefined,
    add: (environment: Environment) => boolean,
  ): Promise<SignalSet> {
    this.#appends.start();
    return this.#commitWith((window) => {
      const key = by !== undefined && "scope" in by ? by : undefined;
      const call = by !== undefined && "turn" in by && this.has(by.turn) ? by : undefined;
      const seen = key && window.find(key);
      if (seen !== undefined) return { status: "known", id: seen.envelopeId, runId: seen.runId };
      const known = call && findMade(this.#environment, call);
      if (typeof known === "string") return { status: "known", id: known };
      if (!add(this.#environment)) return { status: "full" };
      if (call !== undefined) this.#rows.rememberMade(call, id);
      if (key !== undefined) window.remember(key, this.#nextSeq++, { envelopeId: id, runId });
      return { status: "set", id };
    });
  }

  /** A run and its task; undefined, and nothing is written, when the call of the turn made one before. */
  spawn(run: RunRow, envelope: StoredEnvelope, by: TurnCall, accepted: object): Promise<number | undefined> {
    return this.#write(() => {
      const call = this.has(by.turn) ? by : undefined;
      if (call !== undefined && findMade(this.#environment, call) !== undefined) return undefined;
      addRun(this.#environment, run);
      if (call !== undefined) this.#rows.rememberMade(call, accepted);
      return this.#put(envelope);
    });
  }

  /** A change of timers, monitors and groups, in a transaction that shares the journal's flush. */
  change<T>(change: (environment: Environment, rows: EnvelopeRows) => T): Promise<T> {
    return this.#write(() => change(this.#environment, this.#rows));
  }

  /** A change that remembers a key, and comes to nothing when the key is known. */
  changeOnce(key: WindowKey, seen: Seen, change: (environment: Environment) => void): Promise<void> {
    this.#appends.start();
    return this.#commitWith((window) => {
      if (window.find(key) !== undefined) return;
      window.remember(key, this.#nextSeq++, seen);
      change(this.#environment);
    });
  }

  /** What of timers, monitors and groups is committed. */
  read<T>(read: (environment: Environment) => T): T {
    return read(this.#environment);
  }

  purge(purge: DeadLetterPurge): Promise<number> {
    return this.#write(() => purgeLetters(this.#environment, purge));
  }

  /** By `keyText`, the agents with envelopes. */
  agentsWithMail(): Iterable<string> {
    return agentsWithMail(this.#environment);
  }

  /** What of an agent is not settled after `after`, in order of acceptance; `limit` rows are looked at. `last` is undefined at the end. */
  rowsAfter(
    agentText: string,
    after: number,
    limit: number,
  ): { readonly rows: readonly PendingEnvelope[]; readonly last?: number } {
    const rows: PendingEnvelope[] = [];
    let last: number | undefined;
    for (const { key, value } of this.#environment.entries<MessageRow>({
      start: ["q", agentText, after + 1],
      end: ["q", agentText, top],
      limit,
    })) {
      last = key[2] as number;
      if (!this.#settled.has(value[0].id)) rows.push(this.#pendingOf(last, value[0]));
    }
    return last === undefined ? { rows } : { rows, last };
  }

  /** The same up to `until`, of what is not done, `limit` of them. */
  queued(
    { agentId, after, until }: Omit<Backlog, "count">,
    limit: number,
    isDone: (envelopeId: string) => boolean,
  ): readonly PendingEnvelope[] {
    const rows: PendingEnvelope[] = [];
    for (const { key, value } of this.#environment.entries<MessageRow>({
      start: ["q", keyText(agentId), after + 1],
      end: ["q", keyText(agentId), until + 1],
    })) {
      const [header] = value;
      if (this.#settled.has(header.id) || isDone(header.id)) continue;
      rows.push(this.#pendingOf(key[2] as number, header));
      if (rows.length >= limit) break;
    }
    return rows;
  }

  #pendingOf(seq: number, header: EnvelopeHeader): PendingEnvelope {
    return { seq, header, attempts: this.#environment.get<number>(["n", seq]) ?? 0 };
  }

  /** Writes the removals that `settle` has postponed, unless a write that is on its way has them. */
  async flush(): Promise<void> {
    this.#appends.start();
    await this.#commits.settled();
    while (this.#settled.next().length > 0) await this.#write(() => undefined);
  }

  async end(): Promise<void> {
    await this.flush();
    await this.markTime();
  }

  /** To be called now and then, and before the end, so that a start knows how old the keys of the window are. */
  async markTime(): Promise<void> {
    if (this.#window.needsMark()) this.#window.marked(await this.#write(() => this.#window.mark()));
  }

  /** After the appends that were called before. */
  #write<T>(change: (forgotten: Forgotten) => T): Promise<T> {
    this.#appends.start();
    return this.#commit(change);
  }

  async #commitWith<T>(change: (window: DedupeWrite) => T): Promise<T> {
    try {
      return await this.#commit(() => {
        const window = this.#window.begin();
        const result = change(window);
        window.end();
        return result;
      });
    } catch (error) {
      this.#window.reset();
      throw error;
    }
  }

  /** Every write of the journal takes the postponed removals with it. */
  #commit<T>(change: (forgotten: Forgotten) => T): Promise<T> {
    return this.#commits.add(this.#commitOne(change));
  }

  async #commitOne<T>(change: (forgotten: Forgotten) => T): Promise<T> {
    const forgotten: Forgotten = [];
    let settled: readonly string[] = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const result = await this.#rows.write(() => {
      settled = this.#settled.next();
      for (const envelopeId of settled) {
        const place = this.#environment.get<Place>(["i", keyText(envelopeId)]);
        if (place === undefined) continue;
        this.#rows.remove(envelopeId, place[1], place[0]);
        forgotten.push([place[1], envelopeId]);
      }
      this.#options.traffic.begin();
      const changed = change(forgotten);
      this.#options.traffic.end();
      return changed;
    });
    for (const envelopeId of settled) this.#settled.delete(envelopeId);
    this.flushSoon();
    for (const [agentId, envelopeId] of forgotten) {
      this.#rows.removed(envelopeId);
      this.#options.onForgotten(agentId, envelopeId);
    }
    return result;
  }

  #put(envelope: StoredEnvelope): number {
    const seq = this.#nextSeq++;
    this.#rows.put(seq, envelope);
    this.#options.traffic.add(messageRow(envelope.header, envelope.body, this.#options.now()));
    return seq;
  }
}
