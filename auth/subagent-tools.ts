/** Which session tools a sub-agent has. Its requester's rights bound them as well (`runtime/kernel/runs.ts`). Source: behaviour §3.5. */
import { matchesPattern } from "../runtime/kernel/pairings.ts";
import { sessionTools } from "./compile-pairings.ts";

/** Whatever its requester may do: a sub-agent answers its requester, and speaks to nobody else. */
export const neverForSubagents: readonly string[] = [
  "gateway",
  "agents_list",
  "session_status",
  "cron",
  "message",
  "sessions_send",
  "conversations_*",
  "progress_card",
];

/** Where nothing may be started any more, there is nothing to look after either. */
export const neverAtTheDepthBound: readonly string[] = [
  "subagents",
  "sessions_list",
  "sessions_history",
  "sessions_spawn",
];

export function subagentTools(
  isAtBound: boolean,
  narrowing: { readonly allow?: readonly string[]; readonly deny: readonly string[] },
): readonly string[] {
  const denied = [...neverForSubagents, ...(isAtBound ? neverAtTheDepthBound : []), ...narrowing.deny];
  return sessionTools.filter(
    (tool) => !isNamed(denied, tool) && (narrowing.allow === undefined || isNamed(narrowing.allow, tool)),
  );
}

const isNamed = (patterns: readonly string[], tool: string): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, tool));
