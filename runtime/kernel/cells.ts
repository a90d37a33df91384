/**
 * The life of an agent's cell as the kernel sees it: ready, ended, idle. The driver starts and ends threads; what an end
 * means (back-off, parking, what becomes of the turns in flight) is decided here.
 */
import { pump, pumpWanting, isIdle, passivate } from "./dispatch.ts";
import type { AgentEntry, ExitReason, KernelState } from "./state.ts";
import { answerAsk } from "./waits.ts";
import { endMail, putBack } from "./turns.ts";

export function cellReady(k: KernelState, agentId: string, incarnation: number, nowMs: number): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || agent.phase !== "starting") return;
  agent.phase = "live";
  agent.lastActivityMs = nowMs;
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
}

/**
 * The module of the agent cannot be loaded: the agent is out of service, the others run. Whoever waits hears it at once; the
 * mail stays in the journal and is handled after the next start with a module that loads.
 */
export function disable(k: KernelState, agentId: string, reason: string): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined) return;
  agent.disabled = reason;
  agent.readyMain.clear();
  agent.readyNested.clear();
  for (const lane of [...agent.lanes.values()]) {
    for (const mail of lane.queue.splice(0)) {
      endMail(k, agent, mail, 1, { status: "error", code: "CLOISTER_AGENT_DISABLED", message: `the agent ${agentId} is disabled: ${reason}` });
    }
    if (lane.running === undefined) agent.lanes.delete(lane.key);
  }
  k.emit({ type: "agent-changed", agentId });
}

/**
 * The cell of `incarnation` has ended. Asks that turns of it waited for are forgotten, asks that wait for those turns settle
 * at once; the envelopes go back to the head of their lanes.
 */
export function cellExit(k: KernelState, agentId: string, incarnation: number, reason: ExitReason, detail: string, nowMs: number): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || agent.phase === "dormant" || agent.phase === "parked") return;
  k.liveCells--;
  agent.phase = "dormant";
  agent.slots = new Map();
  agent.loaded.clear();
  k.asks.takeWhere((ask) => ask.agentId === agentId && ask.incarnation === incarnation);
  const orderly = reason === "normal" || reason === "shutdown";
  if (!orderly) countCrash(k, agent, reason, detail, nowMs);
  for (const turn of [...agent.turns.values()]) {
    // What the store has in hand ends by itself, whatever became of the cell.
    if (turn.stage !== "delivered") continue;
    turn.mail.suspect ||= !orderly;
    const ask = k.asks.take(turn.mail.envelope.header.id);
    const why = `the cell of ${agentId} ended (${reason})`;
    if (ask !== undefined) answerAsk(k, ask, { status: "error", code: "CLOISTER_AGENT_CRASHED", message: turn.mail.volatile ? why : `${why} before it answered; the message is kept and will be delivered again` });
    putBack(k, agent, turn, nowMs);
  }
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  pumpWanting(k, nowMs);
}

/** Restart intensity as OTP defines it: more than `restartIntensity` crashes within the period park the agent. */
function countCrash(k: KernelState, agent: AgentEntry, reason: ExitReason, detail: string, nowMs: number): void {
  const { limits, random } = k.settings;
  agent.restarts++;
  agent.crashTimes = [...agent.crashTimes.filter((at) => nowMs - at < limits.restartPeriodMs), nowMs];
  agent.reason = `${reason}: ${detail}`;
  if (agent.crashTimes.length > limits.restartIntensity) {
    agent.phase = "parked";
    agent.reason = `${agent.crashTimes.length} crashes within ${limits.restartPeriodMs / 1000} s, the last: ${reason}: ${detail}`;
    return;
  }
  const ceiling = Math.min(limits.restartBackoffMsMax, limits.restartBackoffMs * 2 ** (agent.crashTimes.length - 1));
  agent.notBeforeMs = nowMs + Math.floor(random() * ceiling);
}

/** Things that become due by themselves: back-offs that are over, idle cells, turns that never start. */
export function tickCells(k: KernelState, nowMs: number): void {
  for (const agent of k.agents.values()) {
    if (agent.phase === "dormant" && (agent.readyMain.size > 0 || agent.readyNested.size > 0)) pump(k, agent, nowMs);
    else if (isIdle(agent) && nowMs - agent.lastActivityMs >= k.settings.limits.passivateAfterMs) passivate(k, agent);
    else if (agent.phase === "starting" && nowMs - agent.startedAtMs >= k.settings.limits.cellStartMs) {
      k.emit({ type: "stop-cell", agentId: agent.spec.id, incarnation: agent.incarnation, reason: "hung" });
    }
  }
}

/** Puts a parked agent back into service; its mail goes on. */
export function unpark(k: KernelState, agentId: string, nowMs: number): boolean {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.phase !== "parked") return false;
  agent.phase = "dormant";
  agent.crashTimes = [];
  agent.reason = undefined;
  agent.notBeforeMs = nowMs;
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
  return true;
}
