/** What the criteria ask of a config about sessions and about switches that would weaken the gateway. */
import { expect, it } from "vitest";
import { refusalOf, loadText } from "./load-text.ts";

const agents = { list: [{ id: "main" }, { id: "strategy" }] };

it("AC-07.2: warns of agent-to-agent without visibility all, of ids in allow that no agent has, and of a sandbox rule without a sandbox", async () => {
  const { resolved } = await loadText({
    agents: { ...agents, defaults: { sandbox: { sessionToolsVisibility: "all" } } },
    tools: { agentToAgent: { enabled: true, allow: ["main", "stratgy"] }, sessions: { visibility: "agent" } },
  });
  expect(resolved.warnings.map(({ path }) => path).toSorted()).toEqual([
    "agents.defaults.sandbox.sessionToolsVisibility",
    "tools.agentToAgent.allow[1]",
    "tools.sessions.visibility",
  ]);
  for (const { remedy } of resolved.warnings) expect(remedy).toMatch(/\w/);
  const mended = await loadText({
    agents: {
      list: [{ id: "main", sandbox: { mode: "all" } }, { id: "strategy" }],
      defaults: { sandbox: { sessionToolsVisibility: "all" } },
    },
    tools: { agentToAgent: { enabled: true, allow: ["main", "strategy"] }, sessions: { visibility: "all" } },
  });
  expect(mended.resolved.warnings).toEqual([]);
});

it("AC-18.1: a switch for sub-agents' auth is refused as unknown and explained; the older ones are named and change nothing", async () => {
  const issues = await refusalOf({ gateway: { subagentAuth: { disable: true } } });
  expect(issues).toMatchObject([
    { path: "gateway.subagentAuth.disable", message: expect.stringMatching(/never need pairing/) },
  ]);
  const controlUi = { allowInsecureAuth: true, dangerouslyDisableDeviceAuth: true };
  const [plain, weakened] = await Promise.all([loadText({ agents }), loadText({ agents, gateway: { controlUi } })]);
  expect(weakened.resolved.warnings.map(({ path }) => path).toSorted()).toEqual([
    "gateway.controlUi.allowInsecureAuth",
    "gateway.controlUi.dangerouslyDisableDeviceAuth",
  ]);
  expect(weakened.resolved.gateway).toEqual(plain.resolved.gateway);
});

it("warns of a group of tools that is none, wherever the list stands, since it withholds nothing", async () => {
  const { resolved } = await loadText({
    agents: { list: [{ id: "main", tools: { deny: ["group:typo", "exec"] } }, { id: "strategy" }] },
    tools: {
      deny: [" Group:FS ", "group:runtim"],
      byProvider: { openai: { allow: ["group:nothing"] } },
      sandbox: { tools: { alsoAllow: ["group:web"] } },
    },
  });
  const found = resolved.warnings.filter(({ message }) => message.includes("no group of tools"));
  expect(found).toEqual([
    {
      path: "tools.deny[1]",
      message: 'is "group:runtim", which is no group of tools: it stands for none, and withholds nothing',
      remedy: 'Did you mean "group:runtime"?',
    },
    expect.objectContaining({
      path: "tools.byProvider.openai.allow[0]",
      message: expect.stringContaining("allows nothing"),
    }),
    expect.objectContaining({ path: "agents.list[0].tools.deny[0]", remedy: expect.stringContaining("group:fs") }),
  ]);
});

it("warns of rules by provider that hold for no model: of an alias, of what no provider is, of a model of nobody, and of one key twice", async () => {
  const rules = { deny: ["exec"] };
  const { resolved } = await loadText({
    models: { providers: { House: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" } } },
    agents: {
      defaults: {
        model: "anthropic/claude-sonnet-4-6",
        models: { "House/Big": { alias: "Large" } },
        tools: { byProvider: { "anthropic/claude-sonnet-4.6": rules } },
      },
      list: [{ id: "main", tools: { byProvider: { large: rules, "mistral/small": rules } } }, { id: "strategy" }],
    },
    tools: {
      byProvider: {
        " Anthropic ": rules,
        "ANTHROPIC/Claude-Sonnet-4-6": rules,
        house: rules,
        HOUSE: rules,
        "house/big": rules,
        "openai/gpt-5": rules,
      },
    },
  });
  expect(resolved.warnings).toEqual([
    {
      path: "tools.byProvider.HOUSE",
      message: "names what another key beside it names in other letters: the last one alone holds",
      remedy: "Write all of its rules under one key.",
    },
    {
      path: 'tools.byProvider["openai/gpt-5"]',
      message: "is a model that no other key names: these rules of tools hold for none that an agent may ask",
      remedy: 'Write a model that agents have, or "openai" for all models of the provider.',
    },
    {
      path: 'agents.defaults.tools.byProvider["anthropic/claude-sonnet-4.6"]',
      message: "is a model that no other key names: these rules of tools hold for none that an agent may ask",
      remedy: 'Write one of anthropic/claude-sonnet-4-6, or "anthropic" for all models of the provider.',
    },
    {
      path: "agents.list[0].tools.byProvider.large",
      message: "is the alias of House/Big: rules of tools name models in full, and these hold for none",
      remedy: 'Write "House/Big".',
    },
    {
      path: 'agents.list[0].tools.byProvider["mistral/small"]',
      message: "is neither a provider of this gateway nor a model of one: these rules of tools hold for none",
      remedy: expect.stringMatching(/^Write "provider" or "provider\/model"; the providers are .*House\.$/),
    },
  ]);
});
