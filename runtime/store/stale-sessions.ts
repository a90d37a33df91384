/**
 * Which sessions retention may end. Conversations with people and main sessions stay until somebody archives them; what the gateway
 * made itself (sub-agents, hooks, scheduled turns) and what is archived goes by age, and the oldest by number. What is pinned stays.
 * Source: behaviour §1.5.
 */
import { type JournalView, openWork } from "./open-work.ts";
import type { SessionRow } from "./port.ts";
import type { StaleQuery, StaleSessions } from "./retention-rows.ts";
import type { SessionIndex } from "./session-index.ts";

export async function findStale(index: SessionIndex, journal: JournalView, query: StaleQuery): Promise<StaleSessions> {
  const { rows, next } = await index.oldest(query.after, query.limit);
  const over: Record<string, number> = { ...query.over };
  const works = new Map<string, ReturnType<typeof openWork>>();
  const workOf = (agentId: string): ReturnType<typeof openWork> => {
    const work = works.get(agentId) ?? openWork(journal, agentId);
    works.set(agentId, work);
    return work;
  };
  const stale: SessionRow[] = [];
  for (const row of rows) {
    const { agentId } = row;
    const isTooMany = (over[agentId] ?? 0) > 0;
    if (!isDisposable(row) || (!isTooMany && !isOld(row, query.beforeMs)) || workOf(agentId).has(row.key)) continue;
    if (isTooMany) over[agentId] = (over[agentId] ?? 0) - 1;
    stale.push(row);
  }
  const isAllYoung =
    next !== undefined && next[0] >= query.beforeMs && Object.values(over).every((count) => count <= 0);
  return { rows: stale, over, ...(next === undefined || isAllYoung ? {} : { next }) };
}

/** Nothing happened in the session since it was found stale. */
export function isSame(row: SessionRow, found: SessionRow): boolean {
  return (
    row.sessionId === found.sessionId &&
    row.messages === found.messages &&
    row.updatedAtMs === found.updatedAtMs &&
    row.archivedAtMs === found.archivedAtMs
  );
}

function isDisposable({ kind, archivedAtMs, pinned, spawnedBy }: SessionRow): boolean {
  if (kind === "main" || pinned === true) return false;
  return archivedAtMs !== undefined || spawnedBy !== undefined || kind === "cron" || kind === "hook";
}

function isOld({ updatedAtMs, archivedAtMs }: SessionRow, beforeMs: number): boolean {
  return Math.max(updatedAtMs, archivedAtMs ?? 0) < beforeMs;
}
