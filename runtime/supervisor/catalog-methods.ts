/**
 * What the gateway has, as clients list it: agents with their files, channels, commands of chats, tools, models that the configuration
 * names, timers as jobs. Read only. What it has nothing of has no method (docs/reference/protocol.md).
 */
import { createHash } from "node:crypto";
import { own } from "../broker/own.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { AgentStatus } from "../edge/port.ts";
import { limits } from "../kernel/limits.ts";
import { partsOfModel } from "../kernel/model-name.ts";
import type { TimerRow } from "../store/port.ts";
import { readAgentFile, statAgentFile } from "./agent-files.ts";
import type { ChatCommand } from "./commands/table.ts";
import { makeDerived } from "./live-config.ts";
import type { Handlers } from "./method-handlers.ts";
import { viewJob } from "./job-view.ts";
import type { Targets } from "./method-targets.ts";
import type { Signals } from "./signals.ts";
import { toolTexts } from "./tools/specs.ts";

export interface CatalogDeps {
  readonly config: ResolvedConfig;
  readonly targets: Targets;
  readonly nowMs: () => number;
  readonly agents: () => readonly AgentStatus[];
  readonly commands: () => readonly Pick<ChatCommand, "name" | "usage" | "summary">[];
  readonly signals: Pick<Signals, "timers">;
}

type CatalogMethods =
  | "agents.list"
  | "agent.identity.get"
  | "agents.files.list"
  | "agents.files.get"
  | "commands.list"
  | "tools.catalog"
  | "models.list"
  | "cron.list"
  | "cron.status";

/** The files that make up an agent's workspace, in their order. Source: behaviour §6.1. */
const fileNames = [
  "AGENTS.md",
  "SOUL.md",
  "TOOLS.md",
  "IDENTITY.md",
  "USER.md",
  "HEARTBEAT.md",
  "BOOTSTRAP.md",
  "MEMORY.md",
] as const;

export function makeCatalogMethods(deps: CatalogDeps): Handlers<CatalogMethods> {
  const { config, targets } = deps;
  const byId = makeDerived(
    () => config.agents,
    (agents) => new Map(agents.map((agent) => [agent.id, agent])),
  );

  const workspaceOf = (reference: string | undefined): { readonly agentId: string; readonly workspace: string } => {
    const agentId = targets.agent(reference);
    return { agentId, workspace: byId().get(agentId)?.workspace ?? "" };
  };

  return {
    "agents.list": () => ({
      defaultId: config.defaultAgentId,
      ownership: "explicit",
      selectionRequired: false,
      mainKey: config.session.mainKey,
      scope: config.session.scope,
      agents: deps.agents().map((status) => {
        const model = byId().get(status.agentId)?.model;
        return {
          id: status.agentId,
          kind: "agent",
          ...status,
          ...(model === undefined ? {} : { model: { primary: model } }),
        };
      }),
    }),
    "agent.identity.get": ({ agentId: reference, sessionKey }) => {
      const agentId = sessionKey === undefined ? targets.agent(reference) : targets.session(sessionKey).agentId;
      const name = byId().get(agentId)?.name ?? agentId;
      return { agentId, name, nameSource: name === agentId ? "default" : "config", avatarStatus: "none" };
    },
    "agents.files.list": async ({ agentId: reference }) => {
      const { agentId, workspace } = workspaceOf(reference);
      const files = await Promise.all(fileNames.map((name) => statAgentFile(workspace, name)));
      return { agentId, workspace, files };
    },
    "agents.files.get": async ({ agentId: reference, name }) => {
      const { agentId, workspace } = workspaceOf(reference);
      return { agentId, workspace, file: await readAgentFile(workspace, fileNames, name) };
    },
    "commands.list": () => ({
      commands: deps.commands().map(({ name, usage, summary }) => ({
        name: name.slice(1),
        textAliases: [name],
        description: summary,
        source: "native",
        scope: "text",
        acceptsArgs: usage.includes(" "),
      })),
    }),
    "tools.catalog": ({ agentId }) => ({
      agentId: targets.agent(agentId),
      profiles: [],
      groups: [
        {
          id: "sessions",
          label: "Sessions",
          source: "core",
          tools: Object.entries(toolTexts).map(([id, description]) => ({
            id,
            label: id,
            description,
            source: "core",
            defaultProfiles: [],
          })),
        },
      ],
    }),
    "models.list": () => ({ models: modelsOf(config) }),
    "cron.list": async ({ agentId, limit, offset = 0 }) => {
      const limitApplied = Math.min(limit ?? limits.timersListDefault, limits.timersListMax);
      const scope = agentId === undefined ? {} : { agentId: targets.agent(agentId) };
      const { rows, total } = await deps.signals.timers({ ...scope, limit: limits.timersListMax });
      // Further pages are seldom asked for: then they are read on their own.
      const page =
        offset + limitApplied <= rows.length || rows.length === total
          ? rows.slice(offset, offset + limitApplied)
          : (await deps.signals.timers({ ...scope, limit: limitApplied, offset })).rows;
      const hasMore = offset + page.length < total;
      const nextOffset = hasMore ? offset + page.length : null;
      const snapshotRevision = revisionOf(rows, total);
      return {
        jobs: page.map((row) => viewJob(row, config.jobs.enabled)),
        total,
        offset,
        limit: limitApplied,
        hasMore,
        nextOffset,
        snapshotRevision,
      };
    },
    "cron.status": async () => {
      const { enabled } = config.jobs;
      const { rows, total } = await deps.signals.timers({ limit: enabled ? 1 : limits.timersListMax });
      const next = rows.map((row) => viewJob(row, enabled)).find(({ nextRunAtMs }) => nextRunAtMs !== undefined);
      return { enabled, jobs: total, nextWakeAtMs: next?.nextRunAtMs ?? null };
    },
  };
}

/** What sessions may choose, each once: those of the agents in their order with what answers instead, then `agents.defaults.models`. */
function modelsOf({
  agents,
  models: { aliases = {}, catalogue, providers },
}: Pick<ResolvedConfig, "agents" | "models">) {
  const aliasOf = new Map(Object.entries(aliases).map(([alias, model]) => [model, alias]));
  const ofAgents = agents.flatMap(({ model, modelFallbacks = [], subagents }) =>
    model === undefined
      ? []
      : [model, ...modelFallbacks, ...(subagents.model === undefined ? [] : [subagents.model.primary])],
  );
  return [...new Set([...ofAgents, ...catalogue])].map((reference) => {
    const { id, provider: named } = partsOfModel(reference);
    const provider = named === "" ? "unknown" : named;
    const { name = id, contextWindow, reasoning, input } = own(own(providers, provider)?.models, id) ?? {};
    const alias = aliasOf.get(reference);
    return {
      id,
      name,
      provider,
      ...(alias === undefined ? {} : { alias }),
      ...(contextWindow === undefined ? {} : { contextWindow }),
      ...(reasoning === undefined ? {} : { reasoning }),
      ...(input === undefined ? {} : { input }),
    };
  });
}

/**
 * The same as long as there are the same timers, whatever they did meanwhile: a client that reads several pages compares it. With more
 * timers than one page holds it is told by their number alone.
 */
function revisionOf(rows: readonly TimerRow[], total: number): string {
  const ids = rows.length === total ? rows.map(({ id }) => id).toSorted() : [];
  return createHash("sha256")
    .update(JSON.stringify([total, ids]))
    .digest("hex")
    .slice(0, 16);
}
