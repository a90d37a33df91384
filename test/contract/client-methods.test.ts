/** What clients ask of sessions, and of what the gateway has, on a real kernel with real cells. */
import { link, mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { RpcResult } from "../../runtime/edge/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actor } from "../support/actors.ts";
import { provider } from "../support/broker.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const client = { connId: "c", clientId: "test", mode: "test", scopes: ["operator.admin"] };

const ask = (gateway: TestGateway, method: string, params: object = {}): Promise<RpcResult> =>
  gateway.doors.rpc(client, method, params);

// oxlint-disable-next-line typescript/no-explicit-any -- the shape of an answer is what the tests are about
async function call(gateway: TestGateway, method: string, params: object = {}): Promise<any> {
  const result = await ask(gateway, method, params);
  if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
  return result.payload;
}

describe("sessions", () => {
  test("send starts a turn, the same key again is the same run, preview shows what was said", async () => {
    const gateway = await openGateway([{ id: "main" }, { id: "raul" }]);
    const sent = { key: "agent:raul:main", message: "remember that tea is better", idempotencyKey: "k1" };
    const first = await call(gateway, "sessions.send", sent);
    expect(first).toEqual({ runId: "k1", agentId: "raul", sessionKey: "agent:raul:main", status: "started" });
    expect(await gateway.ended("k1")).toMatchObject({ status: "ok" });
    expect(await call(gateway, "sessions.send", sent)).toMatchObject({ runId: "k1", status: "in_flight" });

    const keys = ["agent:raul:main", "agent:main:main", "agent:nobody:main"];
    const { previews } = await call(gateway, "sessions.preview", { keys, maxChars: 20 });
    expect(previews).toEqual([
      {
        key: "agent:raul:main",
        status: "ok",
        items: [
          { role: "user", text: "remember that tea i…" },
          { role: "assistant", text: expect.stringMatching(/^.{19}…$/s) },
        ],
      },
      { key: "agent:main:main", status: "missing", items: [] },
      { key: "agent:nobody:main", status: "error", items: [] },
    ]);
    expect(await call(gateway, "sessions.describe", { key: "agent:raul:main" })).toMatchObject({
      session: { key: "agent:raul:main", kind: "direct", classification: "main", isMain: true, status: "done" },
    });
    expect(await call(gateway, "sessions.describe", { key: "agent:main:main" })).toEqual({ session: null });
  });

  test("steer gives a running turn a message; abort ends it, by session and by run", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("holder") }]);
    const key = "agent:main:main";
    const begin = async (): Promise<string> => {
      const { runId } = await call(gateway, "sessions.send", { key, message: "steer me" });
      await gateway.until(() =>
        gateway.events.some(({ event, payload }) => event === "run" && payload.runId === runId),
      );
      return runId as string;
    };
    const first = await begin();
    await call(gateway, "sessions.steer", { key, message: "enough" });
    expect(await gateway.ended(first)).toMatchObject({ reply: "steer me, enough" });

    const second = await begin();
    expect(await call(gateway, "sessions.abort", { key })).toEqual({
      ok: true,
      abortedRunId: second,
      status: "aborted",
    });
    const third = await begin();
    expect(await call(gateway, "sessions.abort", { runId: third })).toMatchObject({ abortedRunId: third });
    expect(await call(gateway, "sessions.abort", { key })).toEqual({
      ok: true,
      abortedRunId: null,
      status: "no-active-run",
    });
  });

  test("health and status count sessions after a change, and only then", async () => {
    const gateway = await openGateway([{ id: "main" }, { id: "raul" }]);
    expect(await call(gateway, "health")).toMatchObject({ sessions: { count: 0, recent: [] } });
    await gateway.reply("raul", "who are you");
    const health = await call(gateway, "health");
    expect(health.agents).toMatchObject([
      { agentId: "main", sessions: { count: 0 } },
      { agentId: "raul", sessions: { count: 1, recent: [{ key: "agent:raul:main", age: expect.any(Number) }] } },
    ]);
    const status = await call(gateway, "status");
    expect(status.sessions).toMatchObject({ count: 1, byAgent: [{ agentId: "main" }, { agentId: "raul", count: 1 }] });
    const reader = { ...client, scopes: ["operator.read"] };
    const read = await gateway.doors.rpc(reader, "status", {});
    expect(read).toMatchObject({ payload: { sessions: { paths: [], byAgent: [{ path: "[redacted]" }, {}] } } });
  });
});

describe("what the gateway has", () => {
  test("agents, channels, commands, tools, models and timers", async () => {
    const gateway = await openGateway([{ id: "main", name: "The Main", model: "anthropic/opus" }, { id: "raul" }], {
      webhook: {
        accounts: { home: { token: "t" }, out: { token: "u", outboundUrl: "http://x" } },
        defaultAccount: "home",
      },
    });
    expect(await call(gateway, "agents.list")).toMatchObject({
      defaultId: "main",
      selectionRequired: false,
      agents: [{ id: "main", kind: "agent", name: "The Main", model: { primary: "anthropic/opus" } }, { id: "raul" }],
    });
    expect(await call(gateway, "agent.identity.get")).toMatchObject({
      agentId: "main",
      name: "The Main",
      nameSource: "config",
    });
    expect(await call(gateway, "agent.identity.get", { sessionKey: "agent:raul:main" })).toMatchObject({
      agentId: "raul",
      nameSource: "default",
    });
    expect(await call(gateway, "channels.status")).toMatchObject({
      channelOrder: ["webhook"],
      channelAccounts: {
        webhook: [
          { accountId: "home", mode: "inbound" },
          { accountId: "out", mode: "both" },
        ],
      },
      channelDefaultAccountId: { webhook: "home" },
    });
    const { commands } = await call(gateway, "commands.list");
    expect(commands).toContainEqual({
      name: "stop",
      textAliases: ["/stop"],
      description: expect.any(String),
      source: "native",
      scope: "text",
      acceptsArgs: expect.any(Boolean),
    });
    const { groups } = await call(gateway, "tools.catalog", { agentId: "raul" });
    expect(groups[0].tools.map(({ id }: { id: string }) => id)).toContain("sessions_send");
    expect(await call(gateway, "models.list")).toEqual({
      models: [{ id: "opus", name: "opus", provider: "anthropic" }],
    });
    expect(await call(gateway, "cron.status")).toEqual({ enabled: true, jobs: 0, nextWakeAtMs: null });
    await expect(call(gateway, "agent.identity.get", { agentId: "nobody" })).rejects.toMatchObject({
      code: "CLOISTER_AGENT_UNKNOWN",
    });
  });

  test("models are those that sessions may choose, each once, with what the configuration says of them", async () => {
    const raul = { id: "raul", model: "lab/a", modelFallbacks: ["lab/c"] };
    const lab = {
      ...provider("lab"),
      models: { a: { id: "a", name: "Model A", contextWindow: 32_000, reasoning: false }, d: { id: "d" } },
    };
    const gateway = await openGateway([{ id: "main", model: "lab/a" }, raul], {
      models: {
        providers: { lab },
        catalogue: ["other/b/x", "lab/c"],
        aliases: { Bx: "other/b/x" },
        authOrder: {},
        variables: {},
      },
    });
    expect(await call(gateway, "models.list")).toEqual({
      models: [
        { id: "a", name: "Model A", provider: "lab", contextWindow: 32_000, reasoning: false },
        { id: "c", name: "c", provider: "lab" },
        { id: "b/x", name: "b/x", provider: "other", alias: "Bx" },
      ],
    });
  });

  test("timers are jobs, in pages that tell whether they are of the same inventory", async () => {
    const gateway = await openGateway([{ id: "main" }]);
    const set = (name: string, dueAtMs: number, everyMs?: number): Promise<unknown> =>
      gateway.store.schedule({
        id: `t-${name}`,
        agentId: "main",
        sessionKey: "agent:main:main",
        name,
        via: "config",
        body: `wake for ${name}`,
        isData: false,
        dueAtMs,
        createdAtMs: 1,
        ...(everyMs === undefined ? {} : { everyMs }),
      });
    const empty = await call(gateway, "cron.list");
    expect(empty).toMatchObject({ jobs: [], total: 0, offset: 0, hasMore: false, nextOffset: null });
    await set("tea", 9e12);
    await set("rent", 8e12, 60_000);
    const first = await call(gateway, "cron.list", { limit: 1 });
    expect(first).toMatchObject({
      jobs: [
        {
          id: "t-rent",
          name: "rent",
          enabled: true,
          deleteAfterRun: false,
          schedule: { kind: "every", everyMs: 60_000 },
          sessionTarget: "session:agent:main:main",
          payload: { text: "wake for rent" },
          state: { nextRunAtMs: 8e12 },
        },
      ],
      total: 2,
      limit: 1,
      hasMore: true,
      nextOffset: 1,
    });
    const second = await call(gateway, "cron.list", { limit: 1, offset: 1 });
    expect(second).toMatchObject({
      jobs: [{ id: "t-tea", deleteAfterRun: true, schedule: { kind: "at", at: new Date(9e12).toISOString() } }],
      hasMore: false,
      nextOffset: null,
      snapshotRevision: first.snapshotRevision,
    });
    expect(first.snapshotRevision).not.toBe(empty.snapshotRevision);
    expect(await call(gateway, "cron.status")).toEqual({ enabled: true, jobs: 2, nextWakeAtMs: 8e12 });
  });

  test("files of a workspace are read by name, and what leads out of it is not there", async () => {
    const gateway = await openGateway([{ id: "main" }]);
    const workspace = gateway.config.agents[0]?.workspace ?? "";
    await mkdir(workspace, { recursive: true });
    const secret = path.join(gateway.config.stateDir, "operator.key");
    await writeFile(secret, "secret");
    await writeFile(path.join(workspace, "AGENTS.md"), "rules");
    await symlink(secret, path.join(workspace, "SOUL.md"));
    await link(secret, path.join(workspace, "USER.md"));
    await mkdir(path.join(workspace, "TOOLS.md"));
    await writeFile(path.join(workspace, "MEMORY.md"), Buffer.alloc(limits.agentFileBytesMax + 1));

    const { files } = await call(gateway, "agents.files.list", { agentId: "main" });
    const present = files.filter(({ missing }: { missing: boolean }) => !missing);
    expect(present).toEqual([
      expect.objectContaining({ name: "AGENTS.md", size: 5, updatedAtMs: expect.any(Number) }),
      expect.objectContaining({ name: "MEMORY.md" }),
    ]);
    expect(await call(gateway, "agents.files.get", { agentId: "main", name: "AGENTS.md" })).toMatchObject({
      file: { content: "rules", hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    for (const name of ["SOUL.md", "USER.md", "TOOLS.md", "IDENTITY.md"])
      expect((await call(gateway, "agents.files.get", { name })).file, name).toMatchObject({ missing: true });
    for (const name of ["../operator.key", "MEMORY.md", "notes.md", ""])
      expect(await ask(gateway, "agents.files.get", { name }), name).toMatchObject({
        ok: false,
        refusal: { code: "CLOISTER_REQUEST_INVALID" },
      });
  });
});
