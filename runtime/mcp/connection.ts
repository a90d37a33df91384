/**
 * One connection to one server, by the SDK of the protocol. What the server says of its own answers (output schemas) is not compiled: results are
 * text to whoever gets them.
 */
import { mkdir, stat } from "node:fs/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  type CallToolResult,
  CallToolResultSchema,
  CancelTaskResultSchema,
  CreateTaskResultSchema,
  ErrorCode,
  GetTaskResultSchema,
  ListToolsResultSchema,
  McpError,
  type Task,
  type Tool,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { z } from "zod";
import { hideSecrets } from "../broker/hide.ts";
import { limits } from "../kernel/limits.ts";
import { isWithin } from "../thread/within.ts";
import { makeMessageFetch } from "./http.ts";
import { workspaceCwd } from "./port.ts";
import type { ReadSecrets, ReadServer } from "./read-secrets.ts";
import { makeStdioTransport, type StdioTransport } from "./stdio.ts";

export interface Connection {
  readonly pid: number | undefined;
  /** All that the server has, as far as the bound. */
  tools(): Promise<readonly Tool[]>;
  /** Rejects with `CallFailure`. */
  call(tool: string, args: Arguments, signal: AbortSignal): Promise<CallToolResult>;
  /**
   * The same as a task, which the server carries out after it has answered. A result: it did it at once. Rejects likewise, as those below do. It takes no
   * signal, and waits longer than a call: a server that is told to let go of it may have begun, and says no name then by which it could be cancelled.
   */
  startTask(tool: string, args: Arguments, ttlMs: number): Promise<Started>;
  task(taskId: string): Promise<Task>;
  /** When the task has ended, which it waits for; `late` after this time, and the task goes on. */
  taskResult(taskId: string, waitMs: number, signal: AbortSignal): Promise<CallToolResult>;
  cancelTask(taskId: string): Promise<void>;
  close(): Promise<void>;
}

export type Started = { readonly task: Task } | { readonly result: CallToolResult };

type Arguments = Readonly<Record<string, unknown>>;

export interface ConnectionHooks {
  readonly onToolsChanged: () => void;
  /** By itself, once. For operators: it quotes the server, though nothing that it was given. */
  readonly onEnded: (reason: string) => void;
  /** A process of the server runs, or has ended with its group. */
  readonly onProcess: (pid: number, isRunning: boolean) => void;
}

export interface ConnectOptions extends ConnectionHooks {
  /** Ends it, also while it is made. */
  readonly signal: AbortSignal;
  readonly server: ReadServer;
  /** Where a server that is a process is started. */
  readonly folder: string;
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
  /** Of what was refused. */
  readonly because?: Refused;
}

/**
 * `method`: the server does not know what it was asked for. `params`: what was named is not there, or not well formed (of a task: it knows none of this name).
 * `fault`: it failed itself, or says something else.
 */
export type Refused = "method" | "params" | "fault";

/** Rejects with the reason, for operators. */
export const connect: Connect = async ({ server, folder, environment, signal: ending, ...hooks }) => {
  const { onToolsChanged, onEnded, onProcess } = hooks;
  // A folder that the operator names has to be there.
  if (server.at.type === "stdio" && (server.at.cwd ?? workspaceCwd) === workspaceCwd)
    await mkdir(folder, { recursive: true });
  // Node would say of it that the program is not there.
  if (server.at.type === "stdio" && (await stat(folder).catch(() => undefined))?.isDirectory() !== true)
    throw new Error(`it cannot be started: its folder (cwd) ${folder} is not there`);
  const transport = makeTransport(server, folder, environment, onProcess);
  const client = new Client(
    { name: "cloister", version: "1" },
    {
      jsonSchemaValidator: {
        getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }),
      },
    },
  );
  let isOpen = false;
  const clean = (text: string): string => hideSecrets(text, secretsOf(server));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => onToolsChanged());
  const stop = (): void => void close().catch(() => undefined);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= end());
  const end = async (): Promise<void> => {
    isOpen = false;
    ending.removeEventListener("abort", stop);
    if (transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined)
      await within(transport.terminateSession(), limits.mcpEndMs).catch(() => undefined);
    await client.close();
    // The client lets go of a transport that has ended by itself, and its process may have left others.
    await transport.close();
  };
  Object.assign(client, {
    onclose: () => {
      if (isOpen) onEnded(clean(endOf(transport) ?? "the connection was closed"));
    },
  });
  const timeout = { timeout: server.connectMs };
  ending.addEventListener("abort", stop);
  try {
    ending.throwIfAborted();
    // The client bounds its first request, and not what it says after that.
    await within(client.connect(transport, timeout), server.connectMs);
  } catch (error) {
    // One that is ended for it says nothing of why.
    const hadEnded = endOf(transport) !== undefined;
    await close();
    throw new Error(clean((hadEnded ? endOf(transport) : undefined) ?? messageOf(error)), { cause: error });
  }
  isOpen = true;
  const stateMs = Math.min(server.requestMs, limits.mcpTaskStateMs);
  const ask = async <T extends z.ZodType>(
    method: string,
    params: object,
    schema: T,
    options: { readonly signal?: AbortSignal; readonly timeout?: number } = {},
  ): Promise<z.infer<T>> => {
    try {
      const sent = { timeout: server.requestMs, ...options };
      return (await client.request({ method, params } as never, schema, sent)) as z.infer<T>;
    } catch (error) {
      throw failureOf(error, clean, client.transport === undefined);
    }
  };
  return {
    get pid() {
      return "pid" in transport ? transport.pid : undefined;
    },
    async tools() {
      const can = client.getServerCapabilities();
      if (can?.tools === undefined) return [];
      const hasTasks = can.tasks?.requests?.tools?.call !== undefined;
      const found: Tool[] = [];
      const endMs = performance.now() + server.connectMs;
      let cursor: string | undefined;
      do {
        // Of pages without a tool there is no end.
        if (performance.now() >= endMs) throw new Error(`it did not tell its tools within ${server.connectMs} ms`);
        const params = cursor === undefined ? {} : { cursor };
        const page = await client
          .request({ method: "tools/list", params }, ListToolsResultSchema, timeout)
          .catch((error: unknown) => {
            throw new Error(clean(`its tools cannot be listed: ${messageOf(error)}`), { cause: error });
          });
        found.push(...page.tools);
        cursor = page.nextCursor;
      } while (cursor !== undefined && found.length < limits.mcpToolsMax);
      // What a tool says of tasks counts for a server that has them.
      return found
        .slice(0, limits.mcpToolsMax)
        .map(({ execution, ...tool }) => (hasTasks ? { ...tool, execution } : tool));
    },
    call: (name, args, signal) => ask("tools/call", { name, arguments: { ...args } }, CallToolResultSchema, { signal }),
    async startTask(name, args, ttl) {
      const params = { name, arguments: { ...args }, task: { ttl } };
      const answer = await ask("tools/call", params, startedSchema, {
        timeout: Math.max(server.requestMs, limits.mcpTaskNamedMs),
      });
      const { data: started } = CreateTaskResultSchema.safeParse(answer);
      return started === undefined ? { result: CallToolResultSchema.parse(answer) } : { task: started.task };
    },
    task: (taskId) => ask("tasks/get", { taskId }, GetTaskResultSchema, { timeout: stateMs }),
    taskResult: (taskId, waitMs, signal) =>
      ask("tasks/result", { taskId }, CallToolResultSchema, { timeout: waitMs, signal }),
    cancelTask: async (taskId) =>
      void (await ask("tasks/cancel", { taskId }, CancelTaskResultSchema, { timeout: stateMs })),
    close,
  };
};

/** A result of a call has no `task`, and one without anything in it is one as well: so it comes last. */
const startedSchema = CreateTaskResultSchema.or(CallToolResultSchema);

function makeTransport(
  { at }: ReadServer,
  folder: string,
  environment: Readonly<Record<string, string>>,
  onProcess: ConnectionHooks["onProcess"],
): StdioTransport | StreamableHTTPClientTransport {
  if (at.type === "http")
    return new StreamableHTTPClientTransport(new URL(at.url), {
      requestInit: { headers: valuesOf(at.headers) },
      fetch: makeMessageFetch(),
    });
  const { command, args } = at;
  return makeStdioTransport({ command, args, cwd: folder, env: { ...environment, ...valuesOf(at.env) }, onProcess });
}

/** What it is given and must not be in a message. */
const secretsOf = ({ at }: ReadServer): readonly string[] =>
  Object.values(at.type === "http" ? at.headers : at.env).flatMap((secret) =>
    "value" in secret ? [secret.value] : [],
  );

function valuesOf(secrets: ReadSecrets) {
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

function failureOf(error: unknown, clean: (text: string) => string, isClosed: boolean): CallFailure {
  const message = clean(messageOf(error));
  const make = (kind: CallFailure["kind"], isUnsent = false): CallFailure =>
    Object.assign(new Error(message, { cause: error }), { kind, isUnsent });
  // Servers answer with the codes that the client has for itself, too: they say nothing by themselves.
  if (error instanceof McpError) {
    if (isClosed || isLate(error)) return make(isClosed ? "lost" : "late");
    return Object.assign(make("refused"), { because: refusedBy[error.code] ?? "fault" });
  }
  // The session is gone, since the server was started again: it has not looked at the call.
  return make("lost", error instanceof StreamableHTTPError && error.code === 404);
}

/** By the code of JSON-RPC, and that of the protocol for a resource that is not there. */
const refusedBy: Readonly<Record<number, Refused>> = {
  [ErrorCode.MethodNotFound]: "method",
  [ErrorCode.InvalidParams]: "params",
  [-32_002]: "params",
};

const requestTimeout: number = ErrorCode.RequestTimeout;

/** Whether the client says it, with the time that it waited. */
const isLate = ({ code, data }: McpError): boolean =>
  code === requestTimeout && typeof data === "object" && data !== null && "timeout" in data;

/** Rejects when the promise does, or has not settled in that time. */
async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  if (!(await isWithin(promise, ms))) throw new Error(`it did not answer within ${ms} ms`);
}

/** The SDK tells what did not fit as JSON of many lines, leaves the status out of a refusal, and what `fetch` met in its cause. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // By its form: the SDK brings a copy of the class.
  const [mismatch] = "issues" in error && Array.isArray(error.issues) ? (error.issues as z.core.$ZodIssue[]) : [];
  if (mismatch !== undefined)
    return `it answered what the protocol does not have: ${mismatch.path.join(".")}: ${mismatch.message}`;
  if (error instanceof StreamableHTTPError && error.code !== undefined && error.code > 0)
    return error.message.includes(String(error.code)) ? error.message : `${error.message} (HTTP ${error.code})`;
  return error.message === "fetch failed" && error.cause instanceof Error
    ? `it cannot be reached: ${error.cause.message}`
    : error.message;
}
