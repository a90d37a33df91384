/** `/stop`, `/new` and `/subagents` in a chat whose session has started sub-agents, with real cells. */
import { describe, expect, test } from "vitest";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { Store } from "../../runtime/store/port.ts";
import { actor } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestGateway } from "../support/gateway.ts";

const main = "agent:main:main";
const task = (command: object): string => JSON.stringify(command);

const open = (store?: Store) =>
  openGateway(
    [
      {
        id: "main",
        ...actor("spawner"),
        subagents: subagentPolicy({ depthMax: 3 }),
      },
    ],
    {},
    store === undefined ? undefined : { store },
  );

const spawnOf = (command: object, params: object = {}): object => ({
  do: "tool",
  tool: "sessions_spawn",
  params: { task: task(command), ...params },
});

async function spawn(gateway: TestGateway, command: object, params: object = {}): Promise<string> {
  const answer = await gateway.reply("main", task(spawnOf(command, params)));
  const accepted = JSON.parse(answer) as { readonly status: string; readonly runId: string };
  expect(accepted.status).toBe("accepted");
  return accepted.runId;
}

const views = (gateway: TestGateway) => gateway.driver.kernel.runViews();

/** Until the runs stand so, and all of them have begun to work. */
const untilRunsAre = (gateway: TestGateway, statuses: readonly string[]) =>
  expect
    .poll(() =>
      views(gateway)
        .map(({ status, startedAtMs }) => (startedAtMs === undefined ? "queued" : status))
        .toSorted(),
    )
    .toEqual(statuses);

const heard = async (gateway: TestGateway): Promise<readonly unknown[]> =>
  JSON.parse(await gateway.reply("main", task({ do: "heard" }))) as unknown[];

describe("a session with a tree of sub-agents", () => {
  test("A3.4: /stop ends the whole tree, endless loops and grandchildren too, counts it and tells nobody", async () => {
    const gateway = await open();
    const spinning = await spawn(gateway, { do: "spin" });
    // It waits for a child of its own, which never ends by itself.
    const above = await spawn(gateway, { do: "yield", params: { task: task({ do: "wait" }) } });
    await untilRunsAre(gateway, ["running", "running", "waiting"]);
    expect(await gateway.reply("main", "/stop")).toBe("Stopped: 0 that waited, 3 that ran; 3 of them sub-agents.");
    await expect.poll(() => views(gateway)).toEqual([]);
    const rows = await gateway.store.runs({ limit: 10 });
    expect(rows.map(({ end }) => [end?.outcome, end?.delivery])).toEqual(
      Array.from({ length: 3 }, () => ["cancelled", "suppressed"]),
    );
    expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining([spinning, above]));
    expect(await heard(gateway)).toEqual([]);
    expect(await gateway.reply("main", "/stop")).toBe("Nothing was running, and nothing waited.");
  });

  test("A3.4: /stop also ends what a child that is over has left at work", async () => {
    const gateway = await open();
    // The child ends at once; its own child, of which it wants to hear nothing, goes on.
    await spawn(gateway, spawnOf({ do: "wait" }, { expectsCompletionMessage: false }));
    await expect.poll(async () => (await heard(gateway)).length).toBe(1);
    await untilRunsAre(gateway, ["running"]);
    expect(views(gateway).map(({ run }) => run.lineage.length)).toEqual([2]);
    expect(await gateway.reply("main", "/stop")).toBe("Stopped: 0 that waited, 1 that ran; 1 of them sub-agents.");
    await expect.poll(() => views(gateway)).toEqual([]);
  });

  test("/new ends the tree before the session begins anew, so that nothing of the old one comes into it", async () => {
    const gateway = await open();
    await spawn(gateway, { do: "yield", params: { task: task({ do: "spin" }) } });
    await untilRunsAre(gateway, ["running", "waiting"]);
    const before = await gateway.store.session(main);
    expect(await gateway.reply("main", "/new")).toBe(
      `New session ${main}. Stopped: 0 that waited, 2 that ran; 2 of them sub-agents.`,
    );
    // Over when it is answered.
    expect(views(gateway)).toEqual([]);
    expect(await gateway.store.runs({ isOpen: true, limit: 10 })).toEqual([]);
    expect((await gateway.store.session(main))?.sessionId).not.toBe(before?.sessionId);
    expect(await heard(gateway)).toEqual([]);
  });

  test("/subagents lists its own tree, tells about one and shows what was said in it; others' runs are not shown", async () => {
    const gateway = await open();
    expect(await gateway.reply("main", "/subagents")).toBe("No sub-agents: this session has started none.");
    const id = await spawn(gateway, { do: "say", text: "42" }, { label: "the answer" });
    await expect.poll(async () => (await heard(gateway)).length).toBe(1);
    const above = await spawn(gateway, { do: "yield", params: { task: task({ do: "wait" }), label: "deep" } });
    await untilRunsAre(gateway, ["running", "waiting"]);
    const lines = (await gateway.reply("main", "/subagents list")).split("\n");
    expect(lines).toContain(`${id}: succeeded, agent main, depth 1: the answer`);
    expect(lines.some((line) => line.startsWith(`${above}: waiting, agent main, depth 1: {"do":"yield"`))).toBe(true);
    expect(lines.filter((line) => line.endsWith("running, agent main, depth 2: deep"))).toHaveLength(1);
    expect((await gateway.reply("main", `/subagents info ${id}`)).split("\n")).toEqual([
      `Run: ${id} "the answer"`,
      "Status: succeeded",
      "Agent: main, depth 1",
      `Session: agent:main:subagent:${id}`,
      `Asked for by: ${main}`,
      expect.stringMatching(/^Started: \d{4}-\d\d-\d\dT/u),
      expect.stringMatching(/^Took: \d+\.\d s$/u),
      "Tool calls: 0",
      "Completion: delivered",
      `Task: ${task({ do: "say", text: "42" })}`,
    ]);
    const said = `user: [Subagent Task]\n\n${task({ do: "say", text: "42" })}`;
    expect(await gateway.reply("main", `/subagents log ${id}`)).toBe(`${said}\nassistant: 42`);
    expect(await gateway.reply("main", `/subagents log ${id} 1`)).toBe("The last 1 of 2 messages:\nassistant: 42");
    const looked = await spawn(gateway, { do: "tool", tool: "sessions_list", params: {} });
    await expect.poll(async () => (await heard(gateway)).length).toBe(2);
    const withTools = (await gateway.reply("main", `/subagents log ${looked} tools`)).split("\n");
    expect(withTools.filter((line) => line.startsWith("tool sessions_list: {"))).toHaveLength(1);
    expect(await gateway.reply("main", `/subagents log ${looked} 10`)).not.toContain("tool sessions_list");
    expect(await gateway.reply("main", `/subagents log ${looked} 1 Tools`)).toMatch(/^The last 1 of 3 messages:/);
    const other = "agent:main:other";
    expect(await gateway.reply("main", "/subagents", other)).toBe("No sub-agents: this session has started none.");
    for (const action of ["info", "log"])
      expect(await gateway.reply("main", `/subagents ${action} ${id}`, other)).toBe(
        `This session has started no sub-agent with the id "${id}": /subagents list`,
      );
    expect(await gateway.reply("main", `/subagents log ${id} 0`)).toContain('limit: found "0", wanted a number from 1');
    for (const wrong of ["info", "log", `info ${id} 3`, `info ${id} tools`, `log ${id} 3 4`])
      expect(await gateway.reply("main", `/subagents ${wrong}`)).toMatch(/^Usage: \/subagents /u);
  });
});

test("subagents.cancel ends a run once: while its end is being stored it is told as ending, and a second cancel ends nothing", async () => {
  const store = await openMemoryStore({ stateDir: "", agents: [{ agentId: "main", sessionsDir: "" }] });
  const isWritten = Promise.withResolvers<void>();
  const slow = new Proxy(store, {
    get: (target, name: keyof Store) =>
      name === "endRun"
        ? (...args: Parameters<Store["endRun"]>) => isWritten.promise.then(() => target.endRun(...args))
        : target[name],
  });
  const gateway = await open(slow);
  const client = { connId: "test", clientId: "the-operator", mode: "test", scopes: ["operator.admin"] };
  const rpc = (method: string, params: object) => gateway.doors.rpc(client, method, params);
  const id = await spawn(gateway, { do: "spin" });
  await untilRunsAre(gateway, ["running"]);
  const sessionKey = `agent:main:subagent:${id}`;
  expect(await rpc("subagents.cancel", { id })).toMatchObject({ ok: true, payload: { sessionKey, cancelled: 1 } });
  expect(await rpc("subagents.list", {})).toMatchObject({
    payload: { count: 1, tasks: [{ runId: id, status: "ending" }] },
  });
  expect(await rpc("subagents.cancel", { id })).toMatchObject({ ok: true, payload: { sessionKey, cancelled: 0 } });
  isWritten.resolve();
  await expect.poll(async () => (await heard(gateway)).length).toBe(1);
  expect(await rpc("subagents.list", {})).toMatchObject({
    payload: { tasks: [{ status: "cancelled", delivery: "delivered" }] },
  });
  expect(await rpc("subagents.cancel", { id: "r-nobody" })).toMatchObject({
    ok: false,
    refusal: { code: "CLOISTER_RUN_UNKNOWN", remedy: "cloister subagents list" },
  });
  const rows = await gateway.store.audits(100);
  expect(rows.filter(({ type }) => type === "run_cancelled").map(({ subject, object }) => [subject, object])).toEqual([
    ["the-operator", sessionKey],
    ["the-operator", sessionKey],
  ]);
});
