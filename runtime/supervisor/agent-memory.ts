/**
 * The memory of each agent: of its cells, as the watch over them last read it, and of the processes that run for it, which are read when somebody asks. Each thread reads
 * those that it started; this one reads those of cells at level `process`. Source: needs A6.2.
 */
import { limits } from "../kernel/limits.ts";
import type { CellFigures } from "../thread/cell-host.ts";
import { readHeldMemory } from "../thread/process-memory.ts";
import type { HeldMemory } from "../thread/process-port.ts";
import { isWithin } from "../thread/within.ts";

/** What processes run for an agent: of its cells at level `process`, its commands, its MCP servers. */
export const processKinds = ["cells", "commands", "mcp"] as const;
export type ProcessKind = (typeof processKinds)[number];

/** By agent. Undefined: the system does not tell, or whoever started them did not answer in time. */
export type HeldByKind = Readonly<Record<ProcessKind, ReadonlyMap<string, HeldMemory> | undefined>>;

type Read = () => Promise<readonly HeldMemory[] | undefined>;

export interface AgentMemoryDeps {
  readonly cells: () => readonly CellFigures[];
  readonly commands: { readonly heldMemory: Read };
  readonly mcp: { readonly heldMemory: Read };
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly nowMs?: () => number;
  /** Default: `limits.processMemoryReadMs`. */
  readonly readMs?: number;
}

export interface AgentMemoryRow {
  readonly agentId: string;
  readonly cells: number;
  /** Absent: not read yet, or there is no cell. */
  readonly heapBytes?: number;
  readonly externalBytes?: number;
  /** Absent: there is none, or `read` does not name the kind. */
  readonly processes: Readonly<Partial<Record<ProcessKind, Omit<HeldMemory, "agentId">>>>;
  /** Heap and buffers of cells that are threads, and all that its processes hold. */
  readonly heldBytes: number;
}

export interface AgentMemory {
  readonly cells: () => readonly CellFigures[];
  /** Not older than `limits.processMemoryMs`. Never rejects. */
  held(): Promise<HeldByKind>;
  /** Agents that have a cell or a process, who holds most first; or this one alone. `read`: the kinds of processes whose memory is known. */
  rows(agentId?: string): Promise<{
    readonly read: readonly ProcessKind[];
    readonly residentBytes: number;
    readonly agents: readonly AgentMemoryRow[];
  }>;
}

export function makeAgentMemory({
  cells,
  commands,
  mcp,
  nowMs = () => performance.now(),
  readMs = limits.processMemoryReadMs,
}: AgentMemoryDeps): AgentMemory {
  const sources: Readonly<Record<ProcessKind, Read>> = {
    cells: oneAtATime(() =>
      readHeldMemory(cells().flatMap(({ agentId, pid }) => (pid === undefined ? [] : [{ agentId, pid }]))),
    ),
    commands: oneAtATime(() => commands.heldMemory()),
    mcp: oneAtATime(() => mcp.heldMemory()),
  };
  let last: { readonly atMs: number; readonly held: Promise<HeldByKind> } | undefined;

  const readKind = async (kind: ProcessKind): Promise<HeldByKind[ProcessKind]> => {
    const reading = sources[kind]();
    const found = (await isWithin(reading, readMs)) ? await reading : undefined;
    return found && new Map(found.map((row) => [row.agentId, row]));
  };

  const readAll = async (): Promise<HeldByKind> => {
    const [ofCells, ofCommands, ofMcp] = await Promise.all(processKinds.map(readKind));
    return { cells: ofCells, commands: ofCommands, mcp: ofMcp };
  };

  const held = (): Promise<HeldByKind> => {
    const now = nowMs();
    if (last === undefined || now - last.atMs >= limits.processMemoryMs) last = { atMs: now, held: readAll() };
    return last.held;
  };

  return {
    cells,
    held,
    async rows(agentId) {
      const found = await held();
      const read = processKinds.filter((kind) => found[kind] !== undefined);
      const living = Map.groupBy(cells(), (cell) => cell.agentId);
      const ids =
        agentId === undefined
          ? [...living.keys(), ...read.flatMap((kind) => [...(found[kind]?.keys() ?? [])])]
          : [agentId];
      return {
        read,
        residentBytes: process.memoryUsage.rss(),
        agents: [...new Set(ids)]
          .map((id) => rowOf(id, living.get(id) ?? [], found))
          .toSorted((a, b) => b.heldBytes - a.heldBytes),
      };
    },
  };
}

/** Of these cells together; undefined: none of them was read. */
export const sumOf = (
  cells: readonly CellFigures[],
  of: (cell: CellFigures) => number | undefined,
): number | undefined =>
  cells.reduce<number | undefined>((before, cell) => {
    const value = of(cell);
    return value === undefined ? before : (before ?? 0) + value;
  }, undefined);

function rowOf(agentId: string, cells: readonly CellFigures[], held: HeldByKind): AgentMemoryRow {
  const heapBytes = sumOf(cells, ({ memory }) => memory?.heapUsed);
  const externalBytes = sumOf(cells, ({ memory }) => memory?.external);
  const inThreads = cells.filter(({ pid }) => pid === undefined);
  const own = processKinds.flatMap((kind) => {
    const found = held[kind]?.get(agentId);
    return found === undefined
      ? []
      : [[kind, { processes: found.processes, residentBytes: found.residentBytes }] as const];
  });
  return {
    agentId,
    cells: cells.length,
    ...(heapBytes === undefined ? {} : { heapBytes }),
    ...(externalBytes === undefined ? {} : { externalBytes }),
    processes: Object.fromEntries(own),
    heldBytes:
      (sumOf(inThreads, ({ memory }) => memory?.heapUsed) ?? 0) +
      (sumOf(inThreads, ({ memory }) => memory?.external) ?? 0) +
      own.reduce((sum, [, { residentBytes }]) => sum + residentBytes, 0),
  };
}

/** One that has not ended yet is shared: a slow thread is not asked again and again. A failure is as what is not known. */
function oneAtATime(read: Read): Read {
  let open: ReturnType<Read> | undefined;
  return () =>
    (open ??= read()
      .catch(() => undefined)
      .finally(() => (open = undefined)));
}
