/** The store's calls about timers and monitors, as transactions of the journal. */
import { failure } from "../kernel/errors.ts";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import type { Store } from "./port.ts";
import { limits } from "../kernel/limits.ts";
import {
  addMonitor,
  addTimer,
  advance,
  amendJob,
  dueRows,
  endTaskLater,
  isWatched,
  listTimers,
  markDown,
  postpone,
  removeMonitor,
  removeTimer,
} from "./signals.ts";

export type SignalRows = Pick<
  Store,
  | "schedule"
  | "amendJob"
  | "unschedule"
  | "timers"
  | "monitor"
  | "demonitor"
  | "down"
  | "due"
  | "fire"
  | "postpone"
  | "endTaskLater"
>;

export function makeSignalRows(
  journal: Journal,
  environment: Environment,
  bounds: {
    readonly timersPerAgentMax: number;
    readonly monitorsPerAgentMax: number;
    readonly downsPerWriteMax: number;
  },
): SignalRows {
  return {
    schedule: (timer, by) =>
      journal.set({ id: timer.id, ...timer.hook }, by, (rows) => addTimer(rows, timer, bounds.timersPerAgentMax)),
    amendJob: (id, change) => journal.change((rows) => amendJob(rows, id, change, limits.jobRunsKeptMax)),
    unschedule: (id, scope) => journal.change((rows) => removeTimer(rows, id, scope)),
    timers: async (query) => journal.read((rows) => listTimers(rows, query)),
    monitor: (monitor, by) => journal.set(monitor, by, (rows) => addMonitor(rows, monitor, bounds.monitorsPerAgentMax)),
    demonitor: (id, agentId) => journal.change((rows) => removeMonitor(rows, id, agentId)),
    async down(facts) {
      // A watch that is being written comes first.
      await environment.settled();
      let told = 0;
      while (journal.read((rows) => isWatched(rows, facts.target)))
        told += await journal.change((rows) => markDown(rows, facts, bounds.downsPerWriteMax));
      return told;
    },
    due: async (nowMs, limit) => journal.read((rows) => dueRows(rows, nowMs, limit)),
    async fire(fires, envelope) {
      const seq = await journal.appendIf(envelope, (rows) => advance(rows, fires, envelope.header.id));
      if (seq === undefined)
        throw failure("CLOISTER_SIGNAL_UNKNOWN", `cannot fire ${fires.id}: it was removed, or has fired for this time`);
      return { seq };
    },
    endTaskLater: (id, end) => journal.change((rows) => endTaskLater(rows, id, end)),
    postpone: (id, atMs) => journal.change((rows) => postpone(rows, id, atMs)),
  };
}
