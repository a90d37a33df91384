/** What crosses between the memory's thread and the kernel's. The thread decides no right: what reaches it has been judged. */
import type { EmbedAsk, EmbedEnd } from "../../broker/port.ts";

/** A collection as the config has it. Source: behaviour §6.5. */
export interface MemorySource {
  /** Absolute: a folder, or one file. */
  readonly path: string;
  readonly pattern: string;
  /** Absent: the last part of the path. */
  readonly name?: string;
}

/** Whose memory it is, and of what it consists. */
export interface MemoryPlace {
  readonly agentId: string;
  readonly workspace: string;
  /** Where the index is: of this agent alone, in no folder that a tool of an agent sees. */
  readonly indexFile: string;
  /** `MEMORY.md`, `memory.md` and `memory/` of the workspace. */
  readonly includesDefault: boolean;
  readonly sources: readonly MemorySource[];
  /** Nothing below these is a collection: the gateway's own files. This and the next two are empty where no source is outside of the workspace. */
  readonly closed: readonly string[];
  /** Workspaces of agents that a source names by its path. Below a closed folder and open all the same. */
  readonly open: readonly string[];
  /** Workspaces of other agents, which no source names: a link into one of them is not followed. */
  readonly others: readonly string[];
  /** Hits of one search, unless it asks for fewer. */
  readonly resultsMax: number;
  /** Absent: words alone are searched. */
  readonly embeddings?: MemoryEmbeddings;
}

/** Search by meaning. */
export interface MemoryEmbeddings {
  /** `provider/model`: vectors of another one say nothing. */
  readonly model: string;
  /** Cosine of the angle between query and piece, from which on the piece is a hit. */
  readonly scoreMin: number;
}

export interface MemoryStatus {
  readonly agentId: string;
  readonly files: number;
  readonly pieces: number;
  readonly chars: number;
  readonly collections: readonly {
    readonly name: string;
    readonly path: string;
    readonly pattern: string;
    readonly files: number;
    /** Why nothing, or not all of it, is indexed. */
    readonly problem?: string;
  }[];
  /** Files that are not in the index, with the reason; the first few. */
  readonly leftOut: readonly { readonly collection: string; readonly path: string; readonly reason: string }[];
  /** Changed files that are not indexed yet. */
  readonly behind: number;
  /** Absent: words alone are searched. `without`: pieces that have no vector yet. */
  readonly embeddings?: {
    readonly model: string;
    readonly vectors: number;
    readonly without: number;
    /** Why the last call for vectors gave none. */
    readonly problem?: string;
  };
}

export interface MemoryForKernel {
  /** `memory_search` and `memory_get`: the result object, from parameters as the cell wrote them. Never rejects by itself. */
  run(tool: "memory_search" | "memory_get", place: MemoryPlace, params: string): Promise<object>;
  /** Reads all that has changed; `isNew`: the index is made anew. */
  index(place: MemoryPlace, isNew: boolean): Promise<MemoryStatus>;
  /** Reads no file of the memory. */
  status(place: MemoryPlace): Promise<MemoryStatus>;
  /** Before the thread ends. */
  close(): Promise<void>;
}

/** What the memory's thread may call: the broker's, by way of the main thread. Secrets of providers stay there. */
export interface KernelForMemory {
  /** Never rejects by itself. */
  embed(ask: EmbedAsk): Promise<EmbedEnd>;
}
