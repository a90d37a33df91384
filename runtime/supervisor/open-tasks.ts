/** Tasks of one sort that the last process has left, and nobody has ended. */
import { limits } from "../kernel/limits.ts";
import type { TimerRow } from "../store/port.ts";
import type { Signals } from "./signals.ts";

/** `mark`: what their ids begin with. Rejects as the store does. */
export async function readOpenTasks({ timers }: Pick<Signals, "timers">, mark: string): Promise<readonly TimerRow[]> {
  const found: TimerRow[] = [];
  for (let offset = 0; ; offset += limits.dueRowsPerRead) {
    const { rows } = await timers({ isTask: true, limit: limits.dueRowsPerRead, offset });
    found.push(...rows.filter(({ id, task }) => id.startsWith(mark) && task?.ended === undefined));
    if (rows.length < limits.dueRowsPerRead) return found;
  }
}
