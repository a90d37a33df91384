/** Sandboxes whose commands cannot run as they are written. Source: behaviour §7.1. */
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
    return fault === undefined
      ? []
      : [
          {
            path: formatPath(sandboxKey(agent, ["docker", "setupCommand"], draft)),
            message: `${fault.message}; commands of such a sandbox are refused`,
            remedy: fault.remedy,
          },
        ];
  });
  // One key may be that of several agents.
  return [...new Map(warnings.map((warning) => [`${warning.path} ${warning.message}`, warning])).values()];
}
