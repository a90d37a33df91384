/**
 * One connection to one server, by the SDK of the protocol. What the server says of its own answers (output schemas) is not compiled: results are
 * text to whoever gets them.
 */
import { mkdir } from "node:fs/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  type CallToolResult,
  CallToolResultSchema,
  ErrorCode,
  ListToolsResultSchema,
  McpError,
  type Tool,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { limits } from "../kernel/limits.ts";
import { makeMessageFetch } from "./http.ts";
import type { McpServer } from "./port.ts";
import { makeStdioTransport, type StdioTransport } from "./stdio.ts";

export interface Connection {
  readonly pid: number | undefined;
  /** All that the server has, as far as the bound. */
  tools(): Promise<readonly Tool[]>;
  /** Rejects with `CallFailure`. */
  call(tool: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<CallToolResult>;
  close(): Promise<void>;
}

export interface ConnectionHooks {
  readonly onToolsChanged: () => void;
  /** By itself, once. For operators: it may hold what the server was given. */
  readonly onEnded: (reason: string) => void;
  /** A process of the server runs, or has ended with its group. */
  readonly onProcess: (pid: number, isRunning: boolean) => void;
}

export interface ConnectOptions extends ConnectionHooks {
  readonly server: McpServer;
  readonly workspace: string;
  readonly environment: Readonly<Record<string, string>>;
}

export type Connect = (options: ConnectOptions) => Promise<Connection>;

/**
 * `refused`: the server answered, and did not take the call. `late`: it did not answer in time. `lost`: the connection ended, or the call did
 * not get through; `isUnsent` when it had no effect for certain.
 */
export interface CallFailure extends Error {
  readonly kind: "refused" | "late" | "lost";
  readonly isUnsent: boolean;
}

/** Rejects with the reason, for operators. */
export const connect: Connect = async ({ server, workspace, environment, onToolsChanged, onEnded, onProcess }) => {
  // A server that is a process is started there.
  if (server.at.type === "stdio" && server.at.cwd === undefined) await mkdir(workspace, { recursive: true });
  const transport = makeTransport(server, workspace, environment, onProcess);
  const client = new Client(
    { name: "cloister", version: "1" },
    {
      jsonSchemaValidator: {
        getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }),
      },
    },
  );
  let isOpen = false;
  const reasonOf = (error: unknown): string =>
    endOf(transport) ?? (error instanceof Error ? error.message : String(error));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => onToolsChanged());
  const close = async (): Promise<void> => {
    isOpen = false;
    if (transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined)
      await within(transport.terminateSession(), limits.mcpEndMs).catch(() => undefined);
    await client.close();
    // The client lets go of a transport that has ended by itself, and its process may have left others.
    await transport.close();
  };
  Object.assign(client, {
    onclose: () => {
      if (isOpen) onEnded(reasonOf("the connection was closed"));
    },
  });
  const timeout = { timeout: server.connectMs };
  try {
    await client.connect(transport, timeout);
  } catch (error) {
    await close();
    throw new Error(reasonOf(error), { cause: error });
  }
  isOpen = true;
  return {
    get pid() {
      return "pid" in transport ? transport.pid : undefined;
    },
    async tools() {
      if (client.getServerCapabilities()?.tools === undefined) return [];
      const found: Tool[] = [];
      let cursor: string | undefined;
      do {
        const params = cursor === undefined ? {} : { cursor };
        const page = await client.request({ method: "tools/list", params }, ListToolsResultSchema, timeout);
        found.push(...page.tools);
        cursor = page.nextCursor;
      } while (cursor !== undefined && found.length < limits.mcpToolsMax);
      return found.slice(0, limits.mcpToolsMax);
    },
    async call(name, args, signal) {
      const params = { name, arguments: { ...args } };
      const options = { signal, timeout: server.requestMs };
      try {
        return await client.request({ method: "tools/call", params }, CallToolResultSchema, options);
      } catch (error) {
        throw failureOf(error);
      }
    },
    close,
  };
};

function makeTransport(
  { at }: McpServer,
  workspace: string,
  environment: Readonly<Record<string, string>>,
  onProcess: ConnectionHooks["onProcess"],
): StdioTransport | StreamableHTTPClientTransport {
  if (at.type === "http")
    return new StreamableHTTPClientTransport(new URL(at.url), {
      requestInit: { headers: valuesOf(at.headers) },
      fetch: makeMessageFetch(),
    });
  const { command, args, cwd = workspace } = at;
  return makeStdioTransport({ command, args, cwd, env: { ...environment, ...valuesOf(at.env) }, onProcess });
}

function valuesOf(secrets: Readonly<Record<string, { readonly value: string } | { readonly missing: string }>>) {
  return Object.fromEntries(
    Object.entries(secrets).map(([name, secret]) => {
      if ("missing" in secret) throw new Error(secret.missing);
      return [name, secret.value];
    }),
  );
}

function endOf(transport: StdioTransport | StreamableHTTPClientTransport): string | undefined {
  return "ended" in transport ? transport.ended : undefined;
}

function failureOf(error: unknown): CallFailure {
  const message = error instanceof Error ? error.message : String(error);
  const make = (kind: CallFailure["kind"], isUnsent = false): CallFailure =>
    Object.assign(new Error(message, { cause: error }), { kind, isUnsent });
  if (error instanceof McpError) {
    const known: Readonly<Record<number, CallFailure["kind"]>> = {
      [ErrorCode.RequestTimeout]: "late",
      [ErrorCode.ConnectionClosed]: "lost",
    };
    return make(known[error.code] ?? "refused");
  }
  // The session is gone, since the server was started again: it has not looked at the call.
  return make("lost", error instanceof StreamableHTTPError && error.code === 404);
}

async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
