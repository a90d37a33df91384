import { describe, expect, it } from "vitest";
import type { ModuleCommand } from "../../../runtime/kernel/envelope.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import type { ModelRequest } from "../../../runtime/thread/model-port.ts";
import { makeModelCommands } from "../../../runtime/supervisor/commands/model-commands.ts";
import { type CommandCall, findCommand, runCommand } from "../../../runtime/supervisor/commands/table.ts";
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

describe("/model and /think", () => {
  it("count from the next message on, in this session, until they are taken back", async () => {
    const session = openAssistant({ settings: { thinking: "low" }, model: () => ({ text: "ok" }) });
    const asked = async () => {
      await session.say("x");
      const { model, thinking } = session.requests.at(-1) ?? {};
      return [model, thinking];
    };
    expect(await asked()).toEqual([undefined, "low"]);
    expect(await command(session, "model", "other/large")).toContain(
      "other/large in this session; configured is test/model",
    );
    expect(await command(session, "think", "HIGH")).toBe("Thinking: high in this session.");
    expect(await asked()).toEqual(["other/large", "high"]);
    expect(session.requests.at(-1)?.system).toContain("model other/large · thinking high");
    expect(await command(session, "model")).toContain("other/large");
    expect(await command(session, "model", "default")).toBe("Model: test/model, as configured.");
    expect(await command(session, "think", "default")).toBe("Thinking: low, as configured.");
    expect(await asked()).toEqual([undefined, "low"]);
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

describe("the gateway's side of these commands", () => {
  const commands = makeModelCommands(
    new Map([
      ["ada", { module: "assistant" }],
      ["bob", { module: "echo" }],
    ]),
  );
  const call = (agentId: string): CommandCall => ({
    agentId,
    sessionKey: `agent:${agentId}:main`,
    channel: "webhook",
    isGroup: false,
    isOwner: false,
    by: "webhook:1",
  });
  const give = (text: string, agentId = "ada") => {
    const found = findCommand(commands, text);
    return found && runCommand(found.command, call(agentId), found.rest);
  };

  it.each([
    ["/compact", "compact", ""],
    ["/Compact  the prices ", "compact", "the prices"],
    ["/model anthropic/claude-opus-4-6", "model", "anthropic/claude-opus-4-6"],
    ["/model default", "model", "default"],
    ["/think high", "think", "high"],
    ["/context", "context", ""],
  ])("%s goes on to the module as a command", async (text, name, rest) => {
    expect(await give(text)).toEqual({
      reply: "",
      message: rest === "" ? `/${name}` : `/${name} ${rest}`,
      signal: { type: "command", name, rest },
    });
  });

  it.each([`/compact ${"x".repeat(801)}`, "/model large", "/model a/b c", "/think very", "/context all"])(
    "%s is answered with how it is written",
    async (text) => {
      expect(await give(text)).toEqual({ reply: expect.stringMatching(/^Nothing was done\. Usage: \//) });
    },
  );

  it("of an agent whose module has no conversation is answered, and goes nowhere", async () => {
    expect(await give("/compact", "bob")).toEqual({ reply: expect.stringContaining("runs the module echo") });
  });

  it.each([
    ["/compact", "", "operator.admin"],
    ["/model", "a/b", "operator.admin"],
    ["/think", "low", "operator.admin"],
    ["/model", "", undefined],
    ["/context", "", undefined],
  ])("%s %s needs %s of a client", (name, rest, scope) => {
    expect(commands.find((one) => one.name === name)?.needs?.(rest)).toBe(scope);
  });
});
