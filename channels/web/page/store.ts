/**
 * All that the page knows, and how it changes. Pure: each function gives a new state, and parts that did not change keep
 * their identity, so that only the components that show them render again.
 */
import type { ConnectionStatus } from "./client.ts";
import { applyChat, type Conversation, emptyConversation, type Message, suspectRuns } from "./conversation.ts";
import { type Flows, noFlows } from "./flows.ts";
import { type Audit, noAudit } from "./wire-audit.ts";
import { type Access, noAccess } from "./wire-access.ts";
import { type AgentStatus, agentOfSession, type ChatEvent, type DeadLetters, type SessionEntry } from "./wire.ts";
import { describeRight, type RightRequest, type RunEntry, type Tasks, type Timers } from "./wire-work.ts";

export interface Choice {
  readonly agentId: string;
  readonly sessionKey: string;
}

export interface PageState {
  readonly connection: ConnectionStatus;
  /** Both as the gateway said last. */
  readonly isAdmin: boolean;
  readonly mayWrite: boolean;
  readonly agents: readonly AgentStatus[];
  /** The list of agents has arrived at least once. */
  readonly agentsKnown: boolean;
  /** What the middle of the page shows; undefined until an agent is known. */
  readonly choice: Choice | undefined;
  /** Of the chosen agent, newest first. */
  readonly sessions: readonly SessionEntry[];
  /** By session key, least recently opened first. */
  readonly conversations: ReadonlyMap<string, Conversation>;
  /** Unsent text by session key. */
  readonly drafts: ReadonlyMap<string, string>;
  readonly flows: Flows;
  readonly deadLetters: DeadLetters;
  /** Rights that wait for a decision, oldest first. */
  readonly requests: readonly RightRequest[];
  /** Of sub-agents, newest first. */
  readonly runs: readonly RunEntry[];
  /** What sessions wait to be told the end of. */
  readonly tasks: Tasks;
  readonly timers: Timers;
  /** Devices and senders that ask, and approved devices. */
  readonly access: Access;
  readonly audit: Audit;
  /** Letters, requests, runs, tasks, timers, accounts and agents that an action is under way for. */
  readonly busy: ReadonlySet<string>;
  /** What a screen reader is told next. */
  readonly announcement: string;
  /** What became of an action that belongs to no message. */
  readonly notice: string | undefined;
}

export const conversationsMax = 30;

export const initialState: PageState = {
  connection: { type: "stopped" },
  isAdmin: false,
  mayWrite: false,
  agents: [],
  agentsKnown: false,
  choice: undefined,
  sessions: [],
  conversations: new Map(),
  drafts: new Map(),
  flows: noFlows,
  deadLetters: { letters: [], total: 0 },
  requests: [],
  runs: [],
  tasks: { rows: [], total: 0 },
  timers: { rows: [], total: 0 },
  access: noAccess,
  audit: noAudit,
  busy: new Set(),
  announcement: "",
  notice: undefined,
};

export function setConnection(state: PageState, connection: ConnectionStatus): PageState {
  const { isAdmin, mayWrite } = connection.type === "ready" ? connection : state;
  const next = { ...state, connection, isAdmin, mayWrite };
  if (state.connection.type !== "ready" || connection.type === "ready") return next;
  const entries = [...state.conversations].map(([key, conversation]) => [key, suspectRuns(conversation)] as const);
  return { ...next, conversations: new Map(entries) };
}

/** Takes the agents in; chooses one when none is chosen or the chosen one is gone. `remembered` is tried first. */
export function setAgents(state: PageState, agents: readonly AgentStatus[], remembered?: Choice): PageState {
  const next = { ...state, agents, agentsKnown: true };
  if (state.choice !== undefined && agents.some((agent) => agent.agentId === state.choice?.agentId)) return next;
  if (remembered !== undefined && agents.some((agent) => agent.agentId === remembered.agentId)) {
    return choose(next, remembered);
  }
  const first = agents.find((agent) => agent.isDefault) ?? agents[0];
  if (first === undefined) return { ...next, choice: undefined, sessions: [] };
  return choose(next, { agentId: first.agentId, sessionKey: first.mainSessionKey });
}

/** Changed agents in their places; one that was not there comes last. */
export function mergeAgents(known: readonly AgentStatus[], changed: readonly AgentStatus[]): readonly AgentStatus[] {
  const byId = new Map(changed.map((agent) => [agent.agentId, agent]));
  const merged = known.map((agent) => byId.get(agent.agentId) ?? agent);
  return [...merged, ...changed.filter(({ agentId }) => !known.some((agent) => agent.agentId === agentId))];
}

export function choose(state: PageState, choice: Choice): PageState {
  const conversations = new Map(state.conversations);
  const conversation = conversations.get(choice.sessionKey) ?? emptyConversation;
  conversations.delete(choice.sessionKey);
  conversations.set(choice.sessionKey, conversation);
  for (const [key, old] of conversations) {
    if (conversations.size <= conversationsMax) break;
    if (old.running.length === 0 && key !== choice.sessionKey) conversations.delete(key);
  }
  const sessions = state.choice?.agentId === choice.agentId ? state.sessions : [];
  return { ...state, choice, sessions, conversations, notice: undefined };
}

/** The sessions of an agent; ignored when another agent was chosen meanwhile. */
export function setSessions(state: PageState, agentId: string, sessions: readonly SessionEntry[]): PageState {
  return state.choice?.agentId === agentId ? { ...state, sessions } : state;
}

/** Changes one conversation that the page holds; others are not kept. */
export function inConversation(
  state: PageState,
  sessionKey: string,
  change: (conversation: Conversation) => Conversation,
): PageState {
  const conversation = state.conversations.get(sessionKey);
  if (conversation === undefined) return state;
  const changed = change(conversation);
  if (changed === conversation) return state;
  return { ...state, conversations: new Map(state.conversations).set(sessionKey, changed) };
}

export function takeChat(state: PageState, event: ChatEvent, nowMs: number): PageState {
  const next = inConversation(state, event.sessionKey, (conversation) => applyChat(conversation, event, nowMs));
  if (event.state === "delta" || event.sessionKey !== state.choice?.sessionKey || next === state) return next;
  return { ...next, announcement: announce(next, event) };
}

function announce(state: PageState, event: ChatEvent): string {
  const name = agentName(state, event.agentId ?? agentOfSession(event.sessionKey));
  const answer = currentConversation(state).messages.find(
    (message) => message.runId === event.runId && message.role === "assistant",
  );
  if (event.state === "error") return `${name} failed: ${answer?.note ?? ""}`;
  if (event.state === "aborted") return `${name} was stopped.`;
  return answer === undefined ? `${name} did not answer.` : `${name}: ${answer.text.slice(0, 1_000)}`;
}

/** The agent of a session has nothing in hand, as far as the page was told. */
export function isIdle(state: PageState, sessionKey: string): boolean {
  const agent = state.agents.find(({ agentId }) => agentId === agentOfSession(sessionKey));
  return agent !== undefined && agent.activeRuns === 0 && agent.queueDepth === 0;
}

/** An action for this is under way, or not any more. */
export function setBusy(state: PageState, key: string, isBusy: boolean): PageState {
  const busy = new Set(state.busy);
  if (isBusy) busy.add(key);
  else busy.delete(key);
  return { ...state, busy };
}

/** Takes the requests for rights in; who does not see the screen is told of a new one. */
export function setRequests(state: PageState, requests: readonly RightRequest[]): PageState {
  const added = requests.find(({ id }) => !state.requests.some((known) => known.id === id));
  if (added === undefined) return { ...state, requests };
  return {
    ...state,
    requests,
    announcement: `${added.from} asks for a right: to ${describeRight(added.verb, added.to)}.`,
  };
}

const findNew = <T>(rows: readonly T[], known: readonly T[], idOf: (row: T) => string): T | undefined =>
  rows.find((row) => !known.some((one) => idOf(one) === idOf(row)));

/** Takes in who asks to come in; who does not see the screen is told of a new one. */
export function setAccess(state: PageState, access: Access): PageState {
  const device = findNew(access.devices, state.access.devices, ({ requestId }) => requestId);
  const sender = findNew(access.senders, state.access.senders, ({ code }) => code);
  const announcement =
    device !== undefined
      ? `A device asks for an approval: ${device.client}.`
      : sender === undefined
        ? state.announcement
        : `A sender asks for an approval: ${sender.sender} on ${sender.channel}.`;
  return { ...state, access, announcement };
}

export function setDraft(state: PageState, sessionKey: string, text: string): PageState {
  const drafts = new Map(state.drafts);
  if (text === "") drafts.delete(sessionKey);
  else drafts.set(sessionKey, text);
  return { ...state, drafts };
}

export function currentConversation(state: PageState): Conversation {
  return (state.choice && state.conversations.get(state.choice.sessionKey)) ?? emptyConversation;
}

export function currentAgent(state: Pick<PageState, "agents" | "choice">): AgentStatus | undefined {
  return state.agents.find((agent) => agent.agentId === state.choice?.agentId);
}

function agentName(state: Pick<PageState, "agents">, agentId: string): string {
  return state.agents.find((agent) => agent.agentId === agentId)?.name ?? agentId;
}

/** The sessions to list for the chosen agent: its main one first, also while it has no row yet. */
export function listedSessions(state: Pick<PageState, "agents" | "choice" | "sessions">): readonly SessionEntry[] {
  const agent = currentAgent(state);
  if (agent === undefined) return [];
  const keys = new Set(state.sessions.map((session) => session.key));
  const wanted = new Set([agent.mainSessionKey, state.choice?.sessionKey ?? agent.mainSessionKey]);
  const missing = [...wanted]
    .filter((key) => !keys.has(key))
    .map((key) => ({ key, agentId: agent.agentId, kind: "other", channel: "", updatedAtMs: 0 }));
  const all = [...missing, ...state.sessions];
  return [
    ...all.filter((session) => session.key === agent.mainSessionKey),
    ...all.filter((session) => session.key !== agent.mainSessionKey),
  ];
}

/** How a session is called: its label, `Main`, or what its key says after the agent. */
export function sessionTitle(session: SessionEntry, mainSessionKey: string | undefined): string {
  if (session.label !== undefined) return session.label;
  if (session.key === mainSessionKey) return "Main";
  const prefix = `agent:${session.agentId}:`;
  return session.key.startsWith(prefix) ? session.key.slice(prefix.length) : session.key;
}

/** Who wrote a message, in words. */
export function authorOf(state: Pick<PageState, "agents">, message: Message, agentId: string): string {
  if (message.role === "assistant") return agentName(state, agentId);
  if (message.role === "tool") return "Tool result";
  if (message.source?.type === "operator") return `You, through ${message.source.client}`;
  if (message.source?.type === "agent") return `from ${message.source.agentId} (agent)`;
  if (message.source?.type === "channel") {
    const { channel, sender } = message.source;
    return sender === undefined ? `from ${channel}` : `from ${sender} on ${channel}`;
  }
  return "You";
}
