/**
 * The ends of sub-agent runs. Whatever ends one, it is decided once (`LiveRun.end`), then the run's cell and turns go, then the
 * store takes the end together with the message to the requester, and only then the run's rights, places and entry are freed.
 */
import { appended as appendedMail, judge, makeEnvelope } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { closeInChain } from "./chains.ts";
import { findRoom } from "./crowd.ts";
import { appendBegins, appendEnds, release } from "./depth.ts";
import { endCell, hasCell, markReady, pumpWanting } from "./dispatch.ts";
import type { Envelope } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { wantsNoPlace } from "./places.ts";
import { completionAdmission, type RunEnd, type RunRow } from "./run-rows.ts";
import { giveRunPlaceBack } from "./run-lane.ts";
import { findSpent } from "./run-tree.ts";
import type { LiveRun } from "./live-run.ts";
import type { AgentEntry, KernelState } from "./state.ts";
import { endQueued } from "./turns.ts";
import { nanosPerDollar } from "./usage.ts";
import { settleRunWaits } from "./run-waits.ts";

type Ending = NonNullable<LiveRun["end"]>;

/**
 * Ends the run from outside, and with it every run below it that is not detached. Its cell is ended at once, whatever it does.
 * Gives how many runs it ended.
 */
export function cancelRun(k: KernelState, entry: AgentEntry, end: Ending, nowMs: number): number {
  const { run } = entry;
  if (run === undefined || run.phase === "reporting" || run.phase === "over") return 0;
  const isNew = run.end === undefined;
  run.end ??= end;
  wantsNoPlace(k, entry);
  let ended = isNew ? 1 : 0;
  if (isNew) ended += cancelBelow(k, run.row, nowMs);
  if (run.phase === "storing") return ended;
  for (const turn of entry.turns.values()) turn.mail.aborted ||= turn.stage === "beginning";
  if (hasCell(entry) && entry.phase !== "stopping") endCell(k, entry, "killed");
  settleRun(k, entry, nowMs);
  return ended;
}

function cancelBelow(k: KernelState, { sessionKey }: RunRow, nowMs: number): number {
  let ended = 0;
  for (const child of k.children.get(sessionKey) ?? []) {
    if (child.run === undefined || child.run.row.detached) continue;
    const end: Ending = {
      outcome: "cancelled",
      detail: `the run ${sessionKey} that asked for it has ended`,
      isUnheard: true,
    };
    ended += cancelRun(k, child, end, nowMs);
  }
  return ended;
}

/**
 * Ends what a session asked for and still runs; with a run id, what it asked for in that run. Nobody is told: who stopped the
 * session knows it.
 */
export function cancelRunsOf(
  k: KernelState,
  sessionKey: string,
  runId: string | undefined,
  detail: string,
  nowMs: number,
): number {
  let ended = 0;
  for (const entry of k.runs.values()) {
    const { run } = entry;
    if (run === undefined || !isBelow(k, run.row, sessionKey, runId)) continue;
    ended += cancelRun(k, entry, { outcome: "cancelled", detail, isUnheard: true }, nowMs);
  }
  return ended;
}

/**
 * Whether the run goes when the session stops: it is in the session's tree, also below a run that has ended, and nothing on the
 * way that still lives is detached. With a run id, only what the session asked for in that run.
 */
export function isBelow(k: KernelState, row: RunRow, sessionKey: string, runId: string | undefined): boolean {
  let at: RunRow | undefined = row;
  for (const above of row.lineage) {
    if (at?.detached === true) return false;
    if (above === sessionKey) return runId === undefined || (at === row && row.requesterRunId === runId);
    at = k.runs.get(above)?.run?.row;
  }
  return false;
}

/** Call it at the end of every event: ends the runs that have nothing left to do, and those whose end is decided. */
export function settleRuns(k: KernelState, nowMs: number): void {
  for (const entry of k.unsettled) {
    k.unsettled.delete(entry);
    const { run } = entry;
    if (run?.phase === "alive" && run.end !== undefined) cancelBelow(k, run.row, nowMs);
    settleRun(k, entry, nowMs);
  }
}

/** Ends the run if it has nothing left to do, or an end was decided and nothing of it is under way. */
function settleRun(k: KernelState, entry: AgentEntry, nowMs: number): void {
  const { run } = entry;
  if (run === undefined || run.phase !== "alive" || entry.turns.size > 0) return;
  if (run.end === undefined) {
    if (entry.depth > 0 || hasExpected(k, run.row)) {
      // The next turn would take more.
      endSpent(k, entry, nowMs);
      return;
    }
    if (run.stays) return;
    run.end = naturalEnd(run);
  }
  for (const lane of entry.lanes.values()) {
    for (const mail of lane.queue.splice(0)) endQueued(k, entry, mail);
    markReady(entry, lane);
    entry.lanes.delete(lane.key);
  }
  // Mail that the store is writing ends when it is written.
  if (entry.depth > 0) return;
  report(k, entry, nowMs);
}

/** Ends the run when its budget of tokens or money, or that of one whose end is its end too, is used up: that one with all below. False: they have some left. */
export function endSpent(k: KernelState, entry: AgentEntry, nowMs: number): boolean {
  const spent = findSpent(k, entry);
  const owner = spent && k.runs.get(spent.row.sessionKey);
  if (spent === undefined || owner === undefined) return false;
  const [what, took] =
    spent.left.tokens === 0
      ? ["tokens", String(spent.treeTokens)]
      : ["money", `${(spent.treeCostNanos / nanosPerDollar).toFixed(6)} USD`];
  const detail = `the budget of ${what} of ${spent.row.sessionKey} is used up: it took ${took}, with what it started`;
  cancelRun(k, owner, { outcome: "failed", code: "budget", detail }, nowMs);
  return true;
}

function hasExpected(k: KernelState, { sessionKey }: RunRow): boolean {
  for (const child of k.children.get(sessionKey) ?? []) if (child.run?.row.announce === true) return true;
  return false;
}

function naturalEnd(run: LiveRun): Ending {
  if (run.result !== undefined) return { outcome: "succeeded", detail: "" };
  const progress = run.progress === "" ? "" : ` Its last progress: ${run.progress}`;
  return { outcome: "failed", code: "no_result", detail: `The run ended without a final result.${progress}` };
}

/** Asks the store to keep the end, and with it the message to the requester when its mailbox takes it. */
function report(k: KernelState, entry: AgentEntry, nowMs: number): void {
  const { run } = entry;
  if (run?.end === undefined || nowMs < run.retryAtMs) return;
  run.phase = "reporting";
  const { isUnheard, ...end } = run.end;
  const isSkipped = run.result?.trim() === "ANNOUNCE_SKIP";
  const facts = {
    ...end,
    ...(end.outcome === "succeeded" && run.result !== undefined
      ? { result: cut(run.result, k.settings.limits.runResultCharsMax) }
      : {}),
    ...(run.sessionId === undefined ? {} : { sessionId: run.sessionId }),
    ...(run.startedAtMs === undefined ? {} : { startedAtMs: run.startedAtMs }),
    endedAtMs: nowMs,
    toolCalls: run.toolCalls,
    ...(run.tokens === undefined ? {} : { tokens: run.tokens }),
    ...(run.treeTokens === 0 ? {} : { treeTokens: run.treeTokens }),
  };
  if (!run.row.announce || isUnheard === true || isSkipped) {
    const delivery = !run.row.announce ? "quiet" : "suppressed";
    k.emit({ type: "run-ended", run: run.row, end: { ...facts, delivery } satisfies RunEnd, completion: undefined });
    return;
  }
  const delivered: RunEnd = { ...facts, delivery: "delivered" };
  const completion = makeCompletion(k, run.row, delivered, nowMs);
  k.emit({
    type: "run-ended",
    run: run.row,
    end: completion === undefined ? { ...facts, delivery: "pending" } : delivered,
    completion,
  });
}

/** The nearest session above the run that can still be told; the root always can. */
export function hearerOf(
  k: KernelState,
  { lineage }: RunRow,
): { readonly sessionKey: string; readonly agentId: string } {
  const sessionKey =
    lineage.find((key) => k.runs.get(key)?.run?.phase === "alive" && k.runs.get(key)?.run?.end === undefined) ??
    lineage.at(-1) ??
    "";
  return { sessionKey, agentId: agentOfKey(sessionKey) ?? "" };
}

/** Undefined: the mailbox does not take it now. */
function makeCompletion(k: KernelState, row: RunRow, end: RunEnd, nowMs: number): Envelope | undefined {
  const { sessionKey, agentId } = hearerOf(k, row);
  const target = k.runs.get(sessionKey) ?? k.agents.get(agentId);
  const admission = completionAdmission(row, end, sessionKey, agentId);
  // The drain of the gateway takes it too: it is a promise of before.
  if (target === undefined || judge(k, admission, nowMs) !== undefined) return undefined;
  if (findRoom(k, target, sessionKey, false) !== "free") return undefined;
  appendBegins(k, target, sessionKey, admission.body);
  return makeEnvelope(k, admission, nowMs);
}

export type RunStored =
  | { readonly ok: true; readonly seq?: number }
  | { readonly ok: false; readonly refusal: Refusal };

/** The store has the end, or could not take it: then it is asked again. */
export function runStored(
  k: KernelState,
  { run: row, completion }: { readonly run: RunRow; readonly completion: Envelope | undefined },
  result: RunStored,
  nowMs: number,
): void {
  const entry = k.runs.get(row.sessionKey);
  if (entry?.run?.phase !== "reporting") return;
  if (completion !== undefined) {
    const { header, body } = completion;
    if (result.ok && result.seq !== undefined)
      appendedMail(k, completion, { type: "none", stops: k.stops }, { status: "stored", seq: result.seq }, nowMs);
    else {
      const target = k.runs.get(header.sessionKey) ?? k.agents.get(header.agentId);
      appendEnds(k, target, body);
      closeInChain(k, header);
      release(target, header.sessionKey);
    }
  }
  if (!result.ok) {
    entry.run.phase = "alive";
    entry.run.retryAtMs = nowMs + k.settings.limits.storeRetryMs;
    return;
  }
  const above = k.runs.get(row.requesterSessionKey);
  forgetRun(k, entry);
  settleRunWaits(k, row.id);
  pumpWanting(k, nowMs);
  if (above !== undefined) k.unsettled.add(above);
}

/** Its rights, places and books go; its entry as well, once its cell has ended. */
export function forgetRun(k: KernelState, entry: AgentEntry): void {
  const { run } = entry;
  if (run === undefined) return;
  run.phase = "over";
  k.pairings.revoke(run.pairingId);
  entry.slots = new Map();
  giveRunPlaceBack(k, entry);
  wantsNoPlace(k, entry);
  k.wantingCells.delete(entry.spec.id);
  k.runs.delete(run.row.sessionKey);
  const siblings = k.children.get(run.row.requesterSessionKey);
  siblings?.delete(entry);
  if (siblings?.size === 0) k.children.delete(run.row.requesterSessionKey);
  if (hasCell(entry)) {
    if (entry.phase !== "stopping") endCell(k, entry, "normal");
    return;
  }
  dropEntry(k, entry);
}

export function dropEntry(k: KernelState, entry: AgentEntry): void {
  k.agents.delete(entry.spec.id);
  k.astir.delete(entry);
  k.roomy.delete(entry);
  k.unsettled.delete(entry);
  k.crowded.delete(entry);
}

/** What becomes due by itself: deadlines, and ends that the store could not take. */
export function tickRuns(k: KernelState, nowMs: number): void {
  for (const entry of k.runs.values()) {
    const { run } = entry;
    if (run === undefined) continue;
    if (run.row.deadlineMs !== undefined && nowMs >= run.row.deadlineMs && run.end === undefined) {
      const detail = `the run did not end within ${(run.row.deadlineMs - run.row.createdAtMs) / 1_000} s`;
      cancelRun(k, entry, { outcome: "timed_out", detail }, nowMs);
    } else if (run.end !== undefined) settleRun(k, entry, nowMs);
  }
}

function cut(text: string, charsMax: number): string {
  const mark = "\n[cut: sessions_history of the session has the rest]";
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - mark.length)}${mark}`;
}
