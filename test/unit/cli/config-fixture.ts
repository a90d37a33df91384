import { loopBounds } from "../../support/loop-bounds.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { defaultSupervision } from "../../../runtime/kernel/supervision.ts";
import { resolveGroups } from "../../../runtime/config/groups.ts";
import { resolveBlocks } from "../../../runtime/config/blocks.ts";
import { resolveWebFetch } from "../../../runtime/config/web.ts";
import { configSchema } from "../../../runtime/config/schema.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../../runtime/config/resolved.ts";
import { agentSettings } from "../../support/agent-settings.ts";
import { execSettings } from "../../support/exec-settings.ts";
import { sessionSettings } from "../../support/session-settings.ts";

const agent = (id: string, isDefault: boolean): ResolvedAgent => ({
  id,
  name: id === "raul" ? "Raúl" : "Main",
  isDefault,
  module: "scripted",
  moduleKind: "builtin",
  options: {},
  workspace: `/state/${isDefault ? "workspace" : `workspace-${id}`}`,
  agentDir: `/state/agents/${id}/agent`,
  sessionsDir: `/state/agents/${id}/sessions`,
  model: undefined,
  settings: agentSettings(id),
  seedsWorkspace: true,
  sandboxMode: "off",
  sandbox: { scope: "agent", access: "none", folder: "/state/sandboxes" },
  exec: execSettings(),
  maxConcurrent: 4,
  mailbox: { depthMax: 10_000, sessionDepthMax: 2_000, overflow: "reject" },
  subagents: {
    allowAgents: [],
    requireAgentId: false,
    childrenMax: 5,
    depthMax: 1,
    runTimeoutMs: 0,
    archiveAfterMs: 3_600_000,
  },
  memory: { isEnabled: true, includesDefault: true, sources: [], resultsMax: limits.memoryResultsDefault },
  supervision: defaultSupervision(limits),
  isolation: { level: "thread", trust: "confined" },
});

/** Two agents that the views are tested with. */
export const twoAgents: ResolvedConfig = {
  revision: "r1",
  configPath: "/state/cloister.json",
  configExists: true,
  stateDir: "/state",
  profile: undefined,
  agents: [agent("main", true), agent("raul", false)],
  defaultAgentId: "main",
  bindings: [
    { index: 0, agentId: "raul", match: { channel: "webhook", accountId: "home", peer: { kind: "direct", id: "p1" } } },
    { index: 1, agentId: "main", match: { channel: "webhook" }, comment: "the rest" },
    { index: 2, agentId: "raul", match: { channel: "telegram", accountId: "biz" }, accountFromDefault: true },
    { index: 3, agentId: "raul", match: { channel: "discord", accountId: "*", guildId: "g", roles: ["a", "b"] } },
    { index: 4, agentId: "raul", match: { channel: "slack", accountId: "work", teamId: "T1" } },
  ],
  session: sessionSettings,
  typing: { intervalMs: 6_000 },
  channelModels: {},
  ackReactions: { removed: false, usual: { direct: false, rooms: "mentions" }, byChannel: {} },
  responsePrefixes: { usual: "", byChannel: {} },
  jobs: { enabled: true },
  jobPosts: { allowedHosts: [] },
  blocks: resolveBlocks(configSchema.parse({}).agents.defaults),
  queue: undefined,
  commands: { text: true, native: true, owners: [], allowFrom: undefined, resetTriggers: ["/new", "/reset"] },
  channelDefaults: { webhook: "home", telegram: "biz" },
  accountsOn: {},
  agentToAgent: { enabled: true, allow: ["main", "raul"] },
  configProposers: [],
  loops: loopBounds,
  deliveries: [],
  visibility: "all",
  sessionToolsVisibility: "spawned",
  sessionToolsVisibilityOf: {},
  lanes: { main: 4, subagent: 8, cron: 4, background: 3 },
  toolRules: {},
  subagentTools: { deny: [] },
  skills: { roots: [], extraRoots: [], off: [], env: [], config: [], path: [], platform: "linux" },
  webFetch: resolveWebFetch(configSchema.parse({})),
  attachments: { isEnabled: false, totalBytesMax: 5_242_880, filesMax: 50, fileBytesMax: 1_048_576, isKept: false },
  gateway: {
    host: "127.0.0.1",
    port: 18_789,
    auth: { mode: "token", secret: "s" },
    trustedProxies: [],
    autoApproveLocal: true,
    metrics: {},
    nodeCommands: { allow: [], deny: [] },
    reload: { mode: "hybrid", debounceMs: 300 },
    http: { chatCompletions: false, responses: false, mcp: false, a2a: false },
    controlUi: { enabled: true, basePath: "/", allowedOrigins: [] },
  },
  hooks: { enabled: false, path: "/hooks", allowRequestSessionKey: false, mappings: [] },
  groups: resolveGroups(configSchema.parse({})),
  models: { providers: {}, catalogue: [], authOrder: {}, variables: {} },
  channels: {},
  ownChannels: {},
  mcp: { servers: [], rules: [], idleMs: 600_000 },
  webhook: { accounts: { home: { token: "t" } }, defaultAccount: "home" },
  logging: { level: "info", consoleLevel: "info", file: "/state/logs/cloister.log", redactSensitive: true },
  warnings: [],
  notActive: [],
};
