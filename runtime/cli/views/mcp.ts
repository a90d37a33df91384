/** `cloister mcp list`. */
import type { McpServers } from "../gateway-rows.ts";
import { formatTable } from "./table.ts";

export function formatMcpServers(servers: McpServers): readonly string[] {
  if (servers.length === 0) return ["No MCP servers are configured (mcp.servers)."];
  const titles = ["SERVER", "BY", "AGENT", "STATE", "TOOLS", "CALLS", "PROCESS", "WHY"];
  const rows = servers.flatMap(({ server, type, agents, connections }) =>
    connections.length === 0
      ? [[server, type, `for ${agents}`, "not in use", "", "", "", ""]]
      : connections.map(({ agentId, state, tools, calls, pid, reason }) => [
          server,
          type,
          agentId,
          state,
          String(tools),
          String(calls),
          pid === undefined ? "" : String(pid),
          reason ?? "",
        ]),
  );
  return formatTable(
    titles.map((title) => ({ title })),
    rows,
  );
}
