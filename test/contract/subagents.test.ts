/** Sub-agents with real cells: through the whole gateway, over restarts of it. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { actor, moduleOf } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestAgent, type TestGateway, withSessionTools } from "../support/gateway.ts";

const spawner = actor("spawner");
const policy = subagentPolicy({ depthMax: 2 });
const agent = (id: string, changes: Partial<TestAgent> = {}): TestAgent => ({
  id,
  ...spawner,
  subagents: policy,
  ...changes,
});

async function tell(gateway: TestGateway, command: object, agentId = "main"): Promise<unknown> {
  return JSON.parse(await gateway.reply(agentId, JSON.stringify(command))) as unknown;
}

const task = (command: object): string => JSON.stringify(command);

const spawn = (gateway: TestGateway, params: object): Promise<Record<string, unknown>> =>
  tell(gateway, { do: "tool", tool: "sessions_spawn", params }) as Promise<Record<string, unknown>>;

interface Heard {
  readonly signal: {
    readonly runId: string;
    readonly outcome: string;
    readonly status: string;
    readonly code?: string;
  };
  readonly text: string;
}

const heard = async (gateway: TestGateway): Promise<readonly Heard[]> =>
  (await tell(gateway, { do: "heard" })) as readonly Heard[];

async function untilHeard(gateway: TestGateway, count: number): Promise<readonly Heard[]> {
  await expect.poll(async () => (await heard(gateway)).length).toBe(count);
  return heard(gateway);
}

describe("sessions_spawn", () => {
  test("AC-04.1: is accepted with run and session, and the completion reaches the parent", async () => {
    const gateway = await openGateway([agent("main"), agent("raul")]);
    const accepted = await spawn(gateway, {
      runtime: "subagent",
      agentId: "raul",
      mode: "run",
      task: task({ do: "say", text: "42" }),
      label: "the answer",
    });
    expect(accepted).toMatchObject({ status: "accepted", mode: "run" });
    const { runId, childSessionKey } = accepted as { runId: string; childSessionKey: string };
    expect(childSessionKey).toBe(`agent:raul:subagent:${runId}`);
    const [completion] = await untilHeard(gateway, 1);
    expect(completion?.signal).toMatchObject({ type: "completion", runId, outcome: "succeeded", status: "ok" });
    expect(completion?.text).toContain("\n42\n");
    expect(completion?.text).toMatch(/stats: runtime \d+\.\d s, tool calls 0/);
    const history = await gateway.store.history("raul", childSessionKey, 10, 0);
    expect(history.rows.map(({ role, text }) => [role, text])).toEqual([
      ["user", `[Subagent Task]\n\n${task({ do: "say", text: "42" })}`],
      ["assistant", "42"],
    ]);
  });

  test("AC-21.2: as raul it works in raul's workspace, and leaves raul's own session alone", async () => {
    const gateway = await openGateway([agent("main"), agent("raul")]);
    const accepted = await spawn(gateway, { agentId: "raul", task: task({ do: "write" }) });
    const [completion] = await untilHeard(gateway, 1);
    const raul = gateway.config.agents.find(({ id }) => id === "raul");
    expect(completion?.text).toContain(`raul wrote in ${raul?.workspace}`);
    expect(readFileSync(path.join(raul?.workspace ?? "", "made-by-child.txt"), "utf8")).toBe(
      accepted["childSessionKey"],
    );
    expect(await gateway.store.session("agent:raul:main")).toBeUndefined();
    expect(await gateway.store.session(String(accepted["childSessionKey"]))).toMatchObject({
      spawnedBy: "agent:main:main",
      lineage: ["agent:main:main"],
    });
  });

  test("AC-04.3, A3.4: answers before the child works, and a stop of the session ends a child in an endless loop", async () => {
    const gateway = await openGateway([agent("main")]);
    const { runId, childSessionKey } = await spawn(gateway, { task: task({ do: "spin" }) });
    await expect.poll(() => gateway.driver.kernel.isRunning(String(childSessionKey))).toBe(true);
    expect((await tell(gateway, { do: "tool", tool: "sessions_list", params: {} })) as object).toMatchObject({
      sessions: expect.arrayContaining([
        expect.objectContaining({ key: childSessionKey, spawnedBy: "agent:main:main", status: "running" }),
        expect.objectContaining({ key: "agent:main:main", children: [childSessionKey] }),
      ]),
    });
    const stopped = gateway.driver.kernel.stop({ type: "session", sessionKey: "agent:main:main" }, "test", Date.now());
    expect(stopped.active).toEqual([runId]);
    await expect
      .poll(async () => (await gateway.store.run(String(runId)))?.end)
      .toMatchObject({ outcome: "cancelled", delivery: "suppressed" });
    expect(await heard(gateway)).toEqual([]);
  });

  test.each([
    ["an agent id that is none", { agentId: "../x" }, "invalid", "Invalid agentId"],
    ["a session without a thread", { mode: "session" }, "invalid", "requires thread=true"],
    ["a thread, which no channel can bind", { thread: true }, "invalid", "no channel adapter"],
    ["an agent that is not configured", { agentId: "nobody" }, "not_found", "agent not found: nobody"],
    ["an agent that is not allowed", { agentId: "ana" }, "forbidden", "agentId is not allowed for sessions_spawn"],
    ["a sandbox that is not there", { sandbox: "require" }, "forbidden", "needs a sandboxed target"],
    ["where the result would go", { channel: "telegram" }, "invalid", "not a parameter"],
    ["another agent's transcript", { agentId: "raul", context: "fork" }, "invalid", "may not have"],
    ["a name that means something else", { taskName: "all" }, "invalid", "sessions_spawn: taskName"],
  ])("refuses %s", async (_what, params, code, text) => {
    const gateway = await openGateway([
      agent("main", { subagents: { ...policy, allowAgents: ["raul"] } }),
      agent("raul"),
      agent("ana"),
    ]);
    const refused = await spawn(gateway, { task: task({ do: "say", text: "x" }), ...params });
    expect(refused).toMatchObject({ code, error: expect.stringContaining(text) });
    expect(await gateway.store.runs({ limit: 10 })).toEqual([]);
    expect(await gateway.store.sessions({ limit: 10, offset: 0 })).toMatchObject({ total: 1 });
  });

  test("refuses a task beyond depth or children, before it looks at the agent", async () => {
    const gateway = await openGateway([agent("main", { subagents: { ...policy, depthMax: 1, childrenMax: 1 } })]);
    const nested = { do: "tool", tool: "sessions_spawn", params: { task: "x" } };
    const deep = await tell(gateway, { do: "spawn", options: { task: task(nested) } });
    expect(deep).toMatchObject({ status: "failed", text: expect.stringContaining("no capability") });
    await spawn(gateway, { task: task({ do: "wait" }) });
    expect(await spawn(gateway, { task: "x", agentId: "nobody" })).toMatchObject({
      code: "forbidden",
      error: "sessions_spawn has reached max active children for this session (1/1)",
    });
  });

  const requiring = { subagents: { ...policy, requireAgentId: true } };
  const boxed = { sandboxMode: "all" as const };
  test.each<[string, readonly TestAgent[], object, object]>([
    [
      "an invalid agent id",
      [agent("main")],
      { agentId: "Two Words" },
      {
        status: "error",
        error: 'Invalid agentId "Two Words". Agent IDs must match [a-z0-9][a-z0-9_-]{0,63}',
      },
    ],
    [
      "a session without a thread",
      [agent("main")],
      { mode: "session" },
      { status: "error", error: 'mode="session" requires thread=true so the sub-agent can stay bound to a thread.' },
    ],
    [
      "no agent id where one is required",
      [agent("main", requiring)],
      {},
      {
        status: "forbidden",
        error:
          "sessions_spawn requires explicit agentId when requireAgentId is configured. Use agents_list to see allowed agent ids.",
      },
    ],
    [
      "an agent that is not allowed, where some are",
      [agent("main", { subagents: { ...policy, allowAgents: ["ana", "bo"] } }), agent("raul")],
      { agentId: "raul" },
      { status: "forbidden", error: "agentId is not allowed for sessions_spawn (allowed: ana, bo)" },
    ],
    [
      "an agent that is not allowed, where none is",
      [agent("main", { subagents: { ...policy, allowAgents: [] } }), agent("raul")],
      { agentId: "raul" },
      { status: "forbidden", error: "agentId is not allowed for sessions_spawn (allowed: none)" },
    ],
    [
      "a way out of the sandbox",
      [agent("main", boxed), agent("raul")],
      { agentId: "raul" },
      { status: "forbidden", error: "Sandboxed sessions cannot spawn unsandboxed subagents." },
    ],
  ])("a refusal has the text that users know: %s", async (_what, agents, params, told) => {
    const gateway = await openGateway(agents, { toolRules: withSessionTools });
    expect(await spawn(gateway, { task: "x", ...params })).toMatchObject(told);
    expect(await gateway.store.runs({ limit: 1 })).toEqual([]);
  });

  test("of several reasons to refuse the first of behaviour §3.5 is told", async () => {
    const refused = async (
      subagents: Partial<TestAgent["subagents"]>,
      ...asked: readonly object[]
    ): Promise<readonly unknown[]> => {
      const main = agent("main", { ...boxed, subagents: { ...policy, requireAgentId: true, ...subagents } });
      const gateway = await openGateway([main, agent("raul")], { toolRules: withSessionTools });
      const told: unknown[] = [];
      for (const params of asked) told.push((await spawn(gateway, { task: "x", ...params }))["error"]);
      return told;
    };
    const none = { allowAgents: [], childrenMax: 0 };
    expect(
      await refused(none, { agentId: "Two Words", mode: "session" }, { agentId: "raul", mode: "session" }, {}),
    ).toEqual([
      expect.stringContaining("Invalid agentId"),
      expect.stringContaining("requires thread=true"),
      expect.stringContaining("max active children for this session (0/0)"),
    ]);
    expect(await refused({ allowAgents: [] }, {}, { agentId: "raul" })).toEqual([
      expect.stringContaining("requires explicit agentId"),
      expect.stringContaining("is not allowed for sessions_spawn"),
    ]);
    expect(await refused({}, { agentId: "raul" })).toEqual([expect.stringContaining("Sandboxed sessions cannot")]);
  });

  test("a refusal has the text that users know: too deep, by the rule of the agent that the sub-agent works as", async () => {
    const gateway = await openGateway([agent("main"), agent("raul", { subagents: { ...policy, depthMax: 1 } })]);
    const nested = task({ do: "tool", tool: "sessions_spawn", params: { task: "x" } });
    const end = (await tell(gateway, { do: "spawn", options: { agentId: "raul", task: nested } })) as { text: string };
    expect(JSON.parse(end.text)).toMatchObject({
      status: "forbidden",
      error: "sessions_spawn is not allowed at this depth (current depth: 1, max: 1)",
    });
  });

  test("a sub-agent sends to nobody, and has none of the tools that no sub-agent has", async () => {
    const gateway = await openGateway([agent("main"), agent("raul")], {
      agentToAgent: { enabled: true, allow: ["*"] },
      visibility: "all",
    });
    for (const command of [
      { do: "send", text: "agent:raul:main" },
      { do: "tool", tool: "sessions_send", params: { agentId: "raul", message: "x" } },
      { do: "tool", tool: "agents_list" },
    ]) {
      const end = await tell(gateway, { do: "spawn", options: { task: task(command) } });
      expect(end).toMatchObject({
        status: "failed",
        text: expect.stringMatching(/sub-agent sends to nobody|no capability/),
      });
    }
    expect(await gateway.store.session("agent:raul:main")).toBeUndefined();
  });

  test("context fork begins with the requester's transcript; cleanup delete archives the session at once", async () => {
    const gateway = await openGateway([agent("main")]);
    await tell(gateway, { do: "heard" });
    const params = { context: "fork", cleanup: "delete", task: task({ do: "say", text: "done" }) };
    const { childSessionKey } = await spawn(gateway, params);
    await untilHeard(gateway, 1);
    const { rows } = await gateway.store.history("main", String(childSessionKey), 20, 0);
    expect(rows.map(({ text }) => text).slice(0, 2)).toEqual(['{"do":"heard"}', "[]"]);
    expect(rows.at(-1)?.text).toBe("done");
    await expect
      .poll(async () => (await gateway.store.session(String(childSessionKey)))?.archivedAtMs)
      .toBeTypeOf("number");
    // The run has ended: nobody takes its session up again, and one who tries leaves it where it is.
    for (const mode of ["followup", "resume"])
      expect(
        await tell(gateway, {
          do: "tool",
          tool: "sessions_send",
          params: { sessionKey: childSessionKey, message: "go on", mode },
        }),
      ).toMatchObject({ status: "error", code: "archived", operatorHint: expect.stringContaining("sessions_spawn") });
    expect(await gateway.store.session(String(childSessionKey))).toHaveProperty("archivedAtMs");
  });
});

test("AC-06.2: a parent that holds the right to spawn and nothing else gets completions; sessions are archived, and removed, without it", async () => {
  const gateway = await openGateway([agent("main", { subagents: { ...policy, archiveAfterMs: 200 } })]);
  const { kernel, pairings } = gateway.driver;
  for (const { id } of pairings.of("agent:main")) kernel.revoke(id, Date.now());
  const verbs = ["tool:sessions_spawn"] as const;
  kernel.grant(
    { id: "only", subject: "agent:main", object: "gateway", verbs, delegable: verbs, origin: "config" },
    Date.now(),
  );
  expect(pairings.of("agent:main").map(({ id }) => id)).toEqual(["only"]);
  const kept = await spawn(gateway, { task: task({ do: "say", text: "kept" }) });
  const deleted = await spawn(gateway, { task: task({ do: "say", text: "deleted" }), cleanup: "delete" });
  expect((await untilHeard(gateway, 2)).map(({ signal }) => signal.outcome)).toEqual(["succeeded", "succeeded"]);
  for (const { childSessionKey } of [kept, deleted])
    await expect
      .poll(async () => (await gateway.store.session(String(childSessionKey)))?.archivedAtMs)
      .toBeTypeOf("number");
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };
  const key = String(deleted["childSessionKey"]);
  expect(await gateway.doors.rpc(client, "sessions.delete", { key })).toMatchObject({ ok: true });
  expect(await gateway.store.session(key)).toBeUndefined();
  // What it holds is no more than that.
  await expect(tell(gateway, { do: "tool", tool: "sessions_list", params: {} })).rejects.toThrow("no capability");
});

describe("the end of a run", () => {
  test("A3.3: without an answer it failed (no_result), with its last progress; a throw and a crash say what they were", async () => {
    const gateway = await openGateway([agent("main")]);
    const ends = [];
    for (const command of [
      { do: "nothing", text: "half way" },
      { do: "say", text: "NO_REPLY" },
      { do: "throw", text: "it broke" },
      { do: "exit" },
    ])
      ends.push(await tell(gateway, { do: "spawn", options: { task: task(command) } }));
    expect(ends).toMatchObject([
      { status: "failed", code: "no_result", text: expect.stringContaining("half way") },
      { status: "failed", code: "no_result" },
      { status: "failed", code: "CLOISTER_AGENT_FAILED", text: "it broke" },
      { status: "failed", code: "CLOISTER_AGENT_CRASHED" },
    ]);
    // The transcript of a run that crashed has its task.
    const crashed = ends[3] as { sessionKey: string };
    expect((await gateway.store.history("main", crashed.sessionKey, 5, 0)).rows).toHaveLength(1);
  });

  test("a run whose agent's module cannot be loaded fails with the code of that", async () => {
    const gateway = await openGateway([agent("main"), { id: "raul", ...moduleOf("throws.ts") }]);
    const end = await tell(gateway, { do: "spawn", options: { task: "x", agentId: "raul" } });
    expect(end).toMatchObject({
      status: "failed",
      code: "CLOISTER_MODULE_INVALID",
      text: expect.stringContaining("no luck today"),
    });
  });

  test("a run that takes too long is ended, whatever it does, and its requester is told", async () => {
    const gateway = await openGateway([agent("main")]);
    await spawn(gateway, { task: task({ do: "spin" }), runTimeoutSeconds: 1 });
    const [completion] = await untilHeard(gateway, 1);
    expect(completion?.signal).toMatchObject({ outcome: "timed_out", status: "timeout" });
  });

  test("ANNOUNCE_SKIP is told to nobody, and a quiet run neither", async () => {
    const gateway = await openGateway([agent("main")]);
    const skipped = await spawn(gateway, { task: task({ do: "say", text: "ANNOUNCE_SKIP" }) });
    const quiet = await spawn(gateway, { task: task({ do: "say", text: "x" }), expectsCompletionMessage: false });
    const delivery = async ({ runId }: Record<string, unknown>) =>
      (await gateway.store.run(String(runId)))?.end?.delivery;
    await expect.poll(() => delivery(skipped)).toBe("suppressed");
    await expect.poll(() => delivery(quiet)).toBe("quiet");
    expect(await heard(gateway)).toEqual([]);
  });

  test("a nested orchestrator yields and goes on with the results, in one place of the lane (A4.4)", async () => {
    const gateway = await openGateway([agent("main")], { lanes: { main: 4, subagent: 1, cron: 4, background: 3 } });
    const child = task({ do: "yield", params: { task: task({ do: "say", text: "leaf" }) } });
    await spawn(gateway, { task: child });
    const [completion] = await untilHeard(gateway, 1);
    expect(completion?.signal.outcome).toBe("succeeded");
    expect(completion?.text).toMatch(/\nheard succeeded of r-/);
    // And with a turn that waits inside.
    const waiting = task({ do: "spawn", options: { task: task({ do: "say", text: "deep" }) } });
    const end = (await tell(gateway, { do: "spawn", options: { task: waiting } })) as { status: string; text: string };
    expect(end.status).toBe("succeeded");
    expect(JSON.parse(end.text)).toMatchObject({ status: "succeeded", text: "deep" });
  });

  test("sessions_yield says what it gives meanwhile, and is refused when nothing is awaited", async () => {
    const gateway = await openGateway([agent("main")]);
    expect(await gateway.reply("main", task({ do: "yield", params: { task: task({ do: "say", text: "x" }) } }))).toBe(
      "working on it",
    );
    await untilHeard(gateway, 1);
    expect(await tell(gateway, { do: "tool", tool: "sessions_yield" })).toMatchObject({ code: "invalid" });
  });

  test("subagents lists, waits and cancels its own tree alone", async () => {
    const gateway = await openGateway([agent("main"), agent("raul")]);
    const { runId } = await spawn(gateway, { task: task({ do: "wait" }), label: "waiting" });
    const use = (params: object, agentId = "main") => tell(gateway, { do: "tool", tool: "subagents", params }, agentId);
    expect(await use({ action: "list" })).toMatchObject({
      count: 1,
      tasks: [{ taskId: runId, label: "waiting", depth: 1 }],
    });
    expect(await use({ action: "wait", taskIds: [runId], timeoutSeconds: 0.05 })).toMatchObject({
      status: "timeout",
      pending: 1,
    });
    expect(await use({ action: "list" }, "raul")).toMatchObject({ count: 0 });
    expect(await use({ action: "cancel", taskId: runId }, "raul")).toMatchObject({ code: "forbidden" });
    expect(await use({ action: "cancel", taskId: runId })).toMatchObject({ status: "ok", cancelled: 1 });
    expect(await use({ action: "wait", taskIds: [runId] })).toMatchObject({
      status: "ok",
      tasks: [{ status: "cancelled", delivery: "suppressed" }],
    });
  });

  test("a message to the session of a run that has ended is refused", async () => {
    const gateway = await openGateway([agent("main")]);
    const end = (await tell(gateway, { do: "spawn", options: { task: task({ do: "say", text: "x" }) } })) as {
      sessionKey: string;
    };
    await expect(gateway.say("main", "again", end.sessionKey)).rejects.toMatchObject({
      code: "CLOISTER_SESSION_UNKNOWN",
    });
  });

  test("A3.5: after a restart a run is told as interrupted, one past its deadline as lost, and neither goes on", async () => {
    const before = await openGateway([agent("main")]);
    await spawn(before, { task: task({ do: "wait" }), label: "a" });
    await spawn(before, { task: task({ do: "wait" }), label: "b", runTimeoutSeconds: 3_600 });
    await expect
      .poll(() => before.driver.kernel.runViews().map(({ status }) => status))
      .toEqual(["running", "running"]);
    await before.drain(0);
    const later = Date.now() + 2 * 3_600_000;
    const after = await openGateway([], {}, { store: before.store, config: before.config, nowMs: () => later });
    const completions = await untilHeard(after, 2);
    expect(completions.map(({ signal }) => `${signal.outcome} ${signal.code}`).toSorted()).toEqual([
      "failed interrupted",
      "lost undefined",
    ]);
    expect(await after.store.runs({ isOpen: true, limit: 10 })).toEqual([]);
    expect(after.driver.kernel.runViews()).toEqual([]);
  });

  test("A3.5: a turn that waits for runs and is handled again after a restart hears that they were interrupted", async () => {
    const before = await openGateway([agent("main")]);
    const waiting = before.say("main", task({ do: "spawn", options: { task: task({ do: "wait" }) } }));
    void waiting.catch(() => undefined);
    await expect.poll(() => before.driver.kernel.runViews().map(({ status }) => status)).toEqual(["running"]);
    await before.drain(0);
    const { store } = before;
    const asked: string[] = [];
    const isWritten = Promise.withResolvers<void>();
    // A disk that takes its time: the turn must not come before the end of the run that it waits for.
    const slow = new Proxy(store, {
      get(target, name: keyof typeof store) {
        if (name !== "endRun") asked.push(name);
        return name === "endRun"
          ? async (...args: Parameters<typeof store.endRun>) => {
              await isWritten.promise;
              asked.push(name);
              return store.endRun(...args);
            }
          : target[name];
      },
    });
    const opening = openGateway([], {}, { store: slow, config: before.config });
    await expect.poll(() => asked).toContain("runs");
    isWritten.resolve();
    const after = await opening;
    expect(asked.indexOf("endRun")).toBeLessThan(asked.indexOf("pending"));
    const answer = async () => (await store.history("main", "agent:main:main", 10, 0)).rows.at(-1);
    await expect.poll(async () => (await answer())?.role).toBe("assistant");
    expect(JSON.parse((await answer())?.text ?? "")).toMatchObject({ status: "failed", code: "interrupted" });
    expect(await after.store.runs({ limit: 10 })).toHaveLength(1);
  });
});
