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
 * All rows of a session change in one transaction. After a crash between a turn's commit and this one the row is behind by
 * that turn; the envelope is still in the journal then, and `begin` or `pending` of it brings the row up to date.
 */
import { failure } from "../kernel/errors.ts";
import { type ChoiceChange, changeChoices, lastingChoices } from "../kernel/session-choices.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { SessionQuery, SessionRow } from "./port.ts";
import type { IndexPlace, SessionCounts } from "./retention-rows.ts";
import { putUsage, readUsage } from "./spent-days.ts";
import type { UsageQuery, UsageRow } from "./usage-rows.ts";

/** What an agent's environment knows of a session: everything but what is said about it from outside. */
export type SessionHead = Omit<SessionRow, "label" | "archivedAtMs" | "pinned" | "choices">;

export class SessionIndex {
  readonly #environment: Environment;
  readonly #scanRowsMax: number;

  constructor(environment: Environment, scanRowsMax: number) {
    this.#environment = environment;
    this.#scanRowsMax = scanRowsMax;
  }

  get(key: string): SessionRow | undefined {
    return this.#environment.get<SessionRow>(["s", keyText(key)]);
  }

  /** By key, else by session id. */
  find(reference: string): SessionRow | undefined {
    const row = this.get(reference);
    if (row !== undefined) return row;
    const key = this.#environment.get<string>(["i", keyText(reference)]);
    return key === undefined ? undefined : this.#environment.get<SessionRow>(["s", key]);
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
      limit: this.#scanRowsMax,
    })) {
      const row = this.#environment.get<SessionRow>(["s", key[2] as string]);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  /** Brings the row to a head that is at least as new, keeping label, pin and age, and the choices of the same transcript; of one before it what lasts. Free when nothing changed. */
  async update(head: SessionHead): Promise<SessionRow> {
    const present = this.get(head.key);
    if (present !== undefined && isCurrent(present, head)) return present;
    return this.#environment.write(() => {
      const old = this.get(head.key);
      if (old !== undefined && isCurrent(old, head)) return old;
      const choices = old?.sessionId === head.sessionId ? old.choices : lastingChoices(old?.choices);
      const row: SessionRow = {
        ...head,
        ...(old?.label === undefined ? {} : { label: old.label }),
        ...(old?.pinned === undefined ? {} : { pinned: old.pinned }),
        ...(choices === undefined ? {} : { choices }),
        createdAtMs: Math.min(old?.createdAtMs ?? head.createdAtMs, head.createdAtMs),
      };
      this.#replace(old, row);
      if (head.spent !== undefined)
        putUsage(this.#environment, { key: head.key, agentId: head.agentId, sessionId: head.sessionId, ...head.spent });
      return row;
    });
  }

  /** Of days, also those of sessions that are gone. */
  usage(query: UsageQuery): readonly UsageRow[] {
    return readUsage(this.#environment, query);
  }

  /** The row of a session that has no message yet. */
  add(row: SessionRow): Promise<void> {
    return this.#environment.write(() => this.#replace(this.get(row.key), row));
  }

  remove(key: string): Promise<void> {
    return this.#environment.write(() => {
      const row = this.get(key);
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
    return this.#environment.write(() => {
      const old = this.get(key);
      const { label: _, ...head } = old ?? { ...makeHead(), label: undefined };
      const row: SessionRow = label === null ? head : { ...head, label };
      this.#replace(old, row);
      return row;
    });
  }

  /** Makes the row from `makeHead` if there is none. */
  choose(key: string, change: ChoiceChange, makeHead: () => SessionHead): Promise<SessionRow> {
    return this.#environment.write(() => {
      const old = this.get(key);
      const { choices: before, ...rest }: SessionRow = old ?? makeHead();
      const choices = changeChoices(before, change);
      const row: SessionRow = choices === undefined ? rest : { ...rest, choices };
      this.#replace(old, row);
      return row;
    });
  }

  archive(key: string, archived: boolean, atMs: number): Promise<SessionRow | undefined> {
    return this.#environment.write(() => {
      const old = this.get(key);
      if (old === undefined || (old.archivedAtMs !== undefined) === archived) return old;
      const { archivedAtMs: _, ...open } = old;
      const row: SessionRow = archived ? { ...open, archivedAtMs: atMs } : open;
      this.#replace(old, row);
      return row;
    });
  }

  pin(key: string, isPinned: boolean): Promise<SessionRow | undefined> {
    return this.#environment.write(() => {
      const old = this.get(key);
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
  query(query: SessionQuery): { rows: SessionRow[]; total: number } {
    const { limit, offset, agentIds, activeSinceMs, label, search, archived } = query;
    if ([agentIds, activeSinceMs, label, search, archived].every((filter) => filter === undefined)) {
      const total = this.#environment.get<number>(["c"]) ?? 0;
      return { rows: [...this.#newest(0, offset, limit)], total };
    }
    const candidates =
      label === undefined
        ? this.#newest(activeSinceMs ?? 0, 0, this.#scanRowsMax)
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
  oldest(after: IndexPlace | undefined, limit: number): { readonly rows: SessionRow[]; readonly next?: IndexPlace } {
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
  count(after: string | undefined, limit: number): SessionCounts {
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
