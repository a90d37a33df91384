/**
 * The session index in the registry: one row a session, so that listing sessions opens no agent's environment. Derived from
 * the agents' environments, except label, archive mark, pin and choices, which live only here.
 *
 * Layout, format 1 (`K` is `keyText` of the session key, `L` of the label):
 *   ["s", K]               → SessionRow
 *   ["u", updatedAtMs, K]  → 0                  order for listing
 *   ["l", L, K]            → 0                  sessions with a label
 *   ["i", sessionId]       → K
 *   ["c"]                  → number of sessions
 *   ["spent", …]           what models took, by day (`runtime/store/spent-days.ts`)
 * All rows of a session change in one transaction. What turns change is written late, that of many turns at once; it is read from here until that
 * write has succeeded, and a write that fails takes nothing of it.
 * After a crash before that the row is behind by those turns; their envelopes are still in the journal then (`settled-rows.ts`), and `begin` or
 * `pending` of them brings the row up to date (ADR 0085).
 */
import { failure } from "../kernel/errors.ts";
import { type ChoiceChange, changeChoices, lastingChoices } from "../kernel/session-choices.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { SessionQuery, SessionRow } from "./port.ts";
import type { IndexPlace, SessionCounts } from "./retention-rows.ts";
import type { OtherChanges } from "./settled-rows.ts";
import { putUsage, readUsage } from "./spent-days.ts";
import type { UsageQuery, UsageRow } from "./usage-rows.ts";

/** What an agent's environment knows of a session: everything but what is said about it from outside. */
export type SessionHead = Omit<SessionRow, "label" | "archivedAtMs" | "pinned" | "choices">;

export interface IndexOptions {
  readonly scanRowsMax: number;
  /** How long a turn's change may wait to be written. */
  readonly lateMs: number;
  /** `written` has become more. */
  readonly onWritten: () => void;
}

/** Called for by somebody who waits for it. Made anew where the transaction of before came to nothing. */
interface Change {
  readonly make: () => void;
  readonly written: () => void;
  readonly failed: (error: unknown) => void;
}

/** What is not on the disk of one session: its newest head, the row that it makes, and the sums of days and transcripts before. */
interface Late {
  readonly head: SessionHead;
  readonly row: SessionRow;
  readonly spent: readonly UsageRow[];
}

export class SessionIndex {
  readonly #environment: Environment;
  readonly #options: IndexOptions;
  /** By `keyText` of the session key. */
  readonly #late = new Map<string, Late>();
  /** What the next write does. */
  #changes: Change[] = [];
  /** The write that has not begun; it begins when the last one has settled, and so knows what waits and what does not any more. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();
  #made = 0;
  #written = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(environment: Environment, options: IndexOptions) {
    this.#environment = environment;
    this.#options = options;
  }

  /** Changes that waited to be written, and those of them that are. */
  readonly changes: OtherChanges = { made: () => this.#made, written: () => this.#written };

  get(key: string): SessionRow | undefined {
    return this.#rowOf(keyText(key));
  }

  #rowOf(key: string): SessionRow | undefined {
    return this.#late.get(key)?.row ?? this.#stored(key);
  }

  /** What a change inside a transaction starts from: all that waited is written by then. */
  #stored(key: string): SessionRow | undefined {
    return this.#environment.get<SessionRow>(["s", key]);
  }

  /** By key, else by session id. */
  async find(reference: string): Promise<SessionRow | undefined> {
    const row = this.get(reference);
    if (row !== undefined) return row;
    await this.#catchUp();
    const key = this.#environment.get<string>(["i", keyText(reference)]);
    return key === undefined ? undefined : this.#rowOf(key);
  }

  /** Of this transcript; those of one that a reset has just ended count no more. */
  choicesOf(key: string, sessionId: string): Pick<SessionRow, "choices"> {
    const row = this.get(key);
    return row?.choices === undefined || row.sessionId !== sessionId ? {} : { choices: row.choices };
  }

  /** At most as many rows as a scan may read. */
  withLabel(label: string): SessionRow[] {
    const start = ["l", keyText(label), 0];
    const rows: SessionRow[] = [];
    for (const { key } of this.#environment.entries({
      start,
      end: ["l", keyText(label), top],
      limit: this.#options.scanRowsMax,
    })) {
      const row = this.#rowOf(key[2] as string);
      if (row?.label === label) rows.push(row);
    }
    return rows;
  }

  /** Brings the row to a head that is at least as new, keeping label, pin and age, and the choices of the same transcript; of one before it what lasts. Free when nothing changed. */
  async update(head: SessionHead): Promise<SessionRow> {
    const present = this.get(head.key);
    if (present === undefined || !isCurrent(present, head)) return this.#write(() => this.#apply(head));
    // Also what waits: who asks wants it on the disk.
    if (this.#late.has(keyText(head.key))) await this.flush();
    return this.get(head.key) ?? present;
  }

  /** The same, on the disk within `lateMs` or with the next write before: for what follows from rows that outlive a crash. */
  updateLater(head: SessionHead): SessionRow {
    const key = keyText(head.key);
    const present = this.#rowOf(key);
    const row = rowAfter(present, head);
    if (row === present) return row;
    const late = this.#late.get(key);
    const before = late === undefined || isSameSum(late.head, head) ? [] : usageOf(late.head);
    this.#late.set(key, { head, row, spent: [...(late?.spent ?? []), ...before] });
    this.#made += 1;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // What fails stays, for the next write of anybody.
      this.flush().catch(() => undefined);
    }, this.#options.lateMs);
    this.#timer.unref();
    return row;
  }

  /** Resolves when all that waited is on the disk. A write that is on its way and takes it is enough. */
  async flush(): Promise<void> {
    if (this.#late.size > 0) await this.#nextWrite();
  }

  /** Before the environment is closed. What cannot be written is not tried again: who closes has it elsewhere (ADR 0085). */
  async end(): Promise<void> {
    await this.flush().catch(() => undefined);
    clearTimeout(this.#timer);
  }

  /** Does it when all that waited is on the disk: at once where nothing waits. */
  whenWritten<T>(work: () => Promise<T>): Promise<T> {
    return this.#late.size === 0 ? work() : this.flush().then(work);
  }

  /** Before something is read in an order that only the disk has. Where nothing can be written it is what the disk has. */
  #catchUp(): Promise<void> {
    return this.flush().catch(() => undefined);
  }

  /** With the next write, as all that is called for until it begins. A change that throws rejects only for its own caller. */
  #write<T>(change: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T;
      this.#changes.push({
        make: () => {
          result = change();
        },
        written: () => resolve(result),
        failed: reject,
      });
      // Each change hears of its own.
      this.#nextWrite().catch(() => undefined);
    });
  }

  #nextWrite(): Promise<void> {
    this.#next ??= this.#last.then(() => this.#writeAll());
    this.#last = this.#next.catch(() => undefined);
    return this.#next;
  }

  /** What throws is left out, and the others are written without it; a commit that fails is that of all. Where the write before has left nothing to do, nothing is done. */
  async #writeAll(): Promise<void> {
    let changes = this.#changes;
    this.#changes = [];
    this.#next = undefined;
    while (changes.length > 0 || this.#late.size > 0) {
      let made: Change | undefined;
      try {
        await this.#commit(() => {
          for (made of changes) made.make();
          made = undefined;
        });
        for (const { written } of changes) written();
        return;
      } catch (error) {
        for (const { failed } of made === undefined ? changes : [made]) failed(error);
        if (made === undefined) throw error;
        changes = changes.filter((change) => change !== made);
      }
    }
  }

  /** Every transaction takes with it what waits; that waits on until it is on the disk. */
  async #commit(change: () => void): Promise<void> {
    let taken: readonly (readonly [string, Late])[] = [];
    let made = 0;
    await this.#environment.write(() => {
      taken = [...this.#late];
      made = this.#made;
      for (const [, { head, spent }] of taken) {
        for (const row of spent) putUsage(this.#environment, row);
        this.#apply(head);
      }
      change();
    });
    for (const [key, late] of taken) if (this.#late.get(key) === late) this.#late.delete(key);
    // What came meanwhile does not know yet what this write has changed.
    for (const [key, late] of this.#late) this.#late.set(key, { ...late, row: rowAfter(this.#stored(key), late.head) });
    this.#written = made;
    if (taken.length > 0) this.#options.onWritten();
  }

  /** Inside a transaction. */
  #apply(head: SessionHead): SessionRow {
    const old = this.#stored(keyText(head.key));
    const row = rowAfter(old, head);
    if (row === old) return row;
    this.#replace(old, row);
    for (const used of usageOf(head)) putUsage(this.#environment, used);
    return row;
  }

  /** Of days, also those of sessions that are gone. */
  async usage(query: UsageQuery): Promise<readonly UsageRow[]> {
    await this.#catchUp();
    return readUsage(this.#environment, query);
  }

  /** The row of a session that has no message yet. */
  add(row: SessionRow): Promise<void> {
    return this.#write(() => this.#replace(this.#stored(keyText(row.key)), row));
  }

  remove(key: string): Promise<void> {
    return this.#write(() => {
      const row = this.#stored(keyText(key));
      if (row === undefined) return;
      this.#environment.put(["c"], (this.#environment.get<number>(["c"]) ?? 1) - 1);
      this.#environment.remove(["s", keyText(key)]);
      this.#environment.remove(["u", row.updatedAtMs, keyText(key)]);
      this.#environment.remove(["i", keyText(row.sessionId)]);
      if (row.label !== undefined) this.#environment.remove(["l", keyText(row.label), keyText(key)]);
    });
  }

  /** Makes the row from `makeHead` if there is none. */
  label(key: string, label: string | null, makeHead: () => SessionHead): Promise<SessionRow> {
    return this.#write(() => {
      const old = this.#stored(keyText(key));
      const { label: _, ...head } = old ?? { ...makeHead(), label: undefined };
      const row: SessionRow = label === null ? head : { ...head, label };
      this.#replace(old, row);
      return row;
    });
  }

  /** Makes the row from `makeHead` if there is none. */
  choose(key: string, change: ChoiceChange, makeHead: () => SessionHead): Promise<SessionRow> {
    return this.#write(() => {
      const old = this.#stored(keyText(key));
      const { choices: before, ...rest }: SessionRow = old ?? makeHead();
      const choices = changeChoices(before, change);
      const row: SessionRow = choices === undefined ? rest : { ...rest, choices };
      this.#replace(old, row);
      return row;
    });
  }

  archive(key: string, archived: boolean, atMs: number): Promise<SessionRow | undefined> {
    return this.#write(() => {
      const old = this.#stored(keyText(key));
      if (old === undefined || (old.archivedAtMs !== undefined) === archived) return old;
      const { archivedAtMs: _, ...open } = old;
      const row: SessionRow = archived ? { ...open, archivedAtMs: atMs } : open;
      this.#replace(old, row);
      return row;
    });
  }

  pin(key: string, isPinned: boolean): Promise<SessionRow | undefined> {
    return this.#write(() => {
      const old = this.#stored(keyText(key));
      if (old === undefined || (old.pinned === true) === isPinned) return old;
      const { pinned: _, ...open } = old;
      const row: SessionRow = isPinned ? { ...open, pinned: true } : open;
      this.#replace(old, row);
      return row;
    });
  }

  /**
   * Newest first. Without filters it reads the rows of the page only. With filters it reads at most `sessionsScanRowsMax`
   * rows, newest first, and `total` counts the matches among them.
   */
  async query(query: SessionQuery): Promise<{ rows: SessionRow[]; total: number }> {
    await this.#catchUp();
    const { limit, offset, agentIds, activeSinceMs, label, search, archived } = query;
    if ([agentIds, activeSinceMs, label, search, archived].every((filter) => filter === undefined)) {
      const total = this.#environment.get<number>(["c"]) ?? 0;
      return { rows: [...this.#newest(0, offset, limit)], total };
    }
    const candidates =
      label === undefined
        ? this.#newest(activeSinceMs ?? 0, 0, this.#options.scanRowsMax)
        : this.withLabel(label).toSorted(newestFirst);
    const rows: SessionRow[] = [];
    let total = 0;
    for (const row of candidates) {
      if (!matches(row, query)) continue;
      if (total >= offset && rows.length < limit) rows.push(row);
      total += 1;
    }
    return { rows, total };
  }

  /** Behind a place, the one without activity for longest first. `next` is absent when there are no more. */
  async oldest(
    after: IndexPlace | undefined,
    limit: number,
  ): Promise<{ readonly rows: SessionRow[]; readonly next?: IndexPlace }> {
    await this.#catchUp();
    const start = after === undefined ? ["u", 0] : ["u", ...after, 0];
    const keys = Array.from(this.#environment.entries({ start, end: ["u", top], limit }), ({ key }) => key);
    const rows = keys.flatMap(([, , key]) => this.#environment.get<SessionRow>(["s", key as string]) ?? []);
    const last = keys.at(-1);
    return {
      rows,
      ...(last === undefined || keys.length < limit ? {} : { next: [last[1] as number, last[2] as string] }),
    };
  }

  /** How many sessions each agent has among the next `limit` in the order of their keys. */
  async count(after: string | undefined, limit: number): Promise<SessionCounts> {
    await this.#catchUp();
    const start = after === undefined ? ["s", 0] : ["s", after, 0];
    const counts: Record<string, number> = {};
    let last: string | undefined;
    let seen = 0;
    for (const { key, value } of this.#environment.entries<SessionRow>({ start, end: ["s", top], limit })) {
      counts[value.agentId] = (counts[value.agentId] ?? 0) + 1;
      last = key[1] as string;
      seen += 1;
    }
    return { counts, ...(last === undefined || seen < limit ? {} : { next: last }) };
  }

  *#newest(sinceMs: number, offset: number, limit: number): Generator<SessionRow> {
    if (limit <= 0) return;
    let at = 0;
    const range = { start: ["u", sinceMs], end: ["u", top], reverse: true, limit: offset + limit };
    for (const { key } of this.#environment.entries(range)) {
      if (at++ < offset) continue;
      const row = this.#environment.get<SessionRow>(["s", key[2] as string]);
      if (row === undefined) {
        throw failure(
          "CLOISTER_STORE_FAILED",
          `the session index names ${String(key[2])}, and it has no row: the registry is damaged`,
          "restore the registry from a backup",
        );
      }
      yield row;
    }
  }

  /** Inside a transaction. */
  #replace(old: SessionRow | undefined, row: SessionRow): void {
    const key = keyText(row.key);
    const environment = this.#environment;
    if (old === undefined) {
      environment.put(["c"], (environment.get<number>(["c"]) ?? 0) + 1);
    } else {
      environment.remove(["u", old.updatedAtMs, key]);
      environment.remove(["i", keyText(old.sessionId)]);
      if (old.label !== undefined) environment.remove(["l", keyText(old.label), key]);
    }
    environment.put(["s", key], row);
    environment.put(["u", row.updatedAtMs, key], 0);
    environment.put(["i", keyText(row.sessionId)], key);
    if (row.label !== undefined) environment.put(["l", keyText(row.label), key], 0);
  }
}

/** The old row where the head says nothing newer. */
function rowAfter(old: SessionRow | undefined, head: SessionHead): SessionRow {
  if (old !== undefined && isCurrent(old, head)) return old;
  const choices = old?.sessionId === head.sessionId ? old.choices : lastingChoices(old?.choices);
  return {
    ...head,
    ...(old?.label === undefined ? {} : { label: old.label }),
    ...(old?.pinned === undefined ? {} : { pinned: old.pinned }),
    ...(choices === undefined ? {} : { choices }),
    createdAtMs: Math.min(old?.createdAtMs ?? head.createdAtMs, head.createdAtMs),
  };
}

function usageOf({ key, agentId, sessionId, spent }: SessionHead): readonly UsageRow[] {
  return spent === undefined ? [] : [{ key, agentId, sessionId, ...spent }];
}

/** Whether what the second has taken on a day stands for what the first has. */
function isSameSum(a: SessionHead, b: SessionHead): boolean {
  return a.sessionId === b.sessionId && a.spent?.day === b.spent?.day;
}

/** A transcript only grows, so the number of its messages says which of two heads is newer. */
function isCurrent(row: SessionRow, head: SessionHead): boolean {
  return row.sessionId === head.sessionId && row.messages >= head.messages;
}

function newestFirst(a: SessionRow, b: SessionRow): number {
  return b.updatedAtMs - a.updatedAtMs || (a.key < b.key ? 1 : -1);
}

function isSpawnedBy({ spawnedBy, lineage = [] }: SessionRow, sessionKey: string | undefined): boolean {
  return sessionKey !== undefined && (spawnedBy === sessionKey || lineage.includes(sessionKey));
}

function matches(row: SessionRow, query: SessionQuery): boolean {
  if (query.agentIds !== undefined && !query.agentIds.includes(row.agentId) && !isSpawnedBy(row, query.orSpawnedBy))
    return false;
  if (query.activeSinceMs !== undefined && row.updatedAtMs < query.activeSinceMs) return false;
  if (query.label !== undefined && row.label !== query.label) return false;
  if (query.archived !== undefined && query.archived !== (row.archivedAtMs !== undefined)) return false;
  if (query.search === undefined) return true;
  const wanted = query.search.toLowerCase();
  return [row.key, row.label ?? "", row.lastPreview].some((text) => text.toLowerCase().includes(wanted));
}
