/**
 * `sessions`: what an agent may change about its own sessions and those it spawned; and the end of what runs in a session, its own,
 * spawned, or of an agent towards which it holds the verb `cancel`. Source: behaviour §3.7, needs A9.1.
 */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { Requester } from "../../../auth/policy.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { viewSession } from "./session-view.ts";
import { defineTool, fault, forbidden, type Tool, type ToolCall } from "./table.ts";

const sessionKey = z.string().min(1);
const params = z.discriminatedUnion(
  "action",
  [
    z.object({
      action: z.literal("patch"),
      sessionKey,
      label: z.string().min(1).max(limits.labelCharsMax).nullable().optional(),
      archived: z.boolean().optional(),
      pinned: z.boolean().optional(),
      model: z.string().min(1).nullable().optional(),
      thinking: z.string().min(1).nullable().optional(),
    }),
    z.object({ action: z.literal("reset"), sessionKey }),
    z.object({ action: z.literal("delete"), sessionKey }),
    z.object({ action: z.literal("cancel"), sessionKey }),
  ],
  { error: ({ input }) => whyNoAction((input as { readonly action?: unknown } | undefined)?.action) },
);

function whyNoAction(action: unknown): string {
  const known = 'expected "patch", "reset", "delete" or "cancel"';
  return action === "assign_owner"
    ? `${known}; a session belongs to its agent, and to the sessions that spawned it, whose rights follow from that (ADR 0038): to give another agent a right to it is the operator's (cloister grants add)`
    : `${known}; the other actions are not supported`;
}

export function makeSessions(deps: SessionToolsDeps, find: SessionFinder): Tool {
  return defineTool("acts", params, async (asked, call) => {
    const requester = find.requesterOf(call);
    const target = await find.byKey(requester, asked.sessionKey);
    if ("status" in target) return target;
    if (asked.action === "cancel") return cancel(requester, target, call);
    const judged = find.judgeControl(requester, target, asked.action === "patch" ? "label" : asked.action);
    if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    const missing = find.whyMissing(target);
    if (missing !== undefined) return missing;
    const { key, agentId } = target;
    const changes =
      asked.action === "patch"
        ? {
            label: asked.label,
            archived: asked.archived,
            pinned: asked.pinned,
            model: asked.model,
            thinking: asked.thinking,
          }
        : {};
    const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    if (asked.action === "patch" && Object.keys(given).length === 0)
      return fault("invalid", "sessions: patch needs one of label, archived, pinned, model and thinking");
    if (asked.action === "delete") {
      // Its next beginning would know nothing of that.
      if (target.row?.choices?.sendPolicy === "deny")
        return forbidden(
          `sessions: delete: answers of ${key} do not leave it, and would again when it is gone`,
          `cloister sessions delete ${key}`,
        );
      const { sessionId } = await deps.care.delete(key, agentId);
      return { status: "ok", action: asked.action, sessionKey: key, sessionId };
    }
    const row =
      asked.action === "reset"
        ? await deps.care.reset(key, agentId)
        : await deps.care.patch(key, agentId, { ...given, byAgent: true });
    return { status: "ok", action: asked.action, session: viewSession(deps, find, requester, { key, agentId, row }) };
  });

  /** `cancelled` 0: nothing runs there. What waits in the session goes on: who sent it did not ask for its end. */
  async function cancel(requester: Requester, target: FoundSession, call: ToolCall): Promise<object> {
    const { key } = target;
    const own = requester.sessionKey;
    const judged = find.judge(requester, target, "cancel");
    if (!judged.allowed) return find.refuse(call, requester, target, "cancel", judged);
    const missing = find.whyMissing(target);
    if (missing !== undefined) return missing;
    if (key === own) return fault("invalid", `sessions: cancel: ${key} runs this turn; return to end it`);
    const told = { status: "ok", action: "cancel", sessionKey: key };
    const kernel = deps.kernel();
    const requesters = kernel.lineageOf(key);
    if (requesters.length > 0) {
      const cancelled = kernel.cancelRun(key, `${own} ended it`, requesters[0] === own, deps.nowMs());
      return { ...told, cancelled };
    }
    const runId = kernel.cancelTurn(key, own, deps.nowMs());
    return runId === undefined ? { ...told, cancelled: 0 } : { ...told, cancelled: 1, runId };
  }
}
