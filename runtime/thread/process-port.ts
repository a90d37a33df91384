/** What crosses threads about the processes that run for agents: whose they are, and what they hold. */

/** A process that one of our threads started for an agent. It leads a process group of its own. */
export interface OwnedProcess {
  readonly agentId: string;
  readonly pid: number;
  /** Name of the command that all that it starts carries in its environment; absent: nothing of the kind. */
  readonly command?: string;
}

/** Of all processes that were started for one agent, with all that these have started. */
export interface HeldMemory {
  readonly agentId: string;
  readonly processes: number;
  /** Pages that several of them share are counted in each. */
  readonly residentBytes: number;
}
