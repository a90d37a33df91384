/**
 * What the cell host needs of whatever a cell lives in: a worker thread (`thread-cell.ts`) or a child process (`process-cell.ts`). The
 * host keeps the books and watches; a backend starts, carries and ends.
 */
import type { ExitReason } from "../kernel/state.ts";
import type { CellAssets } from "./cell-assets.ts";
import type { CellControl, CellInit, StartResult } from "./cell-port.ts";
import type { CellMemory } from "./heap-watch.ts";
import type { StuckProfile } from "./stuck-profile.ts";

export interface CellSpec {
  /** The agent, or the sub-agent's run, that it is the cell of. */
  readonly id: string;
  readonly init: CellInit;
  /** Files and folders that the cell may read beside its workspace: its module and what that imports. */
  readonly readable: readonly string[];
  readonly level: "thread" | "process";
  /** Its agent crashed a short while ago: it starts with a lower CPU priority. */
  readonly isSuspect: boolean;
  /** `trusted`: without Node's permission flag and most stubs. Ports, stamps, bounds and watches stay. */
  readonly trust: "confined" | "trusted";
  /** Whose rights the process of a cell has; absent: the gateway's own. Only a gateway of root can give others. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

export interface CellEnd {
  readonly reason: ExitReason;
  readonly detail: string;
}

export interface BodyEvents {
  /** One frame of the mailbox, as the cell sent it: untrusted, of any form. */
  frame(frame: unknown): void;
  /** It is ended by itself, for this reason, and is still there. Frames that come now count for nothing. */
  ending(reason: ExitReason): void;
  /** Once, after the last frame: the cell is gone, its memory is given back. */
  ended(end: CellEnd): void;
}

/** One cell that runs. All calls are safe after its end; they do nothing then, and what gives a promise rejects. */
export interface CellBody {
  /** Loads the actor. Rejects when the cell cannot be spoken to. */
  start(init: CellInit): Promise<StartResult>;
  post(frame: readonly unknown[]): void;
  cancel(turn: number): void;
  inspect(): Promise<ReturnType<CellControl["inspect"]>>;
  /** Counted up by the cell's loop, as far as is known here; it stands still when the loop is stuck. 0: it did not turn yet. */
  beat(): number;
  /** Milliseconds that the turns in hand asked to hold the loop for; not bounded here. */
  stuckMs(): number;
  /** Begins to sample what the cell computes; what it returns ends that and gives the profile. Never rejects. */
  profile(): () => Promise<StuckProfile>;
  /** Milliseconds that it was ready to run and had no CPU, since it started; 0 where nobody tells. Never rejects. */
  waitedMs(): Promise<number>;
  /** It gets less of the CPU from now on, when others want it. */
  lower(): void;
  /** Rejects when the cell does not run (yet, or any more). */
  measure(): Promise<CellMemory>;
  /** Of a process that is there: its number. */
  pid(): number | undefined;
  /** Nothing more is taken from the mailbox, and the cell is ended from outside, whatever it does. `ended` follows. */
  end(): void;
}

/** Starts what a cell lives in. Never throws: what goes wrong is told as its end. */
export type CellBackend = (spec: CellSpec, assets: CellAssets, events: BodyEvents) => CellBody;
