/** Right, below the asks: runs of sub-agents, tasks and timers, with what an operator with `operator.admin` can end. Nothing while there are none. */
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import { agentOfSession } from "../wire.ts";
import type { RunEntry, TaskEntry, TimerEntry } from "../wire-work.ts";
import { AskTwice } from "./ask-twice.tsx";
import { Age, formatDuration, Time } from "./times.tsx";

interface PartProps {
  readonly id: string;
  readonly title: string;
  readonly count: number;
  /** Its rows; `onDone` gives the focus to the title, for the button that had it goes away. */
  readonly rows: (onDone: () => void) => ComponentChildren;
  readonly more?: ComponentChildren;
}

function Part({ id, title, count, rows, more }: PartProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  return (
    <section class="panel-part" aria-labelledby={`${id}-title`} data-testid={id}>
      <h2 id={`${id}-title`} class="panel-title" tabIndex={-1} ref={heading}>
        {title} <span class="count">{count}</span>
      </h2>
      <ul class="list">{rows(() => heading.current?.focus())}</ul>
      {more}
    </section>
  );
}

export function RunsPanel({ page }: { readonly page: Page }) {
  const runs = page.view.runs.value;
  if (runs.length === 0) return null;
  return (
    <Part
      id="subagents"
      title="Sub-agents"
      count={runs.filter(({ endedAtMs }) => endedAtMs === undefined).length}
      rows={(onDone) => runs.map((run) => <Run key={run.id} page={page} run={run} onDone={onDone} />)}
    />
  );
}

interface RunProps {
  readonly page: Page;
  readonly run: RunEntry;
  readonly onDone: () => void;
}

function Run({ page, run, onDone }: RunProps) {
  const { id, agentId, sessionKey, requesterSessionKey, title, status, detail, startedAtMs, endedAtMs, runtimeMs } =
    run;
  const isLive = endedAtMs === undefined;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  return (
    <li class="entry" data-testid="run" data-id={id} data-status={status}>
      <span class="row-line">
        <span class="row-name" title={`${requesterSessionKey} started ${sessionKey}`}>
          {agentOfSession(requesterSessionKey)}{" "}
          <span class="flow-arrow" aria-hidden="true">
            →
          </span>
          <span class="hidden-label"> started a sub-agent of </span> {agentId}
        </span>
        <span class="row-time">
          {isLive && startedAtMs !== undefined && <Age atMs={startedAtMs} nowMs={page.nowMs} />}
          {!isLive && (runtimeMs === undefined ? <Time atMs={endedAtMs} /> : formatDuration(runtimeMs))}
        </span>
      </span>
      <span class="entry-text">{title}</span>
      <span class={isLive || status === "succeeded" ? "row-more" : "row-reason"} data-testid="run-status">
        {status.replaceAll("_", " ")}
        {detail !== undefined && `: ${detail}`}
      </span>
      {isLive && page.view.isAdmin.value && (
        <span class="entry-actions">
          <AskTwice
            words="Cancel"
            question="Cancel it?"
            label={`Cancel the run of ${agentId}: ${title}`}
            labelAsking={`Cancel it? This ends the run of ${agentId} and what it started`}
            testId="run-cancel"
            disabled={isBusy}
            onConfirm={() => {
              onDone();
              page.work.cancelRun(id);
            }}
          />
        </span>
      )}
    </li>
  );
}

export function TasksPanel({ page }: { readonly page: Page }) {
  const { rows, total } = page.view.tasks.value;
  if (total === 0) return null;
  return (
    <Part
      id="tasks"
      title="Tasks"
      count={total}
      rows={(onDone) => rows.map((task) => <Task key={task.id} page={page} task={task} onDone={onDone} />)}
      more={<More of={total} shown={rows.length} command="cloister tasks list" />}
    />
  );
}

interface TaskProps {
  readonly page: Page;
  readonly task: TaskEntry;
  readonly onDone: () => void;
}

const taskWords: ReadonlyMap<string, string> = new Map([
  ["agent", "put off by the agent"],
  ["command", "a command in the background"],
  ["approval", "a command that waits to be allowed"],
  ["mcp", "carried out by an MCP server"],
]);

function Task({ page, task, onDone }: TaskProps) {
  const { id, agentId, sessionKey, name, kind, isEnded, createdAtMs, expiresAtMs } = task;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const what = `${name === "" ? "a task" : name} of ${agentId}`;
  return (
    <li class="entry" data-testid="task" data-id={id} data-kind={kind}>
      <span class="row-line">
        <span class="row-name" title={sessionKey}>
          {agentId}
          {name !== "" && `: ${name}`}
        </span>
        <span class="row-time">
          <Age atMs={createdAtMs} nowMs={page.nowMs} />
        </span>
      </span>
      <span class="row-more" data-testid="task-status">
        {taskWords.get(kind) ?? kind}
        {isEnded ? "; it has ended, and its session is still to be told" : <Until atMs={expiresAtMs} />}
      </span>
      {!isEnded && page.view.isAdmin.value && (
        <span class="entry-actions">
          <AskTwice
            words="Cancel"
            question="Cancel it?"
            label={`Cancel ${what}`}
            labelAsking={`Cancel it? This is ${what}; its session is told`}
            testId="task-cancel"
            disabled={isBusy}
            onConfirm={() => {
              onDone();
              page.work.cancelTask(id);
            }}
          />
        </span>
      )}
    </li>
  );
}

function Until({ atMs }: { readonly atMs: number }) {
  return (
    <>
      , until <Time atMs={atMs} />
    </>
  );
}

interface MoreProps {
  readonly of: number;
  readonly shown: number;
  readonly command: string;
}

function More({ of: total, shown, command }: MoreProps) {
  if (total <= shown) return null;
  return (
    <p class="empty">
      and {total - shown} later: <code>{command}</code>
    </p>
  );
}

export function TimersPanel({ page }: { readonly page: Page }) {
  const { rows, total } = page.view.timers.value;
  if (total === 0) return null;
  return (
    <Part
      id="timers"
      title="Timers"
      count={total}
      rows={(onDone) => rows.map((timer) => <Timer key={timer.id} page={page} timer={timer} onDone={onDone} />)}
      more={<More of={total} shown={rows.length} command="cloister timers list" />}
    />
  );
}

interface TimerProps {
  readonly page: Page;
  readonly timer: TimerEntry;
  readonly onDone: () => void;
}

function Timer({ page, timer, onDone }: TimerProps) {
  const { id, agentId, sessionKey, name, dueAtMs, everyMs } = timer;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const what = `${name === "" ? "a timer" : name} of ${agentId}`;
  return (
    <li class="entry" data-testid="timer" data-id={id}>
      <span class="row-line">
        <span class="row-name" title={sessionKey}>
          {agentId}
          {name !== "" && `: ${name}`}
        </span>
        <span class="row-time">
          <Time atMs={dueAtMs} />
        </span>
      </span>
      {everyMs !== undefined && <span class="row-more">every {formatDuration(everyMs)}</span>}
      {page.view.isAdmin.value && (
        <span class="entry-actions">
          <AskTwice
            words="Remove"
            question="Remove for good?"
            label={`Remove ${what}`}
            labelAsking={`Remove for good? This is ${what}`}
            testId="timer-remove"
            disabled={isBusy}
            onConfirm={() => {
              onDone();
              page.work.removeTimer(id);
            }}
          />
        </span>
      )}
    </li>
  );
}
