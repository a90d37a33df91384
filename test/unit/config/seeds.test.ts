/**
 * Configurations as users of the existing product write them (the examples of its multi-agent page, and the settings that
 * people describe when they ask for help) must be accepted as they stand: with warnings, never with a refusal.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { findPaths, loadConfig, resolveConfig } from "../../../runtime/config/index.ts";
import { compileRoutes, resolveRoute } from "../../../runtime/routing/index.ts";
import { loadText } from "./load-text.ts";

const at = (name: string) => `~/.openclaw/${name}`;

const siblings = {
  gateway: { mode: "local", bind: "loopback", auth: { mode: "none" } },
  agents: {
    list: [
      { id: "main", workspace: "/home/juan/.openclaw/workspace", agentDir: at("agents/main/agent") },
      { id: "raul", workspace: "/home/juan/.openclaw/workspace-raul", agentDir: at("agents/raul/agent") },
    ],
  },
  channels: { telegram: { accounts: { default: { botToken: "1:A" }, raul: { botToken: "2:B" } } } },
  bindings: [
    { agentId: "main", match: { channel: "telegram", accountId: "default" } },
    { agentId: "raul", match: { channel: "telegram", accountId: "raul" } },
  ],
  tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
};

const labelled = {
  agents: {
    defaults: { sandbox: { sessionToolsVisibility: "all" } },
    list: [{ id: "main" }, { id: "strategy", name: "Strategy" }],
  },
  session: { agentToAgent: { maxPingPongTurns: 0 } },
  tools: { agentToAgent: { enabled: true, allow: ["main", "strategy"] }, sessions: { visibility: "agent" } },
};

const memory = `{
  agents: {
    defaults: {
      workspace: "~/workspaces/main",
      memorySearch: { qmd: { extraCollections: [{ path: "~/agents/family/sessions", name: "family-sessions" }] } },
    },
    list: [
      {
        id: "main",
        workspace: "~/workspaces/main",
        memorySearch: { qmd: { extraCollections: [{ path: "notes" }] } }, // inside the workspace
      },
      { id: "family", workspace: "~/workspaces/family" },
    ],
  },
  memory: { backend: "qmd", qmd: { includeDefaultMemory: false } },
}`;

const people = {
  agents: {
    list: [
      { id: "alex", workspace: at("workspace-alex") },
      { id: "mia", workspace: at("workspace-mia") },
    ],
  },
  bindings: [
    { agentId: "alex", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551230001" } } },
    { agentId: "mia", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551230002" } } },
  ],
  channels: { whatsapp: { dmPolicy: "allowlist", allowFrom: ["+15551230001", "+15551230002"] } },
};

const discordAccount = (token: string, channel: string) => ({
  token,
  guilds: { "123456789012345678": { channels: { [channel]: { allow: true, requireMention: false } } } },
});
const discord = {
  agents: {
    list: [
      { id: "main", workspace: at("workspace-main") },
      { id: "coding", workspace: at("workspace-coding") },
    ],
  },
  bindings: [
    { agentId: "main", match: { channel: "discord", accountId: "default" } },
    { agentId: "coding", match: { channel: "discord", accountId: "coding" } },
  ],
  channels: {
    discord: {
      groupPolicy: "allowlist",
      accounts: {
        default: discordAccount("DISCORD_BOT_TOKEN_MAIN", "222222222222222222"),
        coding: discordAccount("DISCORD_BOT_TOKEN_CODING", "333333333333333333"),
      },
    },
  },
};

const telegram = {
  agents: {
    list: [
      { id: "main", workspace: at("workspace-main") },
      { id: "alerts", workspace: at("workspace-alerts") },
    ],
  },
  bindings: [
    { agentId: "main", match: { channel: "telegram", accountId: "default" } },
    { agentId: "alerts", match: { channel: "telegram", accountId: "alerts" } },
  ],
  channels: {
    telegram: {
      accounts: {
        default: { botToken: "123456:ABC...", dmPolicy: "pairing" },
        alerts: { botToken: "987654:XYZ...", dmPolicy: "allowlist", allowFrom: ["tg:123456789"] },
      },
    },
  },
};

const numbers = `{
  agents: {
    list: [
      { id: "home", default: true, name: "Home", workspace: "${at("workspace-home")}", agentDir: "${at("agents/home/agent")}" },
      { id: "work", name: "Work", workspace: "${at("workspace-work")}", agentDir: "${at("agents/work/agent")}" },
    ],
  },
  bindings: [
    { agentId: "home", match: { channel: "whatsapp", accountId: "personal" } },
    { agentId: "work", match: { channel: "whatsapp", accountId: "biz" } },
    // The narrowest one is last, and still wins.
    { agentId: "work", match: { channel: "whatsapp", accountId: "personal", peer: { kind: "group", id: "1203630...@g.us" } } },
  ],
  tools: { agentToAgent: { enabled: false, allow: ["home", "work"] } },
  channels: { whatsapp: { accounts: { personal: {}, biz: {} } } },
}`;

const chat = { id: "chat", name: "Everyday", workspace: at("workspace-chat"), model: "anthropic/claude-sonnet-4-6" };
const opus = { id: "opus", name: "Deep Work", workspace: at("workspace-opus"), model: "anthropic/claude-opus-4-6" };
const byChannel = {
  agents: { list: [chat, opus] },
  bindings: [
    { agentId: "chat", match: { channel: "whatsapp" } },
    { agentId: "opus", match: { channel: "telegram" } },
  ],
};
const onePeer = {
  agents: { list: [chat, opus] },
  bindings: [
    { agentId: "opus", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551234567" } } },
    { agentId: "chat", match: { channel: "whatsapp" } },
  ],
};

const family = {
  agents: {
    list: [
      {
        id: "family",
        name: "Family",
        workspace: at("workspace-family"),
        identity: { name: "Family Bot" },
        groupChat: { mentionPatterns: ["@family", "@familybot", "@Family Bot"] },
        sandbox: { mode: "all", scope: "agent" },
        tools: {
          allow: [
            "exec",
            "read",
            "sessions_list",
            "sessions_history",
            "sessions_send",
            "sessions_spawn",
            "session_status",
          ],
          deny: ["write", "edit", "apply_patch", "browser", "canvas", "nodes", "cron"],
        },
      },
    ],
  },
  bindings: [
    { agentId: "family", match: { channel: "whatsapp", peer: { kind: "group", id: "120363999999999999@g.us" } } },
  ],
};

const tightened = {
  agents: {
    list: [
      { id: "personal", workspace: at("workspace-personal"), sandbox: { mode: "off" } },
      {
        id: "family",
        workspace: at("workspace-family"),
        sandbox: {
          mode: "all",
          scope: "agent",
          docker: { setupCommand: "apt-get update && apt-get install -y git curl" },
        },
        tools: { allow: ["read"], deny: ["exec", "write", "edit", "apply_patch"] },
      },
    ],
  },
};

describe("a configuration of the existing product", () => {
  it.each([
    ["two siblings that talk", siblings, [], []],
    [
      "agents addressed by label",
      labelled,
      [],
      ["tools.sessions.visibility", "agents.defaults.sandbox.sessionToolsVisibility"],
    ],
    ["memory over transcripts", memory, [], []],
    ["several people on one number", people, [], ["channels.whatsapp"]],
    ["a Discord bot per agent", discord, [], []],
    ["a Telegram bot per agent", telegram, [], []],
    ["a WhatsApp number per agent", numbers, [], ["bindings[2].match.peer"]],
    ["an agent per channel", byChannel, [], []],
    ["one peer to a better model", onePeer, [], []],
    ["a family group", family, [], ["agents.list[0].tools.deny"]],
    [
      "sandbox and tools per agent",
      tightened,
      [],
      ["agents.list[1].sandbox.docker.setupCommand", "agents.list[1].tools.deny"],
    ],
  ])("is accepted: %s", async (_what, config, features, warned) => {
    const { resolved } = await loadText(config);
    expect(new Set(resolved.notActive)).toEqual(new Set<string>(features));
    const others = resolved.warnings.filter(({ message }) => !message.includes("not active in this version"));
    expect(others.map((warning) => warning.path)).toEqual(warned);
  });

  it("keeps its collections of memory in their order, with their paths", async () => {
    const { resolved, stateDir } = await loadText(memory);
    const home = path.dirname(stateDir);
    const [own, other] = resolved.agents.map((agent) => agent.memory);
    const shared = { path: path.join(home, "agents/family/sessions"), name: "family-sessions", pattern: "**/*.md" };
    expect(own).toEqual({
      isEnabled: true,
      includesDefault: false,
      sources: [shared, { path: path.join(home, "workspaces/main/notes"), pattern: "**/*.md" }],
      resultsMax: 6,
    });
    expect(other?.sources).toEqual([shared]);
  });

  it("keeps its agents, rights and authentication", async () => {
    const { resolved } = await loadText(siblings);
    expect(resolved).toMatchObject({
      defaultAgentId: "main",
      agents: [{ id: "main", workspace: path.resolve("/home/juan/.openclaw/workspace") }, { id: "raul" }],
      agentToAgent: { enabled: true, allow: ["main", "raul"] },
      visibility: "all",
      gateway: { host: "127.0.0.1", auth: { mode: "none" } },
    });
  });
});

describe("the example of two siblings", () => {
  it("is accepted without a warning, and routes as its comments say", async () => {
    const configPath = path.resolve(import.meta.dirname, "../../../examples/siblings/cloister.json5");
    expect(await readFile(configPath, "utf8")).toContain("// Two agents that live side by side");
    const paths = await findPaths({ env: {}, homeDir: path.resolve("/home/ana"), flags: { configPath } });
    const config = resolveConfig(await loadConfig({ ...paths, env: {} }));
    expect(config.warnings).toEqual([]);
    expect(config.gateway.host).toBe("127.0.0.1");
    const table = compileRoutes(config);
    const route = (accountId: string, id: string) =>
      resolveRoute(table, { channel: "webhook", accountId, peer: { kind: "direct", id } }).agentId;
    expect([route("home", "bo"), route("home", "ana"), route("raul", "bo")]).toEqual(["main", "raul", "raul"]);
  });
});
