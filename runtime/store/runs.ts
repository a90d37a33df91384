/**
 * Sub-agent runs, in the journal's environment, so that a run begins in the transaction that journals its task, and ends in the
 * one that journals the message to its requester: whatever ends the process, each end is told once (docs/adr/0023-sub-agents.md).
 *
 * Layout, since format 7 (`I` is `keyText` of the run's id, `S` of the session that asked for it):
 *   ["run", I]         → RunState
 *   ["runs", S, I]     → 0       the runs of a session
 *   ["open", I]        → 0       runs that have not ended
 *   ["ended", atMs, I] → 0       runs that have, by the time of their end; ["ended"] → their number
 *   ["due", atMs, I]   → 0       shared with `signals.ts`: a completion to try again, or a session to archive
 * Every function that writes runs inside a transaction.
 */
import type { Fires } from "../kernel/envelope.ts";
import type { RunEnd, RunRow } from "../kernel/run-rows.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { RunQuery, StoredRun } from "./port.ts";

interface RunState extends StoredRun {
  /** When it is due; absent when nothing is to be done any more. */
  readonly atMs?: number;
}

export function addRun(environment: Environment, run: RunRow): void {
  environment.put(["run", keyText(run.id)], run satisfies RunState);
  environment.put(["runs", keyText(run.requesterSessionKey), keyText(run.id)], 0);
  environment.put(["open", keyText(run.id)], 0);
}

/** False, and nothing is changed, when there is no such run or it has ended: the first end of a run is its end. */
export function endRun(
  environment: Environment,
  id: string,
  end: RunEnd,
  tryAtMs: number | undefined,
  endedMax: number,
): boolean {
  const state = environment.get<RunState>(["run", keyText(id)]);
  if (state === undefined || state.end !== undefined) return false;
  environment.remove(["open", keyText(id)]);
  environment.put(["ended", end.endedAtMs, keyText(id)], 0);
  const count = (environment.get<number>(["ended"]) ?? 0) + 1;
  environment.put(["ended"], count);
  put(environment, state, { ...state, end, ...dueOf(state, end, tryAtMs) });
  if (count > endedMax) forgetOldest(environment);
  return true;
}

/** Its completion is in a mailbox, or is given up: what is left to do is to archive its session. */
export function settleRun(environment: Environment, id: string, delivery: RunEnd["delivery"]): boolean {
  const state = environment.get<RunState>(["run", keyText(id)]);
  if (state?.end?.delivery !== "pending") return false;
  const end = { ...state.end, delivery };
  const { atMs: _, ...row } = state;
  put(environment, state, { ...row, end, ...dueOf(row, end, undefined) });
  return true;
}

/** Whether the due row became an envelope: the completion of a run that waits for its delivery. */
export function advanceRun(environment: Environment, { id, dueAtMs }: Fires): boolean {
  const state = environment.get<RunState>(["run", keyText(id)]);
  return state?.end?.endedAtMs === dueAtMs && settleRun(environment, id, "delivered");
}

export function archiveRun(environment: Environment, id: string, atMs: number): void {
  const state = environment.get<RunState>(["run", keyText(id)]);
  if (state?.end === undefined || state.end.delivery === "pending") return;
  const { atMs: _, ...row } = state;
  put(environment, state, { ...row, archivedAtMs: atMs });
}

/** False when it is no run. */
export function postponeRun(environment: Environment, id: string, atMs: number): boolean {
  const state = environment.get<RunState>(["run", keyText(id)]);
  if (state === undefined) return false;
  if (state.atMs !== undefined) put(environment, state, { ...state, atMs });
  return true;
}

export function findRun(environment: Environment, id: string): StoredRun | undefined {
  const state = environment.get<RunState>(["run", keyText(id)]);
  return state && rowOf(state);
}

export function dueRun(
  environment: Environment,
  idText: string,
): { readonly run: StoredRun; readonly triedAtMs: number } | undefined {
  const state = environment.get<RunState>(["run", idText]);
  return state?.atMs === undefined ? undefined : { run: rowOf(state), triedAtMs: state.atMs };
}

/** Newest first. */
export function listRuns(
  environment: Environment,
  { requesterSessionKey, isOpen, limit }: RunQuery,
): readonly StoredRun[] {
  const range =
    requesterSessionKey !== undefined
      ? { start: ["runs", keyText(requesterSessionKey), 0], end: ["runs", keyText(requesterSessionKey), top] }
      : isOpen === true
        ? { start: ["open", 0], end: ["open", top] }
        : { start: ["run", 0], end: ["run", top] };
  const rows: StoredRun[] = [];
  for (const { key } of environment.entries({ ...range, reverse: true })) {
    const state = environment.get<RunState>(["run", key.at(-1) as string]);
    if (state === undefined || (isOpen !== undefined && isOpen !== (state.end === undefined))) continue;
    rows.push(rowOf(state));
    if (rows.length >= limit) break;
  }
  return rows;
}

/** Its completion first, then the archive; nothing when neither is wanted any more. */
function dueOf(
  { cleanup, archiveAfterMs }: RunRow,
  { delivery, endedAtMs }: RunEnd,
  tryAtMs: number | undefined,
): { readonly atMs?: number } {
  if (delivery === "pending") return { atMs: tryAtMs ?? endedAtMs };
  if (cleanup === "delete") return { atMs: endedAtMs };
  return archiveAfterMs > 0 ? { atMs: endedAtMs + archiveAfterMs } : {};
}

/** The oldest of which nothing is due any more; of the oldest thousand only, so that one write stays short. */
function forgetOldest(environment: Environment): void {
  for (const { key } of Array.from(environment.entries({ start: ["ended", 0], end: ["ended", top], limit: 1_000 }))) {
    const id = key[2] as string;
    const state = environment.get<RunState>(["run", id]);
    if (state?.atMs !== undefined) continue;
    environment.remove(key);
    environment.put(["ended"], (environment.get<number>(["ended"]) ?? 1) - 1);
    environment.remove(["run", id]);
    if (state !== undefined) environment.remove(["runs", keyText(state.requesterSessionKey), id]);
    return;
  }
}

function put(environment: Environment, before: RunState, after: RunState): void {
  const id = keyText(after.id);
  if (before.atMs !== undefined) environment.remove(["due", before.atMs, id]);
  environment.put(["run", id], after);
  if (after.atMs !== undefined) environment.put(["due", after.atMs, id], 0);
}

function rowOf(state: RunState): StoredRun {
  const { atMs: _, ...row } = state;
  return row;
}
