/** `sessions_history`: what was said in a session, cleaned and bounded on the reader pool. Source: behaviour §3.3. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { defineTool, type Tool } from "./table.ts";

const params = z.object({
  sessionKey: z.string().min(1),
  limit: z.number().int().min(1).default(limits.historyMessagesDefault),
  offset: z.number().int().min(0).default(0),
  includeTools: z.boolean().default(false),
});

export function makeSessionsHistory({ store, readers }: SessionToolsDeps, find: SessionFinder): Tool {
  return defineTool("reads", params, async ({ sessionKey, offset, includeTools, ...asked }, call) => {
    const requester = find.requesterOf(call);
    const target = await find.byKey(requester, sessionKey);
    if ("status" in target) return target;
    const judged = find.judge(requester, target, "history");
    if (!judged.allowed) return find.refuse(call, requester, target, "history", judged);
    const missing = find.whyMissing(target);
    if (missing !== undefined) return missing;
    const limit = Math.min(asked.limit, limits.historyMessagesMax);
    const page = await store.history(target.agentId, target.key, limit, offset, limits.historyReadCharsMax);
    const shown = await readers.history(page, { offset, includeTools, framed: true });
    return { status: "ok", sessionKey: target.key, ...shown };
  });
}
