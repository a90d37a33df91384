import { describe, expect, it } from "vitest";
import {
  addOwn,
  applyChat,
  applyHistory,
  type Conversation,
  confirmOwn,
  emptyConversation,
  messagesMax,
  refuseOwn,
  retryText,
  settleSuspects,
  suspectRuns,
} from "../../../channels/web/page/conversation.ts";
import type { ChatEvent, HistoryEntry } from "../../../channels/web/page/wire.ts";

const sessionKey = "agent:main:main";

function chat(runId: string, state: ChatEvent["state"], text?: string, more: Partial<ChatEvent> = {}): ChatEvent {
  const message = { role: "assistant", content: [{ type: "text", text: text ?? "" }], timestamp: 2_000 } as const;
  return { runId, sessionKey, agentId: "main", seq: 1, state, ...(text === undefined ? {} : { message }), ...more };
}

const row = (role: HistoryEntry["role"], text: string, atMs: number): HistoryEntry => ({ role, text, atMs });
const shown = (conversation: Conversation): readonly string[] =>
  conversation.messages.map((message) => `${message.role} ${message.state}: ${message.text}`);

/** An own message that the gateway accepted as run `runId`. */
const asked = (text: string, runId: string, atMs = 1_000, from = emptyConversation): Conversation =>
  confirmOwn(addOwn(from, text, `key-${runId}`, atMs), `key-${runId}`, runId);

describe("own messages", () => {
  it("are shown at once, and run when they are confirmed", () => {
    const sending = addOwn(emptyConversation, "hi", "k1", 1_000);
    expect(shown(sending)).toEqual(["user sending: hi"]);
    const sent = confirmOwn(sending, "k1", "r1");
    expect(shown(sent)).toEqual(["user sent: hi"]);
    expect(sent.running).toEqual(["r1"]);
    expect(sent.messages[0]).not.toHaveProperty("unconfirmedKey");
  });

  it("do not revive a run whose end was seen before the confirmation", () => {
    const early = applyChat(addOwn(emptyConversation, "hi", "k1", 1_000), chat("r1", "final", "ok"), 2_000);
    const conversation = confirmOwn(early, "k1", "r1");
    expect(conversation.running).toEqual([]);
    expect(shown(conversation)).toEqual(["user settled: hi", "assistant settled: ok"]);
  });

  it("keep their key when it is unknown whether the gateway has them, and lose it when it refused", () => {
    const sending = addOwn(emptyConversation, "hi", "k1", 1_000);
    const unknown = refuseOwn(sending, "k1", { code: "DISCONNECTED", message: "gone" });
    expect(unknown.messages[0]).toMatchObject({ state: "failed", note: "gone", unconfirmedKey: "k1" });
    const refused = refuseOwn(sending, "k1", { code: "MAILBOX_FULL", message: "full" });
    expect(refused.messages[0]).toMatchObject({ state: "failed", note: "full" });
    expect(refused.messages[0]).not.toHaveProperty("unconfirmedKey");
  });
});

describe("streamed answers", () => {
  it("grow in one message and are replaced by the final text", () => {
    let conversation = asked("hi", "r1");
    conversation = applyChat(conversation, chat("r1", "delta", "Hel"), 2_000);
    const { id } = conversation.messages[1] ?? {};
    conversation = applyChat(conversation, chat("r1", "delta", "Hello"), 2_000);
    expect(shown(conversation)).toEqual(["user sent: hi", "assistant streaming: Hello"]);
    conversation = applyChat(conversation, chat("r1", "final", "Hello!"), 2_000);
    expect(shown(conversation)).toEqual(["user settled: hi", "assistant settled: Hello!"]);
    expect(conversation.messages[1]?.id).toBe(id);
    expect(conversation.running).toEqual([]);
  });

  it("are joined from pieces when an event carries only the new text", () => {
    const first = applyChat(emptyConversation, chat("r1", "delta", undefined, { deltaText: "Hel" }), 2_000);
    const second = applyChat(first, chat("r1", "delta", undefined, { deltaText: "lo" }), 2_000);
    expect(shown(second)).toEqual(["assistant streaming: Hello"]);
  });

  it("stand under their question when later questions wait", () => {
    const two = asked("second", "r2", 1_001, asked("first", "r1"));
    expect(shown(applyChat(two, chat("r1", "delta", "one"), 2_000))).toEqual([
      "user sent: first",
      "assistant streaming: one",
      "user sent: second",
    ]);
  });

  it("ignore deltas that come after the end", () => {
    const over = applyChat(asked("hi", "r1"), chat("r1", "final", "done"), 2_000);
    expect(applyChat(over, chat("r1", "delta", "late"), 2_000)).toBe(over);
  });

  it("show nothing for an agent that stays silent, and end the run", () => {
    const silent = applyChat(asked("hi", "r1"), chat("r1", "final"), 2_000);
    expect(shown(silent)).toEqual(["user settled: hi"]);
    expect(silent.running).toEqual([]);
  });

  it("carry the error, or the stop, and offer the question's text again", () => {
    const failed = applyChat(asked("hi", "r1"), chat("r1", "error", undefined, { errorMessage: "It threw." }), 2_000);
    const [question, answer] = failed.messages;
    expect(answer).toMatchObject({ role: "assistant", state: "failed", note: "It threw." });
    expect(answer && retryText(failed, answer)).toBe("hi");
    expect(question && retryText(failed, question)).toBeUndefined();
    const half = applyChat(asked("go", "r2"), chat("r2", "delta", "half"), 2_000);
    const stopped = applyChat(half, chat("r2", "aborted"), 2_000);
    expect(shown(stopped)).toEqual(["user settled: go", "assistant aborted: half"]);
    expect(stopped.messages[1] && retryText(stopped, stopped.messages[1])).toBe("go");
  });

  it("keep at most 500 messages, the newest", () => {
    let conversation = emptyConversation;
    for (let n = 0; n <= messagesMax; n++) conversation = addOwn(conversation, `m${n}`, `k${n}`, n);
    expect(conversation.messages).toHaveLength(500);
    expect(conversation.messages[0]?.text).toBe("m1");
    expect(conversation.messages.at(-1)?.text).toBe("m500");
  });
});

describe("history", () => {
  it("replaces what it covers and keeps the identity of messages that are on the screen", () => {
    const live = applyChat(asked("hi", "r1"), chat("r1", "final", "Hello!"), 2_000);
    const ids = live.messages.map((message) => message.id);
    const entries = [row("user", "hi", 1_500), row("assistant", "Hello!", 2_500)];
    const read = applyHistory(live, entries, live.version);
    expect(read.messages.map((message) => message.id)).toEqual(ids);
    expect(read.messages.map((message) => message.atMs)).toEqual([1_500, 2_500]);
    const again = applyHistory(read, entries, read.version);
    expect(again.messages[0]).toBe(read.messages[0]);
    expect(again.messages).toHaveLength(2);
  });

  it("keeps the gateway's order even where times are not in order", () => {
    const entries = [row("user", "one", 1), row("assistant", "1", 5), row("user", "two", 2), row("assistant", "2", 9)];
    expect(applyHistory(emptyConversation, entries, 0).messages.map(({ text }) => text)).toEqual([
      "one",
      "1",
      "two",
      "2",
    ]);
  });

  it("keeps what is not committed: a message on its way, a growing answer, a failure with its question", () => {
    let live = applyChat(asked("bad", "r1"), chat("r1", "error", undefined, { errorMessage: "no" }), 1_500);
    live = applyChat(asked("now", "r2", 1_800, live), chat("r2", "delta", "ne"), 1_900);
    live = addOwn(live, "next", "k3", 3_000);
    const read = applyHistory(live, [row("user", "before", 10), row("assistant", "yes", 20)], live.version);
    expect(shown(read)).toEqual([
      "user settled: before",
      "assistant settled: yes",
      "user settled: bad",
      "assistant failed: ",
      "user sent: now",
      "assistant streaming: ne",
      "user sending: next",
    ]);
    expect(read.running).toEqual(["r2"]);
  });

  it("does not lose an answer that ended after the history was asked for", () => {
    const waiting = asked("hi", "r1");
    const ended = applyChat(waiting, chat("r1", "final", "Hello!"), 2_000);
    const read = applyHistory(ended, [], waiting.version);
    expect(shown(read)).toEqual(["user settled: hi", "assistant settled: Hello!"]);
  });

  it("drops settled messages that the gateway no longer has", () => {
    const read = applyHistory(emptyConversation, [row("user", "old", 50), row("user", "gone", 60)], 0);
    expect(shown(applyHistory(read, [row("user", "old", 50)], read.version))).toEqual(["user settled: old"]);
  });

  it("keeps older messages that a bounded history leaves out", () => {
    const read = applyHistory(emptyConversation, [row("user", "a", 10), row("assistant", "b", 20)], 0);
    const next = applyHistory(read, [row("assistant", "b", 20), row("user", "c", 30)], read.version);
    expect(next.messages.map(({ text }) => text)).toEqual(["a", "b", "c"]);
  });

  it("takes a repeated text for two messages", () => {
    const read = applyHistory(emptyConversation, [row("user", "ok", 10)], 0);
    const again = asked("ok", "r1", 5_000, read);
    expect(shown(applyHistory(again, [row("user", "ok", 10)], again.version))).toEqual([
      "user settled: ok",
      "user sent: ok",
    ]);
  });

  it("finds a message whose confirmation was lost, so that it is not offered again", () => {
    const lost = refuseOwn(addOwn(emptyConversation, "hi", "k1", 1_000), "k1", {
      code: "DISCONNECTED",
      message: "gone",
    });
    const read = applyHistory(lost, [row("user", "hi", 1_100), row("assistant", "Hello!", 1_200)], lost.version);
    expect(shown(read)).toEqual(["user settled: hi", "assistant settled: Hello!"]);
    expect(read.messages[0]).not.toHaveProperty("note");
  });
});

describe("a text that the history cuts", () => {
  it("is the same message, and stays whole on the screen", () => {
    const long = "word ".repeat(1_000);
    const live = applyChat(asked("tell me", "r1"), chat("r1", "final", long), 2_000);
    const cut = `${long.slice(0, 4_000)}…(truncated)…`;
    const read = applyHistory(live, [row("user", "tell me", 1_000), row("assistant", cut, 2_000)], live.version);
    expect(read.messages.map(({ text }) => text)).toEqual(["tell me", long]);
    const again = applyHistory(read, [row("user", "tell me", 1_000), row("assistant", cut, 2_000)], read.version);
    expect(again.messages.map(({ text }) => text)).toEqual(["tell me", long]);
  });
});

describe("a message that was sent twice with one key", () => {
  it("has a run whose end may have been missed", () => {
    const repeated = confirmOwn(addOwn(emptyConversation, "hi", "k", 1_000), "k", "r1", true);
    expect(repeated.running).toEqual(["r1"]);
    expect(shown(settleSuspects(repeated))).toEqual(["user failed: hi"]);
  });
});

describe("runs whose end was missed", () => {
  const half = suspectRuns(applyChat(asked("hi", "r1"), chat("r1", "delta", "Hel"), 2_000));

  it("end when the history holds their question, and their half answer goes", () => {
    const entries = [row("user", "hi", 1_000), row("assistant", "Hello!", 2_000)];
    const read = applyHistory(half, entries, half.version);
    expect(shown(read)).toEqual(["user settled: hi", "assistant settled: Hello!"]);
    expect(read.running).toEqual([]);
  });

  it("are marked as lost when the history does not hold their question", () => {
    const settled = settleSuspects(applyHistory(half, [], half.version));
    expect(shown(settled)).toEqual(["user failed: hi"]);
    expect(settled.running).toEqual([]);
    expect(settled.messages[0] && retryText(settled, settled.messages[0])).toBe("hi");
  });

  it("are not runs that started after the loss", () => {
    const later = asked("new", "r2", 3_000, half);
    const settled = settleSuspects(applyHistory(later, [], later.version));
    expect(settled.running).toEqual(["r2"]);
    expect(shown(settled)).toEqual(["user failed: hi", "user sent: new"]);
  });
});
