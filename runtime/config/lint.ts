/**
 * What is allowed and is probably not meant. A warning names the key, says what will happen, and what would be written
 * instead; the gateway starts.
 */
import { isTemplated } from "../edge/settings.ts";
import { normalizeAgentId } from "../routing/ids.ts";
import { findDefaultAgentId, listAgents, type NamedAgent, placeAgent } from "./agents.ts";
import { readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import { haveOwnHeartbeats, resolveHeartbeat } from "./heartbeat.ts";
import { isMap } from "./is-map.ts";
import { lintChannels } from "./channels/index.ts";
import { lintGroups } from "./lint-groups.ts";
import { isolationKey, isolationOf } from "./isolation.ts";
import { formatPath, type Path } from "./issue.ts";
import { lintModels } from "./lint-models.ts";
import { lintRoutes } from "./lint-routes.ts";
import { lintToolGroups, lintToolsByProvider } from "./lint-tools.ts";
import { lintSandboxes } from "./lint-sandbox.ts";
import { isInside } from "./paths.ts";
import type { ConfigWarning } from "./resolved.ts";
import { sandboxModeOf } from "./sandbox.ts";
import { valueAt } from "./validate.ts";

export function lintDraft(draft: Draft): readonly ConfigWarning[] {
  const agents = listAgents(draft.config);
  return [
    ...lintVariables(draft),
    ...lintIds(agents),
    ...lintModels(agents, draft),
    ...lintAgentToAgent(agents, draft),
    ...lintSandboxClamp(agents, draft),
    ...lintSandboxes(agents, draft),
    ...lintWorkspaces(agents, draft),
    ...lintTrust(agents, draft),
    ...lintToolLists(draft),
    ...lintToolGroups(draft),
    ...lintToolsByProvider(draft),
    ...lintRoutes(agents, draft),
    ...lintGroups(agents, draft),
    ...lintChannels(draft),
    ...lintCredentials(draft),
    ...lintHooks(agents, draft),
  ];
}

function warn(path: Path, message: string, remedy: string): ConfigWarning {
  return { path: formatPath(path), message, remedy };
}

function lintVariables({ missing }: Draft): ConfigWarning[] {
  return [...missing.values()].map(({ path, name }) =>
    warn(
      path,
      `needs the variable ${name}, which is not set, and stays as it is written`,
      `Set ${name}, or write $\${${name}} if the text itself is meant.`,
    ),
  );
}

function lintIds(agents: readonly NamedAgent[]): ConfigWarning[] {
  return agents
    .filter(({ id, entry }) => entry.id.trim().toLowerCase() !== id)
    .map(({ path, id, entry }) =>
      warn([...path, "id"], `is ${JSON.stringify(entry.id)} and is used as "${id}"`, `Write "${id}".`),
    );
}

function lintAgentToAgent(agents: readonly NamedAgent[], { config }: Draft): ConfigWarning[] {
  const { agentToAgent, config: proposing, sessions } = config.tools;
  const at = ["tools", "agentToAgent", "allow"];
  const lintPattern = (pattern: string, where: readonly (string | number)[]): ConfigWarning[] =>
    agents.some(({ id }) => matchesPattern(id, pattern))
      ? []
      : [
          warn(
            where,
            `is ${JSON.stringify(pattern)}, which no configured agent matches`,
            `Use ids of agents: ${namesOf(agents)}.`,
          ),
        ];
  const grantsAt = ["tools", "agentToAgent", "grants"];
  const unknown = [
    ...proposing.propose.flatMap((pattern, index) => lintPattern(pattern, ["tools", "config", "propose", index])),
    ...agentToAgent.allow.flatMap((pattern, index) => lintPattern(pattern, [...at, index])),
    ...agentToAgent.grants.flatMap(({ from, to }, index) => [
      ...lintPattern(from, [...grantsAt, index, "from"]),
      ...lintPattern(to, [...grantsAt, index, "to"]),
    ]),
  ];
  if (!agentToAgent.enabled && agentToAgent.grants.length > 0)
    unknown.push(
      warn(
        grantsAt,
        "grants nothing while tools.agentToAgent.enabled is false",
        "Set tools.agentToAgent.enabled to true.",
      ),
    );
  if (!agentToAgent.enabled) return unknown;
  const narrow = warn(
    ["tools", "sessions", "visibility"],
    `is "${sessions.visibility}" while tools.agentToAgent.enabled is true: agents do not see each other's sessions, so that no message between them is possible`,
    'Set tools.sessions.visibility to "all".',
  );
  const empty = warn(
    at,
    "is empty while tools.agentToAgent.enabled is true: no agent may take part",
    `Set tools.agentToAgent.allow to the agents, such as ${JSON.stringify(agents.map(({ id }) => id).slice(0, 5))}.`,
  );
  const byGrants = agentToAgent.grants.length > 0 && agentToAgent.allow.length === 0;
  return [
    ...(sessions.visibility === "all" || byGrants ? [] : [narrow]),
    ...(agentToAgent.allow.length > 0 || byGrants ? [] : [empty]),
    ...unknown,
  ];
}

function namesOf(agents: readonly NamedAgent[]): string {
  return agents
    .slice(0, 20)
    .map(({ id }) => id)
    .join(", ");
}

/** `*` stands for any characters; the rest is an id. */
function matchesPattern(id: string, pattern: string): boolean {
  const text = pattern.trim().toLowerCase();
  if (!text.includes("*")) return normalizeAgentId(text) === id;
  const parts = text.split("*").map((part) => part.replaceAll(/[^a-z0-9_-]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`).test(id);
}

function lintSandboxClamp(agents: readonly NamedAgent[], draft: Draft): ConfigWarning[] {
  const key = ["sandbox", "sessionToolsVisibility"];
  const shared = ["agents", "defaults", ...key];
  const free = agents.filter((agent) => sandboxModeOf(agent, draft.config) === "off");
  const remedy = "Remove it. What sessions see is tools.sessions.visibility.";
  return [
    ...(valueAt(shared, draft.written.value) === undefined || free.length < agents.length
      ? []
      : [warn(shared, "has no effect: it narrows sandboxed sessions, and no agent is sandboxed", remedy)]),
    ...free.flatMap(({ id, path, entry: { sandbox } }) =>
      sandbox?.sessionToolsVisibility === undefined
        ? []
        : [warn([...path, ...key], `has no effect: it narrows sandboxed sessions, and ${id} has none`, remedy)],
    ),
  ];
}

/** Legal, since two personas may work on the same files; but not what "own workspace" sounds like. */
function lintWorkspaces(agents: readonly NamedAgent[], draft: Draft): ConfigWarning[] {
  const defaultId = findDefaultAgentId(agents);
  const placed = agents.map((agent) => ({ agent, dir: placeAgent(agent, agent.id === defaultId, draft).workspace }));
  const sorted = placed.toSorted((a, b) => (a.dir < b.dir ? -1 : a.dir > b.dir ? 1 : 0));
  const warnings: ConfigWarning[] = [];
  let outer = sorted[0];
  for (const inner of sorted.slice(1)) {
    if (outer !== undefined && isInside(inner.dir, outer.dir)) {
      const relation = inner.dir === outer.dir ? "is also the workspace" : "lies in the workspace";
      warnings.push(
        warn(
          [...inner.agent.path, "workspace"],
          `of "${inner.agent.id}" (${inner.dir}) ${relation} of "${outer.agent.id}", which can read and change it`,
          "Give each agent a workspace of its own.",
        ),
      );
    } else outer = inner;
  }
  return warnings;
}

/** Trust is a choice, and one that should not be made by a copied file without anybody reading it. */
function lintTrust(agents: readonly NamedAgent[], { config }: Draft): ConfigWarning[] {
  const found = new Map<string, ConfigWarning>();
  for (const agent of agents) {
    const { level, trust, user } = isolationOf(agent, config);
    const key = isolationKey(agent, config, "trust");
    if (trust !== "trusted" || key === undefined || found.has(formatPath(key))) continue;
    const whose = user === undefined ? "the gateway's user" : `user ${user.uid}`;
    const reach =
      level === "thread"
        ? "and everything in the gateway's process, secrets and other agents included"
        : "and programs";
    found.set(
      formatPath(key),
      warn(
        key,
        `is "trusted": the module of "${agent.id}" reaches the network, all files of ${whose} ${reach}`,
        'Leave it if you wrote or read the module; otherwise set "confined".',
      ),
    );
  }
  return [...found.values()];
}

/** K-18: a non-empty allow list already excludes everything else. */
function lintToolLists(draft: Draft): ConfigWarning[] {
  const scopes: Path[] = [
    ["tools"],
    ["agents", "defaults", "tools"],
    ...listAgents(draft.config).map(({ path }) => [...path, "tools"]),
  ];
  return scopes.flatMap((path) => {
    const lists = valueAt(path, draft.written.value);
    if (!isMap(lists)) return [];
    const [allow, deny] = [textsOf(lists["allow"]), textsOf(lists["deny"])];
    // What a group or a pattern allows cannot be told from its name.
    if (allow.length === 0 || allow.some((name) => /[*:]/.test(name))) return [];
    const redundant = deny.filter((name) => !allow.includes(name) && !/[*:]/.test(name));
    if (redundant.length === 0) return [];
    return [
      warn(
        [...path, "deny"],
        `is redundant for ${redundant.join(", ")}: \`allow\` beside it already excludes everything that it does not name`,
        "Remove them from `deny`, or keep them as a note to the reader.",
      ),
    ];
  });
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value)
    ? value.filter((item) => typeof item === "string").map((name) => name.trim().toLowerCase())
    : [];
}

function lintCredentials(draft: Draft): ConfigWarning[] {
  return (["token", "password"] as const).flatMap((name) => {
    const path = ["gateway", "auth", name];
    const credential = readCredential(path, draft.config.gateway.auth[name], draft);
    if (credential.status !== "unusable") return [];
    return [
      warn(
        path,
        `${credential.reason} and counts as not configured; without another credential only the operator's key opens the gateway`,
        credential.remedy,
      ),
    ];
  });
}

function lintHooks(agents: readonly NamedAgent[], { config }: Draft): ConfigWarning[] {
  const known = new Set(agents.map(({ id }) => id));
  const mapped = config.hooks.mappings.flatMap(({ agentId }, index) =>
    agentId === undefined || known.has(normalizeAgentId(agentId))
      ? []
      : [
          warn(
            ["hooks", "mappings", index, "agentId"],
            `is ${JSON.stringify(agentId)}, which names no configured agent: its requests will be refused`,
            `Use ids of agents: ${namesOf(agents)}.`,
          ),
        ],
  );
  const allowed = (config.hooks.allowedAgentIds ?? []).flatMap((id, index) =>
    id.trim() === "*" || known.has(normalizeAgentId(id))
      ? []
      : [
          warn(
            ["hooks", "allowedAgentIds", index],
            `is ${JSON.stringify(id)}, which names no configured agent`,
            `Use ids of agents: ${namesOf(agents)}.`,
          ),
        ],
  );
  return [...allowed, ...mapped, ...lintHookTimes(agents, config), ...lintHookSessions(config)];
}

function lintHookTimes(agents: readonly NamedAgent[], config: Draft["config"]): ConfigWarning[] {
  const someHaveTheirs = haveOwnHeartbeats(agents);
  const regular = new Set(
    agents.filter((agent) => resolveHeartbeat(agent, config, someHaveTheirs) !== undefined).map(({ id }) => id),
  );
  return config.hooks.mappings.flatMap(({ wakeMode, agentId }, index) => {
    const id = agentId === undefined ? findDefaultAgentId(agents) : normalizeAgentId(agentId);
    return wakeMode !== "next-heartbeat" || regular.has(id)
      ? []
      : [
          warn(
            ["hooks", "mappings", index, "wakeMode"],
            `is "next-heartbeat", and the agent ${id} has no heartbeat: its requests will be refused`,
            'Use "now", or give the agent a heartbeat (agents.defaults.heartbeat).',
          ),
        ];
  });
}

function lintHookSessions({ hooks }: Draft["config"]): ConfigWarning[] {
  if (hooks.allowRequestSessionKey) return [];
  return hooks.mappings.flatMap(({ sessionKey }, index) =>
    sessionKey === undefined || !isTemplated(sessionKey)
      ? []
      : [
          warn(
            ["hooks", "mappings", index, "sessionKey"],
            "follows from the payload while hooks.allowRequestSessionKey is false: its requests will be refused",
            'Set hooks.allowRequestSessionKey to true, with hooks.allowedSessionKeyPrefixes such as ["hook:"], or name one session.',
          ),
        ],
  );
}
