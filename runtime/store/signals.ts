/**
 * Timers, monitors, and the downs that monitors become: rows that turn into envelopes when they are due.
 *
 * They are in the journal's environment and not in the registry, so that an envelope is appended and its row moves on in ONE
 * transaction: whatever ends the process, each fires once (docs/adr/0016-timers-in-the-journal.md).
 * Layout, since format 2 (`I` is `keyText` of the timer's or monitor's id, `A` and `T` of an agent's):
 *   ["due", atMs, I]   → 0            one index of all that will fire, by the time of the next attempt
 *   ["timer", I]       → TimerState
 *   ["timers", A, I]   → 0            the timers of an agent
 *   ["monitor", I]     → MonitorRow   whoever waits for the end of an agent
 *   ["watched", T, I]  → 0            the monitors on an agent
 *   ["down", I]        → DownState    a monitor whose agent is down: due until its envelope is journaled
 *   ["count", A]       → { timers, monitors }   downs count as monitors
 * Every function that writes runs inside a transaction, so that a crash leaves all of a change or nothing.
 */
import type { DownReason, Fires } from "../kernel/envelope.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import { advanceRun, dueRun, postponeRun } from "./runs.ts";
import type { JobChange } from "./job-rows.ts";
import type { DueRow, DueRows, MonitorRow, TimerQuery, TimerRow, TimerScope } from "./port.ts";
import type { TaskEnd } from "./task-rows.ts";

interface TimerState extends TimerRow {
  /** When it is tried next: `dueAtMs`, or later when an attempt was refused. */
  readonly atMs: number;
}

interface DownState extends MonitorRow {
  readonly reason: DownReason;
  readonly detail: string;
  readonly dueAtMs: number;
  readonly atMs: number;
}

interface Count {
  readonly timers: number;
  readonly monitors: number;
}

const everyDue = { start: ["due", 0], end: ["due", top] } as const;

/** False when the agent has as many as it may. */
export function addTimer(environment: Environment, timer: TimerRow, timersMax: number): boolean {
  if (countOf(environment, timer.agentId).timers >= timersMax) return false;
  putTimer(environment, { ...timer, atMs: timer.dueAtMs });
  environment.put(["timers", keyText(timer.agentId), keyText(timer.id)], 0);
  change(environment, timer.agentId, { timers: 1 });
  return true;
}

/** What was removed; undefined when there is no such timer in the scope. */
export function removeTimer(environment: Environment, id: string, scope: TimerScope): TimerRow | undefined {
  const state = environment.get<TimerState>(["timer", keyText(id)]);
  if (state === undefined || !isIn(state, scope)) return undefined;
  environment.remove(["timer", keyText(id)]);
  environment.remove(["due", state.atMs, keyText(id)]);
  environment.remove(["timers", keyText(state.agentId), keyText(id)]);
  change(environment, state.agentId, { timers: -1 });
  return rowOf(state);
}

/** Soonest first. */
export function listTimers(
  environment: Environment,
  { id: named, isTask, isHook, limit, offset = 0, ...scope }: TimerQuery,
): { readonly rows: readonly TimerRow[]; readonly total: number } {
  const found: TimerState[] = [];
  for (const id of named === undefined ? timerIds(environment, scope.agentId) : [keyText(named)]) {
    const state = environment.get<TimerState>(["timer", id]);
    if (state === undefined || !isIn(state, scope) || (isTask === true && state.task === undefined)) continue;
    if (isHook === true && state.hook === undefined) continue;
    found.push(state);
  }
  const rows = found.toSorted((a, b) => a.dueAtMs - b.dueAtMs).slice(offset, offset + limit);
  return { rows: rows.map(rowOf), total: found.length };
}

/** What it is afterwards; undefined when there is no such job (any more). */
export function amendJob(
  environment: Environment,
  id: string,
  { job: changed, ran, answered, dueAtMs, ...named }: JobChange,
  runsMax: number,
): TimerRow | undefined {
  const state = environment.get<TimerState>(["timer", keyText(id)]);
  if (state?.job === undefined) return undefined;
  const all = ran === undefined ? state.job.runs : [...state.job.runs, ran].slice(-runsMax);
  const runs =
    answered === undefined
      ? all
      : all.map((run) => (run.runId === answered.runId ? { ...run, answer: answered.answer } : run));
  const due = dueAtMs === undefined ? {} : { dueAtMs, atMs: dueAtMs };
  const next: TimerState = { ...state, ...named, ...due, job: { ...state.job, ...changed, runs } };
  moveTimer(environment, state, next);
  return rowOf(next);
}

/** False when the agent watches as many as it may. */
export function addMonitor(environment: Environment, monitor: MonitorRow, monitorsMax: number): boolean {
  if (countOf(environment, monitor.agentId).monitors >= monitorsMax) return false;
  environment.put(["monitor", keyText(monitor.id)], monitor);
  environment.put(["watched", keyText(monitor.target), keyText(monitor.id)], 0);
  change(environment, monitor.agentId, { monitors: 1 });
  return true;
}

/** Also one whose down is not journaled yet. False when there is no such monitor of this agent. */
export function removeMonitor(environment: Environment, id: string, agentId: string | undefined): boolean {
  const monitor = environment.get<MonitorRow>(["monitor", keyText(id)]);
  const down = environment.get<DownState>(["down", keyText(id)]);
  const found = monitor ?? down;
  if (found === undefined || (agentId !== undefined && found.agentId !== agentId)) return false;
  if (monitor !== undefined) unwatch(environment, monitor);
  if (down !== undefined) {
    environment.remove(["down", keyText(id)]);
    environment.remove(["due", down.atMs, keyText(id)]);
  }
  change(environment, found.agentId, { monitors: -1 });
  return true;
}

/** Whether a call of `markDown` would change anything: most ends are watched by nobody, and cost no write then. */
export function isWatched(environment: Environment, target: string | undefined): boolean {
  return watchers(environment, target, 1).length > 0;
}

/** Makes up to `limit` monitors on the agent, or on any, due as downs. Tells how many. */
export function markDown(
  environment: Environment,
  down: { readonly target?: string; readonly reason: DownReason; readonly detail: string; readonly atMs: number },
  limit: number,
): number {
  const found = watchers(environment, down.target, limit);
  for (const id of found) {
    const monitor = environment.get<MonitorRow>(["monitor", id]);
    if (monitor === undefined) continue;
    unwatch(environment, monitor);
    const { reason, detail, atMs } = down;
    environment.put(["down", id], { ...monitor, reason, detail, dueAtMs: atMs, atMs } satisfies DownState);
    environment.put(["due", atMs, id], 0);
  }
  return found.length;
}

/** What is due, soonest first, and when the next of the rest will be. */
export function dueRows(environment: Environment, nowMs: number, limit: number): DueRows {
  const rows: DueRow[] = [];
  for (const { key } of environment.entries({ ...everyDue, limit: limit + 1 })) {
    const [, atMs, id] = key as readonly [string, number, string];
    if (atMs > nowMs || rows.length === limit) return { rows, nextMs: atMs };
    const row = dueRow(environment, id);
    if (row !== undefined) rows.push(row);
  }
  return { rows, nextMs: undefined };
}

/** Takes the row from the due ones because its envelope is journaled. False when it is gone, or was moved since. */
export function advance(environment: Environment, fires: Fires, envelopeId: string): boolean {
  const id = keyText(fires.id);
  const timer = environment.get<TimerState>(["timer", id]);
  if (timer !== undefined) {
    if (timer.dueAtMs !== fires.dueAtMs) return false;
    if (fires.nextMs === undefined) removeTimer(environment, fires.id, {});
    else
      moveTimer(environment, timer, {
        ...timer,
        dueAtMs: fires.nextMs,
        atMs: fires.nextMs,
        lastEnvelopeId: envelopeId,
      });
    return true;
  }
  if (environment.get(["down", id]) === undefined) return advanceRun(environment, fires);
  return removeMonitor(environment, fires.id, undefined);
}

/** The task has ended, which is due to be told at `atMs`. False when it is gone, or has ended before: the first end stays. */
export function endTaskLater(environment: Environment, id: string, { status, body, atMs }: TaskEnd): boolean {
  const state = environment.get<TimerState>(["timer", keyText(id)]);
  if (state?.task === undefined || state.task.ended !== undefined) return false;
  moveTimer(environment, state, { ...state, body, task: { ...state.task, ended: status }, dueAtMs: atMs, atMs });
  return true;
}

/** The next attempt is at `atMs`; what it stands for stays. */
export function postpone(environment: Environment, id: string, atMs: number): void {
  const timer = environment.get<TimerState>(["timer", keyText(id)]);
  if (timer !== undefined) {
    moveTimer(environment, timer, { ...timer, atMs });
    return;
  }
  if (postponeRun(environment, id, atMs)) return;
  const down = environment.get<DownState>(["down", keyText(id)]);
  if (down === undefined) return;
  environment.remove(["due", down.atMs, keyText(id)]);
  environment.put(["down", keyText(id)], { ...down, atMs });
  environment.put(["due", atMs, keyText(id)], 0);
}

function moveTimer(environment: Environment, before: TimerState, after: TimerState): void {
  environment.remove(["due", before.atMs, keyText(before.id)]);
  putTimer(environment, after);
}

function putTimer(environment: Environment, state: TimerState): void {
  environment.put(["timer", keyText(state.id)], state);
  environment.put(["due", state.atMs, keyText(state.id)], 0);
}

function unwatch(environment: Environment, { id, target }: MonitorRow): void {
  environment.remove(["monitor", keyText(id)]);
  environment.remove(["watched", keyText(target), keyText(id)]);
}

function dueRow(environment: Environment, id: string): DueRow | undefined {
  const timer = environment.get<TimerState>(["timer", id]);
  if (timer !== undefined) return { type: "timer", timer: rowOf(timer), triedAtMs: timer.atMs };
  const down = environment.get<DownState>(["down", id]);
  if (down === undefined) {
    const run = dueRun(environment, id);
    return run && { type: "run", ...run };
  }
  const { reason, detail, dueAtMs, atMs, ...monitor } = down;
  return { type: "down", monitor, reason, detail, dueAtMs, triedAtMs: atMs };
}

function rowOf(state: TimerState): TimerRow {
  const { atMs: _, ...row } = state;
  return row;
}

function timerIds(environment: Environment, agentId: string | undefined): readonly string[] {
  const range =
    agentId === undefined
      ? { start: ["timer"], end: ["timer", top] }
      : { start: ["timers", keyText(agentId)], end: ["timers", keyText(agentId), top] };
  return Array.from(environment.entries(range), ({ key }) => key.at(-1) as string);
}

function watchers(environment: Environment, target: string | undefined, limit: number): readonly string[] {
  const range =
    target === undefined
      ? { start: ["watched"], end: ["watched", top] }
      : { start: ["watched", keyText(target)], end: ["watched", keyText(target), top] };
  return Array.from(environment.entries({ ...range, limit }), ({ key }) => key.at(-1) as string);
}

function isIn(timer: TimerRow, { agentId, sessionKey }: TimerScope): boolean {
  return (
    (agentId === undefined || timer.agentId === agentId) &&
    (sessionKey === undefined || timer.sessionKey === sessionKey)
  );
}

function countOf(environment: Environment, agentId: string): Count {
  return environment.get<Count>(["count", keyText(agentId)]) ?? { timers: 0, monitors: 0 };
}

function change(environment: Environment, agentId: string, by: Partial<Count>): void {
  const { timers, monitors } = countOf(environment, agentId);
  const next = { timers: timers + (by.timers ?? 0), monitors: monitors + (by.monitors ?? 0) };
  if (next.timers + next.monitors > 0) environment.put(["count", keyText(agentId)], next);
  else environment.remove(["count", keyText(agentId)]);
}
