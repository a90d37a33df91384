/**
 * Which agents there are, and where the environment of each is. Of ten thousand configured agents most are where agents usually
 * are; then the path is made when it is asked for, and all that an agent takes is its id.
 */
import { type StorePlaces, usualSessionsDir } from "./rows.ts";

export class AgentFolders {
  readonly #stateDir: string;
  readonly #ids: ReadonlySet<string>;
  readonly #unusual: ReadonlyMap<string, string>;

  constructor({ stateDir, agents }: StorePlaces) {
    this.#stateDir = stateDir;
    this.#ids = new Set(agents.map(({ agentId }) => agentId));
    this.#unusual = new Map(
      agents.flatMap(({ agentId, sessionsDir }) => (sessionsDir === undefined ? [] : [[agentId, sessionsDir]])),
    );
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
