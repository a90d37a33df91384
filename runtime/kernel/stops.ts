/**
 * Stopping work: of a session, of one run, of an agent, of everything. What waits ends first, then what runs, so that nothing of
 * it begins in between. From the return on, no turn that was stopped gets a call through; whoever waits for one hears its end.
 *
 *   waiting        ends at once: a dead letter (`dropped`), its outcome `CLOISTER_ASK_ABORTED`
 *   beginning      ends when the store has answered
 *   delivered      is told; its waits end at once; not done after `limits.stopGraceMs`: its cell is ended, and what other
 *                  sessions had in that cell is handled again, without blame
 *   committing     is done: it is too late
 *   on its way to the journal, for an agent that is stopped whole: ends when it is stored
 *   on the disk    never begins; ends when the journal has removed it (`spill.ts`)
 *   a sender that waits for a place is refused
 *
 * Timers stay, and what comes after the stop is new work: `agents stop` keeps an agent out of service.
 */
import { agentOfKey } from "./agent-of-key.ts";
import { leaveCrowd } from "./crowd.ts";
import { hasCell, markReady, pump } from "./dispatch.ts";
import { endInTurn } from "./ends.ts";
import type { BacklogStop, EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { stoppedRefusal } from "./posts.ts";
import { unfoldOf } from "./questions.ts";
import { stopSpilled } from "./spill.ts";
import type { AgentEntry, AppendTicket, KernelState, Turn } from "./state.ts";
import { endQueued } from "./turns.ts";
import { dropAsks, refuseWaitForPlace } from "./waits.ts";

export type StopScope =
  /** With a `runId` only this run of the session. */
  | { readonly type: "session"; readonly sessionKey: string; readonly runId?: string }
  /** The run, and what came of it so far: every message of its trace. */
  | { readonly type: "run"; readonly runId: string }
  | { readonly type: "agent"; readonly agentId: string }
  | { readonly type: "all" };

export interface Stopped {
  /** Runs that waited in memory and are over. */
  readonly queued: readonly string[];
  /** Runs that are told to end. */
  readonly active: readonly string[];
  /** How many of both are sub-agents' runs. */
  readonly subagents: number;
  /** Senders that waited for a place in the mailbox and were refused. */
  readonly senders: number;
  /** Messages that lie on the disk alone and end when the journal has removed them; with a session or a run, among how many it is looked for. */
  readonly backlog: number;
  /** What a restart has to know, so that those end then as well. */
  readonly kept: readonly BacklogStop[];
}

/** `subject` is the client that asks, for the audit trail. */
export function stop(k: KernelState, scope: StopScope, subject: string, nowMs: number): Omit<Stopped, "subagents"> {
  const queued: string[] = [];
  const active: string[] = [];
  let senders = 0;
  let backlog = 0;
  const kept: BacklogStop[] = [];
  const isWhole = scope.type === "agent" || scope.type === "all";
  if (isWhole) k.stops++;
  const isMeant = meant(k, scope);
  const agents = agentsOf(k, scope);
  for (const agent of agents) {
    if (!agent.isMade && agent.spill === undefined && agent.crowd === undefined) continue;
    if (isWhole) agent.stopNumber = k.stops;
    backlog += agent.spill?.count ?? 0;
    const spilled = stopSpilled(k, agent, sessionOf(scope), runOf(scope), nowMs);
    if (spilled !== undefined) kept.push(spilled);
    if (isWhole) senders += refuseCrowd(k, agent, stoppedRefusal);
    if (agent.isMade) for (const run of stopQueued(k, agent, isMeant)) queued.push(run);
  }
  for (const agent of agents) {
    if (!agent.isMade) continue;
    for (const run of stopActive(k, agent, isMeant, nowMs)) active.push(run);
    // What is at the head of a lane now may start at once, where what it waited behind could not.
    pump(k, agent, nowMs);
  }
  k.emit({
    type: "audit",
    event: "stopped",
    subject,
    object: objectOf(scope),
    decision: "noted",
    detail: `${queued.length} that waited, ${active.length} that ran, ${senders} senders, ${backlog} on the disk`,
  });
  return { queued, active, senders, backlog, kept };
}

function agentsOf(k: KernelState, scope: StopScope): readonly AgentEntry[] {
  const id =
    scope.type === "agent" ? scope.agentId : scope.type === "session" ? agentOfKey(scope.sessionKey) : undefined;
  if (scope.type !== "agent" && scope.type !== "session") return k.agents.made().filter(({ run }) => run === undefined);
  // Where nothing ever was there is nothing to stop.
  const agent = k.agents.peek(id ?? "");
  return agent === undefined ? [] : [agent];
}

const sessionOf = (scope: StopScope): string | undefined => (scope.type === "session" ? scope.sessionKey : undefined);

const runOf = (scope: StopScope): string | undefined =>
  scope.type === "session" || scope.type === "run" ? scope.runId : undefined;

function objectOf(scope: StopScope): string {
  if (scope.type === "all") return "*";
  if (scope.type === "agent") return `agent:${scope.agentId}`;
  return scope.type === "run" ? `run:${scope.runId}` : scope.sessionKey;
}

type IsMeant = (header: EnvelopeHeader) => boolean;

function meant(k: KernelState, scope: StopScope): IsMeant {
  if (scope.type === "session")
    return ({ sessionKey, runId }) =>
      sessionKey === scope.sessionKey && (scope.runId === undefined || runId === scope.runId);
  if (scope.type !== "run") return () => true;
  const traces = tracesOf(k, scope.runId);
  return ({ runId, trace }) => runId === scope.runId || traces.has(trace);
}

/** A trace is named after the envelope that began it, whose run may have a name of its own. */
export function tracesOf(k: KernelState, runId: string): ReadonlySet<string> {
  const traces = new Set([runId]);
  for (const [id, { envelope }] of k.mail) if (envelope.header.runId === runId) traces.add(id);
  return traces;
}

function stopQueued(k: KernelState, agent: AgentEntry, isMeant: IsMeant): readonly string[] {
  const stopped: string[] = [];
  for (const lane of agent.lanes.values()) {
    const left = lane.queue.filter(({ envelope }) => !isMeant(envelope.header));
    if (left.length === lane.queue.length) continue;
    for (const mail of lane.queue.splice(0)) {
      if (left.includes(mail)) continue;
      stopped.push(mail.envelope.header.runId);
      endQueued(k, agent, mail);
    }
    lane.queue.push(...left);
    if (lane.queue.length === 0 && lane.running === undefined) agent.lanes.delete(lane.key);
    // The next in the lane may need another place than the one that is gone.
    markReady(agent, lane);
  }
  return stopped;
}

function stopActive(k: KernelState, agent: AgentEntry, isMeant: IsMeant, nowMs: number): readonly string[] {
  const stopped: string[] = [];
  unfoldOf(k, agent);
  for (const turn of agent.turns.values()) {
    const { header } = turn.mail.envelope;
    const isAnyMeant = [turn.mail, ...turn.taken].some(({ envelope }) => isMeant(envelope.header));
    if (turn.mail.aborted || !isStoppable(turn) || !isAnyMeant) continue;
    stopped.push(header.runId);
    stopTurn(k, agent, turn, stoppedRefusal, nowMs);
  }
  return stopped;
}

/**
 * By an agent that holds the verb `cancel`: ends the turn that runs in the session, and no other; what waits is not the caller's to
 * drop. Gives the id of its run; undefined: none runs, or it is too late.
 */
export function cancelTurn(k: KernelState, sessionKey: string, by: string, nowMs: number): string | undefined {
  const agent = k.agents.get(agentOfKey(sessionKey) ?? "");
  const turn = agent?.isMade === true ? agent.lanes.get(sessionKey)?.running : undefined;
  if (agent === undefined || turn === undefined || turn.mail.aborted || !isStoppable(turn)) return undefined;
  const why = { code: "CLOISTER_ASK_ABORTED", message: `the run was stopped by ${by}` } as const;
  turn.why = why;
  stopTurn(k, agent, turn, why, nowMs);
  const { id, runId, trace } = turn.mail.envelope.header;
  k.emit({
    type: "audit",
    event: "cancelled",
    subject: by,
    object: sessionKey,
    verb: "cancel",
    decision: "allowed",
    envelopeId: id,
    trace,
  });
  return runId;
}

function isStoppable({ stage }: Turn): boolean {
  return stage === "beginning" || stage === "delivered";
}

/** The turn gets no call through from here on, and ends in time, whatever its cell does. */
export function stopTurn(k: KernelState, agent: AgentEntry, turn: Turn, why: Refusal, nowMs: number): void {
  turn.mail.aborted = true;
  if (turn.stage !== "delivered") return;
  turn.endByMs = nowMs + k.settings.limits.stopGraceMs;
  k.astir.add(agent);
  dropAsks(k, turn, why);
  k.emit({ type: "cancel", agentId: agent.spec.id, incarnation: agent.incarnation, turn: turn.number });
}

/** Ends the turns that go in a circle. Call it before anything else of their cells is heard. */
export function endLoops(k: KernelState, nowMs: number): void {
  for (const turn of k.looping) {
    k.looping.delete(turn);
    const agent = k.agents.get(turn.agentId);
    if (agent?.turns.get(turn.number) !== turn || turn.mail.aborted || !isStoppable(turn) || turn.why === undefined)
      continue;
    const { header } = turn.mail.envelope;
    const { code, message } = turn.why;
    k.emit({
      type: "audit",
      event: "loop",
      subject: header.sessionKey,
      object: `run:${header.runId}`,
      decision: "refused",
      code,
      envelopeId: header.id,
      trace: header.trace,
      detail: message,
    });
    stopTurn(k, agent, turn, { code: "CLOISTER_RUN_LOOP", message }, nowMs);
  }
}

/** Ends the cell that still holds a turn which was to end by now. */
export function endOverdue(k: KernelState, agent: AgentEntry, nowMs: number): void {
  if (agent.phase !== "live" || !hasCell(agent)) return;
  for (const { stage, endByMs } of agent.turns.values()) {
    if (stage !== "delivered" || endByMs === undefined || nowMs < endByMs) continue;
    endInTurn(k, agent, "shutdown");
    return;
  }
}

/** Whether the agent was stopped whole while the journal wrote what this ticket is for. */
export function wasStopped(agent: AgentEntry, ticket: AppendTicket): boolean {
  return ticket.stops < agent.stopNumber;
}

/** Gives how many waited. */
export function refuseCrowd(k: KernelState, agent: AgentEntry, refusal: Refusal): number {
  const crowd = agent.crowd ?? [];
  for (const waiting of crowd) {
    if (waiting.type === "cell") refuseWaitForPlace(k, waiting.place, refusal);
    else {
      leaveCrowd(k, agent, waiting);
      k.emit({ type: "accepted", ticket: waiting.ticket, result: { status: "refused", refusal } });
    }
  }
  return crowd.length;
}
