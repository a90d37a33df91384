/**
 * What the end of a cell means for its agent and for others: child specs, restart intensity and strategies as OTP defines them,
 * for agents that mail activates (docs/adr/0017-child-specs.md).
 *
 *   permanent   has a cell from the start of the gateway, is never passivated, and gets the next one at once
 *   transient   gets a cell when it has mail, after an abnormal end too (the default)
 *   temporary   gets none after an abnormal end until an operator starts it or the gateway starts again
 *
 * More abnormal ends within the period than the intensity allows park the agent, and the failure goes up (`escalate`).
 */
import { crashedLately } from "./agent-entry.ts";
import { hasCell } from "./dispatch.ts";
import { type AgentOrder, placeOrder } from "./orders.ts";
import type { Limits } from "./limits.ts";
import type { AgentEntry, AgentSpec, ExitReason, KernelState } from "./state.ts";

export const restartKinds = ["permanent", "transient", "temporary"] as const;
export const escalations = ["park", "stop-group", "gateway"] as const;
export const groupStrategies = ["one_for_one", "one_for_all", "rest_for_one"] as const;

/** The child spec of one agent. */
export interface Supervision {
  readonly restart: (typeof restartKinds)[number];
  /** So many abnormal ends within the period are borne; one more parks the agent. */
  readonly intensity: number;
  readonly periodMs: number;
  /** Full jitter over `backoffMinMs` times 2^n, up to `backoffMaxMs`. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Without an abnormal end for this long, the back-off begins anew. */
  readonly stableMs: number;
  /** How long its turns may take to end when it is stopped. */
  readonly shutdownMs: number;
  /** Who else stops when the intensity is exceeded. */
  readonly escalate: (typeof escalations)[number];
}

/** Agents that live and end together; they are in the order of the configuration. */
export interface AgentGroup {
  readonly name: string;
  /** Who gets a new cell after the abnormal end of one: itself, all, or itself and those after it. */
  readonly strategy: (typeof groupStrategies)[number];
}

export function defaultSupervision(limits: Limits): Supervision {
  return {
    restart: "transient",
    intensity: limits.restartIntensity,
    periodMs: limits.restartPeriodMs,
    backoffMinMs: limits.restartBackoffMs,
    backoffMaxMs: limits.restartBackoffMsMax,
    stableMs: limits.restartStableMs,
    shutdownMs: limits.agentStopMs,
    escalate: "park",
  };
}

/** Counts an abnormal end. True when it was one too many: the agent is parked, and the failure has to go up. */
export function countCrash(
  k: KernelState,
  agent: AgentEntry,
  reason: ExitReason,
  detail: string,
  nowMs: number,
): boolean {
  const { restart, intensity, periodMs, backoffMinMs, backoffMaxMs } = agent.spec.supervision;
  agent.restarts++;
  agent.reason = `${reason}: ${detail}`;
  if (restart === "temporary") {
    agent.phase = "parked";
    agent.reason = `it is temporary and ended: ${reason}: ${detail}`;
    return false;
  }
  agent.crashStreak = crashedLately(agent, nowMs) ? agent.crashStreak + 1 : 1;
  // The last one stays, so that the streak knows its age.
  const within = agent.crashTimes.filter((at) => nowMs - at < periodMs).length + 1;
  agent.crashTimes = [...agent.crashTimes, nowMs].slice(-(intensity + 1));
  if (within > intensity) {
    agent.phase = "parked";
    agent.reason = `${within} crashes within ${periodMs / 1000} s, the last: ${reason}: ${detail}`;
    return true;
  }
  const ceiling = Math.min(backoffMaxMs, backoffMinMs * 2 ** (agent.crashStreak - 1));
  agent.notBeforeMs = Math.max(agent.notBeforeMs, nowMs + Math.floor(k.settings.random() * ceiling));
  return false;
}

/** The agent ended abnormally and stays in service: its group's strategy says who ends with it. */
export function restartGroup(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const { group } = agent.spec;
  if (group === undefined || group.strategy === "one_for_one") return;
  let isAfter = false;
  for (const other of k.agents.made()) {
    if (other === agent) isAfter = true;
    else if (isMember(other.spec, group) && hasCell(other) && (group.strategy === "one_for_all" || isAfter))
      give(k, other, { type: "restart", keepsCrashes: true }, `group:${group.name}`, agent.spec.id, nowMs);
  }
}

/** The agent was parked because it ended too often. */
export function escalate(k: KernelState, agent: AgentEntry, nowMs: number): void {
  const { group, supervision, id } = agent.spec;
  const reason = agent.reason ?? "";
  k.emit({
    type: "escalated",
    agentId: id,
    to: supervision.escalate,
    ...(group === undefined ? {} : { group: group.name }),
    reason,
  });
  k.emit({
    type: "audit",
    event: "escalated",
    subject: `agent:${id}`,
    object: supervision.escalate === "stop-group" ? `group:${group?.name ?? ""}` : supervision.escalate,
    decision: "noted",
    code: "CLOISTER_AGENT_PARKED",
    detail: reason,
  });
  if (supervision.escalate !== "stop-group" || group === undefined) return;
  for (const other of k.agents.having((spec) => isMember(spec, group)))
    if (other !== agent && other.phase !== "parked")
      give(
        k,
        other,
        { type: "park", reason: `its group ${group.name} was stopped, because ${id} was parked: ${reason}` },
        `group:${group.name}`,
        id,
        nowMs,
      );
}

function give(k: KernelState, agent: AgentEntry, order: AgentOrder, by: string, cause: string, nowMs: number): void {
  // What an operator ordered meanwhile, or a group's stop, is not taken back by a restart.
  if (agent.disabled !== undefined || (agent.order?.type === "park" && order.type === "restart")) return;
  placeOrder(k, agent, order, by, `${order.type}, because of agent:${cause}`, nowMs);
}

function isMember(spec: AgentSpec, group: AgentGroup): boolean {
  return spec.group?.name === group.name;
}
