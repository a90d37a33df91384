/** Names under which agents know the tools of MCP servers: `mcp__<server>__<tool>`, in the form that every provider of models takes. */
import { createHash } from "node:crypto";
import { mcpPrefix } from "../../auth/tool-names.ts";
import { limits } from "../kernel/limits.ts";

/** In the order of `tools`; two that would have one name are told apart by a hash of their own. */
export function nameTools(server: string, tools: readonly string[]): readonly string[] {
  const plain = tools.map((tool) => tool.replace(/[^A-Za-z0-9_-]/g, "_"));
  const counts = new Map<string, number>();
  for (const name of plain) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  const prefix = mcpPrefix(server);
  const room = limits.mcpToolNameCharsMax - prefix.length;
  return plain.map((name, index) => {
    if (name !== "" && name.length <= room && counts.get(name.toLowerCase()) === 1) return `${prefix}${name}`;
    const mark = createHash("sha256")
      .update(tools[index] ?? "")
      .digest("hex")
      .slice(0, 8);
    return `${prefix}${name.slice(0, room - mark.length - 1)}_${mark}`;
  });
}
