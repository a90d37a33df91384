/**
 * Lane `subagent`: how many runs work at a time, over all agents. A run takes its place before its cell starts, and gives it back
 * while it waits for a child or anybody else and between its turns, so that whoever it waits for can have it, at any depth and
 * with one place (A4.4). Whose turn it is among those that wait: `places.ts`.
 */
import { stateOf } from "./lanes.ts";
import { freePlace, hasPlace, takePlace, wantPlace } from "./places.ts";
import { noteRun } from "./run-notes.ts";
import { findSpent } from "./run-tree.ts";
import type { AgentEntry, KernelState } from "./state.ts";

/** The lane's name, which the mail of runs carries (`lanes.ts`). */
export const runLane = "subagent";

/** Whether the run may go on; if not, it waits in the row. `isNext`: it was the first of that. */
export function takeRunPlace(k: KernelState, entry: AgentEntry, isNext: boolean): boolean {
  const { run } = entry;
  if (run === undefined || run.holdsPlace) return true;
  if (run.end !== undefined || run.phase !== "alive") return false;
  if (findSpent(k, entry) !== undefined) {
    // Its next turn would take more: it ends instead (`run-ends.ts`).
    noteRun(k, entry);
    return false;
  }
  const lane = stateOf(k, runLane);
  if (lane === undefined) return true;
  if (!hasPlace(k, lane, run.row.agentId) || (!isNext && (lane.wanting.size > 0 || lane.runs.has(run.row.agentId)))) {
    wantPlace(k, lane, entry);
    return false;
  }
  hold(k, entry);
  return true;
}

/** It waited, and goes on at once, also when the lane is full by now: it was admitted before. */
export function takeRunPlaceAgain(k: KernelState, entry: AgentEntry): void {
  if (entry.run !== undefined && !entry.run.holdsPlace && entry.run.phase === "alive") hold(k, entry);
}

function hold(k: KernelState, entry: AgentEntry): void {
  const lane = stateOf(k, runLane);
  if (entry.run === undefined || lane === undefined) return;
  entry.run.holdsPlace = true;
  takePlace(lane, entry);
}

export function giveRunPlaceBack(k: KernelState, entry: AgentEntry): void {
  const lane = stateOf(k, runLane);
  if (entry.run?.holdsPlace !== true || lane === undefined) return;
  entry.run.holdsPlace = false;
  freePlace(k, lane, entry);
}
