/**
 * `memory_search` and `memory_get` for agents, and what an operator asks of an agent's memory. The memory's thread works; what it may read
 * for whom is said here. Source: behaviour §6.5.
 */
import path from "node:path";
import { memoryTools } from "../../../auth/tool-names.ts";
import { isInside } from "../../config/paths.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { KernelForMemory, MemoryForKernel, MemoryPlace, MemorySource } from "../../tools/memory/port.ts";
import { memoryParams, type MemoryTool } from "../../tools/params.ts";
import { entryUrl } from "../../thread/entries.ts";
import { startTrustedThread } from "../../thread/trusted-thread.ts";
import type { Handlers } from "../method-handlers.ts";
import type { Targets } from "../method-targets.ts";
import type { Logger } from "../driver.ts";
import type { Models } from "../models.ts";
import type { Tool } from "./table.ts";
import { makeToolThread, type StartedThread, type ToolThreadDeps } from "./tool-thread.ts";

export interface MemoryDeps extends Pick<ToolThreadDeps<MemoryForKernel>, "agents"> {
  readonly start: (
    onLost: (reason: string) => void,
    handlers: KernelForMemory,
  ) => Promise<StartedThread<MemoryForKernel>>;
  readonly models: Pick<Models, "embed">;
  readonly config: Pick<ResolvedConfig, "stateDir">;
}

export interface Memory {
  readonly tools: Readonly<Record<(typeof memoryTools)[number], Tool>>;
  readonly methods: (targets: Targets) => Handlers<"memory.status" | "memory.index" | "memory.search">;
  close(): Promise<void>;
}

export const makeMemoryStart =
  (log: Logger): MemoryDeps["start"] =>
  (onLost, handlers) =>
    startTrustedThread<MemoryForKernel>({
      entry: entryUrl("memory"),
      name: "memory",
      init: {},
      handlers,
      stuckMs: limits.helperStuckMs,
      onNotStarted: (reason) => log.error({ reason }, "the thread of memory cannot start; the next call tries again"),
      onLost: (reason) => {
        log.error({ reason }, "the thread of memory was lost; the next call starts it again");
        onLost(reason);
      },
    });

/** What sources outside of the workspace are judged by: places of all agents, which nobody needs without one. */
export function boundsOf(
  stateDir: string,
  agents: ReadonlyMap<string, Pick<ResolvedAgent, "agentDir" | "sessionsDir" | "workspace">>,
  workspace: string,
  sources: readonly Pick<MemorySource, "path">[],
): Pick<MemoryPlace, "closed" | "open" | "others"> {
  const outside = sources.filter((source) => !isInside(source.path, workspace));
  if (outside.length === 0) return { closed: [], open: [], others: [] };
  const all = [...agents.values()];
  const workspaces = [...new Set(all.map((agent) => agent.workspace))];
  const isNamed = (folder: string): boolean => outside.some((source) => isInside(source.path, folder));
  return {
    closed: [stateDir, ...all.flatMap(({ agentDir, sessionsDir }) => [agentDir, sessionsDir])],
    open: workspaces.filter(isNamed),
    others: workspaces.filter((folder) => folder !== workspace && !isNamed(folder)),
  };
}

export function makeMemory({ config, agents, models, start }: MemoryDeps): Memory {
  const thread = makeToolThread<MemoryForKernel>({
    agents,
    start: (onLost) => start(onLost, { embed: (ask) => models.embed(ask) }),
  });

  const placeOf = ({ id, workspace, agentDir, memory }: ResolvedAgent): MemoryPlace => ({
    agentId: id,
    workspace,
    indexFile: path.join(agentDir, "memory", "index.sqlite"),
    includesDefault: memory.includesDefault,
    sources: memory.sources,
    ...boundsOf(config.stateDir, agents, workspace, memory.sources),
    resultsMax: memory.resultsMax,
    ...(memory.embeddings === undefined ? {} : { embeddings: memory.embeddings }),
  });

  const toolOf = (name: MemoryTool): Tool => ({
    // What it finds may be another thing the second time, as with every look at a file.
    repeat: "reads",
    parameters: memoryParams[name],
    run: (call) => thread.call(call, (agent, remote) => remote.run(name, placeOf(agent), call.body)),
  });

  return {
    tools: { memory_search: toolOf("memory_search"), memory_get: toolOf("memory_get") },
    methods: (targets) => {
      const found = (reference: string | undefined): MemoryPlace => {
        const agent = agents.get(targets.agent(reference));
        if (agent === undefined) throw failure("CLOISTER_AGENT_UNKNOWN", `agent not found: ${reference ?? ""}`);
        return placeOf(agent);
      };
      return {
        "memory.status": async ({ agentId }) => (await thread.remote()).status(found(agentId)),
        "memory.index": async ({ agentId, force = false }) => (await thread.remote()).index(found(agentId), force),
        "memory.search": async ({ agentId, ...asked }) =>
          (await thread.remote()).run("memory_search", found(agentId), JSON.stringify(asked)),
      };
    },
    close: () => thread.close((remote) => remote.close()),
  };
}
