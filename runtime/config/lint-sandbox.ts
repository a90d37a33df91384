/** Sandboxes whose commands cannot run as they are written, or that are not as they are written. Source: behaviour §7.1. */
import type { NamedAgent } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { backendOf, dockerOf, resolveBox, whySetupFails } from "./exec.ts";
import { formatPath } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import { sandboxKey, sandboxModeOf } from "./sandbox.ts";

export function lintSandboxes(agents: readonly NamedAgent[], draft: Draft): ConfigWarning[] {
  const warnings = agents.flatMap((agent) => {
    if (sandboxModeOf(agent, draft.config) === "off") return [];
    const box = resolveBox(dockerOf(agent, draft.config));
    const fault = whySetupFails(backendOf(agent, draft.config), box);
    const failing =
      fault === undefined
        ? []
        : [
            {
              path: formatPath(sandboxKey(agent, ["docker", "setupCommand"], draft)),
              message: `${fault.message}; commands of such a sandbox are refused`,
              remedy: fault.remedy,
            },
          ];
    return [...failing, ...lintShared(agent, draft)];
  });
  // One key may be that of several agents.
  return [...new Map(warnings.map((warning) => [`${warning.path} ${warning.message}`, warning])).values()];
}

/** Whoever gives one agent less memory or network would believe that it holds. */
function lintShared({ path, entry }: NamedAgent, { config }: Draft): ConfigWarning[] {
  const scope = entry.sandbox?.scope ?? config.agents.defaults.sandbox.scope;
  if (scope !== "shared" || entry.sandbox?.docker === undefined) return [];
  return [
    {
      path: formatPath([...path, "sandbox", "docker"]),
      message: 'has no effect: with sandbox.scope "shared" there is one sandbox, with the settings of all',
      remedy: 'Set agents.defaults.sandbox.docker, or sandbox.scope: "agent".',
    },
  ];
}
