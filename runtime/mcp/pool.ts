/**
 * Connections to MCP servers, one for each agent and server as long as somebody uses it. A call holds its connection; one that nobody holds is
 * closed after a while, and one whose server is another by now, or whose secrets are, when its last call has ended.
 *
 *   (none) ──wanted──► connecting ──► open ──held by nobody for `idleMs`──► (none)
 *                          │           └── ends by itself ──┐
 *                          └── fails ──► failed ◄───────────┘
 *                                          └── wanted after `retryAtMs` ──► connecting
 */
import path from "node:path";
import { joinSecretsRead, nothingRead } from "../broker/secrets-read.ts";
import { unlessAborted } from "../../channels/aborted.ts";
import { compareSecrets, type ReadReferences, readReferences } from "../broker/follow-secrets.ts";
import { makeSecretReader } from "../broker/secret-refs.ts";
import { limits } from "../kernel/limits.ts";
import type { ToolSpec } from "../thread/actor-port.ts";
import type { OwnedProcess } from "../thread/process-port.ts";
import type { Connect, Connection } from "./connection.ts";
import { nameTools } from "./names.ts";
import { referencesOfServer, withSecrets } from "./read-secrets.ts";
import {
  type KernelForMcp,
  type McpAgent,
  type McpConnectionView,
  type McpInit,
  type McpSecretsRead,
  type McpServer,
  type McpSettings,
  type McpTool,
  workspaceCwd,
} from "./port.ts";

export interface PoolClock {
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Gives what takes it back. Keeps no process alive. */
  readonly after: (ms: number, act: () => void) => () => void;
}

export interface PoolDeps extends McpInit {
  readonly connect: Connect;
  readonly clock: PoolClock;
  readonly remote: KernelForMcp;
}

export interface Held {
  readonly connection: Connection;
  readonly tools: readonly McpTool[];
  /** The agent has it no longer. Once. */
  readonly release: () => void;
  /** It is of no use any more: the next one who wants it gets another. */
  discard(reason: string): void;
  /** The server does not know it any more: the next one who wants it gets another at once. */
  renew(): void;
  /** The server did what it was asked for: what failed before is forgotten. */
  worked(): void;
}

export interface Pool {
  /** Rejects with `Unavailable`. */
  hold(agent: McpAgent, server: string): Promise<Held>;
  /** Rejects likewise. */
  tools(agent: McpAgent, server: string): Promise<readonly McpTool[]>;
  /** How long a call waits for its result; with `isTask` for one after which it goes on. */
  waitMs(server: string, isTask?: true): number;
  configure(settings: McpSettings): void;
  /** Connections whose servers would be given another secret are as those of another configuration. */
  readSecrets(): Promise<McpSecretsRead>;
  view(): readonly McpConnectionView[];
  /** The first process of each server that runs, also of one that nobody gets any more. */
  processes(): readonly OwnedProcess[];
  close(): Promise<void>;
}

/** `message` is for the agent: nothing in it is the server's or an operator's. */
export interface Unavailable extends Error {
  readonly isUnavailable: true;
  readonly isBusy: boolean;
  readonly retryAfterMs?: number;
}

interface Slot {
  readonly agent: McpAgent;
  readonly server: McpServer;
  /** Of what it was made from. */
  readonly form: string;
  /** What its server was given last; undefined: not known yet. */
  secrets: ReadReferences | undefined;
  state: McpConnectionView["state"];
  opening: Promise<Connection> | undefined;
  connection: Connection | undefined;
  tools: readonly McpTool[];
  calls: number;
  usedAtMs: number;
  cancelIdle: () => void;
  failures: number;
  retryAtMs: number;
  reason: string | undefined;
  isListing: boolean;
  listAgain: boolean;
  /** Nobody gets it any more. */
  isRetired: boolean;
}

export function makePool({ settings: first, environment, connect, clock, remote }: PoolDeps): Pool {
  let settings = first;
  // Variables stand in the settings already.
  const secrets = makeSecretReader(() => ({ stateDir: settings.stateDir, variables: {} }), clock.nowMs);
  let servers = new Map(first.servers.map((server) => [server.name, server]));
  const slots = new Map<string, Slot>();
  const closing = new Set<Promise<void>>();
  /** The agent of each process. */
  const processes = new Map<number, string>();
  /** Aborted with the pool: ends connections that are being made, too. */
  const end = new AbortController();

  const log = (level: Parameters<KernelForMcp["log"]>[0], message: string, slot: Slot, fields: object = {}): void =>
    void remote
      .log(level, message, { agent: slot.agent.agentId, server: slot.server.name, ...fields })
      .catch(() => undefined);

  const shut = (connection: Connection | undefined): void => {
    if (connection === undefined) return;
    const closed = connection.close().catch(() => undefined);
    closing.add(closed);
    void closed.then(() => closing.delete(closed));
  };

  /** Nobody gets it any more; it ends when nobody holds it. */
  const retire = (slot: Slot): void => {
    slot.isRetired = true;
    slot.cancelIdle();
    if (slots.get(keyOf(slot.agent.agentId, slot.server.name)) === slot)
      slots.delete(keyOf(slot.agent.agentId, slot.server.name));
    if (slot.calls > 0) return;
    shut(slot.connection);
    slot.connection = undefined;
  };

  const watchIdle = (slot: Slot): void => {
    slot.cancelIdle();
    if (slot.calls > 0 || slot.isRetired || slot.state === "connecting") return;
    // What failed is remembered for longer than it is not tried: else a short `idleMs` would undo the back-off.
    const waitMs = slot.state === "failed" ? Math.max(settings.idleMs, 2 * limits.mcpRetryMsMax) : settings.idleMs;
    slot.cancelIdle = clock.after(waitMs, () => retire(slot));
  };

  const fail = (slot: Slot, reason: string): void => {
    const { connection } = slot;
    slot.state = "failed";
    slot.connection = undefined;
    slot.opening = undefined;
    slot.failures++;
    slot.reason = reason;
    // It may have been for a key that is another one by now.
    secrets.forget();
    const waitMs = Math.min(limits.mcpRetryMs * 2 ** Math.min(slot.failures - 1, 20), limits.mcpRetryMsMax);
    slot.retryAtMs = clock.nowMs() + Math.ceil(waitMs * (0.5 + clock.random() / 2));
    shut(connection);
    if (!slot.isRetired && !end.signal.aborted)
      log("warn", "an MCP server failed", slot, { reason, failures: slot.failures });
    watchIdle(slot);
  };

  const readTools = async (slot: Slot, connection: Connection): Promise<void> => {
    const found = await connection.tools();
    const names = nameTools(
      slot.server.name,
      found.map(({ name }) => name),
    );
    slot.tools = found.flatMap((tool, index) => {
      const spec = specOf(names[index] ?? "", tool);
      const support = tool.execution?.taskSupport;
      const isTask = support === "required" || support === "optional";
      if (spec !== undefined) return [{ name: tool.name, spec, ...(isTask ? { isTask } : {}) }];
      const { mcpToolSchemaCharsMax: max } = limits;
      log("warn", `a tool is left out: its parameters take more than ${max} characters`, slot, { tool: tool.name });
      return [];
    });
  };

  const open = async (slot: Slot): Promise<Connection> => {
    const { server, agent } = slot;
    const read = await readReferences(referencesOfServer(server), secrets);
    slot.secrets = read;
    const connection = await connect({
      server: withSecrets(server, read),
      folder: folderOf(server, agent, settings.stateDir),
      environment,
      signal: end.signal,
      onToolsChanged: () => void listAnew(slot),
      onProcess(pid, isRunning) {
        if (isRunning) processes.set(pid, agent.agentId);
        else processes.delete(pid);
        void remote.process(pid, isRunning).catch(() => undefined);
      },
      onEnded: (reason) => {
        if (slot.connection === connection) fail(slot, reason);
      },
    });
    try {
      await readTools(slot, connection);
    } catch (error) {
      await connection.close().catch(() => undefined);
      throw error;
    }
    return connection;
  };

  /** One at a time, and not more often than a server has to say it. */
  async function listAnew(slot: Slot): Promise<void> {
    slot.listAgain = true;
    if (slot.isListing || slot.connection === undefined) return;
    slot.isListing = true;
    slot.listAgain = false;
    try {
      await readTools(slot, slot.connection);
      const { agent, server, tools } = slot;
      // The configuration is another one: what its servers have is asked anew.
      if (!slot.isRetired) await remote.changed(agent.agentId, { server: server.name, result: { tools } });
    } catch (error) {
      log("warn", "the tools of an MCP server could not be listed anew", slot, { reason: messageOf(error) });
    }
    clock.after(limits.mcpRetryMs, () => {
      slot.isListing = false;
      if (slot.listAgain) void listAnew(slot);
    });
  }

  const begin = (slot: Slot): Promise<Connection> => {
    slot.state = "connecting";
    slot.cancelIdle();
    const opening = open(slot).then(
      (connection) => {
        slot.opening = undefined;
        slot.connection = connection;
        slot.state = "open";
        slot.reason = undefined;
        if (end.signal.aborted || (slot.isRetired && slot.calls === 0)) {
          shut(connection);
          throw unavailable(slot.server.name, "its configuration has changed");
        }
        log("info", "an MCP server is connected", slot, { tools: slot.tools.length, pid: connection.pid });
        watchIdle(slot);
        return connection;
      },
      (error: unknown) => {
        fail(slot, messageOf(error));
        throw unavailable(slot.server.name, "it could not be reached or started", slot.retryAtMs - clock.nowMs());
      },
    );
    slot.opening = opening;
    return opening;
  };

  const makeRoom = (): void => {
    if (slots.size < limits.mcpConnectionsMax) return;
    const [oldest] = [...slots.values()]
      .filter(({ calls, state }) => calls === 0 && state !== "connecting")
      .toSorted((a, b) => a.usedAtMs - b.usedAtMs);
    if (oldest === undefined)
      throw Object.assign(new Error(`${slots.size} connections to MCP servers are in use; the bound is reached`), {
        isUnavailable: true,
        isBusy: true,
      } satisfies Partial<Unavailable>);
    retire(oldest);
  };

  const slotOf = (agent: McpAgent, name: string): Slot => {
    const server = servers.get(name);
    if (server === undefined || end.signal.aborted)
      throw unavailable(name, end.signal.aborted ? "the gateway stops" : "it is not configured");
    const key = keyOf(agent.agentId, name);
    const known = slots.get(key);
    // A process stays where it was started.
    if (known !== undefined && known.agent.workspace === agent.workspace) return known;
    if (known !== undefined) retire(known);
    makeRoom();
    const slot: Slot = {
      agent,
      server,
      form: formOf(server),
      secrets: undefined,
      state: "failed",
      opening: undefined,
      connection: undefined,
      tools: [],
      calls: 0,
      usedAtMs: clock.nowMs(),
      cancelIdle: () => undefined,
      failures: 0,
      retryAtMs: 0,
      reason: undefined,
      isListing: false,
      listAgain: false,
      isRetired: false,
    };
    slots.set(key, slot);
    return slot;
  };

  const connected = (slot: Slot): Promise<Connection> => {
    if (slot.connection !== undefined) return Promise.resolve(slot.connection);
    if (slot.opening !== undefined) return slot.opening;
    const waitMs = slot.retryAtMs - clock.nowMs();
    if (waitMs > 0) throw unavailable(slot.server.name, "it failed a moment ago, and is tried again later", waitMs);
    return begin(slot);
  };

  const hold: Pool["hold"] = async (agent, name) => {
    const slot = slotOf(agent, name);
    slot.calls++;
    slot.usedAtMs = clock.nowMs();
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      slot.calls--;
      slot.usedAtMs = clock.nowMs();
      if (slot.isRetired) retire(slot);
      else watchIdle(slot);
    };
    try {
      const connection = await connected(slot);
      slot.cancelIdle();
      return {
        connection,
        tools: slot.tools,
        release,
        discard: (reason) => {
          if (slot.connection === connection) fail(slot, reason);
        },
        renew: () => {
          if (slot.connection !== connection) return;
          slot.connection = undefined;
          shut(connection);
        },
        worked: () => (slot.failures = 0),
      };
    } catch (error) {
      release();
      throw error;
    }
  };

  /** `among`: those of this server. */
  const readAnew = async (server: McpServer, among: readonly Slot[]): Promise<McpSecretsRead> => {
    const places = referencesOfServer(server);
    if (places.length === 0) return { ...nothingRead, servers: [] };
    const read = await readReferences(places, secrets);
    const { unread } = compareSecrets(undefined, read);
    if (unread.length > 0) return { renewed: [], unread, servers: [] };
    const compared = among
      .filter(({ isRetired }) => !isRetired)
      .map((slot) => ({ slot, ...compareSecrets(slot.secrets, read) }));
    // What failed may have failed for what its server was given, in whatever way that is seen there.
    const ended = compared.filter(({ slot, renewed }) => renewed.length > 0 || slot.state === "failed");
    for (const { slot } of ended) retire(slot);
    return { ...joinSecretsRead(compared), servers: ended.length > 0 ? [server.name] : [] };
  };

  return {
    hold,
    async tools(agent, name) {
      const { tools, release } = await hold(agent, name);
      release();
      return tools;
    },
    waitMs: (name, isTask) =>
      isTask
        ? (servers.get(name)?.taskWaitMs ?? limits.mcpTaskWaitMs)
        : (servers.get(name)?.requestMs ?? limits.mcpRequestMs),
    configure(next) {
      settings = next;
      secrets.forget();
      servers = new Map(next.servers.map((server) => [server.name, server]));
      const agentIds = new Set(next.agentIds);
      for (const slot of slots.values()) {
        const server = servers.get(slot.server.name);
        if (server === undefined || formOf(server) !== slot.form || !agentIds.has(slot.agent.agentId)) retire(slot);
      }
    },
    async readSecrets() {
      secrets.forget();
      const before = [...slots.values()];
      const read = await Promise.all(
        [...servers.values()].map((server) =>
          readAnew(
            server,
            before.filter((slot) => slot.server === server),
          ),
        ),
      );
      return { ...joinSecretsRead(read), servers: read.flatMap(({ servers: names }) => names) };
    },
    processes: () => [...processes].map(([pid, agentId]) => ({ pid, agentId })),
    view: () =>
      [...slots.values()].map(({ agent, server, state, tools, calls, connection, reason, retryAtMs }) => ({
        agentId: agent.agentId,
        server: server.name,
        state,
        tools: tools.length,
        calls,
        ...(connection?.pid === undefined ? {} : { pid: connection.pid }),
        ...(reason === undefined ? {} : { reason }),
        ...(state === "failed" ? { retryAtMs } : {}),
      })),
    async close() {
      end.abort();
      const opening = [...slots.values()].map(({ opening: mine }) => mine?.catch(() => undefined));
      for (const slot of slots.values()) {
        slot.calls = 0;
        retire(slot);
      }
      await Promise.all([...opening, ...closing]);
      await Promise.all(closing);
    },
  };
}

/**
 * Where the server is started, if it is a process. Many programs run what they find there (`npx` takes `node_modules/.bin` and `.npmrc`, Python the modules
 * beside it), so that the folder is the agent's own only if the operator says so.
 */
function folderOf({ name, at }: McpServer, { agentId, workspace }: McpAgent, stateDir: string): string {
  const own = path.join(stateDir, "mcp", name, agentId);
  if (at.type === "http") return own;
  return at.cwd === workspaceCwd ? workspace : (at.cwd ?? own);
}

/** Ends early when the signal aborts. */
export async function pause(clock: PoolClock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const takeBack = clock.after(ms, resolve);
  await unlessAborted(promise, signal);
  takeBack();
}

const keyOf = (agentId: string, server: string): string => `${agentId} ${server}`;

const formOf = (server: McpServer): string => JSON.stringify(server);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function unavailable(server: string, why: string, retryAfterMs?: number): Unavailable {
  return Object.assign(new Error(`the MCP server ${server} is not available: ${why}`), {
    isUnavailable: true as const,
    isBusy: false,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.max(0, retryAfterMs) }),
  });
}

export function isUnavailable(error: unknown): error is Unavailable {
  return error instanceof Error && "isUnavailable" in error;
}

interface Offered {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly inputSchema: Readonly<Record<string, unknown>>;
}

/** Undefined: what it wants to be given is too much for a model to be told. */
function specOf(name: string, { title, description, inputSchema }: Offered): ToolSpec | undefined {
  if (JSON.stringify(inputSchema).length > limits.mcpToolSchemaCharsMax) return undefined;
  return {
    name,
    description: (description ?? title ?? "").slice(0, limits.mcpToolTextCharsMax),
    parameters: { ...inputSchema, type: "object" },
  };
}
