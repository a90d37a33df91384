/** Which tools of a request a model is offered (`tools.byProvider`). */
import { describe, expect, it } from "vitest";
import { withholdTools } from "../../../runtime/broker/withhold-tools.ts";

const tools = ["read", "write", "exec"].map((name) => ({ name, description: "", parameters: {} }));
const request = { messages: [{ role: "user" as const, text: "hi" }], tools };
const toolsByModel = {
  global: { byProvider: { openai: { deny: ["exec"] }, "openai/small": { allow: ["read"] } } },
  agents: { kim: { byProvider: { openai: { deny: ["write"] }, google: { profile: "minimal" as const } } } },
};

describe("a model is offered", () => {
  it.each([
    ["what nothing takes from it", "kim", "anthropic/opus", []],
    ["what the rules of its provider leave", "ana", "openai/large", ["exec"]],
    ["what the rules of everyone and of the agent leave", "kim", "openai/large", ["write", "exec"]],
    ["what the rules of the model leave, which go before its provider's", "ana", "OpenAI/Small", ["write", "exec"]],
    ["what the agent's profile for it has", "kim", "google/flash", ["read", "write", "exec"]],
    ["what everyone's rules leave, for an agent of any name", "constructor", "openai/large", ["exec"]],
  ])("%s: agent %s, model %s", (_what, agentId, model, withheld) => {
    const offered = withholdTools({ toolsByModel }, agentId, model, request);
    expect(offered.withheld).toEqual(withheld);
    expect(offered.request.tools?.map(({ name }) => name)).toEqual(
      tools.map(({ name }) => name).filter((name) => !withheld.includes(name)),
    );
  });

  it("everything where there are no rules, and no list where there was none", () => {
    expect(withholdTools({}, "kim", "openai/m", request).request).toBe(request);
    const plain = { messages: request.messages };
    expect(withholdTools({ toolsByModel }, "kim", "openai/m", plain).request).toBe(plain);
  });
});
