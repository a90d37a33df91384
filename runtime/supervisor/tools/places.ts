/** Where the tools of a session work: which folder, and in which sandbox. File tools and commands see the same. Source: behaviour §7.1. */
import { createHash } from "node:crypto";
import path from "node:path";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { engineSockets, type Place } from "../../tools/port.ts";
import { isSandboxed } from "../sandboxed.ts";

type PlacedAgent = Pick<ResolvedAgent, "id" | "workspace" | "sandboxMode" | "sandbox" | "exec">;

/** The agent's workspace; a sandboxed session that may not see it has a folder of its sandbox. */
export function rootOf(
  agent: Omit<PlacedAgent, "exec">,
  sessionKey: string,
  session: ResolvedConfig["session"],
): string {
  const { scope, access, folder } = agent.sandbox;
  if (!isSandboxed(agent, sessionKey, session) || access !== "none") return agent.workspace;
  return path.join(
    folder,
    scope === "shared"
      ? "shared"
      : scope === "agent"
        ? `agent-${agent.id}`
        : `session-${createHash("sha256").update(sessionKey).digest("hex").slice(0, 32)}`,
  );
}

/** What the folder is called where the session's commands see it; undefined: as on the host. */
export function insideOf(
  agent: Omit<PlacedAgent, "exec">,
  sessionKey: string,
  session: ResolvedConfig["session"],
): string | undefined {
  if (!isSandboxed(agent, sessionKey, session)) return undefined;
  return agent.sandbox.access === "ro" ? "/agent" : "/workspace";
}

export interface PlacesDeps {
  readonly config: Pick<ResolvedConfig, "session" | "stateDir" | "configPath">;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
}

/** `elevated`: on the host, though the session is sandboxed. */
export function placeOfCommands(
  { config, agents }: PlacesDeps,
  agent: ResolvedAgent,
  sessionKey: string,
  elevated: boolean,
): Place {
  const inside = insideOf(agent, sessionKey, config.session);
  if (inside === undefined || elevated) return { type: "host", folder: agent.workspace };
  const all = [...agents.values()];
  const others = all.filter(({ id }) => id !== agent.id);
  return {
    type: agent.exec.backend,
    folder: rootOf(agent, sessionKey, config.session),
    inside,
    writable: agent.sandbox.access !== "ro",
    // Each is looked up once for each command. Those below another one too: a link on the way may lead elsewhere.
    hidden: [
      ...new Set([
        config.stateDir,
        config.configPath,
        ...engineSockets,
        // Its own state too: credentials of models, and what other sessions of it said.
        ...all.flatMap(({ agentDir, sessionsDir, sandbox }) => [agentDir, sessionsDir, sandbox.folder]),
        ...others.map(({ workspace }) => workspace),
      ]),
    ],
    settings: agent.exec.box,
  };
}
