/** What an operator or a tool is shown of live runs. */
import type { LiveRun } from "./live-run.ts";
import type { RunRow, Tokens } from "./run-rows.ts";

export interface RunView {
  readonly run: RunRow;
  /** `queued`: it has no place yet. `waiting`: for what it asked for. */
  readonly status: "queued" | "running" | "waiting" | "ending";
  readonly startedAtMs: number | undefined;
  readonly toolCalls: number;
  readonly tokens?: Tokens;
  readonly treeTokens?: number;
}

export function viewRun({ row, end, holdsPlace, startedAtMs, toolCalls, tokens, treeTokens }: LiveRun): RunView {
  const status =
    end !== undefined ? "ending" : holdsPlace ? "running" : startedAtMs === undefined ? "queued" : "waiting";
  return {
    run: row,
    status,
    startedAtMs,
    toolCalls,
    ...(tokens === undefined ? {} : { tokens }),
    ...(treeTokens === 0 ? {} : { treeTokens }),
  };
}
