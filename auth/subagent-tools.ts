/** Which tools a sub-agent has. Its requester's rights bound them as well (`runtime/kernel/runs.ts`). Source: behaviour §3.5. */
import { expandTools, isNamed, tools } from "./tool-names.ts";

/** Whatever its requester may do: a sub-agent answers its requester, and speaks to nobody else. */
export const neverForSubagents: readonly string[] = [
  "gateway",
  "config_propose",
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

/** `others`: tools of MCP servers that its requester was told of. */
export function subagentTools(
  isAtBound: boolean,
  narrowing: { readonly allow?: readonly string[]; readonly deny: readonly string[] },
  others: readonly string[],
): readonly string[] {
  const denied = [...neverForSubagents, ...(isAtBound ? neverAtTheDepthBound : []), ...expandTools(narrowing.deny)];
  const only = narrowing.allow === undefined ? undefined : expandTools(narrowing.allow);
  return [...tools, ...others].filter((tool) => !isNamed(denied, tool) && (only === undefined || isNamed(only, tool)));
}
