/** `agents.defaults.tools`: every agent inherits it, and what it says itself goes before. Source: behaviour §1.3, §7.2. */
import { describe, expect, it } from "vitest";
import { judgeTools } from "../../../auth/tool-policy.ts";
import { loadText } from "./load-text.ts";

const agentOf = async (defaults: object, own?: object, tools: object = {}) => {
  const entry = own === undefined ? {} : { tools: own };
  const { resolved } = await loadText({
    tools,
    agents: { defaults: { tools: defaults }, list: [{ id: "raul", ...entry }] },
  });
  return resolved.agents[0];
};

describe("agents.defaults.tools", () => {
  it.each<[string, object, object | undefined, object]>([
    ["a list, where the agent says nothing", { deny: ["exec"] }, undefined, { deny: ["exec"] }],
    [
      "a list, beside another one of the agent",
      { deny: ["exec"] },
      { allow: ["read"] },
      { deny: ["exec"], allow: ["read"] },
    ],
    ["no list that the agent has itself", { deny: ["exec"] }, { deny: ["write"] }, { deny: ["write"] }],
    ["no list that the agent has emptied", { deny: ["exec"] }, { deny: [] }, { deny: [] }],
    ["a profile", { profile: "minimal" }, { deny: ["exec"] }, { profile: "minimal", deny: ["exec"] }],
    [
      "the entries of a map that the agent has not",
      { byProvider: { openai: { deny: ["exec"] }, lab: { deny: ["write"] } } },
      { byProvider: { lab: { allow: ["read"] } } },
      { byProvider: { openai: { deny: ["exec"] }, lab: { deny: ["write"], allow: ["read"] } } },
    ],
    ["the tools of sandboxes", { sandbox: { tools: { allow: ["read"] } } }, {}, { sandboxTools: { allow: ["read"] } }],
  ])("gives an agent %s", async (_what, defaults, own, rules) => {
    expect((await agentOf(defaults, own))?.toolRules).toMatchObject(rules);
    expect(Object.keys((await agentOf(defaults, own))?.toolRules ?? {}).filter((name) => name !== "inherited")).toEqual(
      expect.arrayContaining(Object.keys(rules)),
    );
  });

  it("gives it what commands go by, between the keys of all and its own", async () => {
    const all = { exec: { security: "full", ask: "off", timeoutSec: 1 } };
    const agent = await agentOf({ exec: { ask: "always", timeoutSec: 2 } }, { exec: { timeoutSec: 3 } }, all);
    expect(agent?.exec).toMatchObject({ onHost: { security: "full", ask: "always" }, timeoutMs: 3_000 });
    const patch = { exec: { applyPatch: { enabled: false } } };
    expect((await agentOf(patch))?.exec.patch).toMatchObject({
      key: "agents.defaults.tools.exec.applyPatch",
      isOff: true,
    });
    expect((await agentOf({}, patch))?.exec.patch).toMatchObject({ key: "agents.list[id=raul].tools.exec.applyPatch" });
    expect((await agentOf({}, {}, patch))?.exec.patch).toMatchObject({ key: "tools.exec.applyPatch" });
  });

  it("narrows who may leave a sandbox", async () => {
    const elevated = { enabled: true, allowFrom: { telegram: ["7", "8"] } };
    const agent = await agentOf({ elevated: { allowFrom: { telegram: ["7"] } } }, undefined, { elevated });
    expect(agent?.exec.elevated).toEqual({ enabled: true, allowFrom: [elevated.allowFrom, { telegram: ["7"] }] });
  });

  it("is what a removal names, with what would keep the tool", async () => {
    const removalsOf = async (own?: object) => {
      const agent = await agentOf({ deny: ["exec"], allow: ["exec", "read"] }, own);
      const policy = { agentId: "raul", mcp: [], global: {}, agent: agent?.toolRules ?? {}, subagents: {} };
      const facts = { sender: "trusted", sandboxed: false, readOnly: false, subagent: false } as const;
      return judgeTools(policy, facts, ["exec", "read", "write"]).removals.map(({ key, tools }) => [key, tools]);
    };
    expect(await removalsOf()).toEqual([
      ["agents.defaults.tools.deny", ["exec"]],
      ["agents.defaults.tools.allow", ["write"]],
    ]);
    expect(await removalsOf({ deny: ["read"] })).toEqual([
      ["agents.list[id=raul].tools.deny", ["read"]],
      ["agents.defaults.tools.allow", ["write"]],
    ]);
  });
});
