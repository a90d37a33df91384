/** `cloister agents memory`. */
import type { AgentMemoryRows } from "../gateway-rows.ts";
import { formatBytes, formatTable } from "./table.ts";

const kinds = [
  { kind: "cells", title: "CELL PROCESSES", of: "cells" },
  { kind: "commands", title: "COMMANDS", of: "commands" },
  { kind: "mcp", title: "MCP SERVERS", of: "MCP servers" },
] as const;

/** As they come: who holds most first. What is not known has a question mark, and what is not there a dash. */
export function formatAgentMemory({ agents, read }: AgentMemoryRows): readonly string[] {
  const right = { align: "right" } as const;
  const columns = [
    { title: "AGENT" },
    { title: "HELD", ...right },
    { title: "CELLS", ...right },
    { title: "HEAP", ...right },
    { title: "BUFFERS", ...right },
    ...kinds.map(({ title }) => ({ title, ...right })),
  ];
  const rows = agents.map(({ agentId, heldBytes, cells, heapBytes, externalBytes, processes }) => [
    agentId,
    formatBytes(heldBytes),
    String(cells),
    bytesIn(heapBytes, cells > 0),
    bytesIn(externalBytes, cells > 0),
    ...kinds.map(({ kind }) => {
      const found = processes[kind];
      if (found === undefined) return read.includes(kind) ? "" : "?";
      return found.processes === 1
        ? formatBytes(found.residentBytes)
        : `${formatBytes(found.residentBytes)} in ${found.processes}`;
    }),
  ]);
  return formatTable(columns, rows);
}

/** What the table does not say by itself. */
export function noteAgentMemory({ read, residentBytes }: AgentMemoryRows): readonly string[] {
  const unknown = kinds.filter(({ kind }) => !read.includes(kind)).map(({ of }) => of);
  return [
    `the gateway's process holds ${formatBytes(residentBytes)}, with the cells that are threads in it`,
    ...(unknown.length === 0 ? [] : [`not known here: what processes of ${unknown.join(", ")} hold`]),
  ];
}

const bytesIn = (bytes: number | undefined, isThere: boolean): string =>
  bytes === undefined ? (isThere ? "?" : "") : formatBytes(bytes);
