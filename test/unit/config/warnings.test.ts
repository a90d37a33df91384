import { describe, expect, it } from "vitest";
import { type Given, loadText } from "./load-text.ts";

const two = { list: [{ id: "main" }, { id: "raul" }] };
const allow = ["main", "raul"];
const webhook = (accounts: object) => ({ channels: { webhook: { accounts } } });
const bind = (match: object) => ({ agentId: "main", match });

type Case = readonly [
  what: string,
  config: string | object,
  path: string,
  message: RegExp,
  remedy: RegExp,
  given?: Given,
];

const meant: readonly Case[] = [
  [
    "trust in a thread",
    { agents: { list: [{ id: "a", isolation: { trust: "trusted" } }] } },
    "agents.list[0].isolation.trust",
    /"a" reaches the network, all files of the gateway's user and everything in the gateway's process/,
    /"confined"/,
  ],
  [
    "trust in a process, said once in the defaults",
    {
      agents: {
        defaults: { isolation: { level: "process", trust: "trusted", user: { uid: 7, gid: 8 } } },
        list: [{ id: "a" }, { id: "b" }],
      },
    },
    "agents.defaults.isolation.trust",
    /"a" reaches the network, all files of user 7 and programs/,
    /"confined"/,
    { isRoot: true },
  ],
  [
    "a model without its provider",
    { agents: { defaults: { model: "gpt-5" } } },
    "agents.defaults.model",
    /is "gpt-5", which names no provider/,
    /"provider\/model"; the providers are anthropic, openai/,
  ],
  [
    "a fallback of a provider that is none of this gateway",
    { agents: { list: [{ id: "a", model: { primary: "ollama/x", fallbacks: ["nonesuch/y"] } }] } },
    "agents.list[0].model.fallbacks[0]",
    /is "nonesuch\/y", which names no provider/,
    /models\.providers takes others/,
  ],
  [
    "a model that agents may choose, and nobody has",
    { agents: { defaults: { models: { "nonesuch/z": {} } } } },
    'agents.defaults.models["nonesuch/z"]',
    /is "nonesuch\/z", which names no provider/,
    /models\.providers takes others/,
  ],
  [
    "a hook that waits for heartbeats which its agent does not have",
    {
      agents: { list: [{ id: "main", heartbeat: { every: "30m" } }, { id: "raul" }] },
      hooks: {
        mappings: [
          { match: { path: "a" }, wakeMode: "next-heartbeat" },
          { match: { path: "b" }, agentId: "Raul", wakeMode: "now" },
          { match: { path: "c" }, agentId: "Raul", wakeMode: "next-heartbeat" },
        ],
      },
    },
    "hooks.mappings[2].wakeMode",
    /the agent raul has no heartbeat: its requests will be refused/,
    /agents\.defaults\.heartbeat/,
  ],
  [
    "a session that who sends the payload chooses, and may not",
    { hooks: { mappings: [{ match: { path: "a" }, sessionKey: "hook:{{id}}" }] } },
    "hooks.mappings[0].sessionKey",
    /while hooks\.allowRequestSessionKey is false/,
    /allowedSessionKeyPrefixes/,
  ],
  [
    "messages between agents that cannot see each other",
    { agents: two, tools: { agentToAgent: { enabled: true, allow } } },
    "tools.sessions.visibility",
    /"tree" while tools\.agentToAgent\.enabled/,
    /"all"/,
  ],
  [
    "messages between agents of which none is allowed",
    { agents: two, tools: { agentToAgent: { enabled: true }, sessions: { visibility: "all" } } },
    "tools.agentToAgent.allow",
    /no agent may take part/,
    /\["main","raul"\]/,
  ],
  [
    "an allowed agent that does not exist",
    {
      agents: two,
      tools: { agentToAgent: { enabled: true, allow: ["main", "rual"] }, sessions: { visibility: "all" } },
    },
    "tools.agentToAgent.allow[1]",
    /"rual", which no configured agent matches/,
    /main, raul/,
  ],
  [
    "a grant to an agent that does not exist",
    {
      agents: two,
      tools: { agentToAgent: { enabled: true, grants: [{ from: "main", to: "rual", verbs: ["send"] }] } },
    },
    "tools.agentToAgent.grants[0].to",
    /"rual", which no configured agent matches/,
    /main, raul/,
  ],
  [
    "grants while agent-to-agent is off",
    { agents: two, tools: { agentToAgent: { grants: [{ from: "main", to: "raul", verbs: ["send"] }] } } },
    "tools.agentToAgent.grants",
    /grants nothing while tools\.agentToAgent\.enabled is false/,
    /to true/,
  ],
  [
    "an allowed pattern that matches nobody",
    { agents: two, tools: { agentToAgent: { allow: ["team-*"] } } },
    "tools.agentToAgent.allow[0]",
    /no configured agent matches/,
    /main, raul/,
  ],
  [
    "a sandbox rule without a sandbox",
    { agents: { defaults: { sandbox: { sessionToolsVisibility: "all" } } } },
    "agents.defaults.sandbox.sessionToolsVisibility",
    /no agent is sandboxed/,
    /tools\.sessions\.visibility/,
  ],
  [
    "a sandbox rule of an agent without a sandbox",
    {
      agents: {
        list: [
          { id: "main", sandbox: { sessionToolsVisibility: "all" } },
          { id: "raul", sandbox: { mode: "all", sessionToolsVisibility: "all" } },
        ],
      },
    },
    "agents.list[0].sandbox.sessionToolsVisibility",
    /main has none/,
    /tools\.sessions\.visibility/,
  ],
  [
    "an account that nobody is bound to",
    { agents: two, ...webhook({ home: { token: "t" } }) },
    "channels.webhook.accounts.home",
    /goes to the default agent "main"/,
    /accountId: "home"/,
  ],
  [
    "an account to which only some messages are bound",
    {
      agents: two,
      bindings: [bind({ channel: "webhook", accountId: "home", peer: { kind: "direct", id: "a" } })],
      ...webhook({ home: { token: "t" } }),
    },
    "channels.webhook.accounts.home",
    /no narrower binding/,
    /bindings/,
  ],
  [
    "a binding that means one account of several",
    { bindings: [bind({ channel: "webhook" })], ...webhook({ a: { token: "t" }, b: { token: "t" } }) },
    "bindings[0].match",
    /account "a" only, not for all 2/,
    /accountId: "\*"/,
  ],
  [
    "a deny list that an allow list makes idle",
    { agents: { list: [{ id: "a", tools: { allow: ["Read"], deny: ["exec", "read"] } }] } },
    "agents.list[0].tools.deny",
    /redundant for exec:/,
    /Remove/,
  ],
  [
    "an id that is not written as it is used",
    { agents: { list: [{ id: "Raul Two" }] } },
    "agents.list[0].id",
    /used as "raul-two"/,
    /Write "raul-two"/,
  ],
  [
    "one workspace for two",
    {
      agents: {
        list: [
          { id: "a", workspace: "/w" },
          { id: "b", workspace: "/w" },
        ],
      },
    },
    "agents.list[1].workspace",
    /is also the workspace of "a"/,
    /of its own/,
  ],
  [
    "a workspace in another one",
    {
      agents: {
        list: [
          { id: "a", workspace: "/w/x" },
          { id: "b", workspace: "/w" },
        ],
      },
    },
    "agents.list[0].workspace",
    /lies in the workspace of "b"/,
    /of its own/,
  ],
  [
    "an empty token",
    { gateway: { auth: { mode: "token", token: "" } } },
    "gateway.auth.token",
    /is empty and counts as not configured/,
    /Give gateway\.auth\.token/,
  ],
  [
    "a variable that is not set",
    { ui: { seamColor: "${COLOUR}" } },
    "ui.seamColor",
    /variable COLOUR/,
    /\$\$\{COLOUR\}/,
  ],
  [
    "a hook for an agent that does not exist",
    { hooks: { enabled: true, token: "t", allowedAgentIds: ["main", "x"] } },
    "hooks.allowedAgentIds[1]",
    /no configured agent/,
    /main/,
  ],
  [
    "a binding of an unknown channel",
    { bindings: [bind({ channel: "webhok" })] },
    "bindings[0].match.channel",
    /not known/,
    /"webhook"/,
  ],
  ["a webhook without accounts", webhook({}), "channels.webhook.accounts", /nobody can send/, /Add an account/],
  [
    "a key that stands twice",
    "{ gateway: { port: 1,\n port: 2 } }",
    "gateway.port",
    /line 1 and again in line 2/,
    /Remove one/,
  ],
];

const withoutEffect: readonly Case[] = [
  [
    "the older switch for insecure pages",
    { gateway: { controlUi: { allowInsecureAuth: true } } },
    "gateway.controlUi.allowInsecureAuth",
    /has no effect/,
    /Remove/,
  ],
  [
    "the older switch against device approval",
    { gateway: { controlUi: { dangerouslyDisableDeviceAuth: true } } },
    "gateway.controlUi.dangerouslyDisableDeviceAuth",
    /cannot be switched off/,
    /Remove/,
  ],
  [
    "a bound on what takes no time",
    { agents: { defaults: { subagents: { announceTimeoutMs: 1_000 } } } },
    "agents.defaults.subagents.announceTimeoutMs",
    /has no effect.*stored with the requester's mail/,
    /Remove/,
  ],
];

describe.each(Object.entries({ meant, withoutEffect }))("warning: %s", (_group, cases) => {
  it.each(cases.map((row) => [row[0], row] as const))("%s", async (_what, [, config, path, message, remedy, given]) => {
    const { resolved } = await loadText(config, given);
    const warnings = resolved.warnings.filter((warning) => !warning.message.includes("not active in this version"));
    expect(warnings.map((warning) => warning.path)).toContain(path);
    const warning = warnings.find((candidate) => candidate.path === path && message.test(candidate.message));
    expect(warning?.remedy).toMatch(remedy);
  });
});

describe("a feature that this version does not have", () => {
  it.each([
    ["model", { agents: { defaults: { cliBackends: { x: {} } } } }, "agents.defaults.cliBackends"],
    ["auth cooldowns", { auth: { cooldowns: {} } }, "auth.cooldowns"],
    [
      "memory by embeddings of a server of its own",
      { agents: { defaults: { memorySearch: { provider: "local" } } } },
      "agents.defaults.memorySearch.provider",
    ],
    ["transcripts in memory search", { memory: { qmd: { sessions: {} } } }, "memory.qmd.sessions"],
    ["installation of skills", { skills: { install: {} } }, "skills.install"],
    ["variables of skills", { skills: { entries: { a: { apiKey: "k" } } } }, "skills.entries.a.apiKey"],
    [
      "heartbeat in other ways",
      { agents: { defaults: { heartbeat: { every: "1h", includeReasoning: true } } } },
      "agents.defaults.heartbeat.includeReasoning",
    ],
    [
      "other sandboxes than bubblewrap and docker",
      { agents: { list: [{ id: "a", sandbox: { ssh: {} } }] } },
      "agents.list[0].sandbox.ssh",
    ],
    [
      "compaction in other ways",
      { agents: { defaults: { compaction: { mode: "safeguard" } } } },
      "agents.defaults.compaction.mode",
    ],
    [
      "pruning in other ways",
      { agents: { defaults: { contextPruning: { softTrim: {} } } } },
      "agents.defaults.contextPruning.softTrim",
    ],
    ["channel matrix", { channels: { matrix: { token: "t" } } }, "channels.matrix"],
    ["visible replies", { messages: { visibleReplies: "all" } }, "messages.visibleReplies"],
    ["files outside of the workspace", { tools: { fs: { workspaceOnly: false } } }, "tools.fs"],
    ["chat commands beyond the table", { commands: { bash: true } }, "commands.bash"],
    ["TLS", { gateway: { tls: { enabled: true } } }, "gateway.tls"],
    ["Tailscale", { gateway: { tailscale: { mode: "serve" } } }, "gateway.tailscale"],
    ["remote gateway", { gateway: { remote: { url: "ws://x" } } }, "gateway.remote"],
    ["trusted proxy", { gateway: { allowRealIpFallback: true } }, "gateway.allowRealIpFallback"],
    [
      "external agents (ACP)",
      { bindings: [{ type: "acp", agentId: "main", match: { channel: "irc" } }] },
      "bindings[0].type",
    ],
  ])("is named: %s", async (feature, config, path) => {
    const { resolved } = await loadText(config);
    expect(resolved.notActive).toEqual([feature]);
    const warning = resolved.warnings.find((candidate) => candidate.message.startsWith(`${feature}: not active`));
    expect(warning).toMatchObject({ path, remedy: expect.stringContaining("later version") });
  });

  it("is named once, however many of its keys the file has", async () => {
    const list = Array.from({ length: 20 }, (_, index) => ({ id: `a${index}`, params: {} }));
    const { resolved } = await loadText({ agents: { list, defaults: { params: {} } } });
    expect(resolved.notActive).toEqual(["model"]);
    expect(resolved.warnings).toHaveLength(1);
    expect(resolved.warnings[0]?.message).toContain("and 20 more");
  });

  it.each([
    ["switched off", { tools: { elevated: { enabled: false } } }],
    [
      "set to what happens anyway",
      {
        session: { reset: { mode: "none" }, agentToAgent: { maxPingPongTurns: 0 } },
        gateway: { tailscale: { mode: "off" }, reload: { mode: "off" } },
        agents: { list: [{ id: "a", sandbox: { mode: "off" }, isolation: { level: "thread", trust: "confined" } }] },
        bindings: [{ type: "route", agentId: "a", match: { channel: "irc" } }],
      },
    ],
  ])("is not named when it is %s", async (_how, config) => {
    const { resolved } = await loadText(config);
    expect(resolved.notActive).toEqual([]);
    expect(resolved.warnings).toEqual([]);
  });
});

describe("no warning", () => {
  it.each([
    ["no file", undefined],
    ["an empty file", {}],
    [
      "a setting that is complete",
      {
        agents: two,
        tools: { agentToAgent: { enabled: true, allow: ["*"] }, sessions: { visibility: "all" } },
        bindings: [bind({ channel: "webhook", accountId: "*" })],
        ...webhook({ a: { token: "t" }, b: { token: "t" } }),
      },
    ],
    ["an allow pattern that matches", { agents: two, tools: { agentToAgent: { allow: ["ra*"] } } }],
    ["one agent without bindings", webhook({ a: { token: "t" } })],
    [
      "an omitted account that the channel names",
      {
        bindings: [bind({ channel: "webhook" })],
        channels: { webhook: { accounts: { a: { token: "t" } }, defaultAccount: "a" } },
      },
    ],
  ])("for %s", async (_what, config) => {
    const { resolved } = await loadText(config);
    expect(resolved.warnings).toEqual([]);
  });
});
