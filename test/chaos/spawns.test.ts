/**
 * Many sub-agents with real workers, one after the other and several at once, and as many messages to a sibling beside them: a hundred
 * of each, or as many as `CLOISTER_CHAOS_SPAWNS` says.
 */
import net from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway } from "../support/gateway.ts";

const atOnce = 5;
const asked = Number(process.env["CLOISTER_CHAOS_SPAWNS"] ?? 100);
const spawns = Math.ceil(asked / atOnce) * atOnce;
/** Far more than a worker needs to start, on a machine that is busy with other tests. */
const msEach = 1_000;

test(
  "AC-04.4, AC-14.1: every spawn and every send to a sibling of many succeeds while the gateway's own thread can connect to nothing, and no device is asked about",
  async () => {
    const connect = vi.spyOn(net.Socket.prototype, "connect").mockImplementation(() => {
      throw new Error("no network here");
    });
    onTestFinished(() => connect.mockRestore());
    const gateway = await openGateway(
      ["main", "raul"].map((id) => ({ id, ...actor("spawner") })),
      { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" },
    );
    const said = JSON.stringify({ do: "say", text: "x" });
    const command = JSON.stringify({ do: "many", count: atOnce, sends: atOnce, text: said });
    const counts = new Map<string, number>();
    for (let left = spawns; left > 0; left -= atOnce)
      for (const status of JSON.parse(await gateway.reply("main", command)) as readonly string[])
        counts.set(status, (counts.get(status) ?? 0) + 1);
    expect([...counts]).toEqual([["succeeded", spawns]]);
    expect(connect).not.toHaveBeenCalled();
    expect(gateway.driver.liveCells).toBeLessThanOrEqual(2 + atOnce);
    await expect.poll(async () => (await gateway.store.session("agent:raul:main"))?.messages).toBe(spawns);
    expect((await gateway.store.deadLetters({ limit: 1 })).total).toBe(0);
    expect(await gateway.store.devices()).toEqual({ paired: [], pending: [] });
    expect(gateway.events.filter(({ event }) => event.startsWith("device."))).toEqual([]);
  },
  spawns * msEach,
);
