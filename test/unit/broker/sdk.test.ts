/** Answers of a provider that the next request could not give back. */
import { expect, it } from "vitest";
import { makeSdkSpeaker } from "../../../runtime/broker/sdk.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

const tool = { name: "look", description: "", parameters: { type: "object", properties: {} } };

/** A server that speaks OpenAI's chat API and answers with calls of these ids. */
function ask(ids: readonly string[]) {
  const calls = ids.map((id, index) => ({ index, id, type: "function", function: { name: "look", arguments: "{}" } }));
  const choices = [
    { index: 0, delta: { role: "assistant", tool_calls: calls }, finish_reason: null },
    { index: 0, delta: {}, finish_reason: "tool_calls" },
  ];
  const records = choices.map((choice) => `data: ${JSON.stringify({ id: "1", model: "m", choices: [choice] })}\n\n`);
  const speak = makeSdkSpeaker({
    provider: "local",
    model: "m",
    api: "openai-completions",
    baseUrl: "http://127.0.0.1/v1",
    headers: {},
    fetch: async () =>
      new Response(`${records.join("")}data: [DONE]\n\n`, { headers: { "content-type": "text/event-stream" } }),
    nowMs: () => 0,
  });
  const messages = [{ role: "user", text: "look" }] as const;
  return speak({ messages, tools: [tool] }, new AbortController().signal, () => undefined);
}

it("takes an answer that ends for calls of tools, and names none, for one that makes no sense", async () => {
  await expect(ask([])).rejects.toMatchObject({ kind: "output", message: expect.stringContaining("named none") });
});

it("takes as many calls as a request may give back, with ids as long", async () => {
  const ids = Array.from({ length: limits.modelToolsMax }, (_, index) =>
    String(index).padStart(limits.modelCallIdCharsMax, "0"),
  );
  expect((await ask(ids)).toolCalls.map(({ id }) => id)).toEqual(ids);
});

it.each([
  ["more calls", Array.from({ length: limits.modelToolsMax + 1 }, (_, index) => `c${index}`)],
  ["a longer id", ["x".repeat(limits.modelCallIdCharsMax + 1)]],
])("takes %s for an answer that makes no sense", async (_what, ids) => {
  await expect(ask(ids)).rejects.toMatchObject({ kind: "output" });
});
