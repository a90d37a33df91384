/** The session tools that tell: `sessions_list`, `session_status`, `agents_list`, on a gateway with real cells. */
import { describe, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway, withSessionTools } from "../support/gateway.ts";

const toolUser = actor("tool-user");
const agents = [
  { id: "main", ...toolUser },
  { id: "raul", module: "echo", model: "some/model" },
];
const siblings = { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" as const };

async function call(
  gateway: TestGateway,
  tool: string,
  params: object,
  // oxlint-disable-next-line typescript/no-explicit-any -- a tool's result, looked into by the tests
): Promise<Record<string, any>> {
  return JSON.parse(await gateway.reply("main", JSON.stringify({ tool, params })));
}

// oxlint-disable-next-line typescript/no-explicit-any -- as above
const rowOf = (result: Record<string, any>, key: string) => result["sessions"].find((row: any) => row.key === key);

describe("sessions_list", () => {
  test("messageLimit gives the last messages of each row, cleaned; 0 and no right to read give none", async () => {
    const gateway = await openGateway(agents, {
      ...siblings,
      agentToAgent: { enabled: true, allow: [], grants: [{ from: "main", to: "raul", verbs: ["list"] }] },
    });
    await gateway.reply("raul", "one");
    expect(rowOf(await call(gateway, "sessions_list", { messageLimit: 2 }), "agent:raul:main")).not.toHaveProperty(
      "lastMessages",
    );
    const open = await openGateway(agents, siblings);
    await open.reply("raul", "one");
    await open.reply("raul", "<think>hidden</think>two");
    const listed = rowOf(await call(open, "sessions_list", { messageLimit: 2 }), "agent:raul:main");
    // The user's words stay as they are; the assistant's are cleaned.
    expect(listed.lastMessages.map((message: { content: { text: string }[] }) => message.content[0]?.text)).toEqual([
      "<think>hidden</think>two",
      "two",
    ]);
    expect(rowOf(await call(open, "sessions_list", {}), "agent:raul:main")).not.toHaveProperty("lastMessages");
    expect(await call(open, "sessions_list", { messageLimit: 21 })).toMatchObject({
      status: "error",
      code: "invalid",
      error: expect.stringContaining("messageLimit"),
    });
  });

  test("a page ends at 64 KiB, the next one goes on, and messages larger than a page are left out of their row", async () => {
    const gateway = await openGateway(agents, siblings);
    const long = "x".repeat(3_900);
    for (let n = 0; n < 10; n++) await gateway.reply("raul", long);
    for (const name of ["a", "b"]) for (let n = 0; n < 5; n++) await gateway.reply("raul", long, `agent:raul:${name}`);
    const keys: string[] = [];
    const omitted: string[] = [];
    for (let offset = 0, pages = 0; ; pages++) {
      expect(pages).toBeLessThan(10);
      const page = await call(gateway, "sessions_list", { agentId: "raul", messageLimit: 20, offset });
      expect(Buffer.byteLength(JSON.stringify(page["sessions"]))).toBeLessThanOrEqual(65_536);
      for (const row of page["sessions"]) {
        keys.push(row.key);
        if (row.lastMessagesOmitted === true) omitted.push(row.key);
      }
      if (page["hasMore"] !== true) break;
      expect(page["truncationReason"]).toBe("bytes");
      offset = page["nextOffset"];
    }
    expect(keys.toSorted()).toEqual(["agent:raul:a", "agent:raul:b", "agent:raul:main"]);
    expect(omitted).toEqual(["agent:raul:main"]);
  });

  test("of more sessions than are looked at it says how many are left out, and what finds them", async () => {
    const gateway = await openGateway(agents, siblings);
    const count = limits.sessionsListMax * 10 + 3;
    for (let n = 0; n < count; n++) await gateway.store.labelSession(`agent:raul:s${n}`, "raul", `l${n % 2}`, n);
    const page = await call(gateway, "sessions_list", { agentId: "raul", limit: 1 });
    expect(page).toMatchObject({ hasMore: true, leftOut: 3, note: expect.stringContaining("3 older sessions") });
    const narrow = await call(gateway, "sessions_list", { agentId: "raul", limit: 1, label: "l1" });
    expect(narrow).toMatchObject({ hasMore: true });
    expect(narrow).not.toHaveProperty("leftOut");
    // Those of all agents that it may read: main has one.
    expect(await call(gateway, "sessions_search", { query: "x" })).toMatchObject({ sessionsLeftOut: 4 });
  });

  test("sessions that are closed to it are not counted, and take no place of its own", async () => {
    for (const [sandboxMode, count] of [
      ["off", 2],
      ["all", 0],
    ] as const) {
      const gateway = await openGateway(
        [
          { id: "main", ...toolUser, sandboxMode },
          { id: "raul", module: "echo" },
        ],
        { toolRules: withSessionTools },
      );
      await gateway.store.labelSession("agent:main:old", "main", "old", 1);
      for (let n = 0; n < limits.sessionsListMax * 10; n++)
        await gateway.store.labelSession(`agent:raul:s${n}`, "raul", "l", n + 2);
      const listed = await call(gateway, "sessions_list", {});
      expect(listed).toMatchObject({ count });
      const found = await call(gateway, "sessions_search", { query: "x" });
      expect(found).toMatchObject({ scannedSessions: count });
      for (const told of [found, listed]) {
        expect(told).not.toHaveProperty("sessionsLeftOut");
        expect(told).not.toHaveProperty("leftOut");
      }
    }
  });

  test("a row says where answers go, which model it has and which state it is in", async () => {
    const gateway = await openGateway(agents, {
      ...siblings,
      webhook: {
        accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } },
        defaultAccount: "default",
      },
      bindings: [{ index: 0, agentId: "raul", match: { channel: "webhook" } }],
    });
    await gateway.doors.inbound({
      channel: "webhook",
      accountId: "default",
      peer: { kind: "direct", id: "p" },
      sender: { id: "p" },
      text: "hi",
      tsMs: 1,
    });
    await gateway.until(() => gateway.sent.length === 1);
    await gateway.store.labelSession("agent:raul:main", "raul", "Raul", 1);
    expect(rowOf(await call(gateway, "sessions_list", {}), "agent:raul:main")).toMatchObject({
      model: "some/model",
      label: "Raul",
      displayName: "Raul",
      messages: 2,
      stateVersion: 2,
      status: "idle",
      deliveryContext: { channel: "webhook", accountId: "default", to: "p" },
    });
  });
});

describe("session_status", () => {
  test("the caller's own session by default, running, with a card", async () => {
    const gateway = await openGateway(agents, siblings);
    const own = await call(gateway, "session_status", {});
    expect(own).toMatchObject({ status: "ok", session: { key: "agent:main:main", status: "running" } });
    expect(own).toMatchObject({ tasks: [], tasksTotal: 0 });
    expect(own["card"]).toContain("Session: agent:main:main");
    expect(await call(gateway, "session_status", { sessionKey: "agent:raul:main" })).toMatchObject({
      session: { model: "some/model", status: "idle", messages: 0 },
      card: expect.stringContaining("last one: never"),
    });
  });

  test("changesSince tells what happened after a version, at most 200, and whether something is missing", async () => {
    const gateway = await openGateway(agents, siblings);
    const ask = (changesSince: number) =>
      call(gateway, "session_status", { sessionKey: "agent:raul:main", changesSince });
    expect(await ask(0)).toMatchObject({ changes: [], historyGap: false });
    await gateway.reply("raul", "hello");
    const version = (await ask(0))["session"].stateVersion;
    await call(gateway, "sessions_send", { agentId: "raul", message: "from main" });
    const { changes, historyGap } = await ask(version);
    expect(historyGap).toBe(false);
    expect(changes.map(({ type, version: at }: { type: string; version: number }) => [type, at])).toEqual([
      ["peer_message", 3],
      ["run_completed", 4],
    ]);
    expect((await ask(0))["changes"][0].type).toBe("human_direct_message");
    expect(await ask(1_000)).toMatchObject({ changes: [], historyGap: true });
    for (let n = 0; n < 100; n++) await gateway.reply("raul", "more");
    const late = await ask(0);
    expect(late["changes"]).toHaveLength(200);
    expect(late["historyGap"]).toBe(true);
  });

  test("refusals: not visible, no right to read the changes, unknown key, a model", async () => {
    const listOnly = await openGateway(agents, {
      visibility: "tree",
      agentToAgent: { enabled: true, allow: [], grants: [{ from: "main", to: "raul", verbs: ["list"] }] },
    });
    const target = { sessionKey: "agent:raul:main" };
    expect(await call(listOnly, "session_status", target)).toMatchObject({ status: "ok" });
    expect(await call(listOnly, "session_status", { ...target, changesSince: 0 })).toMatchObject({
      status: "forbidden",
      operatorHint: 'add "history" to tools.agentToAgent.grants[0].verbs',
    });
    expect(await call(listOnly, "session_status", { sessionKey: "agent:main:typo" })).toMatchObject({
      code: "not_found",
    });
    expect(await call(listOnly, "session_status", { model: "x" })).toMatchObject({
      code: "invalid",
      error: expect.stringContaining("main has none"),
      operatorHint: expect.stringContaining("agents.list[id=main]"),
    });
    // To see a session is no right to decide about it.
    expect(await call(listOnly, "session_status", { ...target, model: "some/model" })).toMatchObject({
      status: "forbidden",
      operatorHint: "cloister sessions set agent:raul:main",
    });
    const closed = await openGateway(agents, {});
    expect(await call(closed, "session_status", target)).toMatchObject({
      status: "forbidden",
      operatorHint: 'tools.sessions.visibility: "all"; tools.agentToAgent: { enabled: true, allow: ["main", "raul"] }',
    });
  });
});

describe("agents_list", () => {
  test("by default the caller alone; by policy those that it may reach, with what it may do", async () => {
    const alone = await openGateway(agents, {});
    expect((await call(alone, "agents_list", {}))["agents"]).toMatchObject([{ id: "main", isSelf: true, spawn: true }]);

    const open = await openGateway(agents, siblings);
    expect((await call(open, "agents_list", {}))["agents"]).toMatchObject([
      { id: "main" },
      { id: "raul", model: "some/model", spawn: false, access: ["send", "request", "list", "history"] },
    ]);
  });

  test("a grant to spawn is told; an agent that is not configured is not", async () => {
    const gateway = await openGateway(agents, {
      agentToAgent: {
        enabled: true,
        allow: [],
        grants: [
          { from: "main", to: "raul", verbs: ["spawn"] },
          { from: "main", to: "gone", verbs: ["spawn"] },
        ],
      },
    });
    expect((await call(gateway, "agents_list", {}))["agents"]).toMatchObject([
      { id: "main" },
      { id: "raul", spawn: true, access: [] },
    ]);
  });
});

describe("sessions: reset, label, archive", () => {
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };

  test("a reset session has nothing of before: no state, no messages, a new id", async () => {
    const gateway = await openGateway([{ id: "main", ...toolUser }, { id: "raul" }], siblings);
    await gateway.reply("raul", "remember that the key is under the mat");
    expect(await gateway.reply("raul", "what do you remember")).toContain("under the mat");
    const before = await gateway.store.session("agent:raul:main");
    const reset = await gateway.doors.rpc(client, "sessions.reset", { key: "agent:raul:main" });
    expect(reset).toMatchObject({ ok: true, payload: { key: "agent:raul:main", session: { messages: 0 } } });
    // The cell that had the state in memory lives on.
    expect(await gateway.reply("raul", "what do you remember")).not.toContain("under the mat");
    const after = await gateway.store.session("agent:raul:main");
    expect(after).toMatchObject({ messages: 2 });
    expect(after?.sessionId).not.toBe(before?.sessionId);
    expect(await gateway.store.pastTranscripts("raul", "agent:raul:main", 5)).toMatchObject([
      { sessionId: before?.sessionId, messages: 4 },
    ]);
    expect(await gateway.doors.rpc(client, "sessions.reset", { key: "agent:raul:typo" })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_SESSION_UNKNOWN" },
    });
  });

  test("a deleted session is in no list, has no state, and a message to it begins another; what was said is kept", async () => {
    const gateway = await openGateway([{ id: "main", ...toolUser }, { id: "raul" }], siblings);
    const side = "agent:raul:side";
    await gateway.reply("raul", "remember that the key is under the mat", side);
    await gateway.store.labelSession(side, "raul", "Side", 1);
    const before = await gateway.store.session(side);
    const deleted = await gateway.doors.rpc(client, "sessions.delete", { key: side });
    expect(deleted).toMatchObject({ ok: true, payload: { key: side, sessionId: before?.sessionId, messages: 2 } });
    expect(await gateway.store.session(side)).toBeUndefined();
    expect(await gateway.store.sessionsWithLabel("Side")).toEqual([]);
    expect((await gateway.store.sessions({ limit: 10, offset: 0 })).total).toBe(0);
    const past = await gateway.store.history("raul", side, 10, 0, undefined, before?.sessionId);
    expect(past.rows.map(({ text }) => text)).toContain("remember that the key is under the mat");
    // The cell that had the state in memory lives on.
    expect(await gateway.reply("raul", "what do you remember", side)).not.toContain("under the mat");
    const after = await gateway.store.session(side);
    expect(after).toMatchObject({ messages: 2 });
    expect(after?.sessionId).not.toBe(before?.sessionId);
    expect(await gateway.doors.rpc(client, "sessions.delete", { key: "agent:raul:typo" })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_SESSION_UNKNOWN" },
    });
    expect(await gateway.doors.rpc(client, "sessions.delete", { key: "agent:raul:main" })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_REQUEST_INVALID", remedy: "cloister sessions reset agent:raul:main" },
    });
  });

  test("an agent deletes another session of its own, not its main one, not the one it runs in, and none of a sibling", async () => {
    const gateway = await openGateway(agents, siblings);
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    await gateway.reply("raul", "x", "agent:raul:side");
    const remove = (sessionKey: string) => call(gateway, "sessions", { action: "delete", sessionKey });
    expect(await remove("agent:main:side")).toMatchObject({ status: "ok", action: "delete" });
    expect(await remove("agent:main:side")).toMatchObject({ status: "error", code: "not_found" });
    expect(await remove("current")).toMatchObject({ status: "error", code: "invalid" });
    expect(await remove("agent:raul:side")).toMatchObject({
      status: "forbidden",
      operatorHint: "cloister sessions delete agent:raul:side",
    });
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    const own = JSON.parse(
      await gateway.reply(
        "main",
        JSON.stringify({ tool: "sessions", params: { action: "delete", sessionKey: "current" } }),
        "agent:main:side",
      ),
    );
    expect(own).toMatchObject({ status: "error", code: "busy" });
  });

  test("an agent resets another session of its own, not the one it runs in, and none of a sibling", async () => {
    const gateway = await openGateway(agents, siblings);
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    expect(await call(gateway, "sessions", { action: "reset", sessionKey: "agent:main:side" })).toMatchObject({
      status: "ok",
      session: { key: "agent:main:side", messages: 0 },
    });
    expect(await call(gateway, "sessions", { action: "reset", sessionKey: "current" })).toMatchObject({
      status: "error",
      code: "busy",
    });
    await gateway.reply("raul", "hi");
    expect(await call(gateway, "sessions", { action: "reset", sessionKey: "agent:raul:main" })).toMatchObject({
      status: "forbidden",
      operatorHint: "cloister sessions reset agent:raul:main",
    });
    expect((await gateway.store.session("agent:raul:main"))?.messages).toBe(2);
    expect(await call(gateway, "sessions", { action: "assign_owner", sessionKey: "current" })).toMatchObject({
      code: "invalid",
      error: expect.stringMatching(
        /expected "patch", "reset", "delete" or "cancel"; a session belongs to its agent.*ADR 0038.*cloister grants add/,
      ),
    });
    expect(await call(gateway, "sessions", { action: "group", sessionKey: "current" })).toMatchObject({
      error: expect.stringContaining("the other actions are not supported"),
    });
    expect(await call(gateway, "sessions", { action: "patch", sessionKey: "current" })).toMatchObject({
      code: "invalid",
    });
  });

  test("an archived session is not listed and not sent to, until a person speaks in it or mode resume takes it up", async () => {
    const gateway = await openGateway(agents, siblings);
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    const patch = { action: "patch", sessionKey: "agent:main:side" };
    expect(await call(gateway, "sessions", { ...patch, label: "Side", archived: true })).toMatchObject({
      status: "ok",
      session: { label: "Side", archived: true },
    });
    const keys = async (archived: boolean | "all") =>
      (await call(gateway, "sessions_list", { archived, agentId: "main" }))["sessions"].map(
        ({ key }: { key: string }) => key,
      );
    expect(await keys(false)).toEqual(["agent:main:main"]);
    expect(await keys(true)).toEqual(["agent:main:side"]);
    expect((await keys("all")).toSorted()).toEqual(["agent:main:main", "agent:main:side"]);
    expect(await call(gateway, "sessions_send", { label: "Side", message: "x" })).toMatchObject({
      status: "error",
      code: "archived",
    });
    expect(await call(gateway, "sessions_send", { label: "Side", message: "{}", mode: "resume" })).toMatchObject({
      status: "ok",
    });
    expect(await keys(false)).toContain("agent:main:side");
    await call(gateway, "sessions", { ...patch, archived: true });
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    expect(await keys(false)).toContain("agent:main:side");
    // The right to write to a sibling is none to decide what of it is archived.
    await gateway.reply("raul", "hi");
    await gateway.store.archiveSession("agent:raul:main", true, 1);
    expect(await call(gateway, "sessions_send", { agentId: "raul", message: "x", mode: "resume" })).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("belongs to raul"),
    });
    expect(await gateway.store.session("agent:raul:main")).toHaveProperty("archivedAtMs");
  });

  test("an archived session whose agent has no room for the message stays archived", async () => {
    const mailbox = { depthMax: 1, sessionDepthMax: 1, overflow: "reject" } as const;
    const gateway = await openGateway([{ id: "main", ...toolUser, mailbox }], siblings);
    await gateway.reply("main", '{"tool":"none"}', "agent:main:side");
    await gateway.store.archiveSession("agent:main:side", true, 1);
    // The turn that sends has the one place that there is.
    expect(
      await call(gateway, "sessions_send", { sessionKey: "agent:main:side", message: "{}", mode: "resume" }),
    ).toMatchObject({ status: "error", code: "busy" });
    expect(await gateway.store.session("agent:main:side")).toHaveProperty("archivedAtMs");
  });

  test("sessions_send says which of its parameters are not supported", async () => {
    const gateway = await openGateway(agents, siblings);
    for (const [params, error] of [
      [{ mode: "notify" }, "a message that begins no turn would be done before its agent has seen it (ADR 0038)"],
      [{ mode: "shout" }, 'expected "followup", "steer" or "resume"; other modes are not there'],
      [{ watch: true }, "watching a session is not supported (ADR 0038); session_status with changesSince"],
    ] as const)
      expect(await call(gateway, "sessions_send", { agentId: "raul", message: "x", ...params })).toMatchObject({
        code: "invalid",
        error: expect.stringContaining(error),
      });
    expect(
      await call(gateway, "sessions_send", { agentId: "raul", message: "x", mode: "followup", watch: false }),
    ).toMatchObject({ status: "ok", reply: "x" });
  });
});

describe("sessions_search", () => {
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };

  test("finds what was said where the caller may read, also before a reset, and nowhere else", async () => {
    const gateway = await openGateway([...agents, { id: "eve", module: "echo" }], siblings);
    await gateway.reply("raul", "the Walrus sang");
    await gateway.doors.rpc(client, "sessions.reset", { key: "agent:raul:main" });
    await gateway.reply("raul", "another walrus");
    await gateway.reply("eve", "a secret walrus");
    const found = await call(gateway, "sessions_search", { query: "WALRUS", agentId: "raul" });
    expect(found).toMatchObject({ status: "ok", count: 4, hasMore: false });
    expect(new Set(found["results"].map(({ sessionId }: { sessionId: string }) => sessionId)).size).toBe(2);
    expect(found["results"][0]).toMatchObject({
      sessionKey: "agent:raul:main",
      role: "assistant",
      isUser: false,
      snippet: "another walrus",
    });
    const opens = (await gateway.store.counters()).agentOpens["eve"];
    const everywhere = await call(gateway, "sessions_search", { query: "secret walrus" });
    // Its own question is in no transcript yet.
    expect(everywhere).toMatchObject({ status: "ok", results: [] });
    expect((await gateway.store.counters()).agentOpens["eve"]).toBe(opens);
    expect(await call(gateway, "sessions_search", { query: "walrus", agentId: "eve" })).toMatchObject({
      status: "forbidden",
      operatorHint: 'add "eve" to tools.agentToAgent.allow',
    });
    expect(await call(gateway, "sessions_search", { query: "x", sessionKey: "agent:eve:main" })).toMatchObject({
      status: "forbidden",
    });
    expect(await call(gateway, "sessions_search", { query: "  " })).toMatchObject({ code: "invalid" });
  });

  test("is bounded in hits, pages by session, and finds neither secrets nor thinking", async () => {
    const gateway = await openGateway(agents, siblings);
    for (const name of ["a", "b", "c"])
      for (let n = 0; n < 2; n++) await gateway.reply("raul", `lobster ${n}`, `agent:raul:${name}`);
    const first = await call(gateway, "sessions_search", { query: "lobster", agentId: "raul", limit: 3 });
    expect(first).toMatchObject({ count: 3, scannedSessions: 1, hasMore: true, nextOffset: 1, hitsLeftOut: true });
    const rest = await call(gateway, "sessions_search", { query: "lobster", agentId: "raul", offset: 1 });
    expect(rest).toMatchObject({ count: 8, hasMore: false });
    const key = `sk-${"Ab3d".repeat(12)}`;
    await gateway.reply("raul", `my key is ${key} <think>hush</think>`);
    expect(await call(gateway, "sessions_search", { query: key, agentId: "raul" })).toMatchObject({ count: 0 });
    const thought = await call(gateway, "sessions_search", { query: "hush", agentId: "raul" });
    expect(thought["results"].map(({ role }: { role: string }) => role)).toEqual(["user"]);
    expect(JSON.stringify(thought)).not.toContain(key);
  });

  test("what it finds is where sessions_history goes on from, also in a transcript that a reset has ended", async () => {
    const gateway = await openGateway(agents, siblings);
    const target = { sessionKey: "agent:raul:main" };
    for (let n = 0; n < 4; n++) await gateway.reply("raul", `heron ${n}`);
    await gateway.reply("raul", "/new");
    await gateway.reply("raul", "stork");
    const { results } = await call(gateway, "sessions_search", { query: "heron 2", agentId: "raul" });
    const { messageId, sessionId } = (results as { messageId: string; sessionId: string; role: string }[]).find(
      ({ role }) => role === "user",
    ) ?? { messageId: "", sessionId: "" };
    const texts = (page: Record<string, unknown>) =>
      (page["messages"] as { content: { text: string }[] }[]).map(({ content }) => content[0]?.text);
    const page = await call(gateway, "sessions_history", { ...target, messageId, limit: 3 });
    expect(page).toMatchObject({ status: "ok", sessionId, offset: 3, nextOffset: 6, totalMessages: 8, hasMore: true });
    expect(texts(page)).toEqual(["heron 1", "heron 1", "heron 2"]);
    expect(page["messages"]).toMatchObject([{}, {}, { messageId }]);
    // Its pages go on as those of any history, with the transcript named.
    const before = await call(gateway, "sessions_history", { ...target, sessionId, offset: 6 });
    expect(texts(before)).toHaveLength(2);
    expect(before).toMatchObject({ sessionId, hasMore: false });
    const now = await call(gateway, "sessions_history", target);
    expect([now["totalMessages"], now["sessionId"] === sessionId]).toEqual([2, false]);
    // Only transcripts of the session that is named, and only places that there are.
    for (const wrong of [{ sessionId: "none" }, { messageId: `${sessionId}:8` }, { messageId: "none:0" }])
      expect(await call(gateway, "sessions_history", { ...target, ...wrong })).toMatchObject({ code: "not_found" });
    expect(await call(gateway, "sessions_history", { sessionKey: "agent:main:main", messageId })).toMatchObject({
      code: "not_found",
    });
    for (const wrong of [{ messageId: "x" }, { messageId, offset: 1 }, { messageId, sessionId: "other" }])
      expect(await call(gateway, "sessions_history", { ...target, ...wrong })).toMatchObject({ code: "invalid" });
  });
});
