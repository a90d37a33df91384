/**
 * The agents by id, and among them the entries of sub-agents' runs, in the order of the configuration. Of an agent that nobody has asked for there is what the
 * configuration says and nothing else: of 10,000 most never have mail, and an entry each takes 264 bytes (promise P7).
 */
import { isEntry, makeEntry } from "./agent-entry.ts";
import type { AgentEntry, AgentSpec } from "./state.ts";

export class AgentTable {
  readonly #rows: Map<string, AgentEntry | AgentSpec>;

  constructor(specs: readonly AgentSpec[]) {
    this.#rows = new Map(specs.map((spec) => [spec.id, spec]));
  }

  get size(): number {
    return this.#rows.size;
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  /** From now on it has an entry. Who only looks takes `peek`. */
  get(id: string): AgentEntry | undefined {
    const row = this.#rows.get(id);
    if (row === undefined || isEntry(row)) return row;
    const entry = makeEntry(row);
    this.#rows.set(id, entry);
    return entry;
  }

  set(entry: AgentEntry): void {
    this.#rows.set(entry.spec.id, entry);
  }

  delete(id: string): void {
    this.#rows.delete(id);
  }

  /** To be read and not kept: of an agent without an entry it is one for the moment. */
  peek(id: string): AgentEntry | undefined {
    const row = this.#rows.get(id);
    return row === undefined ? undefined : entryOf(row);
  }

  /** As `peek`, of all. */
  peekAll(): AgentEntry[] {
    return Array.from(this.#rows.values(), entryOf);
  }

  /** Those that have an entry: all that can have a cell, mail or work. */
  made(): AgentEntry[] {
    const found: AgentEntry[] = [];
    // An iterator leaves 40 bytes of garbage for each agent, which stay as long as nothing else happens.
    this.#rows.forEach((row) => {
      if (isEntry(row)) found.push(row);
    });
    return found;
  }

  /** Those that the configuration says this of; from now on they have an entry. */
  having(isMeant: (spec: AgentSpec) => boolean): AgentEntry[] {
    const ids: string[] = [];
    this.#rows.forEach((row, id) => {
      if (isMeant(isEntry(row) ? row.spec : row)) ids.push(id);
    });
    return ids.flatMap((id) => this.get(id) ?? []);
  }
}

const entryOf = (row: AgentEntry | AgentSpec): AgentEntry => (isEntry(row) ? row : makeEntry(row));
