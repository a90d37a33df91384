/** The tool policy on a gateway with real cells: what an agent is told of, what it is refused, and what its sub-agents get. */
import path from "node:path";
import { describe, expect, test } from "vitest";
import { hostTools, memoryTools } from "../../auth/tool-names.ts";
import { actor } from "../support/actors.ts";
import { execSettings } from "../support/exec-settings.ts";
import { openGateway, subagentPolicy, type TestAgent, type TestGateway } from "../support/gateway.ts";

const spawner: TestAgent = {
  id: "main",
  ...actor("spawner"),
  subagents: subagentPolicy({ depthMax: 2 }),
};

const said = async (gateway: TestGateway, command: object): Promise<unknown> =>
  JSON.parse(await gateway.reply("main", JSON.stringify(command))) as unknown;
const namesOf = (specs: unknown): readonly string[] => (specs as { name: string }[]).map(({ name }) => name);

async function effective(gateway: TestGateway, params: object): Promise<Record<string, unknown>> {
  const client = { connId: "t", clientId: "t", mode: "test", scopes: ["operator.read" as const] };
  const result = await gateway.doors.rpc(client, "tools.effective", params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload as Record<string, unknown>;
}

describe("apply_patch", () => {
  const exec = (applyPatch: object) => execSettings({ tools: { exec: { applyPatch } } });
  const agent = (applyPatch: object, model = "openai/GPT-5"): TestAgent => ({
    id: "main",
    ...actor("tool-user"),
    model,
    exec: exec(applyPatch),
  });

  test.each<[string, object, string, object | undefined]>([
    ["is there where nothing is said of it", {}, "openai/gpt-5", undefined],
    ["is there for a model that is named whole", { allowModels: ["OpenAI/gpt-5"] }, "openai/gpt-5", undefined],
    ["is there for one that is named as its provider does", { allowModels: ["gpt-5"] }, "openai/gpt-5", undefined],
    [
      "is gone where it is switched off",
      { enabled: false },
      "openai/gpt-5",
      { key: "tools.exec.applyPatch.enabled", rule: "switched off" },
    ],
    [
      "is gone for another model",
      { allowModels: ["gpt-5"] },
      "lab/m",
      { key: "tools.exec.applyPatch.allowModels", rule: "it is not for lab/m" },
    ],
  ])("%s", async (_what, applyPatch, model, removal) => {
    const gateway = await openGateway([agent(applyPatch, model)]);
    const names = namesOf(await said(gateway, { tool: "list" }));
    expect(names.includes("apply_patch")).toBe(removal === undefined);
    expect(names).toContain("edit");
    const { removed } = (await effective(gateway, { agentId: "main" })) as { removed: { tools: string[] }[] };
    const found = removed.find(({ tools }) => tools.includes("apply_patch"));
    if (removal === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject(removal);
  });
});

describe("an agent", () => {
  test("is told of the tools that the policy leaves, and refused the others by name", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("tool-user"), toolRules: { deny: ["sessions_list"] } }]);
    const specs = (await said(gateway, { tool: "list" })) as { name: string; parameters: { type: string } }[];
    expect(namesOf(specs)).toContain("sessions_history");
    expect(namesOf(specs)).not.toContain("sessions_list");
    expect(specs.every(({ parameters }) => parameters.type === "object")).toBe(true);
    expect(await said(gateway, { tool: "call", params: { name: "sessions_list", params: {} } })).toEqual({
      status: "forbidden",
      code: "forbidden",
      error: "the tool policy removed the tool sessions_list: agent tools: deny (agents.list[id=main].tools.deny)",
      operatorHint: "take it out of agents.list[id=main].tools.deny",
    });
    expect(await said(gateway, { tool: "call", params: { name: "session_status" } })).toMatchObject({
      session: { key: "agent:main:main" },
    });
    expect(await said(gateway, { tool: "call", params: { name: "no_such_tool" } })).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining('holds no capability to use the tool "no_such_tool"'),
    });
    expect(
      await said(gateway, { tool: "call", params: { name: "sessions_send", params: { sessionKey: "main" } } }),
    ).toMatchObject({ status: "error", code: "invalid", error: "message is required: the text to send" });
  });

  test("whose lists leave no tool cannot ask for them, and hears which list it was", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("tool-user") }], { toolRules: { allow: ["browser"] } });
    expect(await gateway.say("main", JSON.stringify({ tool: "list" }))).toMatchObject({
      status: "error",
      refusal: {
        message: expect.stringContaining("the tool policy removed every tool: tools: allow (tools.allow)"),
      },
    });
  });
});

describe("a sub-agent", () => {
  const ask = { do: "tool", tool: "list" };
  const ofChild = async (gateway: TestGateway, agentId: string): Promise<readonly string[]> => {
    const end = (await said(gateway, { do: "spawn", options: { agentId, task: JSON.stringify(ask) } })) as {
      text: string;
    };
    return namesOf(JSON.parse(end.text));
  };

  test("AC-06.1: has no tool that the policy keeps from its requester, though its own agent has it", async () => {
    const gateway = await openGateway([
      { ...spawner, toolRules: { deny: ["sessions_search"] } },
      { ...spawner, id: "raul", toolRules: { deny: ["sessions_history"] } },
    ]);
    const child = await ofChild(gateway, "raul");
    expect(child).toContain("sessions_list");
    expect(child).not.toContain("sessions_search");
    expect(child).not.toContain("sessions_history");
    expect(child).not.toContain("sessions_send");
    // Its requester's requester bounds it as well.
    expect(await ofChild(gateway, "main")).not.toContain("sessions_search");
  });

  test("A9.3: an operator is told which tools a run has, and which rule took each other one", async () => {
    const gateway = await openGateway([{ ...spawner, toolRules: { deny: ["sessions_search"] } }]);
    const started = (await said(gateway, {
      do: "tool",
      tool: "sessions_spawn",
      params: { task: JSON.stringify({ do: "wait" }) },
    })) as { childSessionKey: string };
    const of = await effective(gateway, { sessionKey: started.childSessionKey });
    expect(of["allowed"]).toEqual([
      "sessions_list",
      "sessions_history",
      "sessions",
      "sessions_spawn",
      "sessions_yield",
      "subagents",
      ...hostTools,
      ...memoryTools,
    ]);
    expect(of["removed"]).toEqual([
      {
        rule: "not handed on to the run",
        key: "the rights of the requester",
        tools: ["sessions_send", "session_status", "agents_list", "sessions_search", "cron", "message"],
        remedy: expect.stringContaining("requester"),
      },
    ]);
    await expect(effective(gateway, { sessionKey: "agent:main:subagent:r-none" })).rejects.toMatchObject({
      code: "CLOISTER_RUN_UNKNOWN",
    });
  });
});

describe("tools.effective", () => {
  test("tells the tools of a session for the operator, a sender and a group", async () => {
    const gateway = await openGateway([{ id: "main" }, { id: "boxed", sandboxMode: "all" }], {
      toolRules: {
        toolsBySender: { "*": { deny: ["group:runtime", "group:sessions", "group:fs", "group:web", "group:memory"] } },
      },
    });
    expect(await effective(gateway, {})).toMatchObject({
      agentId: "main",
      sessionKey: "agent:main:main",
      sandbox: { mode: "off", sandboxed: false, root: gateway.config.agents[0]?.workspace },
      removed: [],
    });
    expect(await effective(gateway, { sender: { channel: "telegram", id: "7" } })).toMatchObject({
      allowed: ["agents_list", "cron", "message"],
      removed: [{ key: 'tools.toolsBySender["*"].deny' }],
    });
    expect(await effective(gateway, { agentId: "boxed" })).toMatchObject({
      sandbox: {
        mode: "all",
        sandboxed: true,
        scope: "agent",
        workspaceAccess: "none",
        root: path.join(gateway.config.stateDir, "sandboxes", "agent-boxed"),
      },
      removed: [
        { rule: "the sandbox does not see the workspace", tools: memoryTools },
        { rule: "sandbox tools: deny", tools: ["cron"] },
        { rule: "sandbox tools: allow", tools: ["agents_list", "sessions", "sessions_search", "web_fetch", "message"] },
      ],
    });
    await expect(effective(gateway, { agentId: "main", sessionKey: "agent:boxed:main" })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
    });
  });
});
