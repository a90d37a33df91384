/** `subagents`: what the caller's sub-agents do, a wait for their ends, and their end from outside. Source: behaviour §3.7. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { StoredRun } from "../../store/port.ts";
import type { SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, forbidden, type Tool, type ToolCall, type ToolRefusal } from "./table.ts";

const taskId = z.string().min(1);
const params = z.discriminatedUnion(
  "action",
  [
    z.object({ action: z.literal("list"), limit: z.number().int().min(1).max(limits.runsListMax).default(100) }),
    z.object({
      action: z.literal("wait"),
      taskIds: z.array(taskId).min(1).max(limits.runsAwaitedMax),
      timeoutSeconds: z
        .number()
        .min(0)
        .max(limits.runsAwaitedMsMax / 1_000)
        .default(limits.runsAwaitedMsDefault / 1_000),
    }),
    z.object({ action: z.literal("cancel"), taskId }),
    /** For `ctx.spawn`: as long as the run takes. */
    z.object({ action: z.literal("result"), taskId }),
  ],
  { error: 'expected action "list", "wait" or "cancel"' },
);

export function makeSubagentsTool({ kernel, subagents, nowMs }: SessionToolsDeps): Tool {
  /** Calls whose wait is over: what they are answered now. */
  const waited = new WeakSet<ToolCall>();

  return defineTool("reads", params, async (asked, call) => {
    const own = call.header.sessionKey;
    if (asked.action === "list") {
      const tasks = await subagents.list({ below: own, limit: asked.limit });
      return { status: "ok", tasks, count: tasks.length };
    }
    if (asked.action === "cancel") {
      const run = await findOwn(asked.taskId, own);
      if ("status" in run) return run;
      const cancelled = kernel().cancelRun(run.sessionKey, `${own} ended it`, run.requesterSessionKey === own, nowMs());
      return { status: "ok", taskId: run.id, cancelled };
    }
    const ids = asked.action === "wait" ? asked.taskIds : [asked.taskId];
    const runs: StoredRun[] = [];
    for (const id of ids) {
      const run = await findOwn(id, own);
      if ("status" in run) return run;
      runs.push(run);
    }
    if (!waited.has(call)) {
      waited.add(call);
      const timeoutMs = asked.action === "wait" ? asked.timeoutSeconds * 1_000 : limits.askTimeoutMsMax;
      // Answered by the call that comes back when the wait is over (`onAnswer` of `subagents.ts`).
      if (kernel().awaitRuns(call, ids, timeoutMs, nowMs())) return undefined;
      return fault("invalid", "the turn that called subagents is over");
    }
    if (asked.action === "result") return resultOf(runs[0]);
    const tasks = runs.map((run) => subagents.view(run));
    const pending = runs.filter(({ end }) => end === undefined).length;
    return { status: pending === 0 ? "ok" : "timeout", tasks, pending };
  });

  async function findOwn(id: string, own: string): Promise<StoredRun | ToolRefusal> {
    const run = await subagents.find(id);
    if (run === undefined)
      return fault("not_found", `no sub-agent's run has the id ${id}`, 'subagents { action: "list" }');
    if (run.lineage.includes(own)) return run;
    return forbidden(
      `The run ${id} was not started by ${own} or a sub-agent of it.`,
      'subagents { action: "list" } shows its own',
    );
  }

  function resultOf(run: StoredRun | undefined): object {
    if (run?.end === undefined) return fault("timeout", "the run has not ended");
    const { outcome, result, detail, code } = run.end;
    const { runtimeMs = 0, toolCalls, tokens, treeTokens } = subagents.view(run);
    return {
      status: "ok",
      result: {
        status: outcome,
        text: result ?? detail,
        ...(code === undefined ? {} : { code }),
        runtimeMs,
        toolCalls,
        ...(tokens === undefined ? {} : { tokens }),
        ...(treeTokens === undefined ? {} : { treeTokens }),
      },
    };
  }
}
