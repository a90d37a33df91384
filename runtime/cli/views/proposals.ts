/** `cloister config proposals`: who proposes what and why, and what it would do. */
import type { CheckEntry, ProposalEntry } from "../commands/config-proposals.ts";
import { formatAge, formatDuration } from "./table.ts";

export function describeProposal(
  { id, agentId, reason, createdAtMs, expiresAtMs, set, unset }: ProposalEntry,
  nowMs: number,
): readonly string[] {
  const keys = [...set.map(({ key }) => key), ...unset.map((key) => `without ${key}`)];
  return [
    `${id}: ${agentId} proposes (${formatAge(createdAtMs, nowMs)}, ends in ${formatDuration(Math.max(0, expiresAtMs - nowMs))}): ${JSON.stringify(reason)}`,
    `  ${keys.join(", ")}`,
  ];
}

const line = (words: string, names: readonly string[] = []): readonly string[] =>
  names.length === 0 ? [] : [`  ${words}: ${names.join(", ")}`];

export function describeCheck(check: CheckEntry): readonly string[] {
  const { changes, moreChanges, issues, plan, warnings, guarded } = check;
  return [
    ...changes.flatMap(({ path, before, after, isHidden }) => [
      `  ${path}${isHidden ? ": changes; what differs is not shown" : ""}`,
      ...(isHidden || before === undefined ? [] : [`    - ${before}`]),
      ...(isHidden || after === undefined ? [] : [`    + ${after}`]),
    ]),
    ...(moreChanges === 0 ? [] : [`  and ${moreChanges} more`]),
    ...(changes.length === 0 && issues.length === 0 ? ["  the file says so already"] : []),
    ...issues.map(
      ({ path, message, remedy }) => `  wrong: ${path}: ${message}${remedy === undefined ? "" : ` → ${remedy}`}`,
    ),
    ...line("agents added", plan?.agents.added),
    ...line("agents removed", plan?.agents.removed),
    ...line("agents changed", plan?.agents.changed),
    ...(plan?.restart ?? []).map(({ key, why }) => `  needs a restart: ${key} (${why})`),
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...(guarded === undefined ? [] : [`  needs --force: ${guarded}`]),
  ];
}
