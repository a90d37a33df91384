import { describe, expect, it } from "vitest";
import type { ModuleCommand } from "../../../runtime/kernel/envelope.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import type { ModelRequest } from "../../../runtime/thread/model-port.ts";
import { type AssistantSession, openAssistant, type Said } from "../../support/assistant.ts";

const command = (session: AssistantSession, name: ModuleCommand, rest = ""): Promise<string | undefined> =>
  session.say({ text: `/${name} ${rest}`.trim(), signal: { type: "command", name, rest } });
const isSummary = ({ system = "" }: ModelRequest): boolean => system.startsWith("You sum up");

describe("/compact", () => {
  const open = async (summary: Said) => {
    const session = openAssistant({ model: (request) => (isSummary(request) ? summary : { text: "answer" }) });
    for (let turn = 0; turn < 5; turn++) await session.say(`question ${turn}`);
    return session;
  };

  it("sums up the older half, however short the conversation is, with heed to what was named", async () => {
    const session = await open({ text: "They asked." });
    expect(await command(session, "compact", "the prices")).toBe(
      "Compacted: 6 messages are a summary now, 4 stay as they are.",
    );
    expect(session.state).toMatchObject({ summary: "They asked.", compactions: 1 });
    expect(session.requests.at(-1)?.system).toContain("Pay most heed to: the prices");
    await session.say("and now?");
    expect(session.requests.at(-1)?.messages.map(({ text }) => text)).toEqual([
      expect.stringContaining("They asked."),
      "question 3",
      "answer",
      "question 4",
      "answer",
      "and now?",
    ]);
  });

  it("changes nothing when there is nothing old, or no summary", async () => {
    const empty = openAssistant({ model: () => ({ text: "x" }) });
    expect(await command(empty, "compact")).toMatch(/nothing old/);
    expect(empty.requests).toEqual([]);
    const failing = await open(failure("CLOISTER_MODEL_FAILED", "down"));
    const before = failing.state.messages;
    expect(await command(failing, "compact")).toMatch(/gave no summary/);
    expect(failing.state.messages).toEqual(before);
  });
});

describe("/context", () => {
  it("tells what fills the context, and asks no model", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: () => ({ text: "ok", usage: { inputTokens: 31_000, outputTokens: 1_000 } }),
    });
    await session.say("x");
    const report = await command(session, "context");
    expect(report).toMatch(/^Context: about 32000 of 128000 tokens \(25 %\)\n/);
    expect(report).toContain("Tools: 1,");
    expect(report).toContain("Messages: 2 (1 said to the agent, 1 of its own, 0 results)");
    expect(report).toContain("🧹 Compactions: 0");
    expect(session.requests).toHaveLength(1);
  });
});
