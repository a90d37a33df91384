/** Whether child specs fit together, and name groups that exist. */
import type { NamedAgent } from "../agents.ts";
import type { Draft } from "../draft.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { findNearest } from "../suggest.ts";
import { resolveSupervision } from "../supervision.ts";
import { makeIssue } from "../validate.ts";

export function checkSupervision(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const groups = Object.keys(draft.config.agents.groups);
  return agents.flatMap((agent) => {
    const issues: ConfigIssue[] = [];
    const own = agent.entry.supervision ?? {};
    const report = (key: keyof typeof own, message: string, remedy: string): void => {
      const path: Path = [...(key in own ? agent.path : ["agents", "defaults"]), "supervision", key];
      issues.push(makeIssue(path, message, remedy, draft.written));
    };
    const { backoffMinMs, backoffMaxMs, escalate } = resolveSupervision(agent, draft.config);
    if (own.group !== undefined && !groups.includes(own.group)) {
      const near = findNearest(own.group, groups);
      report(
        "group",
        "names no group of agents.groups",
        near === undefined ? `Add it: agents.groups: { ${JSON.stringify(own.group)}: {} }.` : `Did you mean "${near}"?`,
      );
    }
    if (escalate === "stop-group" && own.group === undefined)
      report(
        "escalate",
        `is "stop-group", and the agent "${agent.id}" belongs to no group`,
        'Give the agent a supervision.group, or set escalate to "park".',
      );
    if (backoffMinMs > backoffMaxMs)
      report(
        "backoffMinMs" in own ? "backoffMinMs" : "backoffMaxMs",
        `leaves the agent "${agent.id}" with a shortest back-off of ${backoffMinMs} ms above the longest, ${backoffMaxMs} ms`,
        "Set backoffMinMs to at most backoffMaxMs.",
      );
    return issues;
  });
}
