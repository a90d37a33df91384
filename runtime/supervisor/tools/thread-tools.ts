/** The tools that threads of their own run: files, commands and pages of the web, and memory. */
import type { GatewayParts } from "../gateway-parts.ts";
import { type CommandTools, type HostToolsDeps, makeHostTools } from "./host-tools.ts";
import { makeMemory, type Memory, type MemoryDeps } from "./memory.ts";
import type { ToolTable } from "./table.ts";

export interface ThreadTools {
  readonly tools: ToolTable;
  readonly commands: CommandTools;
  readonly memoryMethods: Memory["methods"];
  /** Ends the threads; calls that come later are refused. */
  close(): Promise<void>;
}

export function makeThreadTools(
  { config, agents, log }: Pick<HostToolsDeps & MemoryDeps, "config" | "agents" | "log">,
  { startTools, startMemory }: Pick<GatewayParts, "startTools" | "startMemory">,
): ThreadTools {
  const host = makeHostTools({ config, agents, log, start: startTools });
  const memory = makeMemory({ config, agents, start: startMemory });
  return {
    tools: { ...host.tools, ...memory.tools },
    commands: host.commands,
    memoryMethods: memory.methods,
    close: async () => void (await Promise.all([host.close(), memory.close()])),
  };
}
