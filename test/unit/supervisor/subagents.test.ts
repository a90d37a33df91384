/** Sub-agent runs between kernel and store, while the gateway starts. */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import type { RunEnd } from "../../../runtime/kernel/run-rows.ts";
import type { Store, StoredRun } from "../../../runtime/store/port.ts";
import { makeSubagents, type SubagentsDeps } from "../../../runtime/supervisor/subagents.ts";
import { runRow } from "../../contract/store-envelopes.ts";

const depsOf = (store: Store, kernel: ReturnType<SubagentsDeps["kernel"]>): SubagentsDeps => ({
  store,
  kernel: () => kernel,
  accept: () => Promise.reject(new Error("nothing is told yet")),
  expect: () => undefined,
  onSessionChanged: () => undefined,
  onRunEnded: () => undefined,
  onAnswer: () => undefined,
  workspaceOf: () => undefined,
  nowMs: () => 2_000,
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
});

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
  const subagents = makeSubagents(depsOf(store, kernel));
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

test("the files of a run go with it from the workspace that they were written to, also when its agent is removed by then", async () => {
  const workspace = mkdtempSync(path.join(os.tmpdir(), "attachments-"));
  const folder = path.join(workspace, ".cloister", "attachments", "r1");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "notes.md"), "remember the milk");
  const attachments = {
    workspace,
    folder: ".cloister/attachments/r1",
    count: 1,
    bytes: 17,
    isKept: false,
    noteChars: 0,
  };
  const run = runRow("r1", { attachments });
  const isStored = Promise.withResolvers<void>();
  const store = { endRun: () => Promise.resolve({}) } as unknown as Store;
  const kernel = { runStored: () => isStored.resolve() } as unknown as ReturnType<SubagentsDeps["kernel"]>;
  const end: RunEnd = { outcome: "cancelled", detail: "", endedAtMs: 2_000, toolCalls: 0, delivery: "quiet" };
  makeSubagents(depsOf(store, kernel)).carryOut({ type: "run-ended", run, end, completion: undefined });
  await isStored.promise;
  expect(existsSync(folder)).toBe(false);
});

test("a run whose call had begun one before leaves nothing behind", async () => {
  const run = runRow("again");
  const undone: unknown[] = [];
  const started = { run, envelope: {} };
  const kernel = {
    spawn: () => started,
    notSpawned: (one: unknown) => void undone.push(one),
  } as unknown as ReturnType<SubagentsDeps["kernel"]>;
  const store = { spawn: () => Promise.resolve({ status: "known" }) } as unknown as Store;
  const ended: string[] = [];
  const deps = { ...depsOf(store, kernel), onRunEnded: (sessionKey: string) => void ended.push(sessionKey) };
  type Spawn = Parameters<ReturnType<typeof makeSubagents>["spawn"]>;
  const call = { key: 1, tool: "sessions_spawn", header: { id: "m1" } } as Spawn[0];
  expect(await makeSubagents(deps).spawn(call, {} as Spawn[1], {}, [])).toBeUndefined();
  expect(undone).toEqual([started]);
  expect(ended).toEqual([run.sessionKey]);
});

test("a completion that its requester's mailbox does not take is tried after 15 s, later and later, each 5 minutes at the most, and for half an hour", async () => {
  const end: RunEnd = {
    outcome: "succeeded",
    detail: "",
    result: "42",
    endedAtMs: 0,
    toolCalls: 0,
    delivery: "pending",
  };
  const run: StoredRun = { ...runRow("r1", { archiveAfterMs: 3_600_000 }), end };
  const full = { status: "refused", refusal: { code: "CLOISTER_MAILBOX_FULL", message: "full" } } as const;
  const taken = { status: "stored", runId: "run-1" } as unknown as Awaited<ReturnType<SubagentsDeps["accept"]>>;
  /** When it is tried, in seconds from the end of the run, until the mailbox has room; and what becomes of it. */
  const tried = async (roomAtS: number, code?: "CLOISTER_AGENT_UNKNOWN") => {
    const at: number[] = [];
    const expected: number[] = [];
    let nowMs = 0;
    let nextMs: number | undefined = 15_000;
    let isBlocked = false;
    const store = {
      postpone: (_id: string, atMs: number) => Promise.resolve(void (nextMs = atMs)),
      blockRun: () => Promise.resolve(void (isBlocked = true)),
    } as unknown as Store;
    const kernel = { hearerOf: () => ({ sessionKey: "agent:ann:main", agentId: "ann" }) } as unknown as ReturnType<
      SubagentsDeps["kernel"]
    >;
    const subagents = makeSubagents({
      ...depsOf(store, kernel),
      nowMs: () => nowMs,
      expect: (atMs) => void expected.push(atMs),
      accept() {
        at.push(nowMs / 1_000);
        const refusal = code === undefined ? full.refusal : { code, message: "no such agent" };
        return Promise.resolve(nowMs >= roomAtS * 1_000 ? taken : { ...full, refusal });
      },
    });
    while (nextMs !== undefined) {
      nowMs = nextMs;
      nextMs = undefined;
      await subagents.due({ type: "run", run } as Parameters<typeof subagents.due>[0]);
    }
    return { at, isBlocked, expected };
  };
  const untilFull = [15, 30, 60, 120, 240, 480, 780, 1_080, 1_380, 1_680];
  expect(await tried(Number.POSITIVE_INFINITY)).toEqual({ at: untilFull, isBlocked: true, expected: [] });
  // Once: from then on its session waits for its archive.
  expect(await tried(200)).toEqual({ at: [15, 30, 60, 120, 240], isBlocked: false, expected: [3_600_000] });
  expect(await tried(200, "CLOISTER_AGENT_UNKNOWN")).toEqual({ at: [15], isBlocked: true, expected: [] });
});
