/**
 * MCP servers as the main thread knows them: what each agent was told of their tools, the calls in hand, and the thread that has the
 * connections, which starts when an agent that may use one first wants to know. Parameters and results pass unread.
 */
import { z } from "zod";
import { nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import { mcpPrefix } from "../../auth/tool-names.ts";
import { mcpServerOf, mcpServersFor } from "../../auth/tool-policy.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type {
  KernelForMcp,
  McpAgent,
  McpConnectionView,
  McpForKernel,
  McpGoesOn,
  McpListing,
  McpSettings,
  McpTool,
} from "../mcp/port.ts";
import type { ToolSpec } from "../thread/actor-port.ts";
import { makeMcpTasks, type McpTasks, type McpTasksDeps } from "./mcp-tasks.ts";
import { fault, type Tool } from "./tools/table.ts";

/** The thread as this side sees it. */
export interface McpThread {
  readonly remote: McpForKernel;
  readonly stop: () => Promise<void>;
}

export interface McpDeps extends McpTasksDeps {
  readonly config: Pick<ResolvedConfig, "mcp" | "stateDir">;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly start: (
    settings: McpSettings,
    handlers: Pick<KernelForMcp, "changed" | "ended">,
    onLost: (reason: string) => void,
  ) => Promise<McpThread>;
}

export interface McpServerRow {
  readonly server: string;
  readonly type: "stdio" | "http";
  /** Agents of the configuration that it is for. */
  readonly agents: number;
  readonly connections: readonly McpConnectionView[];
}

export interface Mcp {
  /** Whether the tools of every server of the agent are known. */
  isKnown(agentId: string): boolean;
  /** Asks those that have not told theirs; resolves when they have, or after a while. Never rejects. */
  ready(agentId: string): Promise<void>;
  /** Names of the tools that the agent was told of, in order. */
  namesOf(agentId: string): readonly string[];
  /** Likewise; of a server whose tools nobody knows, or that is for others, `mcp__<server>__*`: for explanations. */
  patternsOf(agentId: string): readonly string[];
  specOf(agentId: string, name: string): ToolSpec | undefined;
  /** Every tool of every server. */
  readonly tool: Tool;
  endTurn(agentId: string, turn: number): void;
  endCell(agentId: string, incarnation: number): void;
  /** The configuration is another one. */
  changed(): void;
  /** Connections that were given another secret begin anew with their next call. While none was made there is nothing to read. Never rejects. */
  readSecrets(): Promise<SecretsRead>;
  view(): Promise<readonly McpServerRow[]>;
  /** What the processes of servers hold. Rejects when its thread is lost meanwhile. */
  heldMemory(): ReturnType<McpForKernel["heldMemory"]>;
  /** What a server carries out for a session, by the id of its task. */
  readonly cancelTask: McpTasks["cancel"];
  /** Goes on with the tasks of the last process. Rejects as the store does. */
  start(): Promise<void>;
  close(): Promise<void>;
}

interface OpenCall {
  /** The agent as which it was made, and whose cell made it: of a sub-agent that of its run. */
  readonly homeId: string;
  readonly agentId: string;
  readonly incarnation: number;
  readonly turn: number;
  /** Nobody wants its result any more. */
  isOver: boolean;
}

type Known = ReadonlyMap<string, McpTool> | "failed";

export function makeMcp({ config, agents, start, log, ...deps }: McpDeps): Mcp {
  /** Agent → server → its tools by the names that agents know. */
  const catalogue = new Map<string, Map<string, Known>>();
  /** Agents that are told the same share it. */
  const shared = new Map<string, { readonly json: string; readonly tools: ReadonlyMap<string, McpTool> }>();
  /** Agent → servers that a turn of it has waited for in vain: no further one does, until they have told their tools. */
  const late = new Map<string, Set<string>>();
  const open = new Map<number, OpenCall>();
  let nextId = 1;
  let thread: Promise<McpThread> | undefined;
  let isClosed = false;
  /** How often connections began anew for another secret. */
  let renewals = 0;

  const settings = (): McpSettings => ({
    servers: config.mcp.servers,
    idleMs: config.mcp.idleMs,
    stateDir: config.stateDir,
    agentIds: [...agents.keys()],
  });

  const note = (agentId: string, { server, result }: McpListing): void => {
    const own = catalogue.get(agentId) ?? new Map<string, Known>();
    catalogue.set(agentId, own);
    if ("failed" in result) {
      own.set(server, "failed");
      return;
    }
    const json = JSON.stringify(result.tools);
    const last = shared.get(server);
    const tools = last?.json === json ? last.tools : new Map(result.tools.map((tool) => [tool.spec.name, tool]));
    shared.set(server, { json, tools });
    own.set(server, tools);
    late.get(agentId)?.delete(server);
  };

  const forget = (): void => {
    catalogue.clear();
    shared.clear();
    late.clear();
  };

  const changed: KernelForMcp["changed"] = async (agentId, listing) => note(agentId, listing);

  const running = (): Promise<McpThread> => {
    if (isClosed) throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
    const onLost = (reason: string): void => {
      if (thread === mine) thread = undefined;
      log.error({ reason }, "the thread of MCP servers was lost; the next call starts it again");
      if (!isClosed) tasks.lost();
    };
    const mine = (thread ??= start(settings(), { changed, ended: tasks.ended }, onLost));
    mine.catch(() => {
      if (thread === mine) thread = undefined;
    });
    return mine;
  };

  const serversOf = (agentId: string): readonly string[] => mcpServersFor(config.mcp.rules, agentId);

  const unknown = (agentId: string): readonly string[] =>
    serversOf(agentId).filter((server) => {
      const known = catalogue.get(agentId)?.get(server);
      return known === undefined || known === "failed";
    });

  const agentOf = (agentId: string): McpAgent => ({ agentId, workspace: agents.get(agentId)?.workspace ?? "" });

  const tasks: McpTasks = makeMcpTasks(
    { ...deps, log },
    {
      remote: async () => (await running()).remote,
      agentOf,
      mayUse: (agentId, server) => agents.has(agentId) && serversOf(agentId).includes(server),
    },
  );

  /** Those that have answered leave `wanted`. */
  async function ask(agentId: string, wanted: Set<string>): Promise<void> {
    if (wanted.size === 0 || !agents.has(agentId)) return;
    try {
      const { remote } = await running();
      const { mcp } = config;
      const list = async (server: string): Promise<McpListing | undefined> => {
        const before = renewals;
        const [listing] = await remote.list(agentOf(agentId), [server]);
        // Another key may be for other tools.
        return renewals === before ? listing : list(server);
      };
      await Promise.all(
        [...wanted].map(async (server) => {
          const listing = await list(server);
          wanted.delete(server);
          // What is configured meanwhile is asked anew.
          if (listing !== undefined && config.mcp === mcp) note(agentId, listing);
        }),
      );
    } catch (error) {
      log.warn({ agent: agentId, error: toRefusal(error) }, "the tools of MCP servers could not be asked for");
    }
  }

  const toolsOf = (agentId: string): readonly McpTool[] =>
    serversOf(agentId).flatMap((server) => {
      const known = catalogue.get(agentId)?.get(server);
      return known === undefined || known === "failed" ? [] : [...known.values()];
    });

  const find = (agentId: string, name: string): McpTool | undefined => {
    const server = mcpServerOf(config.mcp.rules, name);
    const known = server === undefined ? undefined : catalogue.get(agentId)?.get(server);
    return known === undefined || known === "failed" ? undefined : known.get(name);
  };

  const ready: Mcp["ready"] = async (agentId) => {
    const wanted = unknown(agentId);
    if (wanted.length === 0) return;
    const known = late.get(agentId) ?? new Set<string>();
    late.set(agentId, known);
    void ask(agentId, new Set(wanted.filter((server) => known.has(server))));
    const awaited = new Set(wanted.filter((server) => !known.has(server)));
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        for (const server of awaited) known.add(server);
        resolve();
      }, limits.mcpListMs);
    });
    await Promise.race([ask(agentId, awaited), over]);
    clearTimeout(timer);
  };

  const cancel = (isMeant: (call: OpenCall) => boolean): void => {
    // A thread that is gone has ended it already.
    for (const [id, call] of open)
      if (isMeant(call)) {
        call.isOver = true;
        void thread?.then(({ remote }) => remote.cancel(id)).catch(() => undefined);
      }
  };

  const tool: Tool = {
    repeat: "acts",
    parameters: z.looseObject({}),
    async run({ agentId: entry, incarnation, turn, header, tool: name, body }) {
      const { agentId } = header;
      const server = mcpServerOf(config.mcp.rules, name);
      if (server === undefined) return fault("not_found", `no MCP server of this name is configured: ${name}`);
      const own = [...open.values()].filter((one) => one.homeId === agentId).length;
      if (own >= limits.mcpCallsOfAgentMax)
        return fault(
          "busy",
          `${own} calls of this agent are in hand; the bound is reached`,
          "call it again in a moment",
        );
      if (open.size >= limits.mcpCallsMax)
        return fault(
          "busy",
          `${open.size} calls of MCP servers are in hand; the bound is reached`,
          "call it again in a moment",
        );
      const id = nextId++;
      const call: OpenCall = { homeId: agentId, agentId: entry, incarnation, turn, isOver: false };
      open.set(id, call);
      try {
        // A sub-agent may be given a tool by its requester before its agent was told of any.
        if (find(agentId, name) === undefined) await ready(agentId);
        const { remote } = await running();
        // Both take time: the turn may be over, and the configuration another one.
        const found = find(agentId, name);
        if (call.isOver) return fault("worker_unavailable", "the turn that made the call is over");
        if (found === undefined)
          return unknown(agentId).includes(server)
            ? fault("worker_unavailable", `the MCP server ${server} is not available`, "cloister mcp list tells why")
            : fault("not_found", `the MCP server ${server} has no tool ${name}`);
        // A sub-agent's session ends with its run.
        const asked = { id, server, tool: found.name, params: body, canBeTold: entry === agentId };
        const result = await remote.call({ ...agentOf(agentId), ...asked });
        return goesOn(result) ? await tasks.expect({ header, tool: name }, { ...asked, ...result }) : result;
      } finally {
        open.delete(id);
      }
    },
  };

  return {
    tool,
    ready,
    isKnown: (agentId) => unknown(agentId).length === 0,
    namesOf: (agentId) =>
      toolsOf(agentId)
        .map(({ spec }) => spec.name)
        .toSorted(),
    patternsOf: (agentId) => {
      const named = new Set(serversOf(agentId).filter((server) => !unknown(agentId).includes(server)));
      const others = config.mcp.rules.filter(({ server }) => !named.has(server));
      return [
        ...toolsOf(agentId).map(({ spec }) => spec.name),
        ...others.map(({ server }) => `${mcpPrefix(server)}*`),
      ].toSorted();
    },
    specOf: (agentId, name) => find(agentId, name)?.spec,
    endTurn: (agentId, turn) => cancel((call) => call.agentId === agentId && call.turn === turn),
    endCell: (agentId, incarnation) => cancel((call) => call.agentId === agentId && call.incarnation === incarnation),
    changed() {
      forget();
      // What servers of the last configuration said meanwhile is there before its answer, and what those of this one say, after it.
      void thread?.then(({ remote }) => remote.configure(settings()).then(forget)).catch(() => undefined);
      tasks.changed();
    },
    async readSecrets() {
      // A thread that is lost meanwhile reads them when it starts.
      const read = await thread?.then(({ remote }) => remote.readSecrets()).catch(() => undefined);
      if (read === undefined) return nothingRead;
      const { servers, ...told } = read;
      if (servers.length > 0) renewals++;
      for (const own of catalogue.values()) for (const server of servers) own.delete(server);
      return told;
    },
    cancelTask: (id) => tasks.cancel(id),
    start: () => tasks.start(),
    heldMemory: async () => (thread === undefined ? [] : (await thread).remote.heldMemory()),
    async view() {
      const found = await thread?.then(({ remote }) => remote.connections()).catch(() => []);
      return config.mcp.servers.map(({ name, at }) => ({
        server: name,
        type: at.type,
        agents: [...agents.keys()].filter((agentId) => serversOf(agentId).includes(name)).length,
        connections: (found ?? []).filter(({ server }) => server === name),
      }));
    },
    async close() {
      isClosed = true;
      const last = await thread?.catch(() => undefined);
      await last?.remote.close().catch(() => undefined);
      await last?.stop();
    },
  };
}

const goesOn = (result: object): result is McpGoesOn => "remoteId" in result;
