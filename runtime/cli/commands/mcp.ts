/** `cloister mcp list`: how the servers of `mcp.servers` stand, as the running gateway sees them. */
import type { CliContext, ExitCode } from "../context.ts";
import { parseMcpServers } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatMcpServers } from "../views/mcp.ts";
import { formatJson } from "../views/table.ts";

export interface McpListOptions {
  readonly json?: boolean;
}

export function runMcpList(context: CliContext, { json }: McpListOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("mcp.list", {});
    if (json === true) context.terminal.out(formatJson(payload));
    else for (const line of formatMcpServers(parseMcpServers(payload))) context.terminal.out(line);
    return 0;
  });
}
