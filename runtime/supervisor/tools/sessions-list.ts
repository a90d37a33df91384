/** `sessions_list`: the sessions that the caller may see, and what it may do with each. Source: behaviour §3.2. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { HistoryMessage } from "../../readers/history-view.ts";
import type { SessionRow } from "../../store/port.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { type SessionView, viewSession } from "./session-view.ts";
import { defineTool, fault, forbidden, type Tool } from "./table.ts";

const params = z.object({
  kinds: z.array(z.enum(["main", "group", "cron", "hook", "node", "other"])).optional(),
  limit: z.number().int().min(1).default(limits.sessionsListDefault),
  offset: z.number().int().min(0).default(0),
  activeMinutes: z.number().positive().optional(),
  messageLimit: z.number().int().min(0).max(limits.sessionsListMessagesMax).default(0),
  label: z.string().optional(),
  agentId: z.string().optional(),
  search: z.string().optional(),
  archived: z.union([z.boolean(), z.literal("all")]).default(false),
});

interface ListRow extends SessionView {
  readonly lastMessages?: readonly HistoryMessage[];
  /** There are some, and they are larger than a whole result: `sessions_history` gives them. */
  readonly lastMessagesOmitted?: true;
}

export function makeSessionsList(deps: SessionToolsDeps, find: SessionFinder): Tool {
  const { policy, store, readers, nowMs } = deps;

  return defineTool("reads", params, async (asked, call) => {
    const requester = find.requesterOf(call);
    const agentId = asked.agentId?.toLowerCase();
    if (agentId !== undefined && !find.agents.has(agentId))
      return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    if (agentId !== undefined && agentId !== requester.agentId) {
      const judged = find.judge(requester, find.mainOf(agentId), "list");
      if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    }
    const visible = find.visibleAgents(requester, agentId, "list");
    const limit = Math.min(asked.limit, limits.sessionsListMax);
    const found = await store.sessions({
      agentIds: visible,
      // Its sub-agents may run as an agent whose other sessions it does not see.
      ...(agentId === undefined ? { orSpawnedBy: requester.sessionKey } : {}),
      limit: limits.sessionsListMax * 10,
      offset: 0,
      ...(asked.activeMinutes === undefined ? {} : { activeSinceMs: nowMs() - asked.activeMinutes * 60_000 }),
      ...(asked.label === undefined ? {} : { label: asked.label }),
      ...(asked.search === undefined ? {} : { search: asked.search }),
    });
    const isFiltered = [asked.activeMinutes, asked.label, asked.search].some((filter) => filter !== undefined);
    const virtual = isFiltered || asked.archived === true ? [] : neverSpoken(visible, found.rows);
    const rows = [...found.rows.map((row) => ({ key: row.key, agentId: row.agentId, row })), ...virtual]
      .filter((target) => find.judge(requester, target, "list").allowed)
      .map((target) => ({ target, view: viewSession(deps, find, requester, target) }))
      .filter(({ view }) => asked.archived === "all" || asked.archived === view.archived)
      .filter(({ view }) => asked.kinds === undefined || asked.kinds.includes(view.kind));
    const page: ListRow[] = [];
    let bytes = 0;
    for (const { target, view } of rows.slice(asked.offset, asked.offset + limit)) {
      let row: ListRow = asked.messageLimit === 0 ? view : await withMessages(target, view, asked.messageLimit);
      // A page has at least one row, so that the next one is reached: its messages alone may be too many.
      if (page.length === 0 && sizeOf(row) > limits.sessionsListBytesMax) row = { ...view, lastMessagesOmitted: true };
      bytes += sizeOf(row);
      if (bytes > limits.sessionsListBytesMax) break;
      page.push(row);
    }
    const next = asked.offset + page.length;
    const hasMore = next < rows.length;
    const leftOut = found.total - found.rows.length;
    return {
      status: "ok",
      sessions: page,
      count: page.length,
      hasMore,
      ...(hasMore ? { nextOffset: next, truncationReason: page.length < limit ? "bytes" : "limit" } : {}),
      ...(leftOut === 0 ? {} : { leftOut, note: whyLeftOut(leftOut) }),
      ...(policy.visibility === "all"
        ? {}
        : { visibility: `tools.sessions.visibility is "${policy.visibility}": sessions outside of it are not listed` }),
    };
  });

  /** The last messages, if the caller may read the session: that it may see the row says nothing about it. */
  async function withMessages(target: FoundSession, view: SessionView, count: number): Promise<ListRow> {
    if (!view.access.read || target.row === undefined) return view;
    const page = await store.history(target.agentId, target.key, count, 0, limits.historyReadCharsMax);
    const shown = await readers.history(page, { offset: 0, includeTools: false, framed: true });
    return { ...view, lastMessages: shown.messages };
  }

  /** A configured agent can be spoken to before it ever was: its main session is listed from the start. */
  function neverSpoken(visible: readonly string[], rows: readonly SessionRow[]): FoundSession[] {
    const known = new Set(rows.map(({ key }) => key));
    return visible.map((id) => find.mainOf(id)).filter(({ key }) => !known.has(key));
  }
}

const whyLeftOut = (count: number): string =>
  `${count} older sessions were not looked at, whether you may see them or not: agentId, label, search or activeMinutes make it fewer`;

/** Bytes of the row in the result, with its comma. */
function sizeOf(row: ListRow): number {
  return Buffer.byteLength(JSON.stringify(row)) + 1;
}
