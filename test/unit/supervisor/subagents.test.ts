/** Sub-agent runs between kernel and store, while the gateway starts. */
import { expect, test } from "vitest";
import type { RunEnd } from "../../../runtime/kernel/run-rows.ts";
import type { Store, StoredRun } from "../../../runtime/store/port.ts";
import { makeSubagents, type SubagentsDeps } from "../../../runtime/supervisor/subagents.ts";
import { runRow } from "../../contract/store-envelopes.ts";

test("a run that the last process left is told of when it has its end, and one that has begun meanwhile goes on", async () => {
  const rows = new Map<string, StoredRun>([
    ["left", runRow("left")],
    ["new", runRow("new")],
  ]);
  const isWritten = Promise.withResolvers<void>();
  const store = {
    runs: () => Promise.resolve([...rows.values()]),
    run: (id: string) => Promise.resolve(rows.get(id)),
    async endRun(id: string, end: RunEnd) {
      await isWritten.promise;
      rows.set(id, { ...runRow(id), end });
      return {};
    },
  } as unknown as Store;
  const live = { run: runRow("new"), status: "running", startedAtMs: 1_000, toolCalls: 0 } as const;
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
