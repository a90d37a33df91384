import { describe, expect, it } from "vitest";
import type { Page } from "../../../channels/web/page/page.ts";
import { agentRow, open, settled } from "./fakes.ts";

const main = "agent:main:main";
const row = (role: string, text: string, timestamp: number) => ({ role, content: [{ type: "text", text }], timestamp });
const answer = (runId: string, state: string, text: string) => ({
  runId,
  sessionKey: main,
  agentId: "main",
  seq: 1,
  state,
  message: { role: "assistant", content: [{ type: "text", text }], timestamp: 1_000_500 },
});

describe("after a connect", () => {
  it("the page subscribes, then reads agents, asks, sessions and the open conversation", async () => {
    const { page, gateway, connect, shown } = open();
    await connect(undefined, [row("user", "hi", 1), row("assistant", "Hello!", 2)]);
    expect(page.view.agents.value.map(({ agentId }) => agentId)).toEqual(["main", "raul"]);
    expect(page.view.choice.value).toEqual({ agentId: "main", sessionKey: main });
    expect(shown()).toEqual(["user settled: hi", "assistant settled: Hello!"]);
    expect(gateway.link.sent).toEqual([]);
  });

  it("the history is asked for only when the agents are known, so that an idle agent's answers are in it", async () => {
    const { gateway } = open({ choice: { agentId: "main", sessionKey: main } });
    gateway.link.challenge();
    gateway.link.hello();
    await settled();
    expect(gateway.link.sent.map(({ method }) => method)).toEqual(["sessions.subscribe", "flow.recent", "agents.list"]);
  });

  it("the chosen session is remembered, and opened the next time", async () => {
    const first = open();
    await first.connect();
    first.page.chooseAgent("raul");
    expect(first.memory.readChoice()).toEqual({ agentId: "raul", sessionKey: "agent:raul:main" });
    expect(first.gateway.link.take("sessions.list").params).toMatchObject({ agentId: "raul" });
    expect(first.gateway.link.take("chat.history").params).toMatchObject({ sessionKey: "agent:raul:main" });
  });
});

describe("a message", () => {
  it("is on the screen before it is sent, grows an answer, and ends", async () => {
    const { page, gateway, connect, drawFrame, shown } = open();
    await connect();
    page.write("  what time is it  ");
    page.send();
    expect(shown()).toEqual(["user sending: what time is it"]);
    expect(page.view.draft.value).toBe("");
    const { params } = gateway.link.answer("chat.send", { runId: "r1", status: "started" });
    expect(params).toMatchObject({ sessionKey: main, message: "what time is it" });
    expect(params["idempotencyKey"]).toBeTypeOf("string");
    await settled();
    expect(page.view.isRunning.value).toBe(true);
    gateway.link.event("chat", answer("r1", "delta", "It is"), 1);
    gateway.link.event("chat", answer("r1", "delta", "It is noon"), 2);
    expect(shown()).toHaveLength(1);
    drawFrame();
    expect(shown()).toEqual(["user sent: what time is it", "assistant streaming: It is noon"]);
    gateway.link.event("chat", answer("r1", "final", "It is noon."), 3);
    expect(shown()).toEqual(["user settled: what time is it", "assistant settled: It is noon."]);
    expect(page.view.isRunning.value).toBe(false);
  });

  it("grows by what is new alone, also when several events come before the page is drawn", async () => {
    const { page, gateway, connect, drawFrame, shown } = open();
    await connect();
    page.write("tell me");
    page.send();
    gateway.link.answer("chat.send", { runId: "r1", status: "started" });
    await settled();
    const more = (deltaText: string) => {
      const { message: _, ...event } = answer("r1", "delta", "");
      return { ...event, deltaText };
    };
    gateway.link.event("chat", { ...answer("r1", "delta", "Once "), deltaText: "Once " }, 1);
    gateway.link.event("chat", more("upon "), 2);
    gateway.link.event("chat", more("a "), 3);
    drawFrame();
    expect(shown().at(-1)).toBe("assistant streaming: Once upon a ");
    gateway.link.event("chat", more("time"), 4);
    drawFrame();
    expect(shown().at(-1)).toBe("assistant streaming: Once upon a time");
  });

  it("is not sent when it is blank, or while there is no connection, and the draft stays", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.write("   ");
    page.send();
    expect(gateway.link.sent).toEqual([]);
    page.write("draft");
    gateway.link.drop();
    page.send();
    expect(page.view.draft.value).toBe("draft");
    expect(page.view.conversation.value.messages).toEqual([]);
  });

  it("that was refused is sent again with a new key", async () => {
    const { page, gateway, connect, shown } = open();
    await connect();
    page.write("hi");
    page.send();
    const first = gateway.link.refuse("chat.send", { code: "MAILBOX_FULL", message: "full" });
    await settled();
    const [failed] = page.view.conversation.value.messages;
    if (failed === undefined) throw new Error("the message is gone");
    page.retry(failed);
    const second = gateway.link.take("chat.send");
    expect(second.params["message"]).toBe("hi");
    expect(second.params["idempotencyKey"]).not.toBe(first.params["idempotencyKey"]);
    expect(shown()).toEqual(["user sending: hi"]);
  });

  it("that was never confirmed is sent again with the same key, so that it counts once", async () => {
    const { page, gateway, connect, timers } = open();
    await connect();
    page.write("hi");
    page.send();
    const first = gateway.link.take("chat.send");
    gateway.link.drop();
    await settled();
    timers.advance(1_000);
    await connect();
    const [failed] = page.view.conversation.value.messages;
    if (failed === undefined) throw new Error("the message is gone");
    page.retry(failed);
    expect(gateway.link.take("chat.send").params["idempotencyKey"]).toBe(first.params["idempotencyKey"]);
  });

  it("can be stopped; a stop that fails is told", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.stop();
    expect(gateway.link.refuse("chat.abort", { code: "X", message: "nothing runs" }).params).toEqual({
      sessionKey: main,
    });
    await settled();
    expect(page.view.notice.value).toBe("The run could not be stopped: nothing runs");
    page.dismissNotice();
    expect(page.view.notice.value).toBeUndefined();
  });
});

describe("a lost connection", () => {
  it("keeps the draft, and the history after it holds an answer whose end was missed", async () => {
    const { page, gateway, timers, connect, drawFrame, shown } = open();
    await connect();
    page.write("hi");
    page.send();
    gateway.link.answer("chat.send", { runId: "r1" });
    await settled();
    gateway.link.event("chat", answer("r1", "delta", "Hel"), 1);
    drawFrame();
    page.write("my draft");
    gateway.link.drop();
    expect(page.view.connection.value.type).toBe("waiting");
    timers.advance(1_000);
    await connect(undefined, [row("user", "hi", timers.nowMs()), row("assistant", "Hello!", timers.nowMs())]);
    expect(shown()).toEqual(["user settled: hi", "assistant settled: Hello!"]);
    expect(page.view.isRunning.value).toBe(false);
    expect(page.view.draft.value).toBe("my draft");
  });

  it("leaves a run that still goes on alone, and closes it once its agent is idle", async () => {
    const { page, gateway, timers, connect, shown } = open();
    await connect();
    page.write("hi");
    page.send();
    gateway.link.answer("chat.send", { runId: "r1" });
    await settled();
    gateway.link.drop();
    timers.advance(1_000);
    await connect([agentRow("main", { activeRuns: 1 })]);
    expect(page.view.isRunning.value).toBe(true);
    gateway.link.event("agents", { agents: [agentRow("main")] }, 1);
    page.reloadHistory();
    gateway.link.answer("chat.history", { messages: [] });
    await settled();
    expect(shown()).toEqual(["user failed: hi"]);
    expect(page.view.isRunning.value).toBe(false);
  });
});

describe("changes by others", () => {
  it("are read again once for a burst, and the history only of the open session", async () => {
    const { gateway, timers, connect, shown } = open();
    await connect();
    for (const sessionKey of [main, main, "agent:main:other"]) gateway.link.event("sessions.changed", { sessionKey });
    timers.advance(200);
    gateway.link.answer("chat.history", { messages: [row("user", "from the phone", 5)] });
    gateway.link.answer("sessions.list", { sessions: [{ key: "agent:main:other", updatedAt: 3 }] });
    await settled();
    expect(shown()).toEqual(["user settled: from the phone"]);
    expect(gateway.link.sent).toEqual([]);
    gateway.link.event("sessions.changed", { sessionKey: "agent:main:other" });
    timers.advance(200);
    expect(gateway.link.sent.map(({ method }) => method)).toEqual(["sessions.list"]);
  });

  it("show the question of another client's run after it ended", async () => {
    const { gateway, timers, connect, shown } = open();
    await connect();
    gateway.link.event("chat", answer("r9", "final", "To somebody else."), 1);
    timers.advance(200);
    gateway.link.answer("chat.history", {
      messages: [row("user", "asked elsewhere", 1_000_400), row("assistant", "To somebody else.", 1_000_500)],
    });
    await settled();
    expect(shown()).toEqual(["user settled: asked elsewhere", "assistant settled: To somebody else."]);
  });

  it("to a history that is being read cause one more reading after it", async () => {
    const { page, gateway, connect, shown } = open();
    await connect();
    page.reloadHistory();
    page.reloadHistory();
    page.reloadHistory();
    expect(gateway.link.sent).toHaveLength(1);
    gateway.link.answer("chat.history", { messages: [row("user", "one", 1)] });
    await settled();
    gateway.link.answer("chat.history", { messages: [row("user", "one", 1), row("user", "two", 2)] });
    await settled();
    expect(shown()).toEqual(["user settled: one", "user settled: two"]);
    expect(gateway.link.sent).toEqual([]);
  });

  it("empty a conversation that was reset", async () => {
    const { gateway, connect, shown } = open();
    await connect(undefined, [row("user", "old", 1)]);
    gateway.link.event("sessions.changed", { sessionKey: main, reason: "reset" });
    expect(shown()).toEqual([]);
  });

  it("to asks between agents are shown live", async () => {
    const { page, gateway, connect } = open();
    await connect();
    const flow = { id: "f1", fromAgent: "main", toAgent: "raul", fromSession: main, toSession: "agent:raul:main" };
    gateway.link.event("flow", { ...flow, state: "open", atMs: 100 }, 1);
    expect(page.view.flows.value.open).toHaveLength(1);
    gateway.link.event("flow", { ...flow, state: "ok", atMs: 350 }, 2);
    expect(page.view.flows.value).toMatchObject({ open: [], done: [{ durationMs: 250 }] });
  });
});

describe("signing in", () => {
  it("takes the key out of a pasted link, keeps it and connects", () => {
    const { page, gateway, memory } = open();
    gateway.link.challenge();
    gateway.link.refuse("connect", { code: "UNAUTHORIZED", message: "no credential" });
    page.signIn("   ");
    expect(gateway.links).toHaveLength(1);
    page.signIn("http://127.0.0.1:18789/#key=beef");
    expect(memory.readKey()).toBe("beef");
    gateway.link.challenge();
    expect(gateway.link.take("connect").params["auth"]).toEqual({ token: "beef" });
  });
});

describe("dead letters", () => {
  const letter = (id: string) => ({
    id,
    fate: "poison",
    reason: "it ended its cell",
    sessionKey: main,
    preview: `text of ${id}`,
    atMs: 5,
  });
  const shown = (page: Page): readonly string[] => page.view.deadLetters.value.letters.map(({ id }) => id);

  it("are read after a connect, and again whenever the gateway says that they changed", async () => {
    const { page, gateway, connect } = open();
    await connect();
    expect(page.view.deadLetters.value).toEqual({ letters: [], total: 0 });
    gateway.link.event("deadletters", { total: 1, byFate: { poison: 1 } });
    gateway.link.answer("deadletters.list", { letters: [letter("a")], total: 30 });
    await settled();
    expect(page.view.deadLetters.value).toEqual({ letters: [letter("a")], total: 30 });
  });

  it("are replayed and discarded once each, busy meanwhile, and read again after it", async () => {
    const { page, gateway, connect } = open();
    await connect();
    for (const [method, act] of [
      ["deadletters.replay", page.replayLetter],
      ["deadletters.purge", page.discardLetter],
    ] as const) {
      act("a");
      act("a");
      expect([...page.view.busy.value]).toEqual(["a"]);
      expect(gateway.link.answer(method, { ok: true }).params).toEqual({ id: "a" });
      expect(gateway.link.sent).toEqual([]);
      await settled();
      gateway.link.answer("deadletters.list", { letters: [letter("b")], total: 1 });
      await settled();
      expect([shown(page), [...page.view.busy.value]]).toEqual([["b"], []]);
    }
  });

  it("that are refused stay, and the reason is shown", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.replayLetter("a");
    gateway.link.refuse("deadletters.replay", { code: "UNAVAILABLE", message: "the mailbox is full" });
    await settled();
    gateway.link.answer("deadletters.list", { letters: [letter("a")], total: 1 });
    await settled();
    expect(page.view.notice.value).toBe("The dead letter could not be replayed: the mailbox is full");
    expect(shown(page)).toEqual(["a"]);
  });
});
