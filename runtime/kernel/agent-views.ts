/** Agents, their sessions and what their cells have in hand, as others look at them. */
import { inHand } from "./dispatch.ts";
import type { AgentPhase, EnvelopeHeader } from "./envelope.ts";
import { laneOf } from "./lanes.ts";
import { unfoldOf } from "./questions.ts";
import { reasonOf } from "./returns.ts";
import type { AgentEntry, KernelState } from "./state.ts";

export interface AgentView {
  readonly id: string;
  readonly phase: AgentPhase;
  readonly reason: string | undefined;
  readonly activeRuns: number;
  readonly queueDepth: number;
  readonly restarts: number;
  readonly lastActivityMs: number;
  readonly incarnation: number;
}

export interface SessionView {
  readonly phase: AgentPhase;
  readonly running: boolean;
  /** Messages in memory. */
  readonly waiting: number;
  readonly lane: string;
}

export function viewOf(agent: AgentEntry): AgentView {
  // Asked of every agent: looking must not make what a dormant one does not have.
  const queued = agent.isMade ? [...agent.lanes.values()].reduce((sum, lane) => sum + lane.queue.length, 0) : 0;
  const activeRuns = inHand(agent);
  return {
    id: agent.spec.id,
    phase:
      agent.disabled !== undefined ? "disabled" : agent.phase === "live" && activeRuns > 0 ? "running" : agent.phase,
    reason: reasonOf(agent),
    activeRuns,
    queueDepth: queued + (agent.spill?.count ?? 0),
    restarts: agent.restarts,
    lastActivityMs: agent.lastActivityMs,
    incarnation: agent.incarnation,
  };
}

export function viewSession(k: KernelState, agentId: string, sessionKey: string): SessionView {
  const agent = k.runs.get(sessionKey) ?? k.agents.peek(agentId);
  const lane = agent?.isMade === true ? agent.lanes.get(sessionKey) : undefined;
  const header = (lane?.running?.mail ?? lane?.queue[0])?.envelope.header;
  return {
    phase: agent === undefined ? "disabled" : viewOf(agent).phase,
    running: lane?.running !== undefined,
    waiting: lane?.queue.length ?? 0,
    lane: header === undefined ? "main" : laneOf(header),
  };
}

/** What waits in memory or runs, in no order. */
export function openHeaders(k: KernelState, agentId: string): readonly EnvelopeHeader[] {
  const agent = k.agents.peek(agentId);
  if (agent?.isMade !== true) return [];
  return [...agent.lanes.values()].flatMap(({ queue, running }) =>
    [...(running === undefined ? [] : [running.mail, ...running.taken]), ...queue].map(
      ({ envelope }) => envelope.header,
    ),
  );
}

/** What the agent's cell was given and has not said to be done. */
export function headersInHand(k: KernelState, agent: AgentEntry): readonly EnvelopeHeader[] {
  unfoldOf(k, agent);
  return [...agent.turns.values()].filter(({ stage }) => stage === "delivered").map(({ mail }) => mail.envelope.header);
}
