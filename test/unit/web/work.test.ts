import { describe, expect, it } from "vitest";
import {
  describeApproval,
  describeRight,
  describeStop,
  parseRequests,
  parseRuns,
  parseTasks,
  parseTimers,
} from "../../../channels/web/page/wire-work.ts";
import { agentRow, open, settled } from "./fakes.ts";

const asked = (id: string, more: object = {}) => ({
  id,
  from: "main",
  to: "raul",
  verb: "send",
  createdAtMs: 5,
  expiresAtMs: 50,
  calls: 1,
  revision: 2,
  messages: [{ fromSession: "agent:main:main", toSession: "agent:raul:main", bodyChars: 2, preview: "hi", atMs: 5 }],
  releasing: false,
  consequences: { once: ["It goes out."], grant: ["From now on."] },
  ...more,
});

const task = (id: string, more: object = {}) => ({
  taskId: id,
  runId: id,
  childSessionKey: `agent:raul:subagent:${id}`,
  agentId: "raul",
  requesterSessionKey: "agent:main:main",
  task: "look it up",
  status: "running",
  startedAt: 7,
  ...more,
});

describe("requests for rights", () => {
  it("are read when the gateway says that they changed, and a new one is told to who does not see it", async () => {
    const { page, gateway, connect } = open();
    await connect();
    expect(page.view.announcement.value).toBe("");
    gateway.link.event("grants.requests", { total: 1 });
    gateway.link.answer("grants.requests", { requests: [asked("r-1")] });
    await settled();
    expect(page.view.requests.value.map(({ id }) => id)).toEqual(["r-1"]);
    expect(page.view.announcement.value).toBe("main asks for a right: to write to raul.");
  });

  it.each([
    ["once", { id: "r-1", mode: "once", revision: 2 }],
    ["hour", { id: "r-1", mode: "grant", revision: 2, untilMs: 1_000_000 + 60_000 + 3_600_000 }],
    ["good", { id: "r-1", mode: "grant", revision: 2 }],
  ] as const)("are approved (%s) as they were shown, once, by the gateway's clock", async (how, params) => {
    const { page, gateway, connect, timers } = open();
    await connect(undefined, undefined, timers.nowMs() + 60_000);
    const [request] = parseRequests({ requests: [asked("r-1")] });
    if (request === undefined) throw new Error("not read");
    page.work.approve(request, how);
    page.work.approve(request, how);
    expect([...page.view.busy.value]).toEqual(["r-1"]);
    expect(gateway.link.answer("grants.approve", { ok: true, delivered: 1, waiting: 0 }).params).toEqual(params);
    expect(gateway.link.sent).toEqual([]);
    await settled();
    gateway.link.answer("grants.requests", { requests: [] });
    await settled();
    expect([...page.view.busy.value]).toEqual([]);
    expect(page.view.notice.value).toBe("Approved: 1 message delivered.");
  });

  it("that changed are shown as they are now, with the refusal", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.work.deny("r-1");
    gateway.link.refuse("grants.deny", { code: "X", message: "no request r-1 waits" });
    await settled();
    gateway.link.answer("grants.requests", { requests: [asked("r-2")] });
    await settled();
    expect(page.view.notice.value).toBe("The request could not be denied: no request r-1 waits");
    expect(page.view.requests.value.map(({ id }) => id)).toEqual(["r-2"]);
  });

  it("are told in words, also a right that this page does not know", () => {
    expect(describeRight("history", "raul")).toBe("read what was said in the sessions of raul");
    expect(describeRight("paint", "raul")).toBe("use the right “paint” on raul");
    expect(describeApproval({})).toBe("Approved.");
    expect(describeApproval({ delivered: 2, waiting: 1, buried: 1, why: "it is archived" })).toBe(
      "Approved: 2 messages delivered, 1 message waiting for room, 1 message not taken (it is archived).",
    );
  });

  it("without what identifies them are left out", () => {
    expect(parseRequests({ requests: [{ id: "r-1" }, "x", asked("r-2", { messages: "?" })] })).toMatchObject([
      { id: "r-2", messages: [] },
    ]);
  });
});

describe("runs and timers", () => {
  it("are read again soon after agents changed, once for several changes", async () => {
    const { page, gateway, connect, timers } = open();
    await connect();
    gateway.link.event("agents", { agents: [agentRow("raul")] });
    gateway.link.event("agents", { agents: [agentRow("raul", { phase: "running" })] });
    timers.advance(999);
    expect(gateway.link.sent).toEqual([]);
    timers.advance(1);
    expect(gateway.link.sent.map(({ method }) => method)).toEqual(["subagents.list", "tasks.list", "timers.list"]);
    gateway.link.answer("subagents.list", { tasks: [task("r-1"), task("r-2", { endedAt: 9, status: "failed" })] });
    gateway.link.answer("tasks.list", {
      tasks: [{ id: "d-1", agentId: "main", name: "report", kind: "agent" }],
      total: 7,
    });
    gateway.link.answer("timers.list", { timers: [{ id: "t-1", agentId: "main", name: "tea", dueAtMs: 9 }], total: 4 });
    await settled();
    expect(page.view.runs.value.map(({ id, status, endedAtMs }) => [id, status, endedAtMs])).toEqual([
      ["r-1", "running", undefined],
      ["r-2", "failed", 9],
    ]);
    expect(page.view.tasks.value).toMatchObject({ rows: [{ id: "d-1", name: "report", isEnded: false }], total: 7 });
    expect(page.view.timers.value).toMatchObject({ rows: [{ id: "t-1", name: "tea" }], total: 4 });
    gateway.link.event("agents", { agents: [agentRow("raul")] });
    timers.advance(1_000);
    expect(
      gateway.link.sent.map(({ method }) => method),
      "and after the next",
    ).toHaveLength(3);
  });

  it("stay as they were when the gateway does not tell", async () => {
    const { page, gateway, connect, timers } = open();
    await connect();
    gateway.link.event("sessions.changed", { sessionKey: "agent:raul:x", reason: "spawn" });
    timers.advance(1_000);
    gateway.link.answer("subagents.list", { tasks: [task("r-1")] });
    gateway.link.refuse("tasks.list", { code: "X", message: "unknown method" });
    gateway.link.refuse("timers.list", { code: "X", message: "unknown method" });
    await settled();
    expect(page.view.runs.value.map(({ id }) => id)).toEqual(["r-1"]);
    expect(page.view.timers.value).toEqual({ rows: [], total: 0 });
    expect(page.view.tasks.value).toEqual({ rows: [], total: 0 });
    expect(page.view.notice.value).toBeUndefined();
  });

  it("are cancelled and removed by their id", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.work.cancelRun("r-1");
    expect(gateway.link.answer("subagents.cancel", { ok: true, cancelled: 0 }).params).toEqual({ id: "r-1" });
    await settled();
    expect(page.view.notice.value).toBe("The run had ended before.");
    const readAgain = async () => {
      for (const method of ["subagents.list", "tasks.list", "timers.list"]) gateway.link.answer(method, {});
      await settled();
    };
    await readAgain();
    for (const [told, words] of [
      [{ cancelled: true, stillRunning: false }, "The task was cancelled."],
      [{ cancelled: false, stillRunning: false }, "The task had ended before."],
      [{ cancelled: false, stillRunning: true }, "The task was told to end, and is still running."],
      [{ stillRunning: true, why: "it is away" }, "The task is still running: it is away."],
      [
        { stillRunning: true, why: "it is away", remedy: "cancel it again" },
        "The task is still running: it is away. What helps: cancel it again.",
      ],
    ] as const) {
      page.work.cancelTask("d-1");
      page.work.cancelTask("d-1");
      expect(gateway.link.answer("tasks.cancel", { ok: true, ...told }).params).toEqual({ id: "d-1" });
      await settled();
      expect(page.view.notice.value).toBe(words);
      await readAgain();
    }
    page.work.removeTimer("t-1");
    expect(gateway.link.answer("timers.remove", { ok: true }).params).toEqual({ id: "t-1" });
  });

  it("are read with what they have: a title from label, name or task, and no row without its identity", () => {
    const tasks = [task("a", { label: "L", taskName: "n" }), task("b", { taskName: "n" }), task("c"), { taskId: "d" }];
    expect(parseRuns({ tasks }).map(({ title }) => title)).toEqual(["L", "n", "look it up"]);
    expect(parseTimers({ timers: [{ name: "x" }], total: 3 })).toEqual({ rows: [], total: 3 });
    expect(parseTasks({ tasks: [{ name: "x" }, { id: "d", sessionKey: "agent:raul:main", state: "ended" }] })).toEqual({
      rows: [
        {
          id: "d",
          agentId: "raul",
          sessionKey: "agent:raul:main",
          name: "",
          kind: "",
          isEnded: true,
          createdAtMs: 0,
          expiresAtMs: 0,
        },
      ],
      total: 1,
    });
  });
});

describe("a stop", () => {
  it("of an agent and of everything is asked for once, and told with its counts", async () => {
    const { page, gateway, connect } = open();
    await connect();
    for (const [act, target, what] of [
      [() => page.work.stopAgent("raul"), "raul", "raul"],
      [() => page.work.stopEverything(), "all", "everything"],
    ] as const) {
      act();
      act();
      const stopped = { ok: true, active: 1, queued: 2, backlog: 3, ending: 1 };
      expect(gateway.link.answer("runs.stop", stopped).params).toEqual({ target });
      await settled();
      expect(page.view.notice.value).toBe(`Stopped ${what}: 1 running, 5 waiting. 1 of them is still ending.`);
      gateway.link.answer("subagents.list", {});
      gateway.link.answer("tasks.list", {});
      gateway.link.answer("timers.list", {});
      await settled();
      expect(gateway.link.sent).toEqual([]);
    }
    expect(describeStop("main", {})).toBe("Stopped main: nothing was under way.");
  });

  it("is undone for a parked agent by starting it", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.work.startAgent("raul");
    gateway.link.refuse("agents.start", { code: "X", message: "it is disabled" });
    await settled();
    expect(page.view.notice.value).toBe("raul could not be started: it is disabled");
  });
});
