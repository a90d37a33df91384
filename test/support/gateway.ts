/** A gateway in this process: real kernel, real cells, a store in memory, a recorder instead of the edge. */
import { loopBounds } from "./loop-bounds.ts";
import { makeToolsStart } from "../../runtime/supervisor/tools/host-tools.ts";
import { makeMemoryStart } from "../../runtime/supervisor/tools/memory.ts";
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach } from "vitest";
import type { ToolRules } from "../../auth/tool-policy.ts";
import { resolveGroups } from "../../runtime/config/groups.ts";
import { resolveBlocks } from "../../runtime/config/blocks.ts";
import { resolveWebFetch } from "../../runtime/config/web.ts";
import { configSchema } from "../../runtime/config/schema.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { GatewayEvent, RunResult } from "../../runtime/edge/port.ts";
import type { OutboundMessage } from "../../channels/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { defaultSupervision } from "../../runtime/kernel/supervision.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { Store } from "../../runtime/store/port.ts";
import { havingWorkspace } from "../../runtime/supervisor/agent-files.ts";
import { makeGateway } from "../../runtime/supervisor/gateway.ts";
import type { Gateway, GatewayParts } from "../../runtime/supervisor/gateway-parts.ts";
import { readKept } from "../../runtime/supervisor/kept.ts";
import { type CellAssets, loadCellAssets } from "../../runtime/thread/cell-assets.ts";
import { patienceMs } from "./eventually.ts";
import { execSettings } from "./exec-settings.ts";
import { sharedSettings } from "./agent-settings.ts";
import type { Level } from "./levels.ts";
import { sessionSettings } from "./session-settings.ts";
import { makeWatchers } from "./watchers.ts";
import { quietEdge } from "./quiet-edge.ts";

export interface TestGateway extends Gateway {
  readonly store: Store;
  readonly config: ResolvedConfig;
  readonly events: GatewayEvent[];
  readonly sent: OutboundMessage[];
  readonly logged: { readonly level: string; readonly fields: object; readonly message: string }[];
  /** Says something to an agent's main session (or the given one) and waits for the end of the run. */
  say(agentId: string, text: string, sessionKey?: string): Promise<RunResult>;
  reply(agentId: string, text: string, sessionKey?: string): Promise<string>;
  /** Waits for the end of a run. */
  ended(runId: string): Promise<RunResult>;
  until(match: () => boolean): Promise<void>;
}

/** Sandboxed sessions have all session tools: for tests of what else bounds them. */
export const withSessionTools: ToolRules = { sandboxTools: { allow: ["group:sessions", "agents_list"] } };

/** Sub-agents of any agent, five at a time of one depth, that end in their own time and are not archived. */
export const subagentPolicy = (more: Partial<ResolvedAgent["subagents"]> = {}): ResolvedAgent["subagents"] => ({
  allowAgents: ["*"],
  requireAgentId: false,
  childrenMax: 5,
  depthMax: 1,
  runTimeoutMs: 0,
  archiveAfterMs: 0,
  ...more,
});

export interface TestAgent extends Partial<ResolvedAgent> {
  readonly id: string;
}

let assets: Promise<CellAssets> | undefined;
const open: Gateway[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.drain(0)));
});

/** What `channels`, `broadcast`, `messages` and `commands` of a config file say about groups. */
export function groupsOf(written: object): ResolvedConfig["groups"] {
  return resolveGroups(configSchema.parse(written));
}

export function makeConfig(
  agents: readonly TestAgent[],
  changes: Partial<ResolvedConfig> = {},
  stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-gateway-")),
): ResolvedConfig {
  return {
    revision: "test",
    configPath: path.join(stateDir, "cloister.json"),
    configExists: false,
    stateDir,
    profile: undefined,
    agents: agents.map((agent, index) => ({
      name: agent.id,
      isDefault: index === 0,
      module: "scripted",
      moduleKind: "builtin",
      options: {},
      workspace: path.join(stateDir, `workspace-${agent.id}`),
      agentDir: path.join(stateDir, "agents", agent.id, "agent"),
      sessionsDir: path.join(stateDir, "agents", agent.id, "sessions"),
      model: undefined,
      settings: sharedSettings(),
      seedsWorkspace: true,
      memory: { isEnabled: true, includesDefault: true, sources: [], resultsMax: limits.memoryResultsDefault },
      sandboxMode: "off",
      sandbox: { scope: "agent", access: "none", folder: path.join(stateDir, "sandboxes") },
      exec: execSettings(),
      maxConcurrent: 4,
      mailbox: { depthMax: 10_000, sessionDepthMax: 2_000, overflow: "reject" },
      subagents: subagentPolicy({ allowAgents: [], archiveAfterMs: 3_600_000 }),
      supervision: defaultSupervision(limits),
      isolation: { level: "thread", trust: "confined" },
      ...agent,
    })),
    defaultAgentId: agents[0]?.id ?? "main",
    bindings: [],
    session: sessionSettings,
    queue: undefined,
    commands: { text: true, native: true, owners: [], allowFrom: undefined, resetTriggers: ["/new", "/reset"] },
    channelDefaults: {},
    accountsOn: {},
    agentToAgent: { enabled: false, allow: [] },
    configProposers: [],
    loops: loopBounds,
    deliveries: [],
    visibility: "tree",
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
      port: 0,
      auth: { mode: "none" },
      trustedProxies: [],
      http: { chatCompletions: true, responses: true, mcp: true, a2a: true },
      autoApproveLocal: true,
      metrics: {},
      nodeCommands: { allow: [], deny: [] },
      reload: { mode: "hybrid", debounceMs: 0 },
      controlUi: { enabled: true, basePath: "/", allowedOrigins: [] },
    },
    hooks: { enabled: false, path: "/hooks", allowRequestSessionKey: false, mappings: [] },
    channels: {},
    ownChannels: {},
    typing: { intervalMs: 6_000 },
    channelModels: {},
    ackReactions: { removed: false, usual: { direct: false, rooms: "mentions" }, byChannel: {} },
    responsePrefixes: { usual: "", byChannel: {} },
    jobs: { enabled: true },
    jobPosts: { allowedHosts: [] },
    blocks: resolveBlocks(configSchema.parse({}).agents.defaults),
    webhook: null,
    models: { providers: {}, catalogue: [], authOrder: {}, variables: {} },
    mcp: { servers: [], rules: [], idleMs: limits.mcpIdleMs },
    groups: groupsOf({ channels: { webhook: {} } }),
    logging: {
      level: "info",
      consoleLevel: "info",
      file: path.join(stateDir, "logs", "cloister.log"),
      redactSensitive: true,
    },
    warnings: [],
    notActive: [],
    ...changes,
  };
}

/** Its agents live at this level of isolation, where they do not say another. */
export const openGatewayAt =
  (level: Level): typeof openGateway =>
  (agents, ...rest) =>
    openGateway(
      agents.map((agent) => ({ isolation: { level, trust: "confined" }, ...agent })),
      ...rest,
    );

export async function openGateway(
  agents: readonly TestAgent[],
  changes: Partial<ResolvedConfig> = {},
  reuse?: {
    readonly store?: Store;
    readonly config?: ResolvedConfig;
    readonly assets?: CellAssets;
    readonly nowMs?: () => number;
    readonly configFile?: GatewayParts["configFile"];
    readonly startBroker?: GatewayParts["startBroker"];
    readonly startChannel?: GatewayParts["startChannel"];
    readonly startMcp?: GatewayParts["startMcp"];
  },
): Promise<TestGateway> {
  assets ??= loadCellAssets();
  const config = reuse?.config ?? makeConfig(agents, changes);
  const store =
    reuse?.store ??
    (await openMemoryStore({
      stateDir: config.stateDir,
      agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
    }));
  const events: GatewayEvent[] = [];
  const sent: OutboundMessage[] = [];
  const logged: TestGateway["logged"] = [];
  const note = (level: string) => (fields: object, message: string) => void logged.push({ level, fields, message });
  const log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
  const { until, changed } = makeWatchers();
  const gateway = makeGateway({
    config,
    store,
    assets: reuse?.assets ?? (await assets),
    ...(await readKept(store, log)),
    withWorkspace: await havingWorkspace(config.agents),
    operatorKey: "ab".repeat(32),
    liveCellsMax: 50,
    startBroker: reuse?.startBroker ?? (() => Promise.reject(new Error("this test has no broker"))),
    startTools: makeToolsStart(log),
    startMemory: makeMemoryStart(log),
    startChannel: reuse?.startChannel ?? (() => Promise.reject(new Error("this test has no channels"))),
    startMcp: reuse?.startMcp ?? (() => Promise.reject(new Error("this test has no MCP servers"))),
    ...(reuse?.nowMs === undefined ? {} : { nowMs: reuse.nowMs }),
    version: "test",
    process: {
      pid: 1,
      bootId: "test",
      startedAtMs: 0,
      onStopOrder: () => undefined,
      checkConfig: () => Promise.resolve(),
    },
    configFile: reuse?.configFile ?? { files: new Map(), read: async () => ({ config, files: new Map() }) },
    log,
  });
  open.push(gateway);
  gateway.attachEdge(
    quietEdge({
      publish: (published) => {
        events.push(...published);
        changed();
      },
      send: async (message) => {
        sent.push(message);
        changed();
        return { status: "sent" };
      },
    }),
  );
  await gateway.doors.audience(true);
  await gateway.resume();
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };
  const ended: TestGateway["ended"] = (runId) => gateway.doors.waitRun(runId, patienceMs);
  const say: TestGateway["say"] = async (agentId, text, sessionKey = `agent:${agentId}:${config.session.mainKey}`) => {
    const result = await gateway.doors.rpc(client, "chat.send", { sessionKey, message: text });
    if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
    return ended((result.payload as { runId: string }).runId);
  };
  return {
    ...gateway,
    store,
    config,
    events,
    sent,
    logged,
    say,
    ended,
    async reply(agentId, text, sessionKey) {
      const result = await say(agentId, text, sessionKey);
      if (result.status !== "ok") throw new Error(`${agentId} did not answer: ${JSON.stringify(result)}`);
      return result.reply ?? "";
    },
    until,
  };
}
