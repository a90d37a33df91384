/** What `session_status` tells of the work of a session beside its turn. Source: behaviour §3.7. */
import { expect, test } from "vitest";
import type { RunRow } from "../../../../runtime/kernel/run-rows.ts";
import type { RunView } from "../../../../runtime/kernel/run-views.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import type { TimerRow } from "../../../../runtime/store/port.ts";
import { contextLine } from "../../../../runtime/supervisor/tools/session-view.ts";
import { formatTasks, tasksOf } from "../../../../runtime/supervisor/tools/session-tasks.ts";

const own = "agent:main:main";
const child = "agent:main:subagent:r-1";

const run = (id: string, lineage: readonly string[], status: RunView["status"]): RunView => ({
  // As much of a row as is told of it.
  run: {
    id,
    lineage,
    sessionKey: `agent:main:subagent:${id}`,
    task: `work ${id}`,
    createdAtMs: 5,
  } as unknown as RunRow,
  status,
  startedAtMs: undefined,
  toolCalls: 0,
});

const timer = (id: string, task?: TimerRow["task"]): TimerRow => ({
  id,
  agentId: "main",
  sessionKey: own,
  name: `name of ${id}`,
  via: "v",
  body: "",
  isData: false,
  dueAtMs: 900,
  createdAtMs: 6,
  ...(task === undefined ? {} : { task }),
});

const deps: Parameters<typeof tasksOf>[0] = {
  // Of both, what is asked for.
  kernel: () =>
    ({
      runViews: () => [
        run("r-1", [own], "running"),
        run("r-2", [child, own], "queued"),
        run("r-3", ["agent:raul:main"], "running"),
      ],
    }) as never,
  store: {
    timers: (query: object) => {
      expect(query).toEqual({ agentId: "main", sessionKey: own, limit: limits.timersPerAgentMax });
      const task = { replyRoute: { type: "none" } } as const;
      const rows = [timer("t-1"), timer("t-2", task), timer("c-3", task), timer("a-4", { ...task, ended: "done" })];
      return Promise.resolve({ rows });
    },
  } as never,
};

test("are the runs of its tree, its commands, approvals and what it put off; a timer is none", async () => {
  const told = await tasksOf(deps, { key: own, agentId: "main" }, true);
  expect(told.tasksTotal).toBe(5);
  expect(told.tasks).toEqual([
    { taskId: "r-1", kind: "run", status: "running", name: "work r-1", childSessionKey: child, createdAt: 5 },
    {
      taskId: "r-2",
      kind: "run",
      status: "queued",
      name: "work r-2",
      childSessionKey: "agent:main:subagent:r-2",
      createdAt: 5,
    },
    { taskId: "t-2", kind: "deferred", status: "waiting", name: "name of t-2", createdAt: 6, dueAt: 900 },
    { taskId: "c-3", kind: "command", status: "waiting", name: "name of c-3", createdAt: 6, dueAt: 900 },
    { taskId: "a-4", kind: "approval", status: "ended", name: "name of a-4", createdAt: 6, dueAt: 900 },
  ]);
  expect(formatTasks(told).slice(0, 2)).toEqual(["Tasks: 5", '- run r-1, running "work r-1"']);
});

test("have no words for who may not read the session", async () => {
  const { tasks } = await tasksOf(deps, { key: own, agentId: "main" }, false);
  expect(tasks).toHaveLength(5);
  expect(JSON.stringify(tasks)).not.toMatch(/work|name/);
});

test("are counted on the card, and named up to a bound", () => {
  expect(formatTasks({ tasks: [], tasksTotal: 0 })).toEqual(["Tasks: none"]);
  const many = Array.from({ length: limits.cardTasksMax + 3 }, (_, at) => ({
    taskId: `r-${at}`,
    kind: "run" as const,
    status: "queued" as const,
    createdAt: 1,
  }));
  const told = { tasks: many, tasksTotal: 1_500 };
  expect(formatTasks(told).at(0)).toBe("Tasks: 1500");
  expect(formatTasks(told).at(-1)).toBe(`- ${1_500 - limits.cardTasksMax} more`);
});

test("beyond a bound of each sort are only counted, so that the result fits into a step whatever they are called", async () => {
  const named = "\u0001".repeat(limits.labelCharsMax);
  const many = Array.from({ length: limits.timersPerAgentMax }, (_, at) => at);
  const told = await tasksOf(
    {
      kernel: () =>
        ({
          runViews: () =>
            many.map((at) => {
              const view = run(`${crypto.randomUUID()}-${at}`, [own], "queued");
              return { ...view, run: { ...view.run, label: named } };
            }),
        }) as never,
      store: {
        timers: () =>
          Promise.resolve({
            rows: many.map((at) => ({ ...timer(`t-${at}`, { replyRoute: { type: "none" } }), name: named })),
          }),
      } as never,
    },
    { key: own, agentId: "main" },
    true,
  );
  expect(told.tasksTotal).toBe(2_000);
  expect(told.tasks.filter(({ kind }) => kind === "run")).toHaveLength(limits.statusRunsMax);
  expect(told.tasks.filter(({ kind }) => kind === "deferred")).toHaveLength(limits.statusTasksMax);
  // With room for the rest of the result.
  expect(JSON.stringify(told).length).toBeLessThan(limits.stepCharsMax - 2 * limits.historyTextCharsMax);
});

test.each([
  [undefined, undefined, "Context: unknown"],
  [undefined, 200_000, "Context: unknown, of 200000 tokens"],
  [5_000, undefined, "Context: 5000 tokens"],
  [50_000, 200_000, "Context: 50000 of 200000 tokens (25 %)"],
  [9_000, 8_000, "Context: 9000 of 8000 tokens (113 %)"],
])("context of %s in %s is told", (used, max, line) => {
  expect(contextLine(used, max)).toBe(line);
});
