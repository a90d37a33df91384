/** `cloister tools explain`. */
import type { ToolsExplained } from "../gateway-rows.ts";
import { formatFacts, formatTable } from "./table.ts";

export function formatToolsExplained({ sessionKey, sandbox, allowed, removed }: ToolsExplained): readonly string[] {
  const facts = formatFacts([
    ["session", sessionKey],
    ["sandboxed", `${sandbox.sandboxed ? "yes" : "no"} (sandbox.mode "${sandbox.mode}")`],
    ["may call", allowed.join(", ") || "nothing"],
  ]);
  if (removed.length === 0) return facts;
  const rows = removed.flatMap(({ tools, rule, key, remedy }) => tools.map((tool) => [tool, rule, key, remedy]));
  return [
    ...facts,
    "",
    ...formatTable([{ title: "REMOVED" }, { title: "BY" }, { title: "KEY" }, { title: "TO KEEP IT" }], rows),
  ];
}
