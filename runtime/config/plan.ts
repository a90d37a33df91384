/**
 * What has to be done to a gateway that runs with one configuration so that it runs with another: pure, from the two alone.
 *
 * Each field of a resolved configuration has a rule here, which the compiler holds complete: it counts from its next use on (`live`),
 * or it is fixed when the gateway starts (`restart`), with the reason. Source of which is which: behaviour §1.2.
 */
import { isDeepStrictEqual } from "node:util";
import path from "node:path";
import { sessionToolsOf } from "../../auth/policy.ts";
import { indexPlaces, type PlaceIndex } from "./place-index.ts";
import type { ResolvedAgent, ResolvedConfig } from "./resolved.ts";

export interface RestartKey {
  /** The key of the file that decides the value. */
  readonly key: string;
  readonly why: string;
}

export interface ConfigPlan {
  readonly agents: {
    readonly added: readonly ResolvedAgent[];
    readonly removed: readonly string[];
    /** From their next turn on. */
    readonly changed: readonly ResolvedAgent[];
    /** What their cells were started with has changed: from their next cell on, which begins when their turns have ended. */
    readonly renewed: readonly ResolvedAgent[];
  };
  /** Sections that changed beside the agents, by the names of their keys. */
  readonly sections: readonly string[];
  /** What changed and only counts after a restart. */
  readonly restart: readonly RestartKey[];
}

export function isEmpty({ agents, sections, restart }: ConfigPlan): boolean {
  const { added, removed, changed, renewed } = agents;
  return [added, removed, changed, renewed, sections, restart].every(({ length }) => length === 0);
}

const ids = (list: readonly ResolvedAgent[]): readonly string[] => list.map(({ id }) => id);

/** As it is told: ids instead of agents. */
export interface PlanSummary {
  readonly agents: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
  readonly sections: readonly string[];
  readonly restart: readonly RestartKey[];
}

export function summarizePlan({ agents, sections, restart }: ConfigPlan): PlanSummary {
  const { added, removed, changed, renewed } = agents;
  return { agents: { added: ids(added), removed, changed: ids([...changed, ...renewed]) }, sections, restart };
}

export function planConfig(from: ResolvedConfig, to: ResolvedConfig): ConfigPlan {
  const before = new Map(from.agents.map((agent) => [agent.id, agent]));
  const after = new Set(to.agents.map(({ id }) => id));
  const added = to.agents.filter(({ id }) => !before.has(id));
  const changed: ResolvedAgent[] = [];
  const renewed: ResolvedAgent[] = [];
  const moved: RestartKey[] = [];
  const [hadNeighbours, hasNeighbours] = [makeNeighbours(from), makeNeighbours(to)];
  for (const agent of to.agents) {
    const old = before.get(agent.id);
    if (old === undefined) continue;
    if (old.sessionsDir !== agent.sessionsDir || old.agentDir !== agent.agentDir)
      moved.push({
        key: `agents.${agent.id}.agentDir`,
        why: "its sessions are open where they were; agentDir and session.store are looked at when the gateway starts",
      });
    if (bornWith(old, hadNeighbours) !== bornWith(agent, hasNeighbours)) renewed.push(agent);
    else if (!isDeepStrictEqual(old, agent) || clampOf(old, from) !== clampOf(agent, to)) changed.push(agent);
  }
  const found = { sections: new Set<string>(), restart: new Map<string, RestartKey>() };
  compare(rules, from, to, found);
  return {
    agents: { added, removed: from.agents.filter(({ id }) => !after.has(id)).map(({ id }) => id), changed, renewed },
    sections: [...found.sections],
    restart: [...found.restart.values(), ...moved],
  };
}

/** What a cell is started with; one that changes needs another cell. */
function bornWith(agent: ResolvedAgent, hasNeighbours: (agent: ResolvedAgent) => boolean): string {
  const { module, moduleKind, name, options, workspace, model, settings, isolation } = agent;
  // Who is no model's goes on with the settings that it has.
  const speaks = moduleKind === "builtin" && module === "assistant" ? { name, settings } : undefined;
  const alone = moduleKind === "file" && hasNeighbours(agent);
  return JSON.stringify([module, moduleKind, options, workspace, model, speaks, isolation, alone]);
}

/**
 * Whether something that no agent may read lies beside or above a module, so that the cell may read the file alone
 * (`runtime/supervisor/foreign-places.ts` decides by the real paths): an agent that is added may be such a one.
 */
function makeNeighbours({ agents }: ResolvedConfig): (agent: ResolvedAgent) => boolean {
  let index: PlaceIndex | undefined;
  return ({ id, module }) => {
    index ??= indexPlaces(
      agents.flatMap(({ id: owner, workspace, agentDir, sessionsDir }) =>
        [workspace, agentDir, sessionsDir].map((place) => [place, owner] as const),
      ),
    );
    return index.isNear(path.dirname(module), id);
  };
}

function clampOf({ id, sandboxMode }: ResolvedAgent, config: ResolvedConfig): string {
  return sessionToolsOf(config, id).value === "spawned" ? sandboxMode : "off";
}

type Rule =
  | "ignored"
  /** Counts from its next use on. */
  | { readonly live: string }
  | { readonly restart: string; readonly why: string }
  | { readonly parts: Readonly<Record<string, Rule>> };

type RulesOf<T> = { readonly [K in keyof T]-?: Rule };

const live = (key: string): Rule => ({ live: key });
const restart = (key: string, why: string): Rule => ({ restart: key, why });

const listens = "the gateway listens where it did when it started";
const namesSessions = "sessions that are open are named by it";
const loaded = "the page is loaded once";
const logs = "the log is opened once";

const session = {
  mainKey: restart("session.mainKey", namesSessions),
  scope: restart("session.scope", namesSessions),
  dmScope: live("session"),
  groupScope: live("session"),
  identityLinks: live("session"),
  maxPingPongTurns: live("session"),
  maintenance: live("session"),
  threadBindings: live("session"),
  sendPolicy: live("session"),
  notifyOnCreate: live("session"),
  reset: live("session"),
} satisfies RulesOf<ResolvedConfig["session"]>;

const gateway = {
  host: restart("gateway.bind", listens),
  port: restart("gateway.port", listens),
  auth: {
    parts: {
      mode: restart("gateway.auth.mode", "clients that are connected were admitted under it"),
      secret: live("gateway.auth"),
      proxy: restart("gateway.auth.trustedProxy", "clients that are connected were admitted under it"),
    },
  },
  loginRule: live("gateway.auth.rateLimit"),
  trustedProxies: live("gateway.trustedProxies"),
  http: live("gateway.http"),
  metrics: live("gateway.metrics"),
  autoApproveLocal: live("gateway.nodes"),
  nodeCommands: live("gateway.nodes"),
  reload: live("gateway.reload"),
  controlUi: {
    parts: {
      enabled: restart("gateway.controlUi.enabled", loaded),
      basePath: restart("gateway.controlUi.basePath", loaded),
      allowedOrigins: live("gateway.controlUi.allowedOrigins"),
    },
  },
} satisfies RulesOf<ResolvedConfig["gateway"]>;

const rules: Rule = {
  parts: {
    revision: "ignored",
    configPath: "ignored",
    configExists: "ignored",
    warnings: "ignored",
    notActive: "ignored",
    stateDir: restart("the state directory", "everything that is kept is open there"),
    profile: restart("the profile", "everything that is kept is open there"),
    // Agent by agent, above.
    agents: "ignored",
    defaultAgentId: live("agents"),
    bindings: live("bindings"),
    session: { parts: session },
    queue: live("messages.queue"),
    commands: live("commands"),
    channelDefaults: live("channels"),
    accountsOn: live("channels"),
    typing: live("agents"),
    channelModels: live("channels.modelByChannel"),
    ackReactions: live("messages.ackReaction"),
    responsePrefixes: live("messages.responsePrefix"),
    blocks: live("agents"),
    agentToAgent: live("tools.agentToAgent"),
    configProposers: live("tools.config"),
    deliveries: live("tools.message"),
    loops: live("tools.loopDetection"),
    visibility: live("tools.sessions"),
    sessionToolsVisibility: live("agents.defaults.sandbox"),
    sessionToolsVisibilityOf: live("agents.list[].sandbox"),
    lanes: live("agents.defaults.maxConcurrent"),
    toolRules: live("tools"),
    subagentTools: live("tools.subagents"),
    skills: live("skills"),
    webFetch: live("tools.web"),
    attachments: live("tools.sessions_spawn.attachments"),
    gateway: { parts: gateway },
    hooks: live("hooks"),
    jobs: live("cron"),
    jobPosts: live("cron"),
    webhook: live("channels.webhook"),
    channels: live("channels"),
    ownChannels: live("channels.modules"),
    models: live("models"),
    mcp: live("mcp"),
    groups: live("channels"),
    logging: restart("logging", logs),
  } satisfies RulesOf<ResolvedConfig>,
};

function compare(
  rule: Rule,
  from: unknown,
  to: unknown,
  found: { readonly sections: Set<string>; readonly restart: Map<string, RestartKey> },
): void {
  if (rule === "ignored" || isDeepStrictEqual(from, to)) return;
  if ("live" in rule) found.sections.add(rule.live);
  else if ("restart" in rule) found.restart.set(rule.restart, { key: rule.restart, why: rule.why });
  else
    for (const [name, part] of Object.entries(rule.parts)) compare(part, fieldOf(from, name), fieldOf(to, name), found);
}

function fieldOf(record: unknown, name: string): unknown {
  return typeof record === "object" && record !== null ? Reflect.get(record, name) : undefined;
}

/** The new configuration, with what only a restart can change as it is now: for a gateway that nobody would start again. */
export function holdBack(from: ResolvedConfig, to: ResolvedConfig): ResolvedConfig {
  const kept = keep(rules, from, to) as ResolvedConfig;
  const before = new Map(from.agents.map((agent) => [agent.id, agent]));
  const agents = to.agents.map((agent) => {
    const { agentDir, sessionsDir } = before.get(agent.id) ?? agent;
    return { ...agent, agentDir, sessionsDir };
  });
  return { ...kept, agents };
}

function keep(rule: Rule, from: unknown, to: unknown): unknown {
  if (rule === "ignored" || "live" in rule) return to;
  if ("restart" in rule) return from;
  const names = [...new Set([...Object.keys(from as object), ...Object.keys(to as object)])];
  return Object.fromEntries(
    names.map((name) => [name, keep(rule.parts[name] ?? "ignored", fieldOf(from, name), fieldOf(to, name))]),
  );
}
