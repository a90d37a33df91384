/** What a turn puts off and another completes (AC-19.1), on a gateway with real cells. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const worker = {
  id: "worker",
  ...actor("deferrer"),
};
const channel = {
  webhook: {
    accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } },
    defaultAccount: "default",
  },
  bindings: [{ index: 0, agentId: "worker", match: { channel: "webhook" } }],
};

/** A person asks over the channel; gives what the agent answered at once. */
async function ask(gateway: TestGateway, text: string): Promise<{ readonly status: string; readonly taskId: string }> {
  const before = gateway.sent.length;
  await gateway.doors.inbound({
    channel: "webhook",
    accountId: "default",
    peer: { kind: "direct", id: "p" },
    sender: { id: "p" },
    text,
    tsMs: 1,
  });
  await gateway.until(() => gateway.sent.length > before);
  return JSON.parse(gateway.sent[before]?.text ?? "");
}

const other = "agent:worker:other";

test("AC-19.1: a task that is completed after a restart, in another session, is one turn in its own and one channel message", async () => {
  const first = await openGateway([worker], channel);
  const pending = await ask(first, "report");
  expect(pending).toEqual({ status: "pending", taskId: expect.any(String) });
  expect(await first.reply("worker", "timers", other)).toBe("[]");
  expect(await first.drain(5_000)).toBe(true);

  const second = await openGateway([], {}, { store: first.store, config: first.config });
  expect(await second.reply("worker", `finish ${pending.taskId} 42 pages`, other)).toBe("true");
  await second.until(() => second.sent.length === 1);
  expect(second.sent[0]).toMatchObject({
    channel: "webhook",
    peer: { id: "p" },
    sessionKey: "agent:worker:main",
    text: "report done: 42 pages",
  });
  // It has ended: nothing comes of a second end, in this process or in a next one.
  expect(await second.reply("worker", `finish ${pending.taskId} again`, other)).toBe("false");
  expect(await second.drain(5_000)).toBe(true);
  const third = await openGateway([], {}, { store: first.store, config: first.config });
  expect(await third.reply("worker", `fail ${pending.taskId} again`, other)).toBe("false");
  expect(third.sent).toEqual([]);
  const rows = (await third.store.history("worker", "agent:worker:main", 20, 0)).rows;
  expect(rows.map(({ role, text }) => [role, text])).toEqual([
    ["user", "report"],
    ["assistant", JSON.stringify(pending)],
    ["user", "42 pages"],
    ["assistant", "report done: 42 pages"],
  ]);
  expect(rows[2]).toMatchObject({ isUser: false, provenance: { kind: "internal_system", sourceTool: "task" } });
});

test("a task that is given up says why, and one that nobody completes expires, each once", async () => {
  const gateway = await openGateway([worker], channel);
  const failed = await ask(gateway, "report");
  expect(await gateway.reply("worker", `fail ${failed.taskId} no paper`, other)).toBe("true");
  await gateway.until(() => gateway.sent.length === 2);
  const late = await ask(gateway, "soon");
  await gateway.until(() => gateway.sent.length === 4);
  expect(gateway.sent.map(({ text }) => text).filter((text) => text.startsWith("report"))).toEqual([
    "report failed: no paper",
    "report expired: ",
  ]);
  expect(await gateway.reply("worker", `finish ${late.taskId} x`, other)).toBe("false");
  expect(await gateway.reply("worker", `huge ${late.taskId}`, other)).toBe("CLOISTER_MESSAGE_TOO_LARGE");
});

test("the task of another agent is none of its own", async () => {
  const gateway = await openGateway([worker, { ...worker, id: "thief" }], channel);
  const { taskId } = await ask(gateway, "report");
  expect(await gateway.reply("thief", `finish ${taskId} stolen`)).toBe("false");
  expect(await gateway.reply("worker", `finish ${taskId} mine`, other)).toBe("true");
});

test("operators see tasks and no other timers, and one that they cancel is told to its session once", async () => {
  const gateway = await openGateway([worker], channel);
  const client = { clientId: "cli", connId: "c1" } as never;
  const rpc = (method: string, params: object) => gateway.doors.rpc(client, method, params);
  expect(await rpc("tasks.list", {})).toMatchObject({ ok: true, payload: { count: 0, total: 0, tasks: [] } });
  const { taskId } = await ask(gateway, "report");
  const listed = {
    id: taskId,
    agentId: "worker",
    sessionKey: "agent:worker:main",
    name: "report",
    kind: "agent",
    state: "open",
  };
  expect(await rpc("tasks.list", { agentId: "WORKER" })).toMatchObject({ payload: { total: 1, tasks: [listed] } });
  expect(await rpc("tasks.list", { sessionKey: other })).toMatchObject({ payload: { total: 0 } });
  expect(await rpc("tasks.get", { id: taskId })).toMatchObject({
    payload: { task: { ...listed, answersTo: "webhook:default:direct:p" } },
  });
  expect(await rpc("tasks.cancel", { id: taskId, reason: "no paper" })).toMatchObject({
    payload: { ok: true, id: taskId, sessionKey: "agent:worker:main", cancelled: true },
  });
  await gateway.until(() => gateway.sent.length === 2);
  expect(gateway.sent[1]).toMatchObject({
    peer: { id: "p" },
    text: "report failed: an operator cancelled it: no paper",
  });
  expect(await gateway.store.audits(5)).toEqual(
    expect.arrayContaining([expect.objectContaining({ type: "task_cancelled", subject: "cli" })]),
  );
  for (const method of ["tasks.get", "tasks.cancel"])
    expect(await rpc(method, { id: taskId })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_SIGNAL_UNKNOWN", remedy: "cloister tasks list" },
    });
});
