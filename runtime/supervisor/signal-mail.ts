/**
 * The envelope that a due timer or monitor becomes. Pure: the kernel's tests make theirs with it as well.
 */
import type { Admission } from "../kernel/kernel.ts";
import type { DueRow, MonitorRow, TimerRow } from "../store/port.ts";

type Repeats = Pick<TimerRow, "dueAtMs"> & { readonly everyMs?: number | undefined };
type DueTimer = Repeats & Pick<TimerRow, "id" | "agentId" | "sessionKey" | "name" | "via" | "body" | "isData">;
type DueMonitor = Omit<MonitorRow, "createdAtMs">;
type Down = Pick<Extract<DueRow, { type: "down" }>, "reason" | "detail" | "dueAtMs">;

/** How many later times have passed as well, and when the next one is. */
export function timesOf(
  { dueAtMs, everyMs }: Repeats,
  nowMs: number,
): { readonly missed: number; readonly nextMs: number | undefined } {
  if (everyMs === undefined) return { missed: 0, nextMs: undefined };
  const missed = Math.max(0, Math.floor((nowMs - dueAtMs) / everyMs));
  return { missed, nextMs: dueAtMs + (missed + 1) * everyMs };
}

export function timerAdmission(timer: DueTimer, nowMs: number): Admission {
  const { id, agentId, sessionKey, name, dueAtMs, isData } = timer;
  const { missed, nextMs } = timesOf(timer, nowMs);
  return {
    ...internal("schedule"),
    from: { type: "timer", agentId, timerId: id },
    agentId,
    sessionKey,
    via: timer.via,
    body: timer.body,
    signal: { type: "timer", id, name, dueAtMs, missed, isData },
    fires: { id, dueAtMs, nextMs },
  };
}

export function downAdmission(
  { id, agentId, sessionKey, target, via }: DueMonitor,
  { reason, detail, dueAtMs }: Down,
): Admission {
  return {
    ...internal("monitor"),
    from: { type: "monitor", agentId: target, ref: id },
    agentId,
    sessionKey,
    via,
    body: `the agent ${target} is down (${reason})${detail === "" ? "" : `: ${detail}`}`,
    signal: { type: "down", ref: id, agentId: target, reason, detail },
    fires: { id, dueAtMs, nextMs: undefined },
  };
}

function internal(sourceTool: "schedule" | "monitor") {
  return {
    verb: "send",
    chain: [],
    provenance: { kind: "internal_system", sourceChannel: "internal", sourceTool },
    replyRoute: { type: "none" },
  } as const;
}
