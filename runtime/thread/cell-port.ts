/**
 * What passes between the kernel's thread and a cell beside the mailbox: the control interface (comlink), what a cell is
 * started with, and the layout of the shared control block.
 */
import type { AgentSettings } from "./agent-settings.ts";

/** Words of the control block, a SharedArrayBuffer that both sides see without a message. */
export const controlBlock = {
  words: 4,
  /** Counted up by the cell's loop. It stands still when the loop is stuck. */
  beat: 0,
  /** 1: stop between envelopes; nothing more is taken from the mailbox. */
  stop: 1,
  /** Milliseconds that the turns in hand may hold the loop, as they asked by `ctx.busy`; 0: nobody asked. The host bounds it. */
  stuckMs: 2,
  /** Number that the system gave the cell's thread, at level `process`; 0: not known. */
  thread: 3,
} as const;

export interface CellSlot {
  readonly slot: number;
  readonly object: string;
  readonly verbs: readonly string[];
}

export interface CellFile {
  /** One component of a path. */
  readonly name: string;
  readonly content: Uint8Array;
}

export interface CellFiles {
  /** Relative to the workspace. */
  readonly folder: string;
  readonly files: readonly CellFile[];
}

export interface CellInit {
  readonly agentId: string;
  readonly incarnation: number;
  readonly workspace: string;
  readonly model: string | undefined;
  readonly options: Readonly<Record<string, unknown>>;
  readonly settings: AgentSettings;
  readonly mainKey: string;
  readonly slots: readonly CellSlot[];
  /** Only of a sub-agent's first cell. */
  readonly files?: CellFiles;
  /** `source`: a module that ships with Cloister, as one script. `file`: the operator's own, imported from the disk. */
  readonly module:
    | {
        readonly kind: "builtin";
        readonly name: string;
        readonly source: string;
        readonly cachedData: Uint8Array | undefined;
      }
    | { readonly kind: "file"; readonly url: string };
}

/** `takesPart`: the module has a function for the turns of exchanges. */
export type StartResult =
  | { readonly status: "ready"; readonly takesPart: boolean }
  | { readonly status: "invalid"; readonly reason: string };

/** Exposed by the cell through comlink: low rate, no deadlines needed. */
export interface CellControl {
  start(init: CellInit): Promise<StartResult>;
  /** The run of this turn was stopped by somebody. */
  cancel(turn: number): void;
  inspect(): {
    readonly turns: number;
    readonly sessions: number;
    readonly heapUsedBytes: number;
    readonly uptimeMs: number;
  };
}

/** `workerData` of a cell. The bootstrap takes these out before any other code runs. */
export interface CellWorkerData {
  readonly mailbox: unknown;
  readonly control: unknown;
  readonly block: SharedArrayBuffer;
  /** Source and code cache of the bootstrap (`dist/cell.cjs`), and of the module `cloister` for actor modules. */
  readonly source: string;
  readonly cachedData: Uint8Array | undefined;
  readonly sdk: string;
  /** Where the shipped `zod` is, for actor modules that have no own. */
  readonly zodUrl: string;
  readonly workspace: string;
  readonly level: "thread" | "process";
  readonly trust: "confined" | "trusted";
  /** Nice value of its thread; undefined where threads have none. */
  readonly nice: number | undefined;
}
