/** The checked configuration in the form that the program reads. Pure: the same input gives the same, frozen, result. */
import { nanosPerDollar } from "../kernel/usage.ts";
import { createHash } from "node:crypto";
import path from "node:path";
import type { WithReferences } from "../broker/port.ts";
import type { LoginRule, WebhookAccount } from "../edge/settings.ts";
import { failure } from "../kernel/errors.ts";
import { findQueueMode, type QueuePolicy } from "../kernel/queues.ts";
import { limits } from "../kernel/limits.ts";
import { normalizeAccountId } from "../routing/ids.ts";
import { findDefaultAccount, listChannels } from "./accounts.ts";
import { findDefaultAgentId, listAgents, type NamedAgent, placeAgent, resolveConfigPath } from "./agents.ts";
import { resolveAckReactions } from "./ack-reactions.ts";
import { resolveAccountsOn, resolveBindings, resolveChannelDefaults } from "./bindings.ts";
import { resolveSettings } from "./agent-settings.ts";
import { inheritedTools, toolsOf } from "./agent-tools.ts";
import { findGatewayAuth, readCredential } from "./credentials.ts";
import { resolveChannelModels } from "./channel-models.ts";
import { resolveChannels } from "./channels/index.ts";
import { resolveOwnChannels } from "./channels/own.ts";
import type { Draft } from "./draft.ts";
import { haveOwnHeartbeats, resolveHeartbeat } from "./heartbeat.ts";
import { resolveBlocks, resolvePause } from "./blocks.ts";
import { resolveResponsePrefixes } from "./response-prefixes.ts";
import { isMap } from "./is-map.ts";
import { isolationOf } from "./isolation.ts";
import { resolveGroupChat, resolveGroups } from "./groups.ts";
import { resolveHooks } from "./hooks.ts";
import { findHost, findPortVariable, normalizeUrlPath, parsePort } from "./listen.ts";
import type { LoadedConfig } from "./load.ts";
import { findModule } from "./modules.ts";
import { resolveMemory } from "./memory.ts";
import { mergeMaps } from "./merge-maps.ts";
import { resolveMcp } from "./mcp.ts";
import { resolveModels } from "./models.ts";
import { normalizePattern } from "./patterns.ts";
import { type ConfigOverrides, overrideDraft } from "./override.ts";
import type { ResetRule } from "../store/port.ts";
import type { ResolvedAgent, ResolvedConfig, SessionMaintenance } from "./resolved.ts";
import { resolveExec } from "./exec.ts";
import { resolveSandbox, sandboxModeOf } from "./sandbox.ts";
import { resolveToolRules } from "./tool-rules.ts";
import { resolveSubagents, resolveAttachments, resolveSubagentTools } from "./subagents.ts";
import { resolveSkills } from "./skills.ts";
import { parseShare } from "./size.ts";
import { findGroup, resolveSupervision } from "./supervision.ts";
import { resolveWebFetch } from "./web.ts";

/** Turns of one agent at a time. Below the lane's bound, so that one agent whose turns all wait leaves room for others. */
const agentConcurrentDefault = 4;
/** Turns at a time in the gateway. Source: behaviour §1.3. */
const laneConcurrentPerCore = 4;
const laneConcurrentMin = 8;

/** Throws `CLOISTER_CONFIG_INVALID` when an override is wrong, or opens the gateway without a credential. */
export function resolveConfig(loaded: LoadedConfig, overrides: ConfigOverrides = {}): ResolvedConfig {
  const draft = overrideDraft(loaded.draft, overrides);
  const { config, paths, machine } = draft;
  const agents = listAgents(config);
  const defaultAgentId = findDefaultAgentId(agents);
  const { mainKey, scope, dmScope, groupScope, identityLinks, agentToAgent } = config.session;
  const share = makeSharer();
  const someHaveTheirs = haveOwnHeartbeats(agents);
  const effective = {
    configPath: paths.configPath,
    configExists: loaded.exists,
    stateDir: paths.stateDir,
    profile: paths.profile,
    agents: agents.map((agent) => resolveAgent(agent, agent.id === defaultAgentId, draft, share, someHaveTheirs)),
    defaultAgentId,
    bindings: resolveBindings(config),
    session: {
      mainKey: mainKey.toLowerCase(),
      scope,
      dmScope,
      groupScope,
      identityLinks,
      maxPingPongTurns: agentToAgent.maxPingPongTurns,
      maintenance: resolveMaintenance(config.session.maintenance),
      threadBindings: resolveThreadBindings(config.session.threadBindings),
      sendPolicy: resolveSendPolicy(config.session),
      notifyOnCreate: config.session.notifyOnCreate,
      reset: resolveResets(config.session),
    },
    queue: resolveQueue(config.messages?.queue),
    commands: resolveCommands(config),
    channelDefaults: resolveChannelDefaults(config),
    accountsOn: resolveAccountsOn(config),
    agentToAgent: {
      enabled: config.tools.agentToAgent.enabled,
      allow: config.tools.agentToAgent.allow.map(normalizePattern),
      grants: config.tools.agentToAgent.grants.map(({ from, to, verbs }) => ({
        from: normalizePattern(from),
        to: normalizePattern(to),
        verbs,
      })),
      requests: config.tools.agentToAgent.requests,
    },
    deliveries: config.tools.message.deliver.map(({ from, to }) => ({ from: normalizePattern(from), to })),
    configProposers: config.tools.config.propose.map(normalizePattern),
    loops: resolveLoops(config.tools.loopDetection),
    visibility: config.tools.sessions.visibility,
    sessionToolsVisibility: config.agents.defaults.sandbox.sessionToolsVisibility,
    sessionToolsVisibilityOf: Object.fromEntries(
      agents.flatMap(({ id, entry: { sandbox } }) =>
        sandbox?.sessionToolsVisibility === undefined ? [] : [[id, sandbox.sessionToolsVisibility]],
      ),
    ),
    lanes: {
      main: config.agents.defaults.maxConcurrent ?? Math.max(laneConcurrentMin, laneConcurrentPerCore * machine.cores),
      subagent: config.agents.defaults.subagents?.maxConcurrent ?? limits.subagentLanePlaces,
      cron: limits.cronLanePlaces,
      background: limits.backgroundLanePlaces,
    },
    toolRules: resolveToolRules(config.tools) ?? {},
    subagentTools: resolveSubagentTools(config),
    skills: resolveSkills(draft),
    webFetch: resolveWebFetch(config),
    attachments: resolveAttachments(config),
    gateway: resolveGateway(draft, overrides),
    hooks: resolveHooks(draft),
    webhook: resolveWebhook(draft),
    channels: resolveChannels(draft),
    ownChannels: resolveOwnChannels(draft),
    jobs: { enabled: draft.config.cron.enabled },
    jobPosts: resolveJobPosts(draft),
    typing: resolveTyping(config.agents.defaults),
    channelModels: resolveChannelModels(config),
    ackReactions: resolveAckReactions(config),
    responsePrefixes: resolveResponsePrefixes(config),
    blocks: resolveBlocks(config.agents.defaults),
    models: resolveModels(draft),
    mcp: resolveMcp(draft),
    groups: resolveGroups(config),
    logging: {
      level: config.logging.level,
      consoleLevel: config.logging.consoleLevel,
      file:
        config.logging.file === undefined
          ? path.join(paths.stateDir, "logs", "cloister.log")
          : resolveConfigPath(config.logging.file, draft),
      redactSensitive: config.logging.redactSensitive,
    },
  } satisfies Omit<ResolvedConfig, "revision" | "warnings" | "notActive">;
  return freeze({ revision: hash(effective), ...effective, warnings: loaded.warnings, notActive: loaded.notActive });
}

function resolveQueue(written: NonNullable<Draft["config"]["messages"]>["queue"]): ResolvedConfig["queue"] {
  if (written === undefined) return undefined;
  const policy: QueuePolicy = {
    mode: findQueueMode(written.mode) ?? "steer",
    debounceMs: written.debounceMs ?? limits.queueDebounceMs,
    cap: written.cap ?? limits.queueCap,
    drop: written.drop,
  };
  const { byChannel = {}, debounceMsByChannel = {} } = written;
  const channels = [...new Set([...Object.keys(byChannel), ...Object.keys(debounceMsByChannel)])];
  const policies = channels.map((channel): [string, QueuePolicy] => {
    const mode = findQueueMode(byChannel[channel] ?? written.mode) ?? policy.mode;
    const debounceMs = debounceMsByChannel[channel] ?? policy.debounceMs;
    return [channel.toLowerCase(), { ...policy, debounceMs, mode }];
  });
  return { policy, byChannel: Object.fromEntries(policies) };
}

function resolveCommands({ commands, session }: Draft["config"]): ResolvedConfig["commands"] {
  const allowed = Object.entries(commands.allowFrom ?? {}).map(([channel, senders]) => {
    return [channel.toLowerCase(), senders.map(String)] as const;
  });
  return {
    text: commands.text,
    native: commands.native !== false,
    owners: (commands.ownerAllowFrom ?? []).map(String),
    allowFrom: commands.allowFrom === undefined ? undefined : Object.fromEntries(allowed),
    resetTriggers: session.resetTriggers.map((trigger) => trigger.trim().toLowerCase()),
  };
}

type Sharer = <T extends object>(value: T) => T;

/** Gives the first of equal values for each of them: of ten thousand agents most have the same settings. */
function makeSharer(): Sharer {
  const known = new Map<string, unknown>();
  return <T extends object>(value: T): T => {
    const text = JSON.stringify(value);
    const same = known.get(text) as T | undefined;
    if (same === undefined) known.set(text, value);
    return same ?? value;
  };
}

function resolveAgent(
  agent: NamedAgent,
  isDefault: boolean,
  draft: Draft,
  share: Sharer,
  someHaveTheirs: boolean,
): ResolvedAgent {
  const { id, entry } = agent;
  const { defaults } = draft.config.agents;
  const found = findModule(agent, draft);
  if (found.kind === "wrong")
    throw failure("CLOISTER_CONFIG_INVALID", `The module of agent "${id}" ${found.message}.`, found.remedy);
  const model = entry.model ?? defaults.model ?? draft.config.model;
  const fallbacks = typeof model === "object" ? (model.fallbacks ?? []) : [];
  const { workspace, agentDir, sessionsDir } = placeAgent(agent, isDefault, draft);
  const group = findGroup(agent, draft.config);
  const ownRuns = entry.subagents?.maxConcurrent;
  const lanes = ownRuns === undefined ? entry.lanes : { subagent: ownRuns, ...entry.lanes };
  const groupChat = resolveGroupChat(entry, draft.config);
  const toolRules = resolveToolRules(toolsOf(agent, draft.config), inheritedTools(agent, draft.config));
  const heartbeat = resolveHeartbeat(agent, draft.config, someHaveTheirs);
  const isAssistant = found.kind === "builtin" && found.module === "assistant";
  const turnMsMax = isAssistant && defaults.timeoutSeconds !== undefined ? defaults.timeoutSeconds * 1_000 : undefined;
  const budget = entry.budget || defaults.budget ? { ...defaults.budget, ...entry.budget } : undefined;
  const pause = resolvePause(defaults.humanDelay, entry.humanDelay);
  const resolved: { -readonly [K in keyof ResolvedAgent]: ResolvedAgent[K] } = {
    id,
    name: entry.name ?? entry.identity?.name ?? id,
    isDefault,
    module: found.module,
    moduleKind: found.kind,
    options: share(mergeMaps(defaults.options, entry.options)),
    workspace,
    agentDir,
    sessionsDir,
    model: typeof model === "object" ? model.primary : model,
    settings: share(resolveSettings(agent, draft.config)),
    seedsWorkspace: !defaults.skipBootstrap,
    memory: share(resolveMemory(agent, workspace, draft)),
    sandboxMode: sandboxModeOf(agent, draft.config),
    sandbox: share(resolveSandbox(agent, draft)),
    exec: share(resolveExec(agent, draft.config)),
    maxConcurrent: entry.maxConcurrent ?? agentConcurrentDefault,
    mailbox: share({
      depthMax: limits.mailboxDepthMax,
      sessionDepthMax: limits.sessionDepthMax,
      overflow: "reject" as const,
      ...defaults.mailbox,
      ...entry.mailbox,
    }),
    subagents: share(resolveSubagents(agent, draft.config)),
    supervision: resolveSupervision(agent, draft.config),
    isolation: share(isolationOf(agent, draft.config)),
  };
  // Most agents have none of these, and an object that is put together from others has room for all of them.
  if (turnMsMax !== undefined) resolved.turnMsMax = turnMsMax;
  if (budget !== undefined) resolved.budget = share(budget);
  if (fallbacks.length > 0) resolved.modelFallbacks = share(fallbacks);
  if (toolRules !== undefined) resolved.toolRules = share(toolRules);
  if (lanes !== undefined) resolved.lanes = share(lanes);
  if (entry.weight !== undefined) resolved.weight = entry.weight;
  if (group !== undefined) resolved.group = group;
  if (heartbeat !== undefined) resolved.heartbeat = share(heartbeat);
  if (groupChat !== undefined) resolved.groupChat = share(groupChat);
  if (pause !== undefined) resolved.blockPause = pause;
  return resolved;
}

function resolveLoops({
  enabled,
  sameFailuresMax,
  sameSessionMax,
  chainTokensMax,
  chainCostUsdMax,
}: Draft["config"]["tools"]["loopDetection"]): ResolvedConfig["loops"] {
  const never = Number.MAX_SAFE_INTEGER;
  const repeats = enabled ? { sameFailuresMax, sameSessionMax } : { sameFailuresMax: never, sameSessionMax: never };
  const chainCostNanosMax = chainCostUsdMax === undefined ? never : Math.floor(chainCostUsdMax * nanosPerDollar);
  // What a chain costs is no question of circles.
  return { ...repeats, chainTokensMax, chainCostNanosMax };
}

type SessionDraft = Draft["config"]["session"];

function resolveSendPolicy({ sendPolicy }: SessionDraft): ResolvedConfig["session"]["sendPolicy"] {
  return {
    default: sendPolicy.default,
    rules: sendPolicy.rules.map(({ action, match }) => {
      const named = Object.entries(match).filter(([, value]) => value !== undefined);
      return { action, match: Object.fromEntries(named) };
    }),
  };
}

function resolveResets({
  reset,
  resetByType,
  resetByChannel,
  idleMinutes,
}: SessionDraft): ResolvedConfig["session"]["reset"] {
  const legacy =
    reset.mode === "none" && idleMinutes !== undefined ? { ...reset, mode: "idle" as const, idleMinutes } : reset;
  const { dm, direct = dm, group, thread } = resetByType;
  return {
    ...(legacy.mode === "none" ? {} : { all: resolveReset(legacy) }),
    byType: {
      ...(direct === undefined ? {} : { direct: resolveReset(direct) }),
      ...(group === undefined ? {} : { group: resolveReset(group) }),
      ...(thread === undefined ? {} : { thread: resolveReset(thread) }),
    },
    byChannel: Object.fromEntries(
      Object.entries(resetByChannel).map(([channel, rule]) => [channel.trim().toLowerCase(), resolveReset(rule)]),
    ),
  };
}

function resolveThreadBindings({
  enabled,
  idleHours,
  maxAgeHours,
}: SessionDraft["threadBindings"]): ResolvedConfig["session"]["threadBindings"] {
  return { enabled, idleMs: idleHours * 3_600_000, maxAgeMs: maxAgeHours * 3_600_000 };
}

function resolveMaintenance({
  mode,
  pruneAfter,
  maxEntries,
  resetArchiveRetention = pruneAfter,
  maxDiskBytes,
  highWaterBytes,
}: SessionDraft["maintenance"]): SessionMaintenance {
  const low = maxDiskBytes === false ? undefined : parseShare(highWaterBytes, maxDiskBytes);
  return {
    isEnforced: mode === "enforce",
    pruneAfterMs: pruneAfter,
    transcriptsAfterMs: resetArchiveRetention === false ? undefined : resetArchiveRetention,
    entriesMax: maxEntries,
    bytes: maxDiskBytes === false || low === undefined ? undefined : { max: maxDiskBytes, low },
  };
}

function resolveReset({ mode, atHour, idleMinutes }: SessionDraft["reset"]): ResetRule {
  if (mode === "none") return {};
  return {
    ...(mode === "daily" ? { dailyAtHour: atHour } : {}),
    ...(idleMinutes === undefined ? {} : { idleMs: idleMinutes * 60_000 }),
  };
}

function resolveGateway(draft: Draft, { port }: ConfigOverrides): ResolvedConfig["gateway"] {
  const { controlUi } = draft.config.gateway;
  const host = findHost(draft);
  const auth = findGatewayAuth(draft);
  const { rateLimit } = draft.config.gateway.auth;
  const figures = readCredential(
    ["gateway", "metrics", "scrapeToken"],
    draft.config.gateway.metrics.scrapeToken,
    draft,
  );
  if (!host.ok || auth.mode === "ambiguous") {
    throw failure("CLOISTER_INTERNAL", "A configuration that was not checked reached its resolution.");
  }
  return {
    host: host.host,
    port: port ?? parsePort(findPortVariable(draft) ?? "") ?? draft.config.gateway.port,
    auth,
    ...(rateLimit === undefined ? {} : { loginRule: loginRuleOf(rateLimit) }),
    trustedProxies: draft.config.gateway.trustedProxies,
    http: {
      chatCompletions: draft.config.gateway.http.endpoints.chatCompletions.enabled,
      responses: draft.config.gateway.http.endpoints.responses.enabled,
      mcp: draft.config.gateway.http.endpoints.mcp.enabled,
      a2a: draft.config.gateway.http.endpoints.a2a.enabled,
    },
    metrics: figures.status === "set" ? { token: figures.value } : {},
    autoApproveLocal: draft.config.gateway.nodes.pairing.autoApproveLocal,
    nodeCommands: {
      allow: draft.config.gateway.nodes.allowCommands,
      deny: draft.config.gateway.nodes.denyCommands,
    },
    reload: draft.config.gateway.reload,
    controlUi: {
      enabled: controlUi.enabled,
      basePath: normalizeUrlPath(controlUi.basePath),
      allowedOrigins: controlUi.allowedOrigins,
    },
  };
}

const loginRuleOf = ({
  maxAttempts,
  ...rest
}: NonNullable<Draft["config"]["gateway"]["auth"]["rateLimit"]>): LoginRule => ({ failuresMax: maxAttempts, ...rest });

function resolveJobPosts(draft: Draft): ResolvedConfig["jobPosts"] {
  const { webhookToken, webhookAllowedHosts } = draft.config.cron;
  const token = readCredential(["cron", "webhookToken"], webhookToken, draft);
  return {
    ...(token.status === "set" ? { token: token.value } : {}),
    allowedHosts: webhookAllowedHosts.map((host) => host.toLowerCase()),
  };
}

function resolveWebhook(draft: Draft): ResolvedConfig["webhook"] {
  const channel = listChannels(draft.config).find((candidate) => candidate.channel === "webhook");
  const written = draft.config.channels.webhook?.accounts ?? {};
  if (channel === undefined) return null;
  const accounts = Object.entries(written).flatMap(([name, account]): [string, WithReferences<WebhookAccount>][] => {
    const at = ["channels", "webhook", "accounts", name];
    const token = readCredential([...at, "token"], account.token, draft);
    if (account.enabled === false || token.status !== "set") return [];
    const outbound = readCredential([...at, "outboundToken"], account.outboundToken, draft);
    const settings = {
      token: token.value,
      ...(account.outboundUrl === undefined ? {} : { outboundUrl: account.outboundUrl }),
      ...(outbound.status === "set" ? { outboundToken: outbound.value } : {}),
    };
    return [[normalizeAccountId(name), settings]];
  });
  return accounts.length === 0
    ? null
    : { accounts: Object.fromEntries(accounts), defaultAccount: findDefaultAccount(channel) };
}

/** Agent by agent: the text of ten thousand in one piece is memory that the process does not give back. */
function hash({ agents, ...others }: Omit<ResolvedConfig, "revision" | "warnings" | "notActive">): string {
  const sum = createHash("sha256").update(JSON.stringify(others, sortKeys));
  for (const agent of agents) sum.update(`\n${JSON.stringify(agent, sortKeys)}`);
  return sum.digest("hex").slice(0, 16);
}

/** The order in which keys are written says nothing. */
function sortKeys(_key: string, value: unknown): unknown {
  return isMap(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value;
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) freeze(child);
  }
  return value;
}

function resolveTyping({
  typingMode: mode,
  typingIntervalSeconds,
}: Draft["config"]["agents"]["defaults"]): ResolvedConfig["typing"] {
  return { ...(mode === undefined ? {} : { mode }), intervalMs: typingIntervalSeconds * 1_000 };
}
