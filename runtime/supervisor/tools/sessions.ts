/** `sessions`: what an agent may change about its own sessions and those it spawned. Source: behaviour §3.7. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { viewSession } from "./session-view.ts";
import { defineTool, fault, forbidden, type Tool } from "./table.ts";

const sessionKey = z.string().min(1);
const params = z.discriminatedUnion(
  "action",
  [
    z.object({
      action: z.literal("patch"),
      sessionKey,
      label: z.string().min(1).max(limits.labelCharsMax).nullable().optional(),
      archived: z.boolean().optional(),
    }),
    z.object({ action: z.literal("reset"), sessionKey }),
    z.object({ action: z.literal("delete"), sessionKey }),
  ],
  { error: 'expected "patch", "reset" or "delete"; the other actions are not supported' },
);

export function makeSessions(deps: SessionToolsDeps, find: SessionFinder): Tool {
  return defineTool("acts", params, async (asked, call) => {
    const requester = find.requesterOf(call);
    const target = await find.byKey(requester, asked.sessionKey);
    if ("status" in target) return target;
    const judged = find.judgeControl(requester, target, asked.action === "patch" ? "label" : asked.action);
    if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    const missing = find.whyMissing(target);
    if (missing !== undefined) return missing;
    const { key, agentId } = target;
    if (asked.action === "patch" && asked.label === undefined && asked.archived === undefined)
      return fault("invalid", "sessions: patch needs label, archived or both");
    if (asked.action === "delete") {
      const { sessionId } = await deps.care.delete(key, agentId);
      return { status: "ok", action: asked.action, sessionKey: key, sessionId };
    }
    const row =
      asked.action === "reset"
        ? await deps.care.reset(key, agentId)
        : await deps.care.patch(key, agentId, {
            ...(asked.label === undefined ? {} : { label: asked.label }),
            ...(asked.archived === undefined ? {} : { archived: asked.archived }),
          });
    return { status: "ok", action: asked.action, session: viewSession(deps, find, requester, { key, agentId, row }) };
  });
}
