/** Lists of tools that do not mean what they seem to: silence about them would be read as protection. */
import { toolGroups } from "../../auth/tool-names.ts";
import { listAgents } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import { findNearest } from "./suggest.ts";
import { valueAt } from "./validate.ts";

/** Names that begin with `group:` and are no group: such a name stands for no tool, in `deny` as well. */
export function lintToolGroups(draft: Draft): ConfigWarning[] {
  const scopes: Path[] = [
    ["tools"],
    ["agents", "defaults", "tools"],
    ...listAgents(draft.config).map(({ path }) => [...path, "tools"]),
  ];
  return scopes.flatMap((path) => walk(valueAt(path, draft.written.value), path));
}

const lists: ReadonlySet<string> = new Set(["allow", "alsoAllow", "deny"]);

/** Lists stand at several depths: by provider, by sender, of sandboxes and of sub-agents. */
function walk(value: unknown, path: Path): ConfigWarning[] {
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([name, child]) =>
    Array.isArray(child) && lists.has(name)
      ? child.flatMap((item, at) => (typeof item === "string" ? judge(item, [...path, name, at], name) : []))
      : walk(child, [...path, name]),
  );
}

function judge(written: string, path: Path, list: string): ConfigWarning[] {
  const name = written.trim().toLowerCase();
  if (!name.startsWith("group:") || Object.hasOwn(toolGroups, name)) return [];
  const groups = Object.keys(toolGroups);
  const near = findNearest(name, groups);
  return [
    {
      path: formatPath(path),
      message: `is ${JSON.stringify(written)}, which is no group of tools: it stands for none, and ${list === "deny" ? "withholds" : "allows"} nothing`,
      remedy: near === undefined ? `Use one of: ${groups.join(", ")}.` : `Did you mean "${near}"?`,
    },
  ];
}
