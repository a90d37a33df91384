/** MCP servers of tests: real ones, as processes and over HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { randomUUID } from "node:crypto";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { SecretValue } from "../../runtime/broker/port.ts";
import type { McpServer } from "../../runtime/mcp/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { makeTestServer, TestTasks } from "../fixtures/mcp/tools.ts";

const program = fileURLToPath(new URL("../fixtures/mcp/stdio.ts", import.meta.url));

const times = { connectMs: limits.mcpConnectMs, requestMs: limits.mcpRequestMs, taskWaitMs: limits.mcpTaskWaitMs };

/** A server that is a process. */
export const stdioServer = (
  name: string,
  changes: Partial<McpServer> = {},
  args: readonly string[] = [],
): McpServer => ({
  name,
  at: { type: "stdio", command: process.execPath, args: [program, ...args], env: {} },
  ...times,
  ...changes,
});

export const httpServer = (
  name: string,
  url: string,
  headers: Readonly<Record<string, SecretValue>> = {},
  changes: Partial<McpServer> = {},
): McpServer => ({
  name,
  at: { type: "http", url, headers },
  ...times,
  ...changes,
});

export interface HttpMcp {
  readonly url: string;
  /** Headers of the requests that came. */
  readonly seen: readonly IncomingMessage["headers"][];
  /** What those had as `x-key` that gave their session back. */
  readonly ended: readonly unknown[];
  /** What it carries out: the same for all of its sessions. */
  readonly tasks: TestTasks;
  /** As if it were started again: it knows no session any more. */
  readonly forget: () => void;
  readonly close: () => Promise<void>;
}

/** A server over HTTP, with sessions. */
export async function openHttpMcp(
  answer?: (request: IncomingMessage, response: ServerResponse) => boolean,
): Promise<HttpMcp> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const seen: IncomingMessage["headers"][] = [];
  const ended: unknown[] = [];
  const tasks = new TestTasks();
  const server: Server = createServer((request, response) => {
    seen.push(request.headers);
    if (request.method === "DELETE") ended.push(request.headers["x-key"]);
    if (answer?.(request, response) === true) return;
    void serve(request, response);
  });
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response);
    if (id !== undefined) return void response.writeHead(404).end();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (made) => void sessions.set(made, transport),
    });
    await makeTestServer(tasks).connect(transport);
    await transport.handleRequest(request, response);
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    ended,
    tasks,
    forget: () => {
      for (const transport of sessions.values()) void transport.close();
      sessions.clear();
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
