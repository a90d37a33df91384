/** The doors of the verbs `steer` and `cancel`, with real cells: what another agent's turn takes, and what ends it. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const raul = "agent:raul:main";

const open = (verbs: readonly ("steer" | "cancel" | "send")[], changes: Partial<ResolvedConfig> = {}) =>
  openGateway(
    [
      { id: "main", ...actor("tool-user") },
      { id: "raul", ...actor("holder") },
    ],
    { agentToAgent: { enabled: true, allow: [], grants: [{ from: "main", to: "raul", verbs }] }, ...changes },
  );

// oxlint-disable-next-line typescript/no-explicit-any -- a tool's result, looked into by the tests
const use = async (gateway: TestGateway, tool: string, params: object): Promise<any> =>
  JSON.parse(await gateway.reply("main", JSON.stringify({ tool, params })));

const isRunning = (gateway: TestGateway, count = 1) => expect.poll(() => gateway.agents()[1]?.activeRuns).toBe(count);

const framed = (text: string): string =>
  `[Inter-session message sourceSession=agent:main:main sourceChannel=internal sourceTool=sessions_send chain=agent:main:main trust=agent isUser=false]\n${text}\n[End of inter-session message]`;

describe("A9.1: steer", () => {
  const steer = (gateway: TestGateway, message: string, params: object = {}) =>
    use(gateway, "sessions_send", { sessionKey: raul, message, mode: "steer", ...params });

  it("reaches the running turn of another agent, framed as another session's word", async () => {
    const gateway = await open(["steer"]);
    const running = gateway.say("raul", "steer left");
    await isRunning(gateway);
    expect(await steer(gateway, "rather right")).toMatchObject({
      status: "accepted",
      sessionKey: raul,
      delivery: { status: "skipped" },
    });
    await gateway.say("raul", "enough");
    expect(await running).toMatchObject({ reply: `steer left, ${framed("rather right")}, enough` });
    const { rows } = await gateway.store.history("raul", raul, 100, 0);
    expect(rows.slice(0, 3).map(({ role, text, isUser }) => [role, text, isUser])).toEqual([
      ["user", "steer left", true],
      ["user", "rather right", false],
      ["user", "enough", true],
    ]);
    expect(rows[1]?.provenance).toMatchObject({ kind: "inter_session", sourceSessionKey: "agent:main:main" });
  });

  it("is a turn of its own where nothing runs, without turns that follow on it", async () => {
    const gateway = await open(["steer"]);
    expect(await steer(gateway, "hello")).toMatchObject({ status: "accepted" });
    await expect.poll(async () => (await gateway.store.history("raul", raul, 9, 0)).total).toBe(2);
    await expect.poll(async () => (await gateway.store.pending()).envelopes).toEqual([]);
    expect((await gateway.store.history("main", "agent:main:main", 100, 0)).rows.map(({ role }) => role)).toEqual([
      "user",
      "toolResult",
      "assistant",
    ]);
  });

  it("waits for no answer, and is no right that comes with another one", async () => {
    const gateway = await open(["steer"]);
    expect(await steer(gateway, "x", { timeoutSeconds: 5 })).toMatchObject({
      status: "error",
      code: "invalid",
      error: expect.stringContaining("timeoutSeconds: found 5"),
    });
    expect(await steer(gateway, "x", { mode: "notify" })).toMatchObject({ code: "invalid" });
    const sender = await open(["send"]);
    expect(await steer(sender, "x")).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("may not steer"),
      operatorHint: expect.stringContaining('"steer"'),
    });
  });

  it("asks the operator for the right, and keeps nothing of a message that would come too late", async () => {
    const gateway = await open(["send"], {
      agentToAgent: { enabled: true, allow: [], grants: [], requests: "operator" },
    });
    expect(await steer(gateway, "x")).toMatchObject({ status: "forbidden", request: { kept: false } });
    expect(await use(gateway, "sessions", { action: "cancel", sessionKey: raul })).toMatchObject({
      status: "forbidden",
      request: { kept: false },
    });
  });

  it("of its own sub-agent needs no grant", async () => {
    const gateway = await openGateway([
      { id: "main", ...actor("holder") },
      { id: "boss", ...actor("tool-user"), subagents: { ...subagents, allowAgents: ["main"] } },
    ]);
    const boss = async (tool: string, params: object) =>
      JSON.parse(await gateway.reply("boss", JSON.stringify({ tool, params })));
    const child = await boss("sessions_spawn", { agentId: "main", task: "steer me", expectsCompletionMessage: false });
    await expect.poll(async () => (await boss("subagents", { action: "list" })).tasks[0]?.status).toBe("running");
    expect(
      await boss("sessions_send", { sessionKey: child.childSessionKey, message: "enough", mode: "steer" }),
    ).toMatchObject({ status: "accepted" });
    const ended = await boss("subagents", { action: "wait", taskIds: [child.runId] });
    expect(ended.tasks[0]).toMatchObject({ status: "succeeded" });
    const other = await boss("sessions_spawn", { agentId: "main", task: "hold", expectsCompletionMessage: false });
    expect(await boss("sessions", { action: "cancel", sessionKey: other.childSessionKey })).toMatchObject({
      status: "ok",
      cancelled: 1,
    });
    expect((await boss("subagents", { action: "wait", taskIds: [other.runId] })).tasks[0]).toMatchObject({
      status: "cancelled",
    });
  });
});

describe("A9.1: cancel", () => {
  const cancel = (gateway: TestGateway, sessionKey = raul) =>
    use(gateway, "sessions", { action: "cancel", sessionKey });

  it("ends the running turn of another agent alone, says who did it, and leaves what waits", async () => {
    const gateway = await open(["cancel"]);
    const running = gateway.say("raul", "hold");
    await isRunning(gateway);
    const waiting = gateway.say("raul", "hold too");
    const elsewhere = gateway.say("raul", "hold as well", "agent:raul:other");
    await isRunning(gateway, 2);
    const told = await cancel(gateway);
    expect(told).toMatchObject({ status: "ok", action: "cancel", sessionKey: raul, cancelled: 1 });
    expect(await running).toMatchObject({
      runId: told.runId,
      status: "error",
      refusal: { code: "CLOISTER_ASK_ABORTED", message: expect.stringContaining("agent:main:main") },
    });
    writeFileSync(path.join(gateway.config.agents[1]?.workspace ?? "", "go-on"), "");
    expect(await waiting).toMatchObject({ status: "ok", reply: "hold too" });
    expect(await elsewhere).toMatchObject({ status: "ok", reply: "hold as well" });
  });

  it("says what it did not find, and does not end its own turn", async () => {
    const gateway = await open(["cancel"]);
    expect(await cancel(gateway)).toMatchObject({ status: "ok", cancelled: 0 });
    expect(await cancel(gateway, "agent:raul:nobody")).toMatchObject({ status: "error", code: "not_found" });
    expect(await cancel(gateway, "agent:main:main")).toMatchObject({ status: "error", code: "invalid" });
  });
});

const subagents = {
  requireAgentId: false,
  childrenMax: 5,
  depthMax: 1,
  runTimeoutMs: 0,
  archiveAfterMs: 3_600_000,
};
