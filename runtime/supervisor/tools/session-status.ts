/** `session_status`: how one session stands, as fields and as a card to read, and what changed since a version. Source: behaviour §3.7. */
import { z } from "zod";
import type { Requester } from "../../../auth/policy.ts";
import { limits } from "../../kernel/limits.ts";
import type { TranscriptRow } from "../../store/port.ts";
import type { SessionPatch } from "../session-care.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { compactionsLine, contextLine, formatUsage, modelLine, type SessionView, viewSession } from "./session-view.ts";
import { formatTasks, type SessionTasks, tasksOf } from "./session-tasks.ts";
import { defineTool, forbidden, type Tool, type ToolRefusal } from "./table.ts";

const params = z.object({
  /** Absent: the caller's own. */
  sessionKey: z.string().min(1).default("current"),
  /** A `stateVersion` that was seen before. */
  changesSince: z.number().int().min(0).optional(),
  /** For this session alone, from its next turn on; "default" takes it back. */
  model: z.string().min(1).optional(),
  thinking: z.string().min(1).optional(),
});

/** What happened in a session; `version` is its `stateVersion` after that. Never the text: `sessions_history` gives it. */
export interface SessionEvent {
  readonly version: number;
  readonly type: "human_direct_message" | "peer_message" | "run_completed" | "tool_result" | "compacted";
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function makeSessionStatus(deps: SessionToolsDeps, find: SessionFinder): Tool {
  // To choose the same model again changes nothing.
  return defineTool("same", params, async ({ sessionKey, changesSince, model, thinking }, call) => {
    const requester = find.requesterOf(call);
    const target = await find.byKey(requester, sessionKey);
    if ("status" in target) return target;
    // Events tell when something was said: they need the right to read and not only to list.
    for (const verb of changesSince === undefined ? (["list"] as const) : (["list", "history"] as const)) {
      const judged = find.judge(requester, target, verb);
      if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    }
    const isOwn = target.key === requester.sessionKey;
    const missing = isOwn ? undefined : find.whyMissing(target);
    if (missing !== undefined) return missing;
    const chosen = await choose(requester, target, {
      ...(model === undefined ? {} : { model }),
      ...(thinking === undefined ? {} : { thinking }),
    });
    if ("status" in chosen) return chosen;
    const view = viewSession(deps, find, requester, chosen);
    const under = await tasksOf(deps, target, view.access.read || isOwn);
    const changes = changesSince === undefined ? {} : await eventsSince(target.agentId, target.key, changesSince);
    return {
      status: "ok",
      session: view,
      // Its sub-agents and other sessions included, since the gateway started.
      agentUsage: formatUsage(deps.kernel().tokensOf(target.agentId)),
      ...under,
      card: formatCard(view, under, deps.nowMs()),
      time: deps.nowMs(),
      ...changes,
    };
  });

  /** The session as it is after that; nothing is asked for in most calls. */
  async function choose(
    requester: Requester,
    target: FoundSession,
    asked: Pick<SessionPatch, "model" | "thinking">,
  ): Promise<FoundSession | ToolRefusal> {
    if (Object.keys(asked).length === 0) return target;
    const judged = find.judgeControl(requester, target, "set");
    if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    return { ...target, row: await deps.care.patch(target.key, target.agentId, { ...asked, byAgent: true }) };
  }

  /** The newest of them. `historyGap`: there were more, or the session began anew since that version. */
  async function eventsSince(agentId: string, key: string, since: number) {
    const max = limits.sessionEventsMax;
    const page = await deps.store.history(agentId, key, max, 0, limits.historyReadCharsMax);
    const changes = page.rows.filter(({ seq }) => seq >= since).map(eventOf);
    const historyGap = since > page.total || changes.length < page.total - since;
    return { changes, historyGap };
  }
}

const eventOfRole = { assistant: "run_completed", toolResult: "tool_result", compaction: "compacted" } as const;

function eventOf({ seq, role, isUser, atMs }: TranscriptRow): SessionEvent {
  const type = role === "user" ? (isUser ? "human_direct_message" : "peer_message") : eventOfRole[role];
  return { version: seq + 1, type, at: atMs };
}

/** For a person or a model to read. */
function formatCard(
  {
    key,
    label,
    agentId,
    status,
    model,
    thinkingLevel,
    messages,
    compactions,
    contextUsed,
    contextTokens,
    usage,
    updatedAt,
    deliveryContext,
  }: SessionView,
  tasks: SessionTasks,
  nowMs: number,
): string {
  const last = updatedAt === 0 ? "never" : `${Math.max(0, Math.round((nowMs - updatedAt) / 1_000))} s ago`;
  return [
    `Session: ${key}${label === undefined ? "" : ` "${label}"`}`,
    `Agent: ${agentId}, ${status}`,
    modelLine(model, thinkingLevel),
    `Messages: ${messages}, last one: ${last}`,
    contextLine(contextUsed, contextTokens),
    compactionsLine(compactions),
    ...formatTasks(tasks),
    ...(usage === undefined
      ? []
      : [
          `Tokens: ${usage.inputTokens} in, ${usage.outputTokens} out, ${usage.totalTokens} in all`,
          ...(usage.costUsd === undefined ? [] : [`Cost: ${usage.costUsd.toFixed(6)} USD`]),
        ]),
    ...(deliveryContext === undefined ? [] : [`Answers go to: ${deliveryContext.channel} ${deliveryContext.to}`]),
  ].join("\n");
}
