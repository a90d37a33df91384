/** `/verbose`: what an answer tells people of the calls behind it. */
import { describe, expect, test } from "vitest";
import { makeToldWork } from "../../../actors/assistant/told-work.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { VerboseLevel } from "../../../runtime/kernel/session-choices.ts";
import { openAssistant } from "../../support/assistant.ts";

const fromPeer = {
  provenance: {
    kind: "inter_session",
    sourceSessionKey: "agent:raul:main",
    sourceChannel: "internal",
    sourceTool: "x",
  },
} as const;

/** An agent that calls three tools, of which one fails, and answers. */
const working = (verbose: VerboseLevel, answer = "Done.") =>
  openAssistant({
    settings: { verbose },
    tools: ["read", "exec"],
    model: (request) =>
      request.messages.at(-1)?.role === "tool"
        ? { text: answer }
        : {
            toolCalls: [
              { id: "1", name: "read", input: { path: "a.md" } },
              { id: "2", name: "read", input: { path: "b.md" } },
              { id: "3", name: "exec", input: { command: "ls" } },
            ],
          },
    tool: (name) => (name === "exec" ? { status: "error", error: "no" } : { status: "ok" }),
  });

describe("an answer to a person", () => {
  test.each([
    ["off", "Done."],
    ["on", "Tools: read ×2, exec (failed)\n\nDone."],
    ["full", 'Tools:\n- read {"path":"a.md"}\n- read {"path":"b.md"}\n- exec {"command":"ls"} (failed)\n\nDone.'],
  ] as const)("tells at level %s what was done, and the conversation keeps the answer alone", async (level, told) => {
    const session = working(level);
    expect(await session.say("go")).toBe(told);
    expect(session.state.messages.at(-1)).toEqual({ role: "assistant", text: "Done." });
  });

  test("has no secret of what the tools were asked, wherever in it that stands", () => {
    const key = `sk-${"a1".repeat(20)}`;
    const work = makeToldWork("full");
    const input = {
      headers: { Authorization: "Bearer abcdefghijkl" },
      password: "hunter2",
      list: [`x ${key}`],
      command: `${"a".repeat(limits.toldCallCharsMax - key.length / 2)} ${key}`,
    };
    work.note({
      name: "exec",
      input: { command: `curl -H 'Authorization: Bearer abcdefghijkl' -d ${key} x` },
      isError: false,
    });
    work.note({ name: "post", input, isError: false });
    const told = work.with("Done.");
    expect(told).toContain('- exec {"command":"curl -H \'Authorization: Bearer [redacted]\' -d [redacted] x"}');
    for (const secret of ["abcdefgh", "hunter2", "sk-", "a1a1"]) expect(told).not.toContain(secret);
  });

  test("is the same after a crash behind any record of the turn", async () => {
    const session = working("on");
    const whole = await session.say("go");
    for (let at = 1; at <= session.records; at++) expect(await working("on").say("go", [at])).toBe(whole);
  });

  test("tells nothing where nothing was called, and says nothing where it says nothing", async () => {
    expect(await openAssistant({ settings: { verbose: "full" }, model: () => ({ text: "Hi." }) }).say("hi")).toBe(
      "Hi.",
    );
    expect(await working("full", "NO_REPLY").say("go")).toBeUndefined();
  });

  test("is what another agent hears, without any of it", async () => {
    expect(await working("full").say({ text: "go", ...fromPeer })).toBe("Done.");
  });
});

test("a long list and a long call are cut at their bounds", () => {
  const work = makeToldWork("full");
  const input = { text: "x".repeat(limits.toldCallCharsMax) };
  for (let at = 0; at < limits.toldCallsMax + 3; at++) work.note({ name: `t${at}`, input, isError: false });
  const lines = work.with("Done.").split("\n");
  expect(lines).toHaveLength(1 + limits.toldCallsMax + 1 + 2);
  expect(lines.at(-3)).toBe("and 3 more");
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(limits.toldCallCharsMax + 2);
});
