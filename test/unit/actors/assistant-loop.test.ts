import { describe, expect, it } from "vitest";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { ModelMessage, ModelToolCall } from "../../../runtime/thread/model-port.ts";
import { openAssistant, partOf, type Said } from "../../support/assistant.ts";
import { makeRandom } from "../../support/random.ts";

const call = (id: string, name: string, input: Record<string, unknown> = {}): ModelToolCall => ({ id, name, input });
const inOrder =
  (...said: readonly Said[]) =>
  (_request: unknown, number: number) =>
    said[number] ?? { text: "done" };
const rolesOf = (messages: readonly ModelMessage[]): string => messages.map(({ role }) => role[0]).join("");

/** Each result follows its call, and nothing of a user stands between. */
function expectPaired(messages: readonly ModelMessage[]): void {
  let open: string[] = [];
  for (const message of messages) {
    if (message.role === "tool") {
      expect(open).toContain(message.toolCallId);
      open = open.filter((id) => id !== message.toolCallId);
      continue;
    }
    expect(open).toEqual([]);
    if (message.role === "assistant") open = (message.toolCalls ?? []).map(({ id }) => id);
  }
  expect(open).toEqual([]);
}

describe("a turn of the assistant", () => {
  it("calls the tools that the model asks for, in order, and answers with what it says then", async () => {
    const session = openAssistant({
      tools: ["read", "exec"],
      model: inOrder(
        { text: "Let me look.", toolCalls: [call("1", "read", { path: "a" }), call("2", "exec", { command: "ls" })] },
        { text: "There are two files." },
      ),
      tool: (name) => ({ status: "ok", text: `of ${name}` }),
    });
    expect(await session.say("what is there?")).toBe("There are two files.");
    expect(session.calls).toEqual([
      { name: "read", params: { path: "a" } },
      { name: "exec", params: { command: "ls" } },
    ]);
    expect(session.state.messages).toEqual([
      { role: "user", text: "what is there?" },
      {
        role: "assistant",
        text: "Let me look.",
        toolCalls: [call("1", "read", { path: "a" }), call("2", "exec", { command: "ls" })],
      },
      { role: "tool", toolCallId: "1", name: "read", text: '{"status":"ok","text":"of read"}' },
      { role: "tool", toolCallId: "2", name: "exec", text: '{"status":"ok","text":"of exec"}' },
      { role: "assistant", text: "There are two files." },
    ]);
    expect(session.streamed.join("")).toBe("Let me look.\n\nThere are two files.");
  });

  it("shows the model what was said before, also after its cell has ended", async () => {
    const session = openAssistant({ model: inOrder({ text: "Hello Ana." }, { text: "Ana." }) });
    await session.say("I am Ana");
    expect(await session.say("who am I?")).toBe("Ana.");
    expect(session.requests[1]?.messages.map(({ text }) => text)).toEqual(["I am Ana", "Hello Ana.", "who am I?"]);
  });

  it("gives the model back what its answer carries, with the calls and in later turns", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: inOrder(
        { toolCalls: [call("1", "read")], carry: "signed thoughts" },
        { text: "Read.", carry: "more of them" },
        { text: "Yes." },
      ),
    });
    await session.say("read it");
    const called = { role: "assistant", text: "", toolCalls: [call("1", "read")], carry: "signed thoughts" };
    expect(session.requests[1]?.messages[1]).toEqual(called);
    await session.say("and now?");
    expect(session.requests[2]?.messages.slice(1, 4)).toEqual([
      called,
      expect.objectContaining({ role: "tool" }),
      { role: "assistant", text: "Read.", carry: "more of them" },
    ]);
  });

  it("calls no tool that the turn does not have, and says so to the model", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: inOrder({ toolCalls: [call("1", "exec")] }, { text: "I cannot." }),
    });
    expect(await session.say("run it")).toBe("I cannot.");
    expect(session.calls).toEqual([]);
    expect(session.state.messages[2]).toMatchObject({
      role: "tool",
      isError: true,
      text: expect.stringContaining("no tool"),
    });
  });

  it("tells a refusal as an error, and goes on", async () => {
    const session = openAssistant({
      tools: ["exec"],
      model: inOrder({ toolCalls: [call("1", "exec")] }, { text: "Not allowed." }),
      tool: () => ({ status: "forbidden", error: "denied by tools.deny" }),
    });
    expect(await session.say("run it")).toBe("Not allowed.");
    expect(session.state.messages[2]).toMatchObject({ isError: true, text: expect.stringContaining("tools.deny") });
  });

  it("ends in order after its last round, with what the model says then", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: (request, number) =>
        request.messages.at(-1)?.text.includes("Answer now") === true
          ? { text: "I have read enough." }
          : { toolCalls: [call(String(number), "read")] },
    });
    expect(await session.say("read for ever")).toBe("I have read enough.");
    expect(session.calls).toHaveLength(limits.modelRoundsMax);
    expectPaired(session.state.messages);
  });

  it("ends all the same when the model does not obey the bound", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: (_request, number) => ({ toolCalls: [call(String(number), "read")] }),
    });
    expect(await session.say("read for ever")).toContain(`${limits.modelRoundsMax} rounds`);
    expect(session.calls).toHaveLength(limits.modelRoundsMax);
    expectPaired(session.state.messages);
  });

  it("shortens long results, and those of one round together", async () => {
    const calls = Array.from({ length: limits.callsPerRoundMax + 2 }, (_, index) => call(String(index), "read"));
    const session = openAssistant({
      tools: ["read"],
      model: inOrder({ toolCalls: calls }, { text: "Read." }),
      tool: () => ({ status: "ok", text: "x".repeat(100_000) }),
    });
    await session.say("read all of it");
    const results = session.state.messages.filter(({ role }) => role === "tool");
    expect(results).toHaveLength(calls.length);
    expect(session.calls).toHaveLength(limits.callsPerRoundMax);
    expect(results[0]?.text.length).toBeGreaterThan(limits.toolResultCharsShown - 10);
    expect(results[0]?.text).toMatch(/characters of this result are left out/);
    const chars = results.reduce((sum, { text }) => sum + text.length, 0);
    expect(chars).toBeLessThan(limits.roundResultsCharsShown + calls.length * limits.toolResultCharsMin);
    expect(JSON.stringify(session.state).length).toBeLessThan(limits.stateCharsMax);
    expectPaired(session.state.messages);
  });
});

describe("what is said meanwhile", () => {
  it("is heard before the next tool, and the rest of the calls is skipped", async () => {
    const session = openAssistant({
      tools: ["read", "write"],
      model: inOrder({ toolCalls: [call("1", "read"), call("2", "write"), call("3", "read")] }, { text: "Stopped." }),
      steered: (number) => (number === 1 ? [partOf("do not write!")] : []),
    });
    expect(await session.say("go")).toBe("Stopped.");
    expect(session.calls.map(({ name }) => name)).toEqual(["read"]);
    expect(rolesOf(session.state.messages)).toBe("uatttua");
    expect(session.state.messages[3]).toMatchObject({
      toolCallId: "2",
      isError: true,
      text: expect.stringContaining("skipped"),
    });
    expect(session.state.messages[5]?.text).toBe("do not write!");
    expectPaired(session.state.messages);
  });

  it("is heard after the last tool as well, before the model is asked again", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: inOrder({ toolCalls: [call("1", "read")] }, { text: "Both." }),
      steered: (number) => (number === 1 ? [partOf("and this")] : []),
    });
    expect(await session.say("go")).toBe("Both.");
    expect(session.requests[1]?.messages.at(-1)).toEqual({ role: "user", text: "and this" });
  });
});

describe("a turn that yields to its sub-agents", () => {
  it("ends without an answer, and calls nothing more", async () => {
    const session = openAssistant({
      tools: ["sessions_spawn", "sessions_yield", "read"],
      model: inOrder({ toolCalls: [call("1", "sessions_spawn"), call("2", "sessions_yield"), call("3", "read")] }),
      tool: (name) => (name === "sessions_yield" ? { status: "yielded", pending: 1 } : { status: "accepted" }),
    });
    expect(await session.say("let somebody do it")).toBeUndefined();
    expect(session.calls.map(({ name }) => name)).toEqual(["sessions_spawn", "sessions_yield"]);
    expect(session.requests).toHaveLength(1);
    expectPaired(session.state.messages);
  });
});

describe("an answer that says nothing", () => {
  it.each([
    ["NO_REPLY", undefined, ""],
    ["no_reply\n", undefined, ""],
    ["HEARTBEAT_OK", undefined, ""],
    ["HEARTBEAT_OK All is well.", "All is well.", "All is well."],
    ["All is well. HEARTBEAT_OK", "All is well.", undefined],
    ["NO_REPLY is what I would say", "NO_REPLY is what I would say", "NO_REPLY is what I would say"],
    ["", undefined, ""],
  ])("%j is answered with %j", async (text, reply, streamed) => {
    const session = openAssistant({ model: () => ({ text }) });
    expect(await session.say("anything new?")).toBe(reply);
    if (streamed !== undefined) expect(session.streamed.join("")).toBe(streamed);
  });

  it("of an exchange goes to the gateway as it is", async () => {
    const session = openAssistant({ model: () => ({ text: "REPLY_SKIP" }) });
    const exchange = {
      step: "reply",
      turn: 1,
      turnsMax: 5,
      requester: "a",
      target: "b",
      note: "Turn 1 of 5.",
    } as const;
    expect(await session.exchange({ text: "x", framed: "[Inter-session message …]\nx", exchange })).toBe("REPLY_SKIP");
    const [heard] = session.requests[0]?.messages ?? [];
    expect(heard?.text).toMatch(
      /^\[Internal context: a turn between agents\]\nTurn 1 of 5\.\n\[End of internal context\]/,
    );
    expect(heard?.text).toContain("[Inter-session message …]\nx");
  });
});

describe("a model that fails", () => {
  const failed = failure("CLOISTER_MODEL_FAILED", "the provider is down");

  it("fails the turn when nothing was done yet, and leaves the conversation as it was", async () => {
    const session = openAssistant({ model: inOrder({ text: "Hello." }, failed, { text: "Again." }) });
    await session.say("hello");
    await expect(session.say("are you there?")).rejects.toMatchObject({ code: "CLOISTER_MODEL_FAILED" });
    expect(rolesOf(session.state.messages)).toBe("ua");
    expect(await session.say("and now?")).toBe("Again.");
  });

  it("ends the turn in order after tools were called, and the model knows of them later", async () => {
    const session = openAssistant({
      tools: ["exec"],
      model: inOrder({ toolCalls: [call("1", "exec", { command: "pay" })] }, failed, { text: "It is paid." }),
    });
    expect(await session.say("pay")).toMatch(
      /could not finish: the provider is down \(CLOISTER_MODEL_FAILED\)\. Before that I called: exec/,
    );
    expectPaired(session.state.messages);
    expect(await session.say("did you pay?")).toBe("It is paid.");
    expect(session.requests.at(-1)?.messages.some(({ role }) => role === "tool")).toBe(true);
  });

  it("fails a sub-agent's run, whatever it has done", async () => {
    const session = openAssistant({
      sessionKey: "agent:main:subagent:1",
      tools: ["exec"],
      model: inOrder({ toolCalls: [call("1", "exec")] }, failed),
    });
    await expect(session.say("do it")).rejects.toMatchObject({ code: "CLOISTER_MODEL_FAILED" });
  });

  it("in a call that never came to its end leaves a conversation that a provider takes", async () => {
    const session = openAssistant({
      tools: ["exec"],
      model: inOrder({ toolCalls: [call("1", "exec"), call("2", "exec")] }),
      tool: (_name, _params, number) =>
        number === 0 ? { status: "ok" } : failure("CLOISTER_TURN_FULL", "1000 calls on record"),
    });
    expect(await session.say("do it")).toContain("CLOISTER_TURN_FULL");
    expectPaired(session.state.messages);
    expect(session.state.messages[3]).toMatchObject({ toolCallId: "2", isError: true });
  });

  it("is not held against a turn that is stopped: that fails", async () => {
    const session = openAssistant({
      tools: ["exec"],
      model: (_request, number) => {
        if (number === 0) return { toolCalls: [call("1", "exec")] };
        session.abort.abort();
        return failed;
      },
    });
    await expect(session.say("do it")).rejects.toMatchObject({ code: "CLOISTER_MODEL_FAILED" });
  });
});

describe("a recorded conversation of 60 turns", () => {
  /** What the model answers in each turn, made once from a seed: rounds of tools, some of them several calls, and a text. */
  const script = recordConversation(60);

  const play = async (crashes: (turn: number) => readonly number[]) => {
    const session = openAssistant({
      tools: ["read", "write", "exec"],
      // The model of the recording answers by what it is asked: its answer belongs to the message, whoever asks again.
      model: ({ messages }) => nextOf(script, messages),
      tool: (name, params) => ({ status: "ok", text: `${name} ${JSON.stringify(params)}` }),
      steered: () => [],
    });
    const records: number[] = [];
    const replies: (string | undefined)[] = [];
    for (const [turn, { text }] of script.entries()) {
      replies.push(await session.say(text, crashes(turn)));
      records.push(session.records);
    }
    return { replies, calls: session.calls, state: session.state, records, requests: session.requests.length };
  };

  it("replays to the same tool calls, replies and state after a crash behind every single record", async () => {
    const whole = await play(() => []);
    expect(whole.calls.length).toBeGreaterThan(100);
    expect(whole.replies).toEqual(script.map(({ rounds }) => rounds.at(-1)?.text));
    const all = (turn: number) => Array.from({ length: whole.records[turn] ?? 0 }, (_, index) => index + 1);
    const crashed = await play(all);
    expect(crashed).toEqual(whole);
  });

  it("replays the same after one crash in each turn, behind its first record, in its middle or behind its last", async () => {
    const whole = await play(() => []);
    for (const share of [0, 0.5, 1])
      expect(await play((turn) => [Math.max(1, Math.ceil((whole.records[turn] ?? 0) * share))])).toEqual(whole);
  });
});

interface RecordedTurn {
  readonly text: string;
  readonly rounds: readonly { readonly text: string; readonly toolCalls?: readonly ModelToolCall[] }[];
}

function recordConversation(turns: number): readonly RecordedTurn[] {
  const random = makeRandom(60);
  const numbers = (count: number) => [...Array(count).keys()];
  return numbers(turns).map((turn) => ({
    text: `message ${turn}`,
    rounds: [
      ...numbers(random.below(4)).map((round) => ({
        text: random.chance(0.3) ? `step ${turn}.${round}` : "",
        toolCalls: numbers(1 + random.below(3)).map((index) =>
          call(`${turn}.${round}.${index}`, random.pick(["read", "write", "exec"]), {
            path: `file-${random.below(9)}`,
          }),
        ),
      })),
      { text: `answer ${turn}` },
    ],
  }));
}

/** The round of the recording that comes next, by what the conversation has. */
function nextOf(script: readonly RecordedTurn[], messages: readonly ModelMessage[]): Said {
  const from = messages.findLastIndex(({ role }) => role === "user");
  const turn = script.find(({ text }) => text === messages[from]?.text);
  const round = messages.slice(from).filter(({ role }) => role === "assistant").length;
  return turn?.rounds[round] ?? new Error(`the recording has no round ${round} of ${messages[from]?.text}`);
}
