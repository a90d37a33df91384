/**
 * How many sessions each agent has and which it used last, for `health` and `status`. The store counts them in pieces; the numbers are
 * kept until a session changed, so that asking often costs the store nothing, and two who ask together ask once.
 */
import type { SessionRow, Store } from "../store/port.ts";
import { limits } from "../kernel/limits.ts";

export interface SessionCensus {
  /** Of agents that have any. */
  readonly counts: Readonly<Record<string, number>>;
  readonly total: number;
  /** Newest first, of all agents. */
  readonly newest: readonly SessionRow[];
}

export interface Census {
  take(): Promise<SessionCensus>;
  /** The last one, which may be of a moment ago; a newer one is then on its way. Empty before the first. */
  last(): SessionCensus;
  changed(): void;
}

export function makeCensus(store: Pick<Store, "sessions" | "countSessions">): Census {
  let known: SessionCensus = { counts: {}, total: 0, newest: [] };
  let isFresh = false;
  let taking: Promise<SessionCensus> | undefined;

  const count = async (): Promise<SessionCensus> => {
    // A change while it is counted makes the next one count again.
    isFresh = true;
    try {
      const counts: Record<string, number> = {};
      let next: string | undefined;
      do {
        const part = await store.countSessions(next);
        for (const [agentId, number] of Object.entries(part.counts)) counts[agentId] = (counts[agentId] ?? 0) + number;
        ({ next } = part);
      } while (next !== undefined);
      const { rows, total } = await store.sessions({ limit: limits.censusRecentMax, offset: 0 });
      known = { counts, total, newest: rows };
      return known;
    } catch (error) {
      isFresh = false;
      throw error;
    } finally {
      taking = undefined;
    }
  };

  const take = (): Promise<SessionCensus> => {
    if (taking === undefined && isFresh) return Promise.resolve(known);
    taking ??= count();
    return taking;
  };

  return {
    take,
    last: () => {
      if (!isFresh) take().catch(() => undefined);
      return known;
    },
    changed: () => void (isFresh = false),
  };
}
