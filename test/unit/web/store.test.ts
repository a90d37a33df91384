import { describe, expect, it } from "vitest";
import { addOwn, confirmOwn } from "../../../channels/web/page/conversation.ts";
import {
  authorOf,
  choose,
  conversationsMax,
  currentConversation,
  inConversation,
  initialState,
  isIdle,
  listedSessions,
  sessionTitle,
  setAgents,
  setConnection,
  setDraft,
  setSessions,
  takeChat,
} from "../../../channels/web/page/store.ts";
import { type AgentStatus, parseAgents, type SessionEntry } from "../../../channels/web/page/wire.ts";

const agents = (...ids: readonly string[]): readonly AgentStatus[] =>
  parseAgents({
    agents: ids.map((agentId) => ({ agentId, name: agentId.toUpperCase(), isDefault: agentId === "raul" })),
  });

const session = (key: string, more: Partial<SessionEntry> = {}): SessionEntry => ({
  key,
  agentId: "main",
  kind: "other",
  channel: "",
  updatedAtMs: 1,
  ...more,
});

describe("choice", () => {
  it("is the default agent's main session at first", () => {
    expect(setAgents(initialState, agents("main", "raul")).choice).toEqual({
      agentId: "raul",
      sessionKey: "agent:raul:main",
    });
  });

  it("is what was remembered, if that agent still exists", () => {
    const remembered = { agentId: "main", sessionKey: "agent:main:work" };
    expect(setAgents(initialState, agents("main", "raul"), remembered).choice).toEqual(remembered);
    expect(setAgents(initialState, agents("raul"), remembered).choice?.agentId).toBe("raul");
  });

  it("stays when the agents change, and moves when the chosen one goes", () => {
    const first = choose(setAgents(initialState, agents("main", "raul")), {
      agentId: "main",
      sessionKey: "agent:main:main",
    });
    expect(setAgents(first, agents("main", "raul", "new")).choice).toBe(first.choice);
    expect(setAgents(first, agents("raul")).choice?.agentId).toBe("raul");
    expect(setAgents(first, []).choice).toBeUndefined();
  });

  it("keeps the conversations of at most 30 sessions, never dropping the open one or one with a run", () => {
    let state = choose(initialState, { agentId: "main", sessionKey: "busy" });
    state = inConversation(state, "busy", (old) => confirmOwn(addOwn(old, "hi", "k", 1), "k", "r"));
    for (let n = 0; n < 40; n++) state = choose(state, { agentId: "main", sessionKey: `s${n}` });
    expect(state.conversations.size).toBe(conversationsMax);
    expect(state.conversations.has("busy")).toBe(true);
    expect(state.conversations.has("s39")).toBe(true);
    expect(state.conversations.has("s0")).toBe(false);
  });
});

describe("state", () => {
  const open = choose(setAgents(initialState, agents("main", "raul")), {
    agentId: "main",
    sessionKey: "agent:main:main",
  });

  it("keeps a draft for each session and forgets empty ones", () => {
    const written = setDraft(setDraft(open, "a", "one"), "b", "two");
    expect([...written.drafts]).toEqual([
      ["a", "one"],
      ["b", "two"],
    ]);
    expect(setDraft(written, "a", "").drafts.has("a")).toBe(false);
  });

  it("ignores sessions that arrive for an agent that is not chosen any more", () => {
    expect(setSessions(open, "raul", [session("x")])).toBe(open);
    expect(setSessions(open, "main", [session("x")]).sessions).toHaveLength(1);
  });

  it("suspects the runs that go on when the connection is lost, and only then", () => {
    const ready = setConnection(open, { type: "ready", serverVersion: "", isAdmin: true, mayWrite: true });
    const running = inConversation(ready, "agent:main:main", (old) => confirmOwn(addOwn(old, "hi", "k", 1), "k", "r"));
    const lost = setConnection(running, { type: "waiting", attempt: 1, retryAtMs: 0, reason: "" });
    expect(currentConversation(lost).suspects).toEqual(["r"]);
    const back = setConnection(lost, { type: "connecting", attempt: 1 });
    expect(back.conversations).toBe(lost.conversations);
    // What it may do is what the gateway said last, so that nothing on the page jumps while it is away.
    expect([open, ready, lost, back].map(({ isAdmin }) => isAdmin)).toEqual([false, true, true, true]);
    expect(setConnection(back, { type: "ready", serverVersion: "", isAdmin: false, mayWrite: false }).isAdmin).toBe(
      false,
    );
  });

  it("takes chat events for sessions that it holds, and tells the end of an answer in the open one", () => {
    const message = { role: "assistant", content: [{ type: "text", text: "It is noon." }], timestamp: 5 } as const;
    const event = { runId: "r", sessionKey: "agent:main:main", agentId: "main", seq: 1, message } as const;
    const growing = takeChat(open, { ...event, state: "delta" }, 5);
    expect(growing.announcement).toBe("");
    const done = takeChat(growing, { ...event, state: "final" }, 5);
    expect(done.announcement).toBe("MAIN: It is noon.");
    expect(takeChat(open, { ...event, sessionKey: "agent:main:other", state: "final" }, 5)).toBe(open);
  });

  it("calls an agent idle when it has neither runs nor mail, and an unknown one busy", () => {
    const [main] = agents("main");
    if (main === undefined) throw new Error("one agent was made");
    const idle = setAgents(initialState, [main]);
    expect(isIdle(idle, "agent:main:main")).toBe(true);
    expect(isIdle(setAgents(initialState, [{ ...main, activeRuns: 1 }]), "agent:main:main")).toBe(false);
    expect(isIdle(setAgents(initialState, [{ ...main, queueDepth: 1 }]), "agent:main:main")).toBe(false);
    expect(isIdle(idle, "agent:other:main")).toBe(false);
  });
});

describe("lists and names", () => {
  const open = choose(setAgents(initialState, agents("main", "raul")), {
    agentId: "main",
    sessionKey: "agent:main:fresh",
  });

  it("list the main session first, also without a row, and the open one always", () => {
    const state = setSessions(open, "main", [session("agent:main:web:direct:x")]);
    expect(listedSessions(state).map(({ key }) => key)).toEqual([
      "agent:main:main",
      "agent:main:fresh",
      "agent:main:web:direct:x",
    ]);
  });

  it("call a session by its label, Main, or what its key says", () => {
    expect(sessionTitle(session("agent:main:main", { label: "desk" }), "agent:main:main")).toBe("desk");
    expect(sessionTitle(session("agent:main:main"), "agent:main:main")).toBe("Main");
    expect(sessionTitle(session("agent:main:web:direct:x"), "agent:main:main")).toBe("web:direct:x");
  });

  it("say whose a message is", () => {
    const message = { id: "1", text: "", atMs: 1, state: "settled", touched: 0 } as const;
    const source = { type: "agent", agentId: "raul", sessionKey: "agent:raul:main" } as const;
    expect(authorOf(open, { ...message, role: "user" }, "main")).toBe("You");
    expect(authorOf(open, { ...message, role: "assistant" }, "main")).toBe("MAIN");
    expect(authorOf(open, { ...message, role: "user", source }, "main")).toBe("from raul (agent)");
    const cli = { type: "operator", client: "cli" } as const;
    expect(authorOf(open, { ...message, role: "user", source: cli }, "main")).toBe("You, through cli");
    const channel = { type: "channel", channel: "webhook", sender: "Alice" } as const;
    expect(authorOf(open, { ...message, role: "user", source: channel }, "main")).toBe("from Alice on webhook");
  });
});
