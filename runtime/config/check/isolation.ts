/** A user for an agent's process needs a process, and a gateway that may give it another user. */
import type { NamedAgent } from "../agents.ts";
import type { Draft } from "../draft.ts";
import { isolationKey, isolationOf } from "../isolation.ts";
import { type ConfigIssue, formatPath } from "../issue.ts";
import { makeIssue } from "../validate.ts";

export function checkIsolation(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const issues = new Map<string, ConfigIssue>();
  for (const agent of agents) {
    const key = isolationKey(agent, draft.config, "user");
    if (key === undefined) continue;
    const { level } = isolationOf(agent, draft.config);
    const isOwn = agent.entry.isolation?.user !== undefined;
    const found =
      level === "thread" && isOwn
        ? makeIssue(
            key,
            'has no effect with isolation.level "thread": all threads of the gateway have its user',
            'Set isolation.level to "process" beside it, or remove it.',
            draft.written,
          )
        : level === "process" && !draft.machine.isRoot
          ? makeIssue(
              key,
              "cannot be given: only a gateway that runs as root may start a process of another user",
              "Start the gateway as root, or remove the key; the process then has the gateway's user.",
              draft.written,
            )
          : undefined;
    if (found !== undefined && !issues.has(formatPath(key))) issues.set(formatPath(key), found);
  }
  return [...issues.values()];
}
