/** The tools that threads of their own run: files, commands and pages of the web, memory, and those of MCP servers. */
import { mcpTools } from "../../../auth/tool-names.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { makeMcp, type Mcp, type McpDeps } from "../mcp.ts";
import { type CommandTools, type HostToolsDeps, makeHostTools } from "./host-tools.ts";
import { makeMemory, type Memory, type MemoryDeps } from "./memory.ts";
import type { ToolTable } from "./table.ts";

export interface ThreadTools {
  readonly tools: ToolTable;
  readonly commands: CommandTools;
  readonly memoryMethods: Memory["methods"];
  readonly mcp: Omit<Mcp, "tool" | "close">;
  /** Ends the threads; calls that come later are refused. */
  close(): Promise<void>;
}

export function makeThreadTools(
  { config, agents, log }: Pick<HostToolsDeps & MemoryDeps & McpDeps, "config" | "agents" | "log">,
  { startTools, startMemory, startMcp }: Pick<GatewayParts, "startTools" | "startMemory" | "startMcp">,
): ThreadTools {
  const host = makeHostTools({ config, agents, log, start: startTools });
  const memory = makeMemory({ config, agents, start: startMemory });
  const mcp = makeMcp({ config, agents, start: startMcp, log });
  return {
    tools: { ...host.tools, ...memory.tools, [mcpTools]: mcp.tool },
    mcp,
    commands: host.commands,
    memoryMethods: memory.methods,
    close: async () => void (await Promise.all([host.close(), memory.close(), mcp.close()])),
  };
}
