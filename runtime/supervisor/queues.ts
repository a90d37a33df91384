/**
 * Which queue policy counts for a message: what was said in its chat (`/queue`), else the channel's, else `messages.queue`, else
 * none. Without one a running turn may take the message (`steer`), and nothing is ever dropped. Source: behaviour §5.3.
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { QueuePolicy } from "../kernel/queues.ts";
import type { QueueRow, Store } from "../store/port.ts";

export type QueueChange = Partial<QueuePolicy>;

export interface QueueState {
  readonly policy: QueuePolicy;
  readonly from: "session" | "channel" | "config" | "default";
}

export interface Queues {
  /** Undefined: nobody has set anything for it. */
  of(header: Pick<EnvelopeHeader, "sessionKey" | "provenance">): QueuePolicy | undefined;
  stateOf(sessionKey: string, channel: string): QueueState;
  /** Resolves when it is kept; it counts from then on. @throws CLOISTER_MAILBOX_FULL beyond `limits.queueOverridesMax`. */
  set(sessionKey: string, change: QueueChange): Promise<void>;
  clear(sessionKey: string): Promise<void>;
}

const standard: QueuePolicy = {
  mode: "steer",
  debounceMs: limits.queueDebounceMs,
  cap: limits.queueCap,
  drop: "summarize",
};

export function makeQueues(
  config: Pick<ResolvedConfig, "queue">,
  store: Pick<Store, "keepQueue" | "dropQueue">,
  rows: readonly QueueRow[],
): Queues {
  const overrides = new Map(rows.map(({ sessionKey, ...change }) => [sessionKey, change] as const));
  const find = (sessionKey: string, channel: string): QueueState | undefined => {
    const override = overrides.get(sessionKey);
    const { queue } = config;
    const ofChannel = queue?.byChannel[channel];
    const base = ofChannel ?? queue?.policy;
    if (override !== undefined) return { policy: { ...standard, ...base, ...override }, from: "session" };
    if (ofChannel !== undefined) return { policy: ofChannel, from: "channel" };
    return queue === undefined ? undefined : { policy: queue.policy, from: "config" };
  };

  return {
    of: ({ sessionKey, provenance }) => find(sessionKey, provenance.sourceChannel)?.policy,
    stateOf: (sessionKey, channel) => find(sessionKey, channel) ?? { policy: standard, from: "default" },
    async set(sessionKey, change) {
      const before = overrides.get(sessionKey);
      if (before === undefined && overrides.size >= limits.queueOverridesMax)
        throw failure(
          "CLOISTER_MAILBOX_FULL",
          `${overrides.size} sessions have a queue of their own; the bound is reached`,
          "`/queue default` in one of them, or messages.queue in the configuration",
        );
      const row = { ...before, ...change };
      await store.keepQueue({ sessionKey, ...row });
      overrides.set(sessionKey, row);
    },
    async clear(sessionKey) {
      await store.dropQueue(sessionKey);
      overrides.delete(sessionKey);
    },
  };
}
