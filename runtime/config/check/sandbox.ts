/**
 * Whether a sandbox would be one: what would undo it (a network of the host, a place that holds other agents' state) stops the start, with
 * the keys to change. A `setupCommand` that cannot succeed is a warning (`lint-sandbox.ts`): only commands of its agent are refused. Source: behaviour §7.1.
 */
import path from "node:path";
import { findDefaultAgentId, type NamedAgent, placeAgent } from "../agents.ts";
import type { Draft } from "../draft.ts";
import { engineSocket, engineSockets } from "../../tools/port.ts";
import { backendOf, dockerOf, readBind, resolveBox } from "../exec.ts";
import { type ConfigIssue, formatPath, type Path } from "../issue.ts";
import { isInside } from "../paths.ts";
import { sandboxKey, sandboxModeOf } from "../sandbox.ts";
import { makeIssue } from "../validate.ts";

export function checkSandboxes(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const issues = new Map<string, ConfigIssue>();
  const defaultId = findDefaultAgentId(agents);
  const places = agents.map((agent) => ({ id: agent.id, dirs: placeAgent(agent, agent.id === defaultId, draft) }));
  for (const agent of agents) {
    if (sandboxModeOf(agent, draft.config) === "off") continue;
    const others = places.filter(({ id }) => id !== agent.id).map(({ dirs }) => dirs.workspace);
    const states = places.map(({ dirs }) => [dirs.agentDir, dirs.sessionsDir]).flat();
    const secrets = [draft.paths.stateDir, draft.paths.configPath, ...states, ...others];
    for (const { key, message, remedy } of findFaults(agent, secrets, draft)) {
      const at = sandboxKey(agent, key, draft);
      if (!issues.has(`${formatPath(at)} ${message}`))
        issues.set(`${formatPath(at)} ${message}`, makeIssue(at, message, remedy, draft.written));
    }
  }
  return [...issues.values()];
}

interface Fault {
  /** Below `sandbox`. */
  readonly key: Path;
  readonly message: string;
  readonly remedy: string;
}

function findFaults(agent: NamedAgent, secrets: readonly string[], draft: Draft): Fault[] {
  const written = dockerOf(agent, draft.config) ?? {};
  const box = resolveBox(written);
  const backend = backendOf(agent, draft.config);
  const faults: Fault[] = [];
  if (box.network === "host" || /^(?:container|ns):/.test(box.network))
    faults.push({
      key: ["docker", "network"],
      message: "gives a sandbox the network of something outside of it",
      remedy: 'Use "none", "bridge" or a network of docker.',
    });
  // Docker reads more than a name as options, `name=host` among them.
  else if (!/^[A-Za-z0-9][\w.-]*$/.test(box.network))
    faults.push({
      key: ["docker", "network"],
      message: "is no name of a network",
      remedy: 'Use "none", "bridge" or the name of a network of docker.',
    });
  else if (backend === "bubblewrap" && box.network !== "none")
    faults.push({
      key: ["docker", "network"],
      message: "is a network, which bubblewrap has not",
      remedy: 'Use "none", or sandbox.backend: "docker".',
    });
  for (const [index, text] of (written.binds ?? []).entries()) {
    const { from, to } = readBind(text);
    const held = secrets.find((secret) => isInside(secret, from) || isInside(from, secret));
    const isSocketHeld = path.basename(from) === engineSocket || engineSockets.some((socket) => isInside(socket, from));
    if (held !== undefined || isSocketHeld)
      faults.push({
        key: ["docker", "binds", index],
        message:
          held === undefined
            ? "shows a sandbox docker's socket, with which it could start anything"
            : `shows a sandbox ${held}, which it must not see`,
        remedy: "Bind a folder that holds only what its commands need.",
      });
    if (["/workspace", "/agent", "/proc", "/dev"].some((place) => isInside(to, place)) || to === "/")
      faults.push({
        key: ["docker", "binds", index],
        message: `stands in the place of ${to}, which the sandbox makes itself`,
        remedy: "Choose another target.",
      });
  }
  return faults;
}
