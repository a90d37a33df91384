/** W-02 in the real program: an agent that never gives up its thread holds up neither another agent nor the gateway's own answers. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { levels } from "../support/levels.ts";
import { endPrograms, makeStateDir, type Program, repoRoot, runCommand, startProgram } from "../support/program.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

const say = (program: Program, agentId: string, text: string) =>
  post(
    `${program.url}/channels/webhook/${agentId}`,
    { text, sender: { id: "tester" }, wait: true },
    { authorization: `Bearer ${agentId}-token` },
  );

async function busyAgent(program: Program): Promise<object> {
  const status = JSON.parse((await runCommand(program.stateDir, ["status", "--json"])).stdout) as {
    readonly agents: readonly { readonly agentId: string }[];
  };
  return status.agents.find(({ agentId }) => agentId === "busy") ?? {};
}

test.each(levels)(
  "W-02: while A spins at level %s, B answers 50 messages and /healthz 50 times, and A has not been interrupted",
  async (level) => {
    const agents = [
      { id: "calm", default: true, module: "echo", isolation: { level } },
      { id: "busy", module: path.join(repoRoot, "test/fixtures/actors/crasher.ts"), isolation: { level } },
    ];
    const program = await startProgram(
      makeStateDir({
        agents: { list: agents },
        bindings: agents.map(({ id }) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
        channels: { webhook: { accounts: { calm: { token: "calm-token" }, busy: { token: "busy-token" } } } },
      }),
    );
    expect((await say(program, "busy", "hello")).body).toMatchObject({ reply: "handled 1: hello" });
    // It has said that it will hold its thread for a minute, and never gives it up.
    const spinning = say(program, "busy", "busyloop").catch(() => undefined);
    const spins = { activeRuns: 1, restarts: 0 };
    await expect.poll(() => busyAgent(program)).toMatchObject(spins);
    for (let n = 0; n < 50; n++) {
      expect((await say(program, "calm", `message ${n}`)).body).toMatchObject({ reply: `message ${n}` });
      expect((await fetch(`${program.url}/healthz`)).status).toBe(200);
    }
    expect(await busyAgent(program)).toMatchObject(spins);
    program.process.kill("SIGKILL");
    await spinning;
  },
);
