/** `sessions_search`: text in the transcripts that the caller may read, also in those that a reset has ended. Source: behaviour §3.7. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { SearchHit } from "../../readers/search.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, forbidden, type Tool } from "./table.ts";

const params = z.object({
  query: z
    .string()
    .max(limits.searchQueryCharsMax)
    .refine((query) => query.trim() !== "", { error: "wanted text to look for" }),
  sessionKey: z.string().min(1).optional(),
  agentId: z.string().optional(),
  limit: z.number().int().min(1).default(limits.searchHitsDefault),
  /** Sessions to leave out, newest first: the `nextOffset` of the call before. */
  offset: z.number().int().min(0).default(0),
});

interface Hit extends SearchHit {
  readonly sessionKey: string;
  readonly agentId: string;
  readonly sessionId: string;
}

export function makeSessionsSearch({ store, readers }: SessionToolsDeps, find: SessionFinder): Tool {
  return defineTool("reads", params, async ({ query, sessionKey, offset, ...asked }, call) => {
    const requester = find.requesterOf(call);
    const agentId = asked.agentId?.toLowerCase();
    if (agentId !== undefined && !find.agents.has(agentId))
      return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    const named = sessionKey === undefined ? undefined : await find.byKey(requester, sessionKey);
    if (named !== undefined && "status" in named) return named;
    const checked = named ?? (agentId === undefined ? undefined : find.mainOf(agentId));
    if (checked !== undefined && (named !== undefined || agentId !== requester.agentId)) {
      const judged = find.judge(requester, checked, "history");
      if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    }
    const { targets, leftOut } = named === undefined ? await readable() : { targets: [named], leftOut: 0 };
    const max = Math.min(asked.limit, limits.searchHitsMax);
    const hits: Hit[] = [];
    let hasMoreHits = false;
    let next = offset;
    for (const target of targets.slice(offset, offset + limits.searchSessionsMax)) {
      if (hits.length >= max) break;
      const found = await searchSession(target, query, max - hits.length);
      hits.push(...found.hits);
      hasMoreHits ||= found.hasMore;
      next++;
    }
    const hasMore = next < targets.length;
    return {
      status: "ok",
      results: hits,
      count: hits.length,
      scannedSessions: next - offset,
      hasMore,
      ...(hasMore ? { nextOffset: next } : {}),
      // In a session that was looked at: a narrower query or its history finds them.
      ...(hasMoreHits ? { hitsLeftOut: true } : {}),
      // Older sessions of agents that it may read: `agentId` or `sessionKey` make it fewer.
      ...(leftOut > 0 ? { sessionsLeftOut: leftOut } : {}),
    };

    /** Newest first; the policy is asked before anything of a session is read. */
    async function readable(): Promise<{ readonly targets: readonly FoundSession[]; readonly leftOut: number }> {
      // Those of others would take the places of its own, and their number is not its to know.
      const { rows, total } = await store.sessions({
        agentIds: find.visibleAgents(requester, agentId, "history"),
        ...(agentId === undefined ? { orSpawnedBy: requester.sessionKey } : {}),
        limit: limits.sessionsListMax * 10,
        offset: 0,
      });
      const found = rows
        .map((row) => ({ key: row.key, agentId: row.agentId, row }))
        .filter((target) => find.judge(requester, target, "history").allowed);
      return { targets: found, leftOut: total - rows.length };
    }
  });

  async function searchSession({ key, agentId }: FoundSession, query: string, max: number) {
    const past = await store.pastTranscripts(agentId, key, limits.searchPastTranscriptsMax);
    const hits: Hit[] = [];
    let hasMore = past.length === limits.searchPastTranscriptsMax;
    for (const sessionId of [undefined, ...past.map((transcript) => transcript.sessionId)]) {
      const { searchMessagesMax, searchReadCharsMax } = limits;
      const page = await store.history(agentId, key, searchMessagesMax, 0, searchReadCharsMax, sessionId);
      const found = await readers.search(page, query, max - hits.length);
      hasMore ||= found.hasMore || page.rows.length < page.total;
      hits.push(...found.hits.map((hit) => ({ sessionKey: key, agentId, sessionId: page.sessionId, ...hit })));
    }
    return { hits, hasMore };
  }
}
