/** The processes of cells when their gateway is killed: none outlives it, whatever it was doing. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { endPrograms, makeStateDir, repoRoot, startProgram } from "../support/program.ts";
import { childrenOf, isAlive } from "../support/processes.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

test("idle, spinning and stuck in native code: all end with the gateway", async () => {
  const acts = { idle: "fine", spinning: "busyloop", native: "endless" } as const;
  const agents = Object.keys(acts).map((id) => ({
    id,
    module: path.join(repoRoot, "test", "fixtures", "actors", "crasher.ts"),
    isolation: { level: "process" },
  }));
  const accounts = Object.fromEntries(agents.map(({ id }) => [id, { token: `${id}-token` }]));
  const program = await startProgram(
    makeStateDir({
      agents: { list: agents },
      bindings: agents.map(({ id }) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
      channels: { webhook: { accounts } },
    }),
  );
  const say = (id: string, text: string, wait: boolean): Promise<{ readonly body: unknown }> =>
    post(
      `${program.url}/channels/webhook/${id}`,
      { text, sender: { id: "tester" }, wait },
      {
        authorization: `Bearer ${id}-token`,
      },
    );
  for (const { id } of agents) expect(JSON.stringify(await say(id, "awake", true))).toContain("handled 1: awake");
  const pid = program.process.pid ?? Number.NaN;
  const cells = childrenOf(pid);
  expect(cells).toHaveLength(agents.length);
  for (const [id, act] of Object.entries(acts)) await say(id, act, false);
  await program.stop("SIGKILL");
  await expect.poll(() => cells.filter(isAlive), { timeout: 5_000 }).toEqual([]);
});
