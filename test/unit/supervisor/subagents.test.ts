/** Sub-agent runs between kernel and store, while the gateway starts. */
import { expect, test } from "vitest";
import type { RunEnd, RunRow } from "../../../runtime/kernel/run-rows.ts";
import type { Store, StoredRun } from "../../../runtime/store/port.ts";
import { makeSubagents, type SubagentsDeps } from "../../../runtime/supervisor/subagents.ts";

const row = (id: string): RunRow => ({
  id,
  agentId: "main",
  sessionKey: `agent:main:subagent:${id}`,
  ownerAgentId: "main",
  requesterSessionKey: "agent:main:main",
  requesterRunId: "run-1",
  lineage: ["agent:main:main"],
  replyRoute: { type: "none" },
  trace: "trace-1",
  task: "do it",
  cleanup: "keep",
  context: "isolated",
  announce: true,
  detached: false,
  archiveAfterMs: 0,
  createdAtMs: 1_000,
});

test("a run that the last process left is told of when it has its end, and one that has begun meanwhile goes on", async () => {
  const rows = new Map<string, StoredRun>([
    ["left", row("left")],
    ["new", row("new")],
  ]);
  const isWritten = Promise.withResolvers<void>();
  const store = {
    runs: () => Promise.resolve([...rows.values()]),
    run: (id: string) => Promise.resolve(rows.get(id)),
    async endRun(id: string, end: RunEnd) {
      await isWritten.promise;
      rows.set(id, { ...row(id), end });
      return {};
    },
  } as unknown as Store;
  const live = { run: row("new"), status: "running", startedAtMs: 1_000, toolCalls: 0 } as const;
  const kernel = { runViews: () => [live] } as unknown as ReturnType<SubagentsDeps["kernel"]>;
  const subagents = makeSubagents({
    store,
    kernel: () => kernel,
    accept: () => Promise.reject(new Error("nothing is told yet")),
    expect: () => undefined,
    onSessionChanged: () => undefined,
    onAnswer: () => undefined,
    workspaceOf: () => "",
    nowMs: () => 2_000,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const found = subagents.find("left");
  const listed = subagents.list({ limit: 10 });
  const starting = subagents.start();
  isWritten.resolve();
  expect((await found)?.end).toMatchObject({ outcome: "failed", code: "interrupted" });
  expect((await listed).map(({ runId, status }) => [runId, status])).toEqual([
    ["left", "failed"],
    ["new", "running"],
  ]);
  await starting;
  expect(rows.get("new")?.end).toBeUndefined();
});
