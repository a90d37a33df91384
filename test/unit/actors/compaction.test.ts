import { describe, expect, it } from "vitest";
import { findCut } from "../../../actors/assistant/compaction.ts";
import { lastTurns, pruneResults } from "../../../actors/assistant/pruning.ts";
import { sumChars } from "../../../actors/assistant/conversation.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { ModelMessage, ModelRequest } from "../../../runtime/thread/model-port.ts";
import { openAssistant, partOf, type Said } from "../../support/assistant.ts";
import { makeRandom } from "../../support/random.ts";

const user = (text: string): ModelMessage => ({ role: "user", text });
const says = (text: string): ModelMessage => ({ role: "assistant", text });
const calls = (id: string): ModelMessage => ({
  role: "assistant",
  text: "",
  toolCalls: [{ id, name: "read", input: {} }],
});
const result = (id: string, text = "r"): ModelMessage => ({ role: "tool", toolCallId: id, name: "read", text });

const compaction = { isEnabled: true, reserveTokens: 1_000, keepRecentTokens: 500, flushesMemory: false };
const small = { contextTokens: 8_000, compaction };
const isSummary = ({ system = "" }: ModelRequest): boolean => system.startsWith("You sum up");

describe("where a conversation is cut", () => {
  it("never parts a result from its call, and keeps the last turns and tokens, over random conversations", () => {
    const random = makeRandom(7);
    for (let round = 0; round < 300; round++) {
      const messages: ModelMessage[] = [];
      for (let turn = 0; turn < 1 + random.below(20); turn++) {
        messages.push(user("x".repeat(random.below(2_000))));
        for (let index = 0; index < random.below(3); index++) {
          messages.push(calls(`${turn}.${index}`), result(`${turn}.${index}`, "y".repeat(random.below(4_000))));
        }
        messages.push(says("z".repeat(random.below(500))));
      }
      for (const mustShrink of [false, true]) {
        const cut = findCut(messages, small, mustShrink);
        expect(messages[cut]?.role).not.toBe("tool");
        if (mustShrink) expect(cut).toBeGreaterThanOrEqual(Math.floor(messages.length / 2));
        if (cut === 0 || mustShrink) continue;
        const kept = messages.slice(cut);
        const turns = kept.filter(({ role }) => role === "user").length;
        const isLarge = sumChars(messages.slice(Math.max(0, cut - 3))) / limits.charsPerToken > 3_500;
        expect(turns >= limits.compactionTurnsKept || isLarge).toBe(true);
      }
    }
  });

  it("is nowhere when all of it is recent", () => {
    expect(findCut([user("a"), says("b"), user("c"), says("d")], small, false)).toBe(0);
  });

  it("of one message is nowhere, whatever has to go", () => {
    expect(findCut([user("x".repeat(90_000))], small, true)).toBe(0);
  });
});

describe("a conversation that comes near its bound", () => {
  const long = "long ".repeat(700);
  const summarizing = (request: ModelRequest): Said =>
    isSummary(request) ? { text: "They spoke of length." } : { text: long };

  it("is summed up before the model is asked, and goes on with the summary and what is recent", async () => {
    const session = openAssistant({ settings: { ...small }, model: summarizing });
    for (let turn = 0; turn < 12; turn++) await session.say(`question ${turn}`);
    expect(session.state.compactions).toBeGreaterThan(0);
    expect(session.state.summary).toBe("They spoke of length.");
    const last = session.requests.at(-1)?.messages ?? [];
    expect(last[0]?.text).toBe(
      "[Internal context: a summary of the conversation so far]\nThey spoke of length.\n[End of internal context]",
    );
    expect(last.at(-1)?.text).toBe("question 11");
    for (const { messages } of session.requests)
      expect(sumChars(messages) / limits.charsPerToken).toBeLessThan(small.contextTokens);
  });

  it("tells the transcript of each summary, and again when the turn is delivered again", async () => {
    const session = openAssistant({
      settings: { contextTokens: 6_000, compaction },
      model: (request) => (isSummary(request) ? { text: `Summary ${request.messages.length}.` } : { text: long }),
    });
    const told: string[][] = [];
    for (let turn = 0; turn < 8; turn++) {
      const before = session.state.compactions;
      await session.say(`question ${turn}`, [1, 2]);
      expect(session.compacted).toHaveLength(session.state.compactions - before);
      if (session.compacted.length > 0) told.push(session.compacted);
    }
    expect(told.length).toBeGreaterThan(0);
    expect(told.at(-1)?.at(-1)).toBe(session.state.summary);
  });

  it("by the tokens that the provider counted, not by the characters", async () => {
    const counted = (inputTokens: number) => (request: ModelRequest) =>
      isSummary(request) ? { text: "S" } : { text: "short", usage: { inputTokens, outputTokens: 1 } };
    const full = openAssistant({
      settings: { ...small, compaction: { ...compaction, keepRecentTokens: 0 } },
      model: counted(7_500),
    });
    const empty = openAssistant({
      settings: { ...small, compaction: { ...compaction, keepRecentTokens: 0 } },
      model: counted(100),
    });
    for (let turn = 0; turn < 6; turn++) {
      await full.say("x");
      await empty.say("x");
    }
    expect(full.state.compactions).toBeGreaterThan(0);
    expect(empty.state.compactions).toBe(0);
  });

  it("repeats to the same after a crash behind each record, the summary's among them", async () => {
    const play = async (crashes?: readonly number[]) => {
      const session = openAssistant({ settings: { ...small }, model: summarizing });
      for (let turn = 0; turn < 12; turn++) await session.say(`question ${turn}`, crashes);
      return { state: session.state, requests: session.requests.length };
    };
    const whole = await play();
    expect(whole.state.compactions).toBeGreaterThan(0);
    expect(await play([1, 2, 3])).toEqual(whole);
  });

  it("lets the model write down what matters before, and shows nobody what it says then", async () => {
    const session = openAssistant({
      settings: { ...small, compaction: { ...compaction, flushesMemory: true } },
      tools: ["write", "exec"],
      model: (request) => {
        if (isSummary(request)) return { text: "S" };
        const last = request.messages.at(-1);
        if (last?.text.includes("about to be shortened") === true)
          return {
            text: "I write it down.",
            toolCalls: [
              { id: "f1", name: "write", input: { path: "memory/2026-11-21.md", content: "x" } },
              { id: "f2", name: "exec", input: {} },
            ],
          };
        return { text: last?.role === "tool" ? "NO_REPLY" : long };
      },
    });
    for (let turn = 0; turn < 12; turn++) await session.say(`question ${turn}`);
    expect(session.state.compactions).toBeGreaterThan(0);
    expect(session.calls.map(({ name }) => name)).toEqual(
      Array.from({ length: session.state.compactions }, () => "write"),
    );
    expect(session.streamed.join("")).not.toContain("I write it down");
    expect(JSON.stringify(session.state.messages)).not.toContain("about to be shortened");
  });

  it.each([
    ["that answers by the configuration", undefined, "test/model"],
    ["that was chosen for the session", "test/chosen", "test/chosen"],
  ])("is judged by what the model takes %s", async (_which, chosen, smallModel) => {
    const compactionsOf = async (windows: Record<string, number>): Promise<number> => {
      const session = openAssistant({
        settings: { windows },
        session: chosen === undefined ? {} : { model: chosen },
        model: (request) => (isSummary(request) ? { text: "S" } : { text: long }),
      });
      for (let turn = 0; turn < 12; turn++) await session.say(`question ${turn}`);
      return session.state.compactions;
    };
    expect(await compactionsOf({ [smallModel]: 8_000 })).toBeGreaterThan(0);
    expect(await compactionsOf({ "test/another": 8_000 })).toBe(0);
  });

  it("keeps its messages when the model cannot sum up, and goes on", async () => {
    const session = openAssistant({
      settings: { ...small, contextTokens: 8_000 },
      model: (request) => (isSummary(request) ? failure("CLOISTER_MODEL_FAILED", "down") : { text: long }),
    });
    for (let turn = 0; turn < 8; turn++) await session.say(`question ${turn}`);
    expect(session.state.compactions).toBe(0);
    expect(session.state.messages).toHaveLength(16);
    expect(session.logged.join("\n")).toContain("not summed up");
  });
});

describe("a conversation that the provider finds too long", () => {
  const full = failure("CLOISTER_MODEL_CONTEXT_FULL", "too many tokens");

  it("is shortened and asked again, in the same turn", async () => {
    const session = openAssistant({
      model: (request) =>
        isSummary(request) ? { text: "S" } : request.messages.length > 5 ? full : { text: "answer" },
    });
    for (let turn = 0; turn < 10; turn++) expect(await session.say(`question ${turn}`)).toBe("answer");
    expect(session.state.compactions).toBeGreaterThan(1);
    expect(session.state.summary).toBe("S");
  });

  it("loses its oldest messages when they cannot even be summed up, and says so to the model", async () => {
    const session = openAssistant({
      model: (request) => (isSummary(request) || request.messages.length > 5 ? full : { text: "answer" }),
    });
    for (let turn = 0; turn < 4; turn++) expect(await session.say(`question ${turn}`)).toBe("answer");
    expect(session.requests.at(-1)?.messages[0]?.text).toMatch(/older messages are left out/);
  });

  it("fails when one message alone is too long, after a bounded number of tries", async () => {
    const session = openAssistant({ model: () => full });
    await expect(session.say("x")).rejects.toMatchObject({ code: "CLOISTER_MODEL_CONTEXT_FULL" });
    expect(session.requests).toHaveLength(1);
  });
});

describe("the state of a session", () => {
  it("stays below its bound whatever is said and read, over many turns", async () => {
    const session = openAssistant({
      // A context that would hold all of it.
      settings: { contextTokens: 900_000_000 },
      tools: ["read"],
      model: (request, number) => {
        if (isSummary(request)) return { text: "S".repeat(100_000) };
        return number % 3 === 0
          ? { toolCalls: [{ id: `${number}`, name: "read", input: { path: "\u0001".repeat(1_000) } }] }
          : { text: '"\n'.repeat(20_000) };
      },
      tool: () => ({ status: "ok", text: '\\"'.repeat(100_000) }),
    });
    for (let turn = 0; turn < 12; turn++) {
      await session.say("\n".repeat(300_000));
      expect(JSON.stringify(session.state).length).toBeLessThan(limits.stateCharsMax);
    }
    expect(session.state.compactions).toBeGreaterThan(0);
  });
});

describe("old results of tools", () => {
  const messages = [
    result("0", "before anybody spoke".padEnd(9_000, ".")),
    user("one"),
    calls("1"),
    result("1", `HEAD${"a".repeat(9_000)}TAIL`),
    says("b"),
    user("two"),
    calls("2"),
    result("2", "short"),
    says("c"),
    calls("3"),
    result("3", "c".repeat(9_000)),
    says("d"),
  ];
  const textOf = (id: string, fill: number): string | undefined =>
    pruneResults(messages, fill).find((message) => message.role === "tool" && message.toolCallId === id)?.text;

  it.each([
    ["nothing below the first bound", 0.29, 9_008, 5],
    ["long ones are trimmed from it on", 0.3, 3_000, 5],
    ["all are cleared from the second on", 0.5, 34, 5],
  ])("%s", (_what, fill, chars) => {
    expect(Math.abs((textOf("1", fill)?.length ?? 0) - chars)).toBeLessThan(3);
    // Before the first message of a user, and within the last three answers, nothing changes.
    expect(textOf("0", fill)).toHaveLength(9_000);
    expect(textOf("3", fill)).toHaveLength(9_000);
  });

  it("keep their beginning and their end", () => {
    expect(textOf("1", 0.4)).toMatch(/^HEADa+\n\[… \d+ characters …\]\na+TAIL$/);
  });

  it("are pruned in what the model is shown alone, and only when its cache is old", async () => {
    const play = async (gapMs: number) => {
      const session = openAssistant({
        settings: { contextTokens: 60_000, pruneAfterMs: 300_000 },
        tools: ["read"],
        model: (_request, number) =>
          number % 2 === 0 ? { toolCalls: [{ id: `${number}`, name: "read", input: {} }] } : { text: "ok" },
        tool: () => ({ status: "ok", text: "r".repeat(6_000) }),
      });
      for (let turn = 0; turn < 5; turn++) await session.say({ text: "read", receivedAtMs: turn * gapMs });
      return session;
    };
    const shown = (session: Awaited<ReturnType<typeof play>>): number =>
      sumChars(session.requests.at(-2)?.messages ?? []);
    const [soon, late] = [await play(1_000), await play(300_000)];
    expect(shown(late)).toBeLessThan(shown(soon));
    expect(sumChars(late.state.messages)).toBe(sumChars(soon.state.messages));
  });
});

describe("a direct chat of which the channel shows so many earlier messages", () => {
  const texts = ({ messages }: ModelRequest): string[] => messages.map(({ text }) => text);
  const told = (historyTurns: number | undefined, more: Partial<Parameters<typeof openAssistant>[0]> = {}) =>
    openAssistant({
      ...(historyTurns === undefined ? {} : { session: { historyTurns } }),
      model: (_, number) => ({ text: `a${number}` }),
      ...more,
    });
  const say = async (session: ReturnType<typeof openAssistant>, count: number) => {
    for (let turn = 0; turn < count; turn++) await session.say(`q${turn}`);
    return session.requests.at(-1);
  };

  it.each([
    ["none", 0, ["q3"]],
    ["one", 1, ["q2", "a2", "q3"]],
    ["three", 3, ["q0", "a0", "q1", "a1", "q2", "a2", "q3"]],
    ["more than there are", 9, ["q0", "a0", "q1", "a1", "q2", "a2", "q3"]],
    ["all, where nothing is said", undefined, ["q0", "a0", "q1", "a1", "q2", "a2", "q3"]],
  ])("is shown with %s of them", async (_, historyTurns, shown) => {
    const session = told(historyTurns);
    expect(texts((await say(session, 4))!)).toEqual(shown);
    // The session has everything: another bound counts for what was said before as well.
    expect(session.state.messages).toHaveLength(8);
  });

  it("is shown with all of the turn that runs, whatever is said and called in it", async () => {
    const session = told(0, {
      tools: ["exec"],
      steered: (number) => (number === 1 ? [partOf("and this")] : []),
      model: (request, number) =>
        number === 1
          ? { toolCalls: [{ id: "c", name: "exec", input: {} }] }
          : { text: request.messages.at(-1)?.text ?? "" },
    });
    session.state.messages.push(calls("old"), result("old"));
    await session.say("q0");
    await session.say("q1");
    expect(session.requests.at(-1)?.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "user"]);
    expect(texts(session.requests.at(-1)!)).toEqual(["q1", "", expect.any(String), "and this"]);
  });

  it("has no summary of what is older than they are", async () => {
    const open = (historyTurns: number) => {
      const session = told(historyTurns);
      session.state = { messages: [user("q"), says("a")], summary: "They spoke.", compactions: 1 };
      return session;
    };
    for (const [historyTurns, shown] of [
      [2, ["They spoke.", "q", "a", "q0"]],
      [1, ["q", "a", "q0"]],
      [0, ["q0"]],
    ] as const) {
      const found = texts((await say(open(historyTurns), 1))!);
      expect(found.map((text) => (text.includes("They spoke.") ? "They spoke." : text))).toEqual(shown);
    }
  });

  it("keeps the summary where that has the beginning of the turn itself", () => {
    const conversation = { messages: [user("later")], summary: "the turn began" };
    expect(lastTurns(conversation, 0, user("gone"))).toEqual(conversation);
  });
});
