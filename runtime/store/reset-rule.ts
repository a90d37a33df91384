/** When a session begins anew by itself. Pure. Source: behaviour §1.5, §5.6. */
import type { ResetRule } from "./port.ts";
import type { SessionHead } from "./session-index.ts";

/** Whether a message that was accepted at `atMs` finds the session over. One without messages is as good as new. */
export function isOver(head: SessionHead, rule: ResetRule, atMs: number): boolean {
  if (head.messages === 0) return false;
  const { dailyAtHour, idleMs } = rule;
  const startedAtMs = head.startedAtMs ?? head.createdAtMs;
  if (dailyAtHour !== undefined && startedAtMs < lastTimeOf(dailyAtHour, atMs)) return true;
  return idleMs !== undefined && atMs - (head.interactedAtMs ?? head.updatedAtMs) >= idleMs;
}

/** The last time that the clocks of the host showed this hour, at or before `atMs`. */
function lastTimeOf(hour: number, atMs: number): number {
  const today = new Date(atMs).setHours(hour, 0, 0, 0);
  if (today <= atMs) return today;
  const date = new Date(atMs);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() - 1, hour).getTime();
}
