/**
 * The agents' environments that are open: opened on first use, the least recently used closed beyond a bound, so that the cost
 * follows the agents that have mail and not the ones that are configured.
 */
import { failure } from "../kernel/errors.ts";
import type { AgentFolders } from "./agent-folders.ts";
import { AgentStore, agentMigrations } from "./agent-store.ts";
import type { Blobs } from "./blobs.ts";
import type { OpenEnvironment } from "./environment.ts";
import { formats, openFormat } from "./format.ts";
import type { Journal } from "./journal.ts";
import type { StorePlaces } from "./rows.ts";

interface Open {
  readonly store: Promise<AgentStore>;
  /** Work in flight; an environment is not closed below it. */
  users: number;
  idle: () => void;
}

export interface AgentStoresOptions {
  readonly openEnvironment: OpenEnvironment;
  readonly journal: Journal;
  readonly blobs: Blobs;
  readonly openMax: number;
}

export class AgentStores {
  readonly #folders: AgentFolders;
  readonly #options: AgentStoresOptions;
  /** Least recently used first. */
  readonly #open = new Map<string, Open>();
  /** An environment is opened again only after its closing has ended. */
  readonly #closing = new Map<string, Promise<void>>();
  readonly #opens = new Map<string, number>();

  constructor(folders: AgentFolders, options: AgentStoresOptions) {
    this.#folders = folders;
    this.#options = options;
  }

  has(agentId: string): boolean {
    return this.#folders.has(agentId);
  }

  ids(): Iterable<string> {
    return this.#folders.ids();
  }

  /** These agents from now on. The environments of others are closed, and stay where they are. */
  async place(agents: StorePlaces["agents"]): Promise<void> {
    await Promise.all(this.#folders.place(agents).map((agentId) => this.release(agentId)));
  }

  /** Runs the work with the agent's environment open. Rejects with `CLOISTER_AGENT_UNKNOWN`. */
  async use<T>(agentId: string, work: (store: AgentStore) => T | Promise<T>): Promise<T> {
    const open = this.#open.get(agentId) ?? this.#start(agentId);
    this.#open.delete(agentId);
    this.#open.set(agentId, open);
    open.users += 1;
    this.#closeUnused();
    try {
      return await work(await open.store);
    } finally {
      open.users -= 1;
      if (open.users === 0) open.idle();
      this.#closeUnused();
    }
  }

  /**
   * As `use`, for an agent that has an environment; undefined, and nothing is made, for the others. One that was not open is closed
   * again, so that a walk through all agents leaves open those that work.
   */
  async visit<T>(agentId: string, work: (store: AgentStore) => T | Promise<T>): Promise<T | undefined> {
    const folder = this.#folders.of(agentId);
    const wasOpen = this.#open.has(agentId);
    if (folder === undefined || (!wasOpen && !(await this.#options.openEnvironment.exists(folder)))) return undefined;
    try {
      return await this.use(agentId, work);
    } finally {
      const open = this.#open.get(agentId);
      if (!wasOpen && open?.users === 0) await this.release(agentId);
    }
  }

  /** False, and nothing is made, when the agent has neither an environment nor a file of a message yet. */
  async copy(agentId: string, dir: string): Promise<boolean> {
    const folder = this.#folders.of(agentId);
    if (folder === undefined) return false;
    const { exists, blobs } = this.#options.openEnvironment;
    // One whose first turn has not begun may have files of messages already; they belong beside an environment.
    const isThere = (await exists(folder)) || ((await blobs?.(folder).list()) ?? []).length > 0;
    if (!isThere) return false;
    await this.use(agentId, (agent) => agent.copyTo(dir));
    return true;
  }

  /** Files of messages, also of an agent that had no turn yet. */
  async copyBlobs(agentId: string, dir: string): Promise<void> {
    const folder = this.#folders.of(agentId);
    if (folder !== undefined) await this.#options.openEnvironment.blobs?.(folder).copyTo(dir);
  }

  /**
   * Removes of these files of messages what no row names, if the agent is open: its opening looks at all that there are. Not to be waited
   * for inside `use`: an agent that was released meanwhile is opened again when that has ended.
   */
  async sweep(agentId: string, files: readonly string[]): Promise<void> {
    if (this.#open.has(agentId)) await this.use(agentId, (store) => this.#sweep(agentId, store, files));
  }

  /** Passes the word on if the agent is open; a closed one finds out when it is opened. */
  forget(agentId: string, envelopeId: string): void {
    this.#open.get(agentId)?.store.then(
      (store) => store.forget(envelopeId),
      // Whoever opened it was told.
      () => undefined,
    );
  }

  /** Closes the agent's environment once its work in flight is done. */
  async release(agentId: string): Promise<void> {
    const open = this.#open.get(agentId);
    if (open !== undefined) {
      this.#open.delete(agentId);
      this.#close(agentId, open);
    }
    await this.#closing.get(agentId);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys(), ...this.#closing.keys()].map((agentId) => this.release(agentId)));
  }

  opens(): Record<string, number> {
    return Object.fromEntries(this.#opens);
  }

  #start(agentId: string): Open {
    const open: Open = { store: this.#openStore(agentId), users: 0, idle: () => undefined };
    // A failed opening is tried again by the next use.
    open.store.catch(() => {
      if (this.#open.get(agentId) === open) this.#open.delete(agentId);
    });
    return open;
  }

  async #openStore(agentId: string): Promise<AgentStore> {
    const folder = this.#folders.of(agentId);
    if (folder === undefined) {
      throw failure(
        "CLOISTER_AGENT_UNKNOWN",
        `cannot open the store of the agent "${agentId}": the configuration has no such agent`,
        "add it to agents.list",
      );
    }
    await this.#closing.get(agentId);
    this.#opens.set(agentId, (this.#opens.get(agentId) ?? 0) + 1);
    const environment = await this.#options.openEnvironment(folder);
    try {
      await openFormat(environment, "agent", folder, formats.agent, agentMigrations);
      const store = new AgentStore(environment);
      store.forgetUnknown(await this.#options.journal.keeps());
      await this.#sweep(agentId, store);
      return store;
    } catch (error) {
      await environment.close();
      throw error;
    }
  }

  #sweep(agentId: string, store: AgentStore, files?: readonly string[]): Promise<void> {
    const { blobs, journal } = this.#options;
    return blobs.sweep(agentId, (blob) => store.names(blob) || journal.names(agentId, blob), files);
  }

  #closeUnused(): void {
    let over = this.#open.size - this.#options.openMax;
    for (const [agentId, open] of this.#open) {
      if (over <= 0) return;
      if (open.users > 0) continue;
      this.#open.delete(agentId);
      this.#close(agentId, open);
      over -= 1;
    }
  }

  #close(agentId: string, open: Open): void {
    const closing = this.#end(open).finally(() => {
      if (this.#closing.get(agentId) === closing) this.#closing.delete(agentId);
    });
    this.#closing.set(agentId, closing);
  }

  async #end(open: Open): Promise<void> {
    if (open.users > 0) await new Promise<void>((resolve) => (open.idle = resolve));
    const store = await open.store.catch(() => undefined);
    if (store === undefined) return;
    // A full disk keeps the markers; they are found again at the next opening.
    await store.prune().catch(() => undefined);
    await store.close();
  }
}
