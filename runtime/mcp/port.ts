/**
 * What crosses between the main thread and that of MCP servers. That thread owns the connections, the processes and what the servers are
 * given as secrets; parameters and results go through the main thread unread. What reaches it has been judged.
 */
import type { SecretsRead } from "../broker/secrets-read.ts";
import type { SecretValue } from "../broker/port.ts";
import type { ToolSpec } from "../thread/actor-port.ts";
import type { HeldMemory } from "../thread/process-port.ts";

/** As `cwd`: the workspace of the agent for which the server is started. */
export const workspaceCwd = "{workspace}";

/** One entry of `mcp.servers`. */
export interface McpServer {
  readonly name: string;
  readonly at:
    | {
        readonly type: "stdio";
        readonly command: string;
        readonly args: readonly string[];
        readonly env: Readonly<Record<string, SecretValue>>;
        /** Absolute, or `workspaceCwd`; absent: a folder of its own, which no agent writes. */
        readonly cwd?: string;
      }
    | { readonly type: "http"; readonly url: string; readonly headers: Readonly<Record<string, SecretValue>> };
  /** Until it has answered the first request, and each further one. */
  readonly connectMs: number;
  readonly requestMs: number;
  /** How long a call waits for what is carried out as a task. */
  readonly taskWaitMs: number;
}

export interface McpSettings {
  readonly servers: readonly McpServer[];
  /** A connection that nobody used for so long is closed, and its process ended. */
  readonly idleMs: number;
  /** Where references to secrets lead. */
  readonly stateDir: string;
  /** Agents of the configuration: connections of others are closed. */
  readonly agentIds: readonly string[];
}

export interface McpInit {
  readonly settings: McpSettings;
  /** What every process of a server is given of the gateway's own environment: no secrets. */
  readonly environment: Readonly<Record<string, string>>;
}

/** For whom a server is asked: each agent has connections of its own. */
export interface McpAgent {
  readonly agentId: string;
  readonly workspace: string;
}

export interface McpTool {
  /** As the server calls it. */
  readonly name: string;
  /** As agents do: `mcp__<server>__<tool>`. */
  readonly spec: ToolSpec;
  /** Its server carries it out as a task. */
  readonly isTask?: true;
}

/** What is known of one server for one agent. */
export interface McpListing {
  readonly server: string;
  readonly result: { readonly tools: readonly McpTool[] } | { readonly failed: string };
}

export interface McpCall extends McpAgent {
  readonly id: number;
  readonly server: string;
  /** As the server calls it. */
  readonly tool: string;
  /** JSON, as the cell wrote it. */
  readonly params: string;
  /** The session can be told of an end that comes after the turn; else the call waits for it. */
  readonly canBeTold: boolean;
}

/** The result of a call that goes on as a task of its server. */
export interface McpGoesOn {
  readonly status: "pending";
  /** As the server calls it. */
  readonly remoteId: string;
  /** Milliseconds since the epoch: the server keeps it for no longer. */
  readonly untilMs: number;
}

/** A task that somebody is to be told the end of. */
export interface McpTask extends McpAgent, Pick<McpGoesOn, "remoteId" | "untilMs"> {
  /** As the gateway calls it. */
  readonly id: string;
  readonly server: string;
  readonly tool: string;
}

export interface McpTaskEnd {
  readonly id: string;
  readonly isDone: boolean;
  readonly text: string;
}

/** Whether the server has said that it ended a task; `why` it has not is for operators. */
export type McpCancelled =
  | { readonly isEnded: true }
  | { readonly isEnded: false; readonly why: string; readonly remedy: string };

export interface McpSecretsRead extends SecretsRead {
  /** Their next calls get new connections; those of before end with the calls that have them. */
  readonly servers: readonly string[];
}

/** For operators. */
export interface McpConnectionView {
  readonly agentId: string;
  readonly server: string;
  readonly state: "connecting" | "open" | "failed";
  readonly tools: number;
  /** Calls in hand. */
  readonly calls: number;
  /** Of a server that is a process. */
  readonly pid?: number;
  /** Why the last attempt failed, or the connection ended. */
  readonly reason?: string;
  /** Milliseconds since the epoch; not before that it is tried again. */
  readonly retryAtMs?: number;
}

export interface McpForKernel {
  /** Connects to those of the servers that are not connected. Never rejects by itself; one that fails says so in its listing. */
  list(agent: McpAgent, servers: readonly string[]): Promise<readonly McpListing[]>;
  /** The result object of the call, or `McpGoesOn`; failures are results with `status` and `code`. */
  call(call: McpCall): Promise<object>;
  /** Its end is told as `ended`, once, unless its time is over before; while its server cannot be reached it is asked again. */
  follow(task: McpTask): Promise<void>;
  /** Its end is wanted no more; the server is not told. */
  unfollow(id: string): Promise<void>;
  /** Tells the server to end it: `ended` is not told then, if it has. */
  cancelTask(task: McpTask): Promise<McpCancelled>;
  /** The result is wanted no more. */
  cancel(id: number): Promise<void>;
  configure(settings: McpSettings): Promise<void>;
  readSecrets(): Promise<McpSecretsRead>;
  connections(): Promise<readonly McpConnectionView[]>;
  /** What the processes of servers hold, of each agent that has any; undefined: the system does not tell. */
  heldMemory(): Promise<readonly HeldMemory[] | undefined>;
  /** Ends every connection and every process. */
  close(): Promise<void>;
}

export interface KernelForMcp {
  /** What a server offers an agent is other than it was told. */
  changed(agentId: string, listing: McpListing): Promise<void>;
  /** A task that is followed has ended. */
  ended(end: McpTaskEnd): Promise<void>;
  /** A process of a server runs, or has ended with its group. */
  process(pid: number, isRunning: boolean): Promise<void>;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields: object): Promise<void>;
}
