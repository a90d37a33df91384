/** `sessions_history`: what was said in a session, cleaned and bounded on the reader pool. Source: behaviour §3.3. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import { parseMessageId } from "../../readers/message-id.ts";
import type { SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, type Tool } from "./table.ts";

const params = z.object({
  sessionKey: z.string().min(1),
  limit: z.number().int().min(1).default(limits.historyMessagesDefault),
  offset: z.number().int().min(0).default(0),
  includeTools: z.boolean().default(false),
  /** An earlier transcript of the session, as `sessions_search` names it. */
  sessionId: z.string().min(1).optional(),
  /** The page ends with this message. */
  messageId: z.string().min(1).optional(),
});

export function makeSessionsHistory({ store, readers }: SessionToolsDeps, find: SessionFinder): Tool {
  return defineTool(
    "reads",
    params,
    async ({ sessionKey, offset, includeTools, sessionId, messageId, ...asked }, call) => {
      const requester = find.requesterOf(call);
      const target = await find.byKey(requester, sessionKey);
      if ("status" in target) return target;
      const judged = find.judge(requester, target, "history");
      if (!judged.allowed) return find.refuse(call, requester, target, "history", judged);
      const missing = find.whyMissing(target);
      if (missing !== undefined) return missing;
      const limit = Math.min(asked.limit, limits.historyMessagesMax);
      const anchor = messageId === undefined ? undefined : parseMessageId(messageId);
      if (messageId !== undefined && anchor === undefined)
        return fault(
          "invalid",
          `sessions_history: messageId: found ${JSON.stringify(messageId.slice(0, 80))}, wanted one that a history or a search gave`,
        );
      if (anchor !== undefined && (offset > 0 || (sessionId ?? anchor.sessionId) !== anchor.sessionId))
        return fault(
          "invalid",
          "sessions_history: messageId names its transcript and its place: leave out offset and sessionId",
        );
      const transcript = anchor?.sessionId ?? sessionId;
      const { historyReadCharsMax } = limits;
      const page = await store.history(
        target.agentId,
        target.key,
        limit,
        offset,
        historyReadCharsMax,
        transcript,
        anchor?.seq,
      );
      if (transcript !== undefined && (page.sessionId === "" || (anchor !== undefined && anchor.seq >= page.total)))
        return fault(
          "not_found",
          `${messageId ?? transcript} is no ${messageId === undefined ? "transcript" : "message"} of ${target.key}`,
          "sessions_search names them",
        );
      // From what the store found: the session may go on meanwhile.
      const from = anchor === undefined ? offset : page.total - 1 - anchor.seq;
      const shown = await readers.history(page, { offset: from, includeTools, framed: true });
      return { status: "ok", sessionKey: target.key, sessionId: page.sessionId, ...shown };
    },
  );
}
