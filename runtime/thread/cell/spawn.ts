/** `ctx.spawn`: the tools `sessions_spawn` and `subagents` as one handle. */
import { type ErrorCode, failure } from "../../kernel/errors.ts";
import type { CellLog, Context, SpawnEnd, ToolResult, Tools } from "../actor-port.ts";

/** Of the few codes that a tool's refusal has (AC-08.2). */
const codes: Readonly<Record<string, ErrorCode>> = {
  forbidden: "CLOISTER_CAPABILITY_DENIED",
  not_found: "CLOISTER_AGENT_UNKNOWN",
  busy: "CLOISTER_BUSY",
  invalid: "CLOISTER_REQUEST_INVALID",
};

export function makeSpawn(
  tools: Pick<Tools, "sessions_spawn" | "subagents">,
  log: Pick<CellLog, "warn">,
): Context<object>["spawn"] {
  return async ({ task, deadlineMs, announce = false, ...rest }) => {
    const started = await tools.sessions_spawn({
      ...rest,
      task,
      expectsCompletionMessage: announce,
      ...(deadlineMs === undefined ? {} : { runTimeoutSeconds: deadlineMs / 1_000 }),
    });
    if (started["status"] !== "accepted") throw refused("ctx.spawn", started);
    if (typeof started["warning"] === "string") log.warn(`ctx.spawn: ${started["warning"]}`);
    const runId = String(started["runId"]);
    return {
      runId,
      sessionKey: String(started["childSessionKey"]),
      async result() {
        const ended = await tools.subagents({ action: "result", taskId: runId });
        if (ended["status"] !== "ok") throw refused("the result of ctx.spawn", ended);
        return ended["result"] as SpawnEnd;
      },
      async cancel() {
        await tools.subagents({ action: "cancel", taskId: runId });
      },
    };
  };
}

function refused(what: string, { code, error, operatorHint }: ToolResult): Error {
  return failure(
    codes[String(code)] ?? "CLOISTER_INTERNAL",
    `${what}: ${String(error)}`,
    typeof operatorHint === "string" ? operatorHint : undefined,
  );
}
