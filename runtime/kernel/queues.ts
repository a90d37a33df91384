/**
 * What becomes of what people say while a turn of their session runs: the words, and what counts where nothing is set.
 *
 *   steer      the running turn gets it when it asks (`ctx.steered`); what it does not take is a turn of its own afterwards
 *   followup   a turn of its own, in order of arrival
 *   collect    one turn for all that came, after a quiet while; each channel and thread has its own
 *   interrupt  the running turn is stopped, what waits is dropped, and the newest is handled
 *
 * Source: behaviour §5.3.
 */
export const queueModes = ["steer", "followup", "collect", "interrupt"] as const;
export type QueueMode = (typeof queueModes)[number];

/** Older names, which are understood wherever a mode is read. */
export const queueAliases = { queue: "followup", "steer-backlog": "steer" } as const;

/** Undefined: no mode is called so. */
export function findQueueMode(name: string): QueueMode | undefined {
  const alias = Object.hasOwn(queueAliases, name) ? queueAliases[name as keyof typeof queueAliases] : undefined;
  return alias ?? queueModes.find((mode) => mode === name);
}

/** What happens to the oldest, or to the newest, when more than `cap` wait. */
export const queueDrops = ["old", "new", "summarize"] as const;
export type QueueDrop = (typeof queueDrops)[number];

export interface QueuePolicy {
  readonly mode: QueueMode;
  /** The quiet while of `collect`. */
  readonly debounceMs: number;
  /** Messages of people that may wait in one session. */
  readonly cap: number;
  readonly drop: QueueDrop;
}
