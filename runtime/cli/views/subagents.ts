/** `cloister subagents list`. */
import type { TaskEntry } from "../gateway-rows.ts";
import { formatAge, formatDuration, formatTable } from "./table.ts";

const taskCharsMax = 60;

/** Newest first, as they come. */
export function formatTasks(tasks: readonly TaskEntry[], nowMs: number): readonly string[] {
  const columns = [
    { title: "ID" },
    { title: "STATUS" },
    { title: "FOR" },
    { title: "SESSION" },
    { title: "STARTED" },
    { title: "TOOK" },
    { title: "TASK" },
  ] as const;
  return formatTable(
    columns,
    tasks.map(({ taskId, status, code, requesterSessionKey, childSessionKey, createdAt, runtimeMs, label, task }) => [
      taskId,
      code === undefined ? status : `${status} (${code})`,
      requesterSessionKey,
      childSessionKey,
      formatAge(createdAt, nowMs),
      runtimeMs === undefined ? "" : formatDuration(runtimeMs),
      (label ?? task).slice(0, taskCharsMax),
    ]),
  );
}
