/**
 * What the schema cannot see: whether the parts of a configuration fit each other. Everything found here stops the start;
 * what merely looks like a mistake is a warning (`lint.ts`).
 */
import { normalizeAgentId } from "../routing/ids.ts";
import { findDefaultAgentId, listAgents, type NamedAgent } from "./agents.ts";
import { checkBindings } from "./check/bindings.ts";
import { checkChannels } from "./check/channels.ts";
import { checkDirectories } from "./check/directories.ts";
import { checkGateway } from "./check/gateway.ts";
import { checkIsolation } from "./check/isolation.ts";
import { checkMcp } from "./check/mcp.ts";
import { checkMemory } from "./check/memory.ts";
import { checkModels } from "./check/models.ts";
import { checkSandboxes } from "./check/sandbox.ts";
import { checkSupervision } from "./check/supervision.ts";
import type { Draft } from "./draft.ts";
import { listBroadcasts } from "./groups.ts";
import { isMap } from "./is-map.ts";
import { type ConfigIssue, formatPath, type Path } from "./issue.ts";
import { findModule } from "./modules.ts";
import { unknownAgent } from "./check/unknown-agent.ts";
import { makeIssue, valueAt } from "./validate.ts";

export function checkDraft(draft: Draft): readonly ConfigIssue[] {
  const agents = listAgents(draft.config);
  return [
    ...checkMissing(draft),
    ...checkAgents(agents, draft),
    ...checkDirectories(agents, findDefaultAgentId(agents), draft),
    ...checkIsolation(agents, draft),
    ...checkSandboxes(agents, draft),
    ...checkModels(draft),
    ...checkMemory(agents, draft),
    ...checkMcp(draft),
    ...checkBindings(agents, draft),
    ...checkSupervision(agents, draft),
    ...checkBroadcast(agents, draft),
    ...checkToolLists(draft),
    ...checkChannels(draft),
    ...checkGateway(draft),
  ];
}

/** Keys that become a name or a place: taken literally, `${NAME}` would create things that nobody wants. */
const literalKeys: ReadonlySet<string> = new Set([
  "workspace",
  "agentDir",
  "module",
  "store",
  "file",
  "outboundUrl",
  "id",
  "agentId",
  "channel",
  "accountId",
  "mainKey",
  "path",
]);

function checkMissing(draft: Draft): ConfigIssue[] {
  return [...draft.missing.values()]
    .filter(({ path }) => literalKeys.has(String(path.at(-1))))
    .map(({ path, name }) =>
      makeIssue(
        path,
        `needs the variable ${name}, which is not set`,
        `Set ${name} in the environment or in the .env file of the state directory.`,
        draft.written,
      ),
    );
}

function checkAgents(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const report = (path: Path, message: string, remedy: string): void => {
    issues.push(makeIssue(path, message, remedy, draft.written));
  };
  const seen = new Map<string, NamedAgent>();
  let chosen: NamedAgent | undefined;
  for (const agent of agents) {
    const first = seen.get(agent.id);
    if (first !== undefined)
      report(
        [...agent.path, "id"],
        `is the agent "${agent.id}", which ${formatPath(first.path)} already is`,
        "Give one of them another id.",
      );
    else seen.set(agent.id, agent);
    if (agent.entry.default === true && chosen !== undefined) {
      report(
        [...agent.path, "default"],
        `is a second default agent beside ${formatPath(chosen.path)}`,
        "Leave `default: true` at one agent.",
      );
    }
    if (agent.entry.default === true) chosen ??= agent;
    const module = findModule(agent, draft);
    if (module.kind === "wrong") {
      const path = agent.entry.module === undefined ? ["agents", "defaults", "module"] : [...agent.path, "module"];
      report(path, module.message, module.remedy);
    }
  }
  for (const [key, entry] of Object.entries(draft.config.agents.entries)) {
    if (entry.id !== undefined && normalizeAgentId(entry.id) !== normalizeAgentId(key)) {
      report(
        ["agents", "entries", key, "id"],
        `differs from its key ${JSON.stringify(key)}`,
        "Remove the id; the key is the id.",
      );
    }
  }
  return issues;
}

function checkBroadcast(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const known = new Set(agents.map(({ id }) => id));
  return listBroadcasts(draft.config).flatMap(({ key, entry }) => {
    const path: Path = Array.isArray(entry) ? ["broadcast", key] : ["broadcast", key, "agents"];
    const ids = Array.isArray(entry) ? entry : entry.agents;
    const unknown = ids.flatMap((id, index) =>
      known.has(normalizeAgentId(id)) ? [] : [unknownAgent([...path, index], id, known, draft)],
    );
    const takesPart = new Set(ids.map(normalizeAgentId));
    const triggers = Array.isArray(entry) ? {} : (entry.triggers ?? {});
    const strangers = Object.entries(triggers).flatMap(([by, others]) => {
      const at: Path = ["broadcast", key, "triggers", by];
      return [{ id: by, at }, ...others.map((id, index) => ({ id, at: [...at, index] }))].flatMap((named) =>
        takesPart.has(normalizeAgentId(named.id))
          ? []
          : [
              makeIssue(
                named.at,
                `names ${JSON.stringify(named.id)}, which is not among the agents of this broadcast`,
                `Add it to ${formatPath(path)}, or take it out here.`,
                draft.written,
              ),
            ],
      );
    });
    return [...unknown, ...strangers];
  });
}

/** `allow` means "only these" and `alsoAllow` "these too": in one scope they contradict each other. */
function checkToolLists(draft: Draft): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const walk = (value: unknown, path: Path): void => {
    if (!isMap(value)) return;
    if (isFilled(value["allow"]) && isFilled(value["alsoAllow"])) {
      issues.push(
        makeIssue(
          [...path, "alsoAllow"],
          "stands beside `allow` in one scope",
          "Put the tools of both into `allow`, or remove `allow`.",
          draft.written,
        ),
      );
    }
    for (const [name, child] of Object.entries(value)) walk(child, [...path, name]);
  };
  for (const path of [
    ["tools"],
    ["agents", "defaults", "tools"],
    ...listAgents(draft.config).map((agent) => [...agent.path, "tools"]),
  ]) {
    walk(valueAt(path, draft.written.value), path);
  }
  return issues;
}

const isFilled = (value: unknown): boolean => Array.isArray(value) && value.length > 0;
