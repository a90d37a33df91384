/** What the kernel keeps of a sub-agent's run beside the entry that it shares with agents (`runs.ts`). */
import type { RunEnd, RunRow, Tokens } from "./run-rows.ts";

/** A sub-agent's run from its start to the moment that its end is stored. */
export interface LiveRun {
  row: RunRow;
  readonly pairingId: string;
  /** What it may still use up; a kind that is absent is bounded by the runs above it alone. */
  left: {
    readonly tokens?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly costNanos?: number;
  };
  phase: "storing" | "alive" | "reporting" | "over";
  /** It does not end when it has nothing to do: more may be said in its session, until `letRunEnd`. */
  stays: boolean;
  /** Counts in lane `subagent`. */
  holdsPlace: boolean;
  startedAtMs: number | undefined;
  sessionId: string | undefined;
  /** What its last turn answered with. */
  result: string | undefined;
  /** The end of what it streamed, for a run that ends without a result. */
  progress: string;
  toolCalls: number;
  /** Its own, as its actor reported them. */
  tokens: Tokens | undefined;
  /** With all that it started, all kinds together. */
  treeTokens: number;
  treeCostNanos: number;
  /** Decided, and not stored yet. `isUnheard`: its requester is not told. */
  end: (Pick<RunEnd, "outcome" | "code" | "detail"> & { readonly isUnheard?: true }) | undefined;
  /** The store did not take the end: not again before. */
  retryAtMs: number;
}
