/**
 * The page without its looks: it keeps the state, talks to the gateway through the client, and offers what a person can do.
 *
 * After each (re)connect it subscribes, then reads agents, open asks, sessions and the open conversation again, in this
 * order: an agent that is idle in the list has committed all its answers, so a history asked for later holds them.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type ClientSettings, type ConnectionStatus, makeClient } from "./client.ts";
import {
  addOwn,
  applyHistory,
  confirmOwn,
  emptyConversation,
  type Message,
  refuseOwn,
  removeMessage,
  retryText,
  settleSuspects,
} from "./conversation.ts";
import { applyFlow, applyRecent } from "./flows.ts";
import { keyInPaste } from "./operator-key.ts";
import {
  type Choice,
  choose,
  currentAgent,
  currentConversation,
  inConversation,
  initialState,
  isIdle,
  listedSessions,
  type PageState,
  mergeAgents,
  setAgents,
  setConnection,
  setDraft,
  setSessions,
  takeChat,
} from "./store.ts";
import { type AccessActions, openAccess } from "./access.ts";
import { type AuditActions, openAudit } from "./audit.ts";
import { type ChannelDesk, openChannels } from "./desks/channels.ts";
import { type ConfigDesk, openConfig } from "./desks/config.ts";
import type { Place } from "./desks/desk.ts";
import { type CommandDesk, openCommands } from "./desks/commands.ts";
import { openProposals, type ProposalDesk } from "./desks/proposals.ts";
import { type LogDesk, openLog } from "./desks/log.ts";
import { openRights, type RightsDesk } from "./desks/rights.ts";
import { openRoutes, type RouteDesk } from "./desks/routes.ts";
import { openWork, type WorkActions } from "./work.ts";
import {
  type ChatEvent,
  chatText,
  fieldsOf,
  parseAgents,
  parseChat,
  parseDeadLetters,
  parseFlow,
  parseFlows,
  parseHistory,
  parseRunId,
  parseSessionKeyOf,
  parseSessions,
} from "./wire.ts";

export interface Memory {
  readonly readKey: () => string | undefined;
  readonly writeKey: (key: string) => void;
  readonly readDeviceToken: () => string | undefined;
  /** The key is forgotten. */
  readonly keepDeviceToken: (token: string) => void;
  readonly readChoice: () => Choice | undefined;
  readonly writeChoice: (choice: Choice) => void;
}

export interface PageSettings
  extends Pick<ClientSettings, "openSocket" | "proveDevice" | "version" | "timers" | "random" | "newId"> {
  readonly memory: Memory;
  /** Runs a job before the next picture is drawn; streamed text is taken in at that pace. */
  readonly onFrame: (job: () => void) => void;
}

export interface Page {
  readonly state: ReadonlySignal<PageState>;
  readonly view: ReturnType<typeof viewOf>;
  readonly start: () => void;
  readonly wake: () => void;
  readonly signIn: (pasted: string) => void;
  readonly chooseAgent: (agentId: string) => void;
  readonly chooseSession: (sessionKey: string) => void;
  readonly write: (draft: string) => void;
  readonly send: () => void;
  readonly stop: () => void;
  /** Sends the text of a failed or stopped message again. */
  readonly retry: (message: Message) => void;
  readonly reloadHistory: () => void;
  readonly dismissNotice: () => void;
  /** Gives the message of a dead letter to its agent again. */
  readonly replayLetter: (id: string) => void;
  /** Removes a dead letter for good. */
  readonly discardLetter: (id: string) => void;
  readonly work: WorkActions;
  readonly access: AccessActions;
  readonly audit: AuditActions;
  /** What the middle shows. */
  readonly place: ReadonlySignal<Place>;
  readonly goTo: (place: Place) => void;
  readonly rights: RightsDesk;
  readonly routes: RouteDesk;
  readonly channels: ChannelDesk;
  readonly config: ConfigDesk;
  readonly log: LogDesk;
  readonly proposals: ProposalDesk;
  readonly commands: CommandDesk;
  /** The gateway's clock. */
  readonly nowMs: () => number;
}

const historyLimit = 200;
const sessionsLimit = 100;
const deadLettersLimit = 20;
/** Changes come in bursts: one turn of an agent changes its session several times. */
const refreshDelayMs = 200;

export function openPage(settings: PageSettings): Page {
  const { memory, timers } = settings;
  const state = signal(initialState);
  const apply = (change: (state: PageState) => PageState): void => {
    state.value = change(state.value);
  };

  const client = makeClient({
    ...settings,
    key: memory.readKey,
    deviceToken: memory.readDeviceToken,
    keepDeviceToken: memory.keepDeviceToken,
    onStatus: (status) => {
      flushDeltas();
      apply((now) => setConnection(now, status));
      if (status.type === "ready") void readAll();
    },
    onEvent: (event, payload) => receive(event, payload),
    onGap: () => void readAll(),
  });
  const gatewayMs = (): number => timers.nowMs() + client.clockOffsetMs();

  // --- what the gateway says ---

  const deltas = new Map<string, ChatEvent>();
  const flushDeltas = (): void => {
    const waiting = [...deltas.values()];
    deltas.clear();
    if (waiting.length > 0) apply((now) => waiting.reduce((next, event) => takeChat(next, event, gatewayMs()), now));
  };

  const receiveChat = (event: ChatEvent): void => {
    if (event.state === "delta") {
      const earlier = deltas.get(event.runId);
      if (deltas.size === 0) settings.onFrame(flushDeltas);
      deltas.set(event.runId, earlier === undefined ? event : joinDeltas(earlier, event));
      return;
    }
    flushDeltas();
    const asked = state.value.conversations.get(event.sessionKey)?.messages;
    apply((now) => takeChat(now, event, gatewayMs()));
    // Somebody else's question is known only to the history.
    const own = asked?.some((message) => message.role === "user" && message.runId === event.runId);
    if (own === false) refreshSoon(event.sessionKey);
  };

  const receive = (event: string, payload: unknown): void => {
    const chat = event === "chat" ? parseChat(payload) : undefined;
    const flow = event === "flow" ? parseFlow(payload) : undefined;
    const changed = event === "sessions.changed" ? parseSessionKeyOf(payload) : undefined;
    if (chat !== undefined) receiveChat(chat);
    if (flow !== undefined) apply((now) => ({ ...now, flows: applyFlow(now.flows, flow, gatewayMs()) }));
    if (event === "agents") takeAgents(payload);
    if (event === "deadletters") void readDeadLetters();
    if (event === "grants.requests") void work.readRequests();
    if (event === "exec.approvals") void commands.read();
    if (/^(?:device|channels)\.pair/.test(event)) void access.read();
    if (event === "config.changed") readPlace();
    // What a proposal would do follows from the file.
    if (event === "config.proposals" || (event === "config.changed" && proposals.state.value.length > 0))
      void proposals.read();
    // Runs and timers begin and end with turns, which these tell of.
    if (event === "agents" || event === "sessions.changed") work.readSoon();
    if (changed !== undefined) {
      const { reason } = fieldsOf(payload);
      if (reason === "reset" || reason === "delete") {
        apply((now) => inConversation(now, changed, ({ version }) => ({ ...emptyConversation, version })));
      }
      refreshSoon(changed);
    }
  };

  const takeAgents = (payload: unknown): void => {
    const before = state.value.choice;
    // The event holds the agents that changed; the others are as they were.
    apply((now) => setAgents(now, mergeAgents(now.agents, parseAgents(payload)), memory.readChoice()));
    if (state.value.choice !== before) openChoice();
  };

  // --- what the page asks for ---

  const readAll = async (): Promise<void> => {
    const subscribed = client.request("sessions.subscribe", {});
    const flows = client.request("flow.recent", {});
    const agents = await client.request("agents.list", {});
    if (agents.ok) {
      const before = state.value.choice;
      apply((now) => setAgents(now, parseAgents(agents.payload), memory.readChoice()));
      if (state.value.choice !== before) remember();
    } else notify(`The agents could not be listed: ${agents.error.message}`);
    const recent = await flows;
    if (recent.ok) apply((now) => ({ ...now, flows: applyRecent(now.flows, parseFlows(recent.payload)) }));
    await subscribed;
    const listsRead = [
      readSessions(),
      readDeadLetters(),
      work.readRequests(),
      work.read(),
      access.read(),
      proposals.read(),
      commands.read(),
    ];
    readPlace();
    await Promise.all([readHistory(state.value.choice?.sessionKey), ...listsRead]);
  };

  /** What the middle shows beside the conversation, when it may have changed. */
  const readPlace = (): void => {
    if (place.value === "rights") rights.readAgain();
    if (place.value === "config") config.changed();
  };

  /** A gateway that does not know the question has none to show. */
  const readDeadLetters = async (): Promise<void> => {
    const reply = await client.request("deadletters.list", { limit: deadLettersLimit });
    if (reply.ok) apply((now) => ({ ...now, deadLetters: parseDeadLetters(reply.payload) }));
  };

  const dealWithLetter = (method: string, id: string, failed: string): Promise<void> =>
    work.act(id, { method, params: { id }, failed }, readDeadLetters);

  const readSessions = async (): Promise<void> => {
    const agentId = state.value.choice?.agentId;
    if (agentId === undefined) return;
    const reply = await client.request("sessions.list", { agentId, limit: sessionsLimit });
    if (reply.ok) apply((now) => setSessions(now, agentId, parseSessions(reply.payload)));
  };

  /** Session keys whose history is being read; `again` when it changed meanwhile. Two answers never overtake each other. */
  const reading = new Map<string, "once" | "again">();
  const readHistory = async (sessionKey: string | undefined): Promise<void> => {
    if (sessionKey === undefined) return;
    if (reading.has(sessionKey)) {
      reading.set(sessionKey, "again");
      return;
    }
    reading.set(sessionKey, "once");
    const since = state.value.conversations.get(sessionKey)?.version ?? 0;
    apply((now) =>
      inConversation(now, sessionKey, (old) => (old.loaded === "no" ? { ...old, loaded: "loading" } : old)),
    );
    // Before the request: what an idle agent answered is committed, so the history that is asked for now holds it.
    const idle = isIdle(state.value, sessionKey);
    const reply = await client.request("chat.history", { sessionKey, limit: historyLimit });
    flushDeltas();
    apply((now) => {
      if (reply.ok) {
        return inConversation(now, sessionKey, (old) => {
          const read = applyHistory(old, parseHistory(reply.payload), since);
          return idle ? settleSuspects(read) : read;
        });
      }
      return inConversation(now, sessionKey, (old) => ({
        ...old,
        loaded: old.loaded === "yes" ? "yes" : "no",
        loadError: reply.error.message,
      }));
    });
    const again = reading.get(sessionKey) === "again" && reply.ok;
    reading.delete(sessionKey);
    if (again) await readHistory(sessionKey);
  };

  let refresh: Set<string> | undefined;
  const refreshSoon = (sessionKey: string): void => {
    if (refresh !== undefined) {
      refresh.add(sessionKey);
      return;
    }
    refresh = new Set([sessionKey]);
    timers.after(refreshDelayMs, () => {
      const keys = refresh ?? new Set();
      refresh = undefined;
      const open = state.value.choice?.sessionKey;
      if (state.value.connection.type !== "ready") return;
      void readSessions();
      if (open !== undefined && keys.has(open)) void readHistory(open);
    });
  };

  const remember = (): void => {
    const { choice } = state.value;
    if (choice !== undefined) memory.writeChoice(choice);
  };

  const openChoice = (): void => {
    remember();
    if (state.value.connection.type !== "ready") return;
    void readSessions();
    void readHistory(state.value.choice?.sessionKey);
  };

  const notify = (notice: string): void => apply((now) => ({ ...now, notice }));

  const post = async (sessionKey: string, message: string, key: string, repeated: boolean): Promise<void> => {
    const reply = await client.request("chat.send", { sessionKey, message, idempotencyKey: key });
    const runId = reply.ok ? (parseRunId(reply.payload) ?? key) : undefined;
    apply((now) =>
      inConversation(now, sessionKey, (old) => {
        if (reply.ok) return confirmOwn(old, key, runId ?? key, repeated);
        return refuseOwn(old, key, reply.error);
      }),
    );
    // The gateway may have had the first copy, and its run may be over.
    if (repeated && reply.ok) refreshSoon(sessionKey);
  };

  const sendText = (text: string, key = settings.newId(), repeated = false): void => {
    const sessionKey = state.value.choice?.sessionKey;
    if (sessionKey === undefined) return;
    apply((now) => inConversation(now, sessionKey, (old) => addOwn(old, text, key, gatewayMs())));
    void post(sessionKey, text, key, repeated);
  };

  const work = openWork({
    request: client.request,
    state: () => state.value,
    apply,
    notify,
    nowMs: gatewayMs,
    after: (ms, job) => void timers.after(ms, job),
  });

  const access = openAccess({ request: client.request, apply }, work);

  const isReady = (): boolean => state.value.connection.type === "ready";
  const desk = { request: client.request, isReady };
  const place = signal<Place>("chat");
  const rights = openRights(desk, () => state.value.agents.map(({ agentId }) => agentId));
  const config = openConfig(desk, timers);
  const proposals = openProposals(desk, work);
  const commands = openCommands(desk, work);

  return {
    place,
    goTo(next) {
      place.value = next;
    },
    rights,
    routes: openRoutes(desk),
    channels: openChannels(desk, work, timers),
    config,
    proposals,
    commands,
    log: openLog(desk, timers),
    state,
    view: viewOf(state),
    start: client.start,
    wake: client.wake,
    signIn: (pasted) => {
      const key = keyInPaste(pasted);
      if (key === undefined) return;
      memory.writeKey(key);
      client.start();
    },
    chooseAgent: (agentId) => {
      const agent = state.value.agents.find((other) => other.agentId === agentId);
      if (agent === undefined || state.value.choice?.agentId === agentId) return;
      apply((now) => choose(now, { agentId, sessionKey: agent.mainSessionKey }));
      openChoice();
    },
    chooseSession: (sessionKey) => {
      const agentId = state.value.choice?.agentId;
      if (agentId === undefined || state.value.choice?.sessionKey === sessionKey) return;
      apply((now) => choose(now, { agentId, sessionKey }));
      openChoice();
    },
    write: (draft) => {
      const sessionKey = state.value.choice?.sessionKey;
      if (sessionKey !== undefined) apply((now) => setDraft(now, sessionKey, draft));
    },
    send: () => {
      const sessionKey = state.value.choice?.sessionKey;
      const text = sessionKey === undefined ? "" : (state.value.drafts.get(sessionKey) ?? "").trim();
      if (sessionKey === undefined || text === "" || !isReady()) return;
      apply((now) => setDraft({ ...now, notice: undefined }, sessionKey, ""));
      sendText(text);
    },
    stop: () => {
      const sessionKey = state.value.choice?.sessionKey;
      if (sessionKey === undefined) return;
      void client.request("chat.abort", { sessionKey }).then((reply) => {
        if (!reply.ok) notify(`The run could not be stopped: ${reply.error.message}`);
      });
    },
    retry: (message) => {
      const text = retryText(currentConversation(state.value), message);
      const sessionKey = state.value.choice?.sessionKey;
      if (text === undefined || sessionKey === undefined || !isReady()) return;
      const unsent = message.role === "user";
      if (unsent) apply((now) => inConversation(now, sessionKey, (old) => removeMessage(old, message.id)));
      sendText(text, message.unconfirmedKey ?? settings.newId(), message.unconfirmedKey !== undefined);
    },
    reloadHistory: () => void readHistory(state.value.choice?.sessionKey),
    dismissNotice: () => apply((now) => ({ ...now, notice: undefined })),
    replayLetter: (id) => void dealWithLetter("deadletters.replay", id, "The dead letter could not be replayed"),
    discardLetter: (id) => void dealWithLetter("deadletters.purge", id, "The dead letter could not be discarded"),
    work: work.actions,
    access: access.actions,
    audit: openAudit({ request: client.request, state: () => state.value, apply, notify }),
    nowMs: gatewayMs,
  };
}

/** Two deltas of a run as one. Each has what is new, and may have all text so far. */
function joinDeltas(earlier: ChatEvent, later: ChatEvent): ChatEvent {
  if (chatText(later) !== undefined) return later;
  const { message, deltaText = "" } = earlier;
  const added = later.deltaText ?? "";
  const joined = { ...earlier, ...later, deltaText: deltaText + added };
  if (message === undefined) return joined;
  return { ...joined, message: { ...message, content: [{ type: "text", text: (chatText(earlier) ?? "") + added }] } };
}

/** Parts of the state that components watch one by one, so that streamed text does not render the lists again. */
function viewOf(state: ReadonlySignal<PageState>) {
  const connection = computed((): ConnectionStatus => state.value.connection);
  const choice = computed(() => state.value.choice);
  const conversation = computed(() => currentConversation(state.value));
  const agents = computed(() => state.value.agents);
  const rows = computed(() => state.value.sessions);
  return {
    connection,
    choice,
    conversation,
    agents,
    agentsKnown: computed(() => state.value.agentsKnown),
    agent: computed(() => currentAgent(state.value)),
    sessions: computed(() => listedSessions({ agents: agents.value, choice: choice.value, sessions: rows.value })),
    flows: computed(() => state.value.flows),
    deadLetters: computed(() => state.value.deadLetters),
    isAdmin: computed(() => state.value.isAdmin),
    mayWrite: computed(() => state.value.mayWrite),
    requests: computed(() => state.value.requests),
    runs: computed(() => state.value.runs),
    tasks: computed(() => state.value.tasks),
    timers: computed(() => state.value.timers),
    access: computed(() => state.value.access),
    audit: computed(() => state.value.audit),
    busy: computed(() => state.value.busy),
    draft: computed(() => state.value.drafts.get(state.value.choice?.sessionKey ?? "") ?? ""),
    isRunning: computed(() => conversation.value.running.length > 0),
    announcement: computed(() => state.value.announcement),
    notice: computed(() => state.value.notice),
  };
}
