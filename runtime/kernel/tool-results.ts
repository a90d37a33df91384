/**
 * The result object of `sessions_send` as behaviour §3.4 gives it, and the few codes that a tool error may have (AC-08.2).
 */
import type { Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";

/** What an agent is told went wrong. No other code appears on this path. */
export type ToolErrorCode =
  | "forbidden"
  | "not_found"
  | "archived"
  | "busy"
  | "timeout"
  | "would_deadlock"
  | "worker_unavailable"
  | "invalid";

const toolCodes: Readonly<Record<string, ToolErrorCode>> = {
  CLOISTER_AGENT_UNKNOWN: "not_found",
  CLOISTER_SESSION_UNKNOWN: "not_found",
  CLOISTER_CAPABILITY_DENIED: "forbidden",
  CLOISTER_CAPABILITY_REVOKED: "forbidden",
  CLOISTER_CAPABILITY_FORGED: "forbidden",
  CLOISTER_MAILBOX_FULL: "busy",
  CLOISTER_BUSY: "busy",
  CLOISTER_SPAWN_LIMIT: "forbidden",
  CLOISTER_BUDGET_SPENT: "forbidden",
  CLOISTER_RUN_UNKNOWN: "not_found",
  CLOISTER_GATEWAY_DRAINING: "busy",
  CLOISTER_ASK_TIMEOUT: "timeout",
  CLOISTER_ASK_DEADLOCK: "would_deadlock",
  CLOISTER_REQUEST_INVALID: "invalid",
  CLOISTER_MESSAGE_TOO_LARGE: "invalid",
  CLOISTER_MAILBOX_HOPS: "invalid",
  CLOISTER_RUN_LOOP: "invalid",
  CLOISTER_CHAIN_SPENT: "invalid",
  CLOISTER_MESSAGE_UNHANDLED: "invalid",
};

/** Everything that is a fault of the other side or of the gateway is `worker_unavailable` to an agent. */
export function toolErrorCode(code: string): ToolErrorCode {
  return toolCodes[code] ?? "worker_unavailable";
}

/** `isFollowed`: the message began an exchange, so that an answer that comes after the wait is not lost. */
export function sendResult(outcome: Outcome, refusal?: Refusal, isFollowed = false): object {
  if (outcome.status === "ok") return { status: "ok", reply: outcome.text };
  if (outcome.status === "no_reply") return { status: "no_reply" };
  const code = toolErrorCode(outcome.code);
  const status = code === "forbidden" ? "forbidden" : code === "timeout" ? "timeout" : "error";
  return {
    status,
    code,
    error: outcome.message,
    ...(refusal?.remedy === undefined ? {} : { operatorHint: refusal.remedy }),
    ...(refusal?.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
    ...(status === "timeout" && isFollowed ? { delivery: deliveryOf(true) } : {}),
  };
}

/** The result object of a call that was refused before its tool ran; undefined when no tool could say that of itself. */
export function refusalResult({
  code,
  message,
  remedy,
  retryAfterMs,
}: Refusal): Readonly<Record<string, unknown>> | undefined {
  const short = toolErrorCode(code);
  if (short === "worker_unavailable") return undefined;
  return {
    status: short === "forbidden" ? "forbidden" : "error",
    code: short,
    error: message,
    ...(remedy === undefined ? {} : { operatorHint: remedy }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

export function acceptedResult(
  about: { readonly runId: string; readonly sessionKey: string },
  isFollowed = false,
): object {
  return {
    runId: about.runId,
    status: "accepted",
    sessionKey: about.sessionKey,
    delivery: deliveryOf(isFollowed),
  };
}

/** What becomes of an answer that nobody waits for. */
function deliveryOf(isFollowed: boolean): object {
  return isFollowed ? { status: "pending", mode: "announce" } : { status: "skipped", mode: "none" };
}

/**
 * A call that an earlier delivery started, of a tool that must not be called twice. No session tool is one: this code is
 * beside those of `ToolErrorCode`.
 */
export function outcomeUnknownResult(tool: string): object {
  return {
    status: "error",
    code: "outcome_unknown",
    error: `outcome unknown: ${tool} was called before, and the gateway or the agent's cell ended before its result was kept`,
    operatorHint: "find out whether it took effect before you call it again",
  };
}
