/** `stop <agent|run|all>` on a gateway with real cells that take no notice of anything (A11.2). */
import { describe, expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGatewayAt, type TestGateway } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

const crasher = actor("crasher");
const toolUser = actor("tool-user");
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.write"] };
const stopped = { status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } };

// oxlint-disable-next-line typescript/no-explicit-any -- answers of the method, looked into by the tests
async function stop(gateway: TestGateway, target: string): Promise<any> {
  const result = await gateway.doors.rpc(operator, "runs.stop", { target });
  return result.ok ? result.payload : result.refusal;
}

const activeOf = (gateway: TestGateway, agentId: string) =>
  gateway.agents().find((agent) => agent.agentId === agentId)?.activeRuns ?? 0;

describe.each(levels)("at level %s", (level) => {
  const openGateway = openGatewayAt(level);

  test("A11.2: stop all ends every cell in while(true), with a backlog behind each, and loses nothing silently", async () => {
    // As many as the machine has cores, so that it is busy, and each may hold its loop for a minute.
    const ids = ["a", "b", "c"];
    const gateway = await openGateway(
      ids.map((id) => ({ id, ...crasher })),
      { lanes: { main: 8, subagent: 8, cron: 4, background: 3 } },
    );
    const spinning = ids.map((id) => gateway.say(id, "busyloop"));
    await expect.poll(() => ids.map((id) => activeOf(gateway, id))).toEqual([1, 1, 1]);
    const waiting = ids.flatMap((id) => Array.from({ length: 5 }, (_, n) => gateway.say(id, `m${n}`)));
    await expect.poll(() => gateway.agents().map(({ queueDepth }) => queueDepth)).toEqual([5, 5, 5]);
    // Over before it is answered: nothing else would end such a cell within its minute.
    expect(await stop(gateway, "all")).toMatchObject({ ok: true, scope: "all", active: 3, queued: 15, ending: 0 });
    expect(await Promise.all([...spinning, ...waiting])).toEqual(
      Array.from({ length: 18 }, () =>
        expect.objectContaining({ ...stopped, refusal: expect.objectContaining(stopped.refusal) }),
      ),
    );
    await expect.poll(async () => (await gateway.store.deadLetters({ limit: 1, fate: "dropped" })).total).toBe(18);
    expect((await gateway.store.audits(50)).find(({ type }) => type === "stopped")).toMatchObject({
      subject: "cli-1",
      object: "*",
    });
    // The agents are in service, and it counts as no crash.
    for (const id of ids) expect(await gateway.reply(id, "hello")).toContain("hello");
    expect(gateway.agents().map(({ restarts }) => restarts)).toEqual([0, 0, 0]);
  });

  test("A11.2: stop <run> ends the run and what it asked for; the other agents go on", async () => {
    const gateway = await openGateway(
      [
        { id: "main", ...toolUser },
        { id: "raul", ...crasher },
        { id: "ana", ...crasher },
      ],
      { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" },
    );
    const other = gateway.say("ana", "hang");
    const said = await gateway.doors.rpc({ ...operator, scopes: ["operator.admin"] }, "chat.send", {
      sessionKey: "agent:main:main",
      message: JSON.stringify({ tool: "request", params: { to: "raul", text: "busyloop", timeoutMs: 60_000 } }),
    });
    const { runId } = (said as { payload: { runId: string } }).payload;
    await expect.poll(() => activeOf(gateway, "raul")).toBe(1);
    expect(await stop(gateway, runId)).toMatchObject({ scope: "run", active: 2, queued: 0, ending: 0 });
    expect(await gateway.doors.waitRun(runId, 1_000)).toMatchObject(stopped);
    expect(activeOf(gateway, "ana")).toBe(1);
    expect(await stop(gateway, "ana")).toMatchObject({ scope: "agent", active: 1, ending: 0 });
    expect(await other).toMatchObject(stopped);
  });
});

test("what stop cannot mean is refused with what it can", async () => {
  const openGateway = openGatewayAt("thread");
  const gateway = await openGateway([
    { id: "main", module: "echo" },
    { id: "all", module: "echo" },
  ]);
  expect(await stop(gateway, "nothing")).toMatchObject({
    code: "CLOISTER_REQUEST_INVALID",
    message: 'target: found "nothing", wanted the id of an agent, the id of a run that is not over, or "all"',
  });
  expect(await stop(gateway, "ALL")).toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  expect(await stop(gateway, "Main")).toMatchObject({ scope: "agent", active: 0, queued: 0, backlog: 0 });
});
