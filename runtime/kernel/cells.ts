/**
 * The life of an agent's cell as the kernel sees it: ready, ended, idle. The driver starts and ends threads; what an end
 * means (back-off, parking, what becomes of the turns in flight) is decided here.
 */
import {
  endCell,
  hasCell,
  hasReady,
  inHand,
  isIdle,
  makeRoom,
  passivate,
  pump,
  pumpWanting,
  pumpWantingCells,
  staysLive,
  stopIfEmpty,
} from "./dispatch.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { forgetEmpty, noteRoom } from "./depth.ts";
import { endedWhy, endInTurn, lostOutcome } from "./ends.ts";
import { takenBefore } from "./gather.ts";
import { wantsNoPlace } from "./places.ts";
import { obey } from "./orders.ts";
import { tellSlots } from "./rights.ts";
import { tellDown } from "./signals.ts";
import type { AgentEntry, ExitReason, KernelState, Turn } from "./state.ts";
import { endOverdue } from "./stops.ts";
import { recordLate, recordOverdue } from "./steps.ts";
import { countCrash, escalate, restartGroup } from "./supervision.ts";
import { cancelRun, dropEntry } from "./run-ends.ts";
import { unfoldOf } from "./questions.ts";
import { noteRun } from "./run-notes.ts";
import { giveRunPlaceBack } from "./run-lane.ts";
import { closeTurn, commitAgain, disabledOutcome, endAborted, endMail, failTurn, putBack } from "./turns.ts";
import { answer, dropAsks, refuseWaitsForParked } from "./waits.ts";

export function cellReady(
  k: KernelState,
  agentId: string,
  incarnation: number,
  takesPart: boolean,
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || agent.phase !== "starting") return;
  agent.phase = "live";
  agent.takesPart = takesPart;
  agent.lastActivityMs = nowMs;
  tellSlots(k, agent);
  k.emit({ type: "agent-changed", agentId });
  pump(k, agent, nowMs);
}

/**
 * The module of the agent cannot be loaded: the agent is out of service, the others run. Whoever waits hears it at once; the
 * mail stays in the journal and is handled after the next start with a module that loads.
 */
export function disable(k: KernelState, agentId: string, reason: string, nowMs: number): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined) return;
  if (agent.run !== undefined) {
    cancelRun(k, agent, { outcome: "failed", code: "CLOISTER_MODULE_INVALID", detail: reason }, nowMs);
    return;
  }
  agent.disabled = reason;
  for (const ready of agent.ready.values()) ready.clear();
  wantsNoPlace(k, agent);
  k.wantingCells.delete(agentId);
  for (const lane of agent.lanes.values()) {
    // What the running turn had in an earlier delivery it gets again; it ends with the turn.
    const kept = takenBefore(lane.running);
    for (const mail of lane.queue.splice(0))
      if (kept.has(mail.envelope.header.id)) lane.queue.push(mail);
      else endMail(k, agent, mail, 1, disabledOutcome(agent));
    if (lane.running === undefined) agent.lanes.delete(lane.key);
  }
  agent.spill = undefined;
  unfoldOf(k, agent);
  // What lay on the disk stays there as well, and whoever waited for it or for a place hears why.
  for (const { envelopeId, toSession } of k.asks.awaitedEnvelopes())
    if (agentOfKey(toSession) === agentId && !k.mail.has(envelopeId)) answer(k, envelopeId, disabledOutcome(agent));
  noteRoom(k, agent);
  tellDown(k, agent, "disabled", reason);
  k.emit({ type: "agent-changed", agentId });
}

/** The gateway is up: permanent agents get their cells, as many as there is room for. */
export function startPermanent(k: KernelState, nowMs: number): void {
  for (const agent of k.agents.having(({ supervision }) => supervision.restart === "permanent")) {
    if (!staysLive(agent)) continue;
    k.astir.add(agent);
    pump(k, agent, nowMs);
  }
}

/**
 * The cell of `incarnation` has ended. Asks that turns of it waited for are forgotten, asks that wait for those turns settle
 * at once; the envelopes go back to the head of their lanes. What the store has in hand (`beginning`, `committing`) ends by
 * itself, whatever became of the cell.
 */
export function cellExit(
  k: KernelState,
  agentId: string,
  incarnation: number,
  reason: ExitReason,
  detail: string,
  nowMs: number,
): void {
  const agent = k.agents.get(agentId);
  if (agent === undefined || agent.incarnation !== incarnation || !hasCell(agent)) return;
  if (agent.run !== undefined) {
    runCellExit(k, agent, reason, detail, nowMs);
    return;
  }
  unfoldOf(k, agent);
  const orderly = reason === "normal" || reason === "shutdown";
  if (!orderly) blame(agent);
  giveUpCell(k, agent);
  const isExceeded = !orderly && countCrash(k, agent, reason, detail, nowMs);
  const lost = [...agent.turns.values()].filter(({ stage }) => stage === "delivered");
  for (const turn of lost) dropAsks(k, turn, { code: "CLOISTER_AGENT_CRASHED", message: endedWhy(agent, reason) });
  for (const turn of lost) loseTurn(k, agent, turn, reason);
  if (isParked(agent)) refuseWaitsForParked(k, agent);
  if (reason !== "normal" && agent.order?.type !== "park") tellDown(k, agent, reason, detail);
  obey(k, agent, nowMs);
  k.emit({ type: "agent-changed", agentId });
  if (isExceeded) escalate(k, agent, nowMs);
  else if (!orderly && !isParked(agent)) restartGroup(k, agent, nowMs);
  pumpWanting(k, nowMs);
  pumpWantingCells(k, nowMs);
  pump(k, agent, nowMs);
}

function giveUpCell(k: KernelState, agent: AgentEntry): void {
  k.liveCells--;
  agent.phase = "dormant";
  agent.slots = new Map();
  agent.loaded.clear();
  agent.unacked = 0;
  agent.modelChars = 0;
  agent.openCalls.clear();
  agent.offers.known = undefined;
}

/**
 * The cell of a sub-agent's run has ended. A run is not handled again: its requester hears what became of it and decides. Only
 * the end of the gateway ends no run; the next start tells of it.
 */
function runCellExit(k: KernelState, agent: AgentEntry, reason: ExitReason, detail: string, nowMs: number): void {
  const { run } = agent;
  giveUpCell(k, agent);
  if (run === undefined || run.phase === "over") {
    dropEntry(k, agent);
    pumpWantingCells(k, nowMs);
    return;
  }
  const why = `the cell of ${run.row.sessionKey} ended (${reason}): ${detail}`;
  if (reason !== "normal" && reason !== "shutdown")
    cancelRun(k, agent, { outcome: "failed", code: "CLOISTER_AGENT_CRASHED", detail: why }, nowMs);
  for (const turn of [...agent.turns.values()].filter(({ stage }) => stage === "delivered")) {
    dropAsks(k, turn, { code: "CLOISTER_AGENT_CRASHED", message: why });
    if (run.end === undefined) putBack(k, agent, turn);
    else failTurn(k, agent, turn, { code: codeOf(run.end), message: run.end.detail });
  }
  giveRunPlaceBack(k, agent);
  pumpWanting(k, nowMs);
  pumpWantingCells(k, nowMs);
  pump(k, agent, nowMs);
  noteRun(k, agent);
}

function codeOf({ code, outcome }: { readonly code?: string; readonly outcome: string }): string {
  return code ?? (outcome === "timed_out" ? "CLOISTER_RUN_TIMED_OUT" : "CLOISTER_ASK_ABORTED");
}

function loseTurn(k: KernelState, agent: AgentEntry, turn: Turn, reason: ExitReason): void {
  const outcome = lostOutcome(agent, reason, turn.mail.volatile);
  if (turn.mail.volatile) {
    closeTurn(k, agent, turn, outcome);
  } else if (turn.mail.aborted) {
    endAborted(k, agent, turn);
  } else {
    answer(k, turn.mail.envelope.header.id, outcome);
    // Its next delivery hears the same again.
    recordLate(k, agent, turn, { type: "nothing" });
    putBack(k, agent, turn);
  }
}

/** Marks what the crashed cell had, or was about to get, as suspect. What was alone with it did it. */
function blame(agent: AgentEntry): void {
  const delivered: Turn[] = [];
  for (const turn of agent.turns.values()) {
    if (turn.stage === "delivered") delivered.push(turn);
    if ((turn.stage !== "delivered" && turn.stage !== "beginning") || turn.mail.volatile || turn.mail.suspect) continue;
    turn.mail.suspect = true;
    agent.suspects++;
  }
  if (delivered.length === 1 && delivered[0] !== undefined) delivered[0].mail.convicted = true;
}

function isParked(agent: AgentEntry): boolean {
  return agent.phase === "parked";
}

/** Things that become due by themselves: back-offs that are over, idle cells, cells that never start. */
export function tickCells(k: KernelState, nowMs: number): void {
  const { limits } = k.settings;
  for (const agent of k.astir) {
    const stays = staysLive(agent);
    if (agent.turns.size > 0) {
      commitAgain(k, agent, nowMs);
      endOverdue(k, agent, nowMs);
      for (const turn of agent.turns.values()) recordOverdue(k, agent, turn, nowMs);
    }
    if (hasReady(agent) || stays) pump(k, agent, nowMs);
    noteRoom(k, agent);
    forgetEmpty(agent);
    if (isIdle(agent) && !stays && nowMs - agent.lastActivityMs >= limits.passivateAfterMs) passivate(k, agent);
    if (agent.phase === "starting" && nowMs - agent.startedAtMs >= limits.cellStartMs) {
      endCell(k, agent, "hung");
    }
    if (agent.order !== undefined && agent.phase !== "stopping" && hasCell(agent)) {
      if (nowMs >= agent.order.untilMs) endInTurn(k, agent, "shutdown");
      else stopIfEmpty(k, agent);
    }
    if (inHand(agent) === 0 && !hasCell(agent) && agent.lanes.size === 0 && !stays && agent.spill === undefined)
      k.astir.delete(agent);
  }
  if (k.wantingCells.size > 0) makeRoom(k);
}
