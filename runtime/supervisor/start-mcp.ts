/** Starts the thread of MCP servers, when an agent first wants one and again after it was lost. */
import { limits } from "../kernel/limits.ts";
import { endGroups } from "../launcher/orphans.ts";
import type { KernelForMcp, McpForKernel, McpInit } from "../mcp/port.ts";
import { entryUrl } from "../thread/entries.ts";
import { startTrustedThread } from "../thread/trusted-thread.ts";
import type { Logger } from "./driver.ts";
import type { McpDeps } from "./mcp.ts";

/**
 * `environment`: what processes of servers are given of the gateway's own. When the thread is lost, the processes that it started are ended: their
 * input is closed, but a server need not end with that.
 */
export function makeMcpStart(log: Logger, environment: () => Promise<McpInit["environment"]>): McpDeps["start"] {
  return async (settings, handlers, onLost) => {
    const pids = new Set<number>();
    return startTrustedThread<McpForKernel>({
      entry: entryUrl("mcp"),
      name: "mcp",
      init: { settings, environment: await environment() } satisfies McpInit,
      handlers: {
        ...handlers,
        process: async (pid, isRunning) => void (isRunning ? pids.add(pid) : pids.delete(pid)),
        log: async (level, message, fields) => log[level]({ subsystem: "mcp", ...fields }, message),
      } satisfies KernelForMcp,
      stuckMs: limits.helperStuckMs,
      onNotStarted: (reason) =>
        log.error({ reason }, "the thread of MCP servers cannot start; the next call tries again"),
      onLost: (reason) => {
        endGroups(pids);
        onLost(reason);
      },
    });
  };
}
