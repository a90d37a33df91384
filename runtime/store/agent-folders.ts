/**
 * Which agents there are, and where the environment of each is. Of ten thousand configured agents most are where agents usually
 * are; then the path is made when it is asked for, and all that an agent takes is its id.
 */
import { type StorePlaces, usualSessionsDir } from "./rows.ts";

export class AgentFolders {
  readonly #stateDir: string;
  #ids: ReadonlySet<string> = new Set();
  #unusual: ReadonlyMap<string, string> = new Map();

  constructor({ stateDir, agents }: StorePlaces) {
    this.#stateDir = stateDir;
    this.place(agents);
  }

  /** These agents from now on. Gives the ids of those that are no more. */
  place(agents: StorePlaces["agents"]): readonly string[] {
    const before = this.#ids;
    this.#ids = new Set(agents.map(({ agentId }) => agentId));
    this.#unusual = new Map(
      agents.flatMap(({ agentId, sessionsDir }) => (sessionsDir === undefined ? [] : [[agentId, sessionsDir]])),
    );
    return [...before].filter((id) => !this.#ids.has(id));
  }

  has(agentId: string): boolean {
    return this.#ids.has(agentId);
  }

  ids(): Iterable<string> {
    return this.#ids.keys();
  }

  /** Undefined when no agent has the id. */
  of(agentId: string): string | undefined {
    if (!this.#ids.has(agentId)) return undefined;
    return this.#unusual.get(agentId) ?? usualSessionsDir(this.#stateDir, agentId);
  }
}
