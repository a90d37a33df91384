/** `cloister tools explain` and `cloister sandbox explain`. */
import type { ToolsExplained } from "../gateway-rows.ts";
import { formatFacts, formatTable } from "./table.ts";

export function formatToolsExplained({ sessionKey, sandbox, allowed, removed }: ToolsExplained): readonly string[] {
  const facts = formatFacts([
    ["session", sessionKey],
    ["sandboxed", `${sandbox.sandboxed ? "yes" : "no"} (sandbox.mode "${sandbox.mode}")`],
    ["may call", allowed.join(", ") || "nothing"],
  ]);
  return [...facts, ...formatRemoved(removed)];
}

/** What the sandbox does to a session; what else bounds its tools is `tools explain`'s. */
export function formatSandboxExplained({ sessionKey, sandbox, removed }: ToolsExplained): readonly string[] {
  const { mode, sandboxed, scope, workspaceAccess, root, commands, elevated } = sandbox;
  const facts = formatFacts([
    ["session", sessionKey],
    ["sandboxed", `${sandboxed ? "yes" : "no"} (sandbox.mode "${mode}")`],
    ["folder", root],
    ...(sandboxed
      ? ([["because", `sandbox.workspaceAccess "${workspaceAccess}", sandbox.scope "${scope}"`]] as const)
      : []),
    ...(commands === undefined
      ? []
      : ([
          ["commands", `${commands.in}${commands.folder === undefined ? "" : `, the folder is ${commands.folder}`}`],
          ["which", `tools.exec: security "${commands.security}", ask "${commands.ask}"`],
          ...(commands.bounds ?? []).map((bound, at) => [at === 0 ? "bounds" : "", bound] as const),
        ] as const)),
    ...(elevated === undefined ? [] : ([["elevated", describeElevated(elevated)]] as const)),
    ...(commands?.broken === undefined ? [] : ([["refused", commands.broken]] as const)),
  ]);
  return [...facts, ...formatRemoved(removed.filter(({ rule }) => rule.includes("sandbox")))];
}

function describeElevated({
  allowed,
  key,
  level,
  security,
  ask,
}: Exclude<ToolsExplained["sandbox"]["elevated"], undefined>): string {
  const chosen = level === undefined ? "" : ` (/elevated ${level})`;
  if (!allowed) return `no${chosen}: ${key ?? ""}`;
  const which = level === undefined ? "calls that ask for it" : "every call";
  return `${which} may leave the sandbox${chosen}: security "${security ?? ""}", ask "${ask ?? ""}"`;
}

function formatRemoved(removed: ToolsExplained["removed"]): readonly string[] {
  if (removed.length === 0) return [];
  const rows = removed.flatMap(({ tools, rule, key, remedy }) => tools.map((tool) => [tool, rule, key, remedy]));
  return ["", ...formatTable([{ title: "REMOVED" }, { title: "BY" }, { title: "KEY" }, { title: "TO KEEP IT" }], rows)];
}
