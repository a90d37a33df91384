/** What the config says of sandboxes, by agent. Source: behaviour §7.1. */
import path from "node:path";
import { type NamedAgent, resolveConfigPath } from "./agents.ts";
import type { SandboxSettings } from "../thread/agent-settings.ts";
import type { Draft } from "./draft.ts";
import { backendOf, dockerOf, resolveBox } from "./exec.ts";
import type { Path } from "./issue.ts";
import type { ResolvedAgent } from "./resolved.ts";
import type { Config } from "./schema.ts";

/** Which sessions of the agent count as sandboxed: what it says itself, else what the defaults say. */
export function sandboxModeOf(agent: NamedAgent, config: Config): ResolvedAgent["sandboxMode"] {
  return agent.entry.sandbox?.mode ?? config.agents.defaults.sandbox.mode ?? "off";
}

export function resolveSandbox(agent: NamedAgent, draft: Draft): ResolvedAgent["sandbox"] {
  const own = agent.entry.sandbox ?? {};
  const inherited = draft.config.agents.defaults.sandbox;
  const folder = own.workspaceRoot ?? inherited.workspaceRoot;
  return {
    scope: own.scope ?? inherited.scope ?? "agent",
    access: accessOf(agent, draft.config),
    folder: folder === undefined ? path.join(draft.paths.stateDir, "sandboxes") : resolveConfigPath(folder, draft),
  };
}

/** What a model is told of it; undefined: no session of the agent is sandboxed. */
export function toldSandbox(agent: NamedAgent, config: Config): SandboxSettings | undefined {
  const covers = sandboxModeOf(agent, config);
  if (covers === "off") return undefined;
  const { network } = resolveBox(dockerOf(agent, config));
  return {
    covers,
    access: accessOf(agent, config),
    backend: backendOf(agent, config),
    hasNetwork: network !== "none",
  };
}

function accessOf({ entry }: NamedAgent, { agents }: Config): ResolvedAgent["sandbox"]["access"] {
  return entry.sandbox?.workspaceAccess ?? agents.defaults.sandbox.workspaceAccess ?? "none";
}

/** Where a key of the agent's sandbox stands: the agent's own, if it is written there and counts; else that of all. */
export function sandboxKey(agent: NamedAgent, key: Path, draft: Draft): Path {
  const own: unknown = key.reduce<unknown>(
    (at, name) => (at as Readonly<Record<string, unknown>> | undefined)?.[name],
    agent.entry.sandbox,
  );
  const isShared = (agent.entry.sandbox?.scope ?? draft.config.agents.defaults.sandbox.scope) === "shared";
  return own === undefined || isShared ? ["agents", "defaults", "sandbox", ...key] : [...agent.path, "sandbox", ...key];
}
