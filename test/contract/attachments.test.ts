/** Files that a session hands to a sub-agent, with real cells at both levels. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestGateway } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

const subagents = subagentPolicy();
const attachments = { isEnabled: true, totalBytesMax: 5_242_880, filesMax: 50, fileBytesMax: 1_048_576, isKept: false };
const agent = (id: string, more: object = {}) => ({
  id,
  ...actor("spawner"),
  subagents,
  ...more,
});
const task = (command: object): string => JSON.stringify(command);
const files = [
  { name: "notes.md", content: "remember the milk" },
  { name: "Grüße.bin", content: Buffer.from([1, 2, 3]).toString("base64"), encoding: "base64" },
];

type Answer = Readonly<Record<string, unknown>>;

const spawn = async (gateway: TestGateway, params: object): Promise<Answer> =>
  JSON.parse(await gateway.reply("main", task({ do: "tool", tool: "sessions_spawn", params }))) as Answer;

const workspaceOf = (gateway: TestGateway, id: string): string =>
  gateway.config.agents.find((one) => one.id === id)?.workspace ?? "";

const written = (gateway: TestGateway, id: string, runId: unknown): readonly string[] => {
  const folder = path.join(workspaceOf(gateway, id), ".cloister", "attachments", String(runId));
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
};

const ended = async (gateway: TestGateway, runId: unknown) => {
  await expect.poll(async () => (await gateway.store.run(String(runId)))?.end).toBeDefined();
  return (await gateway.store.run(String(runId)))?.end;
};

describe.each(levels)("at level %s", (level) => {
  test("a sub-agent finds them in the workspace of its own agent, and they go with its run", async () => {
    const isolation = { level, trust: "confined" } as const;
    const gateway = await openGateway([agent("main"), agent("raul", { isolation })], { attachments });
    const accepted = await spawn(gateway, {
      agentId: "raul",
      task: task({ do: "attached" }),
      attachments: files,
      attachAs: { mountPath: "/input" },
    });
    const { runId } = accepted;
    expect(accepted["attachments"]).toEqual({
      count: 2,
      totalBytes: 20,
      relDir: `.cloister/attachments/${String(runId)}`,
      files: [
        { name: "notes.md", bytes: 17 },
        { name: "Grüße.bin", bytes: 3 },
      ],
    });
    const end = await ended(gateway, runId);
    expect(JSON.parse(end?.result ?? "{}")).toEqual({
      told: { folder: `.cloister/attachments/${String(runId)}`, count: 2, bytes: 20, mountPath: "/input" },
      found: { "notes.md": "remember the milk", "Grüße.bin": "\u0001\u0002\u0003" },
    });
    expect(written(gateway, "raul", runId)).toEqual([]);
    // The requester's workspace had nothing to do with it, and the store has their names alone.
    expect(existsSync(path.join(workspaceOf(gateway, "main"), ".cloister"))).toBe(false);
    const { rows } = await gateway.store.history("raul", `agent:raul:subagent:${String(runId)}`, 10, 0);
    expect(rows[0]?.text).toContain(
      `2 in .cloister/attachments/${String(runId)} of the workspace, 20 bytes: "notes.md"`,
    );
    expect(rows[0]?.text).toContain("They are meant for /input.");
    expect(rows[0]?.text).not.toContain("the milk");
  });

  test("a link in the workspace leads them nowhere: the run fails and says why", async () => {
    const isolation = { level, trust: "confined" } as const;
    const gateway = await openGateway([agent("main", { isolation })], { attachments });
    const outside = mkdtempSync(path.join(os.tmpdir(), "cloister-outside-"));
    mkdirSync(workspaceOf(gateway, "main"), { recursive: true });
    symlinkSync(outside, path.join(workspaceOf(gateway, "main"), ".cloister"));
    const { runId } = await spawn(gateway, { task: task({ do: "attached" }), attachments: files });
    expect(await ended(gateway, runId)).toMatchObject({
      outcome: "failed",
      detail: expect.stringContaining("leaves the workspace"),
    });
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe("files of a sub-agent", () => {
  test("stay with retainOnSessionKeep until the session is archived, and go with cleanup delete", async () => {
    const archiving = { ...subagents, archiveAfterMs: 3_000 };
    const gateway = await openGateway([agent("main", { subagents: archiving })], {
      attachments: { ...attachments, isKept: true },
    });
    const said = task({ do: "say", text: "x" });
    const kept = await spawn(gateway, { task: said, attachments: files });
    await ended(gateway, kept["runId"]);
    expect(written(gateway, "main", kept["runId"])).toEqual(["Grüße.bin", "notes.md"]);
    const deleted = await spawn(gateway, { task: said, attachments: files, cleanup: "delete" });
    await ended(gateway, deleted["runId"]);
    expect(written(gateway, "main", deleted["runId"])).toEqual([]);
    await expect.poll(async () => (await gateway.store.run(String(kept["runId"])))?.archivedAtMs).toBeDefined();
    expect(written(gateway, "main", kept["runId"])).toEqual([]);
  });

  test("of a run that a crash interrupted go at the next start", async () => {
    const before = await openGateway([agent("main")], { attachments });
    const { runId } = await spawn(before, { task: task({ do: "wait" }), attachments: files });
    await expect.poll(() => written(before, "main", runId)).toHaveLength(2);
    await before.drain(0);
    expect(written(before, "main", runId)).toHaveLength(2);
    const after = await openGateway([], {}, { store: before.store, config: before.config });
    expect(written(after, "main", runId)).toEqual([]);
    expect((await after.store.run(String(runId)))?.end).toMatchObject({ code: "interrupted" });
  });

  test("are refused before anything is started when the configuration does not allow them", async () => {
    const gateway = await openGateway([agent("main")]);
    expect(await spawn(gateway, { task: "x", attachments: files })).toMatchObject({
      code: "forbidden",
      error: "sessions_spawn: attachments are not allowed by the configuration",
      operatorHint: "tools.sessions_spawn.attachments.enabled: true",
    });
    for (const [wrong, text] of [
      ["x", "attachments: Invalid input"],
      [[null], "attachments.0.name"],
      [[{ name: "a" }], "attachments.0.chars"],
      [[{ name: "a", content: "x", path: "/etc" }], "attachments.0"],
    ] as const)
      expect(await spawn(gateway, { task: "x", attachments: wrong })).toMatchObject({
        code: "invalid",
        error: expect.stringContaining(text),
      });
    expect(await spawn(gateway, { task: "x", attachAs: { mountPath: "a b" } })).toMatchObject({ code: "invalid" });
    expect(await gateway.store.runs({ limit: 1 })).toEqual([]);
    expect(existsSync(path.join(workspaceOf(gateway, "main"), ".cloister"))).toBe(false);
  });

  test("never replace a file that is there", async () => {
    const gateway = await openGateway([agent("main")], {
      attachments,
      lanes: { main: 4, subagent: 1, cron: 4, background: 3 },
    });
    await spawn(gateway, { task: task({ do: "wait" }) });
    const { runId } = await spawn(gateway, { task: task({ do: "attached" }), attachments: files });
    const folder = path.join(workspaceOf(gateway, "main"), ".cloister", "attachments", String(runId));
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "notes.md"), "mine");
    const [first] = gateway.driver.kernel.runViews();
    gateway.driver.kernel.cancelRun(first?.run.sessionKey ?? "", "test", true, Date.now());
    expect(await ended(gateway, runId)).toMatchObject({ outcome: "failed", detail: expect.stringContaining("EEXIST") });
  });
});
