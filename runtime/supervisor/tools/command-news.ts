/**
 * News of commands that go on in the background: each is a task of its session (`ctx.defer` is another), kept in the journal from before the call of
 * `exec` is answered, so that its end is told once, whatever ends first: the command, its thread or the gateway. Source: behaviour §5.10.
 *
 *   goes on ──► task ── ends ── its turn is over ──────► told: one turn of the session
 *                 │                 └── `process` tells of the end first ──► nothing to tell
 *                 ├── the gateway ended, and the command with it ──► told at the next start
 *                 └── nobody tells of its end ──► told that, after the longest that it may run
 */
import { schedulePairingId } from "../../../auth/compile-pairings.ts";
import type { ExecSettings } from "../../config/resolved.ts";
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Store, TimerRow } from "../../store/port.ts";
import type { CommandEnd } from "../../tools/port.ts";
import type { Logger } from "../driver.ts";
import { commandTaskMark } from "../job-schedule.ts";
import { readOpenTasks } from "../open-tasks.ts";
import type { Signals } from "../signals.ts";
import type { ToolCall } from "./table.ts";

export interface CommandNewsDeps {
  readonly store: Pick<Store, "unschedule">;
  readonly signals: () => Pick<Signals, "setTask" | "endTask" | "timers">;
  readonly newId: (nowMs: number) => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface CommandGoesOn {
  readonly processId: string;
  readonly command: string;
  readonly timeoutMs: number;
  readonly news: Exclude<ExecSettings["news"], "none">;
}

export interface CommandNews {
  /** Its end will be told. Gives the id of the task; undefined when the agent has too many timers. */
  expect(call: Pick<ToolCall, "agentId" | "turn" | "header">, command: CommandGoesOn): Promise<string | undefined>;
  ended(end: CommandEnd): void;
  /** Which command the task tells of; undefined: it has ended, or is not of this process. */
  processOf(taskId: string): string | undefined;
  /** The session knows of its end by itself. */
  heard(processId: string): void;
  /** What ended in the turn and was not heard of is told. */
  turnOver(entry: string, turn: number): void;
  /** The cell is gone, with all of its turns. */
  cellOver(entry: string): void;
  /** The thread is gone, and every command with it. */
  lost(): void;
  /** Commands of the last process are told of: they ended with it. Rejects as the store does. */
  start(): Promise<void>;
}

interface Expected extends CommandGoesOn {
  readonly task: TimerRow;
  readonly entry: string;
  readonly turn: number;
  isTurnOver: boolean;
  end?: CommandEnd;
}

export function makeCommandNews({ store, signals, newId, nowMs, log }: CommandNewsDeps): CommandNews {
  const expected = new Map<string, Expected>();
  /** Ends of commands whose task is being kept. */
  const early = new Map<string, CommandEnd | "lost" | undefined>();
  /** Tasks of this process, until those of the last one are told of: their commands run. */
  let own: Set<string> | undefined = new Set();

  const tell = (task: TimerRow, isDone: boolean, text: string): void =>
    void signals()
      .endTask(task, isDone ? "done" : "failed", text)
      .catch((error: unknown) =>
        log.warn({ agent: task.agentId, error: toRefusal(error) }, "the end of a command could not be told yet"),
      );

  const settle = (one: Expected): void => {
    const { end, task } = one;
    if (end === undefined || !one.isTurnOver || !expected.delete(one.processId)) return;
    const isDone = end.exitCode === 0 && end.endedBy === undefined;
    if (isDone && end.outputChars === 0 && one.news === "usual") forget(task);
    else tell(task, isDone, describe(end));
  };

  const tellLost = (task: TimerRow, processId: string): void =>
    tell(task, false, `${processId} ended with ${lostWith}`);

  const forget = ({ id, agentId }: TimerRow): void =>
    void store
      .unschedule(id, { agentId })
      .catch((error: unknown) => log.warn({ agent: agentId, error: toRefusal(error) }, "a task could not be removed"));

  const endTurns = (isOver: (one: Expected) => boolean): void => {
    for (const one of expected.values())
      if (isOver(one)) {
        one.isTurnOver = true;
        settle(one);
      }
  };

  return {
    async expect({ agentId: entry, turn, header }, goesOn) {
      const { processId, command, timeoutMs } = goesOn;
      const atMs = nowMs();
      const { agentId, sessionKey, replyRoute } = header;
      const task: TimerRow = {
        id: `${commandTaskMark}${newId(atMs)}`,
        agentId,
        sessionKey,
        name: `exec ${command}`.slice(0, limits.timerNameCharsMax),
        via: schedulePairingId(agentId),
        body: `nobody has told of the end of ${processId}`,
        isData: false,
        dueAtMs: atMs + timeoutMs + limits.execNewsLateMs,
        task: { replyRoute },
        createdAtMs: atMs,
      };
      early.set(processId, undefined);
      own?.add(task.id);
      try {
        if ((await signals().setTask(task)) === undefined) return undefined;
        const end = early.get(processId);
        if (end === "lost") {
          tellLost(task, processId);
          return task.id;
        }
        expected.set(processId, {
          ...goesOn,
          task,
          entry,
          turn,
          isTurnOver: false,
          ...(end === undefined ? {} : { end }),
        });
        return task.id;
      } finally {
        early.delete(processId);
      }
    },
    ended(end) {
      const one = expected.get(end.processId);
      if (one === undefined) {
        if (early.has(end.processId)) early.set(end.processId, end);
        return;
      }
      one.end = end;
      settle(one);
    },
    processOf: (taskId) =>
      [...expected.values()].find(({ task, end }) => task.id === taskId && end === undefined)?.processId,
    heard(processId) {
      const one = expected.get(processId);
      if (one === undefined || !expected.delete(processId)) return;
      forget(one.task);
    },
    turnOver: (entry, turn) => endTurns((one) => one.entry === entry && one.turn === turn),
    cellOver: (entry) => endTurns((one) => one.entry === entry),
    lost() {
      for (const { task, processId } of expected.values()) tellLost(task, processId);
      expected.clear();
      for (const [processId, end] of early) if (end === undefined) early.set(processId, "lost");
    },
    async start() {
      const left = (await readOpenTasks(signals(), commandTaskMark)).filter(({ id }) => own?.has(id) !== true);
      own = undefined;
      for (const task of left) tell(task, false, "the gateway was stopped or died, and the command ended with it");
    },
  };
}

const lostWith = "the thread that ran it, which was lost: what became of its work is not known";

function describe({ processId, command, exitCode, signal, endedBy, ranMs, output, outputChars }: CommandEnd): string {
  const how =
    endedBy === undefined
      ? signal === undefined
        ? `exit code ${exitCode}`
        : signal
      : `${why[endedBy] ?? endedBy}, which ended it`;
  const cut = outputChars - output.length;
  const shown =
    output === ""
      ? "It wrote nothing."
      : `${cut > 0 ? `${cut} characters before these are left out (process log):\n` : ""}${output}`;
  return `${processId} (${command}) ended after ${Math.ceil(ranMs / 1_000)} s with ${how}.\n${shown}`;
}

const why: Readonly<Record<string, string>> = {
  timeout: "its time",
  output: "more output than it may have",
  stopped: "the end of its agent's cell",
  killed: "an order",
};
